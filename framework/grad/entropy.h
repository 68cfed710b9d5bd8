/* entropy.h - cross-entropy of rows of logits, for the loss of whole logits and for the one
 * that has them a block at a time (head-loss.c).                                         */
#ifndef MLS_GRAD_ENTROPY_H
#define MLS_GRAD_ENTROPY_H

#include "grad/ops-inner.h"

typedef struct mls_entropy {
    mls_rows       rows;
    const float   *x;
    const int32_t *label;
    float         *gx;
    float         *log_sum;       /* of a row; kept for backward                      */
    float         *nats;          /* of a row, in forward                             */
    int64_t        n;
    float          weight;        /* of every scored row's gradient                   */
} mls_entropy;

/* Item i of the rows p->rows.  Of rows of label >= 0: log_sum and nats; of others both 0. */
void mls_entropy_forward(int64_t i, void *p);
/* gx, where x was, becomes weight * (softmax x - one-hot label); 0 where label < 0.       */
void mls_entropy_replace(int64_t i, void *p);
/* 0 and the error if a label is no class below n; rows are those of the call's first input. */
int  mls_entropy_fits(const mls_call *k, const int32_t *label, int64_t rows, int64_t n);
/* Adds what a row x of n logits with these nats counts for; nothing with label < 0.       */
void mls_entropy_add(mls_loss_stats *s, const float *x, int64_t n, int32_t label, float nats);

#endif
