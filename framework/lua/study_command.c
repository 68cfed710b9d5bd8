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

const char mls_study_usage[] =
    "mls run STUDY.lua [options]      runs what is not done, then prints the table\n"
    "mls check STUDY.lua [options]    the trials, their sizes and costs; no maths\n"
    "  -j N               trials at a time (1)\n"
    "  --smoke            the small version of the study: does every variant run?\n"
    "  --filter NAME=VALUE  only those variants; may be repeated\n"
    "  --results DIR      where results/<study> goes (results)\n"
    "  --plugin-path DIRS  more folders of plugins\n";

typedef struct command {
    const char *verb, *study, *results, *plugin_path;
    const char *filter[32];
    int         n_filters, smoke, parallel;
} command;

/* The value of "--name VALUE" or "--name=VALUE", or NULL. */
static const char *value(int argc, char **argv, int *i, const char *name, mls_error *e)
{
    const size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0)
        return NULL;
    if (argv[*i][n] == '=')
        return argv[*i] + n + 1;
    /* -j4 */
    if (n == 2 && argv[*i][n])
        return argv[*i] + n;
    if (argv[*i][n])
        return NULL;
    if (*i + 1 < argc)
        return argv[++*i];
    mls_error_set(e, "%s wants a value", name);
    return NULL;
}

static int parse(int argc, char **argv, command *c, mls_error *e)
{
    static const char *const options[] = { "--smoke", "--filter", "--results",
                                           "--plugin-path", "-j" };
    *c = (command){ .verb = argv[0], .results = "results", .parallel = 1 };
    for (int i = 1; i < argc && !e->set; i++) {
        const char *v;
        char *end;
        if (strcmp(argv[i], "--smoke") == 0) {
            c->smoke = 1;
        } else if ((v = value(argc, argv, &i, "--filter", e))) {
            if (c->n_filters == 32)
                mls_error_set(e, "more than 32 filters");
            else
                c->filter[c->n_filters++] = v;
        } else if (!e->set && (v = value(argc, argv, &i, "--results", e))) {
            c->results = v;
        } else if (!e->set && (v = value(argc, argv, &i, "--plugin-path", e))) {
            c->plugin_path = v;
        } else if (!e->set && (v = value(argc, argv, &i, "-j", e))) {
            c->parallel = (int)strtol(v, &end, 10);
            if (*end || c->parallel < 1 || c->parallel > 256)
                mls_error_set(e, "-j wants a number from 1 to 256, found \"%s\"", v);
        } else if (!e->set && argv[i][0] == '-') {
            const char *near = mls_error_nearest(argv[i], options, 5);
            mls_error_set(e, "mls %s has no option %s%s%s\n%s", c->verb, argv[i],
                          near ? "; did you mean " : "", near ? near : "",
                          mls_study_usage);
        } else if (!e->set && c->study) {
            mls_error_set(e, "mls %s takes one study, found %s and %s", c->verb, c->study,
                          argv[i]);
        } else if (!e->set) {
            c->study = argv[i];
        }
    }
    if (!c->study)
        mls_error_set(e, "mls %s wants a study file\n%s", c->verb, mls_study_usage);
    return !e->set;
}

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

static mls_job *make_jobs(mls_arena *a, const mls_plan *p, const char *dir, mls_error *e)
{
    mls_job *job = mls_arena_zalloc(a, (size_t)(p->n + 1) * sizeof *job);
    for (int i = 0; job && i < p->n; i++) {
        const mls_plan_trial *t = &p->trial[i];
        job[i].id = t->id;
        job[i].label = mls_arena_printf(a, "%s seed=%lld", t->label, (long long)t->seed);
        job[i].config = t->config;
        job[i].steps = t->steps;
        if (snprintf(job[i].dir, sizeof job[i].dir, "%s/%s", dir, t->id)
            >= (int)sizeof job[i].dir - 40)
            mls_error_set(e, "the path of the results is too long");
    }
    if (!job)
        mls_error_set(e, "no memory for %d trials", p->n);
    return e->set ? NULL : job;
}

static int run_plan(mls_arena *a, const command *c, const mls_plan *p,
                    const mls_value *settings, mls_error *e)
{
    const char *dir = mls_arena_printf(a, "%s/%s", c->results, p->name);
    if (!dir || !make_folders(dir, e))
        return 1;
    mls_job *job = make_jobs(a, p, dir, e);
    mls_journal *journal = e->set ? NULL : mls_journal_open(dir, e);
    if (!job || !journal)
        return 1;
    mls_meter meter;
    mls_meter_start(&meter, stderr);
    /* MLS_EXE: under a tool that runs this program, /proc/self/exe is the tool */
    mls_runner r = { .job = job, .n_jobs = p->n, .parallel = c->parallel,
                     .timeout = p->timeout, .exe = getenv("MLS_EXE"),
                     .plugin_path = c->plugin_path, .journal = journal, .stop = &stop,
                     .watch = mls_meter_watch, .arg = &meter };
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

int mls_study_command(int argc, char **argv, mls_registry *r, mls_error *e)
{
    command c;
    int missing = 0;
    if (!parse(argc, argv, &c, e))
        return 2;
    mls_study *s = mls_study_load(c.study, r, &missing, e);
    if (!s)
        return missing ? 77 : 1;
    mls_arena a = { 0 };
    mls_plan plan;
    int status = 1;
    const mls_plan_source *source = mls_study_source(s);
    mls_plan_make(&a, source, c.filter, c.n_filters, c.smoke, &plan, e);
    if (e->set) {
        status = mls_study_missing(s) ? 77 : 1;
    } else if (strcmp(c.verb, "check") == 0) {
        mls_study_print_plan(stdout, &plan, c.parallel);
        status = 0;
    } else {
        status = run_plan(&a, &c, &plan, source->settings, e);
    }
    mls_arena_free(&a);
    mls_study_free(s);
    return status;
}
