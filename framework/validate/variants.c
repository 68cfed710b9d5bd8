/* variants.c - the settings under which a component is looked at. */
#include "validate/settings.h"

#include <string.h>

enum { MOST = 64 };

/* A mode that needs another port or a size of its own may refuse to be built; the defaults
 * may not.                                                                               */
static int is_refused(mls_probe *p, const mls_variant *v)
{
    mls_rig r;
    jmp_buf end;
    memcpy(end, p->end, sizeof end);
    const mls_mark mark = mls_arena_mark(&p->arena);
    volatile int refused = 0;
    if (setjmp(p->end)) refused = 1;
    else mls_rig_open(&r, p, v, (mls_rig_size){ 0 }, 0, p->seed);
    memcpy(p->end, end, sizeof end);
    if (refused) mls_probe_note(p, "left out: %s", p->reason);
    else mls_rig_close(&r);
    p->reason[0] = '\0';
    mls_arena_release(&p->arena, mark);
    return refused;
}

typedef struct list { mls_probe *p; mls_variant *v; int n; } list;

static void add(list *l, const char *suffix, const char *option, mls_value *value, int open,
                unsigned promises)
{
    mls_arena *a = &l->p->arena;
    mls_value *set = NULL;
    if (l->n == MOST) return;
    if (option) {
        set = mls_value_map(a);
        mls_value_set(a, set, option, value);
    }
    l->v[l->n++] = (mls_variant){
        mls_arena_printf(a, "%s.%s%s", l->p->c->kind, l->p->c->name, suffix), set, option,
        open, promises };
}

static void add_choices(list *l, const mls_option *o)
{
    mls_arena *a = &l->p->arena;
    char *save = NULL, *words = mls_arena_strdup(a, o->choices);
    char *word = strtok_r(words, "|", &save);            /* the default comes first      */
    while (word && (word = strtok_r(NULL, "|", &save)))
        add(l, mls_arena_printf(a, ", %s %s", o->name, word), o->name,
            mls_value_string(a, word), 0,
            l->p->c->flags & (mls_option_sees_all(o->name, word) ? ~(unsigned)(MLS_CAUSAL | MLS_STREAMS)
                                                      : ~0u));
}

/* Other parts, which have states where the usual ones may have none. */
static void add_parts(list *l, const mls_option *o)
{
    mls_value *x = mls_settings_other(l->p, o, 0);
    if (x)
        add(l, mls_arena_printf(&l->p->arena, ", %s %s", o->name,
                                mls_value_to_json(&l->p->arena, x, 0)),
            o->name, x, 0, l->p->c->flags);
}

int mls_probe_variants(mls_probe *p, const mls_variant **out)
{
    list l = { p, mls_arena_zalloc(&p->arena, MOST * sizeof *l.v), 0 };
    const mls_port *port;
    const mls_option *o;
    int maybe = 0;
    if (!l.v) mls_probe_fail(p, "out of memory");
    add(&l, "", NULL, NULL, 0, p->c->flags);
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        maybe |= (port->flags & MLS_IN) && (port->flags & MLS_MAYBE) &&
                 strcmp(port->name, "mask") && strcmp(port->name, "dt");
    if (maybe) add(&l, ", optional ports open", NULL, NULL, 1, p->c->flags);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        const int on = o->def == 0.0;
        if (o->type == MLS_BOOL)
            add(&l, mls_arena_printf(&p->arena, ", %s %s", o->name, on ? "on" : "off"),
                o->name, mls_value_bool(&p->arena, on), 0,
                p->c->flags & (on && mls_option_sees_all(o->name, NULL)
                                   ? ~(unsigned)(MLS_CAUSAL | MLS_STREAMS) : ~0u));
        else if (o->type == MLS_CHOICE && o->choices)
            add_choices(&l, o);
        else if (o->type == MLS_COMPONENT || o->type == MLS_COMPONENTS)
            add_parts(&l, o);
    }
    int n = 0;
    for (int i = 0; i < l.n; i++)
        if (i == 0 || !is_refused(p, &l.v[i])) l.v[n++] = l.v[i];
    *out = l.v;
    return n;
}
