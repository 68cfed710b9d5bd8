/* series.h - rows of numbers over time into samples, for every format of series.        */
#ifndef MLS_IMPORT_SERIES_H
#define MLS_IMPORT_SERIES_H

#include "import/import.h"

#define MLS_SERIES_OPTIONS \
    { "window", "N", "cut into samples of N rows, at the rows 0, stride, ... (0: a file is one "\
                     "sample)" }, \
    { "stride", "N", "rows from window to window (that of the window)" }, \
    { "target", "COLUMNS", "columns that are asked for at each step, not in x; as 3,4 or names" }

/* One series: [rows][columns], names NULL: columns are called 0, 1, ... */
typedef struct mls_table {
    const char  *path;
    int64_t      rows, columns;
    const float *value;
    const char *const *name;
} mls_table;

typedef struct mls_series mls_series;

mls_series *mls_series_open(mls_import *m);
/* 1 when it made something in the arena that must stay: the first of its part. */
int         mls_series_add(mls_series *s, int part, const mls_table *t);
void        mls_series_close(mls_series *s);

#endif
