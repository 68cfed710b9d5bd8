/* The scan and the pools over time against plain loops, their gradients against
 * differences, and chunks, masks and carried states.                                  */
#include "rig.h"

#include "kern/kern.h"

typedef struct problem {
    int64_t T, B, N;
    float *a, *b, *old, *mask;                  /* old, mask may be NULL               */
    const float *d_h, *d_next;
} problem;

static problem make(int64_t T, int64_t B, int64_t N, int masked)
{
    problem p = { T, B, N, rig_noise(T * B * N, 1), rig_noise(T * B * N, 2),
                  rig_noise(B * N, 3), NULL, NULL, NULL };
    if (masked) {
        p.mask = rig_noise(T * B, 5);
        for (int64_t i = 0; i < T * B; i++)
            p.mask[i] = p.mask[i] < 0.2f && i % B < 2 ? 1.0f : 0.0f;   /* sample 2: none */
        /* what padding holds must not matter */
        for (int64_t i = 0; i < T * B * N; i++)
            if (p.mask[i / N] == 0.0f) p.a[i] = p.b[i] = NAN;
    }
    return p;
}

static void drop(problem *p)
{
    free(p->a);
    free(p->b);
    free(p->old);
    free(p->mask);
}

static mls_t mask_of(rig *r, const problem *p, int64_t t, int64_t n)
{
    return p->mask ? mls_tape_wrap(&r->c, p->mask + t * p->B, NULL, 0, n, p->B, 1) : NULL;
}

static mls_t apply(rig *r, const problem *p, int64_t t, int64_t n, mls_state *s, float *ga,
                   float *gb)
{
    const int64_t at = t * p->B * p->N;
    mls_t a = mls_tape_wrap(&r->c, p->a + at, ga, 0, n, p->B, p->N);
    mls_t b = mls_tape_wrap(&r->c, p->b + at, gb, 0, n, p->B, p->N);
    return mls_grad_scan(&r->c, a, b, p->old ? s : NULL, mask_of(r, p, t, n));
}

static void run(const problem *p, int64_t chunk, float *h, float *next)
{
    const int64_t row = p->B * p->N;
    rig r;
    rig_start(&r, 0);
    if (p->old) memcpy(next, p->old, (size_t)row * sizeof *next);
    for (int64_t t = 0; t < p->T; t += chunk) {
        const int64_t n = p->T - t < chunk ? p->T - t : chunk;
        mls_state s = { next, NULL, p->B, p->N, NULL };
        mls_tape_reset(&r.tape);
        mls_t out = apply(&r, p, t, n, &s, NULL, NULL);
        if (r.error.set) break;
        memcpy(h + t * row, out->data, (size_t)(n * row) * sizeof *h);
        if (s.now) memcpy(next, s.now->data, (size_t)row * sizeof *next);
    }
    rig_stop(&r);
}

static double plain(const problem *p, int64_t t, int64_t i)
{
    double h = p->old ? (double)p->old[i] : 0.0;
    for (int64_t s = 0; s <= t; s++) {
        const int64_t at = s * p->B * p->N + i;
        if (p->mask && p->mask[s * p->B + i / p->N] == 0.0f) continue;
        h = (double)p->a[at] * h + (double)p->b[at];
    }
    return h;
}

static void compare(problem p)
{
    const int64_t row = p.B * p.N, n = p.T * row;
    float *h = rig_zeros(n), *whole = rig_zeros(n), *next = rig_zeros(row);
    const int64_t chunks[] = { p.T, 3, 1 };
    for (int c = 0; c < (p.old ? 3 : 1); c++) {
        run(&p, chunks[c], h, next);
        for (int64_t i = 0; i < n; i++)
            if (!(fabs((double)h[i] - plain(&p, i / row, i % row)) < 2e-6))
                fail_msg("chunk %lld: h[%lld] = %.9g", (long long)chunks[c], (long long)i,
                         (double)h[i]);
        if (p.old)
            assert_memory_equal(next, h + n - row, (size_t)row * sizeof *next);
        if (c == 0) memcpy(whole, h, (size_t)n * sizeof *h);
        else assert_memory_equal(whole, h, (size_t)n * sizeof *h);     /* the same bits */
    }
    free(h), free(whole), free(next);
    drop(&p);
}

static void test_values(void **state)
{
    (void)state;
    const int best = mls_k_init();
    for (int isa = 0; isa <= best; isa++) {
        mls_plug_init();
        mls_plug_table.isa = isa;
        compare(make(1, 1, 1, 0));
        compare(make(7, 2, 5, 0));
        compare(make(11, 3, 300, 1));        /* a ragged tile of features */
        compare(make(11, 3, 300, 0));
        problem p = make(6, 2, 5, 1);
        free(p.old);
        p.old = NULL;
        compare(p);
    }
    mls_plug_table.isa = best;
}

static double loss(void *arg)
{
    const problem *p = arg;
    const int64_t row = p->B * p->N, n = p->T * row;
    float *h = rig_zeros(n), *next = rig_zeros(row);
    double sum = 0.0;
    run(p, p->T, h, next);
    for (int64_t i = 0; i < n; i++) sum += (double)h[i] * p->d_h[i];
    for (int64_t i = 0; p->old && i < row; i++) sum += (double)next[i] * p->d_next[i];
    free(h), free(next);
    return sum;
}

static void differentiate(problem p)
{
    const int64_t row = p.B * p.N, n = p.T * row;
    float *d_h = rig_noise(n, 6), *d_next = rig_noise(row, 7);
    float *ga = rig_zeros(n), *gb = rig_zeros(n), *go = rig_zeros(row);
    p.d_h = d_h;
    p.d_next = d_next;
    for (int64_t i = 0; i < n; i++)             /* differences would meet the NaNs */
        if (isnan(p.a[i])) p.a[i] = p.b[i] = 0.5f;
    rig r;
    rig_start(&r, MLS_TRAIN);
    mls_state s = { p.old, go, p.B, p.N, NULL };
    mls_t h = apply(&r, &p, 0, p.T, &s, ga, gb);
    assert_false(r.error.set);
    memcpy(mls_tape_grad(&r.c, h), d_h, (size_t)n * sizeof *d_h);
    if (p.old) {
        float *g = mls_tape_grad(&r.c, s.now);      /* a view: adds to h's own */
        for (int64_t i = 0; i < row; i++) g[i] += d_next[i];
    }
    mls_tape_backward(&r.c);
    rig_stop(&r);
    rig_check(loss, &p, p.a, ga, n, 1, 1e-4, "a");
    rig_check(loss, &p, p.b, gb, n, 1, 1e-4, "b");
    if (p.old) rig_check(loss, &p, p.old, go, row, 1, 1e-4, "h");
    free(d_h), free(d_next), free(ga), free(gb), free(go);
    drop(&p);
}

static void test_gradients(void **state)
{
    (void)state;
    differentiate(make(7, 2, 5, 0));
    differentiate(make(7, 3, 3, 1));
    problem p = make(4, 2, 3, 0);
    free(p.old);
    p.old = NULL;
    differentiate(p);
}

/* Backward through chunks, newest first, with the state's gradient handed on, gives what
 * backward through the whole gives. */
static void test_chunked_gradients(void **state)
{
    (void)state;
    enum { T = 7, B = 3, N = 5, CUT = 4, ROW = B * N };
    problem p = make(T, B, N, 1);
    float *d = rig_noise(T * ROW, 6), *h = rig_zeros(T * ROW), *mid = rig_zeros(ROW);
    float *ga[2] = { rig_zeros(T * ROW), rig_zeros(T * ROW) };
    float *gb[2] = { rig_zeros(T * ROW), rig_zeros(T * ROW) };
    float *go[2] = { rig_zeros(ROW), rig_zeros(ROW) }, *gm = rig_zeros(ROW);
    run(&p, T, h, mid);
    memcpy(mid, h + (CUT - 1) * ROW, ROW * sizeof *mid);
    const struct { int64_t t, n; float *old, *gold; const float *next; int into; } part[] = {
        { 0, T, p.old, go[0], NULL, 0 },
        { CUT, T - CUT, mid, gm, NULL, 1 },
        { 0, CUT, p.old, go[1], gm, 1 },
    };
    for (int i = 0; i < 3; i++) {
        rig r;
        rig_start(&r, MLS_TRAIN);
        const int64_t at = part[i].t * ROW;
        mls_state s = { part[i].old, part[i].gold, B, N, NULL };
        mls_t y = apply(&r, &p, part[i].t, part[i].n, &s, ga[part[i].into] + at,
                        gb[part[i].into] + at);
        memcpy(mls_tape_grad(&r.c, y), d + at, (size_t)(part[i].n * ROW) * sizeof *d);
        float *g = mls_tape_grad(&r.c, s.now);
        for (int j = 0; part[i].next && j < ROW; j++) g[j] += part[i].next[j];
        mls_tape_backward(&r.c);
        rig_stop(&r);
    }
    for (int64_t i = 0; i < T * ROW; i++)
        assert_true(fabs((double)ga[0][i] - (double)ga[1][i]) < 1e-6 &&
                    fabs((double)gb[0][i] - (double)gb[1][i]) < 1e-6);
    for (int i = 0; i < ROW; i++)
        assert_true(fabs((double)go[0][i] - (double)go[1][i]) < 1e-6);
    for (int i = 0; i < 2; i++) free(ga[i]), free(gb[i]), free(go[i]);
    free(gm), free(d), free(h), free(mid);
    drop(&p);
}

static void test_refusals(void **state)
{
    (void)state;
    problem p = make(2, 1, 3, 0);
    rig r;
    rig_start(&r, 0);
    mls_state s = { p.old, NULL, 1, 2, NULL };
    apply(&r, &p, 0, 2, &s, NULL, NULL);
    assert_true(r.error.set);
    assert_non_null(strstr(r.error.text,
                           "scan: the state is 2 wide for 1 samples, expected 3 for 1"));
    r.error.set = 0;
    rig_stop(&r);
    drop(&p);
}

/* ---- pools ------------------------------------------------------------------------- */

typedef struct pooled { problem p; mls_pool kind; } pooled;

static double pool_value(const pooled *q, int64_t i)
{
    const problem *p = &q->p;
    double sum = 0.0, last = 0.0, n = 0.0;
    for (int64_t t = 0; t < p->T; t++) {
        if (p->mask && p->mask[t * p->B + i / p->N] == 0.0f) continue;
        last = (double)p->a[t * p->B * p->N + i];
        sum += last;
        n++;
    }
    return q->kind == MLS_POOL_LAST ? last
           : q->kind == MLS_POOL_SUM ? sum
           : n > 0.0 ? sum / n : 0.0;
}

static double pool_loss(void *arg)
{
    const pooled *q = arg;
    double sum = 0.0;
    for (int64_t i = 0; i < q->p.B * q->p.N; i++)
        sum += pool_value(q, i) * (double)q->p.d_next[i];
    return sum;
}

static void one_pool(mls_pool kind, problem p)
{
    const int64_t row = p.B * p.N, n = p.T * row;
    pooled q = { p, kind };
    float *g = rig_zeros(n), *d = rig_noise(row, 7);
    q.p.d_next = d;
    rig r;
    rig_start(&r, MLS_TRAIN);
    const mls_t x = mls_tape_wrap(&r.c, p.a, g, 0, p.T, p.B, p.N);
    const mls_t y = mls_grad_pool(&r.c, x, kind, mask_of(&r, &p, 0, p.T));
    assert_true(y->dim[0] == 1 && y->dim[1] == p.B && y->dim[2] == p.N);
    for (int64_t i = 0; i < row; i++) {
        const double want = pool_value(&q, i);
        assert_true(fabs((double)y->data[i] - want) < 1e-5 * fmax(1.0, fabs(want)));
    }
    memcpy(mls_tape_grad(&r.c, y), d, (size_t)row * sizeof *d);
    mls_tape_backward(&r.c);
    rig_stop(&r);
    for (int64_t i = 0; i < n; i++) if (isnan(p.a[i])) p.a[i] = 0.5f;
    if (n < 1000) rig_check(pool_loss, &q, p.a, g, n, 1, 1e-4, "pool");
    free(g), free(d);
    drop(&p);
}

static void test_pools(void **state)
{
    (void)state;
    for (int kind = MLS_POOL_LAST; kind <= MLS_POOL_SUM; kind++) {
        one_pool((mls_pool)kind, make(7, 3, 5, 1));
        one_pool((mls_pool)kind, make(1, 1, 1, 0));
        one_pool((mls_pool)kind, make(300, 2, 70, 0));   /* ragged runs and tiles */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_gradients),
        cmocka_unit_test(test_chunked_gradients), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_pools),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
