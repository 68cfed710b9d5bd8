/* ops-inner.h - what the files of the common operations share: row blocks over the
 * threads, and sums whose order is fixed.                                            */
#ifndef MLS_GRAD_OPS_INNER_H
#define MLS_GRAD_OPS_INNER_H

#include "base/parfor.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include <mls/kernel.h>

/* A loop over n rows in blocks whose size depends on the width alone.  It is the first
 * member of every kernel's argument.                                                 */
typedef struct mls_rows { int64_t n, per; } mls_rows;

enum {
    MLS_ROWS_BLOCK = 1 << 14,    /* values in a block: half of L2 with three arrays   */
    MLS_ROWS_SHARE = 1 << 16     /* fewer values are not worth waking a thread for    */
};

static inline void mls_rows_run(int64_t n, int64_t width,
                                void (*body)(int64_t i, void *arg), void *arg)
{
    mls_rows *r = arg;
    const int64_t wide = width > 0 ? width : 1;
    *r = (mls_rows){ n, wide < MLS_ROWS_BLOCK ? MLS_ROWS_BLOCK / wide : 1 };
    const int64_t items = (n + r->per - 1) / r->per;
    if (n * width < MLS_ROWS_SHARE)
        for (int64_t i = 0; i < items; i++) body(i, arg);
    else
        mls_parfor(items, body, arg);
}

MLS_INLINE int64_t mls_rows_first(const mls_rows *r, int64_t i) { return i * r->per; }
MLS_INLINE int64_t mls_rows_end(const mls_rows *r, int64_t i)
{
    return (i + 1) * r->per < r->n ? (i + 1) * r->per : r->n;
}

/* total = sum of value over j in [0, n), in 16 running sums: the order is the same for
 * every kernel family, and a compiler can keep the sums in vectors.                  */
#define MLS_SUM_OVER(total, j, n, value) \
    do { \
        float acc_[16] = { 0 }; \
        int64_t j = 0; \
        for (; j + 16 <= (n);) \
            for (int l_ = 0; l_ < 16; l_++, j++) acc_[l_] += (value); \
        for (int l_ = 0; j < (n); j++, l_++) acc_[l_] += (value); \
        for (int w_ = 8; w_; w_ /= 2) \
            for (int l_ = 0; l_ < w_; l_++) acc_[l_] += acc_[l_ + w_]; \
        (total) = acc_[0]; \
    } while (0)

/* Order-preserving map of floats to integers, its own inverse: unlike the maximum of
 * floats, that of integers has no special cases and vectorises.                      */
MLS_INLINE int32_t mls_row_order(int32_t bits)
{
    return bits ^ (bits >> 31 & 0x7fffffff);
}

/* The largest of n values; n > 0. */
MLS_INLINE float mls_row_max(const float *x, int64_t n)
{
    int32_t most = INT32_MIN;
    for (int64_t j = 0; j < n; j++) {
        const int32_t v = mls_row_order(mls_bits_of_float(x[j]));
        most = v > most ? v : most;
    }
    return mls_float_of_bits(mls_row_order(most));
}

static inline int64_t mls_rows_of(mls_t x) { return x->dim[0] * x->dim[1]; }

static inline mls_t mls_grad_like(mls_ctx *c, mls_t x)
{
    return mls_tape_tensor(c, x->dim[0], x->dim[1], x->dim[2]);
}

/* What an operation returns when it cannot go on; the context knows why. */
static inline mls_t mls_grad_empty(mls_ctx *c) { return mls_tape_tensor(c, 0, 0, 0); }

/* A copy of an attribute that lives until backward; NULL and an error without memory.
 */
static inline const void *mls_grad_attr(mls_ctx *c, const void *attr, size_t bytes)
{
    void *p = mls_arena_alloc(&c->tape->arena, bytes);
    if (!p) {
        mls_error_set(c->error, "%s: out of memory", c->path);
        return NULL;
    }
    return __builtin_memcpy(p, attr, bytes);
}

/* Where forward leaves backward a count. */
static inline double *mls_grad_count(mls_ctx *c)
{
    const double zero = 0.0;
    return (double *)(uintptr_t)mls_grad_attr(c, &zero, sizeof zero);
}

/* out[j] += the sum over rows r of x[r * width + j] * (y ? y[r * width + j] : 1)
 * * (by_row ? by_row[r] : 1): rows in order, in blocks, so that long sums stay exact.
 */
void mls_grad_column_sums(float *out, const float *x, const float *y,
                          const float *by_row, int64_t rows, int64_t width);

/* 1.0 where the gradient of input i has something in it to add to, 0.0 where it has not. */
static inline float mls_grad_keep(const mls_call *k, int i)
{
    return k->fresh >> i & 1 ? 0.0f : 1.0f;
}

/* For an op that only knows how to add. */
static inline void mls_grad_clear(const mls_call *k, int i)
{
    if (k->fresh >> i & 1)
        __builtin_memset(k->in[i]->grad, 0, (size_t)k->in[i]->count * sizeof(float));
}

/* One flop a value of the first output. */
double mls_grad_flops_each(const mls_call *k);

#endif
