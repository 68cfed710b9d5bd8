#include "grad/ops-inner.h"

#include <math.h>

/* rms_norm    y = x r gain,            r = 1 / sqrt(mean x^2 + eps)
 *             (Zhang and Sennrich 2019)
 * layer_norm  y = (x - m) r gain + bias, r = 1 / sqrt(mean (x - m)^2 + eps)
 *             (Ba, Kiros and Hinton 2016)
 * One kernel for both: rms_norm is layer_norm with m = 0.  r and m are kept for
 * backward. */

typedef struct norm {
    mls_rows     rows;
    const float *x, *gain, *bias, *gy;
    float       *to;              /* y, or the gradient of x                          */
    float       *r, *m;           /* one a row; m is NULL without centring            */
    int64_t      n;
    float        eps;
    int          add;             /* to the gradient that is there                    */
} norm;

typedef struct norm_attr { mls_t r, m; float eps; } norm_attr;

MLS_INLINE void forward_body(int64_t i, void *arg)
{
    const norm *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    const float *restrict gain = p->gain, *restrict bias = p->bias;
    const float over = 1.0f / (float)n;
    for (int64_t row = mls_rows_first(&p->rows, i); row < end; row++) {
        const float *restrict x = p->x + row * n;
        float *restrict y = p->to + row * n;
        float sum, mean = 0.0f;
        if (p->m) {
            MLS_SUM_OVER(sum, j, n, x[j]);
            mean = sum * over;
            p->m[row] = mean;
        }
        MLS_SUM_OVER(sum, j, n, (x[j] - mean) * (x[j] - mean));
        const float r = 1.0f / sqrtf(sum * over + p->eps);
        p->r[row] = r;
        if (gain && bias)
            for (int64_t j = 0; j < n; j++)
                y[j] = (x[j] - mean) * r * gain[j] + bias[j];
        else if (gain)
            for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mean) * r * gain[j];
        else if (bias)
            for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mean) * r + bias[j];
        else
            for (int64_t j = 0; j < n; j++) y[j] = (x[j] - mean) * r;
    }
}
MLS_KERNEL_BODY(forward_rows, forward_body)

/* With h = (x - m) r and d = gain dy:  dx = r (d - mean d - h mean(d h)), where mean d
 * is there only for layer_norm.                                                      */
MLS_INLINE void backward_body(int64_t i, void *arg)
{
    const norm *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    const float *restrict gain = p->gain;
    const float over = 1.0f / (float)n;
    const int add = p->add;
    for (int64_t row = mls_rows_first(&p->rows, i); row < end; row++) {
        const float *restrict x = p->x + row * n, *restrict gy = p->gy + row * n;
        float *restrict gx = p->to + row * n;
        const float r = p->r[row], m = p->m ? p->m[row] : 0.0f;
        float dh, d = 0.0f;
        if (gain) {
            MLS_SUM_OVER(dh, j, n, gy[j] * gain[j] * (x[j] - m));
            if (p->m) MLS_SUM_OVER(d, j, n, gy[j] * gain[j]);
        } else {
            MLS_SUM_OVER(dh, j, n, gy[j] * (x[j] - m));
            if (p->m) MLS_SUM_OVER(d, j, n, gy[j]);
        }
        const float slope = dh * over * r * r, mean = d * over;
        if (gain)
            for (int64_t j = 0; j < n; j++)
                gx[j] = (add ? gx[j] : 0.0f) +
                        r * (gy[j] * gain[j] - mean - (x[j] - m) * slope);
        else
            for (int64_t j = 0; j < n; j++)
                gx[j] = (add ? gx[j] : 0.0f) + r * (gy[j] - mean - (x[j] - m) * slope);
    }
}
MLS_KERNEL_BODY(backward_rows, backward_body)

/* gradient of the gain: sum over rows of dy (x - m) r.  The part with m is taken out of
 * the columns first, so that one pass serves both norms: h is formed in scratch.     */
typedef struct hat { mls_rows rows; const float *x, *r, *m; float *h; int64_t n; } hat;

MLS_INLINE void hat_body(int64_t i, void *arg)
{
    const hat *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t row = mls_rows_first(&p->rows, i); row < end; row++) {
        const float *restrict x = p->x + row * n;
        float *restrict h = p->h + row * n;
        const float r = p->r[row], m = p->m[row];
        for (int64_t j = 0; j < n; j++) h[j] = (x[j] - m) * r;
    }
}
MLS_KERNEL_BODY(hat_rows, hat_body)

static void gain_gradient(const mls_call *k, const norm_attr *a, float *out)
{
    const mls_t x = k->in[0], y = k->out[0];
    const int64_t rows = mls_rows_of(x), n = x->dim[2];
    if (!a->m) {
        mls_grad_column_sums(out, y->grad, x->data, a->r->data, rows, n);
        return;
    }
    float *h = mls_tape_scratch(k, (size_t)x->count * sizeof *h);
    if (!h) return;
    hat p = { .x = x->data, .r = a->r->data, .m = a->m->data, .h = h, .n = n };
    mls_rows_run(rows, n, hat_rows, &p);
    mls_grad_column_sums(out, y->grad, h, NULL, rows, n);
}

static norm norm_of(const mls_call *k)
{
    const norm_attr *a = k->attr;
    const mls_t x = k->in[0], gain = k->in[1], bias = k->in[2];
    return (norm){ .x = x->data, .gain = gain ? gain->data : NULL,
                   .bias = bias ? bias->data : NULL, .r = a->r->data,
                   .m = a->m ? a->m->data : NULL, .n = x->dim[2], .eps = a->eps };
}

static void forward(const mls_call *k)
{
    norm p = norm_of(k);
    p.to = k->out[0]->data;
    mls_rows_run(mls_rows_of(k->in[0]), p.n, forward_rows, &p);
}

static void backward(const mls_call *k)
{
    norm p = norm_of(k);
    const mls_t x = k->in[0], gain = k->in[1], bias = k->in[2], y = k->out[0];
    if (x->grad) {
        p.gy = y->grad;
        p.to = x->grad;
        p.add = !(k->fresh & 1);
        mls_rows_run(mls_rows_of(x), p.n, backward_rows, &p);
    }
    for (int i = 1; i < 3; i++) mls_grad_clear(k, i);
    if (gain && gain->grad) gain_gradient(k, k->attr, gain->grad);
    if (bias && bias->grad)
        mls_grad_column_sums(bias->grad, y->grad, NULL, NULL, mls_rows_of(x), p.n);
}

static double flops(const mls_call *k)
{
    const norm_attr *a = k->attr;
    return (double)k->in[0]->count *
           ((a->m ? 5.0 : 3.0) + (k->in[1] != NULL) + (k->in[2] != NULL));
}

static const mls_op rms_norm = { sizeof rms_norm, "rms_norm", forward, backward,
                                 flops };
static const mls_op layer_norm = { sizeof layer_norm, "layer_norm", forward, backward,
                                  flops };

static mls_t apply(mls_ctx *c, const mls_op *op, mls_t x, mls_t gain, mls_t bias,
                   double eps, int centred)
{
    if (c->error->set) return mls_grad_empty(c);
    if ((gain && gain->count != x->dim[2]) || (bias && bias->count != x->dim[2])) {
        mls_error_set(c->error,
                      "%s: %s: x has %lld features, gain %lld and bias %lld values",
                      c->path, op->name, (long long)x->dim[2],
                      (long long)(gain ? gain->count : x->dim[2]),
                      (long long)(bias ? bias->count : x->dim[2]));
        return mls_grad_empty(c);
    }
    const norm_attr a = { mls_tape_tensor(c, x->dim[0], x->dim[1], 1),
                          centred ? mls_tape_tensor(c, x->dim[0], x->dim[1], 1) : NULL,
                          (float)eps };
    const void *attr = mls_grad_attr(c, &a, sizeof a);
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_grad_like(c, x), ins[] = { x, gain, bias };
    mls_tape_apply_as(c, MLS_WRITES | MLS_REPEATS, op, attr, ins, 3, &y, 1);
    return y;
}

mls_t mls_grad_rms_norm(mls_ctx *c, mls_t x, mls_t gain, double eps)
{
    return apply(c, &rms_norm, x, gain, NULL, eps, 0);
}

mls_t mls_grad_layer_norm(mls_ctx *c, mls_t x, mls_t gain, mls_t bias, double eps)
{
    return apply(c, &layer_norm, x, gain, bias, eps, 1);
}
