/* optimiser.h - AdamW (Loshchilov and Hutter 2019) and SGD with momentum, over all the
 * weights of a network.  Weight decay is decoupled in both and leaves out weights that
 * are MLS_NO_DECAY; MLS_FROZEN weights are left alone. */
#ifndef MLS_TRAIN_OPTIMISER_H
#define MLS_TRAIN_OPTIMISER_H

#include "net/net.h"

typedef enum { MLS_ADAMW, MLS_SGD } mls_optimiser_kind;

typedef struct mls_optimiser {
    mls_optimiser_kind kind;
    double beta1, beta2, epsilon, decay, momentum;
    int mixed;     /* means in 16 bits: mh and vh in place of m and v */
    uint64_t key;  /* of their rounding */
    int64_t count; /* weights */
    float *m, *v;  /* [count] each; v is NULL for SGD */
    uint16_t *mh, *vh;
} mls_optimiser;

/* Makes m and v in a; 0 when there is no memory. */
int mls_optimiser_open(mls_optimiser *o, const mls_net *net, mls_arena *a);
/* Scales the gradient so that its norm is at most `most` (0: no limit); returns the
 * norm it had.  NaN or Inf: not a number, and nothing is scaled. */
double mls_optimiser_clip(const mls_net *net, double most);
/* step counts from 1.  Ends with what components change in their weights, mls_net_adapt. */
void mls_optimiser_step(mls_optimiser *o, mls_net *net, double rate, int64_t step);
void mls_optimiser_bundle(const mls_optimiser *o, mls_bundle *b);

#endif
