/* rows.h - sums of gradients over rows, and the Linear layers of the liquid cells. */
#ifndef LIQUID_ROWS_H
#define LIQUID_ROWS_H

#include <math.h>
#include <mls/product.h>
#include <stdio.h>

/* sum[n] += every row of g[rows][n]. */
MLS_INLINE void add_rows(int64_t rows, int64_t n, const float *restrict g,
                         float *restrict sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) sum[j] += g[r * n + j];
}

/* to[n] += g[n]; to may be NULL: nobody wants it. */
MLS_INLINE void add(int64_t n, const float *g, float *to)
{
    for (int64_t i = 0; to && i < n; i++) to[i] += g[i];
}

/* c[m][n] = sum over rows of g[rows][m] a[rows][n], added to what c holds. */
MLS_INLINE void outer(const mls_call *k, int64_t rows, const float *g, int64_t m,
                      const float *a, int64_t n, float *c, int64_t ldc)
{
    if (rows && c)
        mls->gemm_rows(k, m, 1, 0, m, n, rows, 1.0f, g, m, a, n, 1.0f, c, ldc);
}

/* c[rows][m] = bias + x[rows][n] w[m][.]' for all rows of a sequence at once. */
MLS_INLINE void product_of_rows(const mls_call *k, int64_t batch, int64_t rows,
                                int64_t m, int64_t n, const float *x, const float *w,
                                int64_t ldw, const float *bias, float *c)
{
    for (int64_t r = 0; r < rows; r++)
        if (bias)
            memcpy(c + r * m, bias, (size_t)m * sizeof(float));
        else
            memset(c + r * m, 0, (size_t)m * sizeof(float));
    mls->gemm_rows(k, batch, 0, 1, rows, m, n, 1.0f, x, n, w, ldw, 1.0f, c, m);
}

/* [setup] `name`.weight [rows][cols] and `name`.bias [rows] as ncps starts them: Xavier
 * weights, PyTorch's biases. */
MLS_INLINE void linear_weights(mls_ctx *c, const char *name, int64_t rows, int64_t cols,
                               mls_t *w, mls_t *b)
{
    char full[64];
    snprintf(full, sizeof full, "%s.weight", name);
    *w = mls->weight(c, full, rows, cols, mls_init_of(MLS_XAVIER, 1.0, 0));
    snprintf(full, sizeof full, "%s.bias", name);
    *b = mls->weight(c, full, 1, rows,
                     mls_init_of(MLS_UNIFORM, 1.0 / sqrt((double)cols), MLS_NO_DECAY));
}

#endif
