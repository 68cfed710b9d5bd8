/* s4d_scan.h - the two inner loops of s4d.c, for LANES channels at a time; see lanes.h.
 * An item is one sample and CHANNELS channels; MODES complex modes of each stay in
 * registers over a chunk of CHUNK steps, and only h at the borders of chunks is
 * written.
 */
#include "lanes.h"
#define BLOCKS (CHANNELS / LANES)

/* MODES modes of LANES channels: two parts of a number for each. */
typedef struct FN(pair) { VF re[MODES], im[MODES]; } FN(pair);

/* Rows 2 m and 2 m + 1 of a table of `stride` channels; 0 beyond the last mode. */
FUN void FN(take_pair)(const float *from, int64_t stride, int64_t modes, int64_t width,
                       FN(pair) *to)
{
    for (int64_t m = 0; m < MODES; m++) {
        to->re[m] = to->im[m] = (VF){ 0 };
        if (m >= modes) continue;
        to->re[m] = FN(take)(from + 2 * m * stride, width);
        to->im[m] = FN(take)(from + (2 * m + 1) * stride, width);
    }
}

FUN void FN(put_pair)(float *to, int64_t stride, int64_t modes, int64_t width,
                      const FN(pair) *x)
{
    for (int64_t m = 0; m < MODES && m < modes; m++) {
        FN(put)(to + 2 * m * stride, x->re[m], width);
        FN(put)(to + (2 * m + 1) * stride, x->im[m], width);
    }
}

/* The part of C that mod_c adds to a mode, times the hold: c + x hold. */
FUN VF FN(bent)(VF c, float x, VF hold) { return c + x * hold; }

/* h and y over one chunk.  keep [len + 1]: NULL, or filled for backward.  S, K: what
 * bends B and C, and the hold; NULL: nothing does. */
FUN void FN(advance)(int64_t len, const char *off, const VF *u, const FN(pair) *A,
                     const FN(pair) *C, const FN(pair) *K, const steer *S, FN(pair) *h,
                     VF *y, FN(pair) *keep)
{
    const FN(pair) a = *A, c = *C, hold = S ? *K : *C;
    FN(pair) s = *h;
    if (keep) keep[0] = s;
    for (int64_t t = 0; t < len; t++) {
        if (!off[t]) {
            VF sum = { 0 };
            for (int m = 0; m < MODES; m++) {
                const VF re = s.re[m], im = s.im[m];
                const VF in = S ? u[t] + u[t] * S->b[t][m] : u[t];
                s.re[m] = a.re[m] * re + (in - a.im[m] * im);
                s.im[m] = a.re[m] * im + a.im[m] * re;
                if (y && S)
                    sum += s.re[m] * FN(bent)(c.re[m], S->c[t][m], hold.re[m]) +
                           s.im[m] * FN(bent)(c.im[m], S->c[t][m], hold.im[m]);
                else if (y) sum += s.re[m] * c.re[m] + s.im[m] * c.im[m];
            }
            if (y) y[t] += sum;
        }
        if (keep) keep[t + 1] = s;
    }
    *h = s;
}

/* u of one chunk and which steps are padding. */
FUN void FN(prepare)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t e0,
                     int64_t width, char *off, VF (*u)[CHUNK])
{
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b;
        off[t] = j->mask && j->mask[at] == 0.0f;
        for (int64_t k = 0; k * LANES < width; k++)
            u[k][t] = FN(take)(j->u + at * j->H + e0 + k * LANES, width - k * LANES);
    }
}

TARGET static void FN(forward_item)(int64_t item, void *arg)
{
    const scan_job *j = arg;
    const int bends = j->mb || j->mc;
    steer S;
    const int64_t b = item / j->segments, e0 = item % j->segments * CHANNELS, H = j->H;
    const int64_t width = H - e0 < CHANNELS ? H - e0 : CHANNELS;
    VF u[BLOCKS][CHUNK], y[BLOCKS][CHUNK];
    char off[CHUNK];

    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        const float *from = scan_begin(j, chunk, b) + e0;
        float *to = (chunk + 1 < j->chunks ? (float *)scan_begin(j, chunk + 1, b)
                                           : j->h1 + b * 2 * j->M * H) + e0;
        FN(prepare)(j, t0, len, b, e0, width, off, u);
        for (int64_t k = 0; k * LANES < width; k++) {
            const int64_t c = k * LANES, n = width - c;
            const VF skip = FN(take)(j->skip + e0 + c, n);
            for (int64_t t = 0; t < len; t++) y[k][t] = skip * u[k][t];
            for (int64_t m = 0; m < j->M; m += MODES) {
                FN(pair) A, C, h;
                FN(take_pair)(j->a + 2 * m * H + e0 + c, H, j->M - m, n, &A);
                FN(take_pair)(j->c + 2 * m * H + e0 + c, H, j->M - m, n, &C);
                FN(take_pair)(from + 2 * m * H + c, H, j->M - m, n, &h);
                if (bends) {
                    FN(pair) K;
                    FN(take_pair)(j->hold + 2 * m * H + e0 + c, H, j->M - m, n, &K);
                    steer_pair(j->mb, j, t0, len, b, m, S.b);
                    steer_pair(j->mc, j, t0, len, b, m, S.c);
                    FN(advance)(len, off, u[k], &A, &C, &K, &S, &h, y[k], NULL);
                } else {
                    FN(advance)(len, off, u[k], &A, &C, NULL, NULL, &h, y[k], NULL);
                }
                FN(put_pair)(to + 2 * m * H + c, H, j->M - m, n, &h);
            }
        }
        for (int64_t t = 0; t < len; t++)
            for (int64_t k = 0; k * LANES < width; k++)
                FN(put)(j->y + ((t0 + t) * j->B + b) * H + e0 + k * LANES,
                        off[t] ? (VF){ 0 } : y[k][t], width - k * LANES);
    }
}

/* ---- Backward -------------------------------------------------------------------- */

/* gh: d loss / d h, carried; gA, gC, gK: added to.  S, K as in advance; gS [len] gets
 * the sums over channels for b of both modes, then for c. */
FUN void FN(retreat)(int64_t len, const char *off, const VF *u, const VF *dy,
                     const FN(pair) * A, const FN(pair) * C, const FN(pair) * K,
                     const steer *S, const FN(pair) * keep, FN(pair) * gh,
                     FN(pair) * gA, FN(pair) * gC, FN(pair) * gK, four *gS, VF *gu)
{
    const FN(pair) a = *A, c = *C, hold = S ? *K : *C;
    FN(pair) g = *gh, ga = *gA, gc = *gC, gk = S ? *gK : *gC;
    for (int64_t t = len - 1; t >= 0; t--) {
        if (off[t]) continue;
        const FN(pair) *was = keep + t, *is = keep + t + 1;
        const VF d = dy[t];
        VF sum = { 0 }, part[GROUP];
        for (int m = 0; m < MODES; m++) {
            const float x = S ? S->c[t][m] : 0.0f;
            const VF cre = S ? FN(bent)(c.re[m], x, hold.re[m]) : c.re[m];
            const VF cim = S ? FN(bent)(c.im[m], x, hold.im[m]) : c.im[m];
            const VF re = g.re[m] + d * cre, im = g.im[m] + d * cim;
            gc.re[m] += d * is->re[m];
            gc.im[m] += d * is->im[m];
            if (S) {
                gk.re[m] += x * d * is->re[m];
                gk.im[m] += x * d * is->im[m];
                part[m] = u[t] * re;
                part[MODES + m] = d * (is->re[m] * hold.re[m] + is->im[m] * hold.im[m]);
            }
            ga.re[m] += re * was->re[m] + im * was->im[m];
            ga.im[m] += im * was->re[m] - re * was->im[m];
            sum += S ? re + re * S->b[t][m] : re;
            g.re[m] = a.re[m] * re + a.im[m] * im;
            g.im[m] = a.re[m] * im - a.im[m] * re;
        }
        gu[t] += sum;
        if (S) gS[t] = FN(totals)(part);
    }
    *gh = g, *gA = ga, *gC = gc;
    if (S) *gK = gk;
}

/* Adds the sums of a chunk to the gradients of mod_b and mod_c. */
FUN void FN(gain_steer)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t m,
                        const char *off, const four *gS)
{
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = ((t0 + t) * j->B + b) * j->M + m;
        for (int64_t i = 0; !off[t] && i < MODES && m + i < j->M; i++) {
            if (j->gmb) j->gmb[at + i] += gS[t][i];
            if (j->gmc) j->gmc[at + i] += gS[t][MODES + i];
        }
    }
}

FUN void FN(backward_block)(const scan_job *j, int64_t chunk, int64_t len, int64_t b,
                            int64_t e, int64_t n, const char *off, const VF *u,
                            const VF *dy, VF *gu)
{
    const int64_t H = j->H, rows = 2 * j->M * H;
    const float *from = scan_begin(j, chunk, b) + e;
    const int bends = j->mb || j->mc;
    FN(pair) keep[CHUNK + 1];
    four gS[CHUNK];
    steer S;
    for (int64_t m = 0; m < j->M; m += MODES) {
        const int64_t at = 2 * m * H + e, left = j->M - m;
        FN(pair) A, C, K, h, gh, gA, gC, gK;
        FN(take_pair)(j->a + at, H, left, n, &A);
        FN(take_pair)(j->c + at, H, left, n, &C);
        FN(take_pair)(from + 2 * m * H, H, left, n, &h);
        FN(take_pair)(j->carry + b * rows + at, H, left, n, &gh);
        FN(take_pair)(j->ga + b * rows + at, H, left, n, &gA);
        FN(take_pair)(j->gc + b * rows + at, H, left, n, &gC);
        if (bends) {
            FN(take_pair)(j->hold + at, H, left, n, &K);
            FN(take_pair)(j->ghold + b * rows + at, H, left, n, &gK);
            steer_pair(j->mb, j, chunk * CHUNK, len, b, m, S.b);
            steer_pair(j->mc, j, chunk * CHUNK, len, b, m, S.c);
            FN(advance)(len, off, u, &A, &C, &K, &S, &h, NULL, keep);
            FN(retreat)(len, off, u, dy, &A, &C, &K, &S, keep, &gh, &gA, &gC, &gK, gS,
                        gu);
            FN(put_pair)(j->ghold + b * rows + at, H, left, n, &gK);
            FN(gain_steer)(j, chunk * CHUNK, len, b, m, off, gS);
        } else {
            FN(advance)(len, off, u, &A, &C, NULL, NULL, &h, NULL, keep);
            FN(retreat)(len, off, u, dy, &A, &C, NULL, NULL, keep, &gh, &gA, &gC, NULL,
                        NULL, gu);
        }
        FN(put_pair)(j->carry + b * rows + at, H, left, n, &gh);
        FN(put_pair)(j->ga + b * rows + at, H, left, n, &gA);
        FN(put_pair)(j->gc + b * rows + at, H, left, n, &gC);
    }
}

TARGET static void FN(backward_item)(int64_t item, void *arg)
{
    const scan_job *j = arg;
    const int64_t b = item / j->segments, e0 = item % j->segments * CHANNELS, H = j->H;
    const int64_t width = H - e0 < CHANNELS ? H - e0 : CHANNELS;
    VF u[BLOCKS][CHUNK], dy[CHUNK], gu[CHUNK];
    char off[CHUNK];

    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        FN(prepare)(j, t0, len, b, e0, width, off, u);
        for (int64_t k = 0; k * LANES < width; k++) {
            const int64_t e = e0 + k * LANES, n = width - k * LANES;
            const VF skip = FN(take)(j->skip + e, n);
            VF gskip = { 0 };
            for (int64_t t = 0; t < len; t++) {
                const float *gy = j->gy + ((t0 + t) * j->B + b) * H + e;
                dy[t] = (VF){ 0 };
                if (!off[t]) dy[t] = FN(take)(gy, n);
                if (!off[t]) gskip += dy[t] * u[k][t];
                gu[t] = dy[t] * skip;
            }
            FN(gain)(j->gskip + b * H + e, gskip, n);
            FN(backward_block)(j, chunk, len, b, e, n, off, u[k], dy, gu);
            for (int64_t t = 0; j->gu && t < len; t++)
                if (!off[t]) FN(gain)(j->gu + ((t0 + t) * j->B + b) * H + e, gu[t], n);
        }
    }
}

TARGET static void FN(backward_sample)(int64_t b, void *arg)
{
    const scan_job *j = arg;
    for (int64_t s = 0; s < j->segments; s++)
        FN(backward_item)(b * j->segments + s, arg);
}

#undef BLOCKS
#include "lanes_end.h"
