/* outer_scan.h - the scan of outer.h step by step, for LANES columns of S at a time: for
 * short sequences, and where its bits must not depend on how T is cut.  An item walks the
 * sequence in chunks of CHUNK steps; GROUP rows of S stay in registers over a chunk, and
 * only S at the borders of chunks is ever written.
 */
#define BLOCKS (CHANNELS / LANES)

/* GROUP columns of k or q over a chunk, closed up; 0 beyond the last. */
FUN void FN(few)(const float *from, int64_t stride, int64_t len, int64_t left,
                     float (*to)[GROUP])
{
    for (int64_t t = 0; t < len; t++, from += stride) {
        if (left >= GROUP) *(four_at *)to[t] = *(const four_at *)from;
        else for (int64_t g = 0; g < GROUP; g++) to[t][g] = g < left ? from[g] : 0.0f;
    }
}

/* S and y over one chunk. */
FUN void FN(advance)(int64_t len, const float *a, const VF *x, const float (*K)[GROUP],
                     const float (*Q)[GROUP], VF *s, VF *y)
{
    VF h[GROUP];
    for (int g = 0; g < GROUP; g++) h[g] = s[g];
    for (int64_t t = 0; t < len; t++) {
        const VF in = x[t];
        VF sum = y[t];
        for (int g = 0; g < GROUP; g++) {
            h[g] = a[t] * h[g] + in * K[t][g];
            sum += h[g] * Q[t][g];
        }
        y[t] = sum;
    }
    for (int g = 0; g < GROUP; g++) s[g] = h[g];
}

/* Columns that S has room for. */
FUN int64_t FN(whole)(int64_t width) { return (width + PANEL - 1) / PANEL * PANEL; }

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
        for (int64_t k = 0; k * LANES < FN(whole)(u->width); k++) {
            VF v = { 0 };
            if (!off)
                v = FN(take)(j->x + at * j->xs + u->head * j->P + u->p0 + k * LANES,
                             u->width - k * LANES);
            x[k][t] = gain * v;
            y[k][t] = skip * v;
        }
    }
}

TARGET static void FN(stepwise)(int64_t item, void *arg)
{
    const outer_job *j = arg;
    const outer_unit u = outer_unit_of(j, item % (j->H * j->cuts));
    const int64_t b = item / (j->H * j->cuts), N = j->N, wide = FN(whole)(u.width);
    VF x[BLOCKS][CHUNK], y[BLOCKS][CHUNK];
    float a[CHUNK], K[CHUNK][GROUP], Q[CHUNK][GROUP];

    FN(fold_state)(j, b, &u, j->s0, j->first);
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        const int64_t row = t0 * j->B + b, keys = u.group * N;
        const float *from = outer_begin(j, chunk, b, &u);
        float *to = outer_end(j, chunk, b, &u);
        FN(prepare)(j, t0, len, b, &u, a, x, y);
        for (int64_t n = 0; n < N; n += GROUP) {
            FN(few)(j->k + row * j->ks + keys + n, j->B * j->ks, len, N - n, K);
            FN(few)(j->q + row * j->qs + keys + n, j->B * j->qs, len, N - n, Q);
            for (int64_t k = 0; k * LANES < wide; k++) {
                const int64_t c = k * LANES;
                const int64_t at = c / PANEL * (N * PANEL) + n * PANEL + c % PANEL;
                VF s[GROUP] = { { 0 } };
                for (int64_t g = 0; g < GROUP && n + g < N; g++)
                    s[g] = FN(load)(from + at + g * PANEL);
                FN(advance)(len, a, x[k], K, Q, s, y[k]);
                for (int64_t g = 0; g < GROUP && n + g < N; g++)
                    FN(save)(to + at + g * PANEL, s[g]);
            }
        }
        for (int64_t t = 0; t < len; t++) {
            const int64_t at = (t0 + t) * j->B + b;
            const int off = j->mask && j->mask[at] == 0.0f;
            float *out = j->y + (at * j->H + u.head) * j->P + u.p0;
            for (int64_t k = 0; k * LANES < u.width; k++)
                FN(put)
                (out + k * LANES, off ? (VF){ 0 } : y[k][t], u.width - k * LANES);
        }
    }
    FN(unfold_state)(j, b, &u, j->last, j->s1, 0);
}

#undef BLOCKS
