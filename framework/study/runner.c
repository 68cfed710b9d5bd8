#define _GNU_SOURCE 1
#include "study/runner.h"

#include "study/child.h"
#include "study/crash.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GRACE = 30, MOST = 256 };        /* seconds to checkpoint; processes at a time */

double mls_runner_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- what a trial says ------------------------------------------------------------- */

static void hear_line(mls_job *job, const char *line)
{
    json_t *o = json_loads(line, 0, NULL);
    const json_t *v;
    if ((v = json_object_get(o, "step")) && json_is_number(v))
        job->step = (int64_t)json_number_value(v);
    if ((v = json_object_get(o, "steps")) && json_is_number(v))
        job->steps = (int64_t)json_number_value(v);
    if ((v = json_object_get(o, "loss")) && json_is_number(v))
        job->loss = json_number_value(v);
    if ((v = json_object_get(o, "rate")) && json_is_number(v))
        job->rate = json_number_value(v);
    if ((v = json_object_get(o, "failed")) && json_is_string(v))
        snprintf(job->reason, sizeof job->reason, "%.500s", json_string_value(v));
    json_decref(o);
}

/* 1 when it said something, 0 at the end of its output, -1 when nothing came now: a
 * grandchild may keep the pipe open after its death. */
static int hear(mls_job *job)
{
    char text[4096];
    ssize_t n = read(job->pipe, text, sizeof text);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? -1 : 0;
    for (ssize_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            job->line[job->used] = 0;
            hear_line(job, job->line);
            job->used = 0;
        } else if (job->used < (int)sizeof job->line - 1) {
            job->line[job->used++] = text[i];
        }
    }
    return n > 0;
}

/* The last line of log.txt that is not empty, after "crashed: " if asked for. */
static void last_line(const mls_job *job, int crash, char *out, size_t room)
{
    char path[4200], line[5000];                 /* an error has at most 4000 */
    *out = 0;
    snprintf(path, sizeof path, "%s/log.txt", job->dir);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        const int is = strncmp(line, "crashed: ", 9) == 0;
        if (*line && (!crash || is))
            snprintf(out, room, "%.*s", (int)room - 1,
                     strncmp(line, "mls: ", 5) == 0 ? line + 5 : line);
    }
    if (f)
        fclose(f);
}

/* ---- outcomes ---------------------------------------------------------------------- */

static void judge(mls_job *job, int status, double timeout)
{
    char said[500];
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        job->state = MLS_JOB_DONE;
        return;
    }
    job->state = MLS_JOB_FAILED;
    if (job->deadline > 0.0 && job->began + job->took >= job->deadline && job->told) {
        last_line(job, 1, said, sizeof said);        /* where SIGABRT met it */
        const char *in = strstr(said, " in ");
        if (!in)
            snprintf(said, sizeof said, ", step %lld", (long long)job->step);
        snprintf(job->reason, sizeof job->reason, "timeout after %.0f s%s", timeout,
                 in ? in : said);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        job->state = MLS_JOB_STOPPED;
    } else if (WIFSIGNALED(status) && job->told) {
        job->state = MLS_JOB_STOPPED;
        snprintf(job->reason, sizeof job->reason, "did not stop in time and was killed");
    } else if (WIFSIGNALED(status)) {
        last_line(job, 1, said, sizeof said);
        if (!*said)
            snprintf(said, sizeof said, "crashed: %s%s", mls_crash_signal(WTERMSIG(status)),
                     WTERMSIG(status) == SIGKILL ? " (out of memory?)" : "");
        /* it knows its step better than the progress that it told now and then */
        if (strstr(said, ", step "))
            snprintf(job->reason, sizeof job->reason, "%s", said);
        else
            snprintf(job->reason, sizeof job->reason, "%s, step %lld", said,
                     (long long)job->step);
    } else {
        last_line(job, 0, said, sizeof said);
        if (*said)
            snprintf(job->reason, sizeof job->reason, "%s", said);
        else if (!*job->reason)          /* it may have said why, as when the disk is full */
            snprintf(job->reason, sizeof job->reason, "exit status %d without a message",
                     WEXITSTATUS(status));
    }
}

static int settle(mls_runner *r, mls_job *job, int status, mls_error *e)
{
    job->took = mls_runner_now() - job->began;
    judge(job, status, r->timeout);
    close(job->pipe);
    const mls_trial_state state = job->state == MLS_JOB_DONE ? MLS_TRIAL_DONE
        : job->state == MLS_JOB_STOPPED ? MLS_TRIAL_STOPPED : MLS_TRIAL_FAILED;
    /* the journal first, the lock after: nobody takes a trial that is just done */
    const int ok = mls_journal_note(r->journal, job->id, state,
                                    *job->reason ? job->reason : NULL, e);
    close(job->lock);
    return ok;
}

/* ---- the loop ------------------------------------------------------------------------ */

static int done_before(const mls_runner *r, const mls_job *job)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/result.yaml", job->dir);
    return mls_journal_state(r->journal, job->id) == MLS_TRIAL_DONE
        && access(path, F_OK) == 0;
}

/* Starts one more trial.  1 started, 0 nothing to start now, -1 error. */
static int start_one(mls_runner *r, mls_error *e)
{
    for (int i = 0; i < r->n_jobs; i++) {
        mls_job *job = &r->job[i];
        if (job->state != MLS_JOB_WAITING && job->state != MLS_JOB_ELSEWHERE)
            continue;
        const int got = mls_journal_claim(r->journal, job->id, job->dir, &job->lock, e);
        if (got < 0)
            return -1;
        if (got == 0) {
            job->state = done_before(r, job) ? MLS_JOB_KEPT : MLS_JOB_ELSEWHERE;
            continue;
        }
        if (!mls_child_start(job, r->exe, r->plugin_path, e)) {
            close(job->lock);
            return -1;
        }
        job->state = MLS_JOB_RUNNING;
        job->began = mls_runner_now();
        job->deadline = r->timeout > 0.0 ? job->began + r->timeout : 0.0;
        return 1;
    }
    return 0;
}

/* Signals to processes that are late or no longer wanted. */
static void press(const mls_runner *r, mls_job *job)
{
    const double now = mls_runner_now();
    const int late = job->deadline > 0.0 && now > job->deadline;
    if (!job->told && (*r->stop || late)) {
        kill(job->pid, SIGTERM);
        job->told = 1;
        job->grace = now + (late ? 5.0 : GRACE);
    }
    if (job->told == 1 && late && *r->stop < 2 && now > job->grace) {
        kill(job->pid, SIGABRT);                 /* it tells where it is, and dies */
        job->told = 2;
        job->grace = now + 2.0;
    }
    if (job->told && job->told < 3 && (*r->stop > 1 || now > job->grace)) {
        kill(job->pid, SIGKILL);
        job->told = 3;
    }
}

/* One round: hears the running trials and settles those that ended. */
static int attend(mls_runner *r, mls_error *e)
{
    struct pollfd fd[MOST];
    mls_job *of[MOST];
    int n = 0, ok = 1;
    for (int i = 0; i < r->n_jobs && n < MOST; i++)
        if (r->job[i].state == MLS_JOB_RUNNING) {
            press(r, &r->job[i]);
            of[n] = &r->job[i];
            fd[n++] = (struct pollfd){ .fd = r->job[i].pipe, .events = POLLIN };
        }
    poll(fd, (nfds_t)n, 200);                    /* EINTR: look at stop at once */
    for (int i = 0; i < n; i++) {
        const int open = !fd[i].revents || hear(of[i]) != 0;
        int status;
        const pid_t gone = waitpid(of[i]->pid, &status, WNOHANG);
        if (gone == of[i]->pid) {
            while (hear(of[i]) > 0)
                continue;                        /* what it said last */
            ok &= settle(r, of[i], status, e);
        } else if (!open) {
            /* stdout closed, not yet dead: no busy loop over its hang-up */
            usleep(20 * 1000);
        }
    }
    return ok;
}

static int count(const mls_runner *r, mls_job_state state)
{
    int n = 0;
    for (int i = 0; i < r->n_jobs; i++)
        n += r->job[i].state == state;
    return n;
}

int mls_runner_go(mls_runner *r, mls_error *e)
{
    const int parallel = r->parallel < 1 ? 1 : r->parallel > MOST ? MOST : r->parallel;
    double next = 0.0;
    if (!mls_journal_refresh(r->journal, e))
        return -1;
    for (int i = 0; i < r->n_jobs; i++)
        if (done_before(r, &r->job[i]))
            r->job[i].state = MLS_JOB_KEPT;
        else if (mls_journal_state(r->journal, r->job[i].id) == MLS_TRIAL_NEW
                 && !mls_journal_note(r->journal, r->job[i].id, MLS_TRIAL_PLANNED,
                                      r->job[i].label, e))
            return -1;
    int failed = 0;
    for (;;) {
        int running = count(r, MLS_JOB_RUNNING);
        /* trials of other drivers are asked about once a second, not in a spin */
        while (!failed && !*r->stop && running < parallel
               && (count(r, MLS_JOB_WAITING) || mls_runner_now() > next)) {
            const int got = start_one(r, e);
            failed |= got < 0;
            running += got > 0;
            if (got <= 0) {
                next = mls_runner_now() + 1.0;
                break;
            }
        }
        if (!running && (failed || *r->stop
                         || !(count(r, MLS_JOB_WAITING) + count(r, MLS_JOB_ELSEWHERE))))
            break;
        if (failed)                              /* the study cannot go on: end them */
            for (int i = 0; i < r->n_jobs; i++)
                if (r->job[i].state == MLS_JOB_RUNNING && !r->job[i].told) {
                    kill(r->job[i].pid, SIGTERM);
                    r->job[i].told = 1;
                    r->job[i].grace = mls_runner_now() + GRACE;
                }
        failed |= !attend(r, e);
        if (r->watch)
            r->watch(r->arg, r);
    }
    return failed ? -1 : *r->stop ? 1 : 0;
}
