/* spiking.h - what spiking neurons share: the surrogates of their step.
 *
 *   s = H(x),  x = drive above the threshold;  dH/dx is replaced by a slope with
 * steepness k fast_sigmoid      1 / (1 + k|x|)^2          k 25   Zenke and Ganguli
 * 2018; peak 1, not k atan              (k/2) / (1 + (pi k x / 2)^2)   k 2    Fang et
 * al. 2021 sigmoid           k s(kx) (1 - s(kx))       k 25 triangle          k - k^2
 * |x|, |x| < 1/k    k 1    Bellec et al. 2018; SpikingJelly's PiecewiseQuadratic erf k
 * / sqrt(pi) exp(-(kx)^2) k 2    a Gaussian rectangle         k,           |x| < 1/(2k)
 * k 1    Wu et al. 2018 straight_through  1                                Bengio et
 * al. 2013 snnTorch 0.9.4's `triangular` (slope -1 above the threshold) and `SFS`
 * (nought for x <= 1) are not copied: they are no derivatives of a step.
 *
 * Under MLS_SMOOTH the step is the primitive of the slope that is 1/2 at 0, so that
 * differences can measure it.
 */
#ifndef MLS_PLUGINS_SPIKING_H
#define MLS_PLUGINS_SPIKING_H

#include <math.h>
#include <mls/kernel.h>

enum { FAST_SIGMOID, ATAN, SIGMOID, TRIANGLE, ERF, RECTANGLE, STRAIGHT_THROUGH };
#define BOUNDED_SURROGATES "fast_sigmoid|atan|sigmoid|triangle|erf|rectangle"
#define SURROGATES BOUNDED_SURROGATES "|straight_through"
#define SLOPE_HELP                                                                     \
    "steepness of the surrogate; 0: its own default, in the order of the choices 25, " \
    "2, "                                                                              \
    "25, 1, 2, 1 and none"

enum { MEAN, LAST, SUM };
#define READOUTS "mean|last|sum"

enum { SUBTRACT, SUBTRACT_BETA, ZERO, ZERO_FULL, NO_RESET };
#define RESETS "subtract|subtract_beta|zero|zero_full|none"

#define PI_F 3.14159265358979324f

/* The rows of a step never overlap; gcc loses `restrict` when it inlines. */
#if defined(__GNUC__) && !defined(__clang__)
#define NO_OVERLAP _Pragma("GCC ivdep")
#else
#define NO_OVERLAP
#endif

static inline float usual_slope(int surrogate, double slope)
{
    static const float standard[] = {25.0f, 2.0f, 25.0f, 1.0f, 2.0f, 1.0f, 1.0f};
    return slope > 0.0 ? (float)slope : standard[surrogate];
}

MLS_INLINE float slope_at(int surrogate, float k, float x)
{
    if (surrogate == FAST_SIGMOID) {
        const float d = 1.0f + k * fabsf(x);
        return 1.0f / (d * d);
    }
    if (surrogate == ATAN) {
        const float a = 0.5f * PI_F * k * x;
        return 0.5f * k / (1.0f + a * a);
    }
    if (surrogate == STRAIGHT_THROUGH) return 1.0f;
    if (surrogate == TRIANGLE) {
        const float d = k - k * k * fabsf(x);
        return d > 0.0f ? d : 0.0f;
    }
    if (surrogate == ERF) return 0.564189583547756287f * k * mls_expf(-k * x * k * x);
    if (surrogate == RECTANGLE) return fabsf(x) * 2.0f * k < 1.0f ? k : 0.0f;
    const float s = mls_sigmoidf(k * x);
    return k * s * (1.0f - s);
}

/* The primitive of slope_at that is 1/2 at 0. */
MLS_INLINE float smooth_step(int surrogate, float k, float x)
{
    const float y = k * x;
    if (surrogate == FAST_SIGMOID) return 0.5f + x / (1.0f + k * fabsf(x));
    if (surrogate == ATAN) return 0.5f + atanf(0.5f * PI_F * y) / PI_F;
    if (surrogate == STRAIGHT_THROUGH) return 0.5f + x;
    if (surrogate == TRIANGLE)
        return y >= 1.0f ? 1.0f : y <= -1.0f ? 0.0f : 0.5f + y - 0.5f * y * fabsf(y);
    if (surrogate == ERF) return 0.5f * erfcf(-y);
    if (surrogate == RECTANGLE) return y >= 0.5f ? 1.0f : y <= -0.5f ? 0.0f : 0.5f + y;
    return mls_sigmoidf(y);
}

/* A row of slopes; the choice stays outside the loop. */
MLS_INLINE void slope_row(int surrogate, float k, const float *restrict x,
                          float *restrict y, int64_t n)
{
#define SLOPES(kind)                                                                   \
    case kind:                                                                         \
        for (int64_t i = 0; i < n; i++) y[i] = slope_at(kind, k, x[i]);                \
        break
    switch (surrogate) {
        SLOPES(FAST_SIGMOID);
        SLOPES(ATAN);
        SLOPES(STRAIGHT_THROUGH);
        SLOPES(TRIANGLE);
        SLOPES(ERF);
        SLOPES(RECTANGLE);
    default:
        for (int64_t i = 0; i < n; i++) y[i] = slope_at(SIGMOID, k, x[i]);
    }
#undef SLOPES
}

#endif
