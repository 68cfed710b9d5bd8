/* events.h - products of ops with an input that holds spikes, made of its events alone. */
#ifndef MLS_GRAD_EVENTS_H
#define MLS_GRAD_EVENTS_H

#include "grad/tape.h"

/* y[T B][n] = bias + x w^T (add: y += x w^T), if x is marked as spikes and the tape's way
 * and what x holds say so.  1: done.  0: nothing was done, take another way.
 *
 * AUTO takes events where they are few enough to pay, a function of x alone; in exact mode
 * always in forward, as no choice may depend on how a sequence is cut.                   */
int mls_grad_events_product(const mls_call *k, mls_t x, int64_t n, const float *w, int64_t ldw,
                            const float *bias, int add, float *y);
/* dw[n][features] += dy[T B][n]^T x, likewise. */
int mls_grad_events_weight(const mls_call *k, mls_t x, const float *dy, int64_t n, float *dw,
                           int64_t lddw);

#endif
