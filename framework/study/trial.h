/* trial.h - one experiment from its resolved configuration to its files: builds the
 * network, trains, records, checkpoints, resumes.  Runs in this process.                */
#ifndef MLS_STUDY_TRIAL_H
#define MLS_STUDY_TRIAL_H

#include "base/value.h"
#include "plug/plug.h"

typedef struct mls_progress {
    int64_t step, steps;
    double  loss, rate;             /* last training loss; tokens per second           */
    const mls_value *evaluation;    /* newest validation metrics, or NULL              */
} mls_progress;

typedef struct mls_trial_options {
    const mls_registry *registry;
    int   threads;
    void (*progress)(void *arg, const mls_progress *p);     /* may be NULL             */
    void *arg;
    volatile int *stop;             /* set to 1 by a signal handler: stop cleanly      */
    const char *command_line;
} mls_trial_options;

/* Files in dir as docs/recording.md says; result.yaml holds the final metrics, counts,
 * tokens/s, peak memory.  Resumes from the last checkpoint in dir when there is one for
 * the same configuration.  Returns 0 when done, 1 when stopped cleanly, -1 with e.       */
int mls_trial_run(const mls_value *config, const char *dir, const mls_trial_options *o, mls_error *e);

/* The same configuration with every component option filled in, and its cost; no maths. */
struct mls_cost;
mls_value *mls_trial_resolve(mls_arena *a, const mls_registry *r, const mls_value *config,
                             double *flops_per_step, double *bytes, int64_t *parameters, mls_error *e);

#endif
