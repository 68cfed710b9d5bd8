/* mixer.linear_attention against the double sum over all earlier steps, in double. */
#include "mamba-rig.h"
#include "plug/plug.h"

enum { T = 90, B = 2, D = 12, H = 3, P = D / H };

static const char *const decays[] = { "none", "fixed", "learned" };
static const char *const norms[] = { "keys", "rms", "none" };

static double feature(double x) { return x > 0.0 ? x + 1.0 : exp(x); }

/* The share of what lies `age` steps back. */
static double faded(const rig *r, int decay, int h, int age)
{
    if (decay == 0) return 1.0;
    const double rate = exp(log(1.0 / 32.0) - log(16.0) * h / (H - 1));
    const double a = decay == 1
                         ? 1.0 - rate
                         : 1.0 / (1.0 + exp(-(double)weight(r, "decay", NULL)[h]));
    return pow(a, age);
}

/* out [T][B][D]: y_t = sum_s a^(t-s) (f(q_t) . f(k_s)) v_s, which is quadratic in T. */
static void reference(const rig *r, int decay, int norm, int gate, float *out)
{
    static double all[T][4 * D];
    const float *wi = weight(r, "in_proj.weight", NULL),
                *wo = weight(r, "out_proj.weight", NULL);
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++)
            for (int i = 0; i < (3 + gate) * D; i++) {
                all[t][i] = 0.0;
                for (int d = 0; d < D; d++)
                    all[t][i] +=
                        (double)wi[i * D + d] * (double)r->x[(t * B + b) * D + d];
                if (i < 2 * D) all[t][i] = feature(all[t][i]);
            }
        for (int t = 0; t < T; t++) {
            double y[D] = { 0 };
            for (int h = 0; h < H; h++) {
                double by = 1e-6, ss = 0.0;
                for (int s = 0; s <= t; s++) {
                    double w = 0.0;
                    for (int n = 0; n < P; n++)
                        w += all[t][h * P + n] * all[s][D + h * P + n];
                    w *= faded(r, decay, h, t - s);
                    by += w;
                    for (int p = 0; p < P; p++)
                        y[h * P + p] += w * all[s][2 * D + h * P + p];
                }
                for (int p = 0; p < P; p++) ss += y[h * P + p] * y[h * P + p] / P;
                if (norm) by = norm == 1 ? sqrt(ss + 1e-5) : 1.0;
                for (int p = 0; p < P; p++) {
                    const double g = gate ? all[t][3 * D + h * P + p] : 0.0;
                    y[h * P + p] /= by;
                    if (gate) y[h * P + p] *= g / (1.0 + exp(-g));
                }
            }
            for (int d = 0; d < D; d++) {
                double sum = 0.0;
                for (int e = 0; e < D; e++) sum += (double)wo[d * D + e] * y[e];
                out[(t * B + b) * D + d] = (float)sum;
            }
        }
    }
}

static void matches_the_quadratic_sum(void **state)
{
    (void)state;
    for (int i = 0; i < 18; i++) {
        const int decay = i % 3, norm = i / 3 % 3, gate = i / 9;
        rig r;
        rig_more[0] = "normalise", rig_more[1] = norms[norm];
        start(&r, T, B, D, D, NULL, decays[decay],
              (setting[]){ { "heads", H, 0 }, { "gate", gate, 1 }, { NULL, 0, 0 } }, 0,
              3);
        for (int k = 0; k < 3 * D * D; k++)
            weight(&r, "in_proj.weight", NULL)[k] *= 3.0f;
        for (int h = 0; h < H && decay == 2; h++)
            weight(&r, "decay", NULL)[h] = 2.0f - (float)h;
        float *want = made(&r, T * B * D);
        reference(&r, decay, norm, gate, want);
        near_all(norms[norm], ahead(&r, &r.batch), want, T * B * D, 2e-6);
        stop(&r);
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    rig_more[0] = NULL;
    same_bits_with_threads(130, 2, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(matches_the_quadratic_sum),
                                        cmocka_unit_test(threads_do_not_matter) };
    const char *folder = getenv("MLS_PLUGIN_PATH");
    char path[4096];
    mls_error e = { 0 };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    snprintf(path, sizeof path, "%s/mixer/linear_attention.so",
             folder ? folder : "plugins");
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    list[1] = info->components[0];
    rig_component = "mixer.linear_attention";
    rig_choice = "decay";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
