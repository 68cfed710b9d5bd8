/* mls/kernel.h - how a kernel is written once and runs fast on any x86-64.
 *
 * Write the body as `MLS_INLINE void scan_body(const mls_call *k)`, in plain loops
 * that a compiler can vectorise, then
 *
 *     MLS_KERNEL(scan, scan_body)          defines  static void scan(const mls_call *)
 *
 * which is compiled for plain x86-64, AVX2+FMA and AVX-512 and picks one by
 * `mls->isa`.  Elsewhere there is one plain version.  No -march flag is needed, but
 * -fno-trapping-math is (the Makefile of mls new has it): without it a compiler leaves
 * loops with a conditional in them as they are.
 *
 * The functions below are for use inside such bodies: branch-free, so they
 * vectorise.  Accuracy is given as the largest relative error over the range named.
 */
#ifndef MLS_KERNEL_H
#define MLS_KERNEL_H

#include <mls/plugin.h>
#include <string.h>

enum { MLS_ISA_PLAIN = 0, MLS_ISA_AVX2 = 1, MLS_ISA_AVX512 = 2 };

#define MLS_INLINE static inline __attribute__((always_inline))

/* Before a loop: n rounds in one.  GCC does it of itself only where n is known. */
#define MLS_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define MLS_UNROLL(n) MLS_PRAGMA(unroll n)
#else
#define MLS_UNROLL(n) MLS_PRAGMA(GCC unroll n)
#endif

#if defined(__x86_64__)
#define MLS_AVX2 __attribute__((target("avx2,fma,bmi2,f16c")))
#ifdef MLS_EMULATE_AVX512      /* for tests: code of 16 lanes on a machine that has 8 */
#define MLS_AVX512 MLS_AVX2
#else
#define MLS_AVX512 \
    __attribute__((target("avx2,fma,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl")))
#endif
#define MLS_KERNEL(name, body) \
    MLS_AVX2 static void name##_avx2(const mls_call *k) { body(k); } \
    MLS_AVX512 static void name##_avx512(const mls_call *k) { body(k); } \
    static void name##_plain(const mls_call *k) { body(k); } \
    static void name(const mls_call *k) \
    { \
        if (mls->isa == MLS_ISA_AVX512) name##_avx512(k); \
        else if (mls->isa == MLS_ISA_AVX2) name##_avx2(k); \
        else name##_plain(k); \
    }
/* The same for a parfor body. */
#define MLS_KERNEL_BODY(name, body) \
    MLS_AVX2 static void name##_avx2(int64_t i, void *arg) { body(i, arg); } \
    MLS_AVX512 static void name##_avx512(int64_t i, void *arg) { body(i, arg); } \
    static void name##_plain(int64_t i, void *arg) { body(i, arg); } \
    static void name(int64_t i, void *arg) \
    { \
        if (mls->isa == MLS_ISA_AVX512) name##_avx512(i, arg); \
        else if (mls->isa == MLS_ISA_AVX2) name##_avx2(i, arg); \
        else name##_plain(i, arg); \
    }
#else
#define MLS_KERNEL(name, body) static void name(const mls_call *k) { body(k); }
#define MLS_KERNEL_BODY(name, body) \
    static void name(int64_t i, void *arg) { body(i, arg); }
#endif

MLS_INLINE float mls_float_of_bits(int32_t i) { float f; memcpy(&f, &i, 4); return f; }
MLS_INLINE int32_t mls_bits_of_float(float f) { int32_t i; memcpy(&i, &f, 4); return i; }

/* 2^x = 2^n p(x - n), p a minimax polynomial with p(0) = 1.  2e-7 for x in
 * [-126, 127]; 0 below -126.5, Inf above 127.5, NaN for NaN.  Adding 1.5 * 2^23 rounds
 * to nearest without a rounding instruction; that the constant also holds the bias 127
 * makes its low bits the exponent of 2^n.                                              */
MLS_INLINE float mls_exp2f(float x)
{
    x = -127.0f > x ? -127.0f : x;
    x = 128.0f < x ? 128.0f : x;
    const float big = 12582912.0f + 127.0f;
    const float r = x + big;
    const float f = x - (r - big);                              /* [-0.5, 0.5] */
    float p = 1.3264722049e-3f;
    p = p * f + 9.6715129970e-3f;
    p = p * f + 5.5507337604e-2f;
    p = p * f + 2.4022242078e-1f;
    p = p * f + 6.9314697759e-1f;
    p = p * f + 1.0f;
    return p * mls_float_of_bits((int32_t)((uint32_t)mls_bits_of_float(r) << 23));
}

#define MLS_LOG2E 1.44269504088896341f
#define MLS_LN2   0.69314718055994531f

/* e^x.  2e-7 for x in [-87.3, 88]; 0 below -87.7, Inf above 88.4, NaN for NaN.
 * ln 2 in two parts keeps the error of the reduction from growing with |x|.            */
MLS_INLINE float mls_expf(float x)
{
    x = -88.0f > x ? -88.0f : x;
    x = 88.7f < x ? 88.7f : x;
    const float big = 12582912.0f + 127.0f;
    const float r = x * MLS_LOG2E + big, n = r - big;
    const float f = (x - n * 0.693359375f) - n * -2.12194440e-4f;   /* |f| <= ln 2 / 2 */
    float p = 8.2903114980e-3f;
    p = p * f + 4.1897930845e-2f;
    p = p * f + 1.6667636246e-1f;
    p = p * f + 4.9999149514e-1f;
    p = p * f + 9.9999970717e-1f;
    p = p * f + 1.0f;
    return p * mls_float_of_bits((int32_t)((uint32_t)mls_bits_of_float(r) << 23));
}

/* 1 / (1 + e^-x).  2.5e-7 for x in [-87, 88]; NaN for NaN. */
MLS_INLINE float mls_sigmoidf(float x) { return 1.0f / (1.0f + mls_expf(-x)); }

/* tanh by a 13/6 rational on [-7.9, 7.9], where float tanh reaches 1 - 2^-22.  4e-7
 * everywhere, 3e-7 for |x| < 1; never beyond +-1; NaN for NaN.                         */
MLS_INLINE float mls_tanhf(float x)
{
    x = x < -7.90531110763549805f ? -7.90531110763549805f : x;
    x = x > 7.90531110763549805f ? 7.90531110763549805f : x;
    const float z = x * x;
    float p = -2.76076847742355e-16f;
    p = p * z + 2.00018790482477e-13f;
    p = p * z - 8.60467152213735e-11f;
    p = p * z + 5.12229709037114e-08f;
    p = p * z + 1.48572235717979e-05f;
    p = p * z + 6.37261928875436e-04f;
    p = p * z + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * z + 1.18534705686654e-04f;
    q = q * z + 2.26843463243900e-03f;
    q = q * z + 4.89352518554385e-03f;
    return x * p / q;
}

/* ln x for normal positive x.  1.2e-7. */
MLS_INLINE float mls_logf(float x)
{
    const int32_t i = mls_bits_of_float(x);
    const int32_t e = (i - 0x3f3504f3) >> 23;                   /* m in [sqrt.5, sqrt2) */
    const float m = mls_float_of_bits(i - (int32_t)((uint32_t)e << 23)) - 1.0f;
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    return m + (p * m * z - 0.5f * z) + (float)e * MLS_LN2;
}

/* ln(1 + e^x) without overflow.  3e-7 for x >= -87; 0 below -87.7; NaN for NaN. */
MLS_INLINE float mls_softplusf(float x)
{
    const float a = x < 0.0f ? x : -x;                          /* -|x| */
    const float e = mls_expf(a);
    /* ln(1+e) loses e below 2^-24: add the bits that 1+e dropped */
    const float s = 1.0f + e, lost = e - (s - 1.0f);
    return (x > 0.0f ? x : 0.0f) + mls_logf(s) + lost / s;
}

/* ---- Transposes ----------------------------------------------------------------------- */

typedef float mls_v4 __attribute__((vector_size(16), aligned(4), may_alias));

/* Four rows of four, in place. */
MLS_INLINE void mls_turn4(mls_v4 *r)
{
    const mls_v4 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5),
                 b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7),
                 c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5),
                 d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

/* to[i][l] = from[l][i] for l < rows and i < cols; ld and ldt: floats from row to row. */
MLS_INLINE void mls_transpose(int64_t rows, int64_t cols, const float *from, int64_t ld,
                              float *to, int64_t ldt)
{
    int64_t l = 0;
    for (; l + 4 <= rows; l += 4) {
        const float *at = from + l * ld;
        int64_t i = 0;
        for (; i + 4 <= cols; i += 4) {
            mls_v4 r[4];
            for (int q = 0; q < 4; q++) r[q] = *(const mls_v4 *)(at + q * ld + i);
            mls_turn4(r);
            for (int q = 0; q < 4; q++) *(mls_v4 *)(to + (i + q) * ldt + l) = r[q];
        }
        for (; i < cols; i++)
            for (int q = 0; q < 4; q++) to[i * ldt + l + q] = at[q * ld + i];
    }
    for (; l < rows; l++)
        for (int64_t i = 0; i < cols; i++) to[i * ldt + l] = from[l * ld + i];
}

/* to[rows][panel] = from[rows][w], w <= panel: a whole panel without a call for each row. */
MLS_INLINE void mls_pack_rows(int64_t rows, int64_t w, int64_t panel, const float *from,
                              int64_t ld, float *to)
{
    for (int64_t i = 0; w == panel && i < rows; i++)
        memcpy(to + i * panel, from + i * ld, (size_t)panel * sizeof *to);
    for (int64_t i = 0; w < panel && i < rows; i++)
        memcpy(to + i * panel, from + i * ld, (size_t)w * sizeof *to);
}

#endif
