/* npy.h - NumPy's .npy files, versions 1 and 2: little-endian f4 f8 i4 i8 u1 b1, C order.
 * Format: numpy.lib.format (NEP 1).                                                     */
#ifndef MLS_REC_NPY_H
#define MLS_REC_NPY_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

/* 1 when the file at path begins like one. */
int    mls_rec_is_npy(const char *path);
/* The whole array as float in `a`, or NULL and e. */
float *mls_rec_read_npy(const char *path, mls_arena *a, int *rank, int64_t dim[4], mls_error *e);

#endif
