/* ops.h - the differentiable operations that every component may use; the same
 * functions stand in the host table of mls/plugin.h.  Sequences are [T][B][N].       */
#ifndef MLS_GRAD_OPS_H
#define MLS_GRAD_OPS_H

#include "grad/ctx.h"

mls_t mls_grad_linear(mls_ctx *c, mls_t x, mls_t w, mls_t bias);
mls_t mls_grad_binary(mls_ctx *c, mls_binary f, mls_t a, mls_t b);
mls_t mls_grad_unary(mls_ctx *c, mls_unary f, mls_t x);
mls_t mls_grad_scale(mls_ctx *c, mls_t x, double a, double b);
mls_t mls_grad_concat(mls_ctx *c, mls_t a, mls_t b);
mls_t mls_grad_slice(mls_ctx *c, mls_t x, int64_t from, int64_t n);
mls_t mls_grad_rms_norm(mls_ctx *c, mls_t x, mls_t gain, double eps);
mls_t mls_grad_layer_norm(mls_ctx *c, mls_t x, mls_t gain, mls_t bias, double eps);
mls_t mls_grad_softmax(mls_ctx *c, mls_t x);
mls_t mls_grad_dropout(mls_ctx *c, mls_t x, double p);

mls_t mls_grad_conv(mls_ctx *c, mls_t x, mls_t w, mls_t bias, mls_state *past, mls_t mask);
mls_t mls_grad_attention(mls_ctx *c, mls_t q, mls_t kv, const mls_attention *a,
                         mls_state *past, mls_t mask);

mls_t mls_grad_scan(mls_ctx *c, mls_t a, mls_t b, mls_state *h, mls_t mask);
mls_t mls_grad_join(mls_ctx *c, const mls_t *part, int n);
mls_t mls_grad_sum(mls_ctx *c, mls_t x);
mls_t mls_grad_pool(mls_ctx *c, mls_t x, mls_pool f, mls_t mask);
mls_t mls_grad_reverse(mls_ctx *c, mls_t x, mls_t mask);
mls_t mls_grad_spike(mls_ctx *c, mls_t v, mls_surrogate f, double slope);

/* Host-only. */
/* token [T][B] (kept until backward), table [V][N] -> [T][B][N]. */
mls_t mls_grad_embed(mls_ctx *c, const int32_t *token, int64_t t, int64_t b, mls_t table);

/* Softmax cross-entropy over x [T][B][C]; label [T][B], -1 = not scored.  Returns the
 * mean over scored positions as a [1][1][1] tensor.  When x comes straight from linear,
 * backward puts the gradient in the place of the logits: no second [T*B][C] array exists.
 * label is read again in backward.  stats: sum of nats, count, correct, decided = count. */
typedef struct mls_loss_stats {
    double sum, count, correct;
    double decided;                /* of how many `correct` are so                       */
} mls_loss_stats;
/* 1 when the label is the first of the largest of n logits. */
int   mls_grad_is_right(const float *x, int64_t n, int32_t label);
mls_t mls_grad_cross_entropy(mls_ctx *c, mls_t x, const int32_t *label, mls_loss_stats *stats);
/* The same of what was put off, without ever having all of it: see head-loss.c.  replace:
 * nobody reads x's values again, so that its gradient may take their place if the op that
 * gave them (which must be the last one) does not either.                                */
struct mls_later;
mls_t mls_grad_head_loss(mls_ctx *c, const struct mls_later *y, const int32_t *label,
                         mls_loss_stats *stats, int replace);
/* Rows of n logits that it has at a time; whole steps of `samples` rows when exact. */
int64_t mls_grad_head_rows(int64_t n, int64_t samples, int exact);
/* Mean squared error over scored values; target [T][B][C], NaN = not scored.
 * stats: sum of squares, count, 0.                                                     */
mls_t mls_grad_mse(mls_ctx *c, mls_t x, const float *target, mls_loss_stats *stats);
/* Mean absolute error, likewise; the gradient at no error is 0.  stats: sum of absolute
 * errors, count, 0.                                                                    */
mls_t mls_grad_mae(mls_ctx *c, mls_t x, const float *target, mls_loss_stats *stats);
/* Negative log-likelihood in nats of binary channels with logits x: summed over channels,
 * mean over the frames [T][B] that have a target; target [T][B][C] in 0 to 1, NaN = not
 * scored.  stats: sum of nats, frames, 0.                                              */
mls_t mls_grad_binary_nll(mls_ctx *c, mls_t x, const float *target, mls_loss_stats *stats);

#endif
