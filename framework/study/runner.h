/* runner.h - trials in processes of their own, some at a time.
 *
 * Each is `<exe> trial <dir>`: it reads dir/config.yaml, prints progress as JSON lines on
 * stdout, and ends with 0 done, 3 stopped, 1 failed.  Its stderr goes to dir/log.txt.
 * A trial that crashes or runs too long is an outcome, never the end of the study.
 */
#ifndef MLS_STUDY_RUNNER_H
#define MLS_STUDY_RUNNER_H

#include "base/value.h"
#include "study/journal.h"

#include <signal.h>

typedef enum {
    MLS_JOB_WAITING, MLS_JOB_RUNNING, MLS_JOB_DONE, MLS_JOB_KEPT /* done before */,
    MLS_JOB_FAILED, MLS_JOB_STOPPED, MLS_JOB_ELSEWHERE /* another driver has it */
} mls_job_state;

typedef struct mls_job {
    const char      *id, *label;        /* "3f9a...", "mode=parallel seed=2"           */
    const mls_value *config;
    const mls_value *files;             /* more to write: path below dir -> text; or NULL */
    char             dir[4096];
    mls_job_state    state;
    char             reason[600];       /* when failed                                 */
    int64_t          step, steps;
    double           loss, rate;        /* newest; tokens per second                   */
    double           began, took;       /* seconds                                     */
    /* the runner's own */
    int              pid, pipe, lock, told;   /* told: 1 SIGTERM, 2 SIGABRT, 3 SIGKILL */
    double           deadline, grace;
    char             line[4096];
    int              used;
} mls_job;

typedef struct mls_runner {
    mls_job     *job;
    int          n_jobs;
    int          parallel;              /* processes at a time                         */
    double       timeout;               /* seconds a trial may take; 0: any            */
    const char  *exe;                   /* NULL: this program                          */
    const char  *plugin_path;           /* put before MLS_PLUGIN_PATH; or NULL         */
    mls_journal *journal;
    volatile sig_atomic_t *stop;        /* 1: let them checkpoint and end; 2: kill     */
    /* Called when something changed, at least four times a second; may be NULL. */
    void       (*watch)(void *arg, const struct mls_runner *r);
    void        *arg;
} mls_runner;

/* Runs what is not done.  0 when every trial was looked after (done or failed), 1 when
 * stopped, -1 and e when the study itself cannot go on (disk full, no journal).        */
int mls_runner_go(mls_runner *r, mls_error *e);

/* Seconds on a clock that never jumps. */
double mls_runner_now(void);

#endif
