/* mixer.s4d against its convolution, in double. */
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
