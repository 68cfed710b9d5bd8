/* attention.c - tiles of queries against tiles of keys.  Forward keeps a running
 * maximum and sum of each row (Milakov and Gimelshein 2018; Rabe and Staats 2021);
 * backward forms the probabilities again from the saved logarithm of the sum (Dao et
 * al. 2022).  Scores are kept in units of log2, so that the softmax is one exp2; where
 * the norms of q and k say that they are small, no maximum is needed.                 */
#include "kern/attention.h"
#include "kern/kern.h"

#include <math.h>

/* Of a tile; QUERIES and KEYS are whole numbers of strips for every instruction set. */
enum { QUERIES = 48, KEYS = 144, SUMS = 16, BLOCK = 64, BOUND = 48, LEAST = -126 };

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/* Whether n rows of d floats are in whole panels as they are; and, where a panel is a row,
 * stacked as well. */
static int same_rows(int64_t n, int64_t d) { return n == padded(n) && d == padded(d); }
static int same_stacked(int64_t n, int64_t d) { return n == padded(n) && d == 16; }

/* Any of the two ways of backward, and forward. */
int64_t mls_k_attention_work(int64_t m, int64_t n, int64_t d)
{
    const int64_t width = padded(d), tile = QUERIES * (2 * d + width + 2 * KEYS);
    const int64_t keys = padded(n) * width, queries = padded(m) * width;
    const int64_t stacks = (same_stacked(n, d) ? 0 : keys) +
                           (same_stacked(m, d) ? 0 : 2 * queries);
    const int64_t sums = same_rows(n, d) ? 0 : 2 * keys;
    const int64_t forward = padded(n) * (d + width + 1) + tile;
    const int64_t backward = padded(n) * 2 * d + stacks + sums + tile;
    const int64_t rows = (n + BLOCK) * (d + 1);
    const int64_t tiles = forward > backward ? forward : backward;
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
    float lane[SUMS], best = s[0];
    for (int l = 0; l < SUMS; l++) lane[l] = best;
    int64_t i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (int l = 0; l < SUMS; l++) lane[l] = s[i + l] > lane[l] ? s[i + l] : lane[l];
    for (int l = 0; l < SUMS; l++) best = lane[l] > best ? lane[l] : best;
    for (; i < n; i++) best = s[i] > best ? s[i] : best;
    return best;
}

MLS_INLINE float lane_sum(const float *lane)
{
    float half[SUMS / 2], four[4];
    for (int l = 0; l < 8; l++) half[l] = lane[l] + lane[l + 8];
    for (int l = 0; l < 4; l++) four[l] = half[l] + half[l + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

MLS_INLINE void zero(float *s, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) s[i] = 0.0f;
}

/* ---- query by query: exact mode, and few queries ---------------------------------- */

/* One query.  kt [d][ld] holds the keys transposed; p has room for a whole number of
 * blocks.  Lanes are counted from the first key seen, so the bits depend on nothing else. */
MLS_INLINE void forward_row(mls_k_attention *a, int64_t i, const float *kt, int64_t ld,
                            float *p)
{
    const int64_t d = a->d;
    const float *q = a->q + i * d, c = a->scale * MLS_LOG2E;
    float *o = a->o + i * d, lane[SUMS] = { 0 };
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
    for (int64_t g = 0; g < full; g += SUMS)
        for (int l = 0; l < SUMS; l++) {
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

MLS_INLINE void rows_body(int64_t unused, void *arg)
{
    mls_k_attention *a = arg;
    (void)unused;
    const int64_t ld = a->n + BLOCK, d = a->d;
    float *kt = a->work, *p = kt + d * ld;
    for (int64_t e = 0; e < d; e++) zero(kt + e * ld, a->n, ld);
    mls_transpose(a->n, d, a->k, d, kt, ld);
    for (int64_t i = 0; i < a->m; i++) forward_row(a, i, kt, ld, p);
}
MLS_KERNEL_BODY(forward_rows, rows_body)

/* ---- tiles --------------------------------------------------------------------------- */

#define LANES 4
#define FN(x) x##_plain
#define TARGET
#include "kern/attention_tiles.h"
#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "kern/attention_tiles.h"
#define LANES 16
#define FN(x) x##_avx512
#define TARGET MLS_AVX512
#include "kern/attention_tiles.h"
#endif

void mls_k_attention_forward(mls_k_attention *a)
{
    if (a->rows) forward_rows(0, a);
#if defined(__x86_64__)
    else if (mls->isa == MLS_ISA_AVX512) forward_avx512(a);
    else if (mls->isa == MLS_ISA_AVX2) forward_avx2(a);
#endif
    else forward_plain(a);
}

void mls_k_attention_backward(mls_k_attention *a)
{
#if defined(__x86_64__)
    if (mls->isa == MLS_ISA_AVX512) {
        backward_avx512(a);
        return;
    }
    if (mls->isa == MLS_ISA_AVX2) {
        backward_avx2(a);
        return;
    }
#endif
    backward_plain(a);
}
