/* mls recover: a readable recording from what a killed or stopped trial left. */
#include "cli/cli.h"
#include "rec/record.h"

#include <stdio.h>
#include <sys/stat.h>

const mls_flag mls_cli_recover_flags[] = {
    { "-o", MLS_FLAG_VALUE, "NEW.h5", "the file to write; it must not exist" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

static int same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static void say(const char *from, const char *to, const mls_recovered *r)
{
    if (r->step == INT64_MIN)
        fprintf(stdout, "%s: nothing had been written yet; only the description was "
                        "copied\n", to);
    else
        fprintf(stdout, "%s: %d channels and %d metrics up to training step %lld\n", to,
                r->channels, r->metrics, (long long)r->step);
    fprintf(stdout, "%s is as it was%s\n", from,
            r->complete ? "; it was complete already" : "");
    if (*r->warning) fprintf(stderr, "mls: %s\n", r->warning);
}

int mls_verb_recover(int argc, char **argv, mls_registry *r, mls_error *e)
{
    (void)r;
    mls_arena a = { 0 };
    mls_args args;
    mls_recovered told;
    int status = MLS_EXIT_USAGE;
    const char *from = mls_args_parse(&args, &a, argc, argv, mls_cli_recover_flags, e)
                           ? mls_args_word(&args, "FILE.part", e) : NULL;
    const char *to = from ? mls_args_get(&args, "-o", NULL) : NULL;
    if (from && !to)
        mls_error_set(e, "-o NEW.h5 is missing: what is recovered goes into a new file, "
                      "%s stays as it is", from);
    if (from && to) {
        status = MLS_EXIT_FAILED;
        if (same_file(from, to))
            mls_error_set(e, "%s is the file to recover from, which is never written; "
                          "give the new file another name", to);
        else if (mls_record_recover(from, to, &told, e)) {
            say(from, to, &told);
            status = MLS_EXIT_DONE;
        }
    }
    mls_arena_free(&a);
    return status;
}
