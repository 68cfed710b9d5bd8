/* spiking_out.c - layers of spiking neurons to a NIR graph. */
#include "study/spiking_stage.h"

#include <string.h>

typedef struct out {
    const mls_stages *all;
    mls_nir          *g;
    int               neurons[MLS_STAGES];    /* their nodes in the graph                */
    const char       *warning;
    mls_arena        *a;
    mls_error        *e;
} out;

/* What NIR does not hold of these neurons. */
static void lost(out *o, const mls_stage *s)
{
    const char *reset = mls_value_get_string(s->options, "reset", "subtract", o->e);
    const int delay = mls_value_get_bool(s->options, "reset_delay", 1, o->e);
    if (strcmp(reset, "zero") && (strcmp(reset, "zero_full") || delay))
        o->warning = mls_arena_printf(o->a, "%s%s: reset %s: NIR's neurons are set to v_reset = 0 in "
                                      "the step of the spike\n", o->warning, s->node, reset);
    if (mls_value_get_bool(s->options, "fire_on_equal", 0, o->e))
        o->warning = mls_arena_printf(o->a, "%s%s: fire_on_equal: NIR's neurons spike above "
                                      "v_threshold only\n", o->warning, s->node);
    if (s->late)
        o->warning = mls_arena_printf(o->a, "%s%s: spikes that come by a late wire (~>) are an Input "
                                      "of their own\n", o->warning, s->node);
}

static float *row(out *o, int64_t n)
{
    float *x = mls_arena_zalloc(o->a, (size_t)(n + 1) * sizeof *x);
    if (!x) mls_error_set(o->e, "out of memory for %lld neurons", (long long)n);
    return x;
}

static int node(out *o, const mls_stage *s, const char *what, int type, int64_t in, int64_t n)
{
    const int alone = o->all->n == 1;
    o->g->node[o->g->n_nodes] = (mls_nir_node){
        .name = alone ? what : mls_arena_printf(o->a, "%s_%s", s->label, what),
        .type = type, .in = in, .n = n };
    return o->g->n_nodes++;
}

static void edge(out *o, int from, int to)
{
    o->g->edge[o->g->n_edges][0] = from;
    o->g->edge[o->g->n_edges++][1] = to;
}

/* dt / (1 - decay); 0 and e: none. */
static double constant(out *o, const mls_stage *s, const mls_stage_value *v, int64_t i)
{
    double x = mls_stage_get(v, i);
    x = x < 0.0 ? 0.0 : x;
    if (x < 1.0) return o->all->dt / (1.0 - x);
    mls_error_set(o->e, "%s: unit %lld has %s %g, and 1 has no time constant for NIR", s->node,
                  (long long)i, v->name, x);
    return 0.0;
}

static int neurons(out *o, const mls_stage *s)
{
    const int at = s->cuba ? node(o, s, "cubalif", MLS_NIR_CUBA, s->n, s->n)
                           : node(o, s, "lif", MLS_NIR_LIF, s->n, s->n);
    mls_nir_node *x = &o->g->node[at];
    x->tau = row(o, s->n);
    x->r = row(o, s->n);
    x->v_leak = row(o, s->n);
    x->v_threshold = row(o, s->n);
    x->v_reset = row(o, s->n);
    if (s->cuba) x->tau_syn = row(o, s->n), x->w_in = row(o, s->n);
    x->reset = mls_value_get_string(s->options, "reset", "subtract", o->e);
    for (int64_t i = 0; i < s->n && !o->e->set; i++) {
        const double tau = constant(o, s, &s->beta, i);
        x->tau[i] = (float)tau;
        x->r[i] = s->decays_input ? 1.0f : (float)(tau / o->all->dt);
        x->v_threshold[i] = (float)mls_stage_get(&s->threshold, i);
        if (!s->cuba) continue;
        const double syn = constant(o, s, &s->alpha, i);
        x->tau_syn[i] = (float)syn;
        x->w_in[i] = (float)(syn / o->all->dt);
    }
    return at;
}

/* What spikes of the step before add to the current. */
static void recurrence(out *o, const mls_stage *s, int of)
{
    const int at = node(o, s, "recurrent", s->rec_bias ? MLS_NIR_AFFINE : MLS_NIR_LINEAR, s->n, s->n);
    mls_nir_node *x = &o->g->node[at];
    x->weight = s->rec;
    x->bias = s->rec_bias;
    if (s->one_to_one) {
        x->weight = row(o, s->n * s->n);
        for (int64_t i = 0; x->weight && i < s->n; i++) x->weight[i * (s->n + 1)] = s->rec[i];
    }
    edge(o, of, at);
    edge(o, at, of);
}

static void stage(out *o, int i)
{
    const mls_stage *s = &o->all->s[i];
    int last = s->source >= 0 ? o->neurons[s->source] : node(o, s, "input", MLS_NIR_INPUT, s->in,
                                                            s->in);
    if (s->weight) {
        const int at = node(o, s, "affine", MLS_NIR_AFFINE, s->in, s->n);
        o->g->node[at].weight = s->weight;
        o->g->node[at].bias = s->bias ? s->bias : row(o, s->n);
        edge(o, last, at);
        last = at;
    }
    o->neurons[i] = neurons(o, s);
    edge(o, last, o->neurons[i]);
    if (s->rec) recurrence(o, s, o->neurons[i]);
    if (s->is_heard) edge(o, o->neurons[i], node(o, s, "output", MLS_NIR_OUTPUT, s->n, s->n));
    lost(o, s);
}

/* Stages stand in the order of the nodes, which need not be that of the wires. */
static int next(const mls_stages *all, const int *done)
{
    for (int i = 0; i < all->n; i++)
        if (!done[i] && (all->s[i].source < 0 || done[all->s[i].source])) return i;
    return -1;
}

int mls_spiking_export(const mls_net *net, const mls_value *config, const char *node_name,
                       mls_nir *g, const char **warning, mls_arena *a, mls_error *e)
{
    mls_stages *all = mls_arena_zalloc(a, sizeof *all);
    int done[MLS_STAGES] = { 0 };
    *g = (mls_nir){ 0 };
    *warning = "";
    if (!all) mls_error_set(e, "out of memory for a graph");
    else mls_stages_open(all, net, config, node_name, a, e);
    if (e->set) return 0;
    out o = { .all = all, .g = g, .warning = all->others, .a = a, .e = e };
    g->node = mls_arena_zalloc(a, (size_t)(5 * all->n) * sizeof *g->node);
    g->edge = mls_arena_zalloc(a, (size_t)(5 * all->n) * sizeof *g->edge);
    if (!g->node || !g->edge) mls_error_set(e, "out of memory for a graph");
    for (int i = next(all, done); i >= 0 && !e->set; i = next(all, done)) {
        stage(&o, i);
        done[i] = 1;
    }
    *warning = o.warning;
    return !e->set;
}
