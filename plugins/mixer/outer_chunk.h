/* outer_chunk.h - the scan of outer.h by chunks of CHUNK steps: within one, y is a product
 * of a triangle of weights with x, and what came before enters through S alone.
 *
 *   p_t = a_1 .. a_t      e_s = a_{s+1} .. a_len      D[t][s] = a_{s+1} .. a_t, s <= t
 *   M[t][s] = g_s D[t][s] (q_t . k_s), + d where s = t
 *   y_t = p_t q_t S + sum_s M[t][s] x_s         S = p_len S + sum_s e_s g_s k_s (x) x_s
 *
 * No step divides by a, which may be 0.  Heads of a group share the products q_t . k_s.
 * Squares over two steps are stored turned: row s, along t.
 */
/* A square's row, over all steps. */
enum { FN(ROW) = CHUNK / LANES };

/* Rows of [T][B] lie too far apart for the machine to foresee; it takes hints. */
FUN void FN(foresee)(const float *row, int64_t stride, int64_t width)
{
    for (int64_t c = 0; c < width; c += 16)
        __builtin_prefetch(row + AHEAD * stride + c);
}

/* k and q of the chunk at t0 and keys n0 .. n0 + n, in rows and turned. */
FUN void FN(take_keys)(const outer_job *j, outer_keys *w, int64_t t0, int64_t len,
                       int64_t b, int64_t group, int64_t n0)
{
    const int64_t n = j->N - n0 < KEYS ? j->N - n0 : KEYS;
    const int64_t steps = (len + PANEL - 1) / PANEL * PANEL, at = t0 * j->B + b;
    const float *k = j->k + at * j->ks + group * j->N + n0,
                *q = j->q + at * j->qs + group * j->N + n0;
    for (int64_t t = 0; t < steps; t++, k += j->B * j->ks, q += j->B * j->qs) {
        FN(foresee)(k, j->B * j->ks, n);
        FN(foresee)(q, j->B * j->qs, n);
        for (int64_t c = 0; c < n; c += LANES) {
            const int64_t left = t < len ? n - c : 0;
            FN(save)(w->k + t * LDK + c, FN(take)(k + c, left));
            FN(save)(w->q + t * LDK + c, FN(take)(q + c, left));
        }
    }
    w->n0 = n0, w->n = n;
    FN(turn)(w->q, LDK, steps, n, w->qt, KEYS * PANEL);
    if (w->both) FN(turn)(w->k, LDK, steps, n, w->kt, KEYS * PANEL);
}

FUN void FN(keys_at)(const outer_job *j, outer_keys *w, int64_t t0, int64_t len, int64_t b,
                     int64_t group, int64_t n0)
{
    if (w->n0 != n0) FN(take_keys)(j, w, t0, len, b, group, n0);
}

/* dots[s][t] = k_s . q_t for t >= s and up to a panel before. */
FUN void FN(dots)(const outer_job *j, outer_keys *w, int64_t t0, int64_t len, int64_t b,
                  int64_t group)
{
    w->n0 = -1;
    for (int64_t n0 = 0; n0 < j->N; n0 += KEYS) {
        FN(keys_at)(j, w, t0, len, b, group, n0);
        for (int64_t t = 0; t < len; t += PANEL) {
            const int64_t rows = t + PANEL < len ? t + PANEL : len;
            for (int64_t s = 0, r; s < rows; s += r) {
                float *to = w->dots + s * LDL + t;
                r = STRIP(rows - s);
                FN(into)(r, w->n, w->k + s * LDK, LDK, 1, w->qt + t * KEYS,
                         n0 ? 1.0f : 0.0f, n0 ? to : w->zeros, n0 ? LDL : 0, to, LDL);
            }
        }
    }
}

/* The decays of a chunk; where masked S stays and nothing enters. */
FUN void FN(take_times)(const outer_job *j, outer_times *w, int64_t t0, int64_t len,
                        int64_t b, const outer_unit *u)
{
    float p = 1.0f, e = 1.0f;
    for (int64_t t = 0; t < len; t++) {
        const int64_t at = (t0 + t) * j->B + b, i = at * j->H + u->head;
        w->off[t] = j->mask && j->mask[at] == 0.0f;
        w->a[t] = j->a && !w->off[t] ? j->a[i] : 1.0f;
        w->g[t] = w->off[t] ? 0.0f : j->g ? j->g[i] : 1.0f;
        w->p[t] = p *= w->a[t];
    }
    w->whole = p;
    w->d = j->d ? j->d[u->head] : 0.0f;
    for (int64_t t = len - 1; t >= 0; e *= w->a[t--]) w->e[t] = e, w->ge[t] = e * w->g[t];
    for (int64_t t = len; t < CHUNK; t++) w->p[t] = w->e[t] = w->ge[t] = 0.0f;
}

/* M, and D where it is wanted. */
FUN void FN(weights)(const outer_times *w, int64_t len, const float *dots, float *m,
                     float *d)
{
    VF row[FN(ROW)];
    VI lane[FN(ROW)];
    for (int v = 0; v < FN(ROW); v++) {
        row[v] = (VF){ 0 };
        for (int l = 0; l < LANES; l++) lane[v][l] = v * LANES + l;
    }
    for (int64_t s = len - 1; s >= 0; s--) {
        const float a = w->a[s + 1 < len ? s + 1 : s], g = w->g[s];
        for (int v = 0; v < FN(ROW); v++) {
            const VI now = lane[v] == (int32_t)s;
            row[v] = FN(pick)(now, (VF){ 0 } + 1.0f, a * row[v]);
            FN(save)(m + s * LDL + v * LANES,
                     g * row[v] * FN(load)(dots + s * LDL + v * LANES)
                         + (VF)(now & (VI)((VF){ 0 } + w->d)));
            if (d) FN(save)(d + s * LDL + v * LANES, row[v]);
        }
    }
}

/* Rows of a head's array, in panels of columns [width / PANEL][CHUNK][PANEL]; 0 where
 * masked.  scaled: also these, times scale of their step. */
FUN void FN(take_panels)(const float *from, int64_t stride, const outer_times *w,
                         int64_t len, int64_t width, float *to, const float *scale,
                         float *scaled)
{
    for (int64_t t = 0; t < len; t++, from += stride) {
        FN(foresee)(from, stride, width);
        for (int64_t c = 0; c < width; c += PANEL)
            for (int64_t l = 0; l < PANEL; l += LANES) {
                const VF x = FN(take)(from + c + l, w->off[t] ? 0 : width - c - l);
                const int64_t at = c * CHUNK + t * PANEL + l;
                FN(save)(to + at, x);
                FN(save)(scaled + at, scale[t] * x);
            }
    }
}

FUN void FN(chunk_unit)(const outer_job *j, outer_keys *w, int64_t chunk, int64_t len,
                        int64_t b, const outer_unit *u)
{
    const int64_t at = chunk * CHUNK * j->B + b, stride = j->B * j->H * j->P,
                  head = u->head * j->P + u->p0, apart = j->N * PANEL;
    const float *from = outer_begin(j, chunk, b, u);
    float *to = outer_end(j, chunk, b, u), *y = j->y + at * j->H * j->P + head;
    float x[CHANNELS * CHUNK], xe[CHANNELS * CHUNK], m[CHUNK * LDL], part[CHUNK * LDL];
    outer_times times;

    FN(take_times)(j, &times, chunk * CHUNK, len, b, u);
    FN(weights)(&times, len, w->dots, m, NULL);
    FN(take_panels)(j->x + at * j->xs + head, j->B * j->xs, &times, len, u->width, x,
                    times.ge, xe);
    for (int64_t n0 = 0; n0 < j->N; n0 += KEYS) {
        FN(keys_at)(j, w, chunk * CHUNK, len, b, u->group, n0);
        const int all = n0 + w->n == j->N;
        for (int64_t c = 0; c < u->width; c += PANEL)
            for (int64_t t = 0, r; t < len; t += r) {
                float *sum = part + t * LDL + c;    /* of earlier keys, if any */
                r = STRIP(len - t);
                FN(pair_ahead)(r, all ? u->width - c : PANEL, w->n, w->q + t * LDK,
                          from + c / PANEL * apart + n0 * PANEL, times.p + t,
                          all ? t + r : 0, m + t, x + c * CHUNK, n0 ? sum : w->zeros,
                          n0 ? LDL : 0, all ? y + t * stride + c : sum,
                          all ? stride : LDL);
            }
        FN(into_state)(w->n, u->width, len, w->k, LDK, xe, times.whole,
                       from + n0 * PANEL, to + n0 * PANEL, apart);
    }
    for (int64_t t = 0; j->mask && t < len; t++)
        if (times.off[t]) memset(y + t * stride, 0, (size_t)u->width * sizeof *y);
}

/* Units `first` to `end` of a sample, all of one group. */
TARGET static void FN(chunked)(const outer_job *j, int64_t b, int64_t first, int64_t end)
{
    outer_keys w;
    memset(w.dots, 0, sizeof w.dots);   /* what lies before a panel is read, times 0 */
    memset(w.zeros, 0, sizeof w.zeros);
    w.both = 0;
    for (int64_t i = first; i < end; i++) {
        const outer_unit u = outer_unit_of(j, i);
        FN(fold_state)(j, b, &u, j->s0, j->first);
    }
    for (int64_t chunk = 0; chunk < j->chunks; chunk++) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        FN(dots)(j, &w, t0, len, b, outer_unit_of(j, first).group);
        for (int64_t i = first; i < end; i++) {
            const outer_unit u = outer_unit_of(j, i);
            FN(chunk_unit)(j, &w, chunk, len, b, &u);
        }
    }
    for (int64_t i = first; i < end; i++) {
        const outer_unit u = outer_unit_of(j, i);
        FN(unfold_state)(j, b, &u, j->last, j->s1, 0);
    }
}

TARGET static void FN(chunked_group)(int64_t item, void *arg)
{
    const outer_job *j = arg;
    const int64_t per = j->H / j->G * j->cuts, first = item % j->G * per;
    FN(chunked)(j, item / j->G, first, first + per);
}

TARGET static void FN(chunked_unit)(int64_t item, void *arg)
{
    const outer_job *j = arg;
    const int64_t units = j->H * j->cuts, i = item % units;
    FN(chunked)(j, item / units, i, i + 1);
}
