/* mamba_back.h - the selective scan's way back, a part of mamba_scan.h.
 *
 * From the border before a chunk its states are made again, and then walked in reverse.
 * The arrays of all states of a group lie in the first cache only if few are open at a
 * time: two blocks with all of their states, one group after the other.
 */

#define EACH_UNIT for (int g = 0; g < GROUP; g++)
#define EACH_PAIR for (int n = 0; n < PAIR; n++)

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
                gx += now[g] * q[g / S] * r->B[t * GROUP + g % S]
                    * FN(phi_slope)(x, a, FN(phi)(x, a));
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

/* The gradients of B and C of a group of states, summed over this segment's channels. */
FUN void FN(sums)(const scan_job *j, int64_t segment, int64_t t0, int64_t len, int64_t b,
                  int64_t n, const VF (*gB)[GROUP], const VF (*gC)[GROUP])
{
    for (int64_t t = 0; t < len; t++) {
        const int64_t i = ((segment * j->T + t0 + t) * j->B + b) * j->N + n;
        const four sb = FN(totals)(gB[t]), sc = FN(totals)(gC[t]);
        for (int64_t g = 0; g < GROUP && n + g < j->N; g++) {
            j->gb_part[i + g] = sb[g];
            j->gc_part[i + g] = sc[g];
        }
    }
}

TARGET static void FN(backward_item)(int64_t item, void *arg)
{
    const scan_job *j = arg;
    const int64_t b = item / j->segments, s = item % j->segments, e0 = s * CHANNELS;
    const int64_t width = j->E - e0 < CHANNELS ? j->E - e0 : CHANNELS, k0 = e0 / LANES;
    const int64_t blocks = pairs(width, LANES);
    LINES VF dt[BLOCKS][SPAN], du[BLOCKS][SPAN], y[BLOCKS][SPAN], dy[BLOCKS][SPAN];
    LINES VF gdt[BLOCKS][SPAN], gdu[BLOCKS][SPAN], slope[BLOCKS][SPAN], gate[BLOCKS][SPAN];
    LINES VF keep_h[CHUNK + 1][GROUP], keep_a[CHUNK][GROUP];
    LINES VF gB[GROUPS][SPAN][GROUP], gC[GROUPS][SPAN][GROUP];
    VF gD[BLOCKS] = { 0 };
    float B[GROUPS][CHUNK][GROUP], C[GROUPS][CHUNK][GROUP];

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
        for (int64_t n0 = 0; n0 < j->padded; n0 += GROUPS * GROUP) {
            const int64_t groups = FN(open_states)(j, t0, len, b, n0, B, C);
            for (int64_t m = 0; m < groups; m++) {
                memset(gB[m], 0, sizeof gB[m][0] * (size_t)len);
                memset(gC[m], 0, sizeof gC[m][0] * (size_t)len);
            }
            /* all states of two blocks before the next two: dt and its like are larger */
            for (int64_t i = 0; i < blocks * groups; i++) {
                const int64_t k = i / (2 * groups) * 2, n = i % (2 * groups) * PAIR;
                const int64_t m = n / GROUP, g = n % GROUP;
                const int64_t at = (n0 + n) * LANES, next = j->padded * LANES;
                const FN(share) before = { t0 - CHUNK, b, e0, width, i, blocks * groups };
                const FN(reverse) r = {
                    dt[k], du[k], dy[k], B[m][0] + g, C[m][0] + g,
                    j->rate + (k0 + k) * next + at, keep_h, keep_a, gB[m][0] + g,
                    gC[m][0] + g, gdt[k], gdu[k],
                    FN(edge)(j, j->carry, 0, b, k0 + k) + at,
                    FN(edge)(j, j->ga_part, 0, b, k0 + k) + at, next };
                FN(soon)(j, j->u, j->E, before);
                FN(soon)(j, j->raw, j->E, before);
                FN(soon)(j, j->z, j->zs, before);
                FN(soon)(j, j->gout, j->E, before);
                FN(there_and_back)(j->rule, safe, len,
                                   FN(edge)(j, j->border, chunk, b, k0 + k) + at, &r, y[k]);
            }
            for (int64_t m = 0; m < groups; m++)
                FN(sums)(j, s, t0, len, b, n0 + m * GROUP, gB[m], gC[m]);
        }
        FN(finish)(j, t0, len, b, e0, width, dt, dy, y, gdt, gdu, slope, gate, gD);
    }
    for (int64_t k = 0; k * LANES < width; k++) {
        FN(save)(j->gskip_part + (b * j->blocks + k0 + k) * LANES, gD[k]);
        if (j->gh0) FN(scatter)(j, FN(edge)(j, j->carry, 0, b, k0 + k), e0 + k * LANES,
                                j->gh0 + b * j->E * j->N, 1);
    }
}

#undef EACH_UNIT
#undef EACH_PAIR
