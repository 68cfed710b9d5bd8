/* case.h - a component under the contract, and a network of that one node to run it in. */
#ifndef TESTS_CONTRACT_CASE_H
#define TESTS_CONTRACT_CASE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/net.h"

/* ---- A head that shows the node's output ----------------------------------------- */

static void copy_setup(mls_ctx *c, void *self) { (void)c, (void)self; }
static void copy_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c, (void)self;
    out[0] = in[0];
}
static const mls_port copy_ports[] = { { "in", MLS_IN, "T B in", "" },
                                       { "out", MLS_OUT, "T B in", "" }, MLS_PORT_END };
static const mls_component copy = { sizeof copy, "head", "contract_copy", MLS_CAUSAL, "Test.",
                                    copy_ports, NULL, 1, copy_setup, copy_run, NULL };

/* What feeds the ports after the first, so that no two streams are the same. */
static void side_setup(mls_ctx *c, void *self)
{
    const int64_t n = mls->width(c, "in");
    *(mls_t *)self = mls->weight(c, "w", n, n, MLS_LINEAR);
}
static void side_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    out[0] = mls->linear(c, in[0], *(mls_t *)self, NULL);
}
static const mls_component side = { sizeof side, "mixer", "contract_side", MLS_CAUSAL, "Test.",
                                    copy_ports, NULL, sizeof(mls_t), side_setup, side_run, NULL };

static mls_registry registry;
static mls_arena arena;

/* ---- Cases ----------------------------------------------------------------------- */

typedef struct scene {
    const mls_component *c;
    const char *title, *wire;
    const char *option;         /* the one turned, or NULL                            */
    mls_value  *value;
    unsigned    promises;       /* of its flags, those kept in this case              */
} scene;

/* Turned on purpose, these give up a promise, or need what a lone node lacks. */
static const char *const not_causal[] = { "bidirectional", NULL };
/* Settings under which differences can tell: a detached reset is meant to differ from
 * them, and a steep surrogate bends too much within their step. */
static const struct { const char *component, *option; int value; } comparable[] = {
    { "encoder.lif", "detach_reset", 0 }, { "encoder.lif", "slope", 2 } };
/* Choices with a kink, across which a difference tells nothing. */
static const char *const kinked[] = { "relu", NULL };

enum { D = 16, B = 2, T = 9 };

typedef struct rig {
    mls_arena arena;
    mls_error error;
    mls_task_shape shape;
    mls_net *net;
    mls_run *run;
    mls_batch batch;
    float x[T * B * D], dt[T * B], mask[T * B], coef[T * B * D];
} rig;

static int listed(const char *const *list, const char *name)
{
    for (; name && *list; list++) if (!strcmp(*list, name)) return 1;
    return 0;
}

static float noise(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i = (i ^ (i >> 31)) * 0xbf58476d1ce4e5b9u;
    i ^= i >> 29;
    return (float)((double)(i >> 11) / 4503599627370496.0 - 1.0);
}

/* An integer, or a switch where the option is one. */
static void set(mls_arena *a, mls_value *map, const mls_component *c, const char *name, int x)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(&registry, c, i)); i++)
        if (!strcmp(o->name, name))
            mls_value_set(a, map, name,
                          o->type == MLS_BOOL ? mls_value_bool(a, x) : mls_value_int(a, x));
}

static void start(rig *r, const scene *s, int64_t batch, unsigned flags, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    mls_arena *a = &r->arena;
    mls_value *spec = mls_value_map(a), *nodes = mls_value_map(a), *n = mls_value_map(a);
    mls_value *head = mls_value_map(a);
    char *name = mls_arena_printf(a, "%s.%s", s->c->kind, s->c->name);
    mls_value_set(a, n, "component", mls_value_string(a, name));
    for (size_t i = 0; i < sizeof comparable / sizeof *comparable; i++)
        if (flags == (MLS_SMOOTH | MLS_TRAIN) && !strcmp(name, comparable[i].component))
            set(a, n, s->c, comparable[i].option, comparable[i].value);
    if (s->option) mls_value_set(a, n, s->option, mls_value_copy(a, s->value));
    mls_value_set(a, nodes, "n", n);
    if (strstr(s->wire, "side")) {
        mls_value *other = mls_value_map(a);
        mls_value_set(a, other, "component", mls_value_string(a, "mixer.contract_side"));
        mls_value_set(a, nodes, "side", other);
    }
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, s->wire));
    mls_value_set(a, spec, "width", mls_value_int(a, D));
    mls_value_set(a, spec, "layers", mls_value_int(a, 1));
    mls_value_set(a, spec, "norm", mls_value_string(a, "none"));
    mls_value_set(a, spec, "residual", mls_value_bool(a, 0));
    mls_value_set(a, head, "component", mls_value_string(a, "head.contract_copy"));
    mls_value_set(a, spec, "head", head);
    r->shape = (mls_task_shape){ .steps = T, .input = D, .output = D, .loss = MLS_MSE,
                                 .per_step = 1, .has_mask = 1, .has_dt = 1 };
    r->net = mls_net_build(&(mls_net_config){ &registry, spec, &r->shape, seed, 0 }, &r->error);
    if (!r->net) fail_msg("%s: %s", s->title, r->error.text);
    r->run = mls_run_new(r->net, batch, flags, &r->error);
    if (!r->run) fail_msg("%s: %s", s->title, r->error.text);
    for (int i = 0; i < T * B * D; i++) {
        r->x[i] = 1.5f * noise((uint64_t)i);
        r->coef[i] = noise((uint64_t)i + 10007);
    }
    for (int i = 0; i < T * B; i++) {
        r->dt[i] = 1.0f + 0.5f * noise((uint64_t)i + 20011);
        r->mask[i] = i % B == 0 || i / B < 6;       /* sample 1 has six steps */
    }
    r->batch = (mls_batch){ T, batch, NULL, r->x, NULL, r->dt, NULL, NULL };
}

static void stop(rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->arena);
}

static const float *ahead(rig *r, const scene *s, const mls_batch *b)
{
    mls_t y = mls_run_forward(r->run, b, 0);
    if (!y) fail_msg("%s: %s", s->title, mls_run_error(r->run)->text);
    return y->data;
}

static void near_all(const scene *s, const char *what, const float *got, const float *want,
                     int64_t n, double tol)
{
    for (int64_t i = 0; i < n; i++) {
        const double off = fabs((double)got[i] - (double)want[i]);
        if (!(off <= tol * fmax(1.0, fabs((double)want[i]))))
            fail_msg("%s: %s[%lld] is %g, expected %g", s->title, what, (long long)i,
                     (double)got[i], (double)want[i]);
    }
}

static void same_bits(const scene *s, const char *what, const float *got, const float *want,
                      int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (memcmp(got + i, want + i, sizeof *got))
            fail_msg("%s: %s[%lld] is %.9g, expected %.9g to the bit", s->title, what,
                     (long long)i, (double)got[i], (double)want[i]);
}

/* Whatever the piece, the step lengths of it. */
static mls_batch piece_of(const rig *r, int from, int n)
{
    mls_batch b = r->batch;
    b.steps = n;
    b.x += from * b.batch * D;
    b.dt += from * b.batch;
    return b;
}

#endif
