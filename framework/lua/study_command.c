#include "lua/study_command.h"

#include "lua/study_load.h"
#include "lua/study_print.h"
#include "study/progress.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- signals --------------------------------------------------------------------------- */

static volatile sig_atomic_t stop;

/* The first asks the trials to checkpoint and end, the second kills them. */
static void on_signal(int number)
{
    (void)number;
    stop = stop < 2 ? stop + 1 : 2;
}

static void signals(void (*to)(int))
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = to;
    for (int i = 0; i < 3; i++)
        sigaction(numbers[i], &a, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- run ---------------------------------------------------------------------------------- */

static int make_folders(const char *path, mls_error *e)
{
    char part[4096];
    for (size_t i = 1; path[i - 1] && i < sizeof part; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            mls_error_set(e, "cannot make the folder %s: %s", part, strerror(errno));
            return 0;
        }
    }
    return 1;
}

static mls_job *make_jobs(mls_arena *a, const mls_study *s, const mls_plan *p,
                          const char *dir, mls_error *e)
{
    mls_job *job = mls_arena_zalloc(a, (size_t)(p->n + 1) * sizeof *job);
    for (int i = 0; job && i < p->n; i++) {
        const mls_plan_trial *t = &p->trial[i];
        job[i].id = t->id;
        job[i].label = mls_arena_printf(a, "%s seed=%lld", t->label, (long long)t->seed);
        job[i].config = t->config;
        job[i].files = mls_study_sources(s, t->config, a, e);
        job[i].steps = t->steps;
        if (snprintf(job[i].dir, sizeof job[i].dir, "%s/%s", dir, t->id)
            >= (int)sizeof job[i].dir - 40)
            mls_error_set(e, "the path of the results is too long");
    }
    if (!job)
        mls_error_set(e, "no memory for %d trials", p->n);
    return e->set ? NULL : job;
}

static int run_plan(mls_arena *a, const mls_study_call *c, const mls_study *s,
                    const mls_plan *p, mls_error *e)
{
    const mls_value *settings = mls_study_source(s)->settings;
    const char *dir = mls_arena_printf(a, "%s/%s", c->results, p->name);
    if (!dir || !make_folders(dir, e))
        return 1;
    mls_job *job = make_jobs(a, s, p, dir, e);
    mls_journal *journal = e->set ? NULL : mls_journal_open(dir, e);
    if (!job || !journal)
        return 1;
    mls_meter meter;
    mls_meter_start(&meter, stderr);
    /* MLS_EXE: under a tool that runs this program, /proc/self/exe is the tool */
    mls_runner r = { .job = job, .n_jobs = p->n, .parallel = c->parallel,
                     .timeout = p->timeout, .exe = getenv("MLS_EXE"),
                     .journal = journal, .stop = &stop, .watch = mls_meter_watch, .arg = &meter };
    if (mls_journal_repaired(journal))
        fprintf(stderr, "%s\n", mls_journal_repaired(journal));
    stop = 0;
    signals(on_signal);
    const int outcome = e->set ? -1 : mls_runner_go(&r, e);
    signals(SIG_DFL);
    mls_meter_end(&meter, &r);
    mls_journal_close(journal);
    int failed = 0;
    for (int i = 0; i < p->n; i++)
        failed += job[i].state == MLS_JOB_FAILED;
    mls_study_print_end(stdout, dir, p, settings, &r, e);
    fflush(stdout);
    return e->set ? 1 : outcome == 1 ? 130 : failed > 0;
}

/* The study with n seeds: of a count, or the first of a list. */
static const mls_value *with_seeds(mls_arena *a, const mls_value *settings, int n,
                                   mls_error *e)
{
    const mls_value *list = mls_value_get(settings, "seeds");
    mls_value *out = mls_value_copy(a, settings), *first = mls_value_list(a);
    if (!list || list->kind != MLS_V_LIST) {
        mls_value_set(a, out, "seeds", mls_value_int(a, n));
        return out;
    }
    if (n > list->n)
        mls_error_set(e, "--seeds %d: the study lists %d seeds", n, list->n);
    for (int i = 0; i < n && i < list->n; i++)
        mls_value_push(a, first, mls_value_copy(a, list->item[i]));
    mls_value_set(a, out, "seeds", first);
    return out;
}

int mls_study_command(const mls_study_call *c, mls_registry *r, mls_error *e)
{
    int missing = 0;
    mls_study *s = mls_study_load(c->study, r, &missing, e);
    if (!s)
        return missing ? 77 : 1;
    mls_arena a = { 0 };
    mls_plan plan;
    int status = 1;
    mls_plan_source source = *mls_study_source(s);
    if (c->seeds) source.settings = with_seeds(&a, source.settings, c->seeds, e);
    mls_plan_make(&a, &source, c->filter, c->n_filters, c->smoke, &plan, e);
    if (e->set) {
        status = mls_study_missing(s) ? 77 : 1;
    } else if (c->check) {
        mls_study_print_plan(stdout, &plan, c->parallel);
        status = 0;
    } else {
        status = run_plan(&a, c, s, &plan, e);
    }
    mls_arena_free(&a);
    mls_study_free(s);
    return status;
}
