/* mixer.multiscale against a recurrence on every stride-th real step, in double. */
#include "mamba-rig.h"
#include "plug/plug.h"

enum { T = 75, B = 2, D = 5, W = 3 };

/* out [T][B][D]; steps with mask 0 are as if they were not there. */
static void reference(const rig *r, const float *mask, int scales, int base, float *out)
{
    const int N = scales * W;
    const float *wi = weight(r, "in_proj.weight", NULL),
                *wo = weight(r, "out_proj.weight", NULL);
    const float *bias = weight(r, "gate.bias", NULL);
    for (int b = 0; b < B; b++) {
        double h[64] = { 0 };
        for (int t = 0, n = 0; t < T; t++) {
            float *y = out + (t * B + b) * D;
            memset(y, 0, D * sizeof *y);
            if (mask[t * B + b] == 0.0f) continue;
            for (int i = 0, stride = 1; i < N; i++) {
                double x[3] = { 0, (double)bias[i], 0 };        /* v, f, z */
                for (int k = 0; k < 3; k++)
                    for (int d = 0; d < D; d++)
                        x[k] += (double)wi[(k * N + i) * D + d]
                              * (double)r->x[(t * B + b) * D + d];
                const double g = 1.0 / (1.0 + exp(-x[1]));
                if (n % stride == 0) h[i] = g * h[i] + (1.0 - g) * x[0];
                for (int d = 0; d < D; d++)
                    y[d] += (float)((double)wo[d * N + i] * h[i] * x[2] /
                                    (1.0 + exp(-x[2])));
                if (i % W == W - 1) stride *= base;
            }
            n++;
        }
    }
}

static void matches_double(void **state)
{
    (void)state;
    static const struct { int scales, base; } v[] = { { 3, 2 }, { 1, 2 }, { 4, 3 } };
    for (int i = 0; i < 6; i++) {
        const int scales = v[i % 3].scales, base = v[i % 3].base;
        rig r;
        start(&r, T, B, D, D, NULL, NULL,
              (setting[]){ { "scales", scales, 0 },
                           { "base", base, 0 },
                           { "channels", W, 0 },
                           { NULL, 0, 0 } },
              0, 3);
        float *want = made(&r, T * B * D), *mask = made(&r, T * B);
        for (int k = 0; k < T * B; k++) mask[k] = i < 3 || noise((uint64_t)k) > -0.4f;
        if (i >= 3) r.batch.mask = mask;
        for (int k = 0; k < 3 * scales * W * D; k++)
            weight(&r, "in_proj.weight", NULL)[k] *= 3.0f;
        reference(&r, mask, scales, base, want);
        near_all("y", ahead(&r, &r.batch), want, T * B * D, 1e-6);
        /* in pieces that fall between ticks */
        mls_run_reset(r.run);
        for (int t = 0, n; t < T; t += n) {
            n = T - t < 7 ? T - t : 7;
            const mls_batch piece = {
                n,    B,    NULL, r.x + t * B * D, i < 3 ? NULL : mask + t * B,
                NULL, NULL, NULL, NULL };
            near_all("pieces", ahead(&r, &piece), want + t * B * D, n * B * D, 1e-6);
        }
        stop(&r);
    }
}

/* 1 / (1 - g) is what the options say, before the input comes in. */
static void starts_with_the_memory_asked_for(void **state)
{
    (void)state;
    double least = 1e9, most = 0.0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        rig r;
        start(&r, 2, 1, D, D, NULL, NULL, NULL, 0, seed);
        for (int i = 0; i < 3 * D; i++) {
            const double ticks = 1.0 + exp((double)weight(&r, "gate.bias", NULL)[i]);
            least = fmin(least, ticks), most = fmax(most, ticks);
        }
        stop(&r);
    }
    assert_true(least > 1.999 && least < 2.2 && most > 28.0 && most < 32.001);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    same_bits_with_threads(130, 4, 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(matches_double),
                                        cmocka_unit_test(
                                            starts_with_the_memory_asked_for),
                                        cmocka_unit_test(threads_do_not_matter) };
    const char *folder = getenv("MLS_PLUGIN_PATH");
    char path[4096];
    mls_error e = { 0 };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    snprintf(path, sizeof path, "%s/mixer/multiscale.so", folder ? folder : "plugins");
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    list[1] = info->components[0];
    rig_component = "mixer.multiscale";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
