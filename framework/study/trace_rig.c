/* trace_rig.c - a network of one node: each of its ports gets columns of the batch's input
 * as they are, past the input projection.                                               */
#include "plug/plug.h"
#include "study/trace_inner.h"

#include <string.h>

/* ---- the parts -------------------------------------------------------------------------- */

typedef struct part { int64_t from, n; } part;

static void no_setup(mls_ctx *c, void *self) { (void)c, (void)self; }

static void part_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const part *p = self;
    (void)in;
    out[0] = mls_plug_host()->slice(c, mls_run_input(mls_run_of(c)), p->from, p->n);
}

static const mls_port part_ports[] = { { "out", MLS_OUT, "T B n", "columns of the input" },
                                       MLS_PORT_END };
static const mls_option part_options[] = {
    MLS_OPT(part, from, MLS_INT, 0, 0, 1 << 30, NULL, "first column"),
    MLS_OPT(part, n, MLS_INT, 1, 1, 1 << 30, NULL, "how many"), MLS_OPT_END };
static const mls_component part_component = {
    sizeof part_component, "mixer", "trace_part", MLS_CAUSAL | MLS_STREAMS, "Columns.",
    part_ports, part_options, sizeof(part), no_setup, part_forward, NULL };

static void end_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c, (void)self;
    out[0] = in[0];
}

static const mls_port end_ports[] = { { "in", MLS_IN, "T B n", "features" },
                                      { "out", MLS_OUT, "T B n", "the same" }, MLS_PORT_END };
static const mls_component end_component = {
    sizeof end_component, "head", "trace_end", MLS_CAUSAL | MLS_STREAMS, "What it gets.",
    end_ports, NULL, 1, no_setup, end_forward, NULL };

int mls_trace_parts(mls_registry *r, mls_error *e)
{
    static const mls_host *host;
    static const mls_component *const list[] = { &part_component, &end_component, NULL };
    static const mls_plugin_info info = {
        sizeof info, MLS_ABI_MAJOR, MLS_ABI_MINOR, sizeof(mls_port), sizeof(mls_option),
        "trace", "1", "Apache-2.0", list, &host };
    for (int i = 0; i < r->n_components; i++)
        if (r->component[i] == &part_component) return 1;
    return mls_registry_add(r, &info, "study/trace_rig.c", "trace", e);
}

/* ---- the network ---------------------------------------------------------------------------- */

static mls_value *node(mls_arena *a, const char *component)
{
    mls_value *n = mls_value_map(a);
    mls_value_set(a, n, "component", mls_value_string(a, component));
    return n;
}

mls_value *mls_trace_specification(mls_trace *t, const mls_component *c, int64_t width)
{
    mls_arena *a = &t->arena;
    const int head = !strcmp(c->kind, "head");
    mls_value *nodes = mls_value_map(a), *spec = mls_value_map(a);
    const char *wire = head ? "" : "input -> output";
    for (int i = 0; i < t->n_in; i++) {
        const mls_trace_port *p = &t->in[i];
        mls_value *v = node(a, "mixer.trace_part");
        const char *name = mls_arena_printf(a, "in_%s", p->name);
        mls_value_set(a, v, "from", mls_value_int(a, p->from));
        mls_value_set(a, v, "n", mls_value_int(a, p->n));
        mls_value_set(a, nodes, name, v);
        wire = head ? mls_arena_printf(a, "%s -> output", name)
                    : mls_arena_printf(a, "%s; %s -> node.%s", wire, name, p->name);
    }
    if (!head) mls_value_set(a, nodes, "node", mls_value_copy(a, t->c.component));
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, wire));
    mls_value_set(a, spec, "width", mls_value_int(a, width));
    mls_value_set(a, spec, "layers", mls_value_int(a, 1));
    mls_value_set(a, spec, "norm", mls_value_string(a, "none"));
    mls_value_set(a, spec, "residual", mls_value_bool(a, 0));
    mls_value_set(a, spec, "head", head ? mls_value_copy(a, t->c.component)
                                        : node(a, "head.trace_end"));
    return spec;
}
