/* types.h - SONATA's tables of types: CSV with blanks between the columns. */
#ifndef MLS_IMPORT_TYPES_H
#define MLS_IMPORT_TYPES_H

#include "import/import.h"

typedef struct mls_types {
    const char  *path;
    int          columns, rows;
    const char **name;               /* [columns]                                       */
    const char **cell;               /* [rows][columns]                                 */
} mls_types;

int mls_types_read(mls_import *m, const char *path, mls_types *out);
/* The cell of the row whose first column is id; NULL and an error when there is none. */
const char *mls_types_text(mls_import *m, const mls_types *t, int64_t id, const char *column);
double      mls_types_number(mls_import *m, const mls_types *t, int64_t id, const char *column);

#endif
