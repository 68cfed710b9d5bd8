/* half.c - storage of 16 bits: float16 for values that are read again soon, bfloat16 with
 * stochastic rounding for the optimiser's means.
 *
 * float16 rounds to nearest, ties to even, and gives +-65504 for what lies beyond, so that
 * a large value stays a large one.  Every family of processors gives the same bits.       */
#include "kern/kern.h"
#include "base/parfor.h"

#include <math.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 1 << 14, SHARE = 1 << 16 };
#define LARGEST 65504.0f

typedef struct span { const float *x; uint16_t *h; float *y; int64_t n; } span;

/* ---- float16 in plain C ------------------------------------------------------------- */

static uint16_t half_of(float f)
{
    f = f > LARGEST ? LARGEST : f < -LARGEST ? -LARGEST : f;
    const uint32_t bits = (uint32_t)mls_bits_of_float(f);
    const uint32_t sign = bits >> 16 & 0x8000, x = bits & 0x7fffffff;
    if (x > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (x >> 13 & 0x3ff));     /* NaN */
    if (x < 0x38800000) {            /* below 2^-14: in steps of 2^-24                     */
        const float magnitude = mls_float_of_bits((int32_t)x);
        return (uint16_t)(sign | (uint32_t)lrintf(magnitude * 0x1p24f));
    }
    const uint32_t y = x - 0x38000000, tie = (y >> 13 & 1) + 0xfff;
    return (uint16_t)(sign | (y + tie) >> 13);
}

static float float_of(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, x = h & 0x7fff;
    float magnitude;
    if (x >= 0x7c00) magnitude = mls_float_of_bits((int32_t)(x << 13 | 0x7f800000));
    else if (x < 0x400) magnitude = (float)x * 0x1p-24f;
    else magnitude = mls_float_of_bits((int32_t)((x << 13) + 0x38000000));
    return mls_float_of_bits((int32_t)((uint32_t)mls_bits_of_float(magnitude) | sign));
}

static void pack_plain(const float *x, uint16_t *h, int64_t n)
{
    for (int64_t i = 0; i < n; i++) h[i] = half_of(x[i]);
}

static void unpack_plain(const uint16_t *h, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = float_of(h[i]);
}

/* ---- and by the processor's own conversion -------------------------------------------- */

#if defined(__x86_64__)
MLS_AVX2 static void pack_f16c(const float *x, uint16_t *h, int64_t n)
{
    const __m256 most = _mm256_set1_ps(LARGEST), least = _mm256_set1_ps(-LARGEST);
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        /* a NaN is the second operand, which min and max then give */
        const __m256 v = _mm256_max_ps(least, _mm256_min_ps(most, _mm256_loadu_ps(x + i)));
        _mm_storeu_si128((__m128i *)(h + i), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
    pack_plain(x + i, h + i, n - i);
}

MLS_AVX2 static void unpack_f16c(const uint16_t *h, float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(h + i))));
    unpack_plain(h + i, x + i, n - i);
}
#else
#define pack_f16c   pack_plain
#define unpack_f16c unpack_plain
#endif

static void pack_block(int64_t item, void *arg)
{
    const span *p = arg;
    const int64_t from = item * BLOCK, n = p->n - from < BLOCK ? p->n - from : BLOCK;
    if (mls->isa == MLS_ISA_PLAIN) pack_plain(p->x + from, p->h + from, n);
    else pack_f16c(p->x + from, p->h + from, n);
}

static void unpack_block(int64_t item, void *arg)
{
    const span *p = arg;
    const int64_t from = item * BLOCK, n = p->n - from < BLOCK ? p->n - from : BLOCK;
    if (mls->isa == MLS_ISA_PLAIN) unpack_plain(p->h + from, p->y + from, n);
    else unpack_f16c(p->h + from, p->y + from, n);
}

static void blocks(int64_t n, void (*body)(int64_t i, void *arg), void *arg)
{
    const int64_t items = (n + BLOCK - 1) / BLOCK;
    if (n < SHARE)
        for (int64_t i = 0; i < items; i++) body(i, arg);
    else
        mls_parfor(items, body, arg);
}

void mls_k_half_pack(const float *x, uint16_t *h, int64_t n)
{
    blocks(n, pack_block, &(span){ x, h, NULL, n });
}

void mls_k_half_unpack(const uint16_t *h, float *x, int64_t n)
{
    blocks(n, unpack_block, &(span){ NULL, (uint16_t *)(uintptr_t)h, x, n });
}

/* ---- AdamW with means of 16 bits ------------------------------------------------------ */
/* A mean of squares moves by a thousandth a step, less than bfloat16 can hold: rounded to
 * nearest it would stand still.  So the bits that are cut off are the probability to round
 * up, and the mean is right on average.  The dice are a hash of key and index: the same
 * in every run.                                                                          */

typedef struct adam {
    float       *w;
    const float *g;
    uint16_t    *m, *v;
    int64_t      n;
    uint32_t     key;
    float        beta1, beta2, step, root, eps, shrink;
} adam;

MLS_INLINE uint32_t dice(uint32_t i)
{
    i = (i ^ i >> 16) * 0x7feb352du;            /* Wellons' 32-bit mix, lowbias32        */
    i = (i ^ i >> 15) * 0x846ca68bu;
    return i ^ i >> 16;
}

MLS_INLINE float wide(uint16_t h) { return mls_float_of_bits((int32_t)((uint32_t)h << 16)); }
MLS_INLINE uint16_t narrow(float x, uint32_t luck)
{
    return (uint16_t)(((uint32_t)mls_bits_of_float(x) + luck) >> 16);
}

MLS_INLINE void adam_body(int64_t item, void *arg)
{
    const adam *p = arg;
    const int64_t from = item * BLOCK, n = p->n - from < BLOCK ? p->n - from : BLOCK;
    float *restrict w = p->w + from;
    uint16_t *restrict m = p->m + from, *restrict v = p->v + from;
    const float *restrict g = p->g + from;
    const float b1 = p->beta1, b2 = p->beta2, step = p->step, root = p->root,
                eps = p->eps, shrink = p->shrink;
    const uint32_t key = p->key + (uint32_t)from;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t d = dice(key + (uint32_t)i);
        const float mean = b1 * wide(m[i]) + (1.0f - b1) * g[i];
        const float square = b2 * wide(v[i]) + (1.0f - b2) * g[i] * g[i];
        w[i] -= shrink * w[i] + step * mean / (sqrtf(square) * root + eps);
        m[i] = narrow(mean, d & 0xffff);
        v[i] = narrow(square, d >> 16);
    }
}
MLS_KERNEL_BODY(adam_step, adam_body)

void mls_k_adamw_half(float *w, const float *g, uint16_t *m, uint16_t *v, int64_t n,
                      uint32_t key, const mls_adamw *p)
{
    adam a = { w, g, m, v, n, key, p->beta1, p->beta2,
               (float)(p->lr / (1.0 - pow(p->beta1, (double)p->t))),
               (float)(1.0 / sqrt(1.0 - pow(p->beta2, (double)p->t))), p->eps,
               p->lr * p->decay };
    blocks(n, adam_step, &a);
}

/* SGD with momentum: m = momentum m + g,  w = w (1 - shrink) - rate m. */
MLS_INLINE void sgd_body(int64_t item, void *arg)
{
    const adam *p = arg;
    const int64_t from = item * BLOCK, n = p->n - from < BLOCK ? p->n - from : BLOCK;
    float *restrict w = p->w + from;
    uint16_t *restrict m = p->m + from;
    const float *restrict g = p->g + from;
    const uint32_t key = p->key + (uint32_t)from;
    for (int64_t i = 0; i < n; i++) {
        const float mean = p->beta1 * wide(m[i]) + g[i];
        w[i] -= p->shrink * w[i] + p->step * mean;
        m[i] = narrow(mean, dice(key + (uint32_t)i) & 0xffff);
    }
}
MLS_KERNEL_BODY(sgd_step, sgd_body)

void mls_k_sgd_half(float *w, const float *g, uint16_t *m, int64_t n, uint32_t key,
                    float rate, float momentum, float shrink)
{
    adam a = { .w = w, .g = g, .m = m, .n = n, .key = key, .beta1 = momentum, .step = rate,
               .shrink = shrink };
    blocks(n, sgd_step, &a);
}
