#include "cli/cli.h"
#include "lua/study_command.h"

int mls_verb_study(int argc, char **argv, mls_registry *r, mls_error *e)
{
    return mls_study_command(argc, argv, r, e);
}
