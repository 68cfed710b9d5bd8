/* leaky.h - the leaky membrane that several neurons have.
 *
 *   R = S[t-1]
 *   subtract       U[t] = beta U[t-1] + g I[t] - theta R
 *   subtract_beta  U[t] = beta (U[t-1] - theta R) + g I[t]
 *   zero           U[t] = beta (1 - R) U[t-1] + g I[t]
 *   zero_full      U[t] = (1 - R) (beta U[t-1] + g I[t])
 *   none           U[t] = beta U[t-1] + g I[t]
 *   S[t] = H(U[t] - theta)
 * Parameters: beta, theta, g.
 */
#ifndef MLS_PLUGINS_LEAKY_H
#define MLS_PLUGINS_LEAKY_H

#include "neuron.h"

enum { BETA, THETA, GAIN, LEAKY_PARAMS };

MLS_INLINE void neuron_drive(const plan *g, const float *const *now, float *restrict x,
                             int64_t N)
{
    const float *restrict u = now[MEMBRANE], *restrict theta = g->param + THETA * N;
    for (int64_t n = 0; n < N; n++) x[n] = u[n] - theta[n];
}

MLS_INLINE void neuron_step(const plan *g, const float *const *old,
                            const float *restrict x, float *const *now)
{
    const int64_t N = g->N;
    const int reset = g->p->reset;
    const float z = reset == ZERO || reset == ZERO_FULL, f = reset == ZERO_FULL;
    const float cut = reset == SUBTRACT, leak = reset == SUBTRACT_BETA;
    const float *restrict beta = g->param + BETA * N, *restrict th =
                                                          g->param + THETA * N;
    const float *restrict gain = g->param + GAIN * N;
    const float *restrict u = old[MEMBRANE], *restrict s = old[SPIKE];
    float *restrict y = now[MEMBRANE];
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++)
        y[n] = beta[n] * u[n] * (1.0f - z * s[n]) + gain[n] * x[n] * (1.0f - f * s[n]) -
               (cut + leak * beta[n]) * th[n] * s[n];
}

MLS_INLINE void neuron_back(const plan *g, const float *const *old,
                            const float *restrict x, const float *const *now,
                            const float *const *d, const float *restrict ddrive,
                            float *const *dold, float *restrict din, float *restrict dp)
{
    (void)now;
    const int64_t N = g->N;
    const int reset = g->p->reset;
    const float z = reset == ZERO || reset == ZERO_FULL, f = reset == ZERO_FULL;
    const float cut = reset == SUBTRACT, leak = reset == SUBTRACT_BETA;
    const float *restrict beta = g->param + BETA * N, *restrict th =
                                                          g->param + THETA * N;
    const float *restrict gain = g->param + GAIN * N;
    const float *restrict u = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict dm = d[MEMBRANE];
    float *restrict du = dold[MEMBRANE], *restrict ds = dold[SPIKE];
    float *restrict db = dp + BETA * N, *restrict dt = dp + THETA * N;
    float *restrict dg = dp + GAIN * N;
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float e = dm[n] + ddrive[n], keep = 1.0f - z * s[n],
                    pass = 1.0f - f * s[n];
        const float by = cut + leak * beta[n];
        du[n] = e * beta[n] * keep;
        ds[n] =
            -g->live * e *
            (z * beta[n] * u[n] + f * gain[n] * x[n] + (cut + leak * beta[n]) * th[n]);
        din[n] = e * gain[n] * pass;
        db[n] += e * (u[n] * keep - leak * th[n] * s[n]);
        dt[n] -= ddrive[n] + e * by * s[n];
        dg[n] += e * x[n] * pass;
    }
}

#include "neuron_scan.h"

#endif
