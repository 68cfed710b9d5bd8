/* Encoders without neurons, encoder.spike_mlp and adapter.spike_feedback: numbers of
 * their references and what their noise promises. */
#include "small.h"

static bench k;
static const char *looked_at;
static float seen[MAX_VALUES];

static int wanted(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strcmp(node, "layer0.enc") && !strcmp(name, looked_at);
}

static void value(void *arg, const mls_channel *ch, mls_t x, int64_t t0)
{
    (void)arg;
    (void)ch;
    const int64_t at = t0 * x->dim[1] * x->dim[2];
    assert_true(at + x->count <= MAX_VALUES);
    memcpy(seen + at, x->data, (size_t)x->count * sizeof(float));
}

static const mls_observer observer = {NULL, wanted, value};

/* An adapter brings any width back to the network's. */
static void open_code(const char *code, int64_t D, int64_t T, int64_t B, unsigned flags)
{
    char text[512];
    snprintf(
        text, sizeof text,
        "nodes: {enc: {component: encoder.%s}, ad: {component: adapter.temporal}}, "
        "wire: 'input -> enc -> ad -> output'",
        code);
    open_bench(&k, text, D, T, B, 0, flags);
    mls_run_observe(k.run, &observer);
}

static const float *look(const char *name)
{
    looked_at = name;
    run_all(&k);
    return seen;
}

/* ---- latency: snnTorch 0.9.4 ---------------------------------------------- */

static const float some[4] = {0.02f, 0.1f, 0.5f, 1.0f};

static void latency_gives_the_numbers_of_snntorch(void **state)
{
    (void)state;
    static const float linear[] = {8.82f, 8.10f, 4.5f, 0.0f};
    static const int at[] = {9, 8, 4, 0}; /* half to even */
    open_code("latency, project: false, squash: clip, steps: 10, units: 40", 4, 1, 1,
              0);
    memcpy(k.x, some, sizeof some);
    same(look("time"), linear, 4, 1e-5, "time");
    look("spikes");
    for (int i = 0; i < 40; i++)
        if ((seen[i] != 0.0f) != (i % 10 == at[i / 10]))
            fail_msg("channel %d, step %d: %g", i / 10, i % 10, (double)seen[i]);
    close_bench(&k);
    open_code("latency, project: false, squash: clip, steps: 10, units: 40, law: "
              "logarithmic, normalize: false, tau: 5",
              4, 1, 1, 0);
    memcpy(k.x, some, sizeof some);
    look("time");
    for (int i = 0; i < 4; i++) {
        const double x = (double)some[i], want = 5.0 * log(x / (x - 0.01));
        same(seen + i, (float[]){(float)want}, 1, 1e-5, "logarithmic time");
    }
    close_bench(&k);
}

static void latency_clips(void **state)
{
    (void)state;
    for (int clip = 0; clip < 2; clip++) {
        char options[128];
        snprintf(options, sizeof options,
                 "latency, project: false, squash: clip, steps: 10, units: 40, "
                 "threshold: 0.3, clip: %s",
                 clip ? "true" : "false");
        open_code(options, 4, 1, 1, 0);
        memcpy(k.x, some, sizeof some);
        look("spikes");
        for (int c = 0; c < 4; c++) {
            float sum = 0.0f;
            for (int i = 0; i < 10; i++) sum += seen[c * 10 + i];
            assert_true(sum == (clip && c < 2 ? 0.0f : 1.0f));
        }
        close_bench(&k);
    }
}

/* ---- phase, population, delta ---------------------------------------------- */

static void phases_are_bits(void **state)
{
    (void)state;
    open_code("phase, project: false, squash: clip, bits: 8, units: 40", 5, 1, 1, 0);
    static const float x[] = {0.0f, 0.3f, 0.5f, 0.7109375f, 1.0f};
    memcpy(k.x, x, sizeof x);
    look("spikes");
    for (int c = 0; c < 5; c++) {
        double sum = 0.0;
        for (int i = 0; i < 8; i++) sum += (double)seen[c * 8 + i] * ldexp(1.0, -i - 1);
        const double want = floor((double)fminf(x[c], 255.0f / 256.0f) * 256.0) / 256.0;
        assert_true(sum == want);
    }
    close_bench(&k);
}

static void fields_lie_over_the_range(void **state)
{
    (void)state;
    open_code("population, project: false, squash: clip, fields: 5, units: 15", 3, 1, 1,
              0);
    static const float x[] = {0.0f, 0.6f, 1.0f};
    memcpy(k.x, x, sizeof x);
    look("activation");
    for (int i = 0; i < 15; i++) {
        const double z = ((double)x[i / 5] - 0.25 * (i % 5)) * 4.0;
        same(seen + i, (float[]){(float)exp(-0.5 * z * z)}, 1, 1e-6, "activation");
    }
    look("spikes"); /* above 1/2: within 1.177 distances */
    for (int i = 0; i < 15; i++) {
        const double z = ((double)x[i / 5] - 0.25 * (i % 5)) * 4.0;
        assert_true(seen[i] == (fabs(z) < 1.1774 ? 1.0f : 0.0f));
    }
    close_bench(&k);
}

static void deltas_are_events(void **state)
{
    (void)state;
    static const float x[] = {0.125f, 0.25f, 0.375f, 0.375f, 0.0f, 0.25f, 0.125f};
    static const char *const want[] = {"10101000011001", "00101000011001"};
    for (int i = 0; i < 2; i++) {
        char options[128];
        snprintf(options, sizeof options,
                 "delta, project: false, threshold: 0.125, units: 2, first: %s",
                 i ? "itself" : "zero");
        open_code(options, 1, 7, 1, 0);
        memcpy(k.x, x, sizeof x);
        look("spikes");
        for (int j = 0; j < 14; j++)
            if (seen[j] != (float)(want[i][j] - '0'))
                fail_msg("%s: step %d, %s: %g", options, j / 2, j % 2 ? "off" : "on",
                         (double)seen[j]);
        close_bench(&k);
    }
}

/* ---- rate ---------------------------------------------- */

static void rates_are_kept(void **state)
{
    (void)state;
    enum { T = 500, N = 4 };
    static const char *const code[] = {"rate", "rate, law: poisson",
                                       "rate, steps: 8, readout: mean"};
    for (int i = 0; i < 3; i++) {
        double sum[N] = {0};
        open_code(code[i], N, T, 1, 0);
        for (int j = 0; j < T * N; j++) k.x[j] = 0.1f + 0.25f * (float)(j % N);
        look("spikes");
        for (int j = 0; j < T * N; j++) sum[j % N] += (double)seen[j] / T;
        for (int n = 0; n < N; n++) {
            const double x = 0.1 + 0.25 * n, p = i == 1 ? 1.0 - exp(-x) : x;
            const double spread = 4.0 * sqrt(p * (1.0 - p) / T); /* 4 deviations */
            if (fabs(sum[n] - p) > spread)
                fail_msg("%s: rate %g, expected %g", code[i], sum[n], p);
        }
        close_bench(&k);
    }
}

/* [T][B][N] of the steps from `from` on, with these keys, as call number `step`. */
static void draw(int64_t from, int64_t n, const uint64_t *key, uint64_t step)
{
    const mls_batch b = {
        .steps = n, .batch = k.B, .x = k.x + from * k.B * k.D, .key = key};
    float *to = seen + from * k.B * k.D;
    looked_at = "spikes";
    if (!from) mls_run_reset(k.run);
    mls_t y = mls_run_forward(k.run, &b, step);
    if (!y) fail_msg("%s", mls_run_error(k.run)->text);
    if (from) memmove(to, seen, (size_t)(n * k.B * k.D) * sizeof *to);
}

/* Noise follows a sample by its key: to another place of the batch, bit by bit, through
 * chunks and into another training step; equal samples of other keys meet other noise.
 * Without keys it goes by the place, is drawn anew in each training step and stays the
 * same in evaluation. */
static void noise_goes_by_the_sample(void **state)
{
    (void)state;
    enum { T = 20, B = 3, N = 4 };
    static const char *const code[] = {"rate", "spike_mlp, dropout: 0.5, threshold: 0.2"};
    static const uint64_t key[B] = {7, 1ull << 63, 99}, moved[B] = {99, 7, 1ull << 63};
    static float first[MAX_VALUES];
    for (int i = 0; i < 4; i++) {
        open_code(code[i / 2], N, T, B, i % 2 ? MLS_TRAIN : 0);
        for (int j = 0; j < T * B * N; j++) /* the same in every sample */
            k.x[j] = 0.5f + 0.3f * noise(j / N / B * N + j % N);
        const int draws = i / 2 == 0 || i % 2;
        draw(0, T, key, 0);
        memcpy(first, seen, sizeof first);
        int apart = 0;
        for (int t = 0; t < T; t++)
            apart |= memcmp(seen + t * B * N, seen + (t * B + 1) * N, N * sizeof *seen);
        assert_true((apart != 0) == draws);
        draw(0, T, moved, 5);
        for (int t = 0; t < T; t++)
            for (int b = 0; b < B; b++)
                same(seen + (t * B + (b + 1) % B) * N, first + (t * B + b) * N, N, 0.0,
                     "place");
        /* the key that a sequence began with holds in its later chunks */
        const float *whole = first;
        for (int64_t t = 0; t < T; t += 5) {
            float part[5 * B * N];
            draw(t, 5, t ? moved : key, (uint64_t)t);
            memcpy(part, seen + t * B * N, sizeof part);
            same(part, whole + t * B * N, 5 * B * N, 0.0, "chunk");
        }
        draw(0, T, NULL, 0);
        memcpy(first, seen, sizeof first);
        draw(0, T, NULL, 0);
        same(seen, first, T * B * N, 0.0, "by place");
        draw(0, T, NULL, 1);
        assert_true(!memcmp(seen, first, T * B * N * sizeof(float)) == !(i % 2));
        close_bench(&k);
    }
}

/* ---- spike_mlp ---------------------------------------------- */

/* Both layers by hand; the gradients in smooth mode and with inner steps by
 * differences. */
static void spike_mlp_is_two_layers(void **state)
{
    (void)state;
    enum { T = 40, N = 3, H = 6 };
    double u1[H] = {0}, s1[H] = {0}, u2[N] = {0}, s2[N] = {0}, spikes = 0.0;
    open_code("spike_mlp, beta: 0.8", N, T, 1, 0);
    const float *w1 = weight_of(&k, "layer0.enc.weight1", NULL);
    const float *b1 = weight_of(&k, "layer0.enc.bias1", NULL);
    const float *w2 = weight_of(&k, "layer0.enc.weight2", NULL);
    const float *b2 = weight_of(&k, "layer0.enc.bias2", NULL);
    for (int i = 0; i < T * N; i++) k.x[i] = 2.0f * k.x[i];
    look("spikes");
    for (int t = 0; t < T; t++) {
        for (int i = 0; i < H; i++) {
            double in = (double)b1[i];
            for (int j = 0; j < N; j++)
                in += (double)w1[i * N + j] * (double)k.x[t * N + j];
            u1[i] = 0.8 * u1[i] + in - s1[i];
        }
        for (int i = 0; i < H; i++) s1[i] = u1[i] > 1.0;
        for (int i = 0; i < N; i++) {
            double in = (double)b2[i];
            for (int j = 0; j < H; j++) in += (double)w2[i * H + j] * s1[j];
            u2[i] = 0.8 * u2[i] + in - s2[i];
        }
        for (int i = 0; i < N; i++) {
            s2[i] = u2[i] > 1.0;
            spikes += s2[i];
            assert_true((double)seen[t * N + i] == s2[i]);
        }
    }
    assert_true(spikes > 3.0);
    close_bench(&k);
    open_code("spike_mlp, steps: 3, surrogate: atan, detach_reset: false", 3, 4, 1,
              MLS_TRAIN | MLS_SMOOTH);
    check_gradients(&k, 4e-3);
    close_bench(&k);
}

/* Dropout loses p of the spikes while training, and none otherwise. */
static void spike_mlp_drops(void **state)
{
    (void)state;
    enum { T = 60, N = 4 };
    static float y[2][MAX_VALUES];
    for (int train = 0; train < 2; train++) {
        open_code("spike_mlp, dropout: 0.5", N, T, 1, train ? MLS_TRAIN : 0);
        for (int i = 0; i < T * N; i++) k.x[i] = 3.0f;
        memcpy(y[train], look("membrane"), sizeof y[train]);
        close_bench(&k);
    }
    assert_memory_not_equal(y[0], y[1], T * N * sizeof(float));
}

/* ---- spike_feedback ---------------------------------------------- */

static void spikes_go_back(void **state)
{
    (void)state;
    static const char *const how[] = {"bernoulli", "threshold"};
    for (int i = 0; i < 2; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "chunk: 1, nodes: {enc: {component: encoder.lif, threshold: 0.1}, mix: "
            "{component: "
            "mixer.mlp}, back: {component: adapter.spike_feedback, spike: %s}, sum: "
            "{component: fusion.sum}}, wire: 'input -> sum.a; back -> sum.b; sum -> "
            "enc -> mix -> output; mix ~> back'",
            how[i]);
        open_bench(&k, text, 4, 6, 2, 0, MLS_TRAIN);
        run_all(&k);
        mls_run_backward_from(k.run, k.g);
        float *grad = NULL;
        double sum = 0.0;
        weight_of(&k, "layer0.back.weight", &grad);
        for (int j = 0; j < 16; j++) sum += fabs((double)grad[j]);
        assert_true(sum > 0.0);
        close_bench(&k);
    }
}

static void refuses_units_that_do_not_fit(void **state)
{
    (void)state;
    static const char *const code[] = {"latency, steps: 4", "phase, bits: 4",
                                       "population, fields: 4", "delta"};
    for (int i = 0; i < 4; i++) {
        mls_arena a = {0};
        mls_error e = {0};
        char text[256];
        snprintf(
            text, sizeof text,
            "nodes: {enc: {component: encoder.%s}}, wire: 'input -> enc -> output'",
            code[i]);
        assert_null(build_net(&a, text, 7, 1, 0, &e));
        assert_non_null(strstr(e.text, "units = 7"));
        mls_arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latency_gives_the_numbers_of_snntorch),
        cmocka_unit_test(latency_clips),
        cmocka_unit_test(phases_are_bits),
        cmocka_unit_test(fields_lie_over_the_range),
        cmocka_unit_test(deltas_are_events),
        cmocka_unit_test(rates_are_kept),
        cmocka_unit_test(noise_goes_by_the_sample),
        cmocka_unit_test(spike_mlp_is_two_layers),
        cmocka_unit_test(spike_mlp_drops),
        cmocka_unit_test(spikes_go_back),
        cmocka_unit_test(refuses_units_that_do_not_fit),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("encoders without neurons", tests, start_plugins,
                                       stop_plugins);
}
