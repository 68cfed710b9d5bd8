/* C = alpha op(A) op(B) + beta C over OpenBLAS on one thread.  OpenBLAS's last bits
 * depend on the number of rows it is given, so panels are fixed by the shape alone and
 * only their distribution depends on the threads.                                    */
#include "kern/kern.h"
#include "base/parfor.h"
#include "kern/tall.h"

#include <cblas.h>
#include <string.h>

/* Rows of a panel when A is transposed: then m is the width of a weight, seldom more
 * than a few hundred, and panels of MLS_K_PANEL rows would leave a thread idle.      */
static int64_t panel_of(int trans_a, int64_t m)
{
    return !trans_a ? MLS_K_PANEL : m > 256 ? 128 : 64;
}

/* Less work than this is not worth waking a thread for: about 0.06 ms.               */
#define WORTH_SHARING 4e6

static void scale_rows(int64_t m, int64_t n, float beta, float *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            c[i * ldc + j] = beta == 0.0f ? 0.0f : beta * c[i * ldc + j];
}

void mls_k_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                float *c, int64_t ldc)
{
    if (m <= 0 || n <= 0) return;
    if (k <= 0) {
        scale_rows(m, n, beta, c, ldc);
        return;
    }
    cblas_sgemm(CblasRowMajor, trans_a ? CblasTrans : CblasNoTrans,
                trans_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k,
                alpha, a, (blasint)lda, b, (blasint)ldb, beta, c, (blasint)ldc);
}

typedef struct panels {
    int          trans_a, trans_b;
    int64_t m, n, k, lda, ldb, ldc, rows, group; /* rows a panel, panels an item */
    float        alpha, beta;
    const float *a, *b;
    const float *bias; /* [n]: what C starts from, or NULL */
    float       *c;
} panels;

static void run_group(int64_t item, void *arg)
{
    const panels *p = arg;
    const int64_t end = (item + 1) * p->group * p->rows;
    for (int64_t r = item * p->group * p->rows; r < p->m && r < end; r += p->rows) {
        const int64_t rows = p->m - r < p->rows ? p->m - r : p->rows;
        for (int64_t i = r; p->bias && i < r + rows; i++)
            memcpy(p->c + i * p->ldc, p->bias, (size_t)p->n * sizeof *p->c);
        mls_k_gemm(p->trans_a, p->trans_b, rows, p->n, p->k, p->alpha,
                   p->a + (p->trans_a ? r : r * p->lda), p->lda, p->b, p->ldb, p->beta,
                   p->c + r * p->ldc, p->ldc);
    }
}

static void run(panels *p, int exact, int64_t rows)
{
    if (p->m <= 0 || p->n <= 0) return;
    const int share = 2.0 * (double)p->m * (double)p->n * (double)p->k >= WORTH_SHARING;
    if (!exact && !p->trans_a && p->alpha == 1.0f && p->k > 0 &&
        (p->bias || p->beta == 0.0f || p->beta == 1.0f) &&
        mls_k_tall(p->trans_b, p->m, p->n, p->k, p->a, p->lda, p->b, p->ldb, p->bias,
                   !p->bias && p->beta != 0.0f, p->c, p->ldc, share))
        return;
    p->rows = panel_of(p->trans_a, p->m);
    p->group = 1;
    if (exact && rows > 0) {
        p->rows = rows;
        p->group = rows < MLS_K_PANEL ? MLS_K_PANEL / rows : 1;
    }
    const int64_t per_item = p->rows * p->group,
                  items = (p->m + per_item - 1) / per_item;
    if (share) mls_parfor(items, run_group, p);
    else for (int64_t i = 0; i < items; i++) run_group(i, p);
}

void mls_k_gemm_rows(int exact, int64_t rows, int trans_a, int trans_b, int64_t m,
                     int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
                     const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    panels p = { .trans_a = trans_a, .trans_b = trans_b, .m = m, .n = n, .k = k,
                 .lda = lda, .ldb = ldb, .ldc = ldc, .alpha = alpha, .beta = beta,
                 .a = a, .b = b, .c = c };
    run(&p, exact, rows);
}

void mls_k_linear(int exact, int64_t rows, int64_t m, int64_t n, int64_t k,
                  const float *x, const float *w, const float *bias, float *y)
{
    panels p = { .trans_b = 1, .m = m, .n = n, .k = k, .lda = k, .ldb = k, .ldc = n,
                 .alpha = 1.0f, .beta = bias ? 1.0f : 0.0f, .a = x, .b = w,
                 .bias = bias, .c = y };
    run(&p, exact, rows);
}
