/* folds.h - rows of means: the variants of a table that differ in one value alone, as the
 * folds of a cross-validation, taken together.
 *
 * What counts as one observation is a fold, by its mean over seeds: n and sd are over the
 * folds, and the interval of a difference is Student's t over the folds' differences (df =
 * folds - 1).  So it speaks of another fold, not of another seed on these folds.          */
#ifndef MLS_STUDY_FOLDS_H
#define MLS_STUDY_FOLDS_H

#include "study/table.h"

/* Appends a row to t->line, which has the room, for each group of the variants' rows that
 * agree in all but t->over.  against: values of the baseline, or NULL.                    */
void mls_folds_add(mls_arena *a, mls_table *t, const mls_value *against);

#endif
