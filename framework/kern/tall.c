/* tall.c - see tall.h.  B is packed in panels of 16 columns, DEPTH rows at a time, so that
 * a panel stays in the first cache while BLOCK rows of A, in the second, go past it.   */
#include "kern/tall.h"
#include "base/parfor.h"
#include "kern/kern.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 256, BLOCK = 192, FEW = 48, LEAST = 4, MOST = 1 << 20 };

typedef struct tall {
    int64_t m, n, k, lda, ldc, block;      /* block: rows of an item                    */
    const float *a, *bias;
    const float *pack;                     /* [k / DEPTH][n / 16][depth][16]            */
    float  *c;
    int     add;
} tall;

static int64_t least(int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/* Memory of this thread, kept for the next product; NULL if there is none. */
static float *room(int64_t floats)
{
    static _Thread_local float *kept;
    static _Thread_local int64_t size;
    if (floats <= size) return kept;
    void *p = NULL;
    free(kept);
    const int got = !posix_memalign(&p, 64, (size_t)floats * sizeof(float));
    kept = got ? p : NULL;
    size = got ? floats : 0;
    return kept;
}

#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "kern/tile.h"

/* Rows [k0, k0 + depth) of op(B). */
MLS_AVX2 static void pack(int trans_b, int64_t n, int64_t depth, const float *b,
                          int64_t ldb, float *to)
{
    for (int64_t j = 0; j < n; j += PANEL, to += PANEL * depth) {
        const int64_t w = least(n - j, PANEL);
        if (w < PANEL) memset(to, 0, (size_t)(depth * PANEL) * sizeof *to);
        for (int64_t i = 0; trans_b && w == PANEL && i < depth; i++)
            for (int64_t l = 0; l < PANEL; l++) to[i * PANEL + l] = b[(j + l) * ldb + i];
        for (int64_t i = 0; trans_b && w < PANEL && i < depth; i++)
            for (int64_t l = 0; l < w; l++) to[i * PANEL + l] = b[(j + l) * ldb + i];
        for (int64_t i = 0; !trans_b && i < depth; i++)
            memcpy(to + i * PANEL, b + i * ldb + j, (size_t)w * sizeof *to);
    }
}

MLS_AVX2 __attribute__((noinline)) static void whole(int64_t kk, const float *a,
                                                     int64_t lda, const float *p,
                                                     const float *start, int64_t lds,
                                                     float *c, int64_t ldc)
{
    FN(tile)(STRIP, kk, a, lda, 1, p, start, lds, c, ldc);
}

FUN void strip(int64_t rows, int64_t kk, const float *a, int64_t lda, const float *p,
               const float *start, int64_t lds, float *c, int64_t ldc)
{
    if (rows == STRIP) whole(kk, a, lda, p, start, lds, c, ldc);
    else
        for (int64_t r = 0; r < rows; r++)
            FN(tile)(1, kk, a + r * lda, lda, 1, p, start ? start + r * lds : NULL, lds,
                     c + r * ldc, ldc);
}

/* A panel that C has only w columns of. */
FUN void narrow(int64_t rows, int64_t w, int64_t depth, const float *a, int64_t lda,
                const float *p, const float *start, int64_t lds, float *c, int64_t ldc)
{
    float part[STRIP * PANEL] = { 0.0f };
    for (int64_t r = 0; start && r < rows; r++)
        memcpy(part + r * PANEL, start + r * lds, (size_t)w * sizeof *part);
    strip(rows, depth, a, lda, p, part, PANEL, part, PANEL);
    for (int64_t r = 0; r < rows; r++)
        memcpy(c + r * ldc, part + r * PANEL, (size_t)w * sizeof *part);
}

MLS_AVX2 static void one_block(int64_t item, void *arg)
{
    const tall *t = arg;
    const int64_t from = item * t->block, to = least(from + t->block, t->m);
    const float *p = t->pack;
    for (int64_t k0 = 0; k0 < t->k; k0 += DEPTH) {
        const int64_t depth = least(t->k - k0, DEPTH);
        for (int64_t j = 0; j < t->n; j += PANEL, p += PANEL * depth)
            for (int64_t i = from; i < to; i += STRIP) {
                const int64_t rows = least(to - i, STRIP), w = t->n - j;
                const float *a = t->a + i * t->lda + k0, *start = NULL;
                float *c = t->c + i * t->ldc + j;
                int64_t lds = t->ldc;
                if (k0 || t->add) start = c;
                else if (t->bias) start = t->bias + j, lds = 0;
                if (w >= PANEL)
                    strip(rows, depth, a, t->lda, p, start, lds, c, t->ldc);
                else
                    narrow(rows, w, depth, a, t->lda, p, start, lds, c, t->ldc);
            }
    }
}

int mls_k_tall(int trans_b, int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
               const float *b, int64_t ldb, const float *bias, int add, float *c,
               int64_t ldc, int share)
{
    if (mls->isa != MLS_ISA_AVX2 || m < LEAST || n < 4 || padded(n) > MOST / k) return 0;
    float *to = room(padded(n) * k);
    if (!to) return 0;
    const tall t = { m, n, k, lda, ldc, m < 4 * BLOCK ? FEW : BLOCK, a, bias, to, c, add };
    for (int64_t k0 = 0; k0 < k; k0 += DEPTH)
        pack(trans_b, n, least(k - k0, DEPTH), trans_b ? b + k0 : b + k0 * ldb, ldb,
             to + k0 * padded(n));
    const int64_t items = (m + t.block - 1) / t.block;
    if (share) mls_parfor(items, one_block, (void *)(uintptr_t)&t);
    else for (int64_t i = 0; i < items; i++) one_block(i, (void *)(uintptr_t)&t);
    return 1;
}
#include "kern/tile_end.h"
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
