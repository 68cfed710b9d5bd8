/* schedule.h - the learning rate of a step. */
#ifndef MLS_TRAIN_SCHEDULE_H
#define MLS_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef enum { MLS_RATE_CONSTANT, MLS_RATE_COSINE, MLS_RATE_LINEAR } mls_rate_kind;

typedef struct mls_schedule {
    mls_rate_kind kind;
    double peak, final_rate; /* final_rate: a fraction of the peak */
    int64_t warmup, steps;   /* steps in all, warm-up included */
} mls_schedule;

/* step counts from 1.  Grows linearly to the peak at step `warmup`, then falls to
 * final_rate * peak at step `steps` and stays there. */
double mls_schedule_rate(const mls_schedule *s, int64_t step);

#endif
