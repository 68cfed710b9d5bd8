/* Networks over components made for the purpose: wires and their errors, late wires,
 * states, gradients at both ends, rematerialisation, steady memory.                      */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/net.h"

/* acc: h[t] = tanh(a h[t-1] + w * (x[t] + mod[t])), elementwise. */
typedef struct acc { int64_t units; double a, drop; mls_t w; mls_state *h; } acc;

static void acc_forward(const mls_call *k)
{
    const acc *p = k->attr;
    mls_t x = k->in[0], mod = k->in[1], w = k->in[2], h0 = k->in[3], y = k->out[0], h1 = k->out[1];
    const int64_t n = h0->count, N = w->count;
    for (int64_t i = 0; i < n; i++) h1->data[i] = h0->data[i];
    for (int64_t t = 0; t < x->dim[0]; t++)
        for (int64_t i = 0; i < n; i++) {
            const float v = x->data[t * n + i] + (mod ? mod->data[t * n + i] : 0.0f);
            y->data[t * n + i] = h1->data[i] =
                tanhf((float)p->a * h1->data[i] + w->data[i % N] * v);
        }
}

static void acc_backward(const mls_call *k)
{
    const acc *p = k->attr;
    mls_t x = k->in[0], mod = k->in[1], w = k->in[2], h0 = k->in[3], y = k->out[0], h1 = k->out[1];
    const int64_t n = h0->count, N = w->count;
    for (int64_t t = x->dim[0] - 1; t >= 0; t--)
        for (int64_t i = 0; i < n; i++) {
            const int64_t j = t * n + i;
            const float v = x->data[j] + (mod ? mod->data[j] : 0.0f);
            const float d = (y->grad[j] + h1->grad[i]) * (1.0f - y->data[j] * y->data[j]);
            if (x->grad) x->grad[j] += d * w->data[i % N];
            if (mod && mod->grad) mod->grad[j] += d * w->data[i % N];
            if (w->grad) w->grad[i % N] += d * v;
            h1->grad[i] = (float)p->a * d;
        }
    if (h0->grad)
        for (int64_t i = 0; i < n; i++) h0->grad[i] += h1->grad[i];
}

static const mls_op acc_op = { sizeof acc_op, "test.acc", acc_forward, acc_backward, NULL };

static void acc_setup(mls_ctx *c, void *self)
{
    acc *p = self;
    p->w = mls->weight(c, "w", 1, p->units, mls_init_of(MLS_RANGE, 0.5, 0));
    p->h = mls->state(c, "h", p->units, 0.25, NULL, "what is kept");
}

static void acc_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    acc *p = self;
    mls_t h0 = mls->load(c, p->h), x = in[0];
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], p->units);
    mls_t h1 = mls->tensor(c, 1, x->dim[1], p->units);
    MLS_APPLY(c, &acc_op, p, ((mls_t[]){ x, in[1], p->w, h0 }), ((mls_t[]){ y, h1 }));
    mls->store(c, p->h, h1);
    out[0] = mls->dropout(c, y, p->drop);
}

static const mls_port acc_ports[] = {
    { "in", MLS_IN, "T B units", "" }, { "mod", MLS_IN | MLS_MAYBE, "T B units", "" },
    { "out", MLS_OUT, "T B units", "" }, MLS_PORT_END };
static const mls_option acc_options[] = {
    MLS_OPT(acc, units, MLS_INT, 0, 0, 64, NULL, "width"),
    MLS_OPT(acc, a, MLS_REAL, 0.5, 0, 1, NULL, "decay"),
    MLS_OPT(acc, drop, MLS_REAL, 0, 0, 0.9, NULL, "dropout of the output"), MLS_OPT_END };
static const mls_component acc_component = {
    sizeof acc_component, "mixer", "acc", MLS_CAUSAL | MLS_STREAMS, "Test.", acc_ports, acc_options,
    sizeof(acc), acc_setup, acc_run, NULL };

typedef struct head { mls_t w; } head;
static void head_setup(mls_ctx *c, void *self)
{
    ((head *)self)->w = mls->weight(c, "w", mls->width(c, "output"), mls->width(c, "in"), MLS_LINEAR);
}
static void head_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    out[0] = mls->linear(c, in[0], ((head *)self)->w, NULL);
}
static const mls_port head_ports[] = { { "in", MLS_IN, "T B in", "" },
                                       { "out", MLS_OUT, "T B output", "" }, MLS_PORT_END };
static const mls_component head_component = {
    sizeof head_component, "head", "linear", MLS_CAUSAL, "Test.", head_ports, NULL, sizeof(head),
    head_setup, head_run, NULL };

static const mls_component *list[] = { &head_component, &acc_component };
static mls_registry registry = { .component = list, .n_components = 2, .warnings = "" };

enum { D = 3, B = 2, T = 7 };
static const mls_task_shape shape = { .steps = T, .input = D, .output = 2, .loss = MLS_MSE, .per_step = 1 };

static mls_value *node_of(mls_arena *a, int units)
{
    mls_value *n = mls_value_map(a);
    mls_value_set(a, n, "component", mls_value_string(a, "mixer.acc"));
    if (units) mls_value_set(a, n, "units", mls_value_int(a, units));
    return n;
}

static mls_value *spec_of(mls_arena *a, const char *wire, int chunk)
{
    mls_value *s = mls_value_map(a), *nodes = mls_value_map(a);
    mls_value_set(a, nodes, "one", node_of(a, 0));
    mls_value_set(a, nodes, "two", node_of(a, 0));
    mls_value_set(a, s, "nodes", nodes);
    mls_value_set(a, s, "wire", mls_value_string(a, wire));
    mls_value_set(a, s, "width", mls_value_int(a, D));
    mls_value_set(a, s, "layers", mls_value_int(a, 2));
    mls_value_set(a, s, "norm", mls_value_string(a, "none"));
    mls_value_set(a, s, "chunk", mls_value_int(a, chunk));
    return s;
}

static mls_net *build(const mls_value *spec, mls_error *e)
{
    return mls_net_build(&(mls_net_config){ &registry, spec, &shape, 7, 0 }, e);
}

static void expect_error(const char *wire, const char *part)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    assert_null(build(spec_of(&a, wire, 0), &e));
    if (!strstr(e.text, part)) fail_msg("\"%s\" gave \"%s\", expected \"%s\"", wire, e.text, part);
    mls_arena_free(&a);
}

static void wire_errors(void **state)
{
    (void)state;
    expect_error("input -> one -> tow -> output", "no node is called \"tow\"; did you mean \"two\"?");
    expect_error("input -> one.mood -> two -> output", "has no port \"mood\"");
    expect_error("input -> one -> two", "branch 1 has no wire to output");
    expect_error("input -> one -> output", "node \"two\" stands in no wire");
    expect_error("input -> one => two -> output", "expected -> or ~> or ;");
    expect_error("input -> one -> two -> output; input -> two", "has a wire already");
    expect_error("input -> one -> output; two -> one.mod; one -> two", "form a circle without a ~>");
    expect_error("input -> one -> output; two -> one.mod", "its input \"in\" has no wire");
    expect_error("input ~> one -> two -> output", "~> goes from node to node");
    expect_error("input -> one -> two -> output; one.in -> two.mod", "one.in is no output port");
    expect_error("one", "a wire needs -> or ~>");
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *s = spec_of(&a, "input -> one -> two -> output", 0);
    mls_value_set(&a, mls_value_get(s, "nodes"), "one", node_of(&a, 5));
    assert_null(build(s, &e));
    assert_non_null(strstr(e.text, "is to be 5 wide, but input is 3 wide"));
    mls_arena_free(&a);
}

/* first, second: the wires of two branches; "" when they may stand so. */
static void expect_branches(const char *first, const char *second, const char *part)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *s = spec_of(&a, first, 2), *list = mls_value_list(&a);
    mls_value_push(&a, list, mls_value_string(&a, first));
    mls_value_push(&a, list, mls_value_string(&a, second));
    mls_value_set(&a, s, "wire", list);
    mls_net *net = build(s, &e);
    if (*part ? !strstr(e.text, part) : !net)
        fail_msg("\"%s\", \"%s\" gave \"%s\", expected \"%s\"", first, second, e.text, part);
    mls_net_free(net);
    mls_arena_free(&a);
}

static void branches_run_in_order(void **state)
{
    (void)state;
    expect_branches("input -> one -> output", "input -> two -> output; one -> two.mod", "");
    expect_branches("input -> one -> output", "input -> two -> output; one ~> two.mod", "");
    expect_branches("input -> one -> output", "input -> two -> output; two -> one.mod",
                    "leads from branch 2 to branch 1");
    expect_branches("input -> one -> output", "input -> two -> output; two ~> one.mod",
                    "leads from branch 2 to branch 1");
    expect_branches("input -> one -> output", "input -> two -> output; input -> one.mod",
                    "leads from branch 2 to branch 1");
}

static float x_of(int t, int b, int i) { return sinf(0.7f * (float)(t * 5 + b * 3 + i)); }

static void fill(float *x, float *target)
{
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++) {
            for (int i = 0; i < D; i++) x[(t * B + b) * D + i] = x_of(t, b, i);
            for (int i = 0; i < 2; i++) target[(t * B + b) * 2 + i] = cosf((float)(t + b + i));
        }
}

static const char *const loop = "input -> one -> two -> output; two ~> one.mod";

/* Output of the whole sequence against pieces of every length, with carried states. */
static void late_wires_do_not_depend_on_cuts(void **state)
{
    (void)state;
    float x[T * B * D], target[T * B * 2], whole[T * B * 2];
    fill(x, target);
    for (int chunk = 1; chunk <= T + 1; chunk++) {
        mls_arena a = { 0 };
        mls_error e = { 0 };
        mls_net *net = build(spec_of(&a, loop, chunk), &e);
        assert_string_equal(e.text, "");
        mls_run *run = mls_run_new(net, B, MLS_EXACT, &e);
        mls_batch b = { T, B, NULL, x, NULL, NULL, NULL, target, NULL };
        mls_t y = mls_run_forward(run, &b, 0);
        assert_non_null(y);
        memcpy(whole, y->data, sizeof whole);
        for (int cut = 1; cut <= T; cut++) {
            mls_run_reset(run);
            for (int t = 0; t < T; t += cut) {
                const int n = t + cut < T ? cut : T - t;
                b = (mls_batch){ n, B, NULL, x + t * B * D, NULL, NULL, NULL, NULL, NULL };
                y = mls_run_forward(run, &b, 0);
                assert_non_null(y);
                assert_memory_equal(y->data, whole + t * B * 2, (size_t)(n * B * 2) * sizeof(float));
            }
        }
        mls_run_free(run);
        mls_net_free(net);
        mls_arena_free(&a);
    }
}

/* The first K outputs know nothing of the late wire, the next do. */
static void late_means_k_steps(void **state)
{
    (void)state;
    float x[T * B * D], target[T * B * 2], with[T * B * 2];
    fill(x, target);
    const mls_batch b = { T, B, NULL, x, NULL, NULL, NULL, target, NULL };
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *s = spec_of(&a, loop, 3);
    mls_value_set(&a, s, "layers", mls_value_int(&a, 1));
    mls_net *net = build(s, &e);
    mls_value_set(&a, s, "wire", mls_value_string(&a, "input -> one -> two -> output"));
    mls_net *plain = build(s, &e);
    mls_run *run = mls_run_new(net, B, 0, &e), *other = mls_run_new(plain, B, 0, &e);
    memcpy(with, mls_run_forward(run, &b, 0)->data, sizeof with);
    mls_t y = mls_run_forward(other, &b, 0);
    assert_memory_equal(with, y->data, 3 * B * 2 * sizeof(float));
    assert_memory_not_equal(with + 3 * B * 2, y->data + 3 * B * 2, B * 2 * sizeof(float));
    mls_run_free(run);
    mls_run_free(other);
    mls_net_free(net);
    mls_net_free(plain);
    mls_arena_free(&a);
}

static double loss_at(mls_run *run, const mls_batch *b)
{
    mls_run_reset(run);
    return mls_run_loss(run, b, 0, NULL);
}

static double four_points(mls_run *run, const mls_batch *b, float *w)
{
    const float keep = *w, h = 2e-2f;
    double f[4];
    for (int i = 0; i < 4; i++) {
        *w = keep + h * (float)(i < 2 ? i - 2 : i - 1);
        f[i] = loss_at(run, b);
    }
    *w = keep;
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)h);
}

static void gradients(void **state)
{
    (void)state;
    float x[T * B * D], target[T * B * 2];
    fill(x, target);
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_net *net = build(spec_of(&a, loop, 2), &e);
    mls_run *run = mls_run_new(net, B, MLS_TRAIN, &e);
    const mls_batch b = { T, B, NULL, x, NULL, NULL, NULL, target, NULL };
    int64_t count;
    float *w = mls_net_data(net, &count), *g = mls_net_grad(net);
    loss_at(run, &b);
    mls_run_backward(run, 1.0);
    float *kept = malloc((size_t)count * sizeof *kept);
    memcpy(kept, g, (size_t)count * sizeof *kept);
    for (int64_t i = 0; i < count; i++) {
        const double d = four_points(run, &b, w + i);
        if (fabs(d - (double)kept[i]) > 2e-4 * (1.0 + fabs(d)))
            fail_msg("parameter %lld: %g by differences, %g by backward", (long long)i, d, (double)kept[i]);
    }
    /* a second backward adds */
    loss_at(run, &b);
    mls_run_backward(run, 1.0);
    for (int64_t i = 0; i < count; i++) assert_float_equal(g[i], 2.0f * kept[i], 1e-6f);
    free(kept);
    mls_run_free(run);
    mls_net_free(net);
    mls_arena_free(&a);
}

static void state_gradients(void **state)
{
    (void)state;
    float x[T * B * D], target[T * B * 2], seed[B * D];
    fill(x, target);
    for (int i = 0; i < B * D; i++) seed[i] = 0.1f * (float)(i + 1);
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_net *net = build(spec_of(&a, loop, 2), &e);
    mls_run *run = mls_run_new(net, B, MLS_TRAIN, &e);
    mls_run_track(run, 1);
    const mls_batch b = { T, B, NULL, x, NULL, NULL, NULL, target, NULL };
    int h = -1;
    for (int i = 0; i < mls_run_states(run); i++)
        if (!strcmp(mls_run_state(run, i, NULL, NULL, NULL), "layer0.one.h")) h = i;
    assert_true(h >= 0);
    mls_run_seed_state(run, h, seed);
    loss_at(run, &b);
    mls_run_backward(run, 1.0);
    float grad[B * D], *value;
    assert_non_null(mls_run_state_grad(run, h));
    memcpy(grad, mls_run_state_grad(run, h), sizeof grad);
    for (int i = 0; i < B * D; i++) {
        double f[4];
        for (int p = 0; p < 4; p++) {
            mls_run_reset(run);
            mls_run_state(run, h, &value, NULL, NULL);
            value[i] += 2e-2f * (float)(p < 2 ? p - 2 : p - 1);
            f[p] = mls_run_loss(run, &b, 0, NULL);
            mls_run_state(run, h, &value, NULL, NULL);
            for (int k = 0; k < B * D; k++) f[p] += (double)(seed[k] * value[k]);
        }
        const double d = (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * 2e-2);
        assert_float_equal(d, (double)grad[i], 3e-4);
    }
    mls_run_free(run);
    mls_net_free(net);
    mls_arena_free(&a);
}

static void compare_remat(double drop)
{
    float x[T * B * D], target[T * B * 2];
    fill(x, target);
    const mls_batch b = { T, B, NULL, x, NULL, NULL, NULL, target, NULL };
    float *kept = NULL;
    double loss = 0.0;
    for (int remat = 0; remat < 2; remat++) {
        mls_arena a = { 0 };
        mls_error e = { 0 };
        mls_value *s = spec_of(&a, loop, 2), *l = mls_value_list(&a);
        mls_value_set(&a, mls_value_get_path(s, "nodes.one"), "drop", mls_value_real(&a, drop));
        mls_value_set(&a, mls_value_get_path(s, "nodes.two"), "drop", mls_value_real(&a, drop));
        mls_value_push(&a, l, mls_value_string(&a, "one"));
        if (remat) mls_value_set(&a, s, "remat", l);
        mls_net *net = build(s, &e);
        mls_run *run = mls_run_new(net, B, MLS_TRAIN, &e);
        const double now = loss_at(run, &b);
        mls_run_backward(run, 1.0);
        assert_string_equal(mls_run_error(run)->text, "");
        int64_t count;
        mls_net_data(net, &count);
        if (!remat) {
            loss = now;
            kept = malloc((size_t)count * sizeof *kept);
            memcpy(kept, mls_net_grad(net), (size_t)count * sizeof *kept);
        } else {
            assert_true(loss == now);
            assert_memory_equal(kept, mls_net_grad(net), (size_t)count * sizeof *kept);
        }
        mls_run_free(run);
        mls_net_free(net);
        mls_arena_free(&a);
    }
    free(kept);
}

static void remat_changes_no_bit(void **state)
{
    (void)state;
    compare_remat(0.0);
}

/* What was dropped out in forward is dropped out again. */
static void remat_draws_the_same_dropout(void **state)
{
    (void)state;
    compare_remat(0.4);
}

static void steady_memory(void **state)
{
    (void)state;
    float x[T * B * D], target[T * B * 2];
    fill(x, target);
    const mls_batch b = { T, B, NULL, x, NULL, NULL, NULL, target, NULL };
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_net *net = build(spec_of(&a, loop, 2), &e);
    mls_run *run = mls_run_new(net, B, MLS_TRAIN, &e);
    size_t after = 0;
    for (int i = 0; i < 20; i++) {
        mls_run_loss(run, &b, 0, NULL);
        mls_run_backward(run, 1.0);
        if (i == 2) after = mls_run_tape(run)->arena.mallocs;
    }
    assert_int_equal(mls_run_tape(run)->arena.mallocs, after);
    mls_run_free(run);
    mls_net_free(net);
    mls_arena_free(&a);
}

static void dry_run_agrees(void **state)
{
    (void)state;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *s = spec_of(&a, loop, 2);
    mls_net *dry = mls_net_build(&(mls_net_config){ &registry, s, &shape, 7, 1 }, &e);
    mls_net *real = build(s, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(mls_net_parameters(dry), mls_net_parameters(real));
    mls_cost cost;
    assert_true(mls_net_cost(dry, T, B, &cost, &e));
    assert_true(cost.flops > 0.0 && cost.bytes > 0.0);
    mls_run *run = mls_run_new(real, B, 0, &e);
    mls_channel *ch;
    assert_true(mls_run_channels(run, &ch, &a) >= 8);
    mls_run_free(run);
    mls_net_free(dry);
    mls_net_free(real);
    mls_arena_free(&a);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_net_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wire_errors), cmocka_unit_test(late_wires_do_not_depend_on_cuts),
        cmocka_unit_test(late_means_k_steps), cmocka_unit_test(gradients),
        cmocka_unit_test(state_gradients), cmocka_unit_test(remat_changes_no_bit),
        cmocka_unit_test(remat_draws_the_same_dropout),
        cmocka_unit_test(branches_run_in_order),
        cmocka_unit_test(steady_memory), cmocka_unit_test(dry_run_agrees),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
