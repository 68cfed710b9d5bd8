/* rnn.h - GRU and LSTM over a sequence as one op, in PyTorch's formulas and weights
 * (torch.nn.GRU, torch.nn.LSTM, one layer).  Shared by gru and lstm, which give their
 * step; the input's products are made for all steps at once.
 *
 * With a time constant tau (mod_tau) a step goes 1/tau of its way: s[t] = s[t-1] +
 * (s' - s[t-1]) / tau, where s' is what the formula gives and s the state that a gate
 * lets through, h of a GRU and c of an LSTM.  It is written s' + (1/tau - 1) (s' -
 * s[t-1]), so that tau = 1 gives the bits of no tau. */
#ifndef LIQUID_RNN_H
#define LIQUID_RNN_H

#include "modulation.h"
#include "rows.h"

enum {
    RNN_X,
    RNN_H,
    RNN_C,
    RNN_MASK,
    RNN_WI,
    RNN_WH,
    RNN_BI,
    RNN_BH,
    RNN_TAU, /* NULL: 1 */
    RNN_INS
};
/* Q: GRU the sums [3H] of the recurrent products, LSTM the cell [H] after each step;
 * CLAST: LSTM only */
enum { RNN_Y, RNN_HLAST, RNN_G, RNN_Q, RNN_CLAST };

typedef struct rnn_size {
    int64_t T, B, S, H, N; /* steps, batch, inputs, units, gates * units */
} rnn_size;

static rnn_size rnn_size_of(const mls_call *k)
{
    const mls_tensor *x = k->in[RNN_X], *w = k->in[RNN_WH];
    return (rnn_size){x->dim[0], x->dim[1], x->dim[2], w->dim[2], w->dim[1]};
}

/* What row `row` of step t was, one step before: of out `o`, or of the state `in`. */
MLS_INLINE const float *rnn_before(const mls_call *k, const rnn_size *s, int64_t t,
                                   int64_t b, int o, int in)
{
    return t ? k->out[o]->data + ((t - 1) * s->B + b) * s->H
             : k->in[in]->data + b * s->H;
}

MLS_INLINE int rnn_masked(const mls_call *k, int64_t row)
{
    return k->in[RNN_MASK] && k->in[RNN_MASK]->data[row] == 0.0f;
}

/* Forward of a sample: g[N] are its sums, q is of RNN_Q, h and c the states before; tau
 * NULL: 1. */
typedef void rnn_step(int64_t H, float *g, float *q, const float *h, const float *c,
                      const float *tau, float *y);
/* Backward: dh and dc are those of the new states and become, without the products,
 * those of the old; dg[N], dq are those of the sums.  dtau is added to. */
typedef void rnn_step_back(int64_t H, const float *g, const float *q, const float *h,
                           const float *c, const float *tau, float *dtau, float *dh,
                           float *dc, float *dg, float *dq);

/* What the new state s' becomes. */
MLS_INLINE void rnn_slow(int64_t H, const float *restrict tau,
                         const float *restrict before, float *restrict s)
{
    for (int64_t j = 0; tau && j < H; j++)
        s[j] += (1.0f / tau[j] - 1.0f) * (s[j] - before[j]);
}

MLS_INLINE const float *rnn_tau(const mls_call *k, int64_t at)
{
    return k->in[RNN_TAU] ? k->in[RNN_TAU]->data + at : NULL;
}

/* spare[H]: where nobody wants it. */
MLS_INLINE float *rnn_dtau(const mls_call *k, int64_t at, float *spare)
{
    return k->in[RNN_TAU] && k->in[RNN_TAU]->grad ? k->in[RNN_TAU]->grad + at : spare;
}

MLS_INLINE void rnn_forward(const mls_call *k, rnn_step *step)
{
    const rnn_size s = rnn_size_of(k);
    const int lstm = k->in[RNN_C] != NULL;
    const int64_t rows = s.T * s.B, H = s.H;
    const size_t bytes = (size_t)H * sizeof(float);
    float *g = k->out[RNN_G]->data, *q = k->out[RNN_Q]->data, *y = k->out[RNN_Y]->data;
    const float *bh = k->in[RNN_BH]->data;
    const mls_product turn =
        mls_product_of(k, s.T, k->in[RNN_WH]->data, H, 1, H, s.N, lstm ? NULL : bh);
    if (!turn.start) return; /* no memory: already said */
    product_of_rows(k, s.B, rows, s.N, s.S, k->in[RNN_X]->data, k->in[RNN_WI]->data,
                    s.S, k->in[RNN_BI]->data, g);
    for (int64_t r = 0; lstm && r < rows; r++) add(s.N, bh, g + r * s.N);
    for (int64_t t = 0; t < s.T; t++) {
        const int64_t row = t * s.B, wide = lstm ? H : s.N;
        mls_product_run(&turn, s.B, rnn_before(k, &s, t, 0, RNN_Y, RNN_H), lstm,
                        (lstm ? g : q) + row * s.N);
        for (int64_t b = 0; b < s.B; b++) {
            const int64_t i = row + b;
            const float *h = rnn_before(k, &s, t, b, RNN_Y, RNN_H);
            const float *c = lstm ? rnn_before(k, &s, t, b, RNN_Q, RNN_C) : NULL;
            step(H, g + i * s.N, q + i * wide, h, c, rnn_tau(k, i * H), y + i * H);
            if (!rnn_masked(k, i)) continue;
            memcpy(y + i * H, h, bytes);
            if (lstm) memcpy(q + i * H, c, bytes);
        }
    }
    memcpy(k->out[RNN_HLAST]->data, y + (rows - s.B) * H, (size_t)s.B * bytes);
    if (lstm)
        memcpy(k->out[RNN_CLAST]->data, q + (rows - s.B) * H, (size_t)s.B * bytes);
}

/* Weights and inputs from the gradients of all sums: dg of x, dr of h. */
static void rnn_gather(const mls_call *k, const rnn_size *s, const float *dr)
{
    const int64_t rows = s->T * s->B, N = s->N;
    const float *dg = k->out[RNN_G]->grad;
    float *wh = k->in[RNN_WH]->grad;
    outer(k, rows, dg, N, k->in[RNN_X]->data, s->S, k->in[RNN_WI]->grad, s->S);
    outer(k, s->B, dr, N, k->in[RNN_H]->data, s->H, wh, s->H);
    outer(k, rows - s->B, dr + s->B * N, N, k->out[RNN_Y]->data, s->H, wh, s->H);
    if (k->in[RNN_BI]->grad) add_rows(rows, N, dg, k->in[RNN_BI]->grad);
    if (k->in[RNN_BH]->grad) add_rows(rows, N, dr, k->in[RNN_BH]->grad);
    if (k->in[RNN_X]->grad)
        mls->gemm_rows(k, s->B, 0, 0, rows, s->S, N, 1.0f, dg, N, k->in[RNN_WI]->data,
                       s->S, 1.0f, k->in[RNN_X]->grad, s->S);
}

MLS_INLINE void rnn_backward(const mls_call *k, rnn_step_back *step)
{
    const rnn_size s = rnn_size_of(k);
    const int lstm = k->in[RNN_C] != NULL;
    const int64_t H = s.H, BH = s.B * H, wide = lstm ? H : s.N;
    const float *g = k->out[RNN_G]->data, *q = k->out[RNN_Q]->data;
    float *dg = k->out[RNN_G]->grad, *dr = lstm ? dg : k->out[RNN_Q]->grad;
    float *dh = mls->scratch(k, (size_t)(BH * 2 + H) * sizeof(float));
    const mls_product turn =
        mls_product_of(k, s.T, k->in[RNN_WH]->data, H, 0, s.N, H, NULL);
    if (!turn.start || !dh) return;
    float *dc = dh + BH, *spare = dc + BH;
    memset(spare, 0, (size_t)H * sizeof(float));
    memcpy(dh, k->out[RNN_HLAST]->grad, (size_t)BH * sizeof(float));
    if (lstm) memcpy(dc, k->out[RNN_CLAST]->grad, (size_t)BH * sizeof(float));
    for (int64_t t = s.T - 1; t >= 0; t--) {
        const int64_t row = t * s.B;
        for (int64_t b = 0; b < s.B; b++) {
            const int64_t i = row + b;
            add(H, k->out[RNN_Y]->grad + i * H, dh + b * H);
            if (rnn_masked(k, i)) {
                memset(dg + i * s.N, 0, (size_t)s.N * sizeof(float));
                memset(dr + i * s.N, 0, (size_t)s.N * sizeof(float));
                continue;
            }
            step(H, g + i * s.N, q + i * wide, rnn_before(k, &s, t, b, RNN_Y, RNN_H),
                 lstm ? rnn_before(k, &s, t, b, RNN_Q, RNN_C) : NULL,
                 rnn_tau(k, i * H), rnn_dtau(k, i * H, spare), dh + b * H, dc + b * H,
                 dg + i * s.N, dr + i * s.N);
        }
        mls_product_run(&turn, s.B, dr + row * s.N, 1, dh);
    }
    add(BH, dh, k->in[RNN_H]->grad);
    if (lstm) add(BH, dc, k->in[RNN_C]->grad);
    rnn_gather(k, &s, dr);
}

static double rnn_flops(const mls_call *k)
{
    const rnn_size s = rnn_size_of(k);
    return 2.0 * (double)(s.T * s.B) * (double)((s.S + s.H) * s.N);
}

/* [setup] PyTorch's four weights, U(-1/sqrt H, 1/sqrt H), in the order of RNN_WI. */
static void rnn_weights(mls_ctx *c, int64_t inputs, int64_t units, int gates,
                        mls_t w[4])
{
    const double a = 1.0 / sqrt((double)(units > 0 ? units : 1));
    const mls_init matrix = mls_init_of(MLS_UNIFORM, a, 0);
    const mls_init bias = mls_init_of(MLS_UNIFORM, a, MLS_NO_DECAY);
    w[0] = mls->weight(c, "weight_ih_l0", gates * units, inputs, matrix);
    w[1] = mls->weight(c, "weight_hh_l0", gates * units, units, matrix);
    w[2] = mls->weight(c, "bias_ih_l0", 1, gates * units, bias);
    w[3] = mls->weight(c, "bias_hh_l0", 1, gates * units, bias);
}

#endif
