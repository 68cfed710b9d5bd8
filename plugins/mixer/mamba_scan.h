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

/* B and C of one chunk for up to GROUPS groups of states from n0 on; how many there are. */
FUN int64_t FN(open_states)(const scan_job *j, int64_t t0, int64_t len, int64_t b, int64_t n0,
                            float (*B)[CHUNK][GROUP], float (*C)[CHUNK][GROUP])
{
    const int64_t left = parts(j->padded - n0, GROUP), groups = left < GROUPS ? left : GROUPS;
    for (int64_t m = 0; m < groups; m++) {
        FN(columns)(j, j->bm, t0, len, b, n0 + m * GROUP, B[m]);
        FN(columns)(j, j->cm, t0, len, b, n0 + m * GROUP, C[m]);
    }
    return groups;
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

/* Share `part` of `parts` of the rows of the chunk at t0, of an array whose rows lie `row`
 * floats apart: asked for while the states of another chunk keep the memory idle. */
typedef struct FN(share) { int64_t t0, b, e0, width, part, parts; } FN(share);

FUN void FN(soon)(const scan_job *j, const float *from, int64_t row, FN(share) s)
{
    if (s.t0 < 0) return;
    for (int64_t i = CHUNK * s.part / s.parts; i < CHUNK * (s.part + 1) / s.parts; i++)
        if (s.t0 + i < j->T) {
            const float *at = from + ((s.t0 + i) * j->B + s.b) * row + s.e0;
            for (int64_t c = 0; c < s.width; c += 16) __builtin_prefetch(at + c);
        }
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
    LINES VF dt[BLOCKS][SPAN], du[BLOCKS][SPAN], y[BLOCKS][SPAN], a[CHUNK][GROUP];
    float B[GROUPS][CHUNK][GROUP], C[GROUPS][CHUNK][GROUP];

    for (int64_t k = 0; k < blocks; k++)
        FN(gather)(j, j->h0 + b * j->E * j->N, e0 + k * LANES,
                   FN(edge)(j, j->border, 0, b, k0 + k));
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        const int safe = FN(prepare)(j, t0, len, b, e0, width, dt, du, y, NULL);
        for (int64_t n0 = 0; n0 < j->padded; n0 += GROUPS * GROUP) {
            const int64_t groups = FN(open_states)(j, t0, len, b, n0, B, C);
            for (int64_t i = 0; i < blocks * groups; i++) {
                const int64_t k = i / groups, m = i % groups;
                const FN(share) next = { t0 + CHUNK, b, e0, width, i, blocks * groups };
                const FN(share) now = { t0, b, e0, width, i, blocks * groups };
                FN(soon)(j, j->u, j->E, next);
                FN(soon)(j, j->raw, j->E, next);
                FN(soon)(j, j->z, j->zs, now);
                FN(cross)(j, chunk, len, b, k0 + k, n0 + m * GROUP, safe, dt[k], du[k],
                          B[m][0], C[m][0], a, y[k]);
            }
        }
        FN(gate)(j, t0, len, b, e0, width, y);
    }
}

#include "mamba_back.h"

#undef BLOCKS
#undef BLOCK_OF
#include "lanes_end.h"
