#include "cli/cli.h"
#include "lua/script.h"

/* Words after the file are the script's own, options too. */
int mls_verb_lua(int argc, char **argv, mls_registry *r, mls_error *e)
{
    const mls_script_options o = { .registry = r, .stop = &mls_cli_stop,
                                   .argc = argc > 2 ? argc - 2 : 0, .argv = argv + 2 };
    if (argc < 2 || argv[1][0] == '-') {
        mls_error_set(e, argc < 2 ? "which script? mls lua FILE.lua [ARGUMENTS]"
                                  : "mls lua takes no option %.40s before the file",
                      argc < 2 ? "" : argv[1]);
        return MLS_EXIT_USAGE;
    }
    mls_cli_signals();
    return mls_script_run(argv[1], &o, e);
}

int mls_verb_repl(int argc, char **argv, mls_registry *r, mls_error *e)
{
    const mls_script_options o = { .registry = r, .stop = &mls_cli_stop };
    if (argc > 1) {
        mls_error_set(e, "mls repl takes no arguments, found \"%.40s\"; a file is run by mls "
                         "lua FILE", argv[1]);
        return MLS_EXIT_USAGE;
    }
    mls_cli_signals();
    return mls_script_repl(&o, e);
}
