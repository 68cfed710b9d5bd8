/* Each row of the audit of the first implementation that concerns these components is a
 * test here, named after it.  docs/audit.md says what each row was.                       */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "net/net.h"

enum { D = 16, B = 2, T = 24, VOCABULARY = 11 };

static mls_registry registry;
static const mls_task_shape text = { .steps = T, .vocabulary = VOCABULARY, .output = VOCABULARY,
                                     .loss = MLS_CROSS_ENTROPY, .per_step = 1 };
static const mls_task_shape series = { .steps = T, .input = D, .output = D, .loss = MLS_MSE,
                                       .per_step = 1 };
static const char *const modes[] = { "sequential", "parallel", "bidirectional" };

typedef struct bench { mls_arena a; mls_error e; mls_value *spec; mls_net *net; mls_run *run; } bench;

static void start(bench *b, const char *mode)
{
    *b = (bench){ .spec = NULL };
    b->spec = mls_conf_mode(&b->a, mode, NULL, &b->e);
    mls_value_set(&b->a, b->spec, "width", mls_value_int(&b->a, D));
    mls_value_set(&b->a, b->spec, "layers", mls_value_int(&b->a, 2));
    mls_value_set(&b->a, b->spec, "chunk", mls_value_int(&b->a, 4));
}

/* A block of one component: input -> it -> output. */
static void start_one(bench *b, const char *component, const char *wire)
{
    *b = (bench){ .spec = NULL };
    mls_value *nodes = mls_value_map(&b->a), *x = mls_value_map(&b->a);
    b->spec = mls_value_map(&b->a);
    mls_value_set(&b->a, x, "component", mls_value_string(&b->a, component));
    mls_value_set(&b->a, nodes, "x", x);
    mls_value_set(&b->a, b->spec, "nodes", nodes);
    mls_value_set(&b->a, b->spec, "wire", mls_value_string(&b->a, wire));
    mls_value_set(&b->a, b->spec, "width", mls_value_int(&b->a, D));
    mls_value_set(&b->a, b->spec, "layers", mls_value_int(&b->a, 1));
}

static void option(bench *b, const char *path, mls_value *v)
{
    mls_value_set_path(&b->a, b->spec, path, v, &b->e);
}

static int try_build(bench *b, const mls_task_shape *shape, uint64_t seed, unsigned flags)
{
    b->net = mls_net_build(&(mls_net_config){ &registry, b->spec, shape, seed, 0 }, &b->e);
    b->run = b->net ? mls_run_new(b->net, B, flags, &b->e) : NULL;
    return b->run != NULL;
}

static void build(bench *b, const mls_task_shape *shape, uint64_t seed, unsigned flags)
{
    if (!try_build(b, shape, seed, flags)) fail_msg("%s", b->e.text);
}

static void finish(bench *b)
{
    mls_run_free(b->run);
    mls_net_free(b->net);
    mls_arena_free(&b->a);
}

static int32_t token[(T + 1) * B];
static float x_in[T * B * D];

static void make_input(void)
{
    for (int i = 0; i < (T + 1) * B; i++) token[i] = (i * 7 + i / 5) % VOCABULARY;
    for (int i = 0; i < T * B * D; i++) x_in[i] = cosf(0.9f * (float)i);
}

static mls_batch tokens(void) { return (mls_batch){ T, B, token, NULL, NULL, NULL, token + B, NULL, NULL }; }

static mls_t forward(bench *b, const mls_batch *in)
{
    mls_run_reset(b->run);
    mls_t y = mls_run_forward(b->run, in, 0);
    if (!y) fail_msg("%s", mls_run_error(b->run)->text);
    return y;
}

static int all_finite(mls_t y)
{
    for (int64_t i = 0; i < y->count; i++)
        if (!isfinite(y->data[i])) return 0;
    return 1;
}

static void row_01_no_nan_at_initialisation(void **state)
{
    (void)state;
    const mls_batch in = tokens();
    for (int m = 0; m < 3; m++)
        for (uint64_t seed = 0; seed < 100; seed++) {
            bench b;
            start(&b, modes[m]);
            build(&b, &text, seed, 0);
            assert_true(all_finite(forward(&b, &in)));
            for (int i = 0; i < mls_net_weights(b.net); i++) {
                const mls_weight *w = mls_net_weight(b.net, i);
                for (int64_t k = 0; k < w->rows * w->cols; k++) assert_true(isfinite(w->data[k]));
            }
            finish(&b);
        }
}

/* The origin's tests asked for shapes only and a NaN passed: ours stops with a name. */
static void row_02_nan_is_found_not_passed(void **state)
{
    (void)state;
    const mls_batch in = tokens();
    bench b;
    start(&b, "sequential");
    build(&b, &text, 1, MLS_TRAIN);
    mls_net_weight(b.net, 3)->data[0] = NAN;
    mls_run_reset(b.run);
    assert_false(isfinite(mls_run_loss(b.run, &in, 0, NULL)));
    finish(&b);
}

static void row_03_no_silent_fallback(void **state)
{
    (void)state;
    bench b;
    start(&b, "sequential");
    option(&b, "nodes.liq.units", mls_value_int(&b.a, D + 3));
    option(&b, "nodes.mix.component", mls_value_string(&b.a, "mixer.identity"));
    assert_false(try_build(&b, &text, 1, 0));             /* 19 wide does not fit 16: an error */
    assert_non_null(strstr(b.e.text, "19 wide"));
    finish(&b);
    start(&b, "sequential");
    build(&b, &text, 1, 0);
    const mls_value *r = mls_net_resolved(b.net, &b.a);
    assert_string_equal(mls_value_get_path(r, "nodes.liq.component")->string, "liquid.cfc");
    finish(&b);
}

static void row_04_state_is_carried_across_calls(void **state)
{
    (void)state;
    for (int m = 0; m < 3; m++) {
        bench b;
        start(&b, modes[m]);
        build(&b, &text, 3, MLS_EXACT);
        mls_batch in = tokens();
        float whole[T * B * VOCABULARY];
        memcpy(whole, forward(&b, &in)->data, sizeof whole);
        mls_run_reset(b.run);
        for (int t = 0; t < T; t++) {
            mls_batch one = { 1, B, token + t * B, NULL, NULL, NULL, NULL, NULL, NULL };
            mls_t y = mls_run_forward(b.run, &one, 0);
            assert_non_null(y);
            assert_memory_equal(y->data, whole + t * B * VOCABULARY, sizeof whole / T);
        }
        finish(&b);
    }
}

/* The response of an adapter alone to an impulse at t = 5, per step, unit 0. */
static void impulse(const char *component, float out[T])
{
    bench b;
    start_one(&b, component, "input -> x -> output");
    option(&b, "norm", mls_value_string(&b.a, "none"));
    option(&b, "residual", mls_value_bool(&b.a, 0));
    build(&b, &series, 1, 0);
    for (int i = 0; i < mls_net_weights(b.net); i++) {          /* identities, no biases */
        const mls_weight *w = mls_net_weight(b.net, i);
        for (int64_t k = 0; k < w->rows * w->cols; k++)
            w->data[k] = w->rows > 1 && k / w->cols == k % w->cols ? 1.0f : 0.0f;
    }
    float x[T * B * D] = { 0 };
    for (int i = 0; i < B * D; i++) x[5 * B * D + i] = 1.0f;
    const mls_batch in = { T, B, NULL, x, NULL, NULL, NULL, NULL, NULL };
    mls_t y = forward(&b, &in);
    for (int t = 0; t < T; t++) out[t] = y->data[t * B * D];
    finish(&b);
}

static void row_06_temporal_adapter_decays_and_is_causal(void **state)
{
    (void)state;
    float y[T];
    impulse("adapter.temporal", y);
    for (int t = 0; t < 5; t++) assert_true(y[t] == 0.0f);
    assert_true(y[5] > 0.0f);
    for (int t = 6; t < T; t++) assert_float_equal(y[t] / y[t - 1], expf(-1.0f / 20.0f), 1e-5f);
}

static void row_07_rate_adapter_is_causal(void **state)
{
    (void)state;
    float y[T];
    impulse("adapter.rate", y);
    for (int t = 0; t < T; t++)
        assert_float_equal(y[t], t >= 5 && t < 15 ? 0.1f : 0.0f, 1e-6f);
}

/* A number that depends on every output, with one more key set in the bench's spec. */
static float output_with(bench *keep, const char *path, mls_value *v)
{
    bench b = *keep;
    const mls_batch in = tokens();
    option(&b, path, v);
    build(&b, &text, 5, 0);
    mls_t y = forward(&b, &in);
    float sum = 0.0f;
    for (int64_t i = 0; i < y->count; i++) sum += y->data[i] * cosf((float)i);
    mls_run_free(b.run);
    mls_net_free(b.net);
    *keep = b;
    return sum;
}

static void row_08_potential_adapter_reads_the_membrane(void **state)
{
    (void)state;
    bench b = { .spec = NULL };
    mls_value *parts = mls_value_map(&b.a);
    mls_value_set(&b.a, parts, "ad", mls_value_string(&b.a, "adapter.potential"));
    b.spec = mls_conf_mode(&b.a, "parallel", parts, &b.e);
    assert_string_equal(b.e.text, "");
    assert_non_null(strstr(mls_value_get(b.spec, "wire")->string, "enc.membrane -> ad.membrane"));
    mls_value_set(&b.a, b.spec, "width", mls_value_int(&b.a, D));
    /* Above every threshold no spike is left; the membrane still speaks. */
    option(&b, "nodes.enc.threshold", mls_value_real(&b.a, 1000.0));
    const float one = output_with(&b, "nodes.enc.beta", mls_value_real(&b.a, 0.9));
    const float two = output_with(&b, "nodes.enc.beta", mls_value_real(&b.a, 0.5));
    assert_true(one != two);
    mls_arena_free(&b.a);
}

/* d y[t] / d x[s] by the tape: zero for s > t, not zero for some s < t. */
static void attends_over_the_past(const char *mode)
{
    bench b;
    start(&b, mode);
    build(&b, &text, 9, 0);
    mls_batch in = tokens();
    float before[T * B * VOCABULARY];
    memcpy(before, forward(&b, &in)->data, sizeof before);
    for (int s = 0; s < T; s += 5) {
        const int32_t keep = token[s * B];
        token[s * B] = (keep + 1) % VOCABULARY;
        mls_t y = forward(&b, &in);
        token[s * B] = keep;
        assert_memory_equal(y->data, before, (size_t)(s * B * VOCABULARY) * sizeof(float));
        assert_memory_not_equal(y->data + s * B * VOCABULARY, before + s * B * VOCABULARY,
                                VOCABULARY * sizeof(float));
        if (s + 1 < T)                                    /* and the future remembers it */
            assert_memory_not_equal(y->data + (s + 1) * B * VOCABULARY,
                                    before + (s + 1) * B * VOCABULARY, VOCABULARY * sizeof(float));
    }
    finish(&b);
}

static void row_09_cross_attention_runs_over_time_and_is_causal(void **state)
{
    (void)state;
    bench b;
    start_one(&b, "fusion.cross_attention", "input -> x.a; input -> x.b; x -> output");
    build(&b, &text, 9, 0);
    const mls_batch in = tokens();
    float before[T * B * VOCABULARY];
    memcpy(before, forward(&b, &in)->data, sizeof before);
    token[0] = (token[0] + 1) % VOCABULARY;
    mls_t y = forward(&b, &in);
    make_input();
    for (int t = 1; t < T; t++)                           /* every later step attends to it */
        assert_memory_not_equal(y->data + t * B * VOCABULARY, before + t * B * VOCABULARY,
                                VOCABULARY * sizeof(float));
    finish(&b);
    attends_over_the_past("bidirectional");
}

static float gradient_of(bench *b, const char *name)
{
    for (int i = 0; i < mls_net_weights(b->net); i++) {
        const mls_weight *w = mls_net_weight(b->net, i);
        if (strcmp(w->name, name)) continue;
        float sum = 0.0f;
        for (int64_t k = 0; k < w->rows * w->cols; k++) sum += fabsf(w->grad[k]);
        return sum;
    }
    fail_msg("no weight %s", name);
    return 0.0f;
}

static void row_10_state_exchange_works_both_ways(void **state)
{
    (void)state;
    bench b;
    const mls_batch in = tokens();
    start(&b, "bidirectional");
    build(&b, &text, 4, MLS_TRAIN);
    mls_run_loss(b.run, &in, 0, NULL);
    mls_run_backward(b.run, 1.0);
    assert_string_equal(mls_run_error(b.run)->text, "");
    assert_true(gradient_of(&b, "layer0.mix.mod_b.weight") > 0.0f);
    assert_true(gradient_of(&b, "layer0.mix.mod_c.weight") > 0.0f);
    assert_true(gradient_of(&b, "layer0.liq.mod_tau.weight") > 0.0f);
    finish(&b);
    /* It starts from no exchange: the same bits as without the wires. */
    float with[T * B * VOCABULARY];
    start(&b, "bidirectional");
    build(&b, &text, 4, 0);
    memcpy(with, forward(&b, &in)->data, sizeof with);
    finish(&b);
    start(&b, "bidirectional");
    option(&b, "wire", mls_value_string(&b.a, "input -> enc -> liq -> fuse.a; enc -> ad -> mix -> fuse.b; fuse -> output"));
    build(&b, &text, 4, 0);
    mls_t y = forward(&b, &in);
    for (int i = 0; i < T * B * VOCABULARY; i++) assert_float_equal(with[i], y->data[i], 1e-5f);
    finish(&b);
}

static void row_11_every_parameter_gets_a_gradient(void **state)
{
    (void)state;
    const mls_batch in = tokens();
    for (int m = 0; m < 3; m++) {
        bench b;
        start(&b, modes[m]);
        build(&b, &text, 4, MLS_TRAIN);
        /* Exchange weights start at zero, which hides what lies behind them: move them. */
        for (int i = 0; i < mls_net_weights(b.net); i++) {
            mls_weight *w = mls_net_weight(b.net, i);
            for (int64_t k = 0; strstr(w->name, "mod_") && k < w->rows * w->cols; k++)
                w->data[k] = 0.1f * cosf((float)k);
        }
        mls_run_loss(b.run, &in, 0, NULL);
        mls_run_backward(b.run, 1.0);
        for (int i = 0; i < mls_net_weights(b.net); i++) {
            const mls_weight *w = mls_net_weight(b.net, i);
            if (!(w->flags & MLS_FROZEN) && gradient_of(&b, w->name) == 0.0f)
                fail_msg("%s: %s gets no gradient", modes[m], w->name);
        }
        finish(&b);
    }
}

static void row_12_every_key_changes_the_output(void **state)
{
    (void)state;
    bench b;
    start(&b, "bidirectional");
    const float base = output_with(&b, "nodes.enc.threshold", mls_value_real(&b.a, 1.0));
    struct { const char *path; mls_value *v; } key[] = {
        { "nodes.enc.threshold", mls_value_real(&b.a, 0.5) },
        { "nodes.enc.beta", mls_value_real(&b.a, 0.5) },
        { "nodes.ad.component", mls_value_string(&b.a, "adapter.rate") },
        { "nodes.ad.tau", mls_value_real(&b.a, 5.0) },
        { "nodes.fuse.heads", mls_value_int(&b.a, 2) },
        { "nodes.fuse.weight", mls_value_string(&b.a, "gate") },
        { "nodes.mix.state", mls_value_int(&b.a, 8) },
        { "nodes.mix.conv", mls_value_int(&b.a, 3) },
        { "nodes.mix.expand", mls_value_int(&b.a, 1) },
        { "nodes.mix.discretization", mls_value_string(&b.a, "zoh") },
        { "nodes.liq.backbone_units", mls_value_int(&b.a, 64) },
        { "layers", mls_value_int(&b.a, 1) }, { "norm", mls_value_string(&b.a, "layer") },
    };
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        bench c;
        start(&c, "bidirectional");
        mls_value *v = mls_value_copy(&c.a, key[i].v);
        if (output_with(&c, key[i].path, v) == base)
            fail_msg("%s changes nothing", key[i].path);
        mls_arena_free(&c.a);
    }
    mls_arena_free(&b.a);
}

static void row_13_fusion_weight_is_learned(void **state)
{
    (void)state;
    const mls_batch in = tokens();
    bench b;
    start(&b, "bidirectional");
    option(&b, "nodes.fuse.weight", mls_value_string(&b.a, "learned"));
    build(&b, &text, 4, MLS_TRAIN);
    mls_run_loss(b.run, &in, 0, NULL);
    mls_run_backward(b.run, 1.0);
    assert_true(gradient_of(&b, "layer0.fuse.alpha") > 0.0f);
    finish(&b);
}

static void row_14_parameters_exist_before_the_first_forward(void **state)
{
    (void)state;
    const mls_batch in = tokens();
    bench b;
    start(&b, "bidirectional");
    build(&b, &text, 4, MLS_TRAIN);
    const int n = mls_net_weights(b.net);
    const int64_t count = mls_net_parameters(b.net);
    forward(&b, &in);
    assert_int_equal(mls_net_weights(b.net), n);
    assert_int_equal(mls_net_parameters(b.net), count);
    finish(&b);
}

static void row_20_language_models_are_causal(void **state)
{
    (void)state;
    for (int m = 0; mls_conf_modes[m]; m++) attends_over_the_past(mls_conf_modes[m]);
}

/* One spiking step a token, and the membrane goes on from token to token. */
static void row_21_spikes_remember_across_tokens(void **state)
{
    (void)state;
    bench b;
    start_one(&b, "encoder.lif", "input -> x -> output");
    build(&b, &text, 2, 0);
    const mls_batch in = tokens();
    float before[T * B * VOCABULARY];
    memcpy(before, forward(&b, &in)->data, sizeof before);
    int later = 0;
    for (int v = 1; v < VOCABULARY && !later; v++) {
        token[0] = (token[0] + 1) % VOCABULARY;
        mls_t y = forward(&b, &in);
        for (int t = 1; t < T; t++)
            later |= memcmp(y->data + t * B * VOCABULARY, before + t * B * VOCABULARY,
                            VOCABULARY * sizeof(float)) != 0;
    }
    make_input();
    assert_true(later);
    finish(&b);
}

static void row_25_cost_is_linear_in_length(void **state)
{
    (void)state;
    bench b;
    start(&b, "sequential");
    build(&b, &text, 2, 0);
    mls_cost one, eight;
    assert_true(mls_net_cost(b.net, 512, B, &one, &b.e));
    assert_true(mls_net_cost(b.net, 4096, B, &eight, &b.e));
    assert_true(eight.flops / one.flops > 7.9 && eight.flops / one.flops < 8.1);
    assert_true(eight.bytes / one.bytes > 7.5 && eight.bytes / one.bytes < 8.1);
    finish(&b);
}

/* The first implementation's rules raised on the weight that they were for, were never
 * called, and weakened by the very pairs that strengthened. */
static void row_23_stdp_pairs_and_is_applied(void **state)
{
    (void)state;
    enum { PRE = 4, POST = 9 };
    for (int causal = 0; causal < 2; causal++) {
        bench b;
        static float x[T * B * D];
        start_one(&b, "encoder.lif", "input -> x -> output");
        option(&b, "norm", mls_value_string(&b.a, "none"));
        option(&b, "nodes.x.plasticity", mls_value_string(&b.a, "stdp"));
        option(&b, "nodes.x.plasticity_rate", mls_value_real(&b.a, 0.5));
        option(&b, "nodes.x.beta", mls_value_real(&b.a, 0.0));
        build(&b, &series, 3, MLS_TRAIN);
        mls_weight *w = NULL;
        for (int i = 0; i < mls_net_weights(b.net); i++) {
            mls_weight *v = mls_net_weight(b.net, i);
            memset(v->data, 0, (size_t)(v->rows * v->cols) * sizeof *v->data);
            for (int64_t j = 0; j < v->rows && !strcmp(v->name, "input.weight"); j++)
                v->data[j * v->cols + j] = 1.0f;
            if (!strcmp(v->name, "layer0.x.weight")) w = v;
        }
        assert_non_null(w);
        w->data[3 * D + 2] = 1.25f; /* input 2 makes unit 3 spike */
        memset(x, 0, sizeof x);
        for (int s = 0; s < B; s++) {
            x[((causal ? PRE : POST) * B + s) * D + 1] = 1.0f;
            x[((causal ? POST : PRE) * B + s) * D + 2] = 1.0f;
        }
        const mls_batch in = { .steps = T, .batch = B, .x = x, .target = x };
        mls_run_reset(b.run);
        mls_net_zero_grad(b.net);
        if (!isfinite(mls_run_loss(b.run, &in, 0, NULL)))
            fail_msg("%s", mls_run_error(b.run)->text);
        mls_run_backward(b.run, 1.0);
        mls_net_adapt(b.net);                 /* as every optimiser step ends */
        /* the pair 1 -> 3, five steps apart: Song, Miller and Abbott's window */
        const double want = 0.5 * (causal ? exp(-0.25) : -1.05 * exp(-0.25));
        assert_float_equal(w->data[3 * D + 1], want, 1e-5);
        assert_true(w->rows == D && w->cols == D);
        for (int64_t i = 0; i < D * D; i++)   /* units that did not spike stay */
            if (i / D != 3) assert_true(w->data[i] == 0.0f);
        finish(&b);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_net_init();
    mls_error e = { 0 };
    if (!mls_registry_load(&registry, NULL, &e)) {
        print_error("# %s\n", e.text);
        return 99;
    }
    make_input();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_01_no_nan_at_initialisation),
        cmocka_unit_test(row_02_nan_is_found_not_passed),
        cmocka_unit_test(row_03_no_silent_fallback),
        cmocka_unit_test(row_04_state_is_carried_across_calls),
        cmocka_unit_test(row_06_temporal_adapter_decays_and_is_causal),
        cmocka_unit_test(row_07_rate_adapter_is_causal),
        cmocka_unit_test(row_08_potential_adapter_reads_the_membrane),
        cmocka_unit_test(row_09_cross_attention_runs_over_time_and_is_causal),
        cmocka_unit_test(row_10_state_exchange_works_both_ways),
        cmocka_unit_test(row_11_every_parameter_gets_a_gradient),
        cmocka_unit_test(row_12_every_key_changes_the_output),
        cmocka_unit_test(row_13_fusion_weight_is_learned),
        cmocka_unit_test(row_14_parameters_exist_before_the_first_forward),
        cmocka_unit_test(row_20_language_models_are_causal),
        cmocka_unit_test(row_21_spikes_remember_across_tokens),
        cmocka_unit_test(row_23_stdp_pairs_and_is_applied),
        cmocka_unit_test(row_25_cost_is_linear_in_length),
    };
    const int failed = cmocka_run_group_tests_name("audit", tests, NULL, NULL);
    mls_registry_free(&registry);
    return failed;
}
