#include "plug/table.h"

#include <string.h>

enum { ROWS = 4096 };                    /* a table without its end is no table */

/* Where a value of this type ends, seen from its beginning; 0: no such type. */
static size_t width(mls_type type)
{
    switch (type) {
    case MLS_REAL:   return sizeof(double);
    case MLS_INT:    return sizeof(int64_t);
    case MLS_BOOL:
    case MLS_CHOICE: return sizeof(int);
    case MLS_STRING: return sizeof(const char *);
    }
    return 0;
}

static const char *option_fault(const mls_option *o, size_t self_size)
{
    const size_t n = width(o->type);
    const int number = o->type == MLS_REAL || o->type == MLS_INT;
    if (!n) return "has a type that this mls does not know";
    if (o->offset > self_size || n > self_size - o->offset)
        return "would be stored outside of self (self_size)";
    if (o->offset % n) return "would be stored at an odd place (offset)";
    if (o->type == MLS_CHOICE && (!o->choices || !*o->choices)) return "has no choices";
    if (number && o->min > o->max) return "has its least value above its greatest";
    if (number && o->min < o->max && !(o->def >= o->min && o->def <= o->max))
        return "has a default outside its own range";
    return o->help ? NULL : "has no help text";
}

static const char *port_fault(const mls_port *p)
{
    const unsigned way = p->flags & (MLS_IN | MLS_OUT);
    if (way != MLS_IN && way != MLS_OUT) return "is neither MLS_IN nor MLS_OUT";
    /* "T B width" or, of a head that sums up, "1 B width" */
    if (!p->shape || (*p->shape != 'T' && *p->shape != '1') ||
        strncmp(p->shape + 1, " B ", 3) != 0 || strspn(p->shape + 4, " ") ||
        !p->shape[4] || strchr(p->shape + 4, ' '))
        return "has no shape of the form \"T B width\"";
    return NULL;
}

static void complain(const mls_component *c, const char *path, const char *what,
                     const char *row, const char *fault, mls_error *e)
{
    mls_error_set(e, "%s: %s.%s: %s \"%s\" %s", path, c->kind, c->name, what, row, fault);
}

int mls_table_check(const mls_plugin_info *p, const mls_component *c, const char *path,
                    mls_error *e)
{
    int n = 0;
    for (; c->ports && n < ROWS; n++) {
        const mls_port *row = (const mls_port *)(const void *)
            ((const char *)c->ports + (size_t)n * p->port_size);
        if (!row->name) break;
        const char *fault = port_fault(row);
        if (fault) complain(c, path, "port", row->name, fault, e);
        if (fault) return 0;
    }
    int k = 0;
    for (; c->options && k < ROWS; k++) {
        const mls_option *row = (const mls_option *)(const void *)
            ((const char *)c->options + (size_t)k * p->option_size);
        if (!row->name) break;
        const char *fault = option_fault(row, c->self_size);
        if (fault) complain(c, path, "option", row->name, fault, e);
        if (fault) return 0;
    }
    if (n == ROWS || k == ROWS)
        mls_error_set(e, "%s: %s.%s: a table of %d rows has no end", path, c->kind, c->name,
                      ROWS);
    return !e->set;
}
