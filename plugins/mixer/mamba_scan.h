/* mamba_scan.h - the selective scan's two inner loops, for LANES channels at a time.
 *
 * mamba.c includes this file once for each instruction set, with what lanes.h asks for.
 *
 * One item is one sample and CHANNELS channels.  It walks the sequence in chunks of
 * CHUNK steps, so that all it touches stays in the first two caches; of the states h
 * only those at the borders of chunks are ever written to memory.  Arrays of a chunk
 * are SPAN steps wide: with a power of two the blocks would fall on the same few lines.
 */

#include "lanes.h"
#include "wide.h"
#define BLOCKS (CHANNELS / LANES)   /* whole WIDEs */

/* ---- Tables in the scan's own layout: [block][n][lane] --------------------------- */

#include "mamba_conv.h"

/* A log2(e) = -exp(A_log) log2(e); 0 in padding, where h then stays 0. */
TARGET static void FN(rates)(const scan_job *j)
{
    float bound = 0.0f;
    for (int64_t k = 0; k < j->blocks; k++)
        for (int64_t n = 0; n < j->padded; n++) {
            const int64_t e = k * LANES, w = j->E - e;
            float a[LANES] = { 0 }, *to = j->rate + (k * j->padded + n) * LANES;
            for (int l = 0; l < LANES && l < w && n < j->N; l++)
                a[l] = j->a_log[(e + l) * j->N + n];
            for (int l = 0; l < LANES; l++) a[l] = -mls_expf(a[l]) * MLS_LOG2E;
            for (int l = 0; l < LANES; l++) to[l] = l < w && n < j->N ? a[l] : 0.0f;
            for (int l = 0; l < LANES; l++) bound = -to[l] > bound ? -to[l] : bound;
        }
    *j->fastest = bound;
}

/* [E][N] of one sample <-> one block of [n][lane]; from NULL: zeros. */
FUN void FN(gather)(const scan_job *j, const float *from, int64_t e, float *to)
{
    for (int64_t n = 0; n < j->padded; n++)
        for (int64_t l = 0; l < LANES; l++)
            to[n * LANES + l] = from && n < j->N && e + l < j->E ? from[(e + l) * j->N + n]
                                                                 : 0.0f;
}

FUN void FN(scatter)(const scan_job *j, const float *from, int64_t e, float *to, int add)
{
    for (int64_t l = 0; l < LANES && e + l < j->E; l++)
        for (int64_t n = 0; n < j->N; n++) {
            float *at = to + (e + l) * j->N + n;
            *at = from[n * LANES + l] + (add ? *at : 0.0f);
        }
}

FUN float *FN(edge)(const scan_job *j, float *base, int64_t chunk, int64_t b, int64_t block)
{
    return base + ((chunk * j->B + b) * j->blocks + block) * j->padded * LANES;
}

/* Steps [t0, t0 + len) of GROUP columns of B and C of sample b, closed up: their rows
 * lie B * N apart, which would keep landing in the same few lines of the cache. */
FUN void FN(columns)(const scan_job *j, const float *from, int64_t t0, int64_t len,
                     int64_t b, int64_t n0, float (*to)[GROUP])
{
    for (int64_t t = 0; t < len; t++)
        for (int64_t g = 0; g < GROUP; g++)
            to[t][g] = n0 + g < j->N ? from[((t0 + t) * j->B + b) * j->N + n0 + g] : 0.0f;
}

FUN int FN(masked)(const scan_job *j, int64_t t, int64_t b)
{
    return j->mask && j->mask[t * j->B + b] == 0.0f;
}

/* ---- Forward --------------------------------------------------------------------- */

/* a = exp(dt A) of one chunk for GROUP states of LANES channels.  `safe`: dt A may be
 * below -126.  A pass of its own, since its constants fill the registers. */
FUN void FN(decay)(int rule, int safe, int64_t len, const VF *dt, const float *rate,
                   VF (*a)[GROUP])
{
    VF A[GROUP];
    for (int g = 0; g < GROUP; g++) A[g] = FN(load)(rate + g * LANES);
    for (int64_t t = 0; t < len; t++)
        for (int g = 0; g < GROUP; g++) {
            const VF x = dt[t] * A[g];
            if (rule == BILINEAR) a[t][g] = 2.0f / (1.0f - x * (0.5f * MLS_LN2)) - 1.0f;
            else a[t][g] = safe ? FN(pow2_low)(x) : FN(pow2)(x);
        }
}

FUN void FN(decay_any)(int rule, int safe, int64_t len, const VF *dt, const float *rate,
                       VF (*a)[GROUP])
{
    if (rule == BILINEAR) FN(decay)(BILINEAR, 1, len, dt, rate, a);
    else if (safe) FN(decay)(EULER, 1, len, dt, rate, a);
    else FN(decay)(EULER, 0, len, dt, rate, a);
}

/* h and y over one chunk for GROUP states of LANES channels.  keep_h [len + 1]: NULL, or
 * filled for backward. */
FUN void FN(advance)(int rule, int64_t len, const VF *dt, const VF *du,
                     const float (*B)[GROUP], const float (*C)[GROUP], const float *rate,
                     const VF (*a)[GROUP], VF *h, VF *y, VF (*keep_h)[GROUP])
{
    VF A[GROUP], s[GROUP];
    for (int g = 0; g < GROUP; g++) A[g] = FN(load)(rate + g * LANES), s[g] = h[g];
    if (keep_h) for (int g = 0; g < GROUP; g++) keep_h[0][g] = s[g];
    for (int64_t t = 0; t < len; t++) {
        const VF q = du[t];
        VF sum = y[t];
        for (int g = 0; g < GROUP; g++) {
            VF in = q;
            if (rule == BILINEAR) in = q / (1.0f - dt[t] * A[g] * (0.5f * MLS_LN2));
            if (rule == ZOH) in = q * FN(phi)(dt[t] * A[g] * MLS_LN2, a[t][g]);
            s[g] = a[t][g] * s[g] + in * B[t][g];
            sum += s[g] * C[t][g];
            if (keep_h) keep_h[t + 1][g] = s[g];
        }
        y[t] = sum;
    }
    for (int g = 0; g < GROUP; g++) h[g] = s[g];
}

FUN void FN(advance_any)(int rule, int64_t len, const VF *dt, const VF *du,
                         const float (*B)[GROUP], const float (*C)[GROUP],
                         const float *rate, const VF (*a)[GROUP], VF *h, VF *y,
                         VF (*keep_h)[GROUP])
{
    if (rule == ZOH) FN(advance)(ZOH, len, dt, du, B, C, rate, a, h, y, keep_h);
    else if (rule == BILINEAR)
        FN(advance)(BILINEAR, len, dt, du, B, C, rate, a, h, y, keep_h);
    else FN(advance)(EULER, len, dt, du, B, C, rate, a, h, y, keep_h);
}

/* dt = softplus(raw), dt u and D u of one chunk, 0 where masked, and the slope of dt,
 * unless that is NULL; returns 1 when dt A may leave the range in which exp2 needs no checks. */
FUN int FN(prepare)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t e0,
                    int64_t width, VF (*dt)[SPAN], VF (*du)[SPAN], VF (*y)[SPAN],
                    VF (*slope)[SPAN])
{
    VF most[WIDE] = { 0 };
    for (int64_t t = 0; t < len; t++) {
        const int64_t row = ((t0 + t) * j->B + b) * j->E + e0;
        const int off = FN(masked)(j, t0 + t, b);
        FN(ahead)(j->u + row, j->B * j->E, width, 0);
        FN(ahead)(j->raw + row, j->B * j->E, width, 0);
        for (int64_t k = 0; k * LANES < width; k += WIDE) {
            const int64_t c = k * LANES, n = width - c;
            VF u[WIDE], raw[WIDE], D[WIDE], e[WIDE], d[WIDE];
            if (off) {
                EACH dt[k + i][t] = du[k + i][t] = y[k + i][t] = (VF){ 0 };
                continue;
            }
            FN(take_wide)(j->u + row + c, n, u);
            FN(take_wide)(j->raw + row + c, n, raw);
            FN(take_wide)(j->skip + e0 + c, n, D);
            FN(fade_wide)(raw, e);
            FN(softplus_wide)(raw, e, d);
            if (slope) EACH slope[k + i][t] = FN(sigmoid_of)(raw[i], e[i]);
            EACH dt[k + i][t] = d[i];
            EACH du[k + i][t] = d[i] * u[i];
            EACH y[k + i][t] = D[i] * u[i];
            EACH most[i] = FN(pick)((VI)(d[i] > most[i]), d[i], most[i]);
        }
    }
    float top = 0.0f;
    EACH for (int l = 0; l < LANES; l++) top = most[i][l] > top ? most[i][l] : top;
    return !(top * *j->fastest <= 125.0f);
}

/* out = y silu(z) of one chunk. */
FUN void FN(gate)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t e0,
                  int64_t width, const VF (*y)[SPAN])
{
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b;
        float *out = j->out + at * j->E + e0;
        FN(ahead)(j->z + at * j->zs + e0, j->B * j->zs, width, 0);
        FN(ahead)(out, j->B * j->E, width, 1);
        if (FN(masked)(j, t0 + t, b)) {
            memset(out, 0, (size_t)width * sizeof *out);
            continue;
        }
        for (int64_t k = 0; k * LANES < width; k += WIDE) {
            const int64_t c = k * LANES, n = width - c;
            VF z[WIDE], s[WIDE];
            FN(take_wide)(j->z + at * j->zs + e0 + c, n, z);
            FN(sigmoid_wide)(z, s);
            EACH s[i] *= y[k + i][t] * z[i];
            FN(give_wide)(out + c, s, n, 0);
        }
    }
}

/* A block's states over one chunk for GROUP of them, from the border before it. */
FUN void FN(cross)(const scan_job *j, int64_t chunk, int64_t len, int64_t b, int64_t block,
                   int64_t n, int safe, const VF *dt, const VF *du,
                   const float (*B)[GROUP], const float (*C)[GROUP], VF (*a)[GROUP], VF *y)
{
    const int ends = chunk + 1 == j->chunks;
    const float *at = FN(edge)(j, j->border, chunk, b, block) + n * LANES;
    const float *rate = j->rate + (block * j->padded + n) * LANES;
    float last[GROUP * LANES];
    float *to = ends ? last : FN(edge)(j, j->border, chunk + 1, b, block) + n * LANES;
    VF h[GROUP];
    for (int g = 0; g < GROUP; g++) h[g] = FN(load)(at + g * LANES);
    FN(decay_any)(j->rule, safe, len, dt, rate, a);
    FN(advance_any)(j->rule, len, dt, du, B, C, rate, a, h, y, NULL);
    for (int g = 0; g < GROUP; g++) FN(save)(to + g * LANES, h[g]);
    const int64_t e = block * LANES;
    for (int64_t l = 0; ends && l < LANES && e + l < j->E; l++)
        for (int64_t g = 0; g < GROUP && n + g < j->N; g++)
            j->h1[(b * j->E + e + l) * j->N + n + g] = last[g * LANES + l];
}

TARGET static void FN(forward_item)(int64_t item, void *arg)
{
    const scan_job *j = arg;
    const int64_t b = item / j->segments, e0 = item % j->segments * CHANNELS;
    const int64_t width = j->E - e0 < CHANNELS ? j->E - e0 : CHANNELS, k0 = e0 / LANES;
    VF dt[BLOCKS][SPAN], du[BLOCKS][SPAN], y[BLOCKS][SPAN], a[CHUNK][GROUP];
    float B[GROUPS][CHUNK][GROUP], C[GROUPS][CHUNK][GROUP];

    for (int64_t k = 0; k * LANES < width; k++)
        FN(gather)(j, j->h0 + b * j->E * j->N, e0 + k * LANES,
                   FN(edge)(j, j->border, 0, b, k0 + k));
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        const int safe = FN(prepare)(j, t0, len, b, e0, width, dt, du, y, NULL);
        for (int64_t n0 = 0; n0 < j->padded; n0 += GROUPS * GROUP) {
            const int64_t groups = parts(j->padded - n0, GROUP) < GROUPS
                                       ? parts(j->padded - n0, GROUP) : GROUPS;
            for (int64_t m = 0; m < groups; m++) {
                FN(columns)(j, j->bm, t0, len, b, n0 + m * GROUP, B[m]);
                FN(columns)(j, j->cm, t0, len, b, n0 + m * GROUP, C[m]);
            }
            for (int64_t k = 0; k * LANES < width; k++)
                for (int64_t m = 0; m < groups; m++)
                    FN(cross)(j, chunk, len, b, k0 + k, n0 + m * GROUP, safe, dt[k],
                              du[k], B[m], C[m], a, y[k]);
        }
        FN(gate)(j, t0, len, b, e0, width, y);
    }
}

/* ---- Backward -------------------------------------------------------------------- */

/* What one chunk's walk in reverse reads and adds to, for LANES channels. */
typedef struct FN(reverse) {
    const VF *dt, *du, *dy;
    const float (*B)[GROUP], (*C)[GROUP];
    const float *rate;
    VF (*h)[GROUP], (*a)[GROUP], (*gB)[GROUP], (*gC)[GROUP];
    VF *gdt, *gdu;          /* gdt in units of 1 / ln 2                              */
    float *carry, *gA;      /* [GROUP][LANES] d loss / d h, and d loss / d A         */
} FN(reverse);

FUN void FN(retreat)(int rule, int64_t len, const FN(reverse) *r)
{
    VF A[GROUP], gh[GROUP], gA[GROUP];
    for (int g = 0; g < GROUP; g++) {
        A[g] = FN(load)(r->rate + g * LANES);
        gh[g] = FN(load)(r->carry + g * LANES);
        gA[g] = (VF){ 0 };
    }
    for (int64_t t = len - 1; t >= 0; t--) {
        const VF d = r->dt[t], q = r->du[t], dy = r->dy[t];
        VF gd = r->gdt[t], gq = r->gdu[t];
        for (int g = 0; g < GROUP; g++) {
            const VF a = r->a[t][g], now = gh[g] + dy * r->C[t][g];
            VF gx = now * a * r->h[t][g];
            r->gC[t][g] += dy * r->h[t + 1][g];
            if (rule == BILINEAR) {
                const VF w = 1.0f / (1.0f - d * A[g] * (0.5f * MLS_LN2)), w2 = w * w;
                r->gB[t][g] += now * w * q;
                gq += now * w * r->B[t][g];
                gx = now * w2 * (r->h[t][g] + 0.5f * q * r->B[t][g]);
            } else if (rule == ZOH) {
                const VF x = d * A[g] * MLS_LN2, phi = FN(phi)(x, a);
                r->gB[t][g] += now * phi * q;
                gq += now * phi * r->B[t][g];
                gx += now * q * r->B[t][g] * FN(phi_slope)(x, a, phi);
            } else {
                r->gB[t][g] += now * q;
                gq += now * r->B[t][g];
            }
            gd += gx * A[g];
            gA[g] += gx * d;
            gh[g] = now * a;
        }
        r->gdt[t] = gd;
        r->gdu[t] = gq;
    }
    for (int g = 0; g < GROUP; g++) {
        FN(save)(r->carry + g * LANES, gh[g]);
        FN(save)(r->gA + g * LANES, FN(load)(r->gA + g * LANES) + gA[g]);
    }
}

/* dy = d loss / d y of one chunk, and what y is to be multiplied by for that of z. */
FUN void FN(ungate)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t e0,
                    int64_t width, VF (*dy)[SPAN], VF (*gdt)[SPAN], VF (*gdu)[SPAN],
                    VF (*gate)[SPAN])
{
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b;
        const int off = FN(masked)(j, t0 + t, b);
        FN(ahead)(j->z + at * j->zs + e0, j->B * j->zs, width, 0);
        FN(ahead)(j->gout + at * j->E + e0, j->B * j->E, width, 0);
        for (int64_t k = 0; k * LANES < width; k += WIDE) {
            const int64_t c = e0 + k * LANES, n = width - k * LANES;
            VF z[WIDE], g[WIDE], s[WIDE];
            EACH dy[k + i][t] = gdt[k + i][t] = gdu[k + i][t] = (VF){ 0 };
            if (off) continue;
            FN(take_wide)(j->z + at * j->zs + c, n, z);
            FN(take_wide)(j->gout + at * j->E + c, n, g);
            FN(sigmoid_wide)(z, s);
            EACH g[i] *= s[i];
            EACH dy[k + i][t] = g[i] * z[i];
            EACH gate[k + i][t] = g[i] * (1.0f + z[i] * (1.0f - s[i]));
        }
    }
}

/* The gradients of u, raw, z and D of one chunk, once those of dt and dt u are whole. */
FUN void FN(finish)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t e0,
                    int64_t width, VF (*dt)[SPAN], VF (*dy)[SPAN], VF (*y)[SPAN],
                    VF (*gdt)[SPAN], VF (*gdu)[SPAN], VF (*slope)[SPAN],
                    VF (*gate)[SPAN], VF *gD)
{
    const size_t bytes = (size_t)width * sizeof(float);
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b;
        float *gz = j->gz ? j->gz + at * j->zs + e0 : NULL;
        float *gu = j->gu ? j->gu + at * j->E + e0 : NULL;
        float *graw = j->graw ? j->graw + at * j->E + e0 : NULL;
        /* the half of x | z that this op leaves alone */
        if (gz && !j->add_z) memset(gz - j->E, 0, bytes);
        FN(ahead)(gz, j->B * j->zs, width, 1);
        FN(ahead)(gu, j->B * j->E, width, 1);
        FN(ahead)(graw, j->B * j->E, width, 1);
        if (FN(masked)(j, t0 + t, b)) {
            if (gz && !j->add_z) memset(gz, 0, bytes);
            if (gu && !j->add_u) memset(gu, 0, bytes);
            if (graw && !j->add_raw) memset(graw, 0, bytes);
            continue;
        }
        for (int64_t k = 0, c = 0; c < width; k += WIDE, c += WIDE * LANES) {
            const int64_t n = width - c;
            VF u[WIDE], D[WIDE], v[WIDE];
            FN(take_wide)(j->u + at * j->E + e0 + c, n, u);
            FN(take_wide)(j->skip + e0 + c, n, D);
            EACH v[i] = gate[k + i][t] * y[k + i][t];
            if (gz) FN(give_wide)(gz + c, v, n, j->add_z);
            EACH v[i] = gdu[k + i][t] * dt[k + i][t] + dy[k + i][t] * D[i];
            if (gu) FN(give_wide)(gu + c, v, n, j->add_u);
            EACH v[i] = (gdt[k + i][t] * MLS_LN2 + gdu[k + i][t] * u[i]) * slope[k + i][t];
            if (graw) FN(give_wide)(graw + c, v, n, j->add_raw);
            EACH gD[k + i] += dy[k + i][t] * u[i];
        }
    }
}

TARGET static void FN(backward_item)(int64_t item, void *arg)
{
    const scan_job *j = arg;
    const int64_t b = item / j->segments, s = item % j->segments, e0 = s * CHANNELS;
    const int64_t width = j->E - e0 < CHANNELS ? j->E - e0 : CHANNELS, k0 = e0 / LANES;
    VF dt[BLOCKS][SPAN], du[BLOCKS][SPAN], y[BLOCKS][SPAN], dy[BLOCKS][SPAN];
    VF gdt[BLOCKS][SPAN], gdu[BLOCKS][SPAN], slope[BLOCKS][SPAN], gate[BLOCKS][SPAN];
    VF keep_h[CHUNK + 1][GROUP], keep_a[CHUNK][GROUP], gB[CHUNK][GROUP], gC[CHUNK][GROUP];
    VF gD[BLOCKS] = { 0 };
    float B[CHUNK][GROUP], C[CHUNK][GROUP];

    for (int64_t k = 0; k * LANES < width; k++) {
        FN(gather)(j, j->gh1 ? j->gh1 + b * j->E * j->N : NULL, e0 + k * LANES,
                   FN(edge)(j, j->carry, 0, b, k0 + k));
        memset(FN(edge)(j, j->ga_part, 0, b, k0 + k), 0,
               sizeof(VF) * (size_t)j->padded);
    }
    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        const int safe = FN(prepare)(j, t0, len, b, e0, width, dt, du, y, slope);
        FN(ungate)(j, t0, len, b, e0, width, dy, gdt, gdu, gate);
        for (int64_t n = 0; n < j->padded; n += GROUP) {
            FN(columns)(j, j->bm, t0, len, b, n, B);
            FN(columns)(j, j->cm, t0, len, b, n, C);
            memset(gB, 0, sizeof gB[0] * (size_t)len);
            memset(gC, 0, sizeof gC[0] * (size_t)len);
            for (int64_t k = 0; k * LANES < width; k++) {
                const float *from = FN(edge)(j, j->border, chunk, b, k0 + k) + n * LANES;
                const FN(reverse) r = {
                    dt[k], du[k], dy[k], B, C,
                    j->rate + ((k0 + k) * j->padded + n) * LANES,
                    keep_h, keep_a, gB, gC, gdt[k], gdu[k],
                    FN(edge)(j, j->carry, 0, b, k0 + k) + n * LANES,
                    FN(edge)(j, j->ga_part, 0, b, k0 + k) + n * LANES };
                VF h[GROUP];
                for (int g = 0; g < GROUP; g++) h[g] = FN(load)(from + g * LANES);
                FN(decay_any)(j->rule, safe, len, dt[k], r.rate, keep_a);
                FN(advance_any)(j->rule, len, dt[k], du[k], B, C, r.rate, keep_a, h, y[k],
                                keep_h);
                if (j->rule == ZOH) FN(retreat)(ZOH, len, &r);
                else if (j->rule == BILINEAR) FN(retreat)(BILINEAR, len, &r);
                else FN(retreat)(EULER, len, &r);
            }
            for (int64_t t = 0; t < len; t++) {
                const int64_t i = ((s * j->T + t0 + t) * j->B + b) * j->N + n;
                const four sb = FN(totals)(gB[t]), sc = FN(totals)(gC[t]);
                for (int64_t g = 0; g < GROUP && n + g < j->N; g++) {
                    j->gb_part[i + g] = sb[g];
                    j->gc_part[i + g] = sc[g];
                }
            }
        }
        FN(finish)(j, t0, len, b, e0, width, dt, dy, y, gdt, gdu, slope, gate, gD);
    }
    for (int64_t k = 0; k * LANES < width; k++) {
        FN(save)(j->gskip_part + (b * j->blocks + k0 + k) * LANES, gD[k]);
        if (j->gh0) FN(scatter)(j, FN(edge)(j, j->carry, 0, b, k0 + k), e0 + k * LANES,
                                j->gh0 + b * j->E * j->N, 1);
    }
}

#undef BLOCKS
#include "lanes_end.h"
