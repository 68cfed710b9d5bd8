/* activation.h - activations of the liquid cells' backbones and heads, on rows of
 * values, and their slopes.  erf is good to 1.5e-7; the others as those of
 * mls/kernel.h.       */
#ifndef LIQUID_ACTIVATION_H
#define LIQUID_ACTIVATION_H

#include <mls/kernel.h>

enum { LECUN_TANH, SILU, RELU, TANH, GELU };

#define LECUN_OUT 1.7159f
#define LECUN_IN 0.666f

/* erf to 1.5e-7 (Abramowitz and Stegun 7.1.26); *density is exp(-x x). */
MLS_INLINE float erf_of(float x, float *density)
{
    const float a = x < 0.0f ? -x : x, t = 1.0f / (1.0f + 0.3275911f * a);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    *density = mls_expf(-a * a);
    const float y = 1.0f - p * t * *density;
    return x < 0.0f ? -y : y;
}

/* a[n] in place; slope[n] is kept for those whose derivative needs more than a. */
MLS_INLINE void activate(int kind, int64_t n, float *restrict a, float *restrict slope)
{
    if (kind == SILU)
        for (int64_t i = 0; i < n; i++) {
            const float s = mls_sigmoidf(a[i]), y = a[i] * s;
            slope[i] = s + y * (1.0f - s);
            a[i] = y;
        }
    else if (kind == GELU)
        for (int64_t i = 0; i < n; i++) {
            float density;
            const float x = a[i], p = 0.5f + 0.5f * erf_of(0.70710678f * x, &density);
            slope[i] = p + x * 0.39894228f * density;
            a[i] = x * p;
        }
    else if (kind == RELU)
        for (int64_t i = 0; i < n; i++) a[i] = a[i] > 0.0f ? a[i] : 0.0f;
    else if (kind == TANH)
        for (int64_t i = 0; i < n; i++) a[i] = mls_tanhf(a[i]);
    else
        for (int64_t i = 0; i < n; i++) a[i] = LECUN_OUT * mls_tanhf(LECUN_IN * a[i]);
}

/* g[n], the gradient of what activate() made, becomes that of its input. */
MLS_INLINE void activate_back(int kind, int64_t n, const float *restrict a,
                              const float *restrict slope, float *restrict g)
{
    const float r = 1.0f / LECUN_OUT;
    if (kind == SILU || kind == GELU)
        for (int64_t i = 0; i < n; i++) g[i] *= slope[i];
    else if (kind == RELU)
        for (int64_t i = 0; i < n; i++) g[i] = a[i] > 0.0f ? g[i] : 0.0f;
    else if (kind == TANH)
        for (int64_t i = 0; i < n; i++) g[i] *= 1.0f - a[i] * a[i];
    else
        for (int64_t i = 0; i < n; i++)
            g[i] *= LECUN_OUT * LECUN_IN * (1.0f - (r * a[i]) * (r * a[i]));
}

#endif
