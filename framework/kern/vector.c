/* Reductions and the optimiser's step over long arrays.  Sums run in blocks of fixed
 * size whose partial results are added in order: no thread count changes a bit.      */
#include "kern/kern.h"
#include "base/parfor.h"

#include <math.h>

enum { BLOCK = 1 << 14, SHARE = 1 << 16 };

static void blocks(int64_t n, void (*body)(int64_t i, void *arg), void *arg)
{
    const int64_t items = (n + BLOCK - 1) / BLOCK;
    if (n < SHARE)
        for (int64_t i = 0; i < items; i++) body(i, arg);
    else
        mls_parfor(items, body, arg);
}

/* ---- sum of squares -------------------------------------------------------------- */

typedef struct squares { const float *x; int64_t n; double sum; } squares;

MLS_INLINE void squares_body(const mls_call *k)
{
    squares *p = (squares *)(uintptr_t)k->attr;
    double acc[8] = { 0 };
    const float *restrict x = p->x;
    int64_t i = 0;
    for (; i + 8 <= p->n; i += 8)
        for (int l = 0; l < 8; l++) acc[l] += (double)x[i + l] * (double)x[i + l];
    for (int l = 0; i < p->n; i++, l++) acc[l] += (double)x[i] * (double)x[i];
    for (int w = 4; w; w /= 2)
        for (int l = 0; l < w; l++) acc[l] += acc[l + w];
    p->sum = acc[0];
}
MLS_KERNEL(sum_squares, squares_body)

double mls_k_sum_squares(const float *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        squares p = { x + i, n - i < BLOCK ? n - i : BLOCK, 0.0 };
        sum_squares(&(mls_call){ .attr = &p });
        sum += p.sum;
    }
    return sum;
}

/* ---- first NaN or Inf ------------------------------------------------------------ */

typedef struct check { const float *x; int64_t n; uint32_t bad; } check;

/* An exponent of all ones is NaN or Inf. */
MLS_INLINE void finite_body(const mls_call *k)
{
    check *p = (check *)(uintptr_t)k->attr;
    const float *restrict x = p->x;
    uint32_t bad = 0;
    for (int64_t i = 0; i < p->n; i++)
        bad |= (uint32_t)((mls_bits_of_float(x[i]) & 0x7f800000) == 0x7f800000);
    p->bad = bad;
}
MLS_KERNEL(any_bad, finite_body)

int64_t mls_k_first_bad(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += BLOCK) {
        check p = { x + i, n - i < BLOCK ? n - i : BLOCK, 0 };
        any_bad(&(mls_call){ .attr = &p });
        for (int64_t j = i; p.bad && j < i + p.n; j++)
            if (!isfinite(x[j])) return j;
    }
    return -1;
}

/* ---- AdamW (Loshchilov and Hutter 2019) ------------------------------------------ */
/* m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,
 * w = w (1 - lr decay) - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)          */

typedef struct adam {
    float       *w, *m, *v;
    const float *g;
    int64_t      n;
    float        beta1, beta2, step, root, eps, shrink;
} adam;

MLS_INLINE void adam_body(int64_t item, void *arg)
{
    const adam *p = arg;
    const int64_t from = item * BLOCK, n = p->n - from < BLOCK ? p->n - from : BLOCK;
    float *restrict w = p->w + from, *restrict m = p->m + from,
                    *restrict v = p->v + from;
    const float *restrict g = p->g + from;
    const float b1 = p->beta1, b2 = p->beta2, step = p->step, root = p->root,
                eps = p->eps;
    const float shrink = p->shrink;
    for (int64_t i = 0; i < n; i++) {
        m[i] = b1 * m[i] + (1.0f - b1) * g[i];
        v[i] = b2 * v[i] + (1.0f - b2) * g[i] * g[i];
        w[i] -= shrink * w[i] + step * m[i] / (sqrtf(v[i]) * root + eps);
    }
}
MLS_KERNEL_BODY(adam_step, adam_body)

void mls_k_adamw(float *w, const float *g, float *m, float *v, int64_t n,
                 const mls_adamw *p)
{
    adam a = { w, m, v, g, n, p->beta1, p->beta2,
               (float)(p->lr / (1.0 - pow(p->beta1, (double)p->t))),
               (float)(1.0 / sqrt(1.0 - pow(p->beta2, (double)p->t))), p->eps,
               p->lr * p->decay };
    blocks(n, adam_step, &a);
}
