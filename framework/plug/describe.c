/* describe.c - the help text of a component, from its own tables. */
#include "plug/plug.h"

#include <string.h>

static const char *range(const mls_option *o, mls_arena *a)
{
    const char *unit = o->unit ? mls_arena_printf(a, " %s", o->unit) : "";
    switch (o->type) {
    case MLS_BOOL:   return o->def != 0.0 ? "true (true|false)" : "false (true|false)";
    case MLS_CHOICE: {
        const char *bar = strchr(o->choices, '|');
        return mls_arena_printf(a, "%.*s (%s)", bar ? (int)(bar - o->choices)
                                : (int)strlen(o->choices), o->choices, o->choices);
    }
    case MLS_STRING: return o->choices ? mls_arena_printf(a, "\"%s\"", o->choices) : "none";
    case MLS_COMPONENT: return o->choices;
    case MLS_COMPONENTS: return mls_arena_printf(a, "{ %s }", o->choices);
    default: break;
    }
    if (o->min < o->max)
        return mls_arena_printf(a, "%.10g%s (%.10g to %.10g)", o->def, unit, o->min, o->max);
    return mls_arena_printf(a, "%.10g%s", o->def, unit);
}

char *mls_plug_describe(const mls_registry *r, const mls_component *c, mls_arena *a)
{
    const mls_plugin_file *f = mls_registry_file(r, c);
    char *s = mls_arena_printf(a, "%s.%s - %s\n", c->kind, c->name, c->help ? c->help : "");
    if (f) s = mls_arena_printf(a, "%s\nplugin   %s %s (%s)\n", s, f->info->name,
                                f->info->version, f->info->licence);
    s = mls_arena_printf(a, "%spromises%s%s%s\n", s, c->flags & MLS_CAUSAL ? " causal" : "",
                         c->flags & MLS_STREAMS ? " streams" : "",
                         c->flags & MLS_RANDOM ? " random" : "");
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(r, c, i)); i++) {
        if (!i) s = mls_arena_printf(a, "%s\nports\n", s);
        s = mls_arena_printf(a, "%s  %-3s %-10s [%s]%s%s  %s\n", s, p->flags & MLS_IN ? "in" : "out",
                             p->name, p->shape, p->flags & MLS_MAYBE ? " optional" : "",
                             p->flags & MLS_SPIKES ? " spikes" : "", p->help ? p->help : "");
    }
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(r, c, i)); i++) {
        if (!i) s = mls_arena_printf(a, "%s\noptions\n", s);
        s = mls_arena_printf(a, "%s  %-16s %-34s %s\n", s, o->name, range(o, a), o->help);
    }
    return s;
}
