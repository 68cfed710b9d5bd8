#include "grad/entropy.h"

/* ---- cross-entropy: mean over scored rows of log sum e^x - x[label] -------------- */

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
    const mls_entropy *p = arg;
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

void mls_entropy_forward(int64_t i, void *entropy) { entropy_forward_rows(i, entropy); }

MLS_INLINE void entropy_backward_body(int64_t i, void *arg)
{
    const mls_entropy *p = arg;
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
    const mls_entropy *p = arg;
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

void mls_entropy_replace(int64_t i, void *entropy) { entropy_replace_rows(i, entropy); }

int mls_grad_is_right(const float *x, int64_t n, int32_t label)
{
    for (int64_t j = 0; j < n; j++)
        if (x[j] > x[label] || (j < label && x[j] == x[label])) return 0;
    return x[label] == x[label];
}

int mls_entropy_fits(const mls_call *k, const int32_t *label, int64_t rows, int64_t n)
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

void mls_entropy_add(mls_loss_stats *s, const float *x, int64_t n, int32_t label, float nats)
{
    if (label < 0) return;
    s->sum += nats;
    s->count += 1.0;
    s->correct += mls_grad_is_right(x, n, label);
    s->decided = s->count;
}

static void entropy_forward(const mls_call *k)
{
    const entropy_attr *a = k->attr;
    const mls_t x = k->in[0];
    const int64_t rows = mls_rows_of(x), n = x->dim[2];
    if (!mls_entropy_fits(k, a->label, rows, n)) return;
    float *nats = mls_tape_scratch(k, (size_t)rows * sizeof *nats);
    if (!nats) return;
    mls_entropy p = { .x = x->data, .label = a->label, .log_sum = a->log_sum->data,
                      .nats = nats, .n = n };
    mls_rows_run(rows, n, entropy_forward_rows, &p);
    mls_loss_stats s = { 0 };
    for (int64_t r = 0; r < rows; r++)
        mls_entropy_add(&s, x->data + r * n, n, a->label[r], nats[r]);
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
    mls_entropy p = { .x = x->data, .label = a->label, .gx = x->grad,
                      .log_sum = a->log_sum->data, .n = x->dim[2],
                      .weight = (float)(k->out[0]->grad[0] / count) };
    mls_rows_run(mls_rows_of(x), p.n,
                 replace ? entropy_replace_rows : entropy_backward_rows, &p);
}

static double entropy_flops(const mls_call *k) { return 4.0 * (double)k->in[0]->count; }

static const mls_op cross_entropy = { sizeof cross_entropy, "cross_entropy",
                                     entropy_forward, entropy_backward, entropy_flops };

mls_t mls_grad_cross_entropy(mls_ctx *c, mls_t x, const int32_t *label,
                             mls_loss_stats *stats)
{
    if (stats) *stats = (mls_loss_stats){ 0 };
    if (c->error->set) return mls_grad_empty(c);
    const entropy_attr a = { label, mls_tape_tensor(c, x->dim[0], x->dim[1], 1), stats,
                             mls_grad_count(c) };
    const void *attr = a.count ? mls_grad_attr(c, &a, sizeof a) : NULL;
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, 1, 1, 1);
    mls_tape_overwrite(c, x, "linear");
    mls_tape_apply(c, &cross_entropy, attr, &x, 1, &y, 1);
    return y;
}
