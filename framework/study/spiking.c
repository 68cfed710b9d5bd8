#include "study/spiking.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct neurons {
    const char      *node;        /* "layer0.enc"                                        */
    const mls_value *o;           /* its options                                         */
    int64_t          in, n;
    double           dt;          /* of a step, in seconds                               */
    float           *weight, *bias, *beta, *threshold;   /* NULL: no such weight         */
    int64_t          n_beta, n_threshold;
} neurons;

/* ---- which node ------------------------------------------------------------------------ */

static const mls_value *options_of(const mls_value *config, const char *node)
{
    const char *dot = strchr(node, '.');
    const mls_value *o = mls_value_get(mls_value_get_path(config, "network.nodes"),
                                       dot ? dot + 1 : node);
    const mls_value *c = mls_value_get(o, "component");
    return c && c->kind == MLS_V_STRING && !strcmp(c->string, "encoder.lif") ? o : NULL;
}

/* The names of all such nodes, which have weights or at least a place in every layer. */
static int nodes_of(const mls_value *config, const char **list, int most, mls_arena *a)
{
    const mls_value *nodes = mls_value_get_path(config, "network.nodes");
    const mls_value *layers = mls_value_get_path(config, "network.layers");
    int n = 0;
    for (int l = 0; layers && l < layers->integer; l++)
        for (int i = 0; nodes && i < nodes->n && n < most; i++) {
            const char *name = mls_arena_printf(a, "layer%d.%s", l, nodes->key[i]);
            if (options_of(config, name)) list[n++] = name;
        }
    return n;
}

static const char *choose(const mls_value *config, const char *node, mls_arena *a, mls_error *e)
{
    const char *list[64];
    char text[1200] = "";
    size_t used = 0;
    const int n = nodes_of(config, list, 64, a);
    for (int i = 0; i < n; i++) {
        if (node ? !strcmp(list[i], node) : n == 1) return list[i];
        if (used + strlen(list[i]) + 4 < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                                     list[i]);
    }
    const char *near = node ? mls_error_nearest(node, list, n) : NULL;
    if (!n) mls_error_set(e, "the network has no node of encoder.lif, which NIR knows as LIF");
    else if (!node) mls_error_set(e, "several nodes are encoder.lif; --node is one of %s", text);
    else mls_error_set(e, "node %.60s is no encoder.lif of the network%s%s; there are %s", node,
                       near ? "; did you mean " : "", near ? near : "", text);
    return NULL;
}

static int open_neurons(neurons *u, const mls_net *net, const mls_value *config, const char *node,
                        mls_arena *a, mls_error *e)
{
    *u = (neurons){ .node = choose(config, node, a, e) };
    if (!u->node) return 0;
    u->o = options_of(config, u->node);
    u->n = mls_value_get_int(u->o, "units", 0, e);
    u->in = u->n;
    u->dt = 1e-3 * mls_value_get_real(config, "step_ms", 1.0, e);
    for (int i = 0; i < mls_net_weights(net); i++) {
        mls_weight *w = mls_net_weight(net, i);
        if (strcmp(w->node, u->node)) continue;
        const char *name = w->name + strlen(u->node) + 1;
        if (!strcmp(name, "weight")) u->weight = w->data, u->in = w->cols;
        else if (!strcmp(name, "bias")) u->bias = w->data;
        else if (!strcmp(name, "beta")) u->beta = w->data, u->n_beta = w->cols;
        else if (!strcmp(name, "threshold")) u->threshold = w->data, u->n_threshold = w->cols;
    }
    if (mls_value_get_int(u->o, "steps", 1, e) != 1)
        mls_error_set(e, "%s has inner steps, which NIR does not", u->node);
    return !e->set;
}

/* ---- out ----------------------------------------------------------------------------------- */

static const char *lost(const neurons *u, mls_arena *a, mls_error *e)
{
    const char *reset = mls_value_get_string(u->o, "reset", "subtract", e);
    const int delay = mls_value_get_bool(u->o, "reset_delay", 1, e);
    if (!strncmp(reset, "zero", 4) && !delay && !mls_value_get_bool(u->o, "fire_on_equal", 0, e))
        return NULL;
    return mls_arena_printf(a, "reset %s%s: NIR's neurons are set to v_reset = 0 in the step of "
                            "the spike", reset, delay ? " with delay" : "");
}

int mls_spiking_export(const mls_net *net, const mls_value *config, const char *node,
                       mls_nir *out, const char **warning, mls_arena *a, mls_error *e)
{
    neurons u;
    *out = (mls_nir){ 0 };
    if (!open_neurons(&u, net, config, node, a, e)) return 0;
    const size_t bytes = (size_t)u.n * sizeof(float);
    *out = (mls_nir){ .in = u.in, .n = u.n, .weight = u.weight, .bias = u.bias,
                      .tau = mls_arena_zalloc(a, bytes), .r = mls_arena_zalloc(a, bytes),
                      .v_leak = mls_arena_zalloc(a, bytes),
                      .v_threshold = mls_arena_zalloc(a, bytes),
                      .v_reset = mls_arena_zalloc(a, bytes),
                      .reset = mls_value_get_string(u.o, "reset", "subtract", e) };
    if (!out->tau || !out->r || !out->v_leak || !out->v_threshold || !out->v_reset)
        mls_error_set(e, "out of memory for %lld neurons", (long long)u.n);
    for (int64_t i = 0; i < u.n && !e->set; i++) {
        double beta = mls_value_get_real(u.o, "beta", 0.9, e);
        if (u.beta) beta = (double)u.beta[u.n_beta > 1 ? i : 0];
        beta = beta < 0.0 ? 0.0 : beta;
        if (beta >= 1.0)
            mls_error_set(e, "%s: unit %lld has beta %g, and 1 has no time constant for NIR",
                          u.node, (long long)i, beta);
        out->tau[i] = (float)(u.dt / (1.0 - beta));
        out->r[i] = (float)(1.0 / (1.0 - beta));
        out->v_threshold[i] = u.threshold ? u.threshold[u.n_threshold > 1 ? i : 0]
                            : (float)mls_value_get_real(u.o, "threshold", 1.0, e);
    }
    *warning = lost(&u, a, e);
    return !e->set;
}

/* ---- in ------------------------------------------------------------------------------------- */

/* Into a weight of one value or of n, or a check of the option; a scalar takes the mean only
 * if all are equal. */
static void take(const neurons *u, const char *name, float *w, int64_t n, const double *x,
                 double option, const char *file, mls_error *e)
{
    for (int64_t i = 0; i < u->n && !e->set; i++) {
        const double want = w && n > 1 ? x[i] : w ? x[0] : option;
        if (fabs(x[i] - want) > 1e-5 * (1.0 + fabs(want)))
            mls_error_set(e, "%s: unit %lld has %s %.7g, and %s of %s is %.7g for all; let the "
                          "study say %s, or train it for each unit (learn_%s = \"unit\")", file,
                          (long long)i, name, x[i], name, u->node, want,
                          w ? "\"unit\"" : "so", name);
    }
    for (int64_t i = 0; i < n && w && !e->set; i++) w[i] = (float)x[i];
}

static void same_size(const neurons *u, const mls_nir *g, const char *file, mls_error *e)
{
    if (g->n != u->n || g->in != u->in)
        mls_error_set(e, "%s: %lld inputs and %lld neurons, and %s has %lld and %lld", file,
                      (long long)g->in, (long long)g->n, u->node, (long long)u->in,
                      (long long)u->n);
    else if (!u->weight != !g->weight)
        mls_error_set(e, "%s: has %s linear map before its neurons, and %s has %s", file,
                      g->weight ? "a" : "no", u->node, u->weight ? "one" : "none");
    for (int64_t i = 0; i < g->n && !e->set; i++) {
        if (g->v_reset[i] < 0.0f || g->v_reset[i] > 0.0f)
            mls_error_set(e, "%s: unit %lld is reset to %g; encoder.lif resets to 0", file,
                          (long long)i, (double)g->v_reset[i]);
        else if (!((double)g->tau[i] >= u->dt * (1.0 - 1e-6)))
            mls_error_set(e, "%s: unit %lld has tau %g s, less than a step of %g s", file,
                          (long long)i, (double)g->tau[i], u->dt);
    }
}

int mls_spiking_import(mls_net *net, const mls_value *config, const char *node,
                       const mls_nir *g, const char *file, mls_arena *a, mls_error *e)
{
    neurons u;
    if (!open_neurons(&u, net, config, node, a, e)) return 0;
    double *x = mls_arena_alloc(a, (size_t)u.n * sizeof *x);
    if (!x) mls_error_set(e, "out of memory for %lld neurons", (long long)u.n);
    same_size(&u, g, file, e);
    for (int64_t i = 0; i < u.n && !e->set; i++) x[i] = 1.0 - u.dt / (double)g->tau[i];
    if (!e->set)
        take(&u, "beta", u.beta, u.n_beta, x, mls_value_get_real(u.o, "beta", 0.9, e), file, e);
    for (int64_t i = 0; i < u.n && !e->set; i++) x[i] = (double)g->v_threshold[i];
    if (!e->set)
        take(&u, "threshold", u.threshold, u.n_threshold, x,
             mls_value_get_real(u.o, "threshold", 1.0, e), file, e);
    for (int64_t i = 0; i < u.n && !e->set; i++) {
        const double part = u.dt / (double)g->tau[i], gain = part * (double)g->r[i];
        if (!u.weight && (fabs(gain - 1.0) > 1e-5 || fabs((double)g->v_leak[i]) > 0.0))
            mls_error_set(e, "%s: unit %lld has r dt / tau %g and v_leak %g; without a linear map "
                          "%s has 1 and 0", file, (long long)i, gain, (double)g->v_leak[i], u.node);
        for (int64_t k = 0; u.weight && k < u.in; k++)
            u.weight[i * u.in + k] = (float)(gain * (double)g->weight[i * u.in + k]);
        if (u.bias)
            u.bias[i] = (float)(gain * (double)g->bias[i] + part * (double)g->v_leak[i]);
    }
    return !e->set;
}
