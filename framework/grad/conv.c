/* conv.c - causal depthwise convolution of K taps with the last K - 1 inputs as state.
 *
 *   y[t][e] = bias[e] + sum_k w[e][k] x[t - (K - 1) + k][e]
 *
 * as PyTorch's conv1d: w[:, K - 1] meets the current step.  Time counts real steps only:
 * a masked step is no input, gives 0 and leaves the state.  Work is split over pieces of
 * the sequence, whose number depends on its length alone: whole rows are read as they lie
 * in memory, and the sums for weight and bias of each piece are added in their order. */
#include "base/parfor.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include <mls/kernel.h>

#include <string.h>

enum { PIECE = 32, PIECES = 64 };       /* steps of a piece at least, pieces at most   */

typedef struct attr { int64_t taps; } attr;

typedef struct plan {
    const mls_call *k;
    int64_t  T, B, E, K, piece;
    int32_t *step;      /* [B][T]: the real steps of each sample                       */
    int32_t *rank;      /* [B][T]: which of them a step is; -1: none                   */
    int64_t *real;      /* [B]                                                         */
    float   *w;         /* [K][E]: the weights, tap by tap                             */
    float   *zeros;     /* [E]: the past without a state, and what comes after the end */
    float   *part;      /* [pieces][K + 2][E] in backward: sums for w and bias, and a
                           row for gradients that nobody wants                         */
    int      add;       /* to what the gradient of x holds already                     */
} plan;

static int64_t pieces_of(const plan *p) { return (p->T + p->piece - 1) / p->piece; }

static int make_plan(plan *p, const mls_call *k)
{
    const mls_t x = k->in[0], w = k->in[1], mask = k->in[4];
    *p = (plan){ .k = k, .T = x->dim[0], .B = x->dim[1], .E = x->dim[2],
                 .K = ((const attr *)k->attr)->taps };
    const int64_t T = p->T, B = p->B, E = p->E, K = p->K, many = (T + PIECES - 1) / PIECES;
    p->piece = many < PIECE ? PIECE : many;
    p->step = mls_tape_scratch(k, (size_t)(T * B) * sizeof *p->step);
    p->rank = mls_tape_scratch(k, (size_t)(T * B) * sizeof *p->rank);
    p->real = mls_tape_scratch(k, (size_t)B * sizeof *p->real);
    p->w = mls_tape_scratch(k, (size_t)(K * E) * sizeof *p->w);
    p->zeros = mls_tape_scratch(k, (size_t)E * sizeof *p->zeros);
    if (!p->step || !p->rank || !p->real || !p->w || !p->zeros) return 0;
    memset(p->zeros, 0, (size_t)E * sizeof *p->zeros);
    for (int64_t b = 0; b < B; b++) {
        p->real[b] = 0;
        for (int64_t t = 0; t < T; t++) {
            const int is = !mask || mask->data[t * B + b] != 0.0f;
            p->rank[b * T + t] = is ? (int32_t)p->real[b] : -1;
            if (is) p->step[b * T + p->real[b]++] = (int32_t)t;
        }
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
MLS_INLINE void four_taps(const plan *p, float *restrict y, const float *const *row,
                          const float *bias)
{
    const int64_t E = p->E;
    const float *w = p->w, *w1 = w + E, *w2 = w1 + E, *w3 = w2 + E;
    const float *x0 = row[0], *x1 = row[1], *x2 = row[2], *x3 = row[3];
    for (int64_t e = 0; e < E; e++)
        y[e] = bias[e] + ((w[e] * x0[e] + w1[e] * x1[e]) + (w2[e] * x2[e] + w3[e] * x3[e]));
}

MLS_INLINE void one_step(const plan *p, int64_t b, int64_t r, float *restrict y)
{
    const mls_t x = p->k->in[0], has = p->k->in[2], past = p->k->in[3];
    const float *bias = has ? has->data : p->zeros, *row[4];
    const int64_t K = p->K, E = p->E;
    for (int64_t i = 0; i < K; i++) {
        const float *at = row_of(p, b, r - (K - 1) + i, x->data, past ? past->data : NULL);
        if (!at) at = p->zeros;
        if (K == 4) {
            row[i] = at;
            continue;
        }
        const float *w = p->w + i * E;
        if (i == 0) memcpy(y, bias, (size_t)E * sizeof *y);
        for (int64_t e = 0; e < E; e++) y[e] += w[e] * at[e];
    }
    if (K == 4) four_taps(p, y, row, bias);
}

MLS_INLINE void forward_body(int64_t piece, void *arg)
{
    const plan *p = arg;
    const int64_t T = p->T, B = p->B, E = p->E, from = piece * p->piece;
    const int64_t to = from + p->piece < T ? from + p->piece : T;
    for (int64_t t = from; t < to; t++)
        for (int64_t b = 0; b < B; b++) {
            float *y = p->k->out[0]->data + (t * B + b) * E;
            const int64_t r = p->rank[b * T + t];
            if (r >= 0) one_step(p, b, r, y);
            else memset(y, 0, (size_t)E * sizeof *y);
        }
}

/* ---- backward ----------------------------------------------------------------------- */

/* All that row r of the input, x, gives: to its gradient dx, and to the sums. */
MLS_INLINE void one_row(const plan *p, int64_t b, int64_t r, const float *restrict x,
                        float *restrict dx, float *restrict sum, int add)
{
    const int64_t K = p->K, E = p->E;
    float *dy = p->k->out[0]->grad;
    const float *row[4];
    for (int64_t i = 0; i < K; i++) {           /* the step that meets x with tap i */
        const int64_t at = r + K - 1 - i;
        const float *d = at < 0 || at >= p->real[b] ? p->zeros : row_of(p, b, at, dy, NULL);
        if (K == 4) {
            row[i] = d;
            continue;
        }
        const float *w = p->w + i * E;
        const int keep = i || add;
        float *restrict dw = sum + i * E, *restrict db = sum + K * E;
        for (int64_t e = 0; e < E; e++) {
            dx[e] = (keep ? dx[e] : 0.0f) + w[e] * d[e];
            dw[e] += x[e] * d[e];
        }
        if (i == K - 1)
            for (int64_t e = 0; e < E; e++) db[e] += d[e];
    }
    if (K != 4) return;
    const float *w = p->w, *w1 = w + E, *w2 = w1 + E, *w3 = w2 + E;
    const float *d0 = row[0], *d1 = row[1], *d2 = row[2], *d3 = row[3];
    float *s1 = sum + E, *s2 = s1 + E, *s3 = s2 + E, *s4 = s3 + E;
    for (int64_t e = 0; e < E; e++) {
        dx[e] = (add ? dx[e] : 0.0f)
              + ((w[e] * d0[e] + w1[e] * d1[e]) + (w2[e] * d2[e] + w3[e] * d3[e]));
        sum[e] += x[e] * d0[e];
        s1[e] += x[e] * d1[e];
        s2[e] += x[e] * d2[e];
        s3[e] += x[e] * d3[e];
        s4[e] += d3[e];
    }
}

MLS_INLINE void backward_body(int64_t piece, void *arg)
{
    const plan *p = arg;
    const int64_t T = p->T, B = p->B, E = p->E, K = p->K, from = piece * p->piece;
    const int64_t to = from + p->piece < T ? from + p->piece : T;
    const mls_t x = p->k->in[0], past = p->k->in[3];
    float *sum = p->part + piece * (K + 2) * E, *sink = sum + (K + 1) * E;
    memset(sum, 0, (size_t)((K + 2) * E) * sizeof *sum);
    for (int64_t b = 0; piece == 0 && past && b < B; b++)
        for (int64_t r = 1 - K; r < 0; r++) {
            float *dx = row_of(p, b, r, NULL, past->grad);
            one_row(p, b, r, row_of(p, b, r, NULL, past->data), dx ? dx : sink, sum, 1);
        }
    for (int64_t t = from; t < to; t++)
        for (int64_t b = 0; b < B; b++) {
            const int64_t r = p->rank[b * T + t], at = (t * B + b) * E;
            float *dx = x->grad ? x->grad + at : sink;
            if (r >= 0)
                one_row(p, b, r, x->data + at, dx, sum, p->add);
            else if (!p->add) memset(dx, 0, (size_t)E * sizeof *dx);
        }
}

MLS_KERNEL_BODY(forward_piece, forward_body)
MLS_KERNEL_BODY(backward_piece, backward_body)

static void conv_forward(const mls_call *k)
{
    const mls_t x = k->in[0], past = k->in[3], next = k->out[1];
    plan p;
    if (!make_plan(&p, k)) return;
    mls_parfor(pieces_of(&p), forward_piece, &p);
    for (int64_t b = 0; next && b < p.B; b++)
        for (int64_t i = 0; i < p.K - 1; i++)
            memcpy(next->data + (b * (p.K - 1) + i) * p.E,
                   row_of(&p, b, p.real[b] - (p.K - 1) + i, x->data, past->data),
                   (size_t)p.E * sizeof(float));
}

static void clear_fresh(const mls_call *k, int i)
{
    if (k->fresh >> i & 1)
        memset(k->in[i]->grad, 0, (size_t)k->in[i]->count * sizeof(float));
}

static void conv_backward(const mls_call *k)
{
    const mls_t x = k->in[0], w = k->in[1], bias = k->in[2], past = k->in[3];
    const mls_t next = k->out[1];
    plan p;
    if (!make_plan(&p, k)) return;
    const int64_t K = p.K, E = p.E, n = pieces_of(&p);
    p.part = mls_tape_scratch(k, (size_t)(n * (K + 2) * E) * sizeof *p.part);
    if (!p.part) return;
    p.add = !(k->fresh & 1);    /* without a gradient too: the sink is no array's */
    for (int i = 1; i < 4; i++) clear_fresh(k, i);
    mls_parfor(n, backward_piece, &p);
    for (int64_t i = 0; i < n; i++) {
        const float *sum = p.part + i * (K + 2) * E;
        for (int64_t e = 0; w->grad && e < E; e++)
            for (int64_t q = 0; q < K; q++) w->grad[e * K + q] += sum[q * E + e];
        for (int64_t e = 0; bias && bias->grad && e < E; e++) bias->grad[e] += sum[K * E + e];
    }
    for (int64_t b = 0; next && b < p.B; b++)
        for (int64_t i = 0; i < K - 1; i++) {
            const float *g = next->grad + (b * (K - 1) + i) * E;
            float *dx = row_of(&p, b, p.real[b] - (K - 1) + i, x->grad, past->grad);
            for (int64_t e = 0; dx && e < E; e++) dx[e] += g[e];
        }
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
    mls_tape_apply_as(c, MLS_TAPE_DENSE | MLS_REPEATS | MLS_WRITES, &conv, r, in, 5, made, 2);
    if (after) mls->store(c, past, after);
    return y;
}
