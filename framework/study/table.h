/* table.h - what a study found: a row for each variant over its seeds; with compare.over
 * one for the mean of the variants that differ in that value alone, as the folds of a
 * cross-validation; one for each trial that failed, one for each floor.                 */
#ifndef MLS_STUDY_TABLE_H
#define MLS_STUDY_TABLE_H

#include "base/value.h"
#include "study/statistics.h"

typedef struct mls_table_trial {
    const char      *id, *label;       /* label: of the variant                        */
    const mls_value *point;
    int              variant;          /* 0 ..                                         */
    int64_t          seed, parameters;
    const mls_value *result;           /* result.yaml; NULL when it is not complete    */
    const char      *reason;           /* then: why                                    */
} mls_table_trial;

typedef enum {
    MLS_LINE_VARIANT, MLS_LINE_FLOOR, MLS_LINE_MISSING, MLS_LINE_MEAN
} mls_line_kind;

typedef struct mls_table_line {
    mls_line_kind  kind;
    const char    *label, *reason;     /* reason of a missing trial, or NULL           */
    const mls_value *point;            /* of a variant or a mean, less `over`; or NULL */
    mls_moments    by;                 /* over seeds; of a mean: over the variants     */
    mls_difference to;                 /* against the baseline; value NaN: none        */
    int            baseline;           /* 1: others are compared with it               */
    double         parameters, tokens_per_second, memory, spike_rate;  /* means; NaN   */
    double        *measure;            /* means of table.measure                       */
} mls_table_line;

typedef struct mls_table {
    const char      *study, *by, *over;      /* over: NULL for none                    */
    const char     **measure;  int n_measures;
    mls_table_line  *line;     int n_lines;
    int              paired, compared;
    const mls_table_trial *trial;  int n_trials;
} mls_table;

/* "variant", "floor", "missing", "mean". */
const char *mls_table_kind(mls_line_kind kind);

/* settings: the study's map (name, compare, measure, floors). */
void  mls_table_make(mls_arena *a, const mls_value *settings, const mls_table_trial *trial,
                     int n, mls_table *out, mls_error *e);
char *mls_table_text(mls_arena *a, const mls_table *t);
char *mls_table_csv(mls_arena *a, const mls_table *t);

/* A number of a result by its dotted path, or by its last name: test before validation
 * before the rest.  NaN when there is none.                                            */
double mls_table_find(const mls_value *result, const char *name);

#endif
