/* fusion.sum with weights, film, concat and switch: values against plain sums in
 * double, then gradients, chunks and masks. */
#include "small.h"

static bench k;

/* Two streams: a is what an adapter remembers of the input, b the input itself. */
static const char *two(const char *fusion)
{
    static char text[512];
    snprintf(
        text, sizeof text,
        "nodes: {ad: {component: adapter.temporal, tau: 2}, mix: {component: %s}}, "
        "wire: 'input -> ad -> mix.a; input -> mix.b; mix -> output'",
        fusion);
    return text;
}

enum { D = 5, T = 7, B = 2, N = T * B * D };
static double a[N], b[N];

/* Opens, and works out what the two streams are. */
static void open_two(const char *fusion)
{
    open_bench(&k, two(fusion), D, T, B, 0, 0);
    const float *w = weight_of(&k, "layer0.ad.weight", NULL);
    const float *c = weight_of(&k, "layer0.ad.bias", NULL);
    const double keep = exp(-0.5);
    double trace[N];
    for (int i = 0; i < N; i++) {
        b[i] = (double)k.x[i];
        trace[i] = (1.0 - keep) * b[i] + (i < B * D ? 0.0 : keep * trace[i - B * D]);
    }
    for (int r = 0; r < T * B; r++)
        for (int i = 0; i < D; i++) {
            a[r * D + i] = (double)c[i];
            for (int j = 0; j < D; j++)
                a[r * D + i] += (double)w[i * D + j] * trace[r * D + j];
        }
}

static float *randomised(const char *name, int n)
{
    float *w = weight_of(&k, name, NULL);
    for (int i = 0; i < n; i++) w[i] = 0.7f * noise(300 + i);
    return w;
}

static void expect(const double *want, double tolerance, const char *what)
{
    const float *y = run_all(&k)->data;
    for (int i = 0; i < N; i++)
        if (!(fabs((double)y[i] - want[i]) < tolerance))
            fail_msg("%s: y[%d] = %.9g, expected %.9g", what, i, (double)y[i], want[i]);
}

static double logistic(double x) { return 1.0 / (1.0 + exp(-x)); }

static void sums_by_share(void **state)
{
    (void)state;
    static const char *const option[] = {"none", "fixed", "scalar", "vector"};
    for (int w = 0; w < 4; w++)
        for (int moved = 0; moved < 2; moved++) {
            char text[128];
            double want[N];
            snprintf(text, sizeof text, "fusion.sum, weight: %s%s", option[w],
                     w ? ", alpha: 0.3" : "");
            open_two(text);
            float *r =
                w > 1 && moved ? randomised("layer0.mix.alpha", w == 3 ? D : 1) : NULL;
            for (int i = 0; i < N; i++) {
                const double s = r ? logistic((double)r[w == 3 ? i % D : 0]) : 0.3;
                want[i] = w ? s * a[i] + (1.0 - s) * b[i] : a[i] + b[i];
            }
            expect(want, 2e-6, text);
            close_bench(&k);
        }
}

static void scales_and_shifts(void **state)
{
    (void)state;
    for (int bound = 0; bound < 2; bound++) {
        double want[N];
        open_two(bound ? "fusion.film, bound: tanh" : "fusion.film");
        expect(a, 2e-6, "film at the start");
        const float *w = randomised("layer0.mix.weight", 2 * D * D);
        const float *c = randomised("layer0.mix.bias", 2 * D);
        for (int i = 0; i < N; i++) {
            double s[2];
            for (int h = 0; h < 2; h++) {
                const int row = h * D + i % D;
                s[h] = (double)c[row];
                for (int j = 0; j < D; j++)
                    s[h] += (double)w[row * D + j] * b[i / D * D + j];
            }
            want[i] = (1.0 + (bound ? tanh(s[0]) : s[0])) * a[i] + s[1];
        }
        expect(want, 5e-6, "film");
        close_bench(&k);
    }
}

static void maps_both(void **state)
{
    (void)state;
    for (int bias = 0; bias < 2; bias++) {
        double want[N];
        open_two(bias ? "fusion.concat" : "fusion.concat, bias: false");
        const float *w = randomised("layer0.mix.weight", 2 * D * D);
        const float *c = bias ? randomised("layer0.mix.bias", D) : NULL;
        for (int i = 0; i < N; i++) {
            want[i] = c ? (double)c[i % D] : 0.0;
            for (int j = 0; j < 2 * D; j++)
                want[i] += (double)w[i % D * 2 * D + j] *
                           (j < D ? a[i / D * D + j] : b[i / D * D + j - D]);
        }
        expect(want, 5e-6, "concat");
        close_bench(&k);
    }
}

/* Streams of unlike widths: the second is 3 wide. */
static void takes_another_width(void **state)
{
    (void)state;
    static const char *const name[] = {"fusion.film", "fusion.concat"};
    for (int i = 0; i < 2; i++) {
        char text[512];
        snprintf(
            text, sizeof text,
            "nodes: {ad: {component: adapter.rate, units: 3}, mix: {component: %s}}, "
            "wire: 'input -> mix.a; input -> ad -> mix.b; mix -> output'",
            name[i]);
        open_bench(&k, text, 4, 5, 2, 0, 0);
        mls_t y = run_all(&k);
        assert_int_equal(y->dim[2], 4);
        if (i == 0) same(y->data, k.x, 40, 0.0, "film at the start");
        close_bench(&k);
    }
}

static void lets_one_pass(void **state)
{
    (void)state;
    open_two("fusion.switch, temperature: 0.5");
    const float *wa = randomised("layer0.mix.a.weight", D);
    float *wb = weight_of(&k, "layer0.mix.b.weight", NULL);
    for (int i = 0; i < D; i++) wb[i] = 0.9f * noise(40 + i);
    const float c = *randomised("layer0.mix.bias", 1);
    const float *y = run_all(&k)->data;
    int chosen[2] = {0, 0};
    for (int r = 0; r < T * B; r++) {
        double s = (double)c;
        for (int j = 0; j < D; j++)
            s += (double)wa[j] * a[r * D + j] + (double)wb[j] * b[r * D + j];
        assert_true(fabs(s) > 1e-4);
        chosen[s > 0.0]++;
        for (int j = r * D; j < r * D + D; j++) {
            if (s > 0.0)
                assert_true(fabs((double)y[j] - a[j]) < 2e-6);
            else
                assert_true(y[j] == k.x[j]);
        }
    }
    assert_true(chosen[0] > 1 && chosen[1] > 1);
    close_bench(&k);
}

/* d out / d s is (a - b) times the slope of sigmoid(s / T) at s: of the bias that is
 * the whole gradient. */
static void learns_straight_through(void **state)
{
    (void)state;
    open_two("fusion.switch, temperature: 0.5");
    mls_run_free(k.run);
    mls_error e = {0};
    k.run = mls_run_new(k.net, B, MLS_TRAIN, &e);
    assert_non_null(k.run);
    float *gc = NULL;
    const float *wa = weight_of(&k, "layer0.mix.a.weight", NULL);
    const float *wb = weight_of(&k, "layer0.mix.b.weight", NULL);
    weight_of(&k, "layer0.mix.bias", &gc);
    run_all(&k);
    mls_net_zero_grad(k.net);
    mls_run_backward_from(k.run, k.g);
    double want = 0.0;
    for (int r = 0; r < T * B; r++) {
        double s = 0.0, worth = 0.0;
        for (int j = 0; j < D; j++) {
            s += (double)wa[j] * a[r * D + j] + (double)wb[j] * b[r * D + j];
            worth += (double)k.g[r * D + j] * (a[r * D + j] - b[r * D + j]);
        }
        const double p = logistic(s / 0.5);
        want += worth * p * (1.0 - p) / 0.5;
    }
    assert_true(fabs(want) > 1e-3 &&
                fabs((double)*gc - want) < 1e-4 * (1.0 + fabs(want)));
    close_bench(&k);
}

/* ---- promises ---------------------------------------------- */

static const char *const all[] = {"fusion.sum, weight: fixed, alpha: 0.2",
                                  "fusion.sum, weight: scalar",
                                  "fusion.sum, weight: vector",
                                  "fusion.film",
                                  "fusion.film, bound: tanh",
                                  "fusion.concat",
                                  "fusion.switch"};
enum { ALL = sizeof all / sizeof *all };

static void open_block(int i, int64_t width, int64_t steps, int64_t batch, int masked,
                       unsigned flags)
{
    open_bench(&k, two(all[i]), width, steps, batch, masked, flags);
    if (strstr(all[i], "film"))
        randomised("layer0.mix.weight", 2 * (int)(width * width));
}

static void agree_with_differences(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++)
        for (int masked = 0; masked < 2; masked++) {
            open_block(i, 3, 5, 2, masked, MLS_TRAIN | MLS_SMOOTH);
            check_gradients(&k, 2e-3);
            close_bench(&k);
        }
}

static void stream(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        open_block(i, 4, 9, 2, 1, MLS_EXACT);
        check_chunks(&k, 0);
        close_bench(&k);
        open_block(i, 4, 14, 1, 1, MLS_EXACT);
        check_mask(&k, 0);
        close_bench(&k);
    }
}

static void refuse_a_share_without_slope(void **state)
{
    (void)state;
    mls_arena arena = {0};
    mls_error e = {0};
    assert_null(
        build_net(&arena, two("fusion.sum, weight: scalar, alpha: 1"), 4, 1, 0, &e));
    if (!strstr(e.text, "alpha = 1 cannot be the start")) fail_msg("%s", e.text);
    mls_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_by_share),
        cmocka_unit_test(scales_and_shifts),
        cmocka_unit_test(maps_both),
        cmocka_unit_test(takes_another_width),
        cmocka_unit_test(lets_one_pass),
        cmocka_unit_test(learns_straight_through),
        cmocka_unit_test(agree_with_differences),
        cmocka_unit_test(stream),
        cmocka_unit_test(refuse_a_share_without_slope),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("fusions", tests, start_plugins, stop_plugins);
}
