#include "grad/ops-inner.h"

#include <math.h>

/* ---- mean squared and mean absolute error ---------------------------------------------------------- */

typedef struct squares {
    mls_rows     rows;
    const float *x, *target;
    float       *gx;
    float       *sum, *count;     /* of a row, in forward                             */
    int64_t      n;
    float        weight;
} squares;

typedef struct squares_attr {
    const float    *target;
    mls_loss_stats *stats;
    double         *count;
} squares_attr;

/* Only NaN differs from itself.  A NaN of x is not hidden: it is x that is multiplied.
 */
MLS_INLINE float scored(float target) { return target == target ? 1.0f : 0.0f; }
MLS_INLINE float error(float x, float target)
{
    return target == target ? x - target : 0.0f;
}

MLS_INLINE void squares_forward_body(int64_t i, void *arg)
{
    const squares *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n, *restrict t = p->target + r * n;
        MLS_SUM_OVER(p->sum[r], j, n, error(x[j], t[j]) * error(x[j], t[j]));
        MLS_SUM_OVER(p->count[r], j, n, scored(t[j]));
    }
}
MLS_KERNEL_BODY(squares_forward_rows, squares_forward_body)

MLS_INLINE void squares_backward_body(int64_t i, void *arg)
{
    const squares *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n, *restrict t = p->target + r * n;
        float *restrict gx = p->gx + r * n;
        for (int64_t j = 0; j < n; j++) gx[j] += p->weight * error(x[j], t[j]);
    }
}
MLS_KERNEL_BODY(squares_backward_rows, squares_backward_body)

MLS_INLINE float size(float e) { return e < 0.0f ? -e : e; }

MLS_INLINE void sizes_forward_body(int64_t i, void *arg)
{
    const squares *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n, *restrict t = p->target + r * n;
        MLS_SUM_OVER(p->sum[r], j, n, size(error(x[j], t[j])));
        MLS_SUM_OVER(p->count[r], j, n, scored(t[j]));
    }
}
MLS_KERNEL_BODY(sizes_forward_rows, sizes_forward_body)

/* A NaN of x stays one in the gradient, as with squares. */
MLS_INLINE void sizes_backward_body(int64_t i, void *arg)
{
    const squares *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n, *restrict t = p->target + r * n;
        float *restrict gx = p->gx + r * n;
        for (int64_t j = 0; j < n; j++) {
            const float e = error(x[j], t[j]);
            const float sign = e > 0.0f ? 1.0f : e < 0.0f ? -1.0f : e;
            gx[j] += p->weight * sign;
        }
    }
}
MLS_KERNEL_BODY(sizes_backward_rows, sizes_backward_body)

static void errors_forward(const mls_call *k, void (*each)(int64_t i, void *arg))
{
    const squares_attr *a = k->attr;
    const mls_t x = k->in[0];
    const int64_t rows = mls_rows_of(x);
    float *sums = mls_tape_scratch(k, 2 * (size_t)rows * sizeof *sums);
    if (!sums) return;
    squares p = { .x = x->data, .target = a->target, .sum = sums, .count = sums + rows,
                  .n = x->dim[2] };
    mls_rows_run(rows, p.n, each, &p);
    mls_loss_stats s = { 0 };
    for (int64_t r = 0; r < rows; r++) {
        s.sum += p.sum[r];
        s.count += p.count[r];
    }
    *a->count = s.count;
    if (a->stats) *a->stats = s;
    k->out[0]->data[0] = s.count > 0.0 ? (float)(s.sum / s.count) : 0.0f;
}

static void errors_backward(const mls_call *k, double slope,
                            void (*each)(int64_t i, void *arg))
{
    const squares_attr *a = k->attr;
    const mls_t x = k->in[0];
    if (!x->grad || *a->count <= 0.0) return;
    squares p = { .x = x->data, .target = a->target, .gx = x->grad, .n = x->dim[2],
                  .weight = (float)(slope * k->out[0]->grad[0] / *a->count) };
    mls_rows_run(mls_rows_of(x), p.n, each, &p);
}

static void squares_forward(const mls_call *k) { errors_forward(k, squares_forward_rows); }

static void squares_backward(const mls_call *k)
{
    errors_backward(k, 2.0, squares_backward_rows);
}

static void sizes_forward(const mls_call *k) { errors_forward(k, sizes_forward_rows); }

static void sizes_backward(const mls_call *k)
{
    errors_backward(k, 1.0, sizes_backward_rows);
}

static double squares_flops(const mls_call *k) { return 3.0 * (double)k->in[0]->count; }

static const mls_op mse = { sizeof mse, "mse", squares_forward, squares_backward,
                           squares_flops };

static const mls_op mae = { sizeof mae, "mae", sizes_forward, sizes_backward,
                           squares_flops };

static mls_t errors(mls_ctx *c, const mls_op *op, mls_t x, const float *target,
                    mls_loss_stats *stats)
{
    if (stats) *stats = (mls_loss_stats){ 0 };
    if (c->error->set) return mls_grad_empty(c);
    const squares_attr a = { target, stats, mls_grad_count(c) };
    const void *attr = a.count ? mls_grad_attr(c, &a, sizeof a) : NULL;
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, 1, 1, 1);
    mls_tape_apply(c, op, attr, &x, 1, &y, 1);
    return y;
}

mls_t mls_grad_mse(mls_ctx *c, mls_t x, const float *target, mls_loss_stats *stats)
{
    return errors(c, &mse, x, target, stats);
}

mls_t mls_grad_mae(mls_ctx *c, mls_t x, const float *target, mls_loss_stats *stats)
{
    return errors(c, &mae, x, target, stats);
}
