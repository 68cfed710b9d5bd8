/* study_table.h - study.h5: the tables of a study as columns, and links to the records
 * of its trials.  Made anew each time under a temporary name, then renamed.            */
#ifndef MLS_REC_STUDY_TABLE_H
#define MLS_REC_STUDY_TABLE_H

#include "base/error.h"

#include <stdint.h>

typedef struct mls_study_column {       /* one of text, real, whole; [rows]             */
    const char         *path;           /* "/trials/seed"                              */
    const char *const  *text;
    const double       *real;
    const int64_t      *whole;
    const char         *unit;           /* attribute `units`, or NULL                  */
    int64_t             rows;
} mls_study_column;

typedef struct mls_study_link {         /* external link to the root of another file   */
    const char *name, *file;            /* "/record/3f9a", "3f9a/record.h5"            */
} mls_study_link;

int mls_study_table_write(const char *path, const char *study,
                          const mls_study_column *column, int n_columns,
                          const mls_study_link *link, int n_links, mls_error *e);

#endif
