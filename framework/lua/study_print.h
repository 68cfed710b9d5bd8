/* study_print.h - what `mls check` and the end of `mls run` say. */
#ifndef MLS_LUA_STUDY_PRINT_H
#define MLS_LUA_STUDY_PRINT_H

#include "study/plan.h"
#include "study/runner.h"
#include "study/table.h"

#include <stdio.h>

/* The trials with parameters, bytes and flops of a step, and an estimate of the time. */
void mls_study_print_plan(FILE *out, const mls_plan *p, int parallel);

/* Reads the results, prints the table, writes table.csv, study.h5, the curves and a
 * raster into dir, and says where they are.  0 and e on failure.                       */
int mls_study_print_end(FILE *out, const char *dir, const mls_plan *p,
                        const mls_value *settings, const mls_runner *r, mls_error *e);

#endif
