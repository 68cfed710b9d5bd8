/* events.h - matrix products with rows that are mostly zero, as spikes are: only the rows
 * of the matrix that meet a value other than zero are read.
 *
 * Values may be any: what is zero is left out, all else is multiplied.  (So a weight that
 * is not finite shows only where an event meets it.)  Every value of a product is one sum
 * in the order of the features: its bits depend neither on the rows beside it nor on the
 * threads.                                                                              */
#ifndef MLS_KERN_EVENTS_H
#define MLS_KERN_EVENTS_H

#include "kern/kern.h"

/* How many of n values are not zero. */
int64_t mls_k_events_count(const float *x, int64_t n);

/* y[rows][n] = bias[n] + x[rows][k] w^T, w [n][k] with rows ldw apart; add: y += instead, and
 * bias is not looked at; bias may be NULL.  events: how many there are in x.  room: of
 * mls_k_events_room(k, n) floats.                                                       */
void mls_k_events_linear(int64_t rows, int64_t n, int64_t k, int64_t events, const float *x,
                         const float *w, int64_t ldw, const float *bias, int add, float *y,
                         float *room);
int64_t mls_k_events_room(int64_t k, int64_t n);

/* dw[n][k] (rows lddw apart) += dy[rows][n]^T x[rows][k].  room: of
 * mls_k_events_weight_room(...) floats.                                                 */
void mls_k_events_weight(int64_t rows, int64_t n, int64_t k, int64_t events, const float *x,
                         const float *dy, float *dw, int64_t lddw, float *room);
int64_t mls_k_events_weight_room(int64_t rows, int64_t n, int64_t k, int64_t events);

#endif
