/* encoder.lif: snnTorch's numbers, surrogates, gradients, chunks, masks. */
#include "small.h"

static bench k;
static float seen[2][MAX_VALUES]; /* spikes, membrane */

static int wanted(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strcmp(node, "layer0.enc") &&
           (!strcmp(name, "spikes") || !strcmp(name, "membrane"));
}

static void value(void *arg, const mls_channel *ch, mls_t x, int64_t t0)
{
    (void)arg;
    memcpy(seen[!strcmp(ch->name, "membrane")] + t0 * x->dim[1] * x->dim[2], x->data,
           (size_t)x->count * sizeof(float));
}

static const mls_observer observer = { NULL, wanted, value };

static const char *block(const char *options)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "nodes: {enc: {component: encoder.lif%s%s}}, "
             "wire: 'input -> enc -> output'",
             *options ? ", " : "", options);
    return text;
}

static void watch(const char *options, int64_t D, int64_t T, float current)
{
    open_bench(&k, block(options), D, T, 1, 0, 0);
    for (int64_t i = 0; i < T * D; i++) k.x[i] = current;
    mls_run_observe(k.run, &observer);
    run_all(&k);
}

/* ---- snnTorch 0.9.4, Leaky(beta = 0.8), input 0.45 ----------------------- */

typedef struct golden {
    const char *options;
    float membrane[10];
    const char *spikes;
} golden;

static const golden leaky[] = {
    { "reset: subtract",
      { 0.45f, 0.81f, 1.098f, 0.3284f, 0.71272f, 1.020176f, 0.266141f, 0.662913f,
        0.98033f, 1.234264f },
      "0010010001" },
    { "reset: subtract, reset_delay: false",
      { 0.45f, 0.81f, 0.098f, 0.5284f, 0.87272f, 0.148176f, 0.568541f, 0.904833f,
        0.173866f, 0.589093f },
      "0010010010" },
    { "reset: zero",
      { 0.45f, 0.81f, 1.098f, 0.45f, 0.81f, 1.098f, 0.45f, 0.81f, 1.098f, 0.45f },
      "0010010010" },
    { "reset: zero, reset_delay: false",
      { 0.45f, 0.81f, 0.0f, 0.45f, 0.81f, 0.0f, 0.45f, 0.81f, 0.0f, 0.45f },
      "0010010010" },
    { "reset: none",
      { 0.45f, 0.81f, 1.098f, 1.3284f, 1.51272f, 1.660176f, 1.778141f, 1.872512f,
        1.94801f, 2.008408f },
      "0011111111" },
    { "reset: none, reset_delay: false",
      { 0.45f, 0.81f, 1.098f, 1.3284f, 1.51272f, 1.660176f, 1.778141f, 1.872512f,
        1.94801f, 2.008408f },
      "0011111111" },
    /* by hand: 0.8 (1.098 - 1) + 0.45, then on; (1 - R)(0.8 U + 0.45) */
    { "reset: subtract_beta",
      { 0.45f, 0.81f, 1.098f, 0.5284f, 0.87272f, 1.148176f, 0.568541f, 0.904833f,
        1.173866f, 0.589093f },
      "0010010010" },
    { "reset: zero_full",
      { 0.45f, 0.81f, 1.098f, 0.0f, 0.45f, 0.81f, 1.098f, 0.0f, 0.45f, 0.81f },
      "0010001000" },
};

static void gives_the_numbers_of_snntorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof leaky / sizeof *leaky; i++) {
        char options[256];
        snprintf(options, sizeof options, "project: false, beta: 0.8, %s",
                 leaky[i].options);
        watch(options, 1, 10, 0.45f);
        same(seen[1], leaky[i].membrane, 10, 2e-6, leaky[i].options);
        for (int t = 0; t < 10; t++)
            if ((seen[0][t] != 0.0f) != (leaky[i].spikes[t] == '1'))
                fail_msg("%s: spike %g at step %d", leaky[i].options,
                         (double)seen[0][t], t);
        close_bench(&k);
    }
}

static void fires_above_the_threshold_only(void **state)
{
    (void)state;
    watch("project: false, beta: 0", 3, 1, 1.0f);
    assert_true(seen[0][0] == 0.0f);
    close_bench(&k);
    watch("project: false, beta: 0, fire_on_equal: true", 3, 1, 1.0f);
    assert_true(seen[0][0] == 1.0f);
    close_bench(&k);
}

/* 10 inner steps of one token are the ten golden steps. */
static void reads_inner_steps_out(void **state)
{
    (void)state;
    static const struct {
        const char *readout;
        float spikes;
    } want[] = { { "mean", 0.3f }, { "last", 1.0f }, { "sum", 3.0f } };
    for (int i = 0; i < 3; i++) {
        char options[128];
        snprintf(options, sizeof options,
                 "project: false, beta: 0.8, steps: 10, readout: %s", want[i].readout);
        watch(options, 1, 1, 0.45f);
        same(seen[0], &want[i].spikes, 1, 1e-7, want[i].readout);
        same(seen[1], &leaky[0].membrane[9], 1, 2e-6, "membrane");
        close_bench(&k);
    }
}

/* ---- gradients ---------------------------------------------- */

static void has_the_declared_surrogates(void **state)
{
    (void)state;
    static const struct {
        const char *options;
        float at[2], peak;
    } want[] = { { "surrogate: fast_sigmoid", { 0.081633f, 0.005487f }, 1.0f },
                 { "surrogate: atan", { 0.910170f, 0.288400f }, 1.0f },
                 { "surrogate: sigmoid", { 1.752593f, 9.3e-5f }, 6.25f },
                 { "surrogate: triangle", { 0.9f, 0.5f }, 1.0f },
                 { "surrogate: erf", { 1.084135f, 0.415107f }, 1.128379f },
                 { "surrogate: rectangle", { 1.0f, 0.0f }, 1.0f },
                 { "surrogate: straight_through", { 1.0f, 1.0f }, 1.0f } };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        char options[128];
        float *grad = NULL;
        snprintf(options, sizeof options, "project: false, %s", want[i].options);
        open_bench(&k, block(options), 3, 1, 1, 0, MLS_TRAIN);
        weight_of(&k, "input.bias", &grad);
        k.x[0] = 1.1f;
        k.x[1] = 1.5f;
        k.x[2] = 1.0f;
        for (int j = 0; j < 3; j++) k.g[j] = 1.0f;
        run_all(&k);
        mls_run_backward_from(k.run, k.g);
        same(grad, want[i].at, 2, 2e-6, want[i].options);
        same(grad + 2, &want[i].peak, 1, 1e-6, "peak");
        close_bench(&k);
    }
}

static const char *const smooth[] = {
    "surrogate: fast_sigmoid, slope: 1.5",
    "surrogate: atan, reset: subtract_beta",
    "surrogate: sigmoid, slope: 2, reset: zero",
    "surrogate: atan, reset: zero_full",
    "surrogate: atan, reset: none",
    "surrogate: atan, reset_delay: false",
    "surrogate: sigmoid, slope: 3, reset: zero, reset_delay: false",
    "surrogate: atan, reset: zero_full, reset_delay: false",
    ("surrogate: atan, reset: subtract_beta, reset_delay: false, learn_beta: scalar, "
     "learn_threshold: unit"),
    "surrogate: atan, learn_beta: unit, learn_threshold: scalar",
    "surrogate: atan, reset: subtract_beta, learn_beta: unit, learn_threshold: unit",
    "surrogate: atan, reset: zero_full, learn_beta: scalar, learn_threshold: unit",
    "surrogate: straight_through",
    "surrogate: erf, slope: 1.5, learn_beta: unit",
    "surrogate: atan, steps: 3, learn_beta: scalar",
    "surrogate: atan, steps: 3, readout: last",
    "surrogate: atan, steps: 2, readout: sum, reset_delay: false",
};

/* spikes and membrane both reach the output */
static void agrees_with_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof smooth / sizeof *smooth; i++)
        for (int masked = 0; masked < 2; masked++) {
            char text[1024];
            snprintf(text, sizeof text,
                     "nodes: {enc: {component: encoder.lif, detach_reset: "
                     "false, beta: 0.7, %s}, pot: {component: adapter.potential}, sum: "
                     "{component:"
                     " fusion.sum}}, wire: 'input -> enc -> sum.a; enc.membrane -> "
                     "pot.membrane; "
                     "pot -> sum.b; sum -> output'",
                     smooth[i]);
            open_bench(&k, text, 3, 5, 2, masked, MLS_TRAIN | MLS_SMOOTH);
            for (int j = 0; j < 6; j++) k.init[0][j] = noise(40 + j);
            check_gradients(&k, 4e-3);
            close_bench(&k);
        }
}

/* Without a gradient through the reset, the reset is a constant: by hand, in double. */
static void detaches_the_reset(void **state)
{
    (void)state;
    enum { T = 12 };
    for (int learn = 0; learn < 2; learn++) {
        char options[128];
        snprintf(options, sizeof options,
                 "project: false, beta: 0.8, surrogate: atan%s",
                 learn ? ", learn_threshold: scalar" : "");
        open_bench(&k, block(options), 1, T, 1, 0, MLS_TRAIN);
        mls_run_observe(k.run, &observer);
        run_all(&k);
        mls_run_backward_from(k.run, k.g);
        double du = 0.0, bias = 0.0, theta = 0.0;
        for (int t = T - 1; t >= 0; t--) {
            const double z = 3.14159265358979 * ((double)seen[1][t] - 1.0);
            const double phi = 1.0 / (1.0 + z * z) * (double)k.g[t];
            du = phi + 0.8 * du;
            bias += du;
            theta -= phi + (t > 0 && seen[0][t - 1] != 0.0f ? du : 0.0);
        }
        float *grad = NULL;
        weight_of(&k, "input.bias", &grad);
        same(grad, (float[]){ (float)bias }, 1, 1e-5, "input.bias");
        if (learn) {
            weight_of(&k, "layer0.enc.threshold", &grad);
            same(grad, (float[]){ (float)theta }, 1, 1e-5, "threshold");
        }
        close_bench(&k);
    }
}

/* ---- chunks, masks, errors ---------------------------------------------- */

static const char *const modes[] = { "", "reset: zero, reset_delay: false",
                                     "reset: subtract_beta, steps: 3",
                                     "reset_delay: false, steps: 4, readout: last" };

static void streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        for (int masked = 0; masked < 2; masked++) {
            open_bench(&k, block(modes[i]), 5, 9, 2, masked, MLS_EXACT);
            check_chunks(&k, 0);
            close_bench(&k);
        }
}

static void freezes_at_masked_steps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        open_bench(&k, block(modes[i]), 5, 14, 1, 1, MLS_EXACT);
        check_mask(&k, 0);
        mls_t y = run_all(&k);
        for (int t = 0; t < 14; t++)
            for (int n = 0; n < 5; n++)
                if (k.mask[t] == 0.0f) assert_true(y->data[t * 5 + n] == 0.0f);
        close_bench(&k);
    }
}

static void refuses_a_current_of_another_width(void **state)
{
    (void)state;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    assert_null(build_net(&a, block("project: false, units: 7"), 5, 1, 0, &e));
    assert_non_null(strstr(e.text, "units = 7, input \"in\" is 5 wide"));
    mls_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_numbers_of_snntorch),
        cmocka_unit_test(fires_above_the_threshold_only),
        cmocka_unit_test(reads_inner_steps_out),
        cmocka_unit_test(has_the_declared_surrogates),
        cmocka_unit_test(agrees_with_differences),
        cmocka_unit_test(detaches_the_reset),
        cmocka_unit_test(streams),
        cmocka_unit_test(freezes_at_masked_steps),
        cmocka_unit_test(refuses_a_current_of_another_width),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("encoder.lif", tests, start_plugins,
                                       stop_plugins);
}
