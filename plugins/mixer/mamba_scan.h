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
    const float *row = from + (t0 * j->B + b) * j->N + n0;
    const int64_t step = j->B * j->N, n = j->N - n0;
    if (n >= GROUP)
        for (int64_t t = 0; t < len; t++) *(four_at *)to[t] = *(const four_at *)(row + t * step);
    else
        for (int64_t t = 0; t < len; t++)
            for (int64_t g = 0; g < GROUP; g++) to[t][g] = g < n ? row[t * step + g] : 0.0f;
}

FUN int FN(masked)(const scan_job *j, int64_t t, int64_t b)
{
    return j->mask && j->mask[t * j->B + b] == 0.0f;
}

/* ---- Forward --------------------------------------------------------------------- */

/* A unit is one state of LANES channels.  GROUP units go together: S states of each of
 * GROUP / S blocks, the blocks' arrays SPAN vectors apart. */
#define BLOCK_OF(g) ((g) / S * SPAN)

/* What [block][state][LANES] holds for a group; `next` floats lie between blocks. */
FUN void FN(group)(int S, const float *from, int64_t next, VF *to)
{
    for (int g = 0; g < GROUP; g++)
        to[g] = FN(load)(from + g / S * next + g % S * LANES);
}

/* a = exp(dt A) of one chunk for a group.  `safe`: dt A may be below -126.  A pass of its
 * own, since its constants fill the registers. */
FUN void FN(decay)(int rule, int safe, int S, int64_t len, const VF *dt, const float *rate,
                   int64_t next, VF (*a)[GROUP])
{
    VF A[GROUP];
    FN(group)(S, rate, next, A);
    for (int64_t t = 0; t < len; t++)
        for (int g = 0; g < GROUP; g++) {
            const VF x = dt[BLOCK_OF(g) + t] * A[g];
            if (rule == BILINEAR) a[t][g] = 2.0f / (1.0f - x * (0.5f * MLS_LN2)) - 1.0f;
            else a[t][g] = safe ? FN(pow2_low)(x) : FN(pow2)(x);
        }
}

FUN void FN(decay_any)(int rule, int safe, int S, int64_t len, const VF *dt,
                       const float *rate, int64_t next, VF (*a)[GROUP])
{
    if (rule == BILINEAR) FN(decay)(BILINEAR, 1, S, len, dt, rate, next, a);
    else if (safe) FN(decay)(EULER, 1, S, len, dt, rate, next, a);
    else FN(decay)(EULER, 0, S, len, dt, rate, next, a);
}

/* What dt B u enters a state with: d h / d (dt B u), given x = dt A log2(e) and a. */
FUN VF FN(entry)(int rule, VF x, VF a)
{
    if (rule == BILINEAR) return 1.0f / (1.0f - x * (0.5f * MLS_LN2));
    if (rule == ZOH) return FN(phi)(x * MLS_LN2, a);
    return (VF){ 0 } + 1.0f;
}

/* h and y over one chunk for a group; B and C of its states.  keep_h [len + 1]: NULL, or
 * filled for backward. */
FUN void FN(advance)(int rule, int S, int64_t len, const VF *dt, const VF *du,
                     const float *B, const float *C, const float *rate,
                     int64_t next, const VF (*a)[GROUP], VF *h, VF *y, VF (*keep_h)[GROUP])
{
    VF A[GROUP], s[GROUP], sum[GROUP / S];
    FN(group)(S, rate, next, A);
    for (int g = 0; g < GROUP; g++) s[g] = h[g];
    if (keep_h) for (int g = 0; g < GROUP; g++) keep_h[0][g] = s[g];
    for (int64_t t = 0; t < len; t++) {
        for (int g = 0; g < GROUP; g++) {
            VF in = du[BLOCK_OF(g) + t];
            if (g % S == 0) sum[g / S] = y[BLOCK_OF(g) + t];
            if (rule != EULER) in *= FN(entry)(rule, dt[BLOCK_OF(g) + t] * A[g], a[t][g]);
            s[g] = a[t][g] * s[g] + in * B[t * GROUP + g % S];
            sum[g / S] += s[g] * C[t * GROUP + g % S];
            if (keep_h) keep_h[t + 1][g] = s[g];
            if (g % S == S - 1) y[BLOCK_OF(g) + t] = sum[g / S];
        }
    }
    for (int g = 0; g < GROUP; g++) h[g] = s[g];
}

FUN void FN(advance_any)(int rule, int S, int64_t len, const VF *dt, const VF *du,
                         const float *B, const float *C,
                         const float *rate, int64_t next, const VF (*a)[GROUP], VF *h,
                         VF *y, VF (*keep_h)[GROUP])
{
    if (rule == ZOH) FN(advance)(ZOH, S, len, dt, du, B, C, rate, next, a, h, y, keep_h);
    else if (rule == BILINEAR)
        FN(advance)(BILINEAR, S, len, dt, du, B, C, rate, next, a, h, y, keep_h);
    else FN(advance)(EULER, S, len, dt, du, B, C, rate, next, a, h, y, keep_h);
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
                   const float *B, const float *C, VF (*a)[GROUP], VF *y)
{
    const int ends = chunk + 1 == j->chunks;
    const float *at = FN(edge)(j, j->border, chunk, b, block) + n * LANES;
    const float *rate = j->rate + (block * j->padded + n) * LANES;
    float last[GROUP * LANES];
    float *to = ends ? last : FN(edge)(j, j->border, chunk + 1, b, block) + n * LANES;
    VF h[GROUP];
    for (int g = 0; g < GROUP; g++) h[g] = FN(load)(at + g * LANES);
    FN(decay_any)(j->rule, safe, GROUP, len, dt, rate, 0, a);
    FN(advance_any)(j->rule, GROUP, len, dt, du, B, C, rate, 0, a, h, y, NULL);
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
    const int64_t blocks = pairs(width, LANES);
    VF dt[BLOCKS][SPAN], du[BLOCKS][SPAN], y[BLOCKS][SPAN], a[CHUNK][GROUP];
    float B[GROUPS][CHUNK][GROUP], C[GROUPS][CHUNK][GROUP];

    for (int64_t k = 0; k < blocks; k++)
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
            for (int64_t k = 0; k < blocks; k++)
                for (int64_t m = 0; m < groups; m++)
                    FN(cross)(j, chunk, len, b, k0 + k, n0 + m * GROUP, safe, dt[k],
                              du[k], B[m][0], C[m][0], a, y[k]);
        }
        FN(gate)(j, t0, len, b, e0, width, y);
    }
}

/* ---- Backward -------------------------------------------------------------------- */

/* What one chunk's walk in reverse reads and adds to, for PAIR states of each of two
 * blocks: a group.  That halves what gB and gC are loaded and stored. */
typedef struct FN(reverse) {
    const VF *dt, *du, *dy;
    const float *B, *C;
    const float *rate;
    VF (*h)[GROUP], (*a)[GROUP], *gB, *gC;
    VF *gdt, *gdu;          /* gdt in units of 1 / ln 2                              */
    float *carry, *gA;      /* d loss / d h, and d loss / d A                        */
    int64_t next;           /* floats from block to block of rate, carry and gA      */
} FN(reverse);

#define EACH_UNIT for (int g = 0; g < GROUP; g++)
#define EACH_PAIR for (int n = 0; n < PAIR; n++)

/* Three rounds a step, each of which fits into the registers: gC, gB, gA. */
FUN void FN(retreat)(int rule, int64_t len, const FN(reverse) *r)
{
    enum { S = PAIR };
    VF A[GROUP], gh[GROUP], gA[GROUP];
    FN(group)(S, r->rate, r->next, A);
    FN(group)(S, r->carry, r->next, gh);
    EACH_UNIT gA[g] = (VF){ 0 };
    for (int64_t t = len - 1; t >= 0; t--) {
        VF now[GROUP], way[GROUP], gd[2], gq[2], sum[PAIR];
        const VF dy[2] = { r->dy[t], r->dy[SPAN + t] };
        EACH_PAIR sum[n] = r->gC[t * GROUP + n];
        EACH_UNIT sum[g % S] += dy[g / S] * r->h[t + 1][g];
        EACH_PAIR r->gC[t * GROUP + n] = sum[n];
        EACH_UNIT now[g] = gh[g] + dy[g / S] * r->C[t * GROUP + g % S];

        const VF q[2] = { r->du[t], r->du[SPAN + t] }, d[2] = { r->dt[t], r->dt[SPAN + t] };
        EACH_UNIT way[g] = now[g];
        if (rule != EULER) EACH_UNIT
            way[g] *= FN(entry)(rule, d[g / S] * A[g], r->a[t][g]);
        EACH_PAIR sum[n] = r->gB[t * GROUP + n];
        EACH_UNIT sum[g % S] += way[g] * q[g / S];
        EACH_PAIR r->gB[t * GROUP + n] = sum[n];
        gq[0] = r->gdu[t], gq[1] = r->gdu[SPAN + t];
        EACH_UNIT gq[g / S] += way[g] * r->B[t * GROUP + g % S];
        r->gdu[t] = gq[0], r->gdu[SPAN + t] = gq[1];

        gd[0] = r->gdt[t], gd[1] = r->gdt[SPAN + t];
        EACH_UNIT {
            const VF h = r->h[t][g], a = r->a[t][g];
            gh[g] = now[g] * a;
            VF gx = gh[g] * h;
            if (rule == BILINEAR) {
                const VF w = FN(entry)(BILINEAR, d[g / S] * A[g], a);
                gx = way[g] * w * (h + 0.5f * q[g / S] * r->B[t * GROUP + g % S]);
            } else if (rule == ZOH) {
                const VF x = d[g / S] * A[g] * MLS_LN2;
                gx += now[g] * q[g / S] * r->B[t * GROUP + g % S] * FN(phi_slope)(x, a, FN(phi)(x, a));
            }
            gd[g / S] += gx * A[g];
            gA[g] += gx * d[g / S];
        }
        r->gdt[t] = gd[0], r->gdt[SPAN + t] = gd[1];
    }
    EACH_UNIT {
        const int64_t at = g / S * r->next + g % S * LANES;
        FN(save)(r->carry + at, gh[g]);
        FN(save)(r->gA + at, FN(load)(r->gA + at) + gA[g]);
    }
}

TARGET __attribute__((noinline)) static void FN(retreat_euler)(int64_t len,
                                                               const FN(reverse) *r)
{
    FN(retreat)(EULER, len, r);
}

/* The states of a group again, from the border before the chunk, and back. */
FUN void FN(there_and_back)(int rule, int safe, int64_t len, const float *border,
                            const FN(reverse) *r, VF *y)
{
    VF h[GROUP];
    FN(group)(PAIR, border, r->next, h);
    FN(decay_any)(rule, safe, PAIR, len, r->dt, r->rate, r->next, r->a);
    FN(advance_any)(rule, PAIR, len, r->dt, r->du, r->B, r->C, r->rate, r->next, r->a, h, y,
                    r->h);
    if (rule == ZOH) FN(retreat)(ZOH, len, r);
    else if (rule == BILINEAR) FN(retreat)(BILINEAR, len, r);
    else FN(retreat_euler)(len, r);
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
        /* the half of x | z that is the convolution's, which fills it where all rows count */
        if (gz && !j->add_z && j->mask) memset(gz - j->E, 0, bytes);
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
    const int64_t blocks = pairs(width, LANES);
    VF dt[BLOCKS][SPAN], du[BLOCKS][SPAN], y[BLOCKS][SPAN], dy[BLOCKS][SPAN];
    VF gdt[BLOCKS][SPAN], gdu[BLOCKS][SPAN], slope[BLOCKS][SPAN], gate[BLOCKS][SPAN];
    VF keep_h[CHUNK + 1][GROUP], keep_a[CHUNK][GROUP], gB[CHUNK][GROUP], gC[CHUNK][GROUP];
    VF gD[BLOCKS] = { 0 };
    float B[CHUNK][GROUP], C[CHUNK][GROUP];

    for (int64_t k = 0; k < blocks; k++) {
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
            for (int64_t k = 0; k < blocks; k += 2)
                for (int64_t i = 0; i < GROUP; i += PAIR) {
                    const int64_t at = (n + i) * LANES, next = j->padded * LANES;
                    const FN(reverse) r = {
                        dt[k], du[k], dy[k], B[0] + i, C[0] + i,
                        j->rate + (k0 + k) * next + at, keep_h, keep_a, gB[0] + i,
                        gC[0] + i, gdt[k], gdu[k],
                        FN(edge)(j, j->carry, 0, b, k0 + k) + at,
                        FN(edge)(j, j->ga_part, 0, b, k0 + k) + at, next };
                    FN(there_and_back)(j->rule, safe, len,
                                       FN(edge)(j, j->border, chunk, b, k0 + k) + at, &r,
                                       y[k]);
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
#undef BLOCK_OF
#undef EACH_UNIT
#undef EACH_PAIR
#include "lanes_end.h"
