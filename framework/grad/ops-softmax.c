#include "grad/ops-inner.h"

/* y = e^(x - max x) / sum e^(x - max x) over features;  dx = y (dy - sum dy y). */

typedef struct softmax {
    mls_rows     rows;
    const float *x, *gy;
    float       *y, *gx;
    int64_t      n;
} softmax;

MLS_INLINE void forward_body(int64_t i, void *arg)
{
    const softmax *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n;
        float *restrict y = p->y + r * n;
        const float most = mls_row_max(x, n);
        float sum;
        for (int64_t j = 0; j < n; j++) y[j] = mls_expf(x[j] - most);
        MLS_SUM_OVER(sum, j, n, y[j]);
        const float over = 1.0f / sum;
        for (int64_t j = 0; j < n; j++) y[j] *= over;
    }
}
MLS_KERNEL_BODY(forward_rows, forward_body)

MLS_INLINE void backward_body(int64_t i, void *arg)
{
    const softmax *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict y = p->y + r * n, *restrict gy = p->gy + r * n;
        float *restrict gx = p->gx + r * n;
        float sum;
        MLS_SUM_OVER(sum, j, n, gy[j] * y[j]);
        for (int64_t j = 0; j < n; j++) gx[j] += y[j] * (gy[j] - sum);
    }
}
MLS_KERNEL_BODY(backward_rows, backward_body)

static void forward(const mls_call *k)
{
    softmax p = { .x = k->in[0]->data, .y = k->out[0]->data, .n = k->in[0]->dim[2] };
    if (p.n) mls_rows_run(mls_rows_of(k->in[0]), p.n, forward_rows, &p);
}

static void backward(const mls_call *k)
{
    const mls_t y = k->out[0];
    softmax p = { .y = y->data, .gy = y->grad, .gx = k->in[0]->grad, .n = y->dim[2] };
    if (p.gx) mls_rows_run(mls_rows_of(y), p.n, backward_rows, &p);
}

static double flops(const mls_call *k) { return 4.0 * (double)k->out[0]->count; }

static const mls_op op = { sizeof op, "softmax", forward, backward, flops };

mls_t mls_grad_softmax(mls_ctx *c, mls_t x)
{
    if (c->error->set) return mls_grad_empty(c);
    const mls_t y = mls_grad_like(c, x);
    mls_tape_apply_as(c, MLS_TAPE_FORGETS_IN, &op, NULL, &x, 1, &y, 1);
    return y;
}
