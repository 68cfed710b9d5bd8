/* validate.h - is this component right?  Named cases, each in a process of its own. */
#ifndef MLS_VALIDATE_VALIDATE_H
#define MLS_VALIDATE_VALIDATE_H

#include "plug/plug.h"

#include <stdio.h>

/* One component, or a plugin file that this process has not opened: a child does that
 * first, so that a file that crashes on loading is a result too.                        */
typedef struct mls_target {
    const char *name;             /* "liquid.cfc"; or "plugin.so" until it is opened     */
    const char *path;             /* of its .so, or of its Lua file                      */
    const mls_component *c;       /* NULL: a file that only the cases' processes open    */
    const char *component;        /* then: "liquid.cfc", or NULL when it did not open    */
    const char *spelling;         /* what the user typed, for the command that reproduces */
} mls_target;

typedef struct mls_validate_options {
    const char *const *only;      /* names of cases, NULL-terminated; NULL: all          */
    uint64_t seed;
    int      json;                /* one JSON line a case instead of TAP                 */
    double   seconds;             /* of one case; 0: the case's own limit                */
    int      verbose;             /* comments also for what passed                       */
} mls_validate_options;

/* Runs every case that applies to every target and prints the results as they come.
 * Returns how many failed; -1 and e: it could not begin, or an unknown case.            */
int mls_validate(const mls_registry *r, const mls_target *target, int n,
                 const mls_validate_options *o, FILE *out, mls_error *e);
/* "causal                 An output never depends on a later input." lines. */
void mls_validate_list(FILE *out);

#endif
