/* outer_scan.h - the two inner loops of outer.h, for LANES columns of S at a time; see
 * lanes.h.  An item walks the sequence in chunks of CHUNK steps; GROUP rows of S stay
 * in registers over a chunk, and only S at the borders of chunks is ever written.
 */
#include "lanes.h"
#define BLOCKS (CHANNELS / LANES)

/* GROUP columns of k or q over a chunk, closed up; 0 beyond the last. */
FUN void FN(columns)(const float *from, int64_t stride, int64_t len, int64_t left,
                     float (*to)[GROUP])
{
    for (int64_t t = 0; t < len; t++, from += stride) {
        if (left >= GROUP) *(four_at *)to[t] = *(const four_at *)from;
        else for (int64_t g = 0; g < GROUP; g++) to[t][g] = g < left ? from[g] : 0.0f;
    }
}

/* S and y over one chunk.  keep_s [len + 1][GROUP]: NULL, or filled for backward. */
FUN void FN(advance)(int64_t len, const float *a, const VF *x, const float (*K)[GROUP],
                     const float (*Q)[GROUP], VF *s, VF *y, VF (*keep_s)[GROUP])
{
    VF h[GROUP];
    for (int g = 0; g < GROUP; g++) h[g] = s[g];
    if (keep_s) for (int g = 0; g < GROUP; g++) keep_s[0][g] = h[g];
    for (int64_t t = 0; t < len; t++) {
        const VF in = x[t];
        VF sum = { 0 };
        if (y) sum = y[t];
        for (int g = 0; g < GROUP; g++) {
            h[g] = a[t] * h[g] + in * K[t][g];
            if (y) sum += h[g] * Q[t][g];
            if (keep_s) keep_s[t + 1][g] = h[g];
        }
        if (y) y[t] = sum;
    }
    for (int g = 0; g < GROUP; g++) s[g] = h[g];
}

/* a, g x and d x of one chunk; where masked S stays and nothing enters. */
FUN void FN(prepare)(const outer_job *j, int64_t t0, int64_t len, int64_t b,
                     const outer_unit *u, float *a, VF (*x)[CHUNK], VF (*y)[CHUNK])
{
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b, i = at * j->H + u->head;
        const int off = j->mask && j->mask[at] == 0.0f;
        const float gain = j->g && !off ? j->g[i] : 1.0f,
                    skip = j->d ? j->d[u->head] : 0.0f;
        a[t] = j->a && !off ? j->a[i] : 1.0f;
        for (int64_t k = 0; k * LANES < u->width; k++) {
            VF v = { 0 };
            if (!off)
                v = FN(take)(j->x + i * j->P + u->p0 + k * LANES, u->width - k * LANES);
            x[k][t] = gain * v;
            if (y) y[k][t] = skip * v;
        }
    }
}

FUN void FN(take_rows)(const float *from, int64_t P, int64_t rows, int64_t width, VF *s)
{
    for (int64_t g = 0; g < GROUP; g++) {
        s[g] = (VF){ 0 };
        if (g < rows) s[g] = FN(take)(from + g * P, width);
    }
}

TARGET static void FN(forward_item)(int64_t item, void *arg)
{
    const outer_job *j = arg;
    const outer_unit u = outer_unit_of(j, item % (j->H * j->cuts));
    const int64_t b = item / (j->H * j->cuts), GN = j->G * j->N, P = j->P;
    VF x[BLOCKS][CHUNK], y[BLOCKS][CHUNK];
    float a[CHUNK], K[CHUNK][GROUP], Q[CHUNK][GROUP];

    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        const int64_t row = (t0 * j->B + b) * GN + u.group * j->N;
        const float *from = outer_begin(j, chunk, b, &u);
        float *to = chunk + 1 < j->chunks
            ? (float *)outer_begin(j, chunk + 1, b, &u)
            : j->s1 + (b * j->H + u.head) * j->N * P + u.p0;
        FN(prepare)(j, t0, len, b, &u, a, x, y);
        for (int64_t n = 0; n < j->N; n += GROUP) {
            FN(columns)(j->k + row + n, j->B * GN, len, j->N - n, K);
            FN(columns)(j->q + row + n, j->B * GN, len, j->N - n, Q);
            for (int64_t k = 0; k * LANES < u.width; k++) {
                const int64_t c = k * LANES, width = u.width - c;
                VF s[GROUP];
                FN(take_rows)(from + n * P + c, P, j->N - n, width, s);
                FN(advance)(len, a, x[k], K, Q, s, y[k], NULL);
                for (int64_t g = 0; g < GROUP && n + g < j->N; g++)
                    FN(put)(to + (n + g) * P + c, s[g], width);
            }
        }
        for (int64_t t = 0; t < len; t++) {
            const int64_t at = (t0 + t) * j->B + b;
            const int off = j->mask && j->mask[at] == 0.0f;
            float *out = j->y + (at * j->H + u.head) * P + u.p0;
            for (int64_t k = 0; k * LANES < u.width; k++)
                FN(put)
                (out + k * LANES, off ? (VF){ 0 } : y[k][t], u.width - k * LANES);
        }
    }
}

/* ---- Backward -------------------------------------------------------------------- */

/* What one chunk's walk in reverse reads and adds to. */
typedef struct FN(reverse) {
    const float *a;
    const VF *x, *dy;
    const float (*K)[GROUP], (*Q)[GROUP];
    VF (*s)[GROUP], (*gK)[GROUP], (*gQ)[GROUP];
    VF *gx, *ga;
} FN(reverse);

FUN void FN(retreat)(int64_t len, const FN(reverse) *r, VF *carry)
{
    VF gs[GROUP];
    for (int g = 0; g < GROUP; g++) gs[g] = carry[g];
    for (int64_t t = len - 1; t >= 0; t--) {
        const VF x = r->x[t], dy = r->dy[t];
        VF gx = r->gx[t], ga = r->ga[t];
        for (int g = 0; g < GROUP; g++) {
            const VF now = gs[g] + dy * r->Q[t][g];
            r->gQ[t][g] += dy * r->s[t + 1][g];
            r->gK[t][g] += now * x;
            gx += now * r->K[t][g];
            ga += now * r->s[t][g];
            gs[g] = now * r->a[t];
        }
        r->gx[t] = gx;
        r->ga[t] = ga;
    }
    for (int g = 0; g < GROUP; g++) carry[g] = gs[g];
}

FUN float FN(total)(VF x)
{
    float s[LANES], sum = 0.0f;
    FN(save)(s, x);
    for (int l = 0; l < LANES; l++) sum += s[l];
    return sum;
}

/* The gradients of x, a, g and d of one chunk of a unit. */
FUN void FN(finish)(const outer_job *j, int64_t t0, int64_t len, int64_t b,
                    const outer_unit *u, VF (*dy)[CHUNK], VF (*gx)[CHUNK], const VF *ga)
{
    const float skip = j->d ? j->d[u->head] : 0.0f;
    VF gd = { 0 };
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b, i = at * j->H + u->head;
        const float gain = j->g ? j->g[i] : 1.0f;
        VF gg = { 0 };
        if (j->mask && j->mask[at] == 0.0f) continue;
        for (int64_t k = 0; k * LANES < u->width; k++) {
            const int64_t n = u->width - k * LANES, c = i * j->P + u->p0 + k * LANES;
            const VF x = FN(take)(j->x + c, n);
            gg += gx[k][t] * x;
            gd += dy[k][t] * x;
            if (j->gx) FN(gain)(j->gx + c, gx[k][t] * gain + dy[k][t] * skip, n);
        }
        if (j->gg) j->gg[i] += FN(total)(gg);
        if (j->ga) j->ga[i] += FN(total)(ga[t]);
    }
    j->gd_part[b * j->H + u->head] += FN(total)(gd);
}

/* Adds the sums over columns of S to GROUP columns of the gradient of k or q. */
FUN void FN(columns_back)(const VF (*part)[GROUP], int64_t len, int64_t left, float *to,
                          int64_t stride)
{
    for (int64_t t = 0; t < len; t++, to += stride) {
        const four sum = FN(totals)(part[t]);
        for (int64_t g = 0; g < GROUP && g < left; g++) to[g] += sum[g];
    }
}

FUN void FN(backward_unit)(const outer_job *j, int64_t chunk, int64_t b,
                           const outer_unit *u)
{
    const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
    const int64_t GN = j->G * j->N, P = j->P,
                  row = (t0 * j->B + b) * GN + u->group * j->N;
    const float *from = outer_begin(j, chunk, b, u);
    float *carry = j->carry + (b * j->H + u->head) * j->N * P + u->p0;
    VF x[BLOCKS][CHUNK], dy[BLOCKS][CHUNK], gx[BLOCKS][CHUNK], ga[CHUNK];
    VF keep_s[CHUNK + 1][GROUP], gK[CHUNK][GROUP], gQ[CHUNK][GROUP];
    float a[CHUNK], K[CHUNK][GROUP], Q[CHUNK][GROUP];

    FN(prepare)(j, t0, len, b, u, a, x, NULL);
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b;
        ga[t] = (VF){ 0 };
        for (int64_t k = 0; k * LANES < u->width; k++) {
            dy[k][t] = gx[k][t] = (VF){ 0 };
            if (!j->mask || j->mask[at] != 0.0f)
                dy[k][t] =
                    FN(take)(j->gy + (at * j->H + u->head) * P + u->p0 + k * LANES,
                             u->width - k * LANES);
        }
    }
    for (int64_t n = 0; n < j->N; n += GROUP) {
        FN(columns)(j->k + row + n, j->B * GN, len, j->N - n, K);
        FN(columns)(j->q + row + n, j->B * GN, len, j->N - n, Q);
        memset(gK, 0, sizeof gK[0] * (size_t)len);
        memset(gQ, 0, sizeof gQ[0] * (size_t)len);
        for (int64_t k = 0; k * LANES < u->width; k++) {
            const int64_t c = k * LANES, width = u->width - c;
            const FN(reverse) r = { a, x[k], dy[k], K, Q, keep_s, gK, gQ, gx[k], ga };
            VF s[GROUP];
            FN(take_rows)(from + n * P + c, P, j->N - n, width, s);
            FN(advance)(len, a, x[k], K, Q, s, NULL, keep_s);
            FN(take_rows)(carry + n * P + c, P, j->N - n, width, s);
            FN(retreat)(len, &r, s);
            for (int64_t g = 0; g < GROUP && n + g < j->N; g++)
                FN(put)(carry + (n + g) * P + c, s[g], width);
        }
        if (j->gk)
            FN(columns_back)
            ((const VF(*)[GROUP])gK, len, j->N - n, j->gk + row + n, j->B * GN);
        if (j->gq)
            FN(columns_back)
            ((const VF(*)[GROUP])gQ, len, j->N - n, j->gq + row + n, j->B * GN);
    }
    FN(finish)(j, t0, len, b, u, dy, gx, ga);
}

/* One sample, one group: its heads add to the same k and q. */
TARGET static void FN(backward_item)(int64_t item, void *arg)
{
    const outer_job *j = arg;
    const int64_t b = item / j->G, per = j->H / j->G * j->cuts,
                  first = item % j->G * per;
    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--)
        for (int64_t i = first; i < first + per; i++) {
            const outer_unit u = outer_unit_of(j, i);
            FN(backward_unit)(j, chunk, b, &u);
        }
}

#undef BLOCKS
#include "lanes_end.h"
