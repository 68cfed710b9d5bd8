/* mamba-rig.h - a mixer between an input projection and a head that copies: mixer.mamba,
 * or what rig_component says; `rule` of start() is the choice of its option rig_choice, and
 * rig_more one more option and choice. */
#ifndef TESTS_PLUGINS_MAMBA_RIG_H
#define TESTS_PLUGINS_MAMBA_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/parfor.h"
#include "net/net.h"

static void copy_setup(mls_ctx *c, void *self) { (void)c, (void)self; }
static void copy_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c, (void)self;
    out[0] = in[0];
}
static const mls_port copy_ports[] = { { "in", MLS_IN, "T B in", "" },
                                       { "out", MLS_OUT, "T B in", "" }, MLS_PORT_END };
static const mls_component copy = { sizeof copy, "head", "linear", MLS_CAUSAL, "Test.",
                                    copy_ports, NULL, 1, copy_setup, copy_run, NULL };

static const mls_component *list[2] = { &copy, NULL };
static mls_registry registry = { .component = list, .n_components = 2, .warnings = "" };

static const char *rig_component = "mixer.mamba", *rig_choice = "discretization";
static const char *rig_more[2];

/* ---- A network of one block ------------------------------------------------------ */

typedef struct rig {
    mls_arena arena;
    mls_error error;
    mls_task_shape shape;
    mls_net *net;
    mls_run *run;
    mls_batch batch;
    float *x, *coef, *mask;
    int64_t T, B, D, in;
} rig;

typedef struct setting { const char *name; int64_t value; int is_bool; } setting;

static float noise(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i = (i ^ (i >> 31)) * 0xbf58476d1ce4e5b9u;
    i ^= i >> 29;
    return (float)((double)(i >> 11) / 4503599627370496.0 - 1.0);
}

static float *made(rig *r, int64_t n)
{
    float *x = mls_arena_zalloc(&r->arena, (size_t)n * sizeof *x);
    assert_non_null(x);
    return x;
}

static float *weight(const rig *r, const char *name, float **grad)
{
    char full[64];
    snprintf(full, sizeof full, "layer0.m.%s", name);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        if (strcmp(w->name, full) && strcmp(w->name, name)) continue;
        if (grad) *grad = w->grad;
        return w->data;
    }
    fail_msg("no weight %s", name);
    return NULL;
}

/* in == D: the block's input is the batch's (the projection is the identity). */
static void start(rig *r, int64_t T, int64_t B, int64_t D, int64_t in, const char *wire,
                  const char *rule, const setting *s, unsigned flags, uint64_t seed)
{
    *r = (rig){ .T = T, .B = B, .D = D, .in = in };
    mls_arena *a = &r->arena;
    mls_value *spec = mls_value_map(a), *nodes = mls_value_map(a), *m = mls_value_map(a);
    mls_value_set(a, m, "component", mls_value_string(a, rig_component));
    if (rule) mls_value_set(a, m, rig_choice, mls_value_string(a, rule));
    if (rig_more[0])
        mls_value_set(a, m, rig_more[0], mls_value_string(a, rig_more[1]));
    for (; s && s->name; s++)
        mls_value_set(a, m, s->name, s->is_bool ? mls_value_bool(a, (int)s->value)
                                                : mls_value_int(a, s->value));
    mls_value_set(a, nodes, "m", m);
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, wire ? wire : "input -> m -> output"));
    mls_value_set(a, spec, "width", mls_value_int(a, D));
    mls_value_set(a, spec, "layers", mls_value_int(a, 1));
    mls_value_set(a, spec, "norm", mls_value_string(a, "none"));
    mls_value_set(a, spec, "residual", mls_value_bool(a, 0));
    r->shape = (mls_task_shape){ .steps = T, .input = in, .output = D, .loss = MLS_MSE,
                                 .per_step = 1, .has_mask = 1 };
    r->net = mls_net_build(&(mls_net_config){ &registry, spec, &r->shape, seed, 0 }, &r->error);
    if (!r->net) fail_msg("%s", r->error.text);
    r->run = mls_run_new(r->net, B, flags, &r->error);
    if (!r->run) fail_msg("%s", r->error.text);
    mls_run_track(r->run, 1);
    r->x = made(r, T * B * in);
    r->coef = made(r, T * B * D);
    for (int64_t i = 0; i < T * B * in; i++) r->x[i] = noise((uint64_t)i);
    for (int64_t i = 0; i < T * B * D; i++) r->coef[i] = noise((uint64_t)(i + 1000003));
    for (int64_t i = 0; i < D * in && in == D; i++)
        weight(r, "input.weight", NULL)[i] = i / in == i % in ? 1.0f : 0.0f;
    r->batch = (mls_batch){ T, B, NULL, r->x, NULL, NULL, NULL, NULL, NULL };
}

static void stop(rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->arena);
}

static const float *ahead(rig *r, const mls_batch *b)
{
    mls_t y = mls_run_forward(r->run, b, 0);
    if (!y) fail_msg("%s", mls_run_error(r->run)->text);
    return y->data;
}

static inline float *state_of(rig *r, const char *name, int *index, int64_t *width)
{
    float *value;
    for (int i = 0; i < mls_run_states(r->run); i++)
        if (strstr(mls_run_state(r->run, i, &value, width, NULL), name)) {
            if (index) *index = i;
            return value;
        }
    fail_msg("no state %s", name);
    return NULL;
}

static void near_all(const char *what, const float *got, const float *want, int64_t n, double tol)
{
    double top = 1.0, worst = 0.0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs((double)want[i]));
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - (double)want[i]) / top;
        if (!(off <= worst)) worst = off;
    }
    if (!(worst <= tol)) fail_msg("%s: off by %g of the largest value, %g", what, worst, top);
}

/* One thread or two: the same bits, forward and backward.  Large enough to wake them. */
static inline void same_bits_with_threads(int64_t T, int64_t B, int64_t D)
{
    float *y = NULL, *g = NULL;
    for (int threads = 1; threads <= 2; threads++) {
        rig r;
        int64_t count;
        mls_parfor_threads(threads);
        start(&r, T, B, D, D, NULL, NULL, NULL, MLS_TRAIN, 6);
        const size_t size = (size_t)(T * B * D) * sizeof *y;
        const float *out = ahead(&r, &r.batch);
        if (y) assert_memory_equal(y, out, size);
        else {
            y = malloc(size);
            assert_non_null(y);
            memcpy(y, out, size);
        }
        mls_run_backward_from(r.run, r.coef);
        mls_net_data(r.net, &count);
        if (g) assert_memory_equal(g, mls_net_grad(r.net), (size_t)count * sizeof *g);
        else {
            g = malloc((size_t)count * sizeof *g);
            assert_non_null(g);
            memcpy(g, mls_net_grad(r.net), (size_t)count * sizeof *g);
        }
        stop(&r);
    }
    mls_parfor_threads(1);
    free(y);
    free(g);
}

#endif
