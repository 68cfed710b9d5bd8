/* The spiking neurons beside encoder.lif: the numbers of their references, inner steps
 * and recurrence.  What every component promises is asked by mls validate. */
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

static const mls_observer observer = {NULL, wanted, value};

static void open_neurons(const char *neuron, int64_t D, int64_t T)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "nodes: {enc: {component: encoder.%s, project: false}}, "
             "wire: 'input -> enc -> output'",
             neuron);
    open_bench(&k, text, D, T, 1, 0, 0);
    mls_run_observe(k.run, &observer);
}

static void same_neurons(const double *u, const double *s, int64_t n, double tolerance,
                         const char *what)
{
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)seen[1][i] - u[i]) <= tolerance * fmax(1.0, fabs(u[i]))) ||
            (double)seen[0][i] != s[i])
            fail_msg("%s, value %lld: U = %.9g and S = %g, expected %.9g and %g", what,
                     (long long)i, (double)seen[1][i], (double)seen[0][i], u[i], s[i]);
}

/* snnTorch 0.9.4: Synaptic(alpha = 0.5, beta = 0.8), input 0.25 */
static void synaptic_gives_the_numbers_of_snntorch(void **state)
{
    (void)state;
    static const double u[] = {0.25,     0.575,     0.8975,    1.18675,
                               0.433775, 0.8392075, 1.16745975};
    static const double s[] = {0, 0, 0, 1, 0, 0, 1};
    open_neurons("synaptic, alpha: 0.5, beta: 0.8", 1, 7);
    for (int i = 0; i < 7; i++) k.x[i] = 0.25f;
    run_all(&k);
    same_neurons(u, s, 7, 1e-6, "synaptic");
    close_bench(&k);
}

/* SpikingJelly's order: charge, fire, reset; tau 2, input in ascending strength */
static void plif_gives_the_numbers_of_spikingjelly(void **state)
{
    (void)state;
    enum { T = 24 };
    for (int i = 0; i < 4; i++) {
        const int hard = i & 1, decay = i < 2;
        double v = 0.0, u[T], s[T], spikes = 0.0;
        char options[128];
        snprintf(options, sizeof options, "plif, reset: %s, decay_input: %s",
                 hard ? "zero" : "subtract", decay ? "true" : "false");
        open_neurons(options, 1, T);
        for (int t = 0; t < T; t++) k.x[t] = 0.5f + 0.1f * (float)t;
        run_all(&k);
        for (int t = 0; t < T; t++) {
            u[t] = v - v / 2.0 + (double)k.x[t] / (decay ? 2.0 : 1.0);
            s[t] = u[t] > 1.0;
            v = hard ? (1.0 - s[t]) * u[t] : u[t] - s[t];
            spikes += s[t];
        }
        assert_true(spikes > 4.0 && spikes < T);
        same_neurons(u, s, T, 1e-5, options);
        close_bench(&k);
    }
}

/* Bellec et al. 2018, eqs. 1-3, with one unit of feedback */
static void alif_follows_its_equations(void **state)
{
    (void)state;
    enum { T = 40 };
    for (int normalize = 0; normalize < 2; normalize++) {
        double v = 0.0, a = 0.0, z = 0.0, u[T], s[T], spikes = 0.0;
        char options[160];
        snprintf(options, sizeof options,
                 "alif, alpha: 0.8, rho: 0.9, strength: 1.5, recurrent: one_to_one, "
                 "feedback: 0.3, normalize: %s",
                 normalize ? "true" : "false");
        open_neurons(options, 1, T);
        for (int t = 0; t < T; t++) k.x[t] = 0.6f;
        run_all(&k);
        for (int t = 0; t < T; t++) {
            v = 0.8 * v + (double)k.x[t] + 0.3 * z - (1.0 + 1.5 * a) * z;
            a = 0.9 * a + (normalize ? 0.1 : 1.0) * z;
            z = v > 1.0 + 1.5 * a;
            u[t] = v;
            s[t] = z;
            spikes += z;
        }
        assert_true(spikes > 2.0 && spikes < T);
        same_neurons(u, s, T, 1e-5, options);
        close_bench(&k);
    }
}

/* As norse: the reset in the step of the spike, which our membrane does not show. */
static void izhikevich_gives_the_numbers_of_norse(void **state)
{
    (void)state;
    enum { T = 160 };
    static const struct {
        const char *name;
        double a, b, c, d;
    } want[] = {{"tonic_spiking", 0.02, 0.2, -65, 6},
                {"tonic_bursting", 0.02, 0.2, -50, 2},
                {"fast_spiking", 0.1, 0.2, -65, 2}};
    for (int i = 0; i < 3; i++) {
        double v = -65.0, r = -65.0 * want[i].b, u[T], s[T], spikes = 0.0;
        char options[128];
        snprintf(options, sizeof options, "izhikevich, preset: %s, dt: 0.25, gain: 10",
                 want[i].name);
        open_neurons(options, 1, T);
        for (int t = 0; t < T; t++) k.x[t] = 1.0f;
        run_all(&k);
        for (int t = 0; t < T; t++) {
            const double old = v;
            v += 0.25 * (0.04 * v * v + 5.0 * v + 140.0 - r + 10.0);
            r += 0.25 * want[i].a * (want[i].b * old - r);
            u[t] = v;
            s[t] = v > 30.0;
            if (s[t] == 0.0) continue;
            v = want[i].c;
            r += want[i].d;
            spikes++;
        }
        assert_true(spikes >= 2.0);
        same_neurons(u, s, T, 2e-3, options);
        close_bench(&k);
    }
}

/* snnTorch's RLeaky: U = beta U + I + V S + c - theta S */
static void rlif_hears_every_spike(void **state)
{
    (void)state;
    enum { N = 5, T = 30 };
    double v[N] = {0}, z[N] = {0}, u[T * N], s[T * N], spikes = 0.0;
    open_neurons("rlif, beta: 0.8", N, T);
    const float *w = weight_of(&k, "layer0.enc.recurrent", NULL);
    const float *c = weight_of(&k, "layer0.enc.recurrent_bias", NULL);
    run_all(&k);
    for (int t = 0; t < T; t++) {
        double in[N];
        for (int i = 0; i < N; i++) {
            in[i] = (double)k.x[t * N + i] + (double)c[i];
            for (int j = 0; j < N; j++) in[i] += (double)w[i * N + j] * z[j];
        }
        for (int i = 0; i < N; i++) {
            v[i] = 0.8 * v[i] + in[i] - z[i];
            u[t * N + i] = v[i];
            spikes += s[t * N + i] = z[i] = v[i] > 1.0;
        }
    }
    assert_true(spikes > T && spikes < T * N);
    same_neurons(u, s, T * N, 1e-5, "rlif");
    close_bench(&k);
}

/* Inner steps of one token are the steps of a constant sequence. */
static void inner_steps_are_steps(void **state)
{
    (void)state;
    static const char *const neuron[] = {"synaptic", "rlif", "alif", "plif",
                                         "izhikevich"};
    static const char *const readout[] = {"sum", "mean", "last"};
    for (int i = 0; i < 15; i++) {
        char options[128];
        float sum[3] = {0}, last[3], membrane[3];
        open_neurons(neuron[i / 3], 3, 12);
        for (int j = 0; j < 36; j++) k.x[j] = 0.4f + 0.3f * (float)(j % 3);
        run_all(&k);
        for (int j = 0; j < 36; j++) sum[j % 3] += seen[0][j];
        memcpy(last, seen[0] + 33, sizeof last);
        memcpy(membrane, seen[1] + 33, sizeof membrane);
        close_bench(&k);
        snprintf(options, sizeof options, "%s, steps: 12, readout: %s", neuron[i / 3],
                 readout[i % 3]);
        open_neurons(options, 3, 1);
        for (int j = 0; j < 3; j++) k.x[j] = 0.4f + 0.3f * (float)j;
        run_all(&k);
        if (i % 3 == 1)
            for (int j = 0; j < 3; j++) sum[j] /= 12.0f;
        same(seen[0], i % 3 < 2 ? sum : last, 3, 1e-6, options);
        same(seen[1], membrane, 3, 0.0, options);
        close_bench(&k);
    }
}

/* Gradients where validate does not look: inner steps and recurrence that learn
 * together. */
static void agrees_with_differences(void **state)
{
    (void)state;
    static const char *const neuron[] = {
        "rlif, steps: 3, surrogate: atan, learn_beta: unit, learn_threshold: unit",
        "rlif, recurrent: one_to_one, steps: 2, surrogate: atan, reset: zero_full",
        "alif, steps: 3, surrogate: atan, recurrent: all_to_all, learn_rho: scalar",
        "synaptic, steps: 2, surrogate: atan, recurrent: all_to_all, learn_alpha: unit",
        "plif, steps: 3, surrogate: atan, readout: last",
    };
    for (size_t i = 0; i < sizeof neuron / sizeof *neuron; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "nodes: {enc: {component: encoder.%s, detach_reset: false}}, "
                 "wire: 'input -> enc -> output'",
                 neuron[i]);
        open_bench(&k, text, 3, 5, 2, 1, MLS_TRAIN | MLS_SMOOTH);
        check_gradients(&k, 4e-3);
        close_bench(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synaptic_gives_the_numbers_of_snntorch),
        cmocka_unit_test(plif_gives_the_numbers_of_spikingjelly),
        cmocka_unit_test(alif_follows_its_equations),
        cmocka_unit_test(izhikevich_gives_the_numbers_of_norse),
        cmocka_unit_test(rlif_hears_every_spike),
        cmocka_unit_test(inner_steps_are_steps),
        cmocka_unit_test(agrees_with_differences),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spiking neurons", tests, start_plugins,
                                       stop_plugins);
}
