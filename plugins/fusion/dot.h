/* dot.h - sums over the features of a head, in a fixed order that vectorises: one that goes
 * value by value waits for itself. */
#ifndef PLUGINS_FUSION_DOT_H
#define PLUGINS_FUSION_DOT_H

#include <mls/kernel.h>

enum { LANES = 8 };

/* sum over i < n of term, which reads i. */
#define SUM_OF(n, term) \
    float part[LANES] = { 0.0f }, sum = 0.0f; \
    int64_t from = 0; \
    for (; from + LANES <= n; from += LANES) \
        for (int64_t j = 0, i = from; j < LANES; j++, i++) part[j] += term; \
    for (int64_t i = from; i < n; i++) sum += term; \
    for (int j = 0; j < LANES; j++) sum += part[j]; \
    return sum

MLS_INLINE float dot(const float *x, const float *y, int64_t n) { SUM_OF(n, x[i] * y[i]); }

/* sum x y z */
MLS_INLINE float dot3(const float *x, const float *y, const float *z, int64_t n)
{
    SUM_OF(n, x[i] * y[i] * z[i]);
}

/* sum x (y - z) */
MLS_INLINE float dot_apart(const float *x, const float *y, const float *z, int64_t n)
{
    SUM_OF(n, x[i] * (y[i] - z[i]));
}

#undef SUM_OF
#endif
