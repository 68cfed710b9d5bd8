/* outer_back.h - the reverse of outer_chunk.h.  With dS the gradient of S after a chunk,
 * S as before it and D, e, p, M as there:
 *
 *   X[t][s]  = dy_t . x_s                      W[t][s] = sum over heads of g_s D X
 *   dx_s     = sum_t M[t][s] dy_t + g_s e_s k_s dS
 *   dq_t     = sum_s W[t][s] k_s + sum over heads of p_t S dy_t
 *   dk_s     = sum_t W[t][s] q_t + sum over heads of g_s e_s dS x_s
 *   dS       = p_len dS + sum_t p_t q_t (x) dy_t
 *
 * da_r sums over all paths through step r, from the S before or from a step s < r, to a
 * step t >= r or to the S after: V_r[t] has those that arrive at t, up to D[t][r].
 */

/* What a unit of a chunk works with. */
typedef struct FN(room) {
    outer_times times;
    float x[CHUNK * LDL], xt[CHUNK * CHANNELS];     /* in rows; turned                  */
    float dy[CHUNK * CHANNELS], dyp[CHUNK * CHANNELS], dyt[CHUNK * CHANNELS];
    float dx[CHUNK * LDL], m[CHUNK * LDL], d[CHUNK * LDL], state[KEYS * CHANNELS];
    float begin[CHUNK], end[CHUNK];                 /* q_t S dy_t, k_s dS x_s           */
    float both;                                     /* S . dS                           */
} FN(room);

FUN float FN(total)(VF x)
{
    float s[LANES], sum = 0.0f;
    FN(save)(s, x);
    for (int l = 0; l < LANES; l++) sum += s[l];
    return sum;
}

/* x in rows and both turned, 0 beyond the chunk and where masked. */
FUN void FN(take_unit)(const outer_job *j, FN(room) *w, int64_t t0, int64_t len, int64_t b,
                       const outer_unit *u)
{
    const int64_t at = t0 * j->B + b, head = u->head * j->P + u->p0, n = u->width;
    const int64_t steps = (len + PANEL - 1) / PANEL * PANEL;
    const float *x = j->x + at * j->xs + head;
    float rows[CHUNK * LDL];
    for (int64_t t = 0; t < steps; t++)
        for (int64_t c = 0; c < n; c += LANES) {
            const int64_t left = t < len && !w->times.off[t] ? n - c : 0;
            FN(save)(w->x + t * LDL + c, FN(take)(x + t * j->B * j->xs + c, left));
            FN(save)(rows + t * LDL + c,
                     FN(take)(j->gy + (at + t * j->B) * j->H * j->P + head + c, left));
        }
    FN(turn)(w->x, LDL, steps, n, w->xt, CHANNELS * PANEL);
    FN(turn)(rows, LDL, steps, n, w->dyt, CHANNELS * PANEL);
    w->both = 0.0f;
    memset(w->begin, 0, sizeof w->begin);
    memset(w->end, 0, sizeof w->end);
    FN(take_panels)(j->gy + at * j->H * j->P + head, j->B * j->H * j->P, &w->times, len, n,
                    w->dy, w->times.p, w->dyp);
}

/* X: row s, along t >= s. */
FUN void FN(pairs)(const FN(room) *w, int64_t len, int64_t width, outer_sums *sums)
{
    for (int64_t t = 0; t < len; t += PANEL) {
        const int64_t rows = t + PANEL < len ? t + PANEL : len;
        for (int64_t s = 0, r; s < rows; s += r) {
            r = STRIP(rows - s);
            FN(into)(r, width, w->x + s * LDL, LDL, 1, w->dyt + t * CHANNELS, 0.0f,
                     sums->zeros, 0, sums->pairs + s * LDL + t, LDL);
        }
    }
}

/* What goes through S, by keys of w: S at `from`, dS at `carry`, which is moved on. */
FUN void FN(through)(const outer_job *j, const outer_keys *keys, FN(room) *w,
                     outer_sums *sums, int64_t len, int64_t width, const float *from,
                     float *carry)
{
    const int64_t P = j->P;
    VF both = { 0 };
    for (int64_t n = 0; n < keys->n; n++)
        for (int64_t c = 0; c < width; c += LANES)
            both += FN(take)(from + n * P + c, width - c)
                  * FN(take)(carry + n * P + c, width - c);
    w->both += FN(total)(both);
    FN(take_state)(carry, P, keys->n, width, w->state);
    for (int64_t t = 0; t < len; t += PANEL)
        for (int64_t n = 0, r; n < keys->n; n += r) {
            const int64_t at = t * KEYS + n * PANEL;
            r = STRIP(keys->n - n);
            FN(columns)(r, width, from + n * P, P, 1, w->dyt + t * CHANNELS,
                        w->times.p + t, keys->qt + at, w->begin + t, sums->dq + at);
            FN(columns)(r, width, carry + n * P, P, 1, w->xt + t * CHANNELS,
                        w->times.ge + t, keys->kt + at, w->end + t, sums->dk + at);
        }
    for (int64_t c = 0; c < width; c += PANEL)
        for (int64_t s = 0, r; s < len; s += r) {
            r = STRIP(len - s);
            FN(rows)(r, keys->n, keys->k + s * LDK, LDK, 1, w->state + c * KEYS,
                     w->times.ge + s, keys->n0 > 0, w->dx + s * LDL + c, LDL);
        }
    FN(into_state)(keys->n, width, len, keys->q, LDK, w->dyp, w->times.whole, carry, carry,
                   P);
}

/* The gradients of a and g, and the unit's share of W. */
FUN void FN(squares)(const outer_job *j, const float *dots, FN(room) *w, outer_sums *sums,
                     int64_t len, int64_t at, int64_t head)
{
    const outer_times *times = &w->times;
    VF v[FN(ROW)];
    float end = w->both;
    for (int i = 0; i < FN(ROW); i++) v[i] = FN(load)(w->begin + i * LANES);
    for (int64_t r = 0; r < len; r++) {
        const float a = times->a[r], g = times->g[r];
        const int64_t out = (at + r * j->B) * j->H + head;
        VF ga = { 0 }, gg = { 0 };
        for (int i = 0; i < FN(ROW); i++) {
            const VF d = FN(load)(w->d + r * LDL + i * LANES),
                     x = FN(load)(sums->pairs + r * LDL + i * LANES),
                     dot = FN(load)(dots + r * LDL + i * LANES);
            float *share = sums->w + i * LANES / PANEL * (CHUNK * PANEL)
                         + r * PANEL + i * LANES % PANEL;
            ga += v[i] * d;
            gg += dot * x * d;
            FN(save)(share, FN(load)(share) + g * d * x);
            v[i] = a * v[i] + g * dot * x;
        }
        if (j->ga && !times->off[r]) j->ga[out] += FN(total)(ga) + end * times->e[r];
        if (j->gg && !times->off[r])
            j->gg[out] += FN(total)(gg) + times->e[r] * w->end[r];
        if (!times->off[r]) sums->skip += sums->pairs[r * LDL + r];
        end = a * end + g * w->end[r];
    }
}

/* The rest of dx, and to its place. */
FUN void FN(give_x)(const outer_job *j, FN(room) *w, int64_t len, int64_t at,
                    const outer_unit *u)
{
    for (int64_t c = 0; c < u->width; c += PANEL)
        for (int64_t s = 0, r; s < len; s += r) {
            float *dx = w->dx + s * LDL + c;
            r = STRIP(len - s);
            FN(into)(r, len - s, w->m + s * LDL + s, LDL, 1,
                     w->dy + c * CHUNK + s * PANEL, 1.0f, dx, LDL, dx, LDL);
        }
    for (int64_t t = 0; t < len; t++)
        for (int64_t c = 0; c < u->width; c += LANES)
            FN(give)(j->gx + (at + t * j->B) * j->xs + u->head * j->P + u->p0 + c,
                     w->times.off[t] ? (VF){ 0 } : FN(load)(w->dx + t * LDL + c),
                     u->width - c, j->add_x);
}

/* to[t][n] = or += what `from` has turned, which is 0 from then on. */
FUN void FN(give_keys)(float *from, int64_t len, int64_t n, float *to, int64_t stride,
                       int add)
{
    for (int64_t t = 0; t < len; t += 4)
        for (int64_t c = 0; c < n; c += 4) {
            float *at = from + t / PANEL * (KEYS * PANEL) + c * PANEL + t % PANEL;
            four r[4];
            for (int i = 0; i < 4; i++) {
                r[i] = *(four_at *)(at + i * PANEL);
                *(four_at *)(at + i * PANEL) = (four){ 0 };
            }
            FN(turned)(r);
            for (int i = 0; i < 4 && t + i < len; i++) {
                float *row = to + (t + i) * stride + c;
                if (n - c >= 4) {
                    if (add) r[i] += *(four_at *)row;
                    *(four_at *)row = r[i];
                    continue;
                }
                for (int l = 0; l < n - c; l++) row[l] = add ? row[l] + r[i][l] : r[i][l];
            }
        }
}

FUN void FN(flush)(const outer_job *j, const outer_keys *keys, outer_sums *sums,
                   int64_t len, int64_t at, int64_t group)
{
    const int64_t first = group * j->N + keys->n0;
    if (j->gq)
        FN(give_keys)(sums->dq, len, keys->n, j->gq + at * j->qs + first, j->B * j->qs,
                      j->add_q);
    if (j->gk)
        FN(give_keys)(sums->dk, len, keys->n, j->gk + at * j->ks + first, j->B * j->ks,
                      j->add_k);
}

/* W k and W' q. */
FUN void FN(through_pairs)(const outer_keys *keys, outer_sums *sums, int64_t len)
{
    const int64_t steps = (len + PANEL - 1) / PANEL * PANEL;
    float turn[CHUNK * CHUNK];
    for (int64_t t = 0; t < steps; t += PANEL)     /* row s along t to row t along s */
        FN(turn)(sums->w + t * CHUNK, PANEL, steps, PANEL, turn + t * PANEL,
                 CHUNK * PANEL);
    for (int64_t t = 0; t < len; t += PANEL) {
        const int64_t before = t + PANEL < len ? t + PANEL : len;
        for (int64_t n = 0, r; n < keys->n; n += r) {
            float *dq = sums->dq + t * KEYS + n * PANEL,
                  *dk = sums->dk + t * KEYS + n * PANEL;
            r = STRIP(keys->n - n);
            FN(into)(r, before, keys->k + n, 1, LDK, sums->w + t * CHUNK, 1.0f, dq, PANEL,
                     dq, PANEL);
            FN(into)(r, len - t, keys->q + t * LDK + n, 1, LDK,
                     turn + t * CHUNK + t * PANEL, 1.0f, dk, PANEL, dk, PANEL);
        }
    }
}

FUN void FN(chunk_back)(const outer_job *j, outer_keys *keys, outer_sums *sums,
                        int64_t chunk, int64_t len, int64_t b, const outer_unit *u)
{
    const int64_t t0 = chunk * CHUNK, P = j->P, at = t0 * j->B + b;
    const float *from = outer_begin(j, chunk, b, u);
    float *carry = j->carry + (b * j->H + u->head) * j->N * P + u->p0;
    FN(room) w;
    FN(take_times)(j, &w.times, t0, len, b, u);
    FN(weights)(&w.times, len, keys->dots, w.m, w.d);
    FN(take_unit)(j, &w, t0, len, b, u);
    FN(pairs)(&w, len, u->width, sums);
    for (int64_t n0 = 0; n0 < j->N; n0 += KEYS) {
        FN(keys_at)(j, keys, t0, len, b, u->group, n0);
        FN(through)(j, keys, &w, sums, len, u->width, from + n0 * P, carry + n0 * P);
        if (j->N > KEYS) FN(flush)(j, keys, sums, len, at, u->group);
    }
    sums->skip = 0.0f;
    FN(squares)(j, keys->dots, &w, sums, len, at, u->head);
    j->gd_part[b * j->H + u->head] += sums->skip;
    if (j->gx) FN(give_x)(j, &w, len, at, u);
}

/* One sample, one group: its heads add to the same k and q. */
TARGET static void FN(backward_item)(int64_t item, void *arg)
{
    const outer_job *j = arg;
    const int64_t b = item / j->G, group = item % j->G, per = j->H / j->G * j->cuts;
    outer_keys keys;
    outer_sums sums;
    memset(keys.dots, 0, sizeof keys.dots);
    memset(keys.zeros, 0, sizeof keys.zeros);
    memset(&sums, 0, sizeof sums);
    keys.both = 1;
    for (int64_t chunk = j->chunks - 1; chunk >= 0; chunk--) {
        const int64_t t0 = chunk * CHUNK, len = j->T - t0 < CHUNK ? j->T - t0 : CHUNK;
        FN(dots)(j, &keys, t0, len, b, group);
        memset(sums.w, 0, sizeof sums.w);
        for (int64_t i = group * per; i < (group + 1) * per; i++) {
            const outer_unit u = outer_unit_of(j, i);
            FN(chunk_back)(j, &keys, &sums, chunk, len, b, &u);
        }
        for (int64_t n0 = 0; n0 < j->N; n0 += KEYS) {
            FN(keys_at)(j, &keys, t0, len, b, group, n0);
            FN(through_pairs)(&keys, &sums, len);
            FN(flush)(j, &keys, &sums, len, t0 * j->B + b, group);
        }
    }
}
