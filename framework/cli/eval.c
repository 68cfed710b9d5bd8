#include "cli/cli.h"
#include "base/parfor.h"
#include "lua/component.h"
#include "study/quantize.h"
#include "study/watch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_METRICS = 32 };

const mls_flag mls_cli_eval_flags[] = {
    { "--split", MLS_FLAG_VALUE, "training|validation|test", "which samples (test if any)" },
    { "--weights", MLS_FLAG_VALUE, "FILE",
      "another checkpoint of that network, or what mls quantize made (the best there)" },
    { "--threads", MLS_FLAG_VALUE, "N", "threads of this process (1)" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

int mls_cli_split(const mls_args *args, const mls_feed *feed, mls_error *e)
{
    static const char *const names[] = { "training", "validation", "test" };
    const char *s = mls_args_get(args, "--split", NULL);
    if (!s) return mls_feed_count(feed, MLS_TEST) > 0 ? MLS_TEST : MLS_VALIDATION;
    for (int i = 0; i < 3; i++)
        if (!strcmp(s, names[i])) return i;
    mls_error_set(e, "--split %.40s is not one of training, validation, test", s);
    return MLS_TEST;
}

static void evaluate(mls_model *m, const mls_args *args, const char *from, mls_error *e)
{
    mls_metric metric[MOST_METRICS];
    mls_watch watch;
    const int split = mls_cli_split(args, m->feed, e);
    if (e->set) return;
    if (mls_feed_count(m->feed, split) <= 0) {
        mls_error_set(e, "the task has no samples in this split");
        return;
    }
    mls_run *run = mls_loop_evaluation_run(m->loop);
    mls_watch_attach(&watch, run, NULL, 1, &m->arena);
    const int n = mls_loop_evaluate(m->loop, split, metric, MOST_METRICS);
    if (run && mls_run_error(run)->set)
        mls_error_set(e, "%s", mls_run_error(run)->text);
    if (e->set) return;
    if (n <= 0) {
        mls_error_set(e, "the evaluation gave nothing");
        return;
    }
    fprintf(stdout, "checkpoint: %s\nsamples: %lld\n", from,
            (long long)mls_feed_count(m->feed, split));
    for (int i = 0; i < n; i++)
        fprintf(stdout, "%s: %.9g\n", metric[i].name, metric[i].value);
    const double rate = mls_watch_rate(&watch);
    if (!isnan(rate))
        fprintf(stdout, "spike_rate: %.9g\nsparsity: %.9g\n", rate, 1.0 - rate);
    const double synops = mls_watch_synops(&watch);
    mls_work work;
    if (!isnan(synops)) fprintf(stdout, "synops: %.9g\n", synops);
    if (mls_net_work(m->net, mls_feed_shape(m->feed)->steps, &work, e))
        fprintf(stdout, "macs: %.0f\ndense_macs: %.0f\n", work.macs, work.dense);
}

int mls_verb_eval(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    mls_model m = { 0 };
    const char *from = "";
    const char *dir =
        mls_args_parse(&args, &a, argc, argv, mls_cli_eval_flags, e)
            ? mls_args_word(&args, "DIR (a folder that mls train made)", e)
            : NULL;
    if (dir) mls_parfor_threads((int)mls_args_int(&args, "--threads", 1, 1, 1024, e));
    const int usage = !dir || e->set;
    mls_lua_file *lua = NULL;
    if (!usage && mls_lua_trial_load(r, dir, &lua, e) &&
        mls_quantize_load(&m, r, dir, mls_args_get(&args, "--weights", NULL), &from, e))
        evaluate(&m, &args, from, e);
    mls_model_close(&m);
    mls_lua_file_free(lua);
    mls_arena_free(&a);
    return usage ? MLS_EXIT_USAGE : e->set ? MLS_EXIT_FAILED : MLS_EXIT_DONE;
}
