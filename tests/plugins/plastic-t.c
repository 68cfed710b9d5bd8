/* Plasticity of spiking encoders: STDP against the sum over all pairs of spikes, written
 * down as such; homeostasis reaches its rate; both in training alone. */
#include "small.h"

static bench k;
static const char *const neurons[] = {"lif", "plif", "alif", "synaptic", "rlif"};

enum { KINDS = 5, D = 5, T = 24, B = 3, N = 5 };

static void open_rule(const char *neuron, const char *options, int masked,
                      unsigned flags)
{
    char text[512];
    snprintf(text, sizeof text,
             "nodes: {enc: {component: encoder.%s, %s}, ad: {component: "
             "adapter.temporal}}, wire: 'input -> enc -> ad -> output'",
             neuron, options);
    open_bench(&k, text, D, T, B, masked, flags);
    float *w = weight_of(&k, "layer0.enc.weight", NULL);
    for (int i = 0; i < N * D; i++) w[i] = 0.6f * noise(40 + i) + 0.35f;
}

static float spikes[T * B * N], shown[T * B * N];

static int wanted(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strcmp(node, "layer0.enc") &&
           (!strcmp(name, "spikes") || !strcmp(name, "weight_change"));
}

static void value(void *arg, const mls_channel *ch, mls_t x, int64_t t0)
{
    float *to = !strcmp(ch->name, "spikes") ? spikes : shown;
    const int64_t *from = arg;
    memcpy(to + (*from + t0) * B * N, x->data, (size_t)x->count * sizeof(float));
}

static const float *pending(const char *name)
{
    for (int i = 0; i < mls_net_weights(k.net); i++)
        if (!strcmp(mls_net_weight(k.net, i)->name, name))
            return mls_net_pending(k.net, i);
    return NULL;
}

/* A forward and its backward, in pieces of n steps. */
static void train(int64_t n)
{
    static const float none[T * B * D];
    int64_t from = 0;
    mls_run_observe(k.run, &(mls_observer){&from, wanted, value});
    mls_run_reset(k.run);
    mls_net_zero_grad(k.net);
    for (; from < T; from += n) {
        run_part(&k, from, n < T - from ? n : T - from);
        mls_run_backward_from(k.run, none);
    }
    mls_run_observe(k.run, NULL);
}

static double input(int64_t t, int64_t b, int64_t j)
{
    const double x = (double)k.x[(t * B + b) * D + j];
    return k.masked && k.mask[t * B + b] == 0.0f ? 0.0 : x < 0.0 ? 0.0 : x;
}

/* dt = real steps between; every pair counts. */
static double all_pairs(int i, int j, double plus, double minus, double pre, double post)
{
    double sum = 0.0;
    for (int64_t b = 0; b < B; b++) {
        int64_t n[T], real = 0; /* the number of each real step */
        for (int64_t t = 0; t < T; t++)
            n[t] = k.masked && k.mask[t * B + b] == 0.0f ? real : real++;
        for (int64_t t = 0; t < T; t++)
            for (int64_t u = 0; u < T; u++) {
                const double dt = (double)(n[t] - n[u]);
                const double s = input(u, b, j) * (double)spikes[(t * B + b) * N + i];
                sum += dt >= 0.0 ? plus * s * exp(-dt / pre) : -minus * s * exp(dt / post);
            }
    }
    return sum / B;
}

static void check_pairs(const float *got, double plus, double minus, double pre,
                        double post, int soft, const char *what)
{
    const float *w = weight_of(&k, "layer0.enc.weight", NULL);
    double most = 0.0;
    assert_non_null(got);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++) {
            double u = ((double)w[i * D + j] + 0.5) / 2.0;
            u = u < 0.0 ? 0.0 : u > 1.0 ? 1.0 : u;
            const double want = 0.01 * all_pairs(i, j, soft ? (1.0 - u) * plus : plus,
                                                 soft ? u * minus : minus, pre, post);
            most = fmax(most, fabs(want));
            if (!(fabs((double)got[i * D + j] - want) <= 2e-6))
                fail_msg("%s: dw[%d][%d] is %.9g, over all pairs %.9g", what, i, j,
                         (double)got[i * D + j], want);
        }
    if (most < 1e-3) fail_msg("%s: nothing to see, most %g", what, most);
}

static void stdp_is_the_sum_over_all_pairs(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int masked = 0; masked < 2; masked++)
            for (int soft = 0; soft < 2; soft++) {
                char options[256];
                snprintf(options, sizeof options,
                         "plasticity: stdp, plasticity_rate: 0.01, a_plus: 0.7, "
                         "a_minus: 0.9, tau_pre: 3, tau_post: 6, bounds: %s, "
                         "w_min: -0.5, w_max: 1.5",
                         soft ? "soft" : "hard");
                open_rule(neurons[kind], options, masked, MLS_TRAIN);
                /* spikes, then values: negative ones are none */
                for (int values = 0; values < 2; values++) {
                    for (int i = 0; i < T * B * D; i++)
                        k.x[i] = values ? 1.3f * noise(i) + 0.4f : noise(i) > 0.2f;
                    train(T);
                    check_pairs(pending("layer0.enc.weight"), 0.7, 0.9, 3.0, 6.0, soft,
                                neurons[kind]);
                    train(7); /* the traces go on from piece to piece */
                    check_pairs(pending("layer0.enc.weight"), 0.7, 0.9, 3.0, 6.0, soft,
                                "in pieces");
                }
                const float *dw = pending("layer0.enc.weight");
                for (int i = 0; i < N; i++) {
                    double all = 0.0, each = 0.0;
                    for (int j = 0; j < D; j++) all += (double)dw[i * D + j];
                    for (int r = 0; r < T * B; r++) each += (double)shown[r * N + i] / B;
                    assert_float_equal(each, all, 1e-5);
                }
                close_bench(&k);
            }
}

/* One input spike and one output spike, dt apart. */
static double one_pair(int pre, int post)
{
    open_rule("lif", "plasticity: stdp, plasticity_rate: 1, tau_pre: 4, tau_post: 4, "
                     "a_minus: 0.5, beta: 0",
              0, MLS_TRAIN);
    float *w = weight_of(&k, "layer0.enc.weight", NULL);
    memset(w, 0, N * D * sizeof *w);
    memset(weight_of(&k, "layer0.enc.bias", NULL), 0, N * sizeof(float));
    memset(k.x, 0, sizeof k.x);
    w[1] = 2.0f; /* unit 0 spikes when input 1 does */
    k.x[(pre * B + 1) * D + 0] = 1.0f;
    k.x[(post * B + 1) * D + 1] = 1.0f;
    train(T);
    const double dw = (double)pending("layer0.enc.weight")[0] * B;
    close_bench(&k);
    return dw;
}

static void before_strengthens_and_after_weakens(void **state)
{
    (void)state;
    assert_float_equal(one_pair(5, 5), 1.0, 1e-6); /* an input acts in its own step */
    assert_float_equal(one_pair(5, 8), exp(-0.75), 1e-6);
    assert_float_equal(one_pair(8, 5), -0.5 * exp(-0.75), 1e-6);
    assert_float_equal(one_pair(6, 5), -0.5 * exp(-0.25), 1e-6);
}

static void weights_stay_within_bounds(void **state)
{
    (void)state;
    for (int soft = 0; soft < 2; soft++) {
        open_rule("lif", soft ? "plasticity: stdp, plasticity_rate: 1e-3, bounds: soft, "
                                "w_min: 0, w_max: 0.5, a_minus: 0.2"
                              : "plasticity: stdp, plasticity_rate: 50, w_min: 0, "
                                "w_max: 0.5, a_minus: 0.2",
                  0, MLS_TRAIN);
        float *w = weight_of(&k, "layer0.enc.weight", NULL);
        int top = 0, bottom = 0, weights;
        for (int i = 0; i < N * D; i++) w[i] = 0.25f + 0.2f * noise(i);
        for (int i = 0; i < N; i++) weight_of(&k, "layer0.enc.bias", NULL)[i] = 0.3f;
        for (int n = 0; n < 5; n++) {
            train(T);
            mls_net_adapt(k.net);
            assert_true(n > 0 || mls_net_adapted(k.net, &weights) > 0.0);
            mls_net_adapted(k.net, &weights);
            assert_int_equal(weights, 1);
            for (int i = 0; i < N * D; i++) assert_true(w[i] >= 0.0f && w[i] <= 0.5f);
        }
        for (int i = 0; i < N * D; i++) top += w[i] == 0.5f, bottom += w[i] == 0.0f;
        if (soft ? top || bottom : top + bottom < N)
            fail_msg("%d of %d weights are at the top, %d at the bottom", top, N * D,
                     bottom);
        assert_null(pending("layer0.enc.weight"));
        close_bench(&k);
    }
}

static void homeostasis_reaches_its_rate(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        open_rule(neurons[kind],
                  kind % 2 ? "plasticity: homeostatic, plasticity_rate: 0.02, "
                             "target_rate: 0.25, steps: 4, readout: sum"
                           : "plasticity: homeostatic, plasticity_rate: 0.02, "
                             "target_rate: 0.25",
                  1, MLS_TRAIN);
        const double share = kind % 2 ? 0.25 : 1.0;
        double first = 0.0, last = 0.0;
        for (int n = 0; n < 400; n++) {
            double worst = 0.0;
            train(n % 2 ? T : 5);
            for (int i = 0; i < N; i++) {
                double sum = 0.0, count = 0.0;
                for (int r = 0; r < T * B; r++) {
                    sum += share * (double)spikes[r * N + i];
                    count += (double)k.mask[r];
                }
                assert_float_equal(pending("layer0.enc.threshold")[i],
                                   0.02 * (sum - 0.25 * count) / B, 1e-6);
                worst = fmax(worst, fabs(sum / count - 0.25));
            }
            mls_net_adapt(k.net);
            if (n == 0) first = worst;
            if (n >= 380) last = fmax(last, worst);
        }
        if (!(first > 0.15 && last < 0.1))
            fail_msg("%s: rates are off by %g at first and by %g at last", neurons[kind],
                     first, last);
        close_bench(&k);
    }
}

/* Nothing moves in evaluation, without a backward, or when the gradients were zeroed. */
static void only_training_moves_anything(void **state)
{
    (void)state;
    static const char *const rule[] = {"plasticity: stdp", "plasticity: homeostatic"};
    for (int i = 0; i < 4; i++) {
        open_rule("lif", rule[i / 2], 0, i % 2 ? MLS_TRAIN : 0);
        const char *name = i / 2 ? "layer0.enc.threshold" : "layer0.enc.weight";
        run_all(&k);
        assert_null(pending(name));
        train(T);
        assert_true((pending(name) != NULL) == i % 2);
        mls_net_zero_grad(k.net);
        assert_null(pending(name));
        mls_net_adapt(k.net);
        assert_true(mls_net_adapted(k.net, NULL) == 0.0);
        close_bench(&k);
    }
}

static int is_frozen(const char *name)
{
    for (int i = 0; i < mls_net_weights(k.net); i++)
        if (!strcmp(mls_net_weight(k.net, i)->name, name))
            return (mls_net_weight(k.net, i)->flags & MLS_FROZEN) != 0;
    return -1;
}

/* Beside the gradient, or in its place. */
static void alone_there_is_no_gradient(void **state)
{
    (void)state;
    open_rule("lif", "plasticity: stdp", 0, MLS_TRAIN);
    assert_int_equal(is_frozen("layer0.enc.weight"), 0);
    close_bench(&k);
    open_rule("lif", "plasticity: stdp, plasticity_alone: true", 0, MLS_TRAIN);
    assert_int_equal(is_frozen("layer0.enc.weight"), 1);
    float *grad = NULL;
    weight_of(&k, "layer0.enc.weight", &grad);
    assert_non_null(grad);
    run_all(&k);
    mls_net_zero_grad(k.net);
    mls_run_backward_from(k.run, k.g);
    for (int i = 0; i < N * D; i++) assert_true(grad[i] == 0.0f);
    assert_non_null(pending("layer0.enc.weight"));
    close_bench(&k);
    open_rule("lif", "plasticity: homeostatic", 0, MLS_TRAIN);
    assert_int_equal(is_frozen("layer0.enc.threshold"), 1);
    close_bench(&k);
    open_rule("lif", "plasticity: homeostatic, learn_threshold: unit", 0, MLS_TRAIN);
    assert_int_equal(is_frozen("layer0.enc.threshold"), 0);
    close_bench(&k);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"plasticity: stdp, project: false", "project = false has none"},
        {"plasticity: stdp, w_min: 1, w_max: 1", "w_min = 1 does not lie below w_max = 1"},
        {"plasticity: homeostatic, learn_threshold: scalar", "expected none or unit"},
        {"plasticity: hebb", "stdp"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mls_arena a = {0};
        mls_error e = {0};
        const char *block = mls_arena_printf(
            &a, "nodes: {enc: {component: encoder.lif, %s}}, wire: 'input -> enc -> output'",
            bad[i][0]);
        assert_null(build_net(&a, block, D, 1, 0, &e));
        if (!strstr(e.text, bad[i][1])) fail_msg("%s: %s", bad[i][0], e.text);
        mls_arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stdp_is_the_sum_over_all_pairs),
        cmocka_unit_test(before_strengthens_and_after_weakens),
        cmocka_unit_test(weights_stay_within_bounds),
        cmocka_unit_test(homeostasis_reaches_its_rate),
        cmocka_unit_test(only_training_moves_anything),
        cmocka_unit_test(alone_there_is_no_gradient),
        cmocka_unit_test(what_cannot_be_is_refused)};
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("plasticity", tests, start_plugins, stop_plugins);
}
