#include "cli/cli.h"
#include "conf/conf.h"
#include "study/crash.h"
#include "study/trial.h"

#include <stdio.h>
#include <string.h>

static int dry(mls_arena *a, mls_registry *r, const mls_value *config,
               mls_error *e)
{
    double flops = 0.0, bytes = 0.0;
    int64_t parameters = 0;
    const mls_value *v =
        mls_trial_resolve(a, r, config, NULL, &flops, &bytes, &parameters, e);
    if (!v) return MLS_EXIT_FAILED;
    fprintf(stdout,
            "%s# %lld parameters, %.3g flops and %.3g MB at the peak of a step\n",
            mls_value_to_yaml(a, v), (long long)parameters, flops, bytes / 1e6);
    return MLS_EXIT_DONE;
}

static void report(mls_arena *a, const char *dir, mls_error *e)
{
    const mls_value *r =
        mls_yaml_read(a, mls_arena_printf(a, "%s/result.yaml", dir), e);
    if (!r) return;
    fprintf(stdout, "%s: done\n%s", dir, mls_value_to_yaml(a, r));
}

static int train(mls_arena *a, int argc, char **argv, mls_registry *r,
                 mls_error *e)
{
    mls_args args;
    if (!mls_args_parse(&args, a, argc, argv, mls_cli_train_flags(a), e))
        return MLS_EXIT_USAGE;
    if (!args.n_words && !args.n) {
        mls_error_set(
            e, "what is to be trained? mls train CONFIG.yaml, or --task text --data "
               "FILE (see mls help train)");
        return MLS_EXIT_USAGE;
    }
    mls_value *config = mls_cli_configuration(a, &args, e);
    if (!config) return MLS_EXIT_FAILED;
    if (mls_args_has(&args, "--dry-run")) return dry(a, r, config, e);
    const char *name = mls_value_get_string(config, "name", "trial", e);
    if (!mls_args_has(&args, "--out") &&
        (strchr(name, '/') || name[0] == '.' || !name[0])) {
        mls_error_set(e, "name is \"%.100s\": as the name of a folder in results/ it may "
                      "not be empty, begin with a dot or hold a slash; give --out DIR",
                      name);
        return MLS_EXIT_FAILED;
    }
    const char *dir =
        mls_args_get(&args, "--out", mls_arena_printf(a, "results/%s", name));
    mls_bar bar;
    mls_bar_start(&bar);
    const mls_trial_options o = {
        .registry = r, .progress = mls_args_has(&args, "--quiet") ? NULL : mls_bar_show,
        .arg = &bar, .stop = &mls_cli_stop, .command_line = mls_cli_line() };
    mls_cli_signals();
    mls_crash_install();
    const int end = mls_trial_run(config, dir, &o, e);
    mls_bar_end(&bar);
    if (end == 0) report(a, dir, e);
    if (end == 1)
        fprintf(stderr, "mls: stopped; the same command continues from %s\n", dir);
    return end == 0 ? MLS_EXIT_DONE : end == 1 ? mls_cli_stop ? MLS_EXIT_INTERRUPTED
                                                              : MLS_EXIT_DONE
                                               : MLS_EXIT_FAILED;
}

int mls_verb_train(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    const int status = train(&a, argc, argv, r, e);
    mls_arena_free(&a);
    return status;
}
