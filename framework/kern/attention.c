/* attention.c - tiles of queries against tiles of keys.  Forward keeps a running
 * maximum and sum of each row (Milakov and Gimelshein 2018; Rabe and Staats 2021);
 * backward forms the probabilities again from the saved logarithm of the sum (Dao et
 * al. 2022).  Scores are kept in units of log2, so that the softmax is one exp2.      */
#include "kern/attention.h"
#include "kern/kern.h"

#include <math.h>

enum { QUERIES = 64, KEYS = 128, LANES = 16, BLOCK = 64 };

int64_t mls_k_attention_work(int64_t m, int64_t n, int64_t d)
{
    (void)m;
    const int64_t tiles = 2 * QUERIES * KEYS + 2 * QUERIES;
    const int64_t rows = (n + BLOCK) * (d + 1);
    return tiles > rows ? tiles : rows;
}

/* Keys [*lo, *hi) that query i sees. */
MLS_INLINE void seen(const mls_k_attention *a, int64_t i, int64_t *lo, int64_t *hi)
{
    *lo = 0;
    *hi = a->n;
    if (a->bidirectional) return;
    *hi = a->first + i + 1;
    if (*hi > a->window) *lo = *hi - a->window;
}

/* The part of query i's keys that lies in the tile of nk keys from j0 on. */
MLS_INLINE void columns(const mls_k_attention *a, int64_t i, int64_t j0, int64_t nk,
                        int64_t *c0, int64_t *c1)
{
    int64_t lo, hi;
    seen(a, i, &lo, &hi);
    lo -= j0;
    hi -= j0;
    *c1 = hi < nk ? (hi > 0 ? hi : 0) : nk;
    *c0 = lo > 0 ? (lo < *c1 ? lo : *c1) : 0;
}

MLS_INLINE float row_max(const float *s, int64_t n)
{
    float lane[LANES], best = s[0];
    for (int l = 0; l < LANES; l++) lane[l] = best;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = s[i + l] > lane[l] ? s[i + l] : lane[l];
    for (int l = 0; l < LANES; l++) best = lane[l] > best ? lane[l] : best;
    for (; i < n; i++) best = s[i] > best ? s[i] : best;
    return best;
}

MLS_INLINE float lane_sum(const float *lane)
{
    float half[LANES / 2], four[4];
    for (int l = 0; l < 8; l++) half[l] = lane[l] + lane[l + 8];
    for (int l = 0; l < 4; l++) four[l] = half[l] + half[l + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* s = 2^(s - top), and the sum of it. */
MLS_INLINE float row_exp(float *s, int64_t n, float top)
{
    float lane[LANES] = { 0 };
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) {
            const float p = mls_exp2f(s[i + l] - top);
            s[i + l] = p;
            lane[l] += p;
        }
    for (; i < n; i++) {
        s[i] = mls_exp2f(s[i] - top);
        lane[i % LANES] += s[i];
    }
    return lane_sum(lane);
}

MLS_INLINE void zero(float *s, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) s[i] = 0.0f;
}

/* ---- forward ------------------------------------------------------------------------ */

MLS_INLINE void forward_tile(mls_k_attention *a, int64_t i0, int64_t nq)
{
    const int64_t d = a->d;
    float *s = a->work, *top = s + QUERIES * KEYS, *sum = top + QUERIES;
    float *o = a->o + i0 * d;
    int64_t from, to, ignored;
    seen(a, i0, &from, &ignored);
    seen(a, i0 + nq - 1, &ignored, &to);
    for (int64_t i = 0; i < nq; i++) sum[i] = 0.0f;
    zero(o, 0, nq * d);

    for (int64_t j0 = from; j0 < to; j0 += KEYS) {
        const int64_t nk = to - j0 < KEYS ? to - j0 : KEYS;
        mls_k_gemm(0, 1, nq, nk, d, a->scale * MLS_LOG2E, a->q + i0 * d, d, a->k + j0 * d,
                   d, 0.0f, s, KEYS);
        for (int64_t i = 0; i < nq; i++) {
            int64_t c0, c1;
            float *row = s + i * KEYS;
            columns(a, i0 + i, j0, nk, &c0, &c1);
            if (c0 == c1) {
                zero(row, 0, nk);
                continue;
            }
            float best = row_max(row + c0, c1 - c0);
            if (sum[i] > 0.0f) {
                if (best > top[i]) {
                    const float shrink = mls_exp2f(top[i] - best);
                    sum[i] *= shrink;
                    for (int64_t e = 0; e < d; e++) o[i * d + e] *= shrink;
                } else {
                    best = top[i];
                }
            }
            top[i] = best;
            sum[i] += row_exp(row + c0, c1 - c0, best);
            zero(row, 0, c0);
            zero(row, c1, nk);
        }
        mls_k_gemm(0, 0, nq, d, nk, 1.0f, s, KEYS, a->v + j0 * d, d, 1.0f, o, d);
    }
    for (int64_t i = 0; i < nq; i++) {
        const float r = 1.0f / sum[i];
        for (int64_t e = 0; e < d; e++) o[i * d + e] *= r;
        a->lse[i0 + i] = top[i] + log2f(sum[i]);
    }
}

/* One query.  kt [d][ld] holds the keys transposed; p has room for a whole number of
 * blocks.  Lanes are counted from the first key seen, so the bits depend on nothing else. */
MLS_INLINE void forward_row(mls_k_attention *a, int64_t i, const float *kt, int64_t ld,
                            float *p)
{
    const int64_t d = a->d;
    const float *q = a->q + i * d, c = a->scale * MLS_LOG2E;
    float *o = a->o + i * d, lane[LANES] = { 0 };
    int64_t lo, hi;
    seen(a, i, &lo, &hi);
    const int64_t n = hi - lo, full = (n + BLOCK - 1) / BLOCK * BLOCK;
    for (int64_t g = 0; g < full; g += BLOCK) {
        float dot[BLOCK] = { 0 };
        for (int64_t e = 0; e < d; e++) {
            const float *at = kt + e * ld + lo + g;
            for (int l = 0; l < BLOCK; l++) dot[l] += q[e] * at[l];
        }
        for (int l = 0; l < BLOCK; l++) p[g + l] = dot[l] * c;
    }
    const float best = row_max(p, n);
    for (int64_t g = 0; g < full; g += LANES)
        for (int l = 0; l < LANES; l++) {
            const float e = g + l < n ? mls_exp2f(p[g + l] - best) : 0.0f;
            p[g + l] = e;
            lane[l] += e;
        }
    const float sum = lane_sum(lane), r = 1.0f / sum;
    zero(o, 0, d);
    const float *last = a->v + (hi - 1) * d;
    for (int64_t g = 0; g < n; g += 4) {     /* p is 0 past n: any row will do there */
        const float *v0 = a->v + (lo + g) * d;
        const float *v1 = g + 1 < n ? v0 + d : last, *v2 = g + 2 < n ? v0 + 2 * d : last;
        const float *v3 = g + 3 < n ? v0 + 3 * d : last;
        for (int64_t e = 0; e < d; e++)
            o[e] += (p[g] * v0[e] + p[g + 1] * v1[e]) + (p[g + 2] * v2[e] + p[g + 3] * v3[e]);
    }
    for (int64_t e = 0; e < d; e++) o[e] *= r;
    a->lse[i] = best + log2f(sum);
}

MLS_INLINE void forward_body(int64_t unused, void *arg)
{
    mls_k_attention *a = arg;
    (void)unused;
    if (!a->rows) {
        for (int64_t i = 0; i < a->m; i += QUERIES)
            forward_tile(a, i, a->m - i < QUERIES ? a->m - i : QUERIES);
        return;
    }
    const int64_t ld = a->n + BLOCK, d = a->d;
    float *kt = a->work, *p = kt + d * ld;
    for (int64_t e = 0; e < d; e++) zero(kt + e * ld, a->n, ld);
    for (int64_t j = 0; j < a->n; j++)
        for (int64_t e = 0; e < d; e++) kt[e * ld + j] = a->k[j * d + e];
    for (int64_t i = 0; i < a->m; i++) forward_row(a, i, kt, ld, p);
}

/* ---- backward ----------------------------------------------------------------------- */

/* ds = p (dp - sum_e d_o o), with dp in `ds`; p from the scores in `s`. */
MLS_INLINE void tile_gradient(const mls_k_attention *a, int64_t i0, int64_t nq, int64_t j0,
                              int64_t nk, float *s, float *ds, const float *delta)
{
    for (int64_t i = 0; i < nq; i++) {
        int64_t c0, c1;
        float *p = s + i * KEYS, *g = ds + i * KEYS;
        const float lse = a->lse[i0 + i], dot = delta[i];
        columns(a, i0 + i, j0, nk, &c0, &c1);
        for (int64_t j = c0; j < c1; j++) {
            p[j] = mls_exp2f(p[j] - lse);
            g[j] = p[j] * (g[j] - dot);
        }
        zero(p, 0, c0);
        zero(p, c1, nk);
        zero(g, 0, c0);
        zero(g, c1, nk);
    }
}

MLS_INLINE void backward_tile(mls_k_attention *a, int64_t i0, int64_t nq)
{
    const int64_t d = a->d;
    float *s = a->work, *ds = s + QUERIES * KEYS, *delta = ds + QUERIES * KEYS;
    const float *q = a->q + i0 * d, *g = a->d_o + i0 * d, *o = a->o + i0 * d;
    int64_t from, to, ignored;
    seen(a, i0, &from, &ignored);
    seen(a, i0 + nq - 1, &ignored, &to);
    for (int64_t i = 0; i < nq; i++) {
        float dot = 0.0f;
        for (int64_t e = 0; e < d; e++) dot += g[i * d + e] * o[i * d + e];
        delta[i] = dot;
    }
    for (int64_t j0 = from; j0 < to; j0 += KEYS) {
        const int64_t nk = to - j0 < KEYS ? to - j0 : KEYS;
        const float *k = a->k + j0 * d, *v = a->v + j0 * d;
        mls_k_gemm(0, 1, nq, nk, d, a->scale * MLS_LOG2E, q, d, k, d, 0.0f, s, KEYS);
        mls_k_gemm(0, 1, nq, nk, d, 1.0f, g, d, v, d, 0.0f, ds, KEYS);
        tile_gradient(a, i0, nq, j0, nk, s, ds, delta);
        mls_k_gemm(1, 0, nk, d, nq, 1.0f, s, KEYS, g, d, 1.0f, a->dv + j0 * d, d);
        mls_k_gemm(0, 0, nq, d, nk, a->scale, ds, KEYS, k, d, 1.0f, a->dq + i0 * d, d);
        mls_k_gemm(1, 0, nk, d, nq, a->scale, ds, KEYS, q, d, 1.0f, a->dk + j0 * d, d);
    }
}

MLS_INLINE void backward_body(int64_t unused, void *arg)
{
    mls_k_attention *a = arg;
    (void)unused;
    for (int64_t i = 0; i < a->m; i += QUERIES)
        backward_tile(a, i, a->m - i < QUERIES ? a->m - i : QUERIES);
}

MLS_KERNEL_BODY(forward_any, forward_body)
MLS_KERNEL_BODY(backward_any, backward_body)

void mls_k_attention_forward(mls_k_attention *a) { forward_any(0, a); }
void mls_k_attention_backward(mls_k_attention *a) { backward_any(0, a); }
