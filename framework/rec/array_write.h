/* array_write.h - arrays into HDF5 files. */
#ifndef MLS_REC_ARRAY_WRITE_H
#define MLS_REC_ARRAY_WRITE_H

#include "base/error.h"

#include <stdint.h>

/* Writes data set `name` ("a/b" makes the group a) of f32, rank 1 to 4, into the file: a
 * new one, or beside the data sets that it holds.  One of that name is an error.  0 and e
 * on failure.                                                                           */
int mls_array_write(const char *path, const char *name, const float *data, int rank,
                    const int64_t *dim, mls_error *e);

#endif
