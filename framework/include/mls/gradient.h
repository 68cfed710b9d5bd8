/* mls/gradient.h - an op whose backward can do more than add to zeros (MLS_WRITES and what
 * stands beside it in plugin.h): how it is applied, and what it asks in backward.  Under a
 * host of ABI 1.1 all of it falls back to plain apply and gradients that start at zero.   */
#ifndef MLS_GRADIENT_H
#define MLS_GRADIENT_H

#include <mls/kernel.h>
#include <string.h>

/* [forward] mls->apply_as where the host has it. */
MLS_INLINE void mls_apply_as(mls_ctx *c, unsigned can, const mls_op *op, const void *attr,
                             const mls_t *in, int n_in, const mls_t *out, int n_out)
{
    if (MLS_HAS(mls, apply_as))
        mls->apply_as(c, can, op, attr, in, n_in, out, n_out);
    else
        mls->apply(c, op, attr, in, n_in, out, n_out);
}

/* [forward] mls->expect where the host has it: before apply. */
MLS_INLINE void mls_expect(mls_ctx *c, size_t scratch)
{
    if (MLS_HAS(mls, expect)) mls->expect(c, scratch);
}

/* [op] Whether the gradient of input i holds nothing yet. */
MLS_INLINE int mls_is_fresh(const mls_call *k, int i)
{
    return MLS_HAS(mls, apply_as) && i < 64 && (k->fresh >> i & 1);
}

/* [op] Zeros for the gradient of input i if nobody wrote it: then it can be added to. */
MLS_INLINE void mls_clear_if_fresh(const mls_call *k, int i)
{
    if (mls_is_fresh(k, i))
        memset(k->in[i]->grad, 0, (size_t)k->in[i]->count * sizeof(float));
}

#endif
