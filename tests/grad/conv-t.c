/* The causal depthwise convolution against a plain one, its gradient against
 * differences, and chunks, masks and padding.                                         */
#include "rig.h"

typedef struct problem {
    int64_t T, B, E, K;
    float *x, *w, *bias, *past, *mask;          /* bias, past, mask may be NULL        */
    const float *d_y, *d_next;
} problem;

static problem make(int64_t T, int64_t B, int64_t E, int64_t K, int masked)
{
    problem p = { T, B, E, K, rig_noise(T * B * E, 1), rig_noise(E * K, 2),
                  rig_noise(E, 3), rig_noise(B * (K - 1) * E, 4), NULL, NULL, NULL };
    if (masked) {
        p.mask = rig_noise(T * B, 5);
        for (int64_t i = 0; i < T * B; i++)
            p.mask[i] = p.mask[i] < 0.2f && i % B < 2 ? 1.0f : 0.0f;   /* sample 2: none */
    }
    return p;
}

static void drop(problem *p)
{
    free(p->x);
    free(p->w);
    free(p->bias);
    free(p->past);
    free(p->mask);
}

static mls_t apply(rig *r, const problem *p, int64_t t, int64_t n, mls_state *s, float *gx,
                   float *gw, float *gb)
{
    const int64_t row = p->B * p->E;
    mls_t x = mls_tape_wrap(&r->c, p->x + t * row, gx, gx != NULL, n, p->B, p->E);
    mls_t w = mls_tape_wrap(&r->c, p->w, gw, gw != NULL, 1, p->E, p->K);
    mls_t b = p->bias ? mls_tape_wrap(&r->c, p->bias, gb, gb != NULL, 1, 1, p->E) : NULL;
    mls_t m = p->mask ? mls_tape_wrap(&r->c, p->mask + t * p->B, NULL, 0, n, p->B, 1) : NULL;
    return mls_grad_conv(&r->c, x, w, b, p->past ? s : NULL, m);
}

static void run(const problem *p, int64_t chunk, float *y, float *next)
{
    const int64_t row = p->B * p->E, S = (p->K - 1) * p->E;
    rig r;
    rig_start(&r, 0);
    if (p->past) memcpy(next, p->past, (size_t)(p->B * S) * sizeof *next);
    for (int64_t t = 0; t < p->T; t += chunk) {
        const int64_t n = p->T - t < chunk ? p->T - t : chunk;
        mls_state s = { next, NULL, p->B, S, NULL };
        mls_tape_reset(&r.tape);
        mls_t out = apply(&r, p, t, n, &s, NULL, NULL, NULL);
        if (r.error.set) break;
        memcpy(y + t * row, out->data, (size_t)(n * row) * sizeof *y);
        if (s.now) memcpy(next, s.now->data, (size_t)(p->B * S) * sizeof *next);
    }
    rig_stop(&r);
}

/* y and the new state by a shift register per sample. */
static void plain(const problem *p, double *y, float *next)
{
    const int64_t K = p->K, E = p->E;
    float *line = rig_zeros(K * E);
    for (int64_t b = 0; b < p->B; b++) {
        memset(line, 0, (size_t)(K * E) * sizeof *line);
        if (p->past) memcpy(line + E, p->past + b * (K - 1) * E, (size_t)((K - 1) * E) * 4);
        for (int64_t t = 0; t < p->T; t++) {
            double *to = y + (t * p->B + b) * E;
            for (int64_t e = 0; e < E; e++) to[e] = 0.0;
            if (p->mask && p->mask[t * p->B + b] == 0.0f) continue;
            memmove(line, line + E, (size_t)((K - 1) * E) * sizeof *line);
            memcpy(line + (K - 1) * E, p->x + (t * p->B + b) * E, (size_t)E * sizeof *line);
            for (int64_t e = 0; e < E; e++) {
                to[e] = p->bias ? p->bias[e] : 0.0;
                for (int64_t i = 0; i < K; i++)
                    to[e] += (double)p->w[e * K + i] * line[i * E + e];
            }
        }
        if (p->past) memcpy(next + b * (K - 1) * E, line + E, (size_t)((K - 1) * E) * 4);
    }
    free(line);
}

static void compare(problem p)
{
    const int64_t n = p.T * p.B * p.E, S = p.past ? p.B * (p.K - 1) * p.E : 0;
    float *y = rig_zeros(n), *next = rig_zeros(S), *next_want = rig_zeros(S);
    double *want = calloc((size_t)n, sizeof *want);
    assert_non_null(want);
    plain(&p, want, next_want);
    const int64_t chunks[] = { p.T, 3, 1 };
    float *whole = rig_zeros(n);
    for (int c = 0; c < 3; c++) {
        if (c && !p.past) break;
        run(&p, chunks[c], y, next);
        for (int64_t i = 0; i < n; i++)
            if (!(fabs((double)y[i] - want[i]) < 2e-6))
                fail_msg("K %lld chunk %lld: y[%lld] = %.9g, expected %.9g", (long long)p.K,
                         (long long)chunks[c], (long long)i, (double)y[i], want[i]);
        assert_memory_equal(next, next_want, (size_t)S * sizeof *next);
        if (c == 0) memcpy(whole, y, (size_t)n * sizeof *y);
        else assert_memory_equal(whole, y, (size_t)n * sizeof *y);     /* the same bits */
    }
    free(want);
    free(whole);
    free(y);
    free(next);
    free(next_want);
    drop(&p);
}

static void test_values(void **state)
{
    (void)state;
    compare(make(1, 1, 1, 4, 0));
    compare(make(2, 2, 70, 4, 0));        /* fewer steps than taps; a ragged block */
    compare(make(11, 3, 130, 4, 1));
    compare(make(11, 3, 5, 3, 1));
    compare(make(9, 2, 3, 7, 0));
    compare(make(5, 2, 17, 1, 0));        /* one tap: no state                     */
    problem p = make(6, 2, 5, 4, 0);
    free(p.bias);
    free(p.past);
    p.bias = p.past = NULL;
    compare(p);
}

/* The newest step meets the last tap, as in conv1d with K - 1 zeros in front. */
static void test_order(void **state)
{
    (void)state;
    problem p = make(4, 1, 1, 4, 0);
    const float x[] = { 1, 0, 0, 0 }, w[] = { 1, 2, 3, 4 };
    memcpy(p.x, x, sizeof x);
    memcpy(p.w, w, sizeof w);
    p.bias[0] = 0.0f;
    memset(p.past, 0, 3 * sizeof(float));
    float y[4], next[3];
    run(&p, 4, y, next);
    for (int t = 0; t < 4; t++) assert_true(y[t] == w[3 - t]);
    drop(&p);
}

static double loss(void *arg)
{
    const problem *p = arg;
    const int64_t n = p->T * p->B * p->E, S = p->past ? p->B * (p->K - 1) * p->E : 0;
    float *y = rig_zeros(n), *next = rig_zeros(S);
    double sum = 0.0;
    run(p, p->T, y, next);
    for (int64_t i = 0; i < n; i++) sum += (double)y[i] * p->d_y[i];
    for (int64_t i = 0; i < S; i++) sum += (double)next[i] * p->d_next[i];
    free(y);
    free(next);
    return sum;
}

static void differentiate(problem p)
{
    const int64_t n = p.T * p.B * p.E, S = (p.K - 1) * p.E;
    float *d_y = rig_noise(n, 6), *d_next = rig_noise(p.B * S, 7), *gx = rig_zeros(n);
    float *gw = rig_zeros(p.E * p.K), *gb = rig_zeros(p.E), *gp = rig_zeros(p.B * S);
    p.d_y = d_y;
    p.d_next = d_next;
    rig r;
    rig_start(&r, MLS_TRAIN);
    mls_state s = { p.past, gp, p.B, S, NULL };
    mls_t y = apply(&r, &p, 0, p.T, &s, gx, gw, gb);
    assert_false(r.error.set);
    memcpy(mls_tape_grad(&r.c, y), d_y, (size_t)n * sizeof *d_y);
    if (s.now)
        memcpy(mls_tape_grad(&r.c, s.now), d_next, (size_t)(p.B * S) * sizeof *d_next);
    mls_tape_backward(&r.c);
    rig_stop(&r);
    rig_check(loss, &p, p.x, gx, n, 1, 1e-4, "x");
    rig_check(loss, &p, p.w, gw, p.E * p.K, 1, 1e-4, "w");
    rig_check(loss, &p, p.bias, gb, p.E, 1, 1e-4, "bias");
    if (s.now) rig_check(loss, &p, p.past, gp, p.B * S, 1, 1e-4, "past");
    free(d_y);
    free(d_next);
    free(gx);
    free(gw);
    free(gb);
    free(gp);
    drop(&p);
}

static void test_gradients(void **state)
{
    (void)state;
    differentiate(make(7, 2, 5, 4, 0));
    differentiate(make(2, 2, 5, 4, 0));
    differentiate(make(7, 3, 3, 3, 1));
    differentiate(make(4, 2, 3, 1, 0));
}

static void test_refusals(void **state)
{
    (void)state;
    problem p = make(2, 1, 3, 4, 0);
    rig r;
    rig_start(&r, 0);
    mls_state s = { p.past, NULL, 1, 8, NULL };
    apply(&r, &p, 0, 2, &s, NULL, NULL, NULL);
    assert_true(r.error.set);
    assert_non_null(strstr(r.error.text, "expected 9 (3 rows of 3 features)"));
    r.error.set = 0;
    mls_t x = mls_tape_tensor(&r.c, 2, 1, 5), w = mls_tape_tensor(&r.c, 1, 3, 4);
    mls_grad_conv(&r.c, x, w, NULL, NULL, NULL);
    assert_true(r.error.set);
    assert_non_null(strstr(r.error.text, "x has 5 features"));
    r.error.set = 0;
    rig_stop(&r);
    drop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),    cmocka_unit_test(test_order),
        cmocka_unit_test(test_gradients), cmocka_unit_test(test_refusals),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
