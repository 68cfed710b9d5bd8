/* dataset_write.h - a data file for task.hdf5, written row by row: in a temporary file
 * beside it, which takes the name only when everything is in it.  Layout: docs/data.md. */
#ifndef MLS_REC_DATASET_WRITE_H
#define MLS_REC_DATASET_WRITE_H

#include "base/error.h"

#include <stdint.h>

typedef struct mls_dataset mls_dataset;
typedef enum { MLS_CELL_U8, MLS_CELL_I32, MLS_CELL_I64, MLS_CELL_F32, MLS_CELL_F64 } mls_cell;

/* path must not exist.  e stays with the file: after the first error the calls below do
 * nothing and return 0.  NULL and e on failure.                                         */
mls_dataset *mls_dataset_create(const char *path, mls_error *e);

/* Data set "train/x" of rows with `rank` (0 to 3) further axes, compressed, growing.  Its
 * number for the calls below, or -1.                                                    */
int mls_dataset_column(mls_dataset *d, const char *name, mls_cell cell, int rank,
                       const int64_t *dim);
int mls_dataset_append(mls_dataset *d, int column, int64_t rows, const void *values);
int64_t mls_dataset_rows(const mls_dataset *d, int column);
int mls_dataset_real(mls_dataset *d, int column, const char *attribute, double value);
/* column -1: of the file */
int mls_dataset_text(mls_dataset *d, int column, const char *attribute, const char *value);

/* All to disk, then the name.  0 and e on failure, and nothing is left.  Frees d. */
int  mls_dataset_finish(mls_dataset *d);
/* Nothing is left.  d may be NULL. */
void mls_dataset_abandon(mls_dataset *d);

#endif
