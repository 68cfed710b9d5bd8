/* tall_code.h - tall.c's loops for one instruction set; see tile.h. */

#include "kern/tile.h"

/* Rows [k0, k0 + depth) of op(B). */
TARGET static void FN(pack)(int trans_b, int64_t n, int64_t depth, const float *b,
                          int64_t ldb, float *to)
{
    for (int64_t j = 0; j < n; j += PANEL, to += PANEL * depth) {
        const int64_t w = least(n - j, PANEL);
        if (w < PANEL) memset(to, 0, (size_t)(depth * PANEL) * sizeof *to);
        if (trans_b) mls_transpose(w, depth, b + j * ldb, ldb, to, PANEL);
        else mls_pack_rows(depth, w, PANEL, b + j, ldb, to);
    }
}

TARGET __attribute__((noinline)) static void FN(whole)(int64_t kk, const float *a,
                                                     int64_t lda, const float *p,
                                                     const float *start, int64_t lds,
                                                     float *c, int64_t ldc)
{
    FN(tile)(STRIP, kk, a, lda, 1, p, start, lds, c, ldc);
}

FUN void FN(strip)(int64_t rows, int64_t kk, const float *a, int64_t lda, const float *p,
               const float *start, int64_t lds, float *c, int64_t ldc)
{
    if (rows == STRIP) FN(whole)(kk, a, lda, p, start, lds, c, ldc);
    else
        for (int64_t r = 0; r < rows; r++)
            FN(tile)(1, kk, a + r * lda, lda, 1, p, start ? start + r * lds : NULL, lds,
                     c + r * ldc, ldc);
}

/* A panel that C has only w columns of. */
FUN void FN(narrow)(int64_t rows, int64_t w, int64_t depth, const float *a, int64_t lda,
                const float *p, const float *start, int64_t lds, float *c, int64_t ldc)
{
    float part[STRIP * PANEL] = { 0.0f };
    for (int64_t r = 0; start && r < rows; r++)
        memcpy(part + r * PANEL, start + r * lds, (size_t)w * sizeof *part);
    FN(strip)(rows, depth, a, lda, p, part, PANEL, part, PANEL);
    for (int64_t r = 0; r < rows; r++)
        memcpy(c + r * ldc, part + r * PANEL, (size_t)w * sizeof *part);
}

/* Columns [j, j + n) of rows [k0, k0 + depth) of op(B). */
FUN void FN(pack_part)(const tall *t, int64_t k0, int64_t depth, int64_t j, int64_t n, float *to)
{
    FN(pack)(t->trans_b, n, depth, t->b + (t->trans_b ? k0 + j * t->ldb : k0 * t->ldb + j),
             t->ldb, to);
}

/* NULL: no memory. */
FUN const float *FN(pack_all)(const tall *t)
{
    if (own.call == t->call) return own.at;
    float *to = room(padded(t->n) * t->k);
    for (int64_t k0 = 0; to && k0 < t->k; k0 += DEPTH)
        FN(pack_part)(t, k0, least(t->k - k0, DEPTH), 0, t->n, to + k0 * padded(t->n));
    own.call = t->call;
    return to;
}

TARGET static void FN(one_block)(int64_t item, void *arg)
{
    const tall *t = arg;
    const int64_t from = item * t->block, to = least(from + t->block, t->m);
    const float *all = FN(pack_all)(t);
    float few[PANEL * DEPTH];
    for (int64_t k0 = 0; k0 < t->k; k0 += DEPTH) {
        const int64_t depth = least(t->k - k0, DEPTH);
        for (int64_t j = 0; j < t->n; j += PANEL) {
            const float *p = all ? all + k0 * padded(t->n) + j * depth : few;
            if (!all) FN(pack_part)(t, k0, depth, j, least(t->n - j, PANEL), few);
            for (int64_t i = from; i < to; i += STRIP) {
                const int64_t rows = least(to - i, STRIP), w = t->n - j;
                const float *a = t->a + i * t->lda + k0, *start = NULL;
                float *c = t->c + i * t->ldc + j;
                int64_t lds = t->ldc;
                if (k0 || t->add) start = c;
                else if (t->bias) start = t->bias + j, lds = 0;
                if (w >= PANEL)
                    FN(strip)(rows, depth, a, t->lda, p, start, lds, c, t->ldc);
                else
                    FN(narrow)(rows, w, depth, a, t->lda, p, start, lds, c, t->ldc);
            }
        }
    }
}

#include "kern/tile_end.h"
