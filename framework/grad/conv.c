/* conv.c - causal depthwise convolution of K taps with the last K - 1 inputs as state.
 *
 *   y[t][e] = bias[e] + sum_k w[e][k] x[t - (K - 1) + k][e]
 *
 * as PyTorch's conv1d: w[:, K - 1] meets the current step.  Time counts real steps only:
 * a masked step is no input, gives 0 and leaves the state.  Work is split over blocks of
 * features, so each gradient has one writer and a fixed order of sums.                  */
#include "base/parfor.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include <mls/kernel.h>

#include <string.h>

enum { BLOCK = 64 };

typedef struct attr { int64_t taps; } attr;

typedef struct plan {
    const mls_call *k;
    int64_t  T, B, E, K;
    int32_t *step;      /* [B][T]: the real steps of each sample                       */
    int64_t *real;      /* [B]                                                         */
    float   *w;         /* [K][E]: the weights, tap by tap                             */
    float   *dw;        /* [K][E] in backward, else NULL                               */
    float   *zeros;     /* [E]: the past without a state                               */
} plan;

static int make_plan(plan *p, const mls_call *k, int backward)
{
    const mls_t x = k->in[0], w = k->in[1], mask = k->in[4];
    *p = (plan){ .k = k, .T = x->dim[0], .B = x->dim[1], .E = x->dim[2],
                 .K = ((const attr *)k->attr)->taps };
    const int64_t T = p->T, B = p->B, E = p->E, K = p->K;
    p->step = mls_tape_scratch(k, (size_t)(T * B) * sizeof *p->step);
    p->real = mls_tape_scratch(k, (size_t)B * sizeof *p->real);
    p->w = mls_tape_scratch(k, (size_t)(K * E) * sizeof *p->w);
    p->zeros = mls_tape_scratch(k, (size_t)E * sizeof *p->zeros);
    if (!p->step || !p->real || !p->w || !p->zeros) return 0;
    memset(p->zeros, 0, (size_t)E * sizeof *p->zeros);
    if (backward && w->grad) {
        p->dw = mls_tape_scratch(k, (size_t)(K * E) * sizeof *p->dw);
        if (!p->dw) return 0;
        memset(p->dw, 0, (size_t)(K * E) * sizeof *p->dw);
    }
    for (int64_t b = 0; b < B; b++) {
        p->real[b] = 0;
        for (int64_t t = 0; t < T; t++)
            if (!mask || mask->data[t * B + b] != 0.0f)
                p->step[b * T + p->real[b]++] = (int32_t)t;
    }
    for (int64_t e = 0; e < E; e++)
        for (int64_t i = 0; i < K; i++) p->w[i * E + e] = w->data[e * K + i];
    return 1;
}

/* Real step r of sample b in x, or for r < 0 the state's row K - 1 + r.  NULL where
 * there is no such array. */
MLS_INLINE float *row_of(const plan *p, int64_t b, int64_t r, float *x, float *past)
{
    if (r >= 0) return x ? x + (p->step[b * p->T + r] * p->B + b) * p->E : NULL;
    return past ? past + (b * (p->K - 1) + p->K - 1 + r) * p->E : NULL;
}

/* ---- forward ------------------------------------------------------------------------ */

/* Four taps are Mamba's; one pass over the row instead of four. */
MLS_INLINE void four_taps(const plan *p, float *y, const float *const *row, const float *bias,
                          int64_t from, int64_t to)
{
    const float *w = p->w, *w1 = w + p->E, *w2 = w1 + p->E, *w3 = w2 + p->E;
    const float *x0 = row[0], *x1 = row[1], *x2 = row[2], *x3 = row[3];
    for (int64_t e = from; e < to; e++)
        y[e] = (bias ? bias[e] : 0.0f)
             + ((w[e] * x0[e] + w1[e] * x1[e]) + (w2[e] * x2[e] + w3[e] * x3[e]));
}

MLS_INLINE void one_step(const plan *p, int64_t b, int64_t r, float *y, int64_t from,
                         int64_t to)
{
    const mls_t x = p->k->in[0], bias = p->k->in[2], past = p->k->in[3];
    const int64_t K = p->K, E = p->E;
    const float *row[4];
    for (int64_t i = 0; i < K; i++) {
        const float *at = row_of(p, b, r - (K - 1) + i, x->data, past ? past->data : NULL);
        if (!at) at = p->zeros;
        if (K == 4) {
            row[i] = at;
            continue;
        }
        const float *w = p->w + i * E;
        if (i == 0)
            for (int64_t e = from; e < to; e++) y[e] = bias ? bias->data[e] : 0.0f;
        for (int64_t e = from; e < to; e++) y[e] += w[e] * at[e];
    }
    if (K == 4) four_taps(p, y, row, bias ? bias->data : NULL, from, to);
}

MLS_INLINE void forward_body(int64_t block, void *arg)
{
    const plan *p = arg;
    const int64_t T = p->T, B = p->B, E = p->E, K = p->K, from = block * BLOCK;
    const int64_t to = from + BLOCK < E ? from + BLOCK : E;
    const mls_t x = p->k->in[0], past = p->k->in[3], next = p->k->out[1];
    const size_t bytes = (size_t)(to - from) * sizeof(float);
    for (int64_t b = 0; b < B; b++) {
        int64_t r = 0;
        for (int64_t t = 0; t < T; t++) {
            float *y = p->k->out[0]->data + (t * B + b) * E;
            if (r < p->real[b] && p->step[b * T + r] == t)
                one_step(p, b, r++, y, from, to);
            else
                memset(y + from, 0, bytes);
        }
        for (int64_t i = 0; next && i < K - 1; i++) {
            const float *at = row_of(p, b, r - (K - 1) + i, x->data, past->data);
            memcpy(next->data + (b * (K - 1) + i) * E + from, at + from, bytes);
        }
    }
}

/* ---- backward ----------------------------------------------------------------------- */

MLS_INLINE void backward_body(int64_t block, void *arg)
{
    const plan *p = arg;
    const int64_t B = p->B, E = p->E, K = p->K, from = block * BLOCK;
    const int64_t to = from + BLOCK < E ? from + BLOCK : E;
    const mls_t x = p->k->in[0], bias = p->k->in[2], past = p->k->in[3];
    const mls_t next = p->k->out[1];
    float *old = past ? past->data : NULL, *old_grad = past ? past->grad : NULL;
    for (int64_t b = 0; b < B; b++) {
        const int64_t n = p->real[b];
        for (int64_t r = 0; r < n; r++) {
            const float *dy = row_of(p, b, r, p->k->out[0]->grad, NULL);
            if (bias && bias->grad)
                for (int64_t e = from; e < to; e++) bias->grad[e] += dy[e];
            for (int64_t i = 0; i < K; i++) {
                const int64_t at = r - (K - 1) + i;
                const float *xi = row_of(p, b, at, x->data, old), *w = p->w + i * E;
                float *dx = row_of(p, b, at, x->grad, old_grad);
                float *dw = p->dw ? p->dw + i * E : NULL;
                if (dx)
                    for (int64_t e = from; e < to; e++) dx[e] += w[e] * dy[e];
                if (dw && xi)
                    for (int64_t e = from; e < to; e++) dw[e] += xi[e] * dy[e];
            }
        }
        for (int64_t i = 0; next && i < K - 1; i++) {
            const float *g = next->grad + (b * (K - 1) + i) * E;
            float *dx = row_of(p, b, n - (K - 1) + i, x->grad, old_grad);
            if (dx)
                for (int64_t e = from; e < to; e++) dx[e] += g[e];
        }
    }
    if (!p->dw) return;
    for (int64_t e = from; e < to; e++)
        for (int64_t i = 0; i < K; i++) p->k->in[1]->grad[e * K + i] += p->dw[i * E + e];
}

MLS_KERNEL_BODY(forward_block, forward_body)
MLS_KERNEL_BODY(backward_block, backward_body)

static void conv_forward(const mls_call *k)
{
    plan p;
    if (make_plan(&p, k, 0)) mls_parfor((p.E + BLOCK - 1) / BLOCK, forward_block, &p);
}

static void conv_backward(const mls_call *k)
{
    plan p;
    if (make_plan(&p, k, 1)) mls_parfor((p.E + BLOCK - 1) / BLOCK, backward_block, &p);
}

static double conv_flops(const mls_call *k)
{
    return 2.0 * (double)k->in[0]->count * (double)((const attr *)k->attr)->taps;
}

static const mls_op conv = { sizeof conv, "conv", conv_forward, conv_backward, conv_flops };

/* ---- the call ------------------------------------------------------------------------ */

mls_t mls_grad_conv(mls_ctx *c, mls_t x, mls_t w, mls_t bias, mls_state *past, mls_t mask)
{
    const int64_t T = x->dim[0], B = x->dim[1], E = x->dim[2], K = w->dim[2];
    mls_t y = mls_tape_tensor(c, T, B, E);
    if (c->error->set) return y;
    if (w->dim[1] != E || K < 1 || (bias && bias->count != E)) {
        mls->fail(c, "conv: x has %lld features, the weight is [%lld][%lld] and the bias has "
                  "%lld values", (long long)E, (long long)w->dim[1], (long long)K,
                  (long long)(bias ? bias->count : E));
        return y;
    }
    attr *r = mls_arena_zalloc(&c->tape->arena, sizeof *r);
    if (!r) {
        mls->fail(c, "conv: out of memory");
        return y;
    }
    r->taps = K;
    mls_t before = NULL, after = NULL;
    if (past && K > 1) {
        before = mls->load(c, past);
        if (c->error->set) return y;
        if (before->dim[1] != B || before->dim[2] != (K - 1) * E) {
            mls->fail(c, "conv: the state is %lld wide for %lld samples, expected %lld (%lld "
                      "rows of %lld features) for %lld", (long long)before->dim[2],
                      (long long)before->dim[1], (long long)((K - 1) * E),
                      (long long)(K - 1), (long long)E, (long long)B);
            return y;
        }
        after = mls_tape_tensor(c, 1, B, (K - 1) * E);
    }
    const mls_t in[] = { x, w, bias, before, mask }, made[] = { y, after };
    mls_tape_apply_as(c, MLS_TAPE_DENSE | MLS_REPEATS, &conv, r, in, 5, made, 2);
    if (after) mls->store(c, past, after);
    return y;
}
