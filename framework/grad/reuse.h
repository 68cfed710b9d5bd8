/* reuse.h - a tape whose floats are used again within a step (see reuse.c).
 *
 *     if (!mls_reuse_ready(&tape, key)) {
 *         mls_reuse_plan(&tape, key);  the forward, dry;  mls_reuse_end(ctx);
 *         mls_reuse_planned(&tape);
 *     }
 *     the forward;  mls_reuse_end(ctx);  if (mls_reuse_stale(&tape)) once more, planned;
 *     the loss;  backward
 *
 * Tensors of one step (states) and short ones stay as they are; weights, inputs and
 * gradients are not touched.                                                              */
#ifndef MLS_GRAD_REUSE_H
#define MLS_GRAD_REUSE_H

#include "grad/tape.h"

/* half: what backward reads waits for it in float16.  NULL: no memory; else into tape.reuse. */
mls_reuse *mls_reuse_new(int half);
void      mls_reuse_free(mls_reuse *h);
int       mls_reuse_halves(const mls_reuse *h);
mls_arena *mls_reuse_arena(mls_reuse *h);    /* of what lies in 16 bits                    */
void      mls_reuse_reset(mls_reuse *h);     /* by mls_tape_reset                          */
/* The tape becomes dry and notes which op uses each tensor last; then it is not.  key: of
 * all that the list of ops can depend on; 0: the plan is good for one forward.            */
void      mls_reuse_plan(mls_tape *t, uint64_t key);
void      mls_reuse_planned(mls_tape *t);
/* 1: the last plan has this key.  The forward that follows is compared with it op by op; if
 * another one comes, the context's error is set, and mls_reuse_stale tells so and forgets the
 * plan: that forward is to be thrown away.                                                */
int       mls_reuse_ready(mls_tape *t, uint64_t key);
void      mls_reuse_end(mls_ctx *c);
int       mls_reuse_stale(mls_tape *t);
int       mls_reuse_planning(const mls_tape *t);
/* In a plan: somebody reads x's values now, or will at any time after the forward.        */
void      mls_reuse_use(mls_tape *t, mls_t x);
void      mls_reuse_hold(mls_tape *t, mls_t x);

#endif
