/* ops-bernoulli.c - the negative log-likelihood of binary channels, from their logits:
 *
 *   sum over channels of softplus(x) - t x,  mean over the frames that have a target
 *
 * with t in [0, 1] (0 or 1 in a piano roll), NaN = not scored.  It is what is reported for
 * polyphonic music: N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, Modeling Temporal
 * Dependencies in High-Dimensional Sequences, 2012.                                      */
#include "grad/ops-inner.h"

typedef struct frames {
    mls_rows     rows;
    const float *x, *target;
    float       *gx, *nats, *scored;   /* of a row                                        */
    int64_t      n;
    float        weight;
} frames;

typedef struct attr {
    const float    *target;
    mls_loss_stats *stats;
    double         *count;
} attr;

/* -log p(t): softplus by parts, so that it is exact for large logits of either sign.  An x
 * that is NaN stays one: max(x, 0) is written as half of x + |x|.                        */
MLS_INLINE float nats_of(float x, float t)
{
    const float size = x < 0.0f ? -x : x;
    const float nats = 0.5f * (x + size) - x * t + mls_logf(1.0f + mls_expf(-size));
    return t == t ? nats : 0.0f;
}

MLS_INLINE void forward_body(int64_t i, void *arg)
{
    const frames *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n, *restrict t = p->target + r * n;
        float some;
        MLS_SUM_OVER(p->nats[r], j, n, nats_of(x[j], t[j]));
        MLS_SUM_OVER(some, j, n, t[j] == t[j] ? 1.0f : 0.0f);
        p->scored[r] = some > 0.0f ? 1.0f : 0.0f;
    }
}
MLS_KERNEL_BODY(forward_rows, forward_body)

MLS_INLINE void backward_body(int64_t i, void *arg)
{
    const frames *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->x + r * n, *restrict t = p->target + r * n;
        float *restrict gx = p->gx + r * n;
        for (int64_t j = 0; j < n; j++) {
            const float slope = mls_sigmoidf(x[j]) - t[j];
            gx[j] += t[j] == t[j] ? p->weight * slope : 0.0f;
        }
    }
}
MLS_KERNEL_BODY(backward_rows, backward_body)

static void forward(const mls_call *k)
{
    const attr *a = k->attr;
    const mls_t x = k->in[0];
    const int64_t rows = mls_rows_of(x);
    float *nats = mls_tape_scratch(k, 2 * (size_t)rows * sizeof *nats);
    if (!nats) return;
    frames p = { .x = x->data, .target = a->target, .nats = nats, .scored = nats + rows,
                 .n = x->dim[2] };
    mls_rows_run(rows, p.n, forward_rows, &p);
    mls_loss_stats s = { 0 };
    for (int64_t r = 0; r < rows; r++) {
        s.sum += p.nats[r];
        s.count += p.scored[r];
    }
    *a->count = s.count;
    if (a->stats) *a->stats = s;
    k->out[0]->data[0] = s.count > 0.0 ? (float)(s.sum / s.count) : 0.0f;
}

static void backward(const mls_call *k)
{
    const attr *a = k->attr;
    const mls_t x = k->in[0];
    if (!x->grad || *a->count <= 0.0) return;
    frames p = { .x = x->data, .target = a->target, .gx = x->grad, .n = x->dim[2],
                 .weight = (float)(k->out[0]->grad[0] / *a->count) };
    mls_rows_run(mls_rows_of(x), p.n, backward_rows, &p);
}

static double flops(const mls_call *k) { return 6.0 * (double)k->in[0]->count; }

static const mls_op op = { sizeof op, "binary_nll", forward, backward, flops };

mls_t mls_grad_binary_nll(mls_ctx *c, mls_t x, const float *target, mls_loss_stats *stats)
{
    const double zero = 0.0;
    if (stats) *stats = (mls_loss_stats){ 0 };
    if (c->error->set) return mls_grad_empty(c);
    double *count = (double *)(uintptr_t)mls_grad_attr(c, &zero, sizeof zero);
    const attr a = { target, stats, count };
    const void *kept = count ? mls_grad_attr(c, &a, sizeof a) : NULL;
    if (!kept) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, 1, 1, 1);
    mls_tape_apply(c, &op, kept, &x, 1, &y, 1);
    return y;
}
