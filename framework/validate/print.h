/* print.h - results as TAP or as JSON lines. */
#ifndef MLS_VALIDATE_PRINT_H
#define MLS_VALIDATE_PRINT_H

#include "validate/probe.h"
#include "validate/report.h"

typedef struct mls_printer {
    FILE  *out;
    int    json, verbose;
    double seconds;               /* --time-limit, for the command that reproduces; or 0 */
    int    n, passed, failed, skipped, warned;
    double began;
} mls_printer;

void mls_print_begin(mls_printer *p);
void mls_print_verdict(mls_printer *p, const mls_target *t, const mls_case *k,
                       const mls_verdict *v, uint64_t seed);
/* The plan and a line of counts. */
void mls_print_end(mls_printer *p, int targets);

#endif
