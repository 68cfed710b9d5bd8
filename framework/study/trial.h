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

/* A task that stays open from one question to the next: to open one may mean to read a
 * large file, and a budget asks for the same task at every width that it tries.          */
typedef struct mls_kept_task {
    char             asked[65], resolved[65];     /* hashes of its map, of both forms      */
    struct mls_feed *feed;
} mls_kept_task;

/* The task of a configuration; it is the keeper's until the next question or _free.      */
struct mls_feed *mls_kept_task_open(mls_kept_task *k, const mls_registry *r,
                                    const mls_value *config, mls_error *e);
void mls_kept_task_free(mls_kept_task *k);

/* The same configuration with every component option filled in, and its cost; no maths.
 * kept: tasks are opened there, or NULL.                                                 */
mls_value *mls_trial_resolve(mls_arena *a, const mls_registry *r, const mls_value *config,
                             mls_kept_task *kept, double *flops_per_step, double *bytes, int64_t *parameters, mls_error *e);

#endif
