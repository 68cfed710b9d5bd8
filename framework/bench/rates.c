#include "bench/rates.h"

#include "base/parfor.h"
#include "bench/clock.h"
#include "kern/kern.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 3, SMALL = 2048, ROUNDS = 256, NEAR = 1 << 19, FAR = 1 << 23 };

/* ---- exp: the same short array again and again ----------------------------------- */

typedef struct loop {
    float *x, *y;
    int64_t n, rounds;
} loop;

/* mls_exp2f for arguments that are known to be in range. */
MLS_INLINE float bare_exp2(float x)
{
    const float big = 12582912.0f + 127.0f, r = x + big, f = x - (r - big);
    float p = 1.3264722049e-3f;
    p = p * f + 9.6715129970e-3f;
    p = p * f + 5.5507337604e-2f;
    p = p * f + 2.4022242078e-1f;
    p = p * f + 6.9314697759e-1f;
    p = p * f + 1.0f;
    return p * mls_float_of_bits((int32_t)((uint32_t)mls_bits_of_float(r) << 23));
}

MLS_INLINE void exp_body(int64_t item, void *arg)
{
    const loop *p = arg;
    float *restrict y = p->y + item * p->n;
    const float *restrict x = p->x + item * p->n;
    for (int64_t r = 0; r < p->rounds; r++) {
        for (int64_t i = 0; i < p->n; i++) y[i] = bare_exp2(x[i]);
        __asm__ volatile("" : : "r"(y) : "memory"); /* each round is done */
    }
}
MLS_KERNEL_BODY(exp_loop, exp_body)

/* ---- triad ----------------------------------------------------------------------- */

typedef struct three {
    float *a, *b, *c;
    int64_t n;
} three;

MLS_INLINE void triad_body(int64_t item, void *arg)
{
    const three *p = arg;
    float *restrict a = p->a + item * p->n;
    const float *restrict b = p->b + item * p->n, *restrict c = p->c + item * p->n;
    for (int64_t i = 0; i < p->n; i++) a[i] = b[i] + 0.5f * c[i];
}
MLS_KERNEL_BODY(triad_loop, triad_body)

/* The best of some tries: a rate is what the machine can do, not what it did while
 * busy. With one thread by processor time, else by the wall. */
static double best(int threads, void (*body)(int64_t, void *), void *arg, double work)
{
    double rate = 0.0;
    for (int i = 0; i < TRIES; i++) {
        const mls_bench_time begin = mls_bench_now();
        mls_parfor(threads, body, arg);
        const mls_bench_time took = mls_bench_since(begin);
        const double s = threads == 1 ? took.cpu : took.wall;
        if (s > 0.0 && work / s > rate) rate = work / s;
    }
    return 1e-9 * rate;
}

/* One call of OpenBLAS, or as mls does a product of many rows. */
static void multiply(const mls_bench_shape *s, int own, const float *a, const float *b,
                     float *c)
{
    const int64_t lda = s->trans_a ? s->m : s->k, ldb = s->trans_b ? s->k : s->n;
    if (own)
        mls_k_gemm_rows(0, 0, s->trans_a, s->trans_b, s->m, s->n, s->k, 1.0f, a, lda, b,
                        ldb, 0.0f, c, s->n);
    else
        mls_k_gemm(s->trans_a, s->trans_b, s->m, s->n, s->k, 1.0f, a, lda, b, ldb, 0.0f,
                   c, s->n);
}

static double product(const mls_bench_shape *s, int threads)
{
    const double flops = 2.0 * (double)s->m * (double)s->n * (double)s->k;
    const int64_t calls = flops < 2e6 ? (int64_t)(2e6 / flops) + 1 : 1;
    float *a = malloc((size_t)(s->m * s->k) * sizeof *a),
          *b = malloc((size_t)(s->k * s->n) * sizeof *b),
          *c = malloc((size_t)(s->m * s->n) * sizeof *c);
    double rate = 0.0;
    for (int64_t i = 0; a && i < s->m * s->k; i++) a[i] = 1.0f;
    for (int64_t i = 0; b && i < s->k * s->n; i++) b[i] = 1.0f;
    for (int i = 0; a && b && c && i < 2 * TRIES; i++) {
        const int own = i % 2 || threads > 1;
        const mls_bench_time begin = mls_bench_now();
        for (int64_t j = 0; j < calls; j++) multiply(s, own, a, b, c);
        const mls_bench_time took = mls_bench_since(begin);
        const double t = threads == 1 ? took.cpu : took.wall;
        if (t > 0.0 && (double)calls * flops / t > rate)
            rate = (double)calls * flops / t;
    }
    free(a);
    free(b);
    free(c);
    return 1e-9 * rate;
}

static double triad(int threads, float *all, int64_t n)
{
    three t = {all, all + n, all + 2 * n, n / threads};
    const int64_t used = threads * t.n;
    return best(threads, triad_loop, &t, 12.0 * (double)used);
}

static void keep(double *rate, double found)
{
    if (found > *rate) *rate = found;
}

int mls_bench_measure_rates(mls_bench_rates_of *r)
{
    r->threads = mls_parfor_count();
    float *all = malloc(3 * (size_t)FAR * sizeof *all);
    if (!all) return 0;
    for (int64_t i = 0; i < 3 * (int64_t)FAR; i++) all[i] = -(float)(i % 64) / 16.0f;
    loop l = {all, all + FAR, SMALL, ROUNDS};
    keep(&r->exp, best(r->threads, exp_loop, &l, (double)r->threads * SMALL * ROUNDS));
    keep(&r->near, triad(r->threads, all, NEAR));
    keep(&r->far, triad(r->threads, all, FAR));
    free(all);
    for (int i = 0; i < r->n; i++)
        keep(&r->product[i].rate, product(&r->product[i].shape, r->threads));
    r->square = mls_bench_product_rate(r, (mls_bench_shape){0, 1, 512, 512, 512});
    return 1;
}

/* ---- products -------------------------------------------------------------------- */

double mls_bench_product_rate(mls_bench_rates_of *r, mls_bench_shape s)
{
    for (int i = 0; i < r->n; i++)
        if (!memcmp(&r->product[i].shape, &s, sizeof s)) return r->product[i].rate;
    const double rate = product(&s, r->threads);
    if (r->n < MLS_SHAPES) {
        r->product[r->n].shape = s;
        r->product[r->n++].rate = rate;
    }
    return rate;
}
