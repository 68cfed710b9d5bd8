/* tile.h - the inner loop of the products here: a few rows by a panel of 16 columns of C,
 * in registers over the whole sum.
 *
 * Included once for each instruction set with LANES (4, 8 or 16 floats in a vector),
 * FN(x) (x with a suffix of its own) and TARGET (the attribute that selects the
 * instructions), because GCC splits vectors that a function is not compiled for from the
 * start; tile_end.h undoes them.
 *
 * Each value is start + sum over k in order: its bits do not depend on the rows and
 * columns around it.
 */
#ifndef MLS_KERN_TILE_H
#define MLS_KERN_TILE_H
enum { PANEL = 16 };
#endif

/* Rows at a time: what keeps twelve sums busy, three vectors being free for the rest. */
#define STRIP (3 * LANES / 4)
#define FUN TARGET MLS_INLINE

typedef float FN(vf) __attribute__((vector_size(LANES * 4)));
typedef int32_t FN(vi) __attribute__((vector_size(LANES * 4)));
typedef float FN(vu) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

/* c[r][0..16) = start[r][0..16) + sum_k a[r ra + k ka] p[k][0..16); start NULL: 0.  lds and
 * ldc: floats from row to row; `rows` is a constant, at most STRIP. */
FUN void FN(tile)(int rows, int64_t kk, const float *a, int64_t ra, int64_t ka,
                  const float *p, const float *start, int64_t lds, float *c, int64_t ldc)
{
    enum { VECTORS = PANEL / LANES };
    FN(vf) sum[STRIP][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            sum[r][v] = start ? (FN(vf))((const FN(vu) *)(start + r * lds))[v] : (FN(vf)){ 0 };
    MLS_UNROLL(4)     /* a loop of one round waits for itself: a third of the speed */
    for (int64_t k = 0; k < kk; k++, a += ka, p += PANEL) {
        FN(vf) b[VECTORS];
        for (int v = 0; v < VECTORS; v++) b[v] = (FN(vf))((const FN(vu) *)p)[v];
        for (int r = 0; r < rows; r++) {
            const float x = a[r * ra];
            for (int v = 0; v < VECTORS; v++) sum[r][v] += x * b[v];
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++) ((FN(vu) *)(c + r * ldc))[v] = (FN(vu))sum[r][v];
}

/* A tile of STRIP rows and one of a single row as functions of their own, for fixed
 * strides: inlined among other code, GCC runs out of registers. */
#define TILE(name, ra, ka, start, lds)                                                   \
    TARGET __attribute__((noinline)) static void FN(name)(                               \
        int64_t kk, const float *a, const float *p, float *c, int64_t ldc)               \
    {                                                                                    \
        FN(tile)(STRIP, kk, a, ra, ka, p, start, lds, c, ldc);                           \
    }                                                                                    \
    TARGET __attribute__((noinline)) static void FN(name##_row)(                         \
        int64_t kk, const float *a, const float *p, float *c, int64_t ldc)               \
    {                                                                                    \
        FN(tile)(1, kk, a, ra, ka, p, start, lds, c, ldc);                               \
    }
