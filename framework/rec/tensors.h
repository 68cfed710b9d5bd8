/* tensors.h - files of named tensors, whole, as bundles of floats: HDF5 (also a checkpoint)
 * and safetensors.  What is read: any real or whole numbers of rank 0 to 4; what is
 * written: f32, row-major.                                                              */
#ifndef MLS_REC_TENSORS_H
#define MLS_REC_TENSORS_H

#include "base/bundle.h"
#include "base/error.h"

/* Adds all tensors of the file to b; which format it is, its first bytes tell.  When there
 * are tensors below the group `prefer` (may be NULL: "weight") they alone are read, and
 * called without it.  0 and e: the file, the tensor, what is wrong.                     */
int mls_tensors_read(const char *path, const char *prefer, mls_bundle *b, mls_error *e);
/* A new file of all rows (which must be F32), through a temporary one that is renamed. */
int mls_tensors_write(const char *path, const mls_bundle *b, mls_error *e);
/* 1 when the name ends in ".safetensors". */
int mls_tensors_safe(const char *path);

/* The same for safetensors alone (safetensors.c): eight bytes with the length of a JSON
 * header, the header, the numbers.  Read: F64, F32, F16, BF16; others are an error.     */
int mls_safetensors_read(const char *path, mls_bundle *b, mls_error *e);
int mls_safetensors_write(const char *path, const mls_bundle *b, mls_error *e);

#endif
