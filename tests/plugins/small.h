/* small.h - one component, or a few, between an identity input projection and an
 * identity head; what every component promises is checked here once for all of them. */
#ifndef TESTS_PLUGINS_SMALL_H
#define TESTS_PLUGINS_SMALL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "net/net.h"

enum { MAX_VALUES = 4096, MAX_STATES = 8 };

static mls_registry registry;

static inline int start_plugins(void **state)
{
    (void)state;
    mls_error e = { 0 };
    mls_plug_init();
    if (mls_registry_load(&registry, NULL, &e)) return 0;
    fprintf(stderr, "%s\n", e.text);
    return 1;
}

static inline int stop_plugins(void **state)
{
    (void)state;
    mls_registry_free(&registry);
    return 0;
}

/* A repeatable number in (-1, 1). */
static inline float noise(int64_t i)
{
    uint64_t z = (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (float)((double)(z >> 11) / 4503599627370496.0 - 1.0);
}

typedef struct bench {
    mls_arena arena;
    mls_net *net;
    mls_run *run;
    int64_t D, T, B;
    float x[MAX_VALUES], mask[MAX_VALUES], g[MAX_VALUES], y[MAX_VALUES];
    int masked;
    float init[MAX_STATES][MAX_VALUES], seed[MAX_STATES][MAX_VALUES];
    mls_t out;
} bench;

static inline float *weight_of(bench *k, const char *name, float **grad)
{
    for (int i = 0; i < mls_net_weights(k->net); i++) {
        mls_weight *w = mls_net_weight(k->net, i);
        if (strcmp(w->name, name)) continue;
        if (grad) *grad = w->grad;
        return w->data;
    }
    fail_msg("no weight is called %s", name);
    return NULL;
}

static inline void set_identity(bench *k, const char *name, int64_t n)
{
    float *w = weight_of(k, name, NULL);
    for (int64_t i = 0; i < n * n; i++) w[i] = i % (n + 1) == 0 ? 1.0f : 0.0f;
}

/* "nodes: {...}, wire: ..." of a block, without the braces around it. */
static inline mls_net *build_net(mls_arena *a, const char *block, int64_t D,
                                 int per_step, int masked, mls_error *e)
{
    char *text = mls_arena_printf(
        a, "{width: %d, layers: 1, norm: none, residual: false, %s}", (int)D, block);
    const mls_value *spec = mls_yaml_parse(a, text, strlen(text), "test", e);
    if (e->set) return NULL;
    const mls_task_shape shape = { .steps = 64,
                                   .input = D,
                                   .output = D,
                                   .loss = MLS_MSE,
                                   .per_step = per_step,
                                   .has_mask = masked };
    return mls_net_build(&(mls_net_config){ &registry, spec, &shape, 7, 0 }, e);
}

static inline void open_bench(bench *k, const char *block, int64_t D, int64_t T,
                              int64_t B, int masked, unsigned flags)
{
    mls_error e = { 0 };
    memset(k, 0, sizeof *k);
    k->D = D;
    k->T = T;
    k->B = B;
    k->masked = masked;
    assert_true(T * B * D <= MAX_VALUES);
    k->net = build_net(&k->arena, block, D,
                       !strstr(block, "head.last") && !strstr(block, "head.mean"),
                       masked, &e);
    if (!k->net) fail_msg("%s", e.text);
    k->run = mls_run_new(k->net, B, flags, &e);
    if (!k->run) fail_msg("%s", e.text);
    assert_true(mls_run_states(k->run) <= MAX_STATES);
    set_identity(k, "input.weight", D);
    set_identity(k, "head.weight", D);
    memset(weight_of(k, "head.bias", NULL), 0, (size_t)D * sizeof(float));
    for (int64_t i = 0; i < T * B * D; i++) k->x[i] = 0.5f + 1.2f * noise(i);
    for (int64_t i = 0; i < T * B; i++) k->mask[i] = noise(900 + i) > -0.3f;
    for (int64_t i = 0; i < T * B * D; i++) k->g[i] = noise(5000 + i);
    for (int i = 0; i < mls_run_states(k->run); i++) {
        float *v;
        int64_t width;
        double reset;
        mls_run_state(k->run, i, &v, &width, &reset);
        assert_true(B * width <= MAX_VALUES);
        for (int64_t j = 0; j < B * width; j++) {
            k->init[i][j] = (float)reset;
            k->seed[i][j] = noise(7000 + 100 * i + j);
        }
    }
}

static inline void close_bench(bench *k)
{
    mls_run_free(k->run);
    mls_net_free(k->net);
    mls_arena_free(&k->arena);
}

/* Runs steps [from, from + n) from the states as they are. */
static inline mls_t run_part(bench *k, int64_t from, int64_t n)
{
    const mls_batch b = { .steps = n,
                          .batch = k->B,
                          .x = k->x + from * k->B * k->D,
                          .mask = k->masked ? k->mask + from * k->B : NULL };
    k->out = mls_run_forward(k->run, &b, 0);
    if (!k->out) fail_msg("%s", mls_run_error(k->run)->text);
    return k->out;
}

static inline mls_t run_all(bench *k)
{
    for (int i = 0; i < mls_run_states(k->run); i++) {
        float *v;
        int64_t width;
        mls_run_state(k->run, i, &v, &width, NULL);
        memcpy(v, k->init[i], (size_t)(k->B * width) * sizeof *v);
    }
    return run_part(k, 0, k->T);
}

static inline void same(const float *a, const float *b, int64_t n, double tolerance,
                        const char *what)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= tolerance))
            fail_msg("%s[%lld]: %.9g, expected %.9g", what, (long long)i, (double)a[i],
                     (double)b[i]);
}

/* ---- gradients against four-point differences ---------------------------- */

/* g . out + seeds . final states + penalties */
static inline double total(bench *k)
{
    mls_t y = run_all(k);
    double sum = mls_run_penalty(k->run, NULL);
    for (int64_t i = 0; i < y->count; i++) sum += (double)k->g[i] * (double)y->data[i];
    for (int i = 0; i < mls_run_states(k->run); i++) {
        float *v;
        int64_t width;
        mls_run_state(k->run, i, &v, &width, NULL);
        for (int64_t j = 0; j < k->B * width; j++)
            sum += (double)k->seed[i][j] * (double)v[j];
    }
    return sum;
}

static inline void check_values(bench *k, float *x, const float *grad, int64_t n,
                                double tolerance, const char *name)
{
    const float h = 0.015625f;
    double largest = 0.05;
    for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)grad[i]));
    for (int64_t i = 0; i < n; i++) {
        const float old = x[i];
        double f[4];
        for (int j = 0; j < 4; j++) {
            x[i] = old + h * (float)(j < 2 ? j - 2 : j - 1);
            f[j] = total(k);
        }
        x[i] = old;
        const double d = (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)h);
        if (!(fabs(d - (double)grad[i]) <= tolerance * largest))
            fail_msg("gradient of %s[%lld]: %g, by differences %g (largest %g)", name,
                     (long long)i, (double)grad[i], d, largest);
    }
}

/* Every weight and every initial state but those that only count; run in MLS_SMOOTH. */
static inline void check_gradients(bench *k, double tolerance)
{
    int64_t count;
    float *data = mls_net_data(k->net, &count), *grad[MAX_STATES] = { NULL };
    float *wg = malloc((size_t)count * sizeof *wg);
    assert_non_null(wg);
    mls_run_track(k->run, 1);
    for (int i = 0; i < mls_run_states(k->run); i++)
        mls_run_seed_state(k->run, i, k->seed[i]);
    total(k);
    run_all(k);
    mls_net_zero_grad(k->net);
    mls_run_backward_from(k->run, k->g);
    if (mls_run_error(k->run)->set) fail_msg("%s", mls_run_error(k->run)->text);
    memcpy(wg, mls_net_grad(k->net), (size_t)count * sizeof *wg);
    for (int i = 0; i < mls_run_states(k->run); i++) {
        int64_t width;
        const char *name = mls_run_state(k->run, i, NULL, &width, NULL);
        const float *g = mls_run_state_grad(k->run, i);
        if (!g || strstr(name, "count")) continue;
        grad[i] = malloc((size_t)(k->B * width) * sizeof(float));
        assert_non_null(grad[i]);
        memcpy(grad[i], g, (size_t)(k->B * width) * sizeof(float));
    }
    for (int i = 0; i < mls_net_weights(k->net); i++) {
        const mls_weight *w = mls_net_weight(k->net, i);
        check_values(k, w->data, wg + (w->data - data), w->rows * w->cols, tolerance,
                     w->name);
    }
    for (int i = 0; i < mls_run_states(k->run); i++) {
        int64_t width;
        const char *name = mls_run_state(k->run, i, NULL, &width, NULL);
        /* the last value of rate's window is its fill */
        const int64_t n = strstr(name, "past") && width % k->D
                              ? k->B == 1 ? width - 1 : 0
                              : k->B * width;
        if (grad[i]) check_values(k, k->init[i], grad[i], n, tolerance, name);
        free(grad[i]);
    }
    free(wg);
}

/* ---- chunks and masks ---------------------------------------------- */

/* Cut after every step, and step by step: same bits as in one piece. */
static inline void check_chunks(bench *k, int pools)
{
    static float y[MAX_VALUES], state[MAX_STATES][MAX_VALUES];
    const int64_t row = k->B * k->D;
    mls_t whole = run_all(k);
    memcpy(y, whole->data, (size_t)whole->count * sizeof *y);
    int64_t width[MAX_STATES];
    float *v;
    for (int i = 0; i < mls_run_states(k->run); i++) {
        mls_run_state(k->run, i, &v, &width[i], NULL);
        memcpy(state[i], v, (size_t)(k->B * width[i]) * sizeof *v);
    }
    for (int64_t cut = 0; cut < k->T; cut++) {
        for (int i = 0; i < mls_run_states(k->run); i++) {
            mls_run_state(k->run, i, &v, NULL, NULL);
            memcpy(v, k->init[i], (size_t)(k->B * width[i]) * sizeof *v);
        }
        for (int64_t t = 0; t < k->T;) { /* cut 0: single steps */
            const int64_t n = cut == 0 ? 1 : t == 0 ? cut : k->T - cut;
            mls_t part = run_part(k, t, n);
            t += n;
            if (!pools)
                same(part->data, y + (t - n) * row, n * row, 0.0, "chunk");
            else if (t == k->T)
                same(part->data, y, row, 0.0, "pooled chunks");
        }
        for (int i = 0; i < mls_run_states(k->run); i++) {
            const char *name = mls_run_state(k->run, i, &v, NULL, NULL);
            same(v, state[i], k->B * width[i], 0.0, name);
        }
    }
}

/* A sequence with padding anywhere gives, at its real steps and in its states, what the
 * real steps alone give.  B = 1. */
static inline void check_mask(bench *k, int pools)
{
    static bench small;
    assert_int_equal(k->B, 1);
    small = *k;
    int64_t real = 0;
    for (int64_t t = 0; t < k->T; t++) {
        if (k->mask[t] == 0.0f) continue;
        memcpy(small.x + real * k->D, k->x + t * k->D, (size_t)k->D * sizeof(float));
        small.mask[real++] = 1.0f;
    }
    assert_in_range(real, 2, k->T - 2);
    small.T = real;
    mls_t y = run_all(&small);
    static float want[MAX_VALUES], state[MAX_STATES][MAX_VALUES];
    memcpy(want, y->data, (size_t)y->count * sizeof *want);
    float *v;
    int64_t width;
    for (int i = 0; i < mls_run_states(k->run); i++) {
        mls_run_state(k->run, i, &v, &width, NULL);
        memcpy(state[i], v, (size_t)width * sizeof *v);
    }
    y = run_all(k);
    real = 0;
    for (int64_t t = 0; !pools && t < k->T; t++)
        if (k->mask[t] != 0.0f)
            same(y->data + t * k->D, want + real++ * k->D, k->D, 0.0,
                 "masked sequence");
    if (pools) same(y->data, want, k->D, 0.0, "masked pool");
    for (int i = 0; i < mls_run_states(k->run); i++) {
        const char *name = mls_run_state(k->run, i, &v, &width, NULL);
        same(v, state[i], width, 0.0, name);
    }
}

#endif
