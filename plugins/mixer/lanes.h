/* lanes.h - vectors of LANES floats, and the few functions that scans need of them.
 *
 * Included by the headers beside it, once for each instruction set, with
 *   LANES     floats in a vector (4, 8 or 16)
 *   FN(x)     x with a suffix of its own
 *   TARGET    the function attribute that selects the instructions
 *   GROUP     4: rows that a scan keeps in registers at a time
 * because a vector type is only worth its name inside a function that is compiled for
 * it from the start: GCC splits wider vectors before it inlines.  lanes_end.h undoes it.
 */
#ifndef PLUGINS_MIXER_LANES_H
#define PLUGINS_MIXER_LANES_H
typedef float four __attribute__((vector_size(16)));
typedef float four_at __attribute__((vector_size(16), aligned(4), may_alias));
#endif

typedef float FN(vf) __attribute__((vector_size(LANES * 4)));
typedef int32_t FN(vi) __attribute__((vector_size(LANES * 4)));
typedef float FN(vu) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define VF FN(vf)
#define VI FN(vi)
#define FUN TARGET MLS_INLINE

FUN VF FN(load)(const float *p) { return (VF)*(const FN(vu) *)p; }
FUN void FN(save)(float *p, VF x) { *(FN(vu) *)p = (FN(vu))x; }

/* The first n of LANES values; the rest 0. */
FUN VF FN(take)(const float *p, int64_t n)
{
    if (n >= LANES) return FN(load)(p);
    float part[LANES] = { 0 };
    for (int64_t l = 0; l < n; l++) part[l] = p[l];
    return FN(load)(part);
}

FUN void FN(put)(float *p, VF x, int64_t n)
{
    if (n >= LANES) { FN(save)(p, x); return; }
    for (int64_t l = 0; l < n; l++) p[l] = x[l];
}

FUN void FN(gain)(float *p, VF x, int64_t n)
{
    if (n >= LANES) { FN(save)(p, FN(load)(p) + x); return; }
    for (int64_t l = 0; l < n; l++) p[l] += x[l];
}

/* p = x, or p += x. */
FUN void FN(give)(float *p, VF x, int64_t n, int add)
{
    if (add) FN(gain)(p, x, n);
    else FN(put)(p, x, n);
}

FUN VF FN(pick)(VI mask, VF a, VF b)
{
    return (VF)((mask & (VI)a) | (~mask & (VI)b));
}

/* 2^x for -126 <= x <= 127, as mls_exp2f but without its range checks; the exponent is
 * added as a whole number, which leaves the multiplier free. */
FUN VF FN(pow2)(VF x)
{
    const float big = 12582912.0f;
    const VF r = x + big;
    const VF f = x - (r - big);
    VF p = f * 1.3264722049e-3f + 9.6715129970e-3f;
    p = p * f + 5.5507337604e-2f;
    p = p * f + 2.4022242078e-1f;
    p = p * f + 6.9314697759e-1f;
    p = p * f + 1.0f;
    return (VF)((VI)p + ((VI)r << 23));
}

/* 2^x for x <= 0; 0 from -127 on. */
FUN VF FN(pow2_low)(VF x)
{
    return FN(pow2)(FN(pick)((VI)(x < -127.0f), (VF){ 0 } - 127.0f, x));
}

/* e = exp(-|x|), on which the sigmoid is built. */
FUN VF FN(fade)(VF x)
{
    return FN(pow2_low)((VF)((VI)x | INT32_MIN) * MLS_LOG2E);
}

/* The sigmoid, given e = fade(x). */
FUN VF FN(sigmoid_of)(VF x, VF e)
{
    return FN(pick)((VI)(x > 0.0f), (VF){ 0 } + 1.0f, e) / (1.0f + e);
}

FUN VF FN(sigmoid)(VF x) { return FN(sigmoid_of)(x, FN(fade)(x)); }

/* phi = (e^x - 1) / x for x <= 0, given a = e^x; by its series where a - 1 cancels. */
FUN VF FN(phi)(VF x, VF a)
{
    VF p = x * 2.4801587e-5f + 1.9841270e-4f;
    p = p * x + 1.3888889e-3f;
    p = p * x + 8.3333333e-3f;
    p = p * x + 4.1666667e-2f;
    p = p * x + 1.6666667e-1f;
    p = p * x + 0.5f;
    p = p * x + 1.0f;
    const VI big = (VI)(x < -0.5f);
    return FN(pick)(big, (a - 1.0f) / FN(pick)(big, x, (VF){ 0 } - 1.0f), p);
}

/* d phi / d x = (e^x - phi) / x, likewise. */
FUN VF FN(phi_slope)(VF x, VF a, VF phi)
{
    VF p = x * 2.2045855e-5f + 1.7361111e-4f;
    p = p * x + 1.1904762e-3f;
    p = p * x + 6.9444444e-3f;
    p = p * x + 3.3333333e-2f;
    p = p * x + 1.25e-1f;
    p = p * x + 3.3333333e-1f;
    p = p * x + 0.5f;
    const VI big = (VI)(x < -0.5f);
    return FN(pick)(big, (a - phi) / FN(pick)(big, x, (VF){ 0 } - 1.0f), p);
}

/* The sums over lanes of GROUP vectors, side by side. */
FUN four FN(totals)(const VF *x)
{
    four r[GROUP];
    for (int g = 0; g < GROUP; g++) {
        float s[LANES];
        FN(save)(s, x[g]);
        r[g] = *(const four_at *)s;
        for (int l = 4; l < LANES; l += 4) r[g] += *(const four_at *)(s + l);
    }
    const four p = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5)
                 + __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    const four q = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5)
                 + __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    return __builtin_shufflevector(p, q, 0, 1, 4, 5)
         + __builtin_shufflevector(p, q, 2, 3, 6, 7);
}
