#include "plug/table.h"

#include "plug/abi.h"

#include <math.h>
#include <string.h>

enum {
    ROWS = 4096,                         /* a table without its end is no table          */
    SELF_MOST = 1 << 26                  /* self holds settings and handles, not data    */
};

/* ---- options and ports --------------------------------------------------------------- */

/* Where a value of this type ends, seen from its beginning; 0: no such type. */
static size_t width(mls_type type)
{
    switch (type) {
    case MLS_REAL:   return sizeof(double);
    case MLS_INT:    return sizeof(int64_t);
    case MLS_BOOL:
    case MLS_CHOICE: return sizeof(int);
    case MLS_STRING: return sizeof(const char *);
    case MLS_COMPONENT:
    case MLS_COMPONENTS: return sizeof(const mls_spec *);
    }
    return 0;
}

/* "mixer.mlp", or several with commas between where a list is asked for. */
static int is_components(const mls_option *o)
{
    const char *s = o->choices;
    return s && *s && !strchr(", ", *s) && (o->type == MLS_COMPONENTS || !strpbrk(s, ", "));
}

/* "a|b" without an empty choice. */
static int is_choices(const char *s)
{
    if (!s || !*s || *s == '|' || strstr(s, "||")) return 0;
    return s[strlen(s) - 1] != '|';
}

static const char *range_fault(const mls_option *o)
{
    if (isnan(o->min) || isnan(o->max)) return "has a range that is no number";
    if (o->min > o->max) return "has its least value above its greatest";
    if (o->min < o->max && !(o->def >= o->min && o->def <= o->max))
        return "has a default outside its own range";
    /* 2^63 is no int64_t, and converting what is none is undefined */
    if (o->type == MLS_INT && !(o->def == floor(o->def) && o->def >= -0x1p63 &&
                                o->def < 0x1p63))
        return "has a default that is no integer";
    return NULL;
}

static const char *option_fault(const mls_option *o, size_t self_size)
{
    const size_t n = width(o->type);
    const int number = o->type == MLS_REAL || o->type == MLS_INT;
    if (!n) return "has a type that this mls does not know";
    if (o->offset > self_size || n > self_size - o->offset)
        return "would be stored outside of self (self_size)";
    if (o->offset % n) return "would be stored at an odd place (offset)";
    if (o->type == MLS_CHOICE && !is_choices(o->choices)) return "has no choices";
    if ((o->type == MLS_COMPONENT || o->type == MLS_COMPONENTS) && !is_components(o))
        return "names no component as its default";
    const char *fault = number ? range_fault(o) : NULL;
    if (fault) return fault;
    if (o->type == MLS_BOOL && !(o->def == 0.0 || o->def == 1.0))
        return "has a default that is neither 0 nor 1";
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

static const mls_port *port_at(const mls_plugin_info *p, const mls_component *c, int i)
{
    return (const void *)((const char *)c->ports + (size_t)i * p->port_size);
}

static const mls_option *option_at(const mls_plugin_info *p, const mls_component *c, int i)
{
    return (const void *)((const char *)c->options + (size_t)i * p->option_size);
}

/* A port of the same name and direction before row i. */
static int port_is_twice(const mls_plugin_info *p, const mls_component *c, int i)
{
    const mls_port *q = port_at(p, c, i);
    for (int k = 0; k < i; k++)
        if (!strcmp(port_at(p, c, k)->name, q->name) &&
            !((port_at(p, c, k)->flags ^ q->flags) & MLS_IN))
            return 1;
    return 0;
}

/* Two options in one place of self: a string would be read from the bits of a number. */
static const char *option_clash(const mls_plugin_info *p, const mls_component *c, int i)
{
    const mls_option *o = option_at(p, c, i);
    for (int k = 0; k < i; k++) {
        const mls_option *q = option_at(p, c, k);
        if (!strcmp(q->name, o->name)) return "is there twice";
        if (q->offset < o->offset + width(o->type) && o->offset < q->offset + width(q->type))
            return "would be stored over another one (offset)";
    }
    return NULL;
}

int mls_table_check(const mls_plugin_info *p, const mls_component *c, const char *path,
                    mls_error *e)
{
    int n = 0, k = 0;
    for (; c->ports && n < ROWS && port_at(p, c, n)->name && !e->set; n++) {
        const char *fault = port_fault(port_at(p, c, n));
        if (!fault && port_is_twice(p, c, n)) fault = "is there twice";
        if (fault) complain(c, path, "port", port_at(p, c, n)->name, fault, e);
    }
    for (; c->options && k < ROWS && option_at(p, c, k)->name && !e->set; k++) {
        const char *fault = option_fault(option_at(p, c, k), c->self_size);
        if (!fault) fault = option_clash(p, c, k);
        if (fault) complain(c, path, "option", option_at(p, c, k)->name, fault, e);
    }
    if (n == ROWS || k == ROWS)
        mls_error_set(e, "%s: %s.%s: a table of %d rows has no end", path, c->kind, c->name,
                      ROWS);
    return !e->set;
}

/* ---- components ------------------------------------------------------------------------ */

/* As users write it in "kind.name". */
static int is_name(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-";
    return s && *s && !s[strspn(s, letters)];
}

static void component(const mls_plugin_info *p, const mls_component *c, const char *path,
                      mls_error *e)
{
    const int newer = p->abi_minor > MLS_ABI_MINOR;
    if (c->size < MLS_COMPONENT_1_0 || c->size > MLS_SIZE_MOST ||
        (c->size > sizeof *c && !newer)) {
        mls_error_set(e, "%s: a component's size is %u bytes, this mls (ABI %d.%d) has %zu; "
                      "rebuild the plugin against its headers", path, c->size,
                      MLS_ABI_MAJOR, MLS_ABI_MINOR, sizeof *c);
        return;
    }
    if (!c->kind || !c->name || !*c->kind || !*c->name) {
        mls_error_set(e, "%s: a component has no kind or no name", path);
        return;
    }
    if (!is_name(c->kind) || !is_name(c->name)) {
        mls_error_set(e, "%s: a component is called \"%.60s.%.60s\"; kind and name consist "
                      "of letters, digits, _ and -", path, c->kind, c->name);
        return;
    }
    const int task = !strcmp(c->kind, "task");
    if (task && c->task && (c->task->size < MLS_TASK_1_0 || c->task->size > MLS_SIZE_MOST))
        mls_error_set(e, "%s: %s.%s: the task's size is %u bytes, expected %zu", path,
                      c->kind, c->name, c->task->size, sizeof *c->task);
    else if (task ? !c->task || !c->task->open || !c->task->count || !c->task->fill
                  : !c->setup || !c->forward || !c->ports)
        mls_error_set(e, "%s: %s.%s lacks %s", path, c->kind, c->name,
                      task ? "one of the task functions open, count and fill"
                           : "one of ports, setup and forward");
    else if (!task && c->task)
        mls_error_set(e, "%s: %s.%s has a task, which only the kind \"task\" may have",
                      path, c->kind, c->name);
    else if (c->self_size > SELF_MOST)
        mls_error_set(e, "%s: %s.%s: self_size is %zu bytes, at most %d are sensible", path,
                      c->kind, c->name, c->self_size, SELF_MOST);
    else
        mls_table_check(p, c, path, e);
}

/* ---- the plugin ------------------------------------------------------------------------ */

static int is_stride(size_t n, size_t least)
{
    return n >= least && n <= MLS_SIZE_MOST && n % sizeof(void *) == 0;
}

int mls_table_check_plugin(const mls_plugin_info *p, const char *path, mls_error *e)
{
    /* the major version first: it says best what is wrong, and its place never moves */
    if (p->abi_major != MLS_ABI_MAJOR) {
        mls_error_set(e, "%s: built for plugin ABI %u.%u, this mls has %d.%d", path,
                      p->abi_major, p->abi_minor, MLS_ABI_MAJOR, MLS_ABI_MINOR);
        return 0;
    }
    if (p->size < MLS_INFO_1_0 || p->size > MLS_SIZE_MOST) {
        mls_error_set(e, "%s: mls_plugin is %u bytes, expected %zu; rebuild it against this "
                      "mls's headers", path, p->size, sizeof *p);
        return 0;
    }
    if (!is_stride(p->port_size, MLS_PORT_1_0) ||
        !is_stride(p->option_size, MLS_OPTION_1_0)) {
        mls_error_set(e, "%s: mls_plugin has rows of %u and %u bytes, expected %zu and %zu",
                      path, p->port_size, p->option_size, sizeof(mls_port),
                      sizeof(mls_option));
        return 0;
    }
    const char *lacks = !p->name         ? "name"
                        : !p->version    ? "version"
                        : !p->licence    ? "licence"
                        : !p->components ? "list of components"
                        : !p->host       ? "place for the host's table"
                                         : NULL;
    if (lacks) mls_error_set(e, "%s: mls_plugin is incomplete: it has no %s", path, lacks);
    else if (!p->components[0]) mls_error_set(e, "%s: mls_plugin has no component", path);
    for (int i = 0; !e->set && p->components[i]; i++)
        component(p, p->components[i], path, e);
    return !e->set;
}
