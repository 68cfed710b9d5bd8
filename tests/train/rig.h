/* rig.h - a small network and two tasks, made for the tests of training. */
#ifndef TESTS_TRAIN_RIG_H
#define TESTS_TRAIN_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "train/loop.h"

/* ---- leak: h[t] = 0.9 h[t-1] + w x[t], elementwise; masked steps keep h */

typedef struct leak {
    int64_t units;
    mls_t w, fixed;
    mls_state *h;
} leak;

static void leak_forward(const mls_call *k)
{
    mls_t x = k->in[0], w = k->in[1], h0 = k->in[2], mask = k->in[3];
    const int64_t n = h0->count, N = w->count;
    float *h = k->out[1]->data;
    memcpy(h, h0->data, (size_t)n * sizeof *h);
    for (int64_t t = 0; t < x->dim[0]; t++)
        for (int64_t i = 0; i < n; i++) {
            if (!mask || mask->data[t * x->dim[1] + i / N] != 0.0f)
                h[i] = 0.9f * h[i] + w->data[i % N] * x->data[t * n + i];
            k->out[0]->data[t * n + i] = h[i];
        }
}

static void leak_backward(const mls_call *k)
{
    mls_t x = k->in[0], w = k->in[1], h0 = k->in[2], mask = k->in[3];
    const int64_t n = h0->count, N = w->count;
    float *dh = k->out[1]->grad;
    for (int64_t t = x->dim[0] - 1; t >= 0; t--)
        for (int64_t i = 0; i < n; i++) {
            dh[i] += k->out[0]->grad[t * n + i];
            if (mask && mask->data[t * x->dim[1] + i / N] == 0.0f) continue;
            if (x->grad) x->grad[t * n + i] += dh[i] * w->data[i % N];
            if (w->grad) w->grad[i % N] += dh[i] * x->data[t * n + i];
            dh[i] *= 0.9f;
        }
    for (int64_t i = 0; h0->grad && i < n; i++) h0->grad[i] += dh[i];
}

static const mls_op leak_op = {sizeof leak_op, "test.leak", leak_forward, leak_backward,
                               NULL};

static void leak_setup(mls_ctx *c, void *self)
{
    leak *p = self;
    p->w = mls->weight(c, "w", 1, p->units, mls_init_of(MLS_NORMAL, 0.5, 0));
    p->fixed = mls->weight(c, "fixed", 1, p->units,
                           mls_init_of(MLS_CONSTANT, 1.0, MLS_FROZEN));
    p->h = mls->state(c, "h", p->units, 0.0, NULL, "memory");
}

static void leak_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    leak *p = self;
    mls_t y = mls->tensor(c, in[0]->dim[0], in[0]->dim[1], p->units);
    mls_t h = mls->tensor(c, 1, in[0]->dim[1], p->units);
    mls_t x = mls->binary(c, MLS_MUL, in[0], p->fixed);
    MLS_APPLY(c, &leak_op, p, ((mls_t[]){x, p->w, mls->load(c, p->h), in[1]}),
              ((mls_t[]){y, h}));
    mls->store(c, p->h, h);
    out[0] = y;
}

static const mls_port leak_ports[] = {{"in", MLS_IN, "T B units", NULL},
                                      {"mask", MLS_IN | MLS_MAYBE, "T B 1", NULL},
                                      {"out", MLS_OUT, "T B units", NULL},
                                      MLS_PORT_END};
static const mls_option leak_options[] = {
    MLS_OPT(leak, units, MLS_INT, 0, 0, 100, NULL, "units"), MLS_OPT_END};
static const mls_component leak_component = {
    sizeof leak_component, "liquid",     "leak",     0,        "Test.", leak_ports,
    leak_options,          sizeof(leak), leak_setup, leak_run, NULL};

/* ---- sour: counts forwards in a state; in the third a root of less than nothing, in the
 * midst of sums that keep nothing for backward */

typedef struct sour {
    mls_state *n;
} sour;

static void sour_setup(mls_ctx *c, void *self)
{
    sour *p = self;
    p->n = mls->state(c, "n", 1, 0.0, NULL, "forwards");
}

static void count_up(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++)
        k->out[0]->data[i] = k->in[0]->data[i] + 1.0f;
}

static void subtract(const mls_call *k)
{
    const mls_t x = k->in[0];
    const int early = k->in[1]->data[0] != 2.0f;
    for (int64_t i = 0; i < x->count; i++)
        k->out[0]->data[i] = early ? 1.0f + fabsf(x->data[i]) : -1.0f;
}

static void pass_on(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++)
        if (k->in[0]->grad) k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op count_op = {sizeof count_op, "test.count", count_up, NULL, NULL};
static const mls_op subtract_op = {sizeof subtract_op, "test.subtract", subtract, pass_on,
                                   NULL};

static void sour_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    sour *p = self;
    const mls_t x = in[0], n = mls->tensor(c, 1, x->dim[1], 1);
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    MLS_APPLY(c, &subtract_op, p, ((mls_t[]){x, mls->load(c, p->n)}), ((mls_t[]){y}));
    MLS_APPLY(c, &count_op, p, ((mls_t[]){mls->load(c, p->n)}), ((mls_t[]){n}));
    mls->store(c, p->n, n);
    y = mls->unary(c, MLS_SQRT, y);
    for (int i = 0; i < 3; i++) y = mls->scale(c, y, 0.5, 0.1);
    out[0] = y;
}

static const mls_port sour_ports[] = {{"in", MLS_IN, "T B width", NULL},
                                      {"out", MLS_OUT, "T B width", NULL},
                                      MLS_PORT_END};
static const mls_component sour_component = {
    sizeof sour_component, "liquid",     "sour",     0,        "Test.", sour_ports,
    NULL,                  sizeof(sour), sour_setup, sour_run, NULL};

/* ---- head: linear, of every step or of the last */

typedef struct top {
    int last;
    mls_t w, b;
} top;

static void top_setup(mls_ctx *c, void *self)
{
    top *p = self;
    p->w = mls->weight(c, "w", mls->width(c, "output"), mls->width(c, "model"),
                       MLS_LINEAR);
    p->b = mls->weight(c, "b", 1, mls->width(c, "output"), MLS_ZEROS);
}

static void top_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    top *p = self;
    mls_t x = p->last ? mls->steps(c, in[0], in[0]->dim[0] - 1, 1) : in[0];
    out[0] = mls->linear(c, x, p->w, p->b);
}

static const mls_port top_ports[] = {{"in", MLS_IN, "T B model", NULL},
                                     {"out", MLS_OUT, "T B output", NULL},
                                     MLS_PORT_END};
static const mls_option top_options[] = {
    MLS_OPT(top, last, MLS_BOOL, 0, 0, 1, NULL, "last step only"), MLS_OPT_END};
static const mls_component top_component = {
    sizeof top_component, "head",      "top",     0,       "Test.", top_ports,
    top_options,          sizeof(top), top_setup, top_run, NULL};

/* ---- echo: tokens; the label of a step is the token before it
 * ------------------------ */

typedef struct echo {
    int64_t training, validation;
} echo;

static void echo_open(mls_ctx *c, void *self, mls_task_shape *s)
{
    (void)c, (void)self;
    *s = (mls_task_shape){.steps = 12,
                          .vocabulary = 4,
                          .output = 4,
                          .loss = MLS_CROSS_ENTROPY,
                          .per_step = 1,
                          .is_text = 1};
}

static int64_t echo_count(const void *self, int split)
{
    const echo *p = self;
    return split == MLS_TRAINING     ? p->training
           : split == MLS_VALIDATION ? p->validation
                                     : 0;
}

static void echo_fill(mls_ctx *c, const void *self, int split, int64_t index,
                      uint64_t key, mls_sample *s)
{
    (void)c, (void)self, (void)split, (void)index;
    for (int64_t t = 0; t < s->steps; t++) {
        uint32_t u[4];
        mls->philox(key, (uint64_t)t, u);
        s->token[t] = (int32_t)(u[0] % 4);
        if (t) s->label[t] = s->token[t - 1];
    }
}

static const mls_option echo_options[] = {
    MLS_OPT(echo, training, MLS_INT, 40, 0, 1000000, NULL, "samples"),
    MLS_OPT(echo, validation, MLS_INT, 10, 0, 1000000, NULL, "samples"), MLS_OPT_END};
static const mls_task echo_task = {sizeof echo_task, echo_open, echo_count,
                                   echo_fill,        NULL,      NULL};
static const mls_port no_ports[] = {MLS_PORT_END};
static const mls_component echo_component = {
    sizeof echo_component, "task",       "echo", 0,    "Test.",   no_ports,
    echo_options,          sizeof(echo), NULL,   NULL, &echo_task};

/* ---- ragged: real input of unequal length and step; sample i says who it is
 * ---------- */

typedef struct ragged {
    int64_t bad;
} ragged;

static void ragged_open(mls_ctx *c, void *self, mls_task_shape *s)
{
    (void)c, (void)self;
    *s = (mls_task_shape){.steps = 6,
                          .input = 2,
                          .output = 1,
                          .loss = MLS_MSE,
                          .per_step = 1,
                          .has_mask = 1,
                          .has_dt = 1};
}

static int64_t ragged_count(const void *self, int split)
{
    (void)self;
    return split == MLS_TEST ? 0 : 11;
}

static void ragged_fill(mls_ctx *c, const void *self, int split, int64_t index,
                        uint64_t key, mls_sample *s)
{
    const ragged *p = self;
    (void)c, (void)split, (void)key;
    s->steps = 1 + index % 6;
    for (int64_t t = 0; t < s->steps; t++) {
        s->x[2 * t] = (float)index;
        s->x[2 * t + 1] = (float)t;
        s->dt[t] = 0.5f + (float)index;
        s->target[t] = (float)(index + t);
    }
    if (p->bad == index) s->x[1] = NAN;
}

static const mls_option ragged_options[] = {
    MLS_OPT(ragged, bad, MLS_INT, -1, -1, 100, NULL, "a sample with NaN"), MLS_OPT_END};
static const mls_task ragged_task = {sizeof ragged_task, ragged_open, ragged_count,
                                     ragged_fill,        NULL,        NULL};
static const mls_component ragged_component = {
    sizeof ragged_component, "task",         "ragged", 0,    "Test.",     no_ports,
    ragged_options,          sizeof(ragged), NULL,     NULL, &ragged_task};

static const mls_component *components[] = {&top_component, &leak_component,
                                            &sour_component, &echo_component,
                                            &ragged_component};
static mls_registry registry = {
    .component = components, .n_components = 5, .warnings = ""};

/* ---- settings as text: "key=value key=value"
 * ----------------------------------------- */

static mls_value *settings(mls_arena *a, const char *text)
{
    mls_value *map = mls_value_map(a);
    char *copy = mls_arena_strdup(a, text), *rest = copy;
    for (char *o; (o = strtok_r(rest, " ", &rest));) {
        char *is = strchr(o, '='), *end;
        assert_non_null(is);
        *is++ = '\0';
        const double v = strtod(is, &end);
        mls_value *x = !strcmp(is, "true") ? mls_value_bool(a, 1)
                       : *end              ? mls_value_string(a, is)
                       : v == floor(v)     ? mls_value_int(a, (int64_t)v)
                                           : mls_value_real(a, v);
        mls_value_set(a, map, o, x);
    }
    return map;
}

static mls_feed *open_feed(mls_arena *a, const char *task, uint64_t seed)
{
    mls_error e = {0};
    mls_feed *f = mls_feed_open(&registry, settings(a, task), seed, &e);
    if (!f) fail_msg("%s", e.text);
    return f;
}

#endif
