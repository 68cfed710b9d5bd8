#include "grad/ops-inner.h"

#include <math.h>

/* ---- cross-entropy: mean over scored rows of log sum e^x - x[label] -------------- */

typedef struct entropy {
    mls_rows       rows;
    const float   *x;
    const int32_t *label;
    float         *gx;
    float         *log_sum;       /* of a row; kept for backward                      */
    float         *nats;          /* of a row, in forward                             */
    int64_t        n;
    float          weight;        /* of every scored row's gradient                   */
} entropy;

typedef struct entropy_attr {
    const int32_t  *label;
    mls_t           log_sum;
    mls_loss_stats *stats;
    double         *count;
} entropy_attr;

enum { STRIP = 256 };             /* exponentials formed at a time, in L1             */

MLS_INLINE float log_sum_row(const float *restrict x, int64_t n)
{
    const float most = mls_row_max(x, n);
    float total = 0.0f;
    for (int64_t from = 0; from < n; from += STRIP) {
        const int64_t m = n - from < STRIP ? n - from : STRIP;
        float e[STRIP], sum;
        for (int64_t j = 0; j < m; j++) e[j] = mls_expf(x[from + j] - most);
        MLS_SUM_OVER(sum, j, m, e[j]);
        total += sum;
    }
    return most + mls_logf(total);
}

MLS_INLINE void entropy_forward_body(int64_t i, void *arg)
{
    const entropy *p = arg;
    const int64_t end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        p->nats[r] = p->log_sum[r] = 0.0f;
        if (p->label[r] < 0) continue;
        const float *x = p->x + r * p->n;
        p->log_sum[r] = log_sum_row(x, p->n);
        p->nats[r] = p->log_sum[r] - x[p->label[r]];
    }
}
MLS_KERNEL_BODY(entropy_forward_rows, entropy_forward_body)

MLS_INLINE void entropy_backward_body(int64_t i, void *arg)
{
    const entropy *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    const float weight = p->weight;
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        if (p->label[r] < 0) continue;
        const float *restrict x = p->x + r * n;
        float *restrict gx = p->gx + r * n;
        const float l = p->log_sum[r];
        for (int64_t j = 0; j < n; j++) gx[j] += weight * mls_expf(x[j] - l);
        gx[p->label[r]] -= weight;
    }
}
MLS_KERNEL_BODY(entropy_backward_rows, entropy_backward_body)

/* The same where the gradient takes the place of the logits. */
MLS_INLINE void entropy_replace_body(int64_t i, void *arg)
{
    const entropy *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        float *x = p->gx + r * n;
        const float l = p->log_sum[r], weight = p->weight;
        if (p->label[r] < 0) {            /* e^x might be Inf: 0 times it is no 0 */
            for (int64_t j = 0; j < n; j++) x[j] = 0.0f;
            continue;
        }
        for (int64_t j = 0; j < n; j++) x[j] = weight * mls_expf(x[j] - l);
        x[p->label[r]] -= weight;
    }
}
MLS_KERNEL_BODY(entropy_replace_rows, entropy_replace_body)

int mls_grad_is_right(const float *x, int64_t n, int32_t label)
{
    for (int64_t j = 0; j < n; j++)
        if (x[j] > x[label] || (j < label && x[j] == x[label])) return 0;
    return x[label] == x[label];
}

static int labels_fit(const mls_call *k, const int32_t *label, int64_t rows, int64_t n)
{
    const int64_t samples = k->in[0]->dim[1];
    for (int64_t r = 0; r < rows; r++)
        if (label[r] >= n) {
            mls_error_set(k->ctx->error,
                          "%s: cross_entropy: label %d at step %lld of sample"
                          " %lld; the output has classes 0..%lld (-1: not scored)",
                          k->ctx->path, (int)label[r], (long long)(r / samples),
                          (long long)(r % samples), (long long)(n - 1));
            return 0;
        }
    return 1;
}

static void entropy_forward(const mls_call *k)
{
    const entropy_attr *a = k->attr;
    const mls_t x = k->in[0];
    const int64_t rows = mls_rows_of(x), n = x->dim[2];
    if (!labels_fit(k, a->label, rows, n)) return;
    float *nats = mls_tape_scratch(k, (size_t)rows * sizeof *nats);
    if (!nats) return;
    entropy p = { .x = x->data,
                 .label = a->label,
                 .log_sum = a->log_sum->data,
                 .nats = nats,
                 .n = n };
    mls_rows_run(rows, n, entropy_forward_rows, &p);
    mls_loss_stats s = { 0 };
    for (int64_t r = 0; r < rows; r++) {
        if (a->label[r] < 0) continue;
        s.sum += nats[r];
        s.count += 1.0;
        s.correct += mls_grad_is_right(x->data + r * n, n, a->label[r]);
    }
    s.decided = s.count;
    *a->count = s.count;
    if (a->stats) *a->stats = s;
    k->out[0]->data[0] = s.count > 0.0 ? (float)(s.sum / s.count) : 0.0f;
}

static void entropy_backward(const mls_call *k)
{
    const entropy_attr *a = k->attr;
    const mls_t x = k->in[0];
    const int replace = x->grad == x->data;
    if (!x->grad || (*a->count <= 0.0 && !replace)) return;
    const double count = *a->count > 0.0 ? *a->count : 1.0;
    entropy p = { .x = x->data,
                 .label = a->label,
                 .gx = x->grad,
                 .log_sum = a->log_sum->data,
                 .n = x->dim[2],
                 .weight = (float)(k->out[0]->grad[0] / count) };
    mls_rows_run(mls_rows_of(x), p.n,
                 replace ? entropy_replace_rows : entropy_backward_rows, &p);
}

static double entropy_flops(const mls_call *k) { return 4.0 * (double)k->in[0]->count; }

static const mls_op cross_entropy = { sizeof cross_entropy, "cross_entropy",
                                     entropy_forward, entropy_backward, entropy_flops };

static double *new_count(mls_ctx *c)
{
    const double zero = 0.0;
    return (double *)(uintptr_t)mls_grad_attr(c, &zero, sizeof zero);
}

mls_t mls_grad_cross_entropy(mls_ctx *c, mls_t x, const int32_t *label,
                             mls_loss_stats *stats)
{
    if (stats) *stats = (mls_loss_stats){ 0 };
    if (c->error->set) return mls_grad_empty(c);
    const entropy_attr a = { label, mls_tape_tensor(c, x->dim[0], x->dim[1], 1), stats,
                             new_count(c) };
    const void *attr = a.count ? mls_grad_attr(c, &a, sizeof a) : NULL;
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, 1, 1, 1);
    mls_tape_overwrite(c, x, "linear");
    mls_tape_apply(c, &cross_entropy, attr, &x, 1, &y, 1);
    return y;
}

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
    const squares_attr a = { target, stats, new_count(c) };
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
