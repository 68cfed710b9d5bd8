/* Penalties of spiking neurons: their values by hand from spikes and membrane of real
 * steps, and their gradients. */
#include "small.h"

#include "study/watch.h"

enum { D = 3, T = 6, B = 2 };
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
    memcpy(seen[!strcmp(ch->name, "membrane")] + t0 * B * D, x->data,
           (size_t)x->count * sizeof(float));
}

static void open_neurons(const char *neuron, const char *penalties, unsigned flags)
{
    static const mls_observer observer = {NULL, wanted, value};
    static char text[1024];
    snprintf(text, sizeof text,
             "nodes: {enc: {component: encoder.%s, project: false, %s}}, "
             "wire: 'input -> enc -> output'",
             neuron, penalties);
    open_bench(&k, text, D, T, B, 1, flags);
    for (int b = 0; b < B; b++) k.mask[b] = 1.0f; /* no sample is all padding */
    mls_run_observe(k.run, &observer);
}

static double outside(double x, double low, double high)
{
    const double d = x < low ? low - x : x > high ? x - high : 0.0;
    return d * d;
}

/* per: spikes of a step at most */
static void by_hand(double theta, double per, double *rates, double *l1, double *volts)
{
    double steps = 0.0;
    *rates = *l1 = *volts = 0.0;
    for (int b = 0; b < B; b++)
        for (int n = 0; n < D; n++) {
            double sum = 0.0, real = 0.0;
            for (int t = 0; t < T; t++) {
                if (k.mask[t * B + b] == 0.0f) continue;
                const int i = (t * B + b) * D + n;
                sum += (double)seen[0][i] / per;
                real += 1.0;
                *volts += outside((double)seen[1][i], -theta, theta);
            }
            *rates += outside(sum / real, 0.3, 0.4) / (B * D);
            *l1 += sum;
            steps += real;
        }
    *l1 /= steps;
    *volts /= steps;
}

static double penalty_of(const char *neuron, const char *penalties)
{
    open_neurons(neuron, penalties, MLS_TRAIN);
    run_all(&k);
    return mls_run_penalty(k.run, NULL);
}

static void values(void **state)
{
    (void)state;
    static const struct { const char *neuron; double theta, per; } each[] = {
        {"lif, threshold: 0.7", 0.7, 1.0},
        {"lif, threshold: 0.7, steps: 3, readout: sum", 0.7, 3.0},
        {"plif, threshold: 0.3", 0.3, 1.0},
        {"rlif, threshold: 0.7", 0.7, 1.0},
        {"alif, threshold: 0.7, steps: 2, readout: sum", 0.7, 2.0},
        {"synaptic, threshold: 0.7", 0.7, 1.0},
    };
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        double rates, l1, volts;
        const double none = penalty_of(each[i].neuron, "rate_low: 0.3, rate_high: 0.4");
        assert_true(none == 0.0);
        by_hand(each[i].theta, each[i].per, &rates, &l1, &volts);
        assert_true(rates > 0.0 && l1 > 0.0 && volts > 0.0);
        close_bench(&k);
        assert_float_equal(
            penalty_of(each[i].neuron, "rate_low: 0.3, rate_high: 0.4, rate_weight: 5"),
            5.0 * rates, 1e-5);
        close_bench(&k);
        assert_float_equal(penalty_of(each[i].neuron, "l1_weight: 2"), 2.0 * l1, 1e-5);
        close_bench(&k);
        assert_float_equal(penalty_of(each[i].neuron, "voltage_weight: 2"), 2.0 * volts,
                           1e-5);
        close_bench(&k);
    }
}

static void agrees_with_differences(void **state)
{
    (void)state;
    static const char *const penalties[] = {
        "rate_weight: 20, rate_low: 0.9, rate_high: 1", "l1_weight: 5",
        "voltage_weight: 1",
        "rate_weight: 20, rate_low: 0, rate_high: 0.1, l1_weight: 3, voltage_weight: 1"};
    static const char *const neuron[] = {
        "lif, surrogate: atan, detach_reset: false",
        "synaptic, surrogate: atan, detach_reset: false, recurrent: all_to_all"};
    for (size_t n = 0; n < sizeof neuron / sizeof *neuron; n++)
        for (size_t i = 0; i < sizeof penalties / sizeof *penalties; i++) {
            open_neurons(neuron[n], penalties[i], MLS_TRAIN | MLS_SMOOTH);
            check_gradients(&k, 6e-3);
            close_bench(&k);
        }
}

static void a_band_upside_down_is_refused(void **state)
{
    (void)state;
    mls_arena a = {0};
    mls_error e = {0};
    assert_null(build_net(&a,
                          "nodes: {enc: {component: encoder.lif, rate_weight: 1, "
                          "rate_low: 0.5, rate_high: 0.1}}, wire: 'input -> enc -> output'",
                          D, 1, 0, &e));
    assert_non_null(strstr(e.text, "rate_low = 0.5 lies above rate_high = 0.1"));
    mls_arena_free(&a);
}

/* The rate that a trial reports leaves padding out. */
static void the_rate_is_of_real_steps(void **state)
{
    (void)state;
    double rates, l1, volts;
    mls_watch w;
    open_neurons("lif, threshold: 0.7", "l1_weight: 0", 0);
    run_all(&k);
    by_hand(0.7, 1.0, &rates, &l1, &volts);
    mls_watch_attach(&w, k.run, NULL, 1, &k.arena);
    run_all(&k);
    assert_float_equal(mls_watch_rate(&w), l1, 1e-9);
    close_bench(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(agrees_with_differences),
        cmocka_unit_test(the_rate_is_of_real_steps),
        cmocka_unit_test(a_band_upside_down_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("penalties of neurons", tests, start_plugins,
                                       stop_plugins);
}
