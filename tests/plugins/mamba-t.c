/* mixer.mamba: public figures, a reference in double, differences at both ends, cuts in
 * time, masks, threads. */
#include "mamba-golden.h"
#include "mamba-rig.h"

/* ---- Public figures -------------------------------------------------------------- */

static void matches_the_public_block(void **state)
{
    (void)state;
    enum { T = 7, B = 2, D = 4, ROWS = T * B };
    static const struct { const char *name; const float *grad; int n; } w[] = {
        { "A_log", golden_A_log, 24 }, { "D", golden_D, 8 },
        { "in_proj.weight", golden_in_proj_weight, 64 },
        { "conv1d.weight", golden_conv1d_weight, 32 }, { "conv1d.bias", golden_conv1d_bias, 8 },
        { "x_proj.weight", golden_x_proj_weight, 56 },
        { "dt_proj.weight", golden_dt_proj_weight, 8 },
        { "dt_proj.bias", golden_dt_proj_bias, 8 },
        { "out_proj.weight", golden_out_proj_weight, 32 } };
    rig r;
    start(&r, T, B, D, ROWS, NULL, NULL, (setting[]){ { "state", 3, 0 }, { NULL, 0, 0 } },
          MLS_TRAIN, 1);
    for (int j = 2; j < 9; j++)
        for (int k = 0; k < w[j].n; k++)
            weight(&r, w[j].name, NULL)[k] = (float)(0.4 * sin(0.7 * k + 0.3 * j));
    /* A_log and D are as they start.  Row (t, b) of the input is one hot, so that the
     * projection holds the block's input and its gradient is the input's. */
    float *p = weight(&r, "input.weight", NULL), *gp, y[ROWS * D], gx[ROWS * D], *g;
    memset(r.x, 0, ROWS * ROWS * sizeof(float));
    for (int t = 0; t < T; t++)
        for (int b = 0; b < B; b++)
            for (int i = 0; i < D; i++) {
                const int row = t * B + b, k = (b * T + t) * D + i;
                r.x[row * ROWS + row] = 1.0f;
                p[i * ROWS + row] = (float)cos(0.9 * k);
                r.coef[row * D + i] = (float)cos(0.9 * k + 0.5);
            }
    const float *out = ahead(&r, &r.batch);
    for (int k = 0; k < ROWS * D; k++)
        y[k] = out[(k / D % T * B + k / D / T) * D + k % D];
    mls_run_backward_from(r.run, r.coef);
    weight(&r, "input.weight", &gp);
    for (int k = 0; k < ROWS * D; k++)
        gx[k] = gp[k % D * ROWS + k / D % T * B + k / D / T];
    near_all("y", y, golden_y, ROWS * D, 2e-6);
    near_all("dx", gx, golden_d_x, ROWS * D, 2e-6);
    for (int j = 0; j < 9; j++) {
        weight(&r, w[j].name, &g);
        near_all(w[j].name, g, w[j].grad, w[j].n, 2e-6);
    }
    stop(&r);
}

/* ---- A reference in double ------------------------------------------------------- */

static double plus(double x) { return x > 30 ? x : log1p(exp(x)); }
static double silu(double x) { return x / (1.0 + exp(-x)); }

/* y [T][B][D] of the block by its definition, from zero states.  fixed: step size, B and C
 * do not depend on the input. */
static void reference(const rig *r, int64_t N, int64_t R, int rule, int fixed, float *y)
{
    enum { MOST = 64 };
    const int64_t D = r->D, E = 2 * D, K = 4;
    const float *wi = weight(r, "in_proj.weight", NULL), *wc = weight(r, "conv1d.weight", NULL);
    const float *bc = weight(r, "conv1d.bias", NULL), *bd = weight(r, "dt_proj.bias", NULL);
    const float *wx = fixed ? NULL : weight(r, "x_proj.weight", NULL);
    const float *wd = fixed ? NULL : weight(r, "dt_proj.weight", NULL);
    const float *al = weight(r, "A_log", NULL), *sk = weight(r, "D", NULL);
    const float *wo = weight(r, "out_proj.weight", NULL);
    assert_true(E <= MOST && N <= MOST && R + 2 * N <= 3 * MOST);
    for (int64_t b = 0; b < r->B; b++) {
        static double h[MOST][MOST], past[4][MOST];
        memset(h, 0, sizeof h);
        memset(past, 0, sizeof past);
        for (int64_t t = 0; t < r->T; t++) {
            const float *x = r->x + (t * r->B + b) * D;
            double u[MOST], z[MOST], rbc[3 * MOST], o[MOST];
            memmove(past[0], past[1], 3 * sizeof past[0]);
            for (int64_t e = 0; e < E; e++) {
                past[3][e] = z[e] = 0.0;
                for (int64_t i = 0; i < D; i++) {
                    past[3][e] += (double)wi[e * D + i] * (double)x[i];
                    z[e] += (double)wi[(E + e) * D + i] * (double)x[i];
                }
            }
            for (int64_t e = 0; e < E; e++) {
                double s = (double)bc[e];
                for (int64_t i = 0; i < K; i++) s += (double)wc[e * K + i] * past[i][e];
                u[e] = silu(s);
            }
            for (int64_t i = 0; i < R + 2 * N; i++) {
                rbc[i] = 0.0;
                for (int64_t e = 0; e < E && !fixed; e++)
                    rbc[i] += (double)wx[i * E + e] * u[e];
            }
            for (int64_t n = 0; n < N && fixed; n++) {
                rbc[R + n] = (double)weight(r, "B", NULL)[n];
                rbc[R + N + n] = (double)weight(r, "C", NULL)[n];
            }
            for (int64_t e = 0; e < E; e++) {
                double raw = (double)bd[e], s = (double)sk[e] * u[e];
                for (int64_t i = 0; i < R && !fixed; i++) raw += (double)wd[e * R + i] * rbc[i];
                const double dt = plus(raw);
                for (int64_t n = 0; n < N; n++) {
                    const double a = -exp((double)al[e * N + n]);
                    const double half = 1.0 - 0.5 * dt * a;
                    const double hold = rule == 2 ? dt / half : rule ? expm1(dt * a) / a : dt;
                    const double keep = rule == 2 ? (1.0 + 0.5 * dt * a) / half : exp(dt * a);
                    h[e][n] = keep * h[e][n] + hold * rbc[R + n] * u[e];
                    s += rbc[R + N + n] * h[e][n];
                }
                o[e] = s * silu(z[e]);
            }
            for (int64_t i = 0; i < D; i++) {
                double s = 0.0;
                for (int64_t e = 0; e < E; e++) s += (double)wo[i * E + e] * o[e];
                y[(t * r->B + b) * D + i] = (float)s;
            }
        }
    }
}

static const char *const rules[] = { "zoh_a_euler_b", "zoh", "bilinear" };

/* Widths that fill no vector, more steps than a chunk, and dt A from 1e-3 to 900, where
 * exp2 leaves its unchecked range. */
static void matches_double(void **state)
{
    (void)state;
    for (int rule = 0; rule < 3; rule++)
        for (int stiff = 0; stiff < 6; stiff++) {
            rig r;
            const int fixed = stiff > 2;
            start(&r, 90, 2, 11, 11, NULL, rules[rule],
                  (setting[]){ { "state", 7, 0 }, { "dt_rank", 2, 0 },
                               { "selective_delta", !fixed, 1 },
                               { "selective_b", !fixed, 1 }, { "selective_c", !fixed, 1 },
                               { NULL, 0, 0 } }, 0, 3);
            float *al = weight(&r, "A_log", NULL), *bd = weight(&r, "dt_proj.bias", NULL);
            for (int i = 0; i < 22 * 7 && stiff % 3; i++) al[i] += stiff % 3 == 1 ? 0.0f : 2.5f;
            for (int i = 0; i < 22 && stiff % 3; i++)
                bd[i] = stiff % 3 == 1 ? 0.5f : 7.0f * noise((uint64_t)i);
            for (int i = 0; i < 7 && fixed; i++) weight(&r, "B", NULL)[i] = noise((uint64_t)i);
            float *want = made(&r, 90 * 2 * 11);
            reference(&r, 7, 2, rule, fixed, want);
            near_all(rules[rule], ahead(&r, &r.batch), want, 90 * 2 * 11, 1e-6);
            stop(&r);
        }
}

/* As dt A goes to 0 all three rules become one: nothing cancels on the way. */
static void rules_meet_at_small_steps(void **state)
{
    (void)state;
    float kept[20 * 4] = { 0 };
    for (int rule = 0; rule < 3; rule++) {
        rig r;
        start(&r, 20, 1, 4, 4, NULL, rules[rule], NULL, 0, 3);
        for (int i = 0; i < 8 * 16; i++) weight(&r, "A_log", NULL)[i] = -25.0f;
        const float *y = ahead(&r, &r.batch);
        if (!rule) memcpy(kept, y, sizeof kept);
        else near_all(rules[rule], y, kept, 20 * 4, 1e-7);
        stop(&r);
    }
}

static void rules_differ(void **state)
{
    (void)state;
    float kept[3][20 * 4];
    for (int rule = 0; rule < 3; rule++) {
        rig r;
        start(&r, 20, 1, 4, 4, NULL, rules[rule], NULL, 0, 3);
        memcpy(kept[rule], ahead(&r, &r.batch), sizeof kept[rule]);
        for (int i = 0; i < rule; i++)
            assert_memory_not_equal(kept[rule], kept[i], sizeof kept[rule]);
        stop(&r);
    }
}

/* ---- Gradients ------------------------------------------------------------------- */

static const float *ahead_from(rig *r, const float *h0)
{
    int64_t width;
    mls_run_reset(r->run);
    float *h = state_of(r, "ssm", NULL, &width);
    memcpy(h, h0, (size_t)(r->B * width) * sizeof(float));
    return ahead(r, &r->batch);
}

/* sum of coef . y and seed . final ssm, from initial state h0. */
static double objective(rig *r, const float *h0, const float *seed)
{
    int64_t width;
    const float *y = ahead_from(r, h0);
    double sum = 0.0;
    for (int64_t i = 0; i < r->T * r->B * r->D; i++) sum += (double)y[i] * (double)r->coef[i];
    const float *h = state_of(r, "ssm", NULL, &width);
    for (int64_t i = 0; i < r->B * width; i++) sum += (double)h[i] * (double)seed[i];
    return sum;
}

static void compare(rig *r, float *x, const float *grad, int64_t n, int64_t stride,
                    const char *name, float *h0, const float *seed)
{
    const float h = 0.015625f;
    double top = 0.05;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs((double)grad[i]));
    for (int64_t i = 0; i < n; i += stride) {
        const float keep = x[i];
        double f[4];
        for (int p = 0; p < 4; p++) {
            x[i] = keep + h * (float)(p < 2 ? p - 2 : p - 1);
            f[p] = objective(r, h0, seed);
        }
        x[i] = keep;
        const double d = (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * (double)h);
        if (!(fabs(d - (double)grad[i]) <= 4e-4 * top))
            fail_msg("%s[%lld]: %g by differences, %g by backward (largest %g)", name,
                     (long long)i, d, (double)grad[i], top);
    }
}

static void gradients(void **state)
{
    (void)state;
    for (int v = 0; v < 4; v++) {           /* the last: nothing selective */
        const int rule = v % 3, s = v < 3;
        rig r;
        int ssm = -1;
        int64_t width = 0;
        start(&r, 70, 2, 3, 3, "input -> m.in; input -> m.mod_b; input -> m.mod_c; m -> output",
              rules[rule], (setting[]){ { "state", 5, 0 }, { "selective_delta", s, 1 },
                                        { "selective_b", s, 1 }, { "selective_c", s, 1 },
                                        { NULL, 0, 0 } }, MLS_TRAIN, 5);
        float *mask = made(&r, 140), *grad;
        for (int i = 0; i < 140; i++) mask[i] = i % 7 != 3;
        r.batch.mask = mask;
        for (int i = 0; i < 6; i++)         /* dt up to 2: the scan's own range matters */
            weight(&r, "dt_proj.bias", NULL)[i] = 1.5f * noise((uint64_t)i);
        for (int i = 0; i < 15; i++) {
            weight(&r, "mod_b.weight", NULL)[i] = noise((uint64_t)i + 50);
            weight(&r, "mod_c.weight", NULL)[i] = noise((uint64_t)i + 80);
        }
        state_of(&r, "ssm", &ssm, &width);
        float *h0 = made(&r, 2 * width), *seed = made(&r, 2 * width), *gh0 = made(&r, 2 * width);
        for (int64_t i = 0; i < 2 * width; i++) {
            h0[i] = noise((uint64_t)i + 200);
            seed[i] = noise((uint64_t)i + 300);
        }
        mls_run_seed_state(r.run, ssm, seed);
        ahead_from(&r, h0);
        mls_run_backward_from(r.run, r.coef);
        assert_non_null(mls_run_state_grad(r.run, ssm));
        memcpy(gh0, mls_run_state_grad(r.run, ssm), (size_t)(2 * width) * sizeof(float));
        compare(&r, h0, gh0, 2 * width, 3, "initial state", h0, seed);
        for (int i = 0; i < mls_net_weights(r.net); i++) {
            mls_weight *w = mls_net_weight(r.net, i);
            grad = made(&r, w->rows * w->cols);
            memcpy(grad, w->grad, (size_t)(w->rows * w->cols) * sizeof(float));
            double sum = 0.0;
            for (int64_t k = 0; k < w->rows * w->cols; k++) sum += fabs((double)grad[k]);
            if (!(sum > 0.0)) fail_msg("%s has no gradient", w->name);
            compare(&r, w->data, grad, w->rows * w->cols, 1 + w->rows * w->cols / 12, w->name,
                    h0, seed);
        }
        stop(&r);
    }
}

/* ---- Time ------------------------------------------------------------------------ */

static void cuts(unsigned flags)
{
    enum { T = 131, B = 2, D = 5 };
    rig r;
    start(&r, T, B, D, D, NULL, NULL, (setting[]){ { "state", 6, 0 }, { NULL, 0, 0 } }, flags, 9);
    int64_t width;
    float *whole = made(&r, T * B * D), *last = made(&r, B * 2 * D * 6);
    memcpy(whole, ahead(&r, &r.batch), T * B * D * sizeof(float));
    memcpy(last, state_of(&r, "ssm", NULL, &width), B * 2 * D * 6 * sizeof(float));
    for (int at = 0; at < T; at++) {                 /* at 0: one step at a time */
        mls_run_reset(r.run);
        for (int t = 0, n; t < T; t += n) {
            n = at ? (t ? T - at : at) : 1;
            const mls_batch b = { n, B, NULL, r.x + t * B * D, NULL, NULL, NULL, NULL, NULL };
            const float *y = ahead(&r, &b);
            if (flags & MLS_EXACT)
                assert_memory_equal(y, whole + t * B * D, (size_t)(n * B * D) * sizeof(float));
            else near_all("pieces", y, whole + t * B * D, n * B * D, 1e-5);
        }
        const float *h = state_of(&r, "ssm", NULL, &width);
        if (flags & MLS_EXACT) assert_memory_equal(h, last, B * 2 * D * 6 * sizeof(float));
        else near_all("state", h, last, B * 2 * D * 6, 1e-5);
    }
    stop(&r);
}

static void cuts_do_not_matter(void **state) { (void)state; cuts(0); }
static void exact_cuts_keep_every_bit(void **state) { (void)state; cuts(MLS_EXACT); }

static void is_causal(void **state)
{
    (void)state;
    enum { T = 70, B = 2, D = 4 };
    rig r;
    start(&r, T, B, D, D, NULL, NULL, NULL, 0, 2);
    float *whole = made(&r, T * B * D);
    memcpy(whole, ahead(&r, &r.batch), T * B * D * sizeof(float));
    for (int t = 0; t < T; t++) {
        mls_run_reset(r.run);
        r.x[t * B * D + 1] += 1.0f;
        const float *y = ahead(&r, &r.batch);
        assert_memory_equal(y, whole, (size_t)(t * B * D) * sizeof(float));
        assert_memory_not_equal(y + t * B * D, whole + t * B * D, D * sizeof(float));
        r.x[t * B * D + 1] -= 1.0f;
        /* the other sample sees nothing of it at all */
        for (int s = 0; s < T; s++)
            assert_memory_equal(y + (s * B + 1) * D, whole + (s * B + 1) * D, D * sizeof(float));
        memcpy(whole, (mls_run_reset(r.run), ahead(&r, &r.batch)), T * B * D * sizeof(float));
    }
    stop(&r);
}

/* Masked steps may stand anywhere: the rest is as if they were not there. */
static void mask_is_absence(void **state)
{
    (void)state;
    enum { T = 80, B = 2, D = 5 };
    rig r, one;
    int64_t width;
    start(&r, T, B, D, D, NULL, NULL, NULL, 0, 4);
    start(&one, T, 1, D, D, NULL, NULL, NULL, 0, 4);
    float *mask = made(&r, T * B);
    for (int i = 0; i < T * B; i++)
        mask[i] = i % 2 ? i / 2 < 50 : noise((uint64_t)i + 5) > -0.3f;
    r.batch.mask = mask;
    for (int i = 0; i < T * B * D; i++) if (mask[i / D] == 0.0f) r.x[i] = 1e3f;
    const float *y = ahead(&r, &r.batch);
    for (int b = 0; b < B; b++) {
        int n = 0;
        for (int t = 0; t < T; t++)
            if (mask[t * B + b] != 0.0f)
                memcpy(one.x + n++ * D, r.x + (t * B + b) * D, D * sizeof(float));
        one.batch.steps = n;
        mls_run_reset(one.run);
        const float *alone = ahead(&one, &one.batch);
        for (int t = 0, k = 0; t < T; t++) {
            const float *row = y + (t * B + b) * D;
            if (mask[t * B + b] != 0.0f) near_all("real step", row, alone + k++ * D, D, 1e-6);
            else for (int i = 0; i < D; i++) assert_true(row[i] == 0.0f);
        }
        for (int s = 0; s < 2; s++) {
            const float *h = state_of(&r, s ? "ssm" : "conv", NULL, &width) + b * width;
            near_all("state", h, state_of(&one, s ? "ssm" : "conv", NULL, &width), width, 1e-6);
        }
    }
    stop(&r);
    stop(&one);
}

/* A stretch of nothing but padding keeps every bit of the states. */
static void padding_keeps_states(void **state)
{
    (void)state;
    rig r;
    int64_t width;
    start(&r, 30, 2, 4, 4, NULL, NULL, NULL, 0, 4);
    ahead(&r, &r.batch);
    float *kept[2], *none = made(&r, 60);
    for (int s = 0; s < 2; s++) {
        const float *h = state_of(&r, s ? "ssm" : "conv", NULL, &width);
        kept[s] = made(&r, 2 * width);
        memcpy(kept[s], h, (size_t)(2 * width) * sizeof(float));
    }
    r.batch.mask = none;
    ahead(&r, &r.batch);
    for (int s = 0; s < 2; s++) {
        const float *h = state_of(&r, s ? "ssm" : "conv", NULL, &width);
        assert_memory_equal(h, kept[s], (size_t)(2 * width) * sizeof(float));
    }
    stop(&r);
}

/* ---- Ports, start, threads, taps ------------------------------------------------- */

static void modulation_at_zero_changes_nothing(void **state)
{
    (void)state;
    rig plain, mod;
    start(&plain, 40, 2, 6, 6, NULL, NULL, NULL, 0, 8);
    start(&mod, 40, 2, 6, 6, "input -> m.in; input -> m.mod_b; input -> m.mod_c; m -> output",
          NULL, NULL, 0, 8);
    const float *a = ahead(&plain, &plain.batch), *b = ahead(&mod, &mod.batch);
    assert_memory_equal(a, b, 40 * 2 * 6 * sizeof(float));
    weight(&mod, "mod_b.weight", NULL)[0] = 1.0f;
    mls_run_reset(mod.run);
    assert_memory_not_equal(a, ahead(&mod, &mod.batch), 40 * 2 * 6 * sizeof(float));
    stop(&plain);
    stop(&mod);
}

static void starts_as_published(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        rig r;
        start(&r, 20, 2, 8, 8, NULL, NULL, NULL, 0, seed);
        const float *y = ahead(&r, &r.batch), *bd = weight(&r, "dt_proj.bias", NULL);
        for (int i = 0; i < 20 * 2 * 8; i++) assert_true(isfinite(y[i]));
        for (int i = 0; i < 16; i++) {
            const double dt = plus((double)bd[i]);
            assert_true(dt > 0.99e-3 && dt < 0.101);
        }
        for (int i = 0; i < 16 * 16; i++)
            assert_float_equal(weight(&r, "A_log", NULL)[i], log(i % 16 + 1), 1e-6);
        for (int i = 0; i < mls_net_weights(r.net); i++) {
            const mls_weight *w = mls_net_weight(r.net, i);
            const char *n = w->name + strlen("layer0.m.");
            if (strncmp(w->name, "layer0.m.", 9)) continue;
            const int bare = !strcmp(n, "A_log") || !strcmp(n, "D") || !strcmp(n, "dt_proj.bias");
            assert_int_equal(bare, (w->flags & MLS_NO_DECAY) != 0);
        }
        stop(&r);
    }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    same_bits_with_threads(130, 2, 128);
}

typedef struct seen { int n; int64_t width[8]; char name[8][16]; float least; } seen;

static int want(void *arg, const char *node, const char *name)
{
    (void)arg;
    return !strcmp(node, "layer0.m") && strcmp(name, "out") && strcmp(name, "in");
}

static void look(void *arg, const mls_channel *ch, mls_t value, int64_t t0)
{
    seen *s = arg;
    (void)t0;
    if (s->n == 8) return;
    snprintf(s->name[s->n], sizeof s->name[0], "%s", ch->name);
    s->width[s->n++] = value->dim[2];
    for (int64_t i = 0; !strcmp(ch->name, "delta") && i < value->count; i++)
        s->least = fminf(s->least, value->data[i]);
}

static void taps(void **state)
{
    (void)state;
    static const struct { const char *name; int64_t width; } taps[] = {
        { "B", 16 }, { "C", 16 }, { "delta", 8 }, { "state", 128 } };
    rig r;
    seen s = { .least = 1.0f };
    start(&r, 10, 2, 4, 4, NULL, NULL, NULL, 0, 1);
    mls_run_observe(r.run, &(mls_observer){ &s, want, look });
    ahead(&r, &r.batch);
    for (int i = 0; i < 4; i++) {
        int found = 0;
        for (int k = 0; k < s.n; k++)
            if (!strcmp(s.name[k], taps[i].name)) {
                found = 1;
                assert_int_equal(s.width[k], taps[i].width);
            }
        if (!found) fail_msg("tap %s was not seen", taps[i].name);
    }
    assert_true(s.least > 0.0f && s.least < 0.2f);
    stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_public_block), cmocka_unit_test(matches_double),
        cmocka_unit_test(rules_differ), cmocka_unit_test(rules_meet_at_small_steps),
        cmocka_unit_test(gradients),
        cmocka_unit_test(cuts_do_not_matter), cmocka_unit_test(exact_cuts_keep_every_bit),
        cmocka_unit_test(is_causal), cmocka_unit_test(mask_is_absence),
        cmocka_unit_test(padding_keeps_states),
        cmocka_unit_test(modulation_at_zero_changes_nothing),
        cmocka_unit_test(starts_as_published), cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(taps) };
    const char *folder = getenv("MLS_PLUGIN_PATH");
    char path[4096];
    mls_error e = { 0 };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    snprintf(path, sizeof path, "%s/mixer/mamba.so", folder ? folder : "plugins");
    const mls_plugin_info *info = mls_plug_open(path, &e);
    if (!info) {
        printf("Bail out! %s\n", e.text);
        return 1;
    }
    list[1] = info->components[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
