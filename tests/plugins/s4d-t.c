/* mixer.s4d against its convolution, with mod_b and mod_c against its recurrence, in
 * double. */
#include <complex.h>

#include "mamba-rig.h"
#include "plug/plug.h"

enum { T = 140, B = 2, D = 5, N = 14, M = N / 2 };

/* K_l = 2 Re sum_m C (exp(dt A) - 1) / A exp(dt A l) */
static double kernel(const rig *r, int e, int l)
{
    const double dt = exp((double)weight(r, "kernel.log_dt", NULL)[e]);
    double k = 0.0;
    for (int m = 0; m < M; m++) {
        const double complex A =
            -exp((double)weight(r, "kernel.log_A_real", NULL)[e * M + m]) +
            _Complex_I * (double)weight(r, "kernel.A_imag", NULL)[e * M + m];
        const float *c = weight(r, "kernel.C", NULL) + (e * M + m) * 2;
        const double complex C = (double)c[0] + _Complex_I * (double)c[1];
        k += 2.0 * creal(C * (cexp(dt * A) - 1.0) / A * cexp(dt * A * l));
    }
    return k;
}

static double gelu(double x) { return 0.5 * x * (1.0 + erf(x / sqrt(2.0))); }

static void reference(const rig *r, float *out)
{
    static double K[D][T];
    const float *w = weight(r, "output_linear.weight", NULL);
    const float *bias = weight(r, "output_linear.bias", NULL),
                *skip = weight(r, "D", NULL);
    for (int e = 0; e < D; e++)
        for (int l = 0; l < T; l++) K[e][l] = kernel(r, e, l);
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++) {
            double y[D], o[2 * D];
            for (int e = 0; e < D; e++) {
                y[e] = (double)skip[e] * (double)r->x[(t * B + b) * D + e];
                for (int s = 0; s <= t; s++)
                    y[e] += K[e][t - s] * (double)r->x[(s * B + b) * D + e];
                y[e] = gelu(y[e]);
            }
            for (int i = 0; i < 2 * D; i++) {
                o[i] = (double)bias[i];
                for (int e = 0; e < D; e++) o[i] += (double)w[i * D + e] * y[e];
            }
            for (int e = 0; e < D; e++)
                out[(t * B + b) * D + e] = (float)(o[e] / (1.0 + exp(-o[D + e])));
        }
}

static void matches_the_convolution(void **state)
{
    (void)state;
    for (int v = 0; v < 3; v++) {
        rig r;
        start(&r, T, B, D, D, NULL, NULL,
              (setting[]){ { "state", N, 0 }, { NULL, 0, 0 } }, 0, 3);
        for (int i = 0; i < D && v; i++)                /* dt from 0.14 to 2.7 */
            weight(&r, "kernel.log_dt", NULL)[i] =
                v == 1 ? -2.0f : -1.0f + 0.5f * (float)i;
        for (int i = 0; i < D * M && v == 2; i++)
            weight(&r, "kernel.log_A_real", NULL)[i] += noise((uint64_t)i);
        float *want = made(&r, T * B * D);
        reference(&r, want);
        near_all("y", ahead(&r, &r.batch), want, T * B * D, 2e-6);
        stop(&r);
    }
}

/* What mod_b or mod_c, fed with x, adds to mode m. */
static double bend(const rig *r, const char *name, int row, int m)
{
    double sum = 0.0;
    for (int e = 0; e < D; e++)
        sum += (double)weight(r, name, NULL)[m * D + e] * (double)r->x[row * D + e];
    return sum;
}

/* With B_t = 1 + W_B x_t and C_t = C + W_C x_t. */
static void steered(const rig *r, float *out)
{
    const float *w = weight(r, "output_linear.weight", NULL);
    const float *bias = weight(r, "output_linear.bias", NULL),
                *skip = weight(r, "D", NULL);
    for (int b = 0; b < B; b++) {
        double complex h[D][M] = { 0 };
        for (int t = 0; t < T; t++) {
            const int row = t * B + b;
            double y[D], o[2 * D];
            for (int e = 0; e < D; e++) {
                const double dt = exp((double)weight(r, "kernel.log_dt", NULL)[e]);
                const double u = (double)r->x[row * D + e];
                y[e] = (double)skip[e] * u;
                for (int m = 0; m < M; m++) {
                    const double complex A =
                        -exp((double)weight(r, "kernel.log_A_real", NULL)[e * M + m]) +
                        _Complex_I * (double)weight(r, "kernel.A_imag", NULL)[e * M + m];
                    const float *c = weight(r, "kernel.C", NULL) + (e * M + m) * 2;
                    const double complex C = (double)c[0] + bend(r, "mod_c.weight", row, m) +
                                             _Complex_I * (double)c[1];
                    h[e][m] = cexp(dt * A) * h[e][m] +
                              (1.0 + bend(r, "mod_b.weight", row, m)) * u;
                    y[e] += 2.0 * creal(C * (cexp(dt * A) - 1.0) / A * h[e][m]);
                }
                y[e] = gelu(y[e]);
            }
            for (int i = 0; i < 2 * D; i++) {
                o[i] = (double)bias[i];
                for (int e = 0; e < D; e++) o[i] += (double)w[i * D + e] * y[e];
            }
            for (int e = 0; e < D; e++)
                out[row * D + e] = (float)(o[e] / (1.0 + exp(-o[D + e])));
        }
    }
}

static const char *const wires[] = {
    "input -> m -> output", "input -> m.in; input -> m.mod_b; m -> output",
    "input -> m.in; input -> m.mod_c; m -> output",
    "input -> m.in; input -> m.mod_b; input -> m.mod_c; m -> output" };

static void start_steered(rig *r, int which, int t, int d, int n, float size, unsigned flags)
{
    start(r, t, B, d, d, wires[which], NULL,
          (setting[]){ { "state", n, 0 }, { NULL, 0, 0 } }, flags, 3);
    for (int i = 0; i < n / 2 * d; i++) {
        if (which & 1) weight(r, "mod_b.weight", NULL)[i] = size * noise((uint64_t)i + 50);
        if (which & 2) weight(r, "mod_c.weight", NULL)[i] = size * noise((uint64_t)i + 90);
    }
}

static void steered_is_its_recurrence(void **state)
{
    (void)state;
    rig r;
    start_steered(&r, 3, T, D, N, 1.0f, 0);
    float *want = made(&r, T * B * D);
    steered(&r, want);
    near_all("y", ahead(&r, &r.batch), want, T * B * D, 2e-6);
    stop(&r);
}

/* 70 channels: more than a segment; a width that no vector divides. */
static void steered_by_nothing_is_plain(void **state)
{
    (void)state;
    enum { WIDE = 70, LONG = 70, COUNT = LONG * B * WIDE };
    float *y = malloc(COUNT * sizeof *y);
    assert_non_null(y);
    for (int which = 0; which < 4; which++) {
        rig r;
        start_steered(&r, which, LONG, WIDE, 6, 0.0f, 0);
        const float *got = ahead(&r, &r.batch);
        if (!which) memcpy(y, got, COUNT * sizeof *y);
        else assert_memory_equal(got, y, COUNT * sizeof *y);
        stop(&r);
    }
    free(y);
}

static double loss(rig *r)
{
    const float *y = ahead(r, &r->batch);
    double sum = 0.0;
    mls_run_reset(r->run);
    for (int64_t i = 0; i < r->T * r->B * r->D; i++)
        sum += (double)r->coef[i] * (double)y[i];
    return sum;
}

/* Over two segments and more than a chunk, against differences; every 7th weight. */
static void steered_gradients(void **state)
{
    (void)state;
    enum { WIDE = 70, LONG = 66 };
    static const char *const name[] = { "mod_b.weight", "mod_c.weight", "kernel.C",
                                        "kernel.log_dt", "kernel.A_imag",
                                        "kernel.log_A_real", "D" };
    static const int count[] = { 3 * WIDE, 3 * WIDE, WIDE * 6, WIDE, WIDE * 3, WIDE * 3,
                                 WIDE };
    for (int which = 1; which < 4; which++) {
        rig r;
        start_steered(&r, which, LONG, WIDE, 6, 0.1f, MLS_TRAIN);
        loss(&r);
        ahead(&r, &r.batch);
        mls_run_backward_from(r.run, r.coef);
        for (int k = 0; k < 7; k++) {
            float *grad = NULL, *w;
            double top = 0.0;
            if (k < 2 && !(which & (k + 1))) continue;
            w = weight(&r, name[k], &grad);
            for (int i = 0; i < count[k]; i++) top = fmax(top, fabs((double)grad[i]));
            assert_true(top > 0.0);
            for (int i = 0; i < count[k]; i += 7) {
                const float old = w[i], step = 0.0078125f;
                double f[4];
                for (int j = 0; j < 4; j++) {
                    mls_run_reset(r.run);
                    w[i] = old + step * (float)(j < 2 ? j - 2 : j - 1);
                    f[j] = loss(&r);
                }
                w[i] = old;
                const double d =
                    (8.0 * (f[2] - f[1]) - (f[3] - f[0])) / (12.0 * (double)step);
                if (!(fabs(d - (double)grad[i]) <= 2e-3 * top))
                    fail_msg("%s[%d]: %g, by differences %g (largest %g)", name[k], i,
                             (double)grad[i], d, top);
            }
        }
        stop(&r);
    }
}

static void starts_as_published(void **state)
{
    (void)state;
    double sum = 0.0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        rig r;
        start(&r, 2, 1, D, D, NULL, NULL, NULL, 0, seed);
        for (int i = 0; i < D * 32; i++) {
            assert_float_equal(weight(&r, "kernel.A_imag", NULL)[i],
                               3.14159265 * (i % 32), 1e-4);
            assert_float_equal(weight(&r, "kernel.log_A_real", NULL)[i], log(0.5),
                               1e-6);
        }
        for (int i = 0; i < D; i++) {
            const double dt = exp((double)weight(&r, "kernel.log_dt", NULL)[i]);
            assert_true(dt > 0.99e-3 && dt < 0.101);
        }
        for (int i = 0; i < D * 64; i++)
            sum += pow((double)weight(&r, "kernel.C", NULL)[i], 2.0);
        stop(&r);
    }
    assert_float_equal(sum / (20 * D * 32), 1.0, 0.1);          /* of |C|^2 */
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    same_bits_with_threads(130, 2, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(matches_the_convolution),
                                        cmocka_unit_test(steered_is_its_recurrence),
                                        cmocka_unit_test(steered_by_nothing_is_plain),
                                        cmocka_unit_test(steered_gradients),
                                        cmocka_unit_test(starts_as_published),
                                        cmocka_unit_test(threads_do_not_matter) };
    const char *folder = getenv("MLS_PLUGIN_PATH");
    char path[4096];
    mls_error e = { 0 };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    snprintf(path, sizeof path, "%s/mixer/s4d.so", folder ? folder : "plugins");
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    list[1] = info->components[0];
    rig_component = "mixer.s4d";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
