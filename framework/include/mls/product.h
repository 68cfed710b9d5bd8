/* mls/product.h - the product of every step of a recurrence: c[B][N] = a[B][K] M +
 * start with few rows B and the same M at all steps of a sequence.
 *
 * OpenBLAS packs M at each call, which at 8 rows costs as much as the product itself.
 * Here M is packed once a sequence, in panels of 32 columns that stay in the first
 * cache. Each value is one sum over k in order: its bits depend neither on B nor on T.
 *
 *     const mls_product w = mls_product_of(k, T, weight, K, 1, K, N, bias);
 *     if (!w.start) return;                     no memory; k's context has failed
 *     for (t ...) mls_product_run(&w, B, h, 0, next);
 */
#ifndef MLS_PRODUCT_H
#define MLS_PRODUCT_H

#include <mls/kernel.h>

#if defined(__GNUC__)
#define MLS_MAY_BE_UNUSED __attribute__((unused))
#else
#define MLS_MAY_BE_UNUSED
#endif

enum { MLS_PANEL = 32 };

typedef struct mls_product {
    int64_t k, n;
    const float *raw;
    int64_t ld;
    int turned;         /* 1: M[k][n] is raw[n ld + k], as of a weight [out][in]; 0:
                           raw[k ld + n] */
    const float *start; /* [n, padded]: the bias, or zeros; NULL: out of memory */
    float *panel;       /* [n / 32][k][32]; NULL: few steps, OpenBLAS is asked */
} mls_product;

typedef float mls_v8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float mls_v16 __attribute__((vector_size(64), aligned(4), may_alias));

/* R rows by C vectors of c = start + a panel. */
#define MLS_TILE(name, V, R, C)                                                        \
    MLS_INLINE void name(int64_t kk, const float *a, int64_t lda, const float *p,      \
                         const float *s, int64_t lds, float *c, int64_t ldc)           \
    {                                                                                  \
        V acc[R][C];                                                                   \
        for (int r = 0; r < R; r++)                                                    \
            for (int j = 0; j < C; j++) acc[r][j] = ((const V *)(s + r * lds))[j];     \
        for (int64_t i = 0; i < kk; i++, p += MLS_PANEL)                               \
            for (int r = 0; r < R; r++) {                                              \
                const float x = a[r * lda + i];                                        \
                for (int j = 0; j < C; j++) acc[r][j] += x * ((const V *)p)[j];        \
            }                                                                          \
        for (int r = 0; r < R; r++)                                                    \
            for (int j = 0; j < C; j++) ((V *)(c + r * ldc))[j] = acc[r][j];           \
    }
MLS_TILE(mls_tile_16x8, mls_v16, 8, 2)
MLS_TILE(mls_tile_16x4, mls_v16, 4, 2)
MLS_TILE(mls_tile_16x1, mls_v16, 1, 2)
MLS_TILE(mls_tile_8x4, mls_v8, 4, 2)
MLS_TILE(mls_tile_8x2, mls_v8, 2, 4)
MLS_TILE(mls_tile_8x1, mls_v8, 1, 4)
MLS_TILE(mls_tile_4x4, mls_v4, 4, 2)
MLS_TILE(mls_tile_4x1, mls_v4, 1, 4)

#define MLS_ROWS(R, WIDTH, tile)                                                       \
    for (; rows >= R; rows -= R, a += R * lda, s += R * lds, c += R * ldc)             \
        for (int j = 0; j < MLS_PANEL; j += WIDTH)                                     \
            tile(kk, a, lda, p + j, s + j, lds, c + j, ldc);
#define MLS_PANEL_ARGS                                                                 \
    int64_t rows, int64_t kk, const float *a, int64_t lda, const float *p,             \
        const float *s, int64_t lds, float *c, int64_t ldc

#if defined(__x86_64__)
MLS_AVX512 static void mls_panel_avx512(MLS_PANEL_ARGS){
    MLS_ROWS(8, 32, mls_tile_16x8) MLS_ROWS(4, 32, mls_tile_16x4)
        MLS_ROWS(1, 32, mls_tile_16x1)} MLS_AVX2
    static void mls_panel_avx2(MLS_PANEL_ARGS)
{
    MLS_ROWS(4, 16, mls_tile_8x4)
    MLS_ROWS(2, 32, mls_tile_8x2)
    MLS_ROWS(1, 32, mls_tile_8x1)
}
#endif
static void mls_panel_plain(MLS_PANEL_ARGS)
{
    MLS_ROWS(4, 8, mls_tile_4x4)
    MLS_ROWS(1, 16, mls_tile_4x1)
}

static void mls_panel_rows(MLS_PANEL_ARGS)
{
#if defined(__x86_64__)
    if (mls->isa == MLS_ISA_AVX512) {
        mls_panel_avx512(rows, kk, a, lda, p, s, lds, c, ldc);
        return;
    }
    if (mls->isa == MLS_ISA_AVX2) {
        mls_panel_avx2(rows, kk, a, lda, p, s, lds, c, ldc);
        return;
    }
#endif
    mls_panel_plain(rows, kk, a, lda, p, s, lds, c, ldc);
}

/* c[rows][n] = a[rows][k] m + start, or + c itself if add. */
MLS_MAY_BE_UNUSED static void mls_product_run(const mls_product *m, int64_t rows,
                                              const float *a, int add, float *c)
{
    const int64_t n = m->n;
    if (!m->panel) {
        for (int64_t r = 0; r < rows && !add; r++)
            memcpy(c + r * n, m->start, (size_t)n * 4);
        mls->gemm(0, m->turned, rows, n, m->k, 1.0f, a, m->k, m->raw, m->ld, 1.0f, c,
                  n);
        return;
    }
    int64_t j = 0;
    for (; j + MLS_PANEL <= n; j += MLS_PANEL)
        mls_panel_rows(rows, m->k, a, m->k, m->panel + j * m->k,
                       add ? c + j : m->start + j, add ? n : 0, c + j, n);
    const size_t left = (size_t)(n - j) * sizeof(float);
    for (int64_t r = 0; left && r < rows; r += 8) { /* columns that fill no panel */
        float edge[8 * MLS_PANEL] = {0.0f};
        const int64_t some = rows - r < 8 ? rows - r : 8;
        for (int64_t i = 0; i < some; i++)
            memcpy(edge + i * MLS_PANEL, add ? c + (r + i) * n + j : m->start + j,
                   left);
        mls_panel_rows(some, m->k, a + r * m->k, m->k, m->panel + j * m->k, edge,
                       MLS_PANEL, edge, MLS_PANEL);
        for (int64_t i = 0; i < some; i++)
            memcpy(c + (r + i) * n + j, edge + i * MLS_PANEL, left);
    }
}

/* Packing pays from a few steps on; exact mode packs always, to have the same bits. */
MLS_MAY_BE_UNUSED static mls_product mls_product_of(const mls_call *k, int64_t steps,
                                                    const float *raw, int64_t ld,
                                                    int turned, int64_t kk, int64_t n,
                                                    const float *bias)
{
    const int64_t wide = (n + MLS_PANEL - 1) / MLS_PANEL * MLS_PANEL;
    mls_product m = {kk, n, raw, ld, turned, NULL, NULL};
    float *start = mls->scratch(k, (size_t)wide * sizeof(float));
    if (!raw || !start) return m;
    memset(start, 0, (size_t)wide * sizeof(float));
    if (bias) memcpy(start, bias, (size_t)n * sizeof(float));
    m.start = start;
    if (steps < 4 && !(k->flags & MLS_EXACT)) return m;
    m.panel = mls->scratch(k, (size_t)(wide * kk) * sizeof(float));
    for (int64_t j = 0; m.panel && j < n; j += MLS_PANEL) {
        float *p = m.panel + j * kk;
        const int64_t w = n - j < MLS_PANEL ? n - j : MLS_PANEL;
        if (w < MLS_PANEL) memset(p, 0, (size_t)(MLS_PANEL * kk) * sizeof(float));
        if (turned)
            mls_transpose(w, kk, raw + j * ld, ld, p, MLS_PANEL);
        else
            mls_pack_rows(kk, w, MLS_PANEL, raw + j, ld, p);
    }
    return m;
}

#endif
