/* loop.h - training: batches in, optimiser steps, evaluation, until done.
 * The loop does no I/O: what it finds is told to a sink, and its whole state is a
 * bundle, so that a resumed run continues to the same bits.
 *
 * config is the map `train` of an experiment (see conf/):
 *   optimiser adamw|sgd, learning_rate, beta1, beta2, epsilon, weight_decay, momentum,
 *   schedule constant|cosine|linear, final_rate, warmup_steps, warmup_fraction, clip,
 *   accumulate, batch, steps | epochs | tokens, minutes, evaluate_every,
 *   evaluate_batches, patience, checkpoint_every, carry, exact
 */
#ifndef MLS_TRAIN_LOOP_H
#define MLS_TRAIN_LOOP_H

#include "net/net.h"
#include "train/feed.h"

typedef struct mls_metric { const char *name; double value; } mls_metric;

typedef struct mls_sink {        /* any may be NULL                                   */
    void *arg;
    /* After an optimiser step: loss, learning_rate, gradient_norm, clipped, tokens ...;
     * penalty, if components have any: what they added to the loss; plasticity, likewise:
     * the sum of |change| of their weights beside the gradient.                       */
    void (*step)(void *arg, int64_t step, const mls_metric *m, int n);
    /* After an evaluation: loss, accuracy, auc (two classes), mse ...; best: 1 if
     * it is the best so far by the loss.                                              */
    void (*evaluation)(void *arg, int64_t step, int split, const mls_metric *m, int n, int best);
    /* A checkpoint is due; best: also keep it as the best.  0 = could not (stop).      */
    int  (*checkpoint)(void *arg, int64_t step, int best);
    /* Asked before every step: 1 = stop cleanly after writing a checkpoint.            */
    int  (*stop)(void *arg);
} mls_sink;

typedef struct mls_loop mls_loop;

mls_loop *mls_loop_new(mls_net *net, const mls_feed *feed, const mls_value *train,
                       uint64_t seed, const mls_sink *sink, mls_error *e);
void      mls_loop_free(mls_loop *loop);
mls_run  *mls_loop_run_of(mls_loop *loop);      /* the training run, to observe it      */
mls_run  *mls_loop_evaluation_run(mls_loop *loop);
int64_t   mls_loop_steps(const mls_loop *loop); /* planned in all                       */
/* The same before there is a loop; INT64_MAX: by the clock alone.  0 and e if it is wrong. */
int64_t   mls_loop_planned(const mls_value *train, const mls_feed *feed, mls_error *e);
/* Weights, optimiser, states, position, best value: everything a resume needs. */
void      mls_loop_bundle(mls_loop *loop, mls_bundle *b);
/* After a checkpoint's bytes were read into the bundle: continue from there. */
void      mls_loop_resumed(mls_loop *loop);

typedef enum { MLS_DONE, MLS_STOPPED, MLS_EARLY, MLS_FAILED } mls_outcome;
/* Runs to the end.  NaN or Inf: MLS_FAILED, e names tensor, node and step. */
mls_outcome mls_loop_go(mls_loop *loop);
/* Evaluates one split, the whole of it whatever evaluate_batches says, from reset states;
 * fills up to room metrics, returns how many.                                            */
int       mls_loop_evaluate(mls_loop *loop, int split, mls_metric *out, int room);

#endif
