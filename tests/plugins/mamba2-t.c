/* mixer.mamba2: public figures of SSD, the scan of mixer.mamba with one decay per head,
 * a reference in double.  That it streams, is causal and has right gradients is among
 * the cases of mls validate. */
#include "mamba-rig.h"
#include "plug/plug.h"
#include "ssd-golden.h"

#include "../../plugins/mixer/outer.h"

static const mls_component *mamba, *mamba2;

static void use(const mls_component *c, const char *name)
{
    list[1] = c;
    rig_component = name;
}

/* ---- The scan alone, fed from slices of its input ------------------------------ */

typedef struct ssd { outer o; mls_state *s; } ssd;

enum { SSD_H = 2, SSD_P = 3, SSD_N = 2, SSD_WIDTH = 14 };  /* x | k | q | a | g */

static void ssd_setup(mls_ctx *c, void *self)
{
    ssd *p = self;
    p->o = (outer){ .heads = SSD_H, .groups = 1, .size = SSD_P, .keys = SSD_N };
    p->s = mls->state(c, "ssm", SSD_H * SSD_P * SSD_N, 0.0, NULL, "");
}

static void ssd_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    ssd *p = self;
    mls_t from[OUTER_INPUTS] = { mls->slice(c, in[0], 0, 6),
                                 mls->slice(c, in[0], 6, 2),
                                 mls->slice(c, in[0], 8, 2),
                                 mls->slice(c, in[0], 10, 2),
                                 mls->slice(c, in[0], 12, 2),
                                 NULL,
                                 NULL,
                                 NULL };
    mls_t y = outer_apply(c, &p->o, from, p->s, NULL);
    out[0] = mls->concat(c, y, mls->slice(c, in[0], 6, 8));
}

static const mls_component ssd_scan = { sizeof ssd_scan, "mixer",    "ssd", MLS_CAUSAL,
                                        "Test.",         copy_ports, NULL,  sizeof(ssd),
                                        ssd_setup,       ssd_run,    NULL };

static void matches_ssd_minimal(void **state)
{
    (void)state;
    rig r;
    int64_t width;
    use(&ssd_scan, "mixer.ssd");
    start(&r, 8, 1, SSD_WIDTH, SSD_WIDTH, NULL, NULL, NULL, 0, 1);
    for (int t = 0; t < 8; t++) {
        float *x = r.x + t * SSD_WIDTH;
        for (int i = 0; i < 6; i++) x[i] = (float)cos(0.9 * (t * 6 + i));
        for (int n = 0; n < 2; n++) {
            x[6 + n] = golden_ssd_B[t * 2 + n], x[8 + n] = golden_ssd_C[t * 2 + n];
            x[12 + n] = golden_ssd_dt[t * 2 + n];
            x[10 + n] = (float)exp((double)(x[12 + n] * golden_ssd_A[n]));
        }
    }
    const float *out = ahead(&r, &r.batch), *s = state_of(&r, "ssm", NULL, &width);
    float y[48], last[12];
    for (int i = 0; i < 48; i++) y[i] = out[i / 6 * SSD_WIDTH + i % 6];
    for (int i = 0; i < 12; i++) last[i] = s[i / 6 * 6 + i % 2 * 3 + i % 6 / 2];
    near_all("y", y, golden_ssd_Y, 48, 1e-6);
    near_all("state", last, golden_ssd_state, 12, 1e-6);
    stop(&r);
}

/* ---- mixer.mamba with tied A, computed by the scan of mamba2 -------------------- */

enum {
    TIED_T = 150,
    TIED_B = 2,
    TIED_D = 11,
    TIED_E = 22,
    TIED_H = 2,
    TIED_N = 7,
    TIED_R = 2
};

typedef struct twin {
    outer o;
    mls_t in_proj, conv_w, conv_b, x_proj, dt_proj, dt_bias, a_log, skip, out_proj;
    mls_state *past, *ssm;
} twin;

static void twin_setup(mls_ctx *c, void *self)
{
    enum { D = TIED_D, E = TIED_E, H = TIED_H, N = TIED_N, R = TIED_R };
    twin *p = self;
    p->o = (outer){ .heads = H, .groups = 1, .size = E / H, .keys = N };
    p->in_proj = mls->weight(c, "in_proj.weight", 2 * E, D, MLS_LINEAR);
    p->conv_w = mls->weight(c, "conv1d.weight", E, 4, MLS_LINEAR);
    p->conv_b = mls->weight(c, "conv1d.bias", 1, E, MLS_ZEROS);
    p->x_proj = mls->weight(c, "x_proj.weight", R + 2 * N, E, MLS_LINEAR);
    p->dt_proj = mls->weight(c, "dt_proj.weight", H, R, MLS_LINEAR);
    p->dt_bias = mls->weight(c, "dt_proj.bias", 1, H, MLS_ZEROS);
    p->a_log = mls->weight(c, "A_log", 1, H, MLS_ZEROS);
    p->skip = mls->weight(c, "D", 1, H, MLS_ONES);
    p->out_proj = mls->weight(c, "out_proj.weight", D, E, MLS_LINEAR);
    p->past = mls->state(c, "conv", 3 * E, 0.0, NULL, "");
    p->ssm = mls->state(c, "ssm", E * N, 0.0, NULL, "");
}

static void twin_run(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    enum { E = TIED_E, N = TIED_N, R = TIED_R };
    twin *p = self;
    mls_t xz = mls->linear(c, in[0], p->in_proj, NULL);
    mls_t u =
        mls->conv(c, mls->slice(c, xz, 0, E), p->conv_w, p->conv_b, p->past, NULL);
    u = mls->unary(c, MLS_SILU, u);
    mls_t rbc = mls->linear(c, u, p->x_proj, NULL);
    mls_t dt = mls->linear(c, mls->slice(c, rbc, 0, R), p->dt_proj, p->dt_bias);
    dt = mls->unary(c, MLS_SOFTPLUS, dt);
    mls_t a = mls->unary(c, MLS_NEGATE, mls->unary(c, MLS_EXP, p->a_log));
    a = mls->unary(c, MLS_EXP, mls->binary(c, MLS_MUL, dt, a));
    mls_t from[OUTER_INPUTS] = { u,
                                 mls->slice(c, rbc, R, N),
                                 mls->slice(c, rbc, R + N, N),
                                 a,
                                 dt,
                                 p->skip,
                                 NULL,
                                 NULL };
    mls_t y = outer_apply(c, &p->o, from, p->ssm, NULL);
    y = mls->binary(c, MLS_MUL, y, mls->unary(c, MLS_SILU, mls->slice(c, xz, E, E)));
    out[0] = mls->linear(c, y, p->out_proj, NULL);
}

static const mls_component twin_block = {
    sizeof twin_block, "mixer",    "twin",   MLS_CAUSAL, "Test.", copy_ports, NULL,
    sizeof(twin),      twin_setup, twin_run, NULL
};

static void is_mamba_with_tied_decay(void **state)
{
    (void)state;
    enum { E = TIED_E, P = TIED_E / TIED_H, N = TIED_N, R = TIED_R, D = TIED_D };
    static const struct { const char *name; int n, tied;
    } w[] = { { "in_proj.weight", 2 * E * D, 0 },
              { "conv1d.weight", E * 4, 0 },
              { "conv1d.bias", E, 0 },
              { "x_proj.weight", (R + 2 * N) * E, 0 },
              { "out_proj.weight", D * E, 0 },
              { "dt_proj.weight", R, 1 },
              { "dt_proj.bias", 1, 1 },
              { "D", 1, 1 },
              { "A_log", N, 2 } };
    rig a, b;
    use(&twin_block, "mixer.twin");
    start(&a, TIED_T, TIED_B, D, D, NULL, NULL, NULL, MLS_TRAIN, 3);
    use(mamba, "mixer.mamba");
    start(&b, TIED_T, TIED_B, D, D, NULL, NULL,
          (setting[]){ { "state", N, 0 }, { "dt_rank", R, 0 }, { NULL, 0, 0 } },
          MLS_TRAIN, 3);
    for (int h = 0; h < TIED_H; h++) {
        weight(&a, "A_log", NULL)[h] = 0.5f * (float)h;
        weight(&a, "dt_proj.bias", NULL)[h] = -2.0f + (float)h;
    }
    for (int i = 0; i < 9; i++)
        for (int k = 0; k < (w[i].tied ? E * w[i].n : w[i].n); k++) {
            const float *from = weight(&a, w[i].name, NULL);
            const int h = k / w[i].n / P;
            weight(&b, w[i].name, NULL)[k] = w[i].tied == 2 ? from[h]
                                             : w[i].tied ? from[h * w[i].n + k % w[i].n]
                                                         : from[k];
        }
    near_all("y", ahead(&a, &a.batch), ahead(&b, &b.batch), TIED_T * TIED_B * D, 1e-6);
    mls_run_backward_from(a.run, a.coef);
    mls_run_backward_from(b.run, b.coef);
    for (int i = 0; i < 9; i++) {
        float *ga, *gb, sum[2 * E * D] = { 0 };
        weight(&a, w[i].name, &ga);
        weight(&b, w[i].name, &gb);
        for (int k = 0; k < (w[i].tied ? E * w[i].n : w[i].n); k++) {
            const int h = k / w[i].n / P;
            sum[w[i].tied == 2 ? h : w[i].tied ? h * w[i].n + k % w[i].n : k] += gb[k];
        }
        const int n = w[i].tied == 2 ? TIED_H : w[i].tied ? TIED_H * w[i].n : w[i].n;
        float top = 0.0f, share[2 * E * D];             /* some are 1e-4 of others */
        for (int k = 0; k < n; k++) top = fmaxf(top, fabsf(sum[k]));
        assert_true(top > 0.0f);
        for (int k = 0; k < n; k++) share[k] = ga[k] / top, sum[k] /= top;
        near_all(w[i].name, share, sum, n, 1e-5);
    }
    stop(&a);
    stop(&b);
}

/* ---- The block by its definition, in double ------------------------------------- */

static double silu(double x) { return x / (1.0 + exp(-x)); }

/* out [T][B][D], from zero states; P channels in a head, N states, G groups. */
static void reference(const rig *r, int P, int N, int G, float *out)
{
    enum { MOST = 128 };
    const int D = (int)r->D, E = 2 * D, H = E / P, GN = G * N, W = E + 2 * GN, K = 4;
    const float *wi = weight(r, "in_proj.weight", NULL),
                *wo = weight(r, "out_proj.weight", NULL);
    const float *wc = weight(r, "conv1d.weight", NULL),
                *bc = weight(r, "conv1d.bias", NULL);
    assert_true(E + W + H <= MOST);
    for (int b = 0; b < r->B; b++) {
        static double S[MOST][MOST], past[4][MOST];
        memset(S, 0, sizeof S);
        memset(past, 0, sizeof past);
        for (int t = 0; t < r->T; t++) {
            double all[MOST] = { 0 }, v[MOST], y[MOST];
            for (int i = 0; i < E + W + H; i++)
                for (int d = 0; d < D; d++)
                    all[i] +=
                        (double)wi[i * D + d] * (double)r->x[(t * r->B + b) * D + d];
            memmove(past[0], past[1], 3 * sizeof past[0]);
            for (int i = 0; i < W; i++) {
                past[3][i] = all[E + i];
                double s = (double)bc[i];
                for (int k = 0; k < K; k++) s += (double)wc[i * K + k] * past[k][i];
                v[i] = silu(s);
            }
            for (int e = 0; e < E; e++) {
                const int h = e / P, g = h / (H / G);
                const double dt = log1p(exp(all[E + W + h]
                                            + (double)weight(r, "dt_bias", NULL)[h]));
                const double a = exp(-dt * exp((double)weight(r, "A_log", NULL)[h]));
                y[e] = (double)weight(r, "D", NULL)[h] * v[e];
                for (int n = 0; n < N; n++) {
                    S[e][n] = a * S[e][n] + dt * v[E + g * N + n] * v[e];
                    y[e] += v[E + GN + g * N + n] * S[e][n];
                }
                y[e] *= silu(all[e]);
            }
            for (int g = 0; g < G; g++) {
                double ss = 0.0;
                for (int e = g * E / G; e < (g + 1) * E / G; e++)
                    ss += y[e] * y[e] * G / E;
                for (int e = g * E / G; e < (g + 1) * E / G; e++)
                    y[e] *= (double)weight(r, "norm.weight", NULL)[e] / sqrt(ss + 1e-5);
            }
            for (int d = 0; d < D; d++) {
                double s = 0.0;
                for (int e = 0; e < E; e++) s += (double)wo[d * E + e] * y[e];
                out[(t * r->B + b) * D + d] = (float)s;
            }
        }
    }
}

static void matches_double(void **state)
{
    (void)state;
    static const struct { int P, N, G; } v[] = { { 3, 5, 1 }, { 1, 4, 2 }, { 6, 9, 2 },
                                                 { 12, 1, 1 } };
    use(mamba2, "mixer.mamba2");
    for (int i = 0; i < 4; i++) {
        rig r;
        start(&r, 140, 2, 6, 6, NULL, NULL,
              (setting[]){ { "state", v[i].N, 0 }, { "head", v[i].P, 0 },
                           { "groups", v[i].G, 0 }, { NULL, 0, 0 } }, 0, 3);
        float *want = made(&r, 140 * 2 * 6);
        for (int e = 0; e < 12; e++)
            weight(&r, "norm.weight", NULL)[e] = 1.0f + 0.1f * (float)e;
        for (int h = 0; h < 12 / v[i].P; h++)
            weight(&r, "D", NULL)[h] = 1.0f - 0.1f * (float)h;
        reference(&r, v[i].P, v[i].N, v[i].G, want);
        near_all("y", ahead(&r, &r.batch), want, 140 * 2 * 6, 2e-6);
        stop(&r);
    }
}

static void starts_as_published(void **state)
{
    (void)state;
    use(mamba2, "mixer.mamba2");
    for (uint64_t seed = 0; seed < 20; seed++) {
        rig r;
        start(&r, 4, 1, 32, 32, NULL, NULL,
              (setting[]){ { "head", 4, 0 }, { NULL, 0, 0 } }, 0, seed);
        for (int h = 0; h < 16; h++) {
            const double a = exp((double)weight(&r, "A_log", NULL)[h]);
            const double dt = log1p(exp((double)weight(&r, "dt_bias", NULL)[h]));
            assert_true(a > 0.999 && a < 16.001);
            assert_true(dt > 0.99e-3 && dt < 0.101);
        }
        stop(&r);
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    use(mamba2, "mixer.mamba2");
    same_bits_with_threads(130, 2, 128);
}

static const mls_component *opened(const char *name)
{
    const char *folder = getenv("MLS_PLUGIN_PATH");
    char path[4096];
    mls_error e = { 0 };
    snprintf(path, sizeof path, "%s/mixer/%s.so", folder ? folder : "plugins", name);
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) printf("Bail out! %s\n", e.text);
    return info ? info->components[0] : NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(matches_ssd_minimal),
                                        cmocka_unit_test(is_mamba_with_tied_decay),
                                        cmocka_unit_test(matches_double),
                                        cmocka_unit_test(starts_as_published),
                                        cmocka_unit_test(threads_do_not_matter) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    mls = mls_plug_host();
    mamba = opened("mamba");
    mamba2 = opened("mamba2");
    if (!mamba || !mamba2) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
