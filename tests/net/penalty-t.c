/* Penalties: what they add to loss and gradient, in one piece or several, with masks,
 * under rematerialisation; that evaluation knows nothing of them.                        */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/net.h"

/* pen: y = tanh(W x + mod), with the mean square of y as a penalty. */
typedef struct pen { double weight, other; mls_t w; } pen;

static void pen_setup(mls_ctx *c, void *self)
{
    const int64_t n = mls->width(c, "out");
    ((pen *)self)->w = mls->weight(c, "w", n, n, MLS_LINEAR);
}

static void pen_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const pen *p = self;
    mls_t h = mls->linear(c, in[0], p->w, NULL);
    if (in[1]) h = mls->binary(c, MLS_ADD, h, in[1]);
    out[0] = mls->unary(c, MLS_TANH, h);
    mls_t x = mls->unary(c, MLS_SQUARE, out[0]);
    if (p->weight > 0.0) mls->penalty(c, "size", x, p->weight);
    if (p->other > 0.0) mls->penalty(c, "size", x, p->other);
}

static const mls_port pen_ports[] = {
    { "in", MLS_IN, "T B n", "" }, { "mod", MLS_IN | MLS_MAYBE, "T B n", "" },
    { "out", MLS_OUT, "T B n", "" }, MLS_PORT_END };
static const mls_option pen_options[] = {
    MLS_OPT(pen, weight, MLS_REAL, 0, 0, 10, NULL, "of the penalty"),
    MLS_OPT(pen, other, MLS_REAL, 0, 0, 10, NULL, "of a second call"), MLS_OPT_END };
static const mls_component pen_component = {
    sizeof pen_component, "mixer", "pen", MLS_CAUSAL | MLS_STREAMS, "Test.", pen_ports,
    pen_options, sizeof(pen), pen_setup, pen_run, NULL };

typedef struct head { mls_t w; } head;
static void head_setup(mls_ctx *c, void *self)
{
    ((head *)self)->w = mls->weight(c, "w", mls->width(c, "output"), mls->width(c, "in"),
                                    MLS_LINEAR);
}
static void head_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    out[0] = mls->linear(c, in[0], ((head *)self)->w, NULL);
}
static const mls_port head_ports[] = { { "in", MLS_IN, "T B in", "" },
                                       { "out", MLS_OUT, "T B output", "" }, MLS_PORT_END };
static const mls_component head_component = {
    sizeof head_component, "head", "linear", MLS_CAUSAL, "Test.", head_ports, NULL,
    sizeof(head), head_setup, head_run, NULL };

static const mls_component *list[] = { &head_component, &pen_component };
static mls_registry registry = { .component = list, .n_components = 2, .warnings = "" };

enum { D = 3, B = 2, T = 7 };
static const mls_task_shape shape = { .steps = T, .input = D, .output = 2, .loss = MLS_MSE,
                                      .per_step = 1, .has_mask = 1 };
static float x[T * B * D], target[T * B * 2], mask[T * B];
static const mls_batch batch = { T, B, NULL, x, mask, NULL, NULL, target, NULL };

typedef struct rig {
    mls_arena a;
    mls_error e;
    mls_net  *net;
    mls_run  *run;
    float    *w, *g;
    int64_t   count;
} rig;

typedef struct setting { double weight, other; int chunk, remat, dry; unsigned flags; } setting;

static void fill(void)
{
    for (int i = 0; i < T * B * D; i++) x[i] = 0.9f * sinf(1.7f * (float)i);
    for (int i = 0; i < T * B * 2; i++) target[i] = 0.5f * cosf(0.9f * (float)i);
    for (int i = 0; i < T * B; i++) mask[i] = i % B == 0 || i / B < 4;
}

static mls_value *node_of(mls_arena *a, const setting *s)
{
    mls_value *n = mls_value_map(a);
    mls_value_set(a, n, "component", mls_value_string(a, "mixer.pen"));
    mls_value_set(a, n, "weight", mls_value_real(a, s->weight));
    mls_value_set(a, n, "other", mls_value_real(a, s->other));
    return n;
}

static void open_rig(rig *r, setting s)
{
    *r = (rig){ 0 };
    mls_arena *a = &r->a;
    mls_value *v = mls_value_map(a), *nodes = mls_value_map(a), *again = mls_value_list(a);
    mls_value_set(a, nodes, "one", node_of(a, &s));
    mls_value_set(a, nodes, "two", node_of(a, &s));
    mls_value_set(a, v, "nodes", nodes);
    mls_value_set(a, v, "wire",
                  mls_value_string(a, s.chunk ? "input -> one -> two -> output; two ~> one.mod"
                                              : "input -> one -> two -> output"));
    mls_value_set(a, v, "width", mls_value_int(a, D));
    mls_value_set(a, v, "layers", mls_value_int(a, 2));
    mls_value_set(a, v, "norm", mls_value_string(a, "none"));
    mls_value_set(a, v, "chunk", mls_value_int(a, s.chunk));
    mls_value_push(a, again, mls_value_string(a, "two"));
    if (s.remat) mls_value_set(a, v, "remat", again);
    r->net = mls_net_build(&(mls_net_config){ &registry, v, &shape, 7, s.dry }, &r->e);
    assert_string_equal(r->e.text, "");
    r->run = mls_run_new(r->net, B, s.flags, &r->e);
    r->w = mls_net_data(r->net, &r->count);
    r->g = mls_net_grad(r->net);
}

static void close_rig(rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    mls_arena_free(&r->a);
}

/* Task loss, and with the penalties. */
static double loss_of(rig *r)
{
    mls_run_reset(r->run);
    const double loss = mls_run_loss(r->run, &batch, 0, NULL);
    assert_string_equal(mls_run_error(r->run)->text, "");
    return loss;
}

static double total(rig *r)
{
    const double loss = loss_of(r);
    return loss + mls_run_penalty(r->run, NULL);
}

static void differences(setting s)
{
    rig r;
    s.flags |= MLS_TRAIN;
    open_rig(&r, s);
    mls_net_zero_grad(r.net);
    total(&r);
    mls_run_backward(r.run, 1.0);
    for (int64_t i = 0; i < r.count; i++) {
        const float keep = r.w[i], h = 2e-2f;
        double f[4];
        for (int k = 0; k < 4; k++) {
            r.w[i] = keep + h * (float)(k < 2 ? k - 2 : k - 1);
            f[k] = total(&r);
        }
        r.w[i] = keep;
        const double d = (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)h);
        if (fabs(d - (double)r.g[i]) > 3e-4 * (1.0 + fabs(d)))
            fail_msg("parameter %lld: %g by differences, %g by backward", (long long)i, d,
                     (double)r.g[i]);
    }
    close_rig(&r);
}

static void gradients(void **state)
{
    (void)state;
    differences((setting){ .weight = 3.0 });
    differences((setting){ .weight = 3.0, .flags = MLS_EXACT });
    differences((setting){ .weight = 3.0, .chunk = 2 });
    differences((setting){ .weight = 3.0, .chunk = 2, .remat = 1 });
}

typedef struct seen { double sum[4]; double count[4]; } seen;

static int wanted(void *arg, const char *node, const char *name)
{
    (void)arg, (void)node;
    return !strcmp(name, "size");
}

static void look(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    seen *s = arg;
    const int i = 2 * (ch->node[5] - '0') + !strcmp(strchr(ch->node, '.'), ".two");
    for (int64_t k = 0; k < v->count; k++)
        if (mask[t0 * B + k / D] > 0.0f) {
            s->sum[i] += (double)v->data[k];
            s->count[i] += 1.0;
        }
}

/* The mean over real entries of each node's channel, in one piece and in four. */
static void what_it_adds(void **state)
{
    (void)state;
    for (int chunk = 0; chunk < 3; chunk += 2) {
        rig r;
        seen s = { { 0 }, { 0 } };
        int n = 0;
        open_rig(&r, (setting){ .weight = 2.0, .chunk = chunk, .flags = MLS_TRAIN });
        mls_run_observe(r.run, &(mls_observer){ &s, wanted, look });
        loss_of(&r);
        double want = 0.0;
        for (int i = 0; i < 4; i++) {
            assert_int_equal((int)s.count[i], 11 * D);
            want += 2.0 * s.sum[i] / s.count[i];
        }
        assert_float_equal(mls_run_penalty(r.run, &n), want, 1e-6);
        assert_int_equal(n, 4);
        assert_true(want > 1e-3);
        close_rig(&r);
    }
}

static void evaluation_knows_nothing(void **state)
{
    (void)state;
    rig with, without, trained;
    int n = -1;
    open_rig(&with, (setting){ .weight = 2.0 });
    open_rig(&without, (setting){ 0 });
    open_rig(&trained, (setting){ .weight = 2.0, .flags = MLS_TRAIN });
    const double loss = loss_of(&with);
    assert_true(mls_run_penalty(with.run, &n) == 0.0);
    assert_int_equal(n, 0);
    assert_true(loss == loss_of(&without));
    assert_true(loss == loss_of(&trained));
    close_rig(&with);
    close_rig(&without);
    close_rig(&trained);
}

static void remat_changes_no_bit(void **state)
{
    (void)state;
    float kept[200];
    double penalty = 0.0;
    for (int remat = 0; remat < 2; remat++) {
        rig r;
        open_rig(&r, (setting){ .weight = 2.0, .chunk = 2, .remat = remat,
                                .flags = MLS_TRAIN });
        assert_true(r.count <= 200);
        mls_net_zero_grad(r.net);
        loss_of(&r);
        mls_run_backward(r.run, 1.0);
        const double now = mls_run_penalty(r.run, NULL);
        if (remat) {
            assert_true(now == penalty);
            assert_memory_equal(kept, r.g, (size_t)r.count * sizeof *kept);
        } else {
            penalty = now;
            memcpy(kept, r.g, (size_t)r.count * sizeof *kept);
        }
        close_rig(&r);
    }
}

/* Two halves make a whole; and without any other gradient, the penalties' own is left,
 * under remat too. */
static void scales(void **state)
{
    (void)state;
    float whole[200], own[200];
    rig r, again;
    open_rig(&r, (setting){ .weight = 2.0, .flags = MLS_TRAIN });
    open_rig(&again, (setting){ .weight = 2.0, .remat = 1, .flags = MLS_TRAIN });
    const size_t bytes = (size_t)r.count * sizeof *whole;
    mls_net_zero_grad(r.net);
    loss_of(&r);
    mls_run_backward(r.run, 1.0);
    memcpy(whole, r.g, bytes);
    mls_net_zero_grad(r.net);
    for (int i = 0; i < 2; i++) {
        loss_of(&r);
        mls_run_backward(r.run, 0.5);
    }
    for (int64_t i = 0; i < r.count; i++) assert_float_equal(r.g[i], whole[i], 1e-6);
    mls_net_zero_grad(r.net);
    loss_of(&r);
    mls_run_backward_from(r.run, NULL);
    memcpy(own, r.g, bytes);
    double size = 0.0;
    for (int64_t i = 0; i < r.count; i++) size += fabs((double)own[i]);
    assert_true(size > 1e-3);
    mls_net_zero_grad(again.net);
    loss_of(&again);
    mls_run_backward_from(again.run, NULL);
    assert_memory_equal(own, again.g, bytes);
    close_rig(&r);
    close_rig(&again);
}

static void memory_and_cost(void **state)
{
    (void)state;
    rig r, dry, plain;
    mls_cost cost, less;
    mls_channel *ch;
    int found = 0;
    size_t after = 0;
    open_rig(&r, (setting){ .weight = 2.0, .chunk = 2, .remat = 1, .flags = MLS_TRAIN });
    for (int i = 0; i < 20; i++) {
        loss_of(&r);
        mls_run_backward(r.run, 1.0);
        if (i == 2) after = mls_run_tape(r.run)->arena.mallocs;
    }
    assert_int_equal(mls_run_tape(r.run)->arena.mallocs, after);
    const int n = mls_run_channels(r.run, &ch, &r.a);
    for (int i = 0; i < n; i++)
        found += !strcmp(ch[i].node, "layer1.two") && !strcmp(ch[i].name, "size");
    assert_int_equal(found, 1);
    open_rig(&dry, (setting){ .weight = 2.0, .dry = 1 });
    open_rig(&plain, (setting){ .dry = 1 });
    assert_true(mls_net_cost(dry.net, T, B, &cost, &dry.e));
    assert_true(mls_net_cost(plain.net, T, B, &less, &plain.e));
    assert_true(cost.flops > less.flops);
    close_rig(&r);
    close_rig(&dry);
    close_rig(&plain);
}

static void errors(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, (setting){ .weight = 2.0, .other = 1.0, .flags = MLS_TRAIN });
    assert_true(isnan(mls_run_loss(r.run, &batch, 0, NULL)));
    assert_non_null(strstr(mls_run_error(r.run)->text,
                           "layer0.one: penalty size has weight 2 and 1"));
    close_rig(&r);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_net_init();
    fill();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients), cmocka_unit_test(what_it_adds),
        cmocka_unit_test(evaluation_knows_nothing), cmocka_unit_test(remat_changes_no_bit),
        cmocka_unit_test(scales), cmocka_unit_test(memory_and_cost), cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
