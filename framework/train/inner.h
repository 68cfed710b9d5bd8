/* inner.h - what the files of train/ share; private to it. */
#ifndef MLS_TRAIN_INNER_H
#define MLS_TRAIN_INNER_H

#include "train/loop.h"
#include "train/plan.h"

struct mls_feed {
    mls_arena arena;
    const mls_registry *registry;
    const mls_component *component;
    const char *name; /* "task.text" */
    void *self;
    mls_task_shape shape;
    uint64_t seed;
};

/* Where sample `index` of 0..count-1 stands in the order of this key: a permutation,
 * found value by value, so that a billion samples need no table. */
int64_t mls_feed_shuffled(uint64_t key, int64_t count, int64_t index);

struct mls_loop {
    mls_arena arena;
    mls_net *net;
    const mls_feed *feed;
    mls_plan plan;
    mls_sink sink;
    mls_error *error;
    mls_run *run, *evaluation;
    mls_stage *stage; /* training and evaluation take turns */
    mls_optimiser optimiser;
    uint64_t noise; /* numbers the forwards, for dropout */
    /* The position: what follows is in the bundle. */
    int64_t step;    /* optimiser steps done */
    int64_t tokens;  /* time steps seen, without padding */
    int64_t clipped; /* steps whose gradient was cut */
    int64_t waited;  /* evaluations since the best */
    int64_t summed;  /* steps in sum */
    double best;     /* the least validation loss; Inf: none yet */
    double sum;      /* of losses since the last evaluation */
    double seconds;  /* of processor time; only with minutes */
    /* Not in it: steps of the last checkpoint and evaluation, a clock's last value */
    int64_t kept, seen;
    double penalty; /* of the step in progress */
    int penalties;  /* how many make it up */
    double clock;
};

/* Names the first weight, output of an op, state or gradient of `run` that is NaN or Inf;
 * what: "the loss is NaN".                                                              */
void mls_loop_diagnose(mls_loop *loop, mls_run *run, int64_t step, const char *what);

#endif
