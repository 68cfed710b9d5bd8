/* table.h - tables of text, for a terminal or as Markdown. */
#ifndef MLS_BENCH_TABLE_H
#define MLS_BENCH_TABLE_H

#include "base/value.h"

#include <stdio.h>

enum { MLS_BENCH_COLUMNS = 16, MLS_BENCH_LINES = 400 };

typedef struct mls_bench_text {
    const char
        *cell[MLS_BENCH_LINES][MLS_BENCH_COLUMNS]; /* line 0: the heads; NULL: "" */
    int lines, columns;
} mls_bench_text;

/* From a; NULL when there is no memory. */
mls_bench_text *mls_bench_text_new(mls_arena *a, const char *const *heads, int n);
/* The cells of a new line; a line beyond the last overwrites it. */
const char **mls_bench_text_line(mls_bench_text *t);
/* Columns without any text are left out. */
void mls_bench_text_print(const mls_bench_text *t, FILE *f, int markdown);

/* Three digits; thousands apart; a whole number.  "" for what is not finite or not
 * above 0. */
const char *mls_bench_short(mls_arena *a, double x);
const char *mls_bench_grouped(mls_arena *a, double x);
const char *mls_bench_whole(mls_arena *a, int64_t x);
double mls_bench_ratio(double a, double b); /* NaN unless b > 0 */

/* A list of maps with the same keys, which are the heads. */
void mls_bench_text_maps(const mls_value *list, FILE *f, int markdown);

#endif
