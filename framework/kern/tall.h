/* tall.h - products of many rows with one small matrix, such as that of all steps of a
 * sequence with a weight.  OpenBLAS packs both sides of each call; here only the small
 * one is packed, once by each thread, and the many rows are read where they lie.  C must
 * not overlap the others.                                                               */
#ifndef MLS_KERN_TALL_H
#define MLS_KERN_TALL_H

#include <stdint.h>

/* C[m][n] = A[m][k] op(B) + (bias[n], or C if add), op(B) [k][n].  Returns 0, with nothing
 * done, where OpenBLAS is the better choice; that depends on the shapes and the kernel
 * family alone.  The bits of a row depend neither on the other rows nor on the threads. */
int mls_k_tall(int trans_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
               const float *b, int64_t ldb, const float *bias, int add, float *c,
               int64_t ldc, int share);

#endif
