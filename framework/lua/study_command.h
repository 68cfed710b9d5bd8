/* study_command.h - what `mls run` and `mls check` do. */
#ifndef MLS_LUA_STUDY_COMMAND_H
#define MLS_LUA_STUDY_COMMAND_H

#include "plug/plug.h"

typedef struct mls_study_call {
    const char        *study, *results;   /* the file; where results/<study> goes       */
    const char *const *filter;            /* "name=value"                               */
    int                n_filters;
    int                check;             /* only say what would be done                */
    int                smoke, parallel;   /* parallel: trials at a time                 */
    int                seeds;             /* in place of the study's; 0: as it says     */
} mls_study_call;

/* Returns the exit status: 0; 1 some trial failed, or e; 77 and e: the study's data are
 * absent; 130: interrupted.                                                             */
int mls_study_command(const mls_study_call *c, mls_registry *r, mls_error *e);

#endif
