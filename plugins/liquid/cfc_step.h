/* cfc_step.h - one step of one sample of the closed-form cell, from the sums of its
 * heads to the new state, and back.  r = dt / tau is the step length in time constants.
 *
 *   default  h = f1 (1 - s) + f2 s        f1, f2 = squash of the first two sums
 *   no_gate  h = f1 + f2 s                s = sigmoid(a r + b) of the other two
 *   pure     h = A - A g exp(-r (|w_tau| + |g|))           g = the only sum
 */
#ifndef LIQUID_CFC_STEP_H
#define LIQUID_CFC_STEP_H

#include <math.h>

#include "activation.h"

enum { CFC_DEFAULT, CFC_PURE, CFC_NO_GATE };

typedef struct cfc_kind {
    int64_t H, N; /* units; sums of a sample: heads * H                          */
    int mode;
    int heads;     /* pure: 1; else f1 | f2 | a | b, or 3 with a + b when r is 1  */
    float in, out; /* squash is out tanh(in .)                                    */
} cfc_kind;

/* Step length of unit j. */
MLS_INLINE float cfc_rate(float dt, const float *restrict tau, int64_t j)
{
    return tau ? dt / tau[j] : dt;
}

/* f[N] becomes squashed values and the gate; y may not be f.  pure leaves f as it is.
 */
MLS_INLINE void cfc_step(const cfc_kind *p, float *restrict f, float dt,
                         const float *restrict tau, const float *restrict w_tau,
                         const float *restrict A, float *restrict y)
{
    const int64_t H = p->H;
    const float in = p->in, out = p->out, keep = p->mode == CFC_NO_GATE ? 0.0f : 1.0f;
    if (p->mode == CFC_PURE) {
        for (int64_t j = 0; j < H; j++) {
            const float g = f[j];
            const float e =
                mls_expf(-cfc_rate(dt, tau, j) * (fabsf(w_tau[j]) + fabsf(g)));
            y[j] = A[j] - A[j] * e * g;
        }
        return;
    }
    float *restrict f2 = f + H, *restrict s = f + p->N - H;
    const float *restrict a = f2 + H;
    if (tau)
        for (int64_t j = 0; j < H; j++) s[j] += a[j] * (dt / tau[j]);
    else if (p->heads == 4)
        for (int64_t j = 0; j < H; j++) s[j] += a[j] * dt;
    for (int64_t j = 0; j < H; j++) {
        f[j] = out * mls_tanhf(in * f[j]);
        f2[j] = out * mls_tanhf(in * f2[j]);
        s[j] = mls_sigmoidf(s[j]);
        y[j] = f[j] + s[j] * (f2[j] - keep * f[j]);
    }
}

/* dy[H] is the gradient of y; writes df[N], adds to those that are not NULL and to what
 * is returned, the gradient of dt. */
MLS_INLINE float cfc_pure_back(const cfc_kind *p, const float *restrict f, float dt,
                               const float *restrict tau, const float *restrict w_tau,
                               const float *restrict A, const float *restrict dy,
                               float *restrict df, float *restrict dtau,
                               float *restrict dw, float *restrict dA)
{
    float sum = 0.0f;
    for (int64_t j = 0; j < p->H; j++) {
        const float g = f[j], w = w_tau[j], r = cfc_rate(dt, tau, j);
        const float k = fabsf(w) + fabsf(g), e = mls_expf(-r * k);
        const float slope = dy[j] * A[j] * e * g; /* of -r k, negated */
        df[j] = -dy[j] * A[j] * e * (1.0f - r * fabsf(g));
        dw[j] += w == 0.0f ? 0.0f : slope * (w < 0.0f ? -r : r);
        dA[j] += dy[j] * (1.0f - e * g);
        sum += slope * k / (tau ? tau[j] : 1.0f);
        if (dtau) dtau[j] -= slope * k * r / tau[j];
    }
    return sum;
}

MLS_INLINE float cfc_step_back(const cfc_kind *p, const float *restrict f, float dt,
                               const float *restrict tau, const float *restrict dy,
                               float *restrict df, float *restrict dtau)
{
    const int64_t H = p->H;
    const float scale = p->in * p->out, r = 1.0f / p->out;
    const float keep = p->mode == CFC_NO_GATE ? 0.0f : 1.0f;
    const float *restrict f2 = f + H, *restrict a = f2 + H, *restrict s = f + p->N - H;
    float *restrict d2 = df + H, *restrict da = d2 + H, *restrict ds = df + p->N - H;
    for (int64_t j = 0; j < H; j++) {
        const float g = dy[j];
        df[j] = g * (1.0f - keep * s[j]) * scale * (1.0f - (r * f[j]) * (r * f[j]));
        d2[j] = g * s[j] * scale * (1.0f - (r * f2[j]) * (r * f2[j]));
        ds[j] = g * (f2[j] - keep * f[j]) * s[j] * (1.0f - s[j]);
    }
    if (p->heads == 3) return 0.0f;
    float sum = 0.0f;
    for (int64_t j = 0; j < H; j++) {
        const float rate = tau ? 1.0f / tau[j] : 1.0f;
        da[j] = ds[j] * dt * rate;
        sum += ds[j] * a[j] * rate;
        if (dtau) dtau[j] -= ds[j] * a[j] * dt * rate * rate;
    }
    return sum;
}

#endif
