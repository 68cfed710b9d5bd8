#include "cli/facts.h"

#include <string.h>

/* ---- options, ports ----------------------------------------------------------------- */

const char *mls_fact_type(const mls_option *o)
{
    static const char *const names[] = { "real", "int", "bool", "choice", "string", "component",
                                        "list of components" };
    return names[o->type];
}

const char *mls_fact_default(const mls_option *o, mls_arena *a)
{
    switch (o->type) {
    case MLS_BOOL:   return o->def != 0.0 ? "true" : "false";
    case MLS_CHOICE: return mls_arena_printf(a, "%.*s", (int)strcspn(o->choices, "|"),
                                             o->choices);
    case MLS_STRING: return o->choices ? mls_arena_printf(a, "\"%s\"", o->choices) : "none";
    case MLS_COMPONENT: return o->choices;
    case MLS_COMPONENTS: return mls_arena_printf(a, "{ %s }", o->choices);
    default:         return mls_arena_printf(a, "%.10g%s%s", o->def, o->unit ? " " : "",
                                             o->unit ? o->unit : "");
    }
}

const char *mls_fact_range(const mls_option *o, mls_arena *a)
{
    if (o->type == MLS_CHOICE) {
        const char *s = "";
        for (const char *p = o->choices; *p; p += strcspn(p, "|"), p += *p == '|')
            s = mls_arena_printf(a, "%s%s%.*s", s, *s ? ", " : "", (int)strcspn(p, "|"), p);
        return s;
    }
    if ((o->type == MLS_REAL || o->type == MLS_INT) && o->min < o->max)
        return mls_arena_printf(a, "%.10g to %.10g", o->min, o->max);
    return "";
}

const char *mls_fact_port(const mls_port *p, mls_arena *a)
{
    return mls_arena_printf(a, "%s%s%s", p->flags & MLS_IN ? "in" : "out",
                            p->flags & MLS_MAYBE ? ", optional" : "",
                            p->flags & MLS_SPIKES ? ", spikes" : "");
}

const char *mls_fact_promises(const mls_component *c, mls_arena *a)
{
    static const char *const names[] = { "causal", "random", "streams" };
    const char *s = "";
    for (int i = 0; i < 3; i++)
        if (c->flags & 1u << i)
            s = mls_arena_printf(a, "%s%s%s", s, *s ? ", " : "", names[i]);
    return s;
}

const char *mls_fact_summary(const mls_component *c, mls_arena *a)
{
    const char *help = c->help ? c->help : "";
    size_t n = strcspn(help, "\n");
    if (n && help[n - 1] == '.') n--;
    return mls_arena_printf(a, "%.*s", (int)n, help);
}

const char *mls_fact_details(const mls_component *c)
{
    const char *help = c->help ? c->help : "";
    help += strcspn(help, "\n");
    return help + strspn(help, "\n");
}

/* ---- the network ---------------------------------------------------------------------- */

static int by_host(const mls_port *p)
{
    return !strcmp(p->name, "mask") || !strcmp(p->name, "dt");
}

/* A network of c alone; all: its optional ports are connected too. */
static mls_value *specification(const mls_registry *r, const mls_component *c, int all,
                                mls_arena *a)
{
    const char *wires = "", *name = mls_arena_printf(a, "%s.%s", c->kind, c->name);
    mls_value *spec = mls_value_map(a), *nodes = mls_value_map(a), *node = mls_value_map(a);
    const int head = !strcmp(c->kind, "head");
    const mls_port *p;
    for (int i = 0; !head && (p = mls_plug_port(r, c, i)); i++)
        if (p->flags & MLS_IN && !by_host(p) && (all || !(p->flags & MLS_MAYBE)))
            wires = mls_arena_printf(a, "%sinput -> n.%s; ", wires, p->name);
    mls_value_set(a, spec, "width", mls_value_int(a, MLS_FACT_WIDTH));
    mls_value_set(a, spec, "layers", mls_value_int(a, 1));
    mls_value_set(a, spec, "norm", mls_value_string(a, "none"));
    mls_value_set(a, node, "component", mls_value_string(a, name));
    if (head) {
        mls_value_set(a, spec, "head", node);
        node = mls_value_map(a);
        mls_value_set(a, node, "component", mls_value_string(a, "mixer.identity"));
        wires = "input -> n; ";
    }
    mls_value_set(a, nodes, "n", node);
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, mls_arena_printf(
                  a, "%sn -> output", wires)));
    return spec;
}

static mls_net *build(const mls_registry *r, const mls_component *c, int all, mls_arena *a,
                      mls_error *e)
{
    const mls_value *spec = specification(r, c, all, a);
    mls_net *net = NULL;
    /* A head that gives one output for the sequence wants a task of that kind. */
    for (int per_step = 1; per_step >= 0 && !net; per_step--) {
        const mls_task_shape shape = { .steps = 16, .input = MLS_FACT_INPUT,
            .output = MLS_FACT_OUTPUT, .loss = MLS_CROSS_ENTROPY, .per_step = per_step,
            .has_dt = all };
        const mls_net_config config = { r, spec, &shape, 1, 1 };
        memset(e, 0, sizeof *e);
        net = mls_net_build(&config, e);
    }
    return net;
}

typedef struct rows { mls_fact_row *row; int n; } rows;

static void put(rows *list, const mls_fact_row *row)
{
    for (int i = 0; i < list->n; i++)
        if (!strcmp(list->row[i].name, row->name)) return;
    list->row[list->n++] = *row;
}

static int is_port(const mls_registry *r, const mls_component *c, const char *name)
{
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(r, c, i)); i++)
        if (!strcmp(p->name, name)) return 1;
    return 0;
}

/* What stands before the names of c's weights and channels: "layer0.n."; those of its parts
 * begin with it too.                                                                     */
static const char *prefix(const mls_component *c)
{
    return strcmp(c->kind, "head") ? "layer0.n." : "head.";
}

static int of_node(const char *name, const mls_component *c)
{
    return !strncmp(name, prefix(c), strlen(prefix(c)));
}

static void collect_weights(mls_net *net, const mls_component *c, rows *list, int wired,
                            mls_arena *a)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        if (!of_node(w->name, c)) continue;
        const mls_fact_row row = {
            mls_arena_strdup(a, w->name + strlen(prefix(c))),
            mls_arena_printf(a, "%lld x %lld", (long long)w->rows, (long long)w->cols), "",
            w->flags & MLS_FROZEN ? "frozen" : w->flags & MLS_NO_DECAY ? "no decay" : "",
            wired };
        put(list, &row);
    }
}

static int is_state(mls_run *run, const char *node, const char *name, mls_arena *a)
{
    const char *full = mls_arena_printf(a, "%s.%s", node, name);
    float *value;
    int64_t width;
    double reset;
    for (int i = 0; i < mls_run_states(run); i++)
        if (!strcmp(mls_run_state(run, i, &value, &width, &reset), full)) return 1;
    return 0;
}

static void collect_channels(const mls_registry *r, mls_net *net, const mls_component *c,
                             rows *states, rows *taps, int wired, mls_arena *a,
                             mls_error *e)
{
    mls_channel *list = NULL;
    mls_run *run = mls_run_new(net, 1, 0, e);
    const int n = run ? mls_run_channels(run, &list, a) : 0;
    for (int i = 0; i < n; i++) {
        const char *full = mls_arena_printf(a, "%s.%s", list[i].node, list[i].name);
        if (!of_node(full, c) || is_port(r, c, full + strlen(prefix(c)))) continue;
        const mls_fact_row row = { full + strlen(prefix(c)),
            mls_arena_printf(a, "%lld", (long long)list[i].width),
            mls_arena_strdup(a, list[i].unit ? list[i].unit : ""),
            mls_arena_strdup(a, list[i].help ? list[i].help : ""), wired };
        put(is_state(run, list[i].node, list[i].name, a) ? states : taps, &row);
    }
    mls_run_free(run);
}

int mls_fact_network(const mls_registry *r, const mls_component *c, mls_facts *f,
                     mls_arena *a, mls_error *e)
{
    enum { MOST = 256 };
    *f = (mls_facts){ 0 };
    if (!strcmp(c->kind, "task")) return 1;
    rows list[3];
    for (int i = 0; i < 3; i++)
        list[i] = (rows){ mls_arena_zalloc(a, MOST * sizeof *list[i].row), 0 };
    for (int all = 0; all < 2; all++) {
        mls_error failed = { 0 };
        mls_net *net = build(r, c, all, a, &failed);
        if (!net) {
            *e = failed;
            continue;
        }
        /* Some optional ports are of no use unwired: then the full network is the one. */
        const int whole = !all || e->set;
        *e = (mls_error){ 0 };
        if (whole)
            for (int i = 0; i < mls_net_weights(net); i++) {
                const mls_weight *w = mls_net_weight(net, i);
                if (of_node(w->name, c)) f->parameters += w->rows * w->cols;
            }
        collect_weights(net, c, &list[0], !whole, a);
        collect_channels(r, net, c, &list[1], &list[2], !whole, a, &failed);
        mls_net_free(net);
    }
    f->weight = list[0].row, f->n_weights = list[0].n;
    f->state = list[1].row, f->n_states = list[1].n;
    f->tap = list[2].row, f->n_taps = list[2].n;
    return !e->set;
}
