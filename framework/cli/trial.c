#include "cli/cli.h"
#include "conf/conf.h"
#include "lua/component.h"
#include "study/crash.h"
#include "study/runner.h"
#include "study/trial.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>

typedef struct speaker { double said; const mls_value *evaluation; } speaker;

/* JSON has no NaN. */
static void put_number(const char *name, double x)
{
    if (isfinite(x)) fprintf(stdout, ",\"%s\":%.9g", name, x);
    else fprintf(stdout, ",\"%s\":null", name);
}

/* One line for the runner; when nobody listens any more the trial ends cleanly. */
static void speak(void *arg, const mls_progress *p)
{
    speaker *s = arg;
    const double now = mls_runner_now();
    const int fresh = p->evaluation && p->evaluation != s->evaluation;
    if (!fresh && now - s->said < 0.2) return;
    s->said = now;
    s->evaluation = p->evaluation;
    fprintf(stdout, "{\"step\":%lld,\"steps\":%lld", (long long)p->step,
            (long long)p->steps);
    put_number("loss", p->loss);
    put_number("rate", p->rate);
    if (fresh) {
        mls_arena a = { 0 };
        const char *text = mls_value_to_json(&a, p->evaluation, 0);
        fprintf(stdout, ",\"evaluation\":%s", text ? text : "null");
        mls_arena_free(&a);
    }
    if (fputs("}\n", stdout) < 0 || fflush(stdout) != 0) mls_cli_stop = 1;
}

/* The log may be on a full disk: the runner hears of the end as well. */
static void speak_last(const mls_error *e)
{
    mls_arena a = { 0 };
    const mls_value *text = mls_value_string(&a, e->text);
    const char *json = text ? mls_value_to_json(&a, text, 0) : NULL;
    if (json && fprintf(stdout, "{\"failed\":%s}\n", json) >= 0) fflush(stdout);
    mls_arena_free(&a);
}

int mls_verb_trial(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    speaker s = { 0 };
    int end = -1;
    static const mls_flag none[] = { { NULL, MLS_FLAG_NONE, NULL, NULL } };
    mls_crash_install();
    mls_cli_signals();
    signal(SIGPIPE, SIG_IGN);
    const char *dir = mls_args_parse(&args, &a, argc, argv, none, e)
                          ? mls_args_word(&args, "DIR", e) : NULL;
    const mls_value *config = dir
        ? mls_yaml_read(&a, mls_arena_printf(&a, "%s/config.yaml", dir), e) : NULL;
    const mls_trial_options o = {.registry = r,
                                 .progress = speak,
                                 .arg = &s,
                                 .stop = &mls_cli_stop,
                                 .command_line = mls_cli_line()};
    mls_lua_file *lua = NULL;
    if (config && mls_lua_trial_load(r, dir, &lua, e)) end = mls_trial_run(config, dir, &o, e);
    mls_lua_file_free(lua);
    if (end < 0 && e->set) speak_last(e);
    mls_arena_free(&a);
    return end == 0 ? MLS_EXIT_DONE : end == 1 ? MLS_EXIT_STOPPED
           : dir ? MLS_EXIT_FAILED : MLS_EXIT_USAGE;
}
