/* mls run and mls check. */
#include "cli/cli.h"
#include "lua/study_command.h"

#include <string.h>

#define COMMON \
    { "-j", MLS_FLAG_VALUE, "N", "trials at a time (1)" }, \
    { "--smoke", MLS_FLAG_NONE, NULL, \
      "the small version of the study: does every variant run?" }, \
    { "--filter", MLS_FLAG_VALUE, "NAME=VALUE", "only those variants; may be repeated" }, \
    { "--seeds", MLS_FLAG_VALUE, "N", \
      "N seeds, the first of a list; a later run with more adds to them" }

const mls_flag mls_cli_run_flags[] = {
    COMMON,
    { "--results", MLS_FLAG_VALUE, "DIR", "where the study's folder goes (results)" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};
const mls_flag mls_cli_check_flags[] = { COMMON, { NULL, MLS_FLAG_NONE, NULL, NULL } };

int mls_verb_study(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    mls_study_call c = { .check = !strcmp(argv[0], "check") };
    int status = MLS_EXIT_USAGE;
    const mls_flag *table = c.check ? mls_cli_check_flags : mls_cli_run_flags;
    if (mls_args_parse(&args, &a, argc, argv, table, e)) {
        const char **filter =
            mls_arena_alloc(&a, (size_t)(args.n + 1) * sizeof *filter);
        for (int i = 0; filter && i < args.n; i++)
            if (!strcmp(args.name[i], "--filter")) filter[c.n_filters++] = args.value[i];
        c.filter = filter;
        c.study = mls_args_word(&args, "STUDY.lua", e);
        c.results = mls_args_get(&args, "--results", "results");
        c.smoke = mls_args_has(&args, "--smoke");
        c.parallel = (int)mls_args_int(&args, "-j", 1, 1, 256, e);
        c.seeds = (int)mls_args_int(&args, "--seeds", 0, 1, 10000, e);
        if (!e->set) status = mls_study_command(&c, r, e);
    }
    mls_arena_free(&a);
    return status;
}
