/* names.h - labels and other facts from the names of files, as {label}_{speaker}_{take}. */
#ifndef MLS_IMPORT_NAMES_H
#define MLS_IMPORT_NAMES_H

#include "import/import.h"

enum { MLS_NAME_FIELDS = 8 };

typedef struct mls_names {
    const char *pattern;
    const char *field[MLS_NAME_FIELDS];      /* without label                          */
    int         n_fields;
    int32_t    *label;                       /* [files]                                */
    int32_t    *value;                       /* [files][n_fields]                      */
    char       *classes;                     /* names of the labels, one a line, or NULL
                                                when labels are numbers already        */
    char       *names[MLS_NAME_FIELDS];      /* likewise of the fields                 */
} mls_names;

/* Reads the names (after the last '/', before the last '.') of all files by the pattern.
 * What consists of digits everywhere is that number; else numbers are given in the order of
 * the sorted names.  0 and the import's error when a name does not fit.                 */
int mls_names_read(mls_import *m, mls_names *n, const char *pattern,
                   const char *const *file, int files);

#endif
