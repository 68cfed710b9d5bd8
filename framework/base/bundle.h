/* bundle.h - a table of named arrays in place: the same table writes a checkpoint
 * and reads it back.  Whoever owns the arrays fills the table; rec/ moves the bytes. */
#ifndef MLS_BASE_BUNDLE_H
#define MLS_BASE_BUNDLE_H

#include "base/arena.h"

typedef enum { MLS_B_F32, MLS_B_F64, MLS_B_I64, MLS_B_U8, MLS_B_I8, MLS_B_U16 } mls_bundle_type;

typedef struct mls_bundle_row {
    const char     *name;        /* "weight/layer0.enc.w": the path in the file     */
    mls_bundle_type type;
    int             rank;
    int64_t         dim[4];
    void           *data;        /* read from or written to                         */
} mls_bundle_row;

typedef struct mls_bundle {
    mls_arena      *arena;
    mls_bundle_row *row;
    int             n, room;
} mls_bundle;

void mls_bundle_add(mls_bundle *b, const char *name, mls_bundle_type type, void *data,
                    int rank, const int64_t *dim);

#endif
