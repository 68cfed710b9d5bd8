/* ltc_field.h - conductances of the liquid time-constant cell, and their gradients.
 *
 *   s_ij = sigmoid(sigma_ij (v_i - mu_ij))
 *   N_j += sum_i w_ij E_ij s_ij        D_j += sum_i w_ij s_ij
 */
#ifndef LIQUID_LTC_FIELD_H
#define LIQUID_LTC_FIELD_H

#include <mls/kernel.h>

typedef struct synapses { /* all [n][U]                                   */
    int64_t n, U;         /* sources, neurons                             */
    const float *sigma, *mu, *E;
    const float *w, *wE;           /* positive and masked; its product with E      */
    float *dsigma, *dmu, *dE, *dw; /* gradients to add to, of w as it stands here  */
} synapses;

MLS_INLINE void conduct(const synapses *p, const float *restrict v, float *restrict N,
                        float *restrict D)
{
    const int64_t U = p->U;
    for (int64_t i = 0; i < p->n; i++) {
        const float *restrict sigma = p->sigma + i * U, *restrict mu = p->mu + i * U;
        const float *restrict w = p->w + i * U, *restrict wE = p->wE + i * U;
        const float x = v[i];
        for (int64_t j = 0; j < U; j++) {
            const float s = mls_sigmoidf(sigma[j] * (x - mu[j]));
            N[j] += wE[j] * s;
            D[j] += w[j] * s;
        }
    }
}

/* Sum of x[n] in an order that does not depend on the vector width. */
MLS_INLINE float sum_of(int64_t n, const float *restrict x)
{
    float lane[16] = {0.0f}, sum = 0.0f;
    int64_t j = 0;
    for (; j + 16 <= n; j += 16)
        for (int l = 0; l < 16; l++) lane[l] += x[j + l];
    for (; j < n; j++) sum += x[j];
    for (int l = 0; l < 16; l++) sum += lane[l];
    return sum;
}

/* dN, dD: gradients of N and D.  dv[n] += that of v.  row: [U] of scratch. */
MLS_INLINE void conduct_back(const synapses *p, const float *restrict v,
                             const float *restrict dN, const float *restrict dD,
                             float *restrict dv, float *restrict row)
{
    const int64_t U = p->U;
    for (int64_t i = 0; i < p->n; i++) {
        const float *restrict sigma = p->sigma + i * U, *restrict mu = p->mu + i * U;
        const float *restrict w = p->w + i * U, *restrict E = p->E + i * U;
        float *restrict dsigma = p->dsigma + i * U, *restrict dmu = p->dmu + i * U;
        float *restrict dw = p->dw + i * U, *restrict dE = p->dE + i * U;
        const float x = v[i];
        for (int64_t j = 0; j < U; j++) {
            const float s = mls_sigmoidf(sigma[j] * (x - mu[j]));
            const float a = dN[j] * E[j] + dD[j];
            const float g = a * w[j] * s * (1.0f - s);
            dw[j] += a * s;
            dE[j] += dN[j] * w[j] * s;
            dsigma[j] += g * (x - mu[j]);
            row[j] = g * sigma[j];
            dmu[j] -= row[j];
        }
        dv[i] += sum_of(U, row);
    }
}

#endif
