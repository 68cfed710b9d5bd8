/* plan.h - the settings `train` of an experiment, read and worked out. */
#ifndef MLS_TRAIN_PLAN_H
#define MLS_TRAIN_PLAN_H

#include "train/feed.h"
#include "train/optimiser.h"
#include "train/schedule.h"

typedef struct mls_plan {
    mls_optimiser optimiser; /* its constants */
    mls_schedule schedule;
    double clip;
    double minutes; /* processor time of all threads, evaluation included; 0: no limit */
    int64_t steps; /* in all; the least of steps, epochs and tokens */
    int64_t batch, accumulate, batches; /* batches: of an epoch */
    int64_t evaluate_every, evaluate_batches, patience, checkpoint_every;
    int carry, exact, mixed;
} mls_plan;

/* Absent keys have the defaults of conf/settings.c.  steps = 0 without epochs or tokens
 * needs minutes; the schedule then stays at its peak.  feed may be NULL where neither
 * epochs nor tokens count.  Returns 0 and e if it is not so. */
int mls_plan_read(mls_plan *p, const mls_value *train, const mls_feed *feed,
                  mls_error *e);

#endif
