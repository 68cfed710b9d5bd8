/* int8.c - matrices of 8 bits with one scale for each output row.
 *
 *   q[r][c] = round(w[r][c] / s[r]),   s[r] = max_c |w[r][c]| / 127
 *
 * Symmetric, so that 0 stays 0; rounding to nearest, ties to even.  The error of a weight
 * is at most s[r] / 2.  Only the weights are rounded: inputs, sums and outputs are floats. */
#include "kern/kern.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

void mls_k_int8_pack(int64_t rows, int64_t cols, const float *w, int8_t *q, float *scale)
{
    for (int64_t r = 0; r < rows; r++) {
        const float *x = w + r * cols;
        float most = 0.0f;
        for (int64_t c = 0; c < cols; c++) most = fmaxf(most, fabsf(x[c]));
        scale[r] = most / 127.0f;
        const float by = scale[r] > 0.0f ? 1.0f / scale[r] : 0.0f;
        for (int64_t c = 0; c < cols; c++)
            q[r * cols + c] = (int8_t)fmaxf(-127.0f, fminf(127.0f, rintf(x[c] * by)));
    }
}

void mls_k_int8_unpack(int64_t rows, int64_t cols, const int8_t *q, const float *scale,
                       float *w)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            w[r * cols + c] = scale[r] * (float)q[r * cols + c];
}

/* ---- y = x w^T + bias for few rows of x ------------------------------------------------ */

enum { LANES = 8, OUTPUTS = 4 };     /* columns, and rows of w, at a time               */

typedef struct few {
    int64_t       m, n, k;
    const float  *x, *w, *scale, *bias;
    const int8_t *q;
    float        *y;
} few;

typedef float   v8f __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t v8i __attribute__((vector_size(32)));
typedef int8_t  v8b __attribute__((vector_size(8), aligned(1), may_alias));

#define LOAD_FLOAT(p) (*(const v8f *)(p))
#define LOAD_INT8(p) \
    __builtin_convertvector(__builtin_convertvector(*(const v8b *)(p), v8i), v8f)
/* gcc 12 takes the bytes one by one where one instruction widens eight. */
#define LOAD_INT8_AVX2(p) \
    ((v8f)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p)))))

/* N sums of k products each; every sum in the same order whatever N is. */
#define DOTS(name, target, type, load, N)                                                \
    target MLS_INLINE void name(int64_t k, const float *x, const type *w, float *out)    \
    {                                                                                    \
        v8f acc[N];                                                                      \
        int64_t i = 0;                                                                   \
        for (int j = 0; j < N; j++) acc[j] = (v8f){ 0 };                                 \
        for (; i + LANES <= k; i += LANES) {                                             \
            const v8f a = LOAD_FLOAT(x + i);                                             \
            for (int j = 0; j < N; j++) acc[j] += a * load(w + j * k + i);               \
        }                                                                                \
        for (int j = 0; j < N; j++) {                                                    \
            float rest = 0.0f;                                                           \
            for (int64_t l = i; l < k; l++) rest += x[l] * (float)w[j * k + l];          \
            const v8f s = acc[j];                                                        \
            out[j] = ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + \
                     rest;                                                               \
        }                                                                                \
    }

MLS_INLINE float finish(const few *p, int64_t j, float sum)
{
    const float y = p->scale ? sum * p->scale[j] : sum;
    return p->bias ? y + p->bias[j] : y;
}

/* name: a kernel of p->weights, of that type, for one family of processors. */
#define FEW(name, target, type, load, weights)                                           \
    DOTS(name##_4, target, type, load, OUTPUTS)                                          \
    DOTS(name##_1, target, type, load, 1)                                                \
    target static void name(const few *p)                                                \
    {                                                                                    \
        for (int64_t r = 0; r < p->m; r++) {                                             \
            const float *x = p->x + r * p->k;                                            \
            float *y = p->y + r * p->n, sum[OUTPUTS];                                    \
            int64_t j = 0;                                                               \
            for (; j + OUTPUTS <= p->n; j += OUTPUTS) {                                  \
                name##_4(p->k, x, p->weights + j * p->k, sum);                           \
                for (int l = 0; l < OUTPUTS; l++) y[j + l] = finish(p, j + l, sum[l]);   \
            }                                                                            \
            for (; j < p->n; j++) {                                                      \
                name##_1(p->k, x, p->weights + j * p->k, sum);                           \
                y[j] = finish(p, j, sum[0]);                                             \
            }                                                                            \
        }                                                                                \
    }
FEW(float_plain, , float, LOAD_FLOAT, w)
FEW(int8_plain, , int8_t, LOAD_INT8, q)

/* AVX-512 takes these too: a row of a few hundred columns is short for 64 bytes. */
#if defined(__x86_64__)
FEW(float_avx2, MLS_AVX2, float, LOAD_FLOAT, w)
FEW(int8_avx2, MLS_AVX2, int8_t, LOAD_INT8_AVX2, q)
#else
#define float_avx2 float_plain
#define int8_avx2  int8_plain
#endif

void mls_k_linear_few(int64_t m, int64_t n, int64_t k, const float *x, const float *w,
                      const float *bias, float *y)
{
    const few p = { m, n, k, x, w, NULL, bias, NULL, y };
    if (mls->isa == MLS_ISA_PLAIN) float_plain(&p);
    else float_avx2(&p);
}

void mls_k_linear_int8(int64_t m, int64_t n, int64_t k, const float *x, const mls_int8 *w,
                       const float *bias, float *y)
{
    const few p = { m, n, k, x, NULL, w->scale, bias, w->q, y };
    if (mls->isa == MLS_ISA_PLAIN) int8_plain(&p);
    else int8_avx2(&p);
}
