/* ltc_field.h - conductances of the liquid time-constant cell, and their gradients.
 *
 *   s_ij = sigmoid(sigma_ij (v_i - mu_ij))
 *   N_j += sum_i w_ij E_ij s_ij        D_j += sum_i w_ij s_ij
 *
 * Nearly all time of the cell is spent here, on exponentials.  sigmoid is 1 / (1 + 2^t),
 * t = a v + b with a = -sigma log2 e and b = sigma mu log2 e made once a call, and 2^t
 * that of mls_exp2f without its range check: |t| <= |v_i| max_j |a_ij| + max_j |b_ij| is
 * looked at once a source instead.  Parameters lie as they are read, eight neurons at a
 * time; several samples share each load.  Work is cut so that few values wait for one
 * another: forward prepares the argument of the next source beside the polynomial of
 * this one, backward fills a row of sigmoids before it uses them.
 *
 * A sample's sums run over i in order and each value is computed on its own: the bits do
 * not depend on how many samples share a call.
 */
#ifndef LIQUID_LTC_FIELD_H
#define LIQUID_LTC_FIELD_H

#include <mls/product.h>

enum { LTC_LANES = 8, LTC_MOST_ROWS = 4 };

typedef int32_t ltc_i8 __attribute__((vector_size(32), aligned(4), may_alias));
#define LTC_AT(p) (*(mls_v8 *)(p))
#define LTC_GET(p) (*(const mls_v8 *)(p))

/* P is U in whole vectors.  What lies beyond U has a, b and w of 0. */
typedef struct synapses {
    int64_t n, U, P;   /* sources, neurons, neurons with padding                     */
    float *ahead;      /* [P / 8][n][a | b | w | w E][8]                             */
    float *back;       /* [n][P / 8][a | b | E | w sigma][8]; NULL in forward        */
    float *steep, *shift; /* [n]: the largest |a| and |b| of a source                */
    float *sums;       /* [n][P / 8][sum of a's s | dN s | q | v q][8]: see below    */
} synapses;

#define LTC_LIMIT 125.0f /* of |t|, for 2^t to be a normal number */

/* Are all exponents of these sources in range?  NaN is not. */
MLS_INLINE int ltc_calm(const synapses *p, int64_t rows, const float *v, int64_t ldv)
{
    int wild = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < p->n; i++)
            wild |= !(fabsf(v[r * ldv + i]) * p->steep[i] + p->shift[i] < LTC_LIMIT);
    return !wild;
}

/* t = n + f with n whole and |f| <= 0.5: *t becomes n, as it is added to an exponent.  If
 * not calm, |t| is cut to LTC_LIMIT and NaN stays. */
#define LTC_ROUND 12582912.0f
MLS_INLINE void ltc_split(mls_v8 *t, mls_v8 *f, int calm)
{
    if (!calm) {
        const mls_v8 hi = LTC_LIMIT - (mls_v8){0};
        const ltc_i8 above = *t > hi, below = *t < -hi;
        *t = (mls_v8)((above & (ltc_i8)hi) | (below & (ltc_i8)-hi) |
                      (~(above | below) & (ltc_i8)*t));
    }
    const mls_v8 q = *t + LTC_ROUND;
    *f = *t - (q - LTC_ROUND);
    *t = (mls_v8)((ltc_i8)q << 23);
}

#define LTC_EACH(R) MLS_UNROLL(8) for (int r = 0; r < R; r++)

/* to[r] = 1 + 2^(n[r] + f[r]), all R of them stage by stage. */
#define LTC_POWER(R, n, f, to, calm)                                                   \
    LTC_EACH(R) to[r] = 1.3264722049e-3f * f[r] + 9.6715129970e-3f;                    \
    LTC_EACH(R) to[r] = to[r] * f[r] + 5.5507337604e-2f;                               \
    LTC_EACH(R) to[r] = to[r] * f[r] + 2.4022242078e-1f;                               \
    LTC_EACH(R) to[r] = to[r] * f[r] + 6.9314697759e-1f;                               \
    LTC_EACH(R) to[r] = to[r] * f[r] + 1.0f;                                           \
    if (calm)                                                                          \
        LTC_EACH(R) to[r] = 1.0f + (mls_v8)((ltc_i8)to[r] + (ltc_i8)n[r]);             \
    else /* this keeps a NaN */                                                        \
        LTC_EACH(R) to[r] = 1.0f + to[r] * (mls_v8)((ltc_i8)n[r] + 0x3f800000);

/* N, D[rows][P] += what flows at v[rows][ldv]. */
#define LTC_AHEAD(R)                                                                   \
    MLS_INLINE void ltc_ahead_##R(const synapses *s, const float *v, int64_t ldv,      \
                                  float *N, float *D, int calm)                        \
    {                                                                                  \
        const float *p = s->ahead;                                                     \
        const int64_t n = s->n, P = s->P;                                              \
        for (int64_t j = 0; j < P; j += LTC_LANES) {                                   \
            mls_v8 sum[R], by[R], f[R], whole[R], d[R];                                \
            LTC_EACH(R)                                                                \
            {                                                                          \
                sum[r] = LTC_GET(N + r * P + j);                                       \
                by[r] = LTC_GET(D + r * P + j);                                        \
                whole[r] = LTC_GET(p) * v[r * ldv] + LTC_GET(p + 8);                   \
                ltc_split(&whole[r], &f[r], calm);                                     \
            }                                                                          \
            for (int64_t i = 0; i < n; i++, p += 32) {                                 \
                const int64_t k = i + 1 < n ? i + 1 : i; /* the last: once more */     \
                const float *next = p + 32 * (k - i);                                  \
                const mls_v8 a = LTC_GET(next), b = LTC_GET(next + 8);                 \
                const mls_v8 w = LTC_GET(p + 16), wE = LTC_GET(p + 24);                \
                LTC_POWER(R, whole, f, d, calm)                                        \
                LTC_EACH(R)                                                            \
                {                                                                      \
                    whole[r] = a * v[r * ldv + k] + b;                                 \
                    ltc_split(&whole[r], &f[r], calm);                                 \
                }                                                                      \
                LTC_EACH(R)                                                            \
                {                                                                      \
                    const mls_v8 y = 1.0f / d[r];                                      \
                    sum[r] += wE * y;                                                  \
                    by[r] += w * y;                                                    \
                }                                                                      \
            }                                                                          \
            LTC_EACH(R)                                                                \
            {                                                                          \
                LTC_AT(N + r * P + j) = sum[r];                                        \
                LTC_AT(D + r * P + j) = by[r];                                         \
            }                                                                          \
        }                                                                              \
    }
LTC_AHEAD(1)
LTC_AHEAD(2)

MLS_INLINE void conduct_body(const synapses *s, int64_t rows, const float *v,
                             int64_t ldv, float *N, float *D)
{
    const int calm = ltc_calm(s, rows, v, ldv);
    const int64_t P = s->P;
    for (; rows >= 2; rows -= 2, v += 2 * ldv, N += 2 * P, D += 2 * P)
        if (calm)
            ltc_ahead_2(s, v, ldv, N, D, 1);
        else
            ltc_ahead_2(s, v, ldv, N, D, 0);
    if (rows && calm) ltc_ahead_1(s, v, ldv, N, D, 1);
    if (rows && !calm) ltc_ahead_1(s, v, ldv, N, D, 0);
}

/* ---- back ------------------------------------------------------------------------ */

/* The four sums over all evaluations from which the gradients of a synapse follow, with
 * a = dN E + dD and q = a s (1 - s):
 *
 *   dw = sum a s      dE = w sum dN s      dsigma = w (sum v q - mu sum q)
 *   dmu = -w sigma sum q                   and for the source dv = sum_j w sigma q
 *
 * y: [P][R] of scratch. */
#define LTC_BACK(R)                                                                    \
    MLS_INLINE void ltc_back_##R(const synapses *s, const float *v, int64_t ldv,       \
                                 const float *dN, const float *dD, float *dv,          \
                                 int64_t ldd, float *y, int calm)                      \
    {                                                                                  \
        const int64_t n = s->n, P = s->P, wide = P * 4;                                \
        for (int64_t i = 0; i < n; i++) {                                              \
            const float *p = s->back + i * wide;                                       \
            float *g = s->sums + i * wide, x[R];                                       \
            mls_v8 dx[R];                                                              \
            LTC_EACH(R)                                                                \
            {                                                                          \
                x[r] = v[r * ldv + i];                                                 \
                dx[r] = (mls_v8){0};                                                   \
            }                                                                          \
            for (int64_t j = 0; j < P; j += LTC_LANES) {                               \
                const mls_v8 a = LTC_GET(p + 4 * j), b = LTC_GET(p + 4 * j + 8);       \
                mls_v8 f[R], whole[R], d[R];                                           \
                LTC_EACH(R)                                                            \
                {                                                                      \
                    whole[r] = a * x[r] + b;                                           \
                    ltc_split(&whole[r], &f[r], calm);                                 \
                }                                                                      \
                LTC_POWER(R, whole, f, d, calm)                                        \
                LTC_EACH(R) LTC_AT(y + j * R + 8 * r) = 1.0f / d[r];                   \
            }                                                                          \
            for (int64_t j = 0; j < P; j += LTC_LANES) {                               \
                const mls_v8 E = LTC_GET(p + 4 * j + 16);                              \
                const mls_v8 steep = LTC_GET(p + 4 * j + 24);                          \
                float *to = g + 4 * j;                                                 \
                mls_v8 dw = LTC_GET(to), dE = LTC_GET(to + 8);                         \
                mls_v8 zero = LTC_GET(to + 16), one = LTC_GET(to + 24);                \
                LTC_EACH(R)                                                            \
                {                                                                      \
                    const mls_v8 sig = LTC_GET(y + j * R + 8 * r);                     \
                    const mls_v8 d = LTC_GET(dN + r * P + j);                          \
                    const mls_v8 as = (d * E + LTC_GET(dD + r * P + j)) * sig;         \
                    const mls_v8 q = as - as * sig;                                    \
                    dw += as;                                                          \
                    dE += d * sig;                                                     \
                    zero += q;                                                         \
                    one += x[r] * q;                                                   \
                    dx[r] += steep * q;                                                \
                }                                                                      \
                LTC_AT(to) = dw;                                                       \
                LTC_AT(to + 8) = dE;                                                   \
                LTC_AT(to + 16) = zero;                                                \
                LTC_AT(to + 24) = one;                                                 \
            }                                                                          \
            LTC_EACH(R)                                                                \
            dv[r * ldd + i] += ((dx[r][0] + dx[r][4]) + (dx[r][2] + dx[r][6])) +       \
                               ((dx[r][1] + dx[r][5]) + (dx[r][3] + dx[r][7]));        \
        }                                                                              \
    }
LTC_BACK(1)
LTC_BACK(2)
LTC_BACK(4)

/* dN, dD[rows][P]: gradients of N and D.  dv[rows][ldd] += that of v.  y: [P][4] of
 * scratch. */
MLS_INLINE void conduct_back_body(const synapses *s, int64_t rows, const float *v,
                                  int64_t ldv, const float *dN, const float *dD,
                                  float *dv, int64_t ldd, float *y)
{
    const int calm = ltc_calm(s, rows, v, ldv);
    const int64_t P = s->P;
#define LTC_ROWS(R)                                                                    \
    for (; rows >= R; rows -= R, v += R * ldv, dN += R * P, dD += R * P, dv += R * ldd) \
        if (calm)                                                                      \
            ltc_back_##R(s, v, ldv, dN, dD, dv, ldd, y, 1);                            \
        else                                                                           \
            ltc_back_##R(s, v, ldv, dN, dD, dv, ldd, y, 0);
    LTC_ROWS(4)
    LTC_ROWS(2)
    LTC_ROWS(1)
#undef LTC_ROWS
}

/* ---- one compiled version for each kind of machine ------------------------------- */

#define LTC_CONDUCT_ARGS                                                               \
    const synapses *s, int64_t rows, const float *v, int64_t ldv, float *N, float *D
#define LTC_BACK_ARGS                                                                  \
    const synapses *s, int64_t rows, const float *v, int64_t ldv, const float *dN,     \
        const float *dD, float *dv, int64_t ldd, float *y
#define LTC_BUILD(kind, target)                                                        \
    target static void conduct_##kind(LTC_CONDUCT_ARGS)                                \
    {                                                                                  \
        conduct_body(s, rows, v, ldv, N, D);                                           \
    }                                                                                  \
    target static void conduct_back_##kind(LTC_BACK_ARGS)                              \
    {                                                                                  \
        conduct_back_body(s, rows, v, ldv, dN, dD, dv, ldd, y);                        \
    }
#if defined(__x86_64__)
LTC_BUILD(avx2, MLS_AVX2)
#endif
LTC_BUILD(plain, )

static void conduct(LTC_CONDUCT_ARGS)
{
#if defined(__x86_64__)
    if (mls->isa != MLS_ISA_PLAIN) /* 16 lanes were slower: they divide no faster */
        conduct_avx2(s, rows, v, ldv, N, D);
    else
#endif
        conduct_plain(s, rows, v, ldv, N, D);
}

static void conduct_back(LTC_BACK_ARGS)
{
#if defined(__x86_64__)
    if (mls->isa != MLS_ISA_PLAIN)
        conduct_back_avx2(s, rows, v, ldv, dN, dD, dv, ldd, y);
    else
#endif
        conduct_back_plain(s, rows, v, ldv, dN, dD, dv, ldd, y);
}

#endif
