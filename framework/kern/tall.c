/* tall.c - see tall.h.  B is packed in panels of 16 columns, DEPTH rows at a time, so that
 * a panel stays in the first cache while BLOCK rows of A, in the second, go past it.   */
#include "kern/tall.h"
#include "base/parfor.h"
#include "kern/kern.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 256, BLOCK = 192, FEW = 48, LEAST = 4, MOST = 1 << 20 };

typedef struct tall {
    int64_t m, n, k, lda, ldb, ldc, block; /* block: rows of an item                    */
    const float *a, *b, *bias;
    float  *c;
    int     trans_b, add;
    uint64_t call;                         /* which one this is of all                  */
} tall;

/* B as this thread packed it last, [k / DEPTH][n / 16][depth][16]: each does so for itself,
 * since a cache gets what another has written more slowly than it makes it.              */
typedef struct packed { uint64_t call; float *at; int64_t size; } packed;
static _Thread_local packed own;

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/* Memory of this thread, kept for the next product; NULL if there is none. */
static float *room(int64_t floats)
{
    if (floats <= own.size) return own.at;
    void *p = NULL;
    free(own.at);
    const int got = !posix_memalign(&p, 64, (size_t)floats * sizeof(float));
    own = (packed){ 0, got ? p : NULL, got ? floats : 0 };
    return own.at;
}

#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "kern/tall_code.h"
#define LANES 16
#define FN(x) x##_avx512
#define TARGET MLS_AVX512
#include "kern/tall_code.h"

int mls_k_tall(int trans_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
               const float *b, int64_t ldb, const float *bias, int add, float *c,
               int64_t ldc, int share)
{
    const int wide = mls->isa == MLS_ISA_AVX512;
    if (mls->isa == MLS_ISA_PLAIN || m < LEAST || n < 4 || padded(n) > MOST / k) return 0;
    static _Atomic uint64_t calls;
    const tall t = { m, n, k, lda, ldb, ldc, m < 4 * BLOCK ? FEW : BLOCK, a, b, bias, c, trans_b,
                     add, atomic_fetch_add(&calls, 1) + 1 };
    const int64_t items = (m + t.block - 1) / t.block;
    void (*const body)(int64_t, void *) = wide ? one_block_avx512 : one_block_avx2;
    if (share) mls_parfor(items, body, (void *)(uintptr_t)&t);
    else for (int64_t i = 0; i < items; i++) body(i, (void *)(uintptr_t)&t);
    return 1;
}
#else
int mls_k_tall(int trans_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
               const float *b, int64_t ldb, const float *bias, int add, float *c,
               int64_t ldc, int share)
{
    (void)trans_b, (void)m, (void)n, (void)k, (void)a, (void)lda, (void)b, (void)ldb;
    (void)bias, (void)add, (void)c, (void)ldc, (void)share;
    return 0;
}
#endif
