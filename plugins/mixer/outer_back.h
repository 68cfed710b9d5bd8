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
    float m[CHUNK * LDL], d[CHUNK * LDL], part[CHUNK * LDL];
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

/* x and dy in the forms that products want, 0 beyond the chunk and where masked. */
FUN void FN(take_unit)(const outer_job *j, FN(room) *w, int64_t t0, int64_t len, int64_t b,
                       const outer_unit *u)
{
    const int64_t at = t0 * j->B + b, head = u->head * j->P + u->p0, HP = j->H * j->P;
    const int64_t steps = (len + PANEL - 1) / PANEL * PANEL;
    const float *x = j->x + at * j->xs + head, *dy = j->gy + at * HP + head;
    float rows[CHUNK * LDL];
    for (int64_t t = 0; t < steps; t++, x += j->B * j->xs, dy += j->B * HP) {
        FN(foresee)(x, j->B * j->xs, u->width);
        FN(foresee)(dy, j->B * HP, u->width);
        for (int64_t c = 0; c < u->width; c += PANEL)
            for (int64_t l = c; l < c + PANEL; l += LANES) {
                const int64_t left = t < len && !w->times.off[t] ? u->width - l : 0;
                const VF d = FN(take)(dy + l, left);
                const int64_t panel = c * CHUNK + t * PANEL + l - c;
                FN(save)(w->x + t * LDL + l, FN(take)(x + l, left));
                FN(save)(rows + t * LDL + l, d);
                FN(save)(w->dy + panel, d);
                FN(save)(w->dyp + panel, w->times.p[t] * d);
            }
    }
    const int64_t columns = (u->width + PANEL - 1) / PANEL * PANEL;
    FN(turn)(w->x, LDL, steps, columns, w->xt, CHANNELS * PANEL);
    FN(turn)(rows, LDL, steps, columns, w->dyt, CHANNELS * PANEL);
    w->both = 0.0f;
    memset(w->begin, 0, sizeof w->begin);
    memset(w->end, 0, sizeof w->end);
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

/* dx of the keys of w, and with the last of them to its place. */
FUN void FN(give_x)(const outer_job *j, const outer_keys *keys, FN(room) *w, int64_t len,
                    int64_t width, const float *carry, float *gx)
{
    const int64_t apart = j->N * PANEL, stride = j->B * j->xs, n0 = keys->n0;
    const int all = n0 + keys->n == j->N;
    for (int64_t c = 0; c < width; c += PANEL)
        for (int64_t s = 0, r; s < len; s += r) {
            float *sum = w->part + s * LDL + c, *to = gx + s * stride + c;
            const float *start = n0 ? sum : j->add_x ? to : keys->zeros;
            r = STRIP(len - s);
            FN(pair_back)(r, width - c, keys->n, keys->k + s * LDK,
                     carry + c / PANEL * apart, w->times.ge + s, all ? len - s : 0,
                     w->m + s * LDL + s, w->dy + c * CHUNK + s * PANEL, start,
                     n0 ? LDL : j->add_x ? stride : 0, all ? to : sum,
                     all ? stride : LDL);
        }
}

/* What goes through S, by keys of w: S at `from`, dS at `carry`, which is moved on. */
FUN void FN(through)(const outer_job *j, const outer_keys *keys, FN(room) *w,
                     outer_sums *sums, int64_t len, int64_t width, const float *from,
                     float *carry, float *gx)
{
    const int64_t apart = j->N * PANEL, panels = (width + PANEL - 1) / PANEL;
    VF both[4] = { { 0 } };
    for (int64_t c = 0; c < panels; c++)
        for (int64_t i = 0; i < keys->n * PANEL; i += PANEL)
            for (int l = 0; l < 2; l++)
                both[l + i / PANEL % 2 * 2] += FN(load)(from + c * apart + i + l * LANES)
                                             * FN(load)(carry + c * apart + i + l * LANES);
    w->both += FN(total)(both[0] + both[1] + both[2] + both[3]);
    for (int64_t t = 0; t < len; t += PANEL)
        for (int64_t n = 0, r; n < keys->n; n += r) {
            const int64_t at = t * KEYS + n * PANEL;
            r = STRIP(keys->n - n);
            FN(columns)(r, panels, apart, from + n * PANEL, w->dyt + t * CHANNELS,
                        w->times.p + t, keys->qt + at, w->begin + t, sums->dq + at);
            FN(columns)(r, panels, apart, carry + n * PANEL, w->xt + t * CHANNELS,
                        w->times.ge + t, keys->kt + at, w->end + t, sums->dk + at);
        }
    if (gx) FN(give_x)(j, keys, w, len, width, carry, gx);
    FN(into_state)(keys->n, width, len, keys->q, LDK, w->dyp, w->times.whole, carry, carry,
                   apart);
}

/* The gradients of a and g, and the unit's share of W. */
FUN void FN(squares)(const outer_job *j, const float *dots, FN(room) *w, outer_sums *sums,
                     int64_t len, int64_t at, int64_t head)
{
    const outer_times *times = &w->times;
    VF v[FN(ROW)], sum[2 * CHUNK + 2];
    float both[CHUNK], end = w->both;
    for (int i = 0; i < FN(ROW); i++) v[i] = FN(load)(w->begin + i * LANES);
    for (int64_t r = 0; r < len; r++) {
        const float a = times->a[r], g = times->g[r];
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
        sum[2 * r] = ga, sum[2 * r + 1] = gg;
        both[r] = end * times->e[r];
        end = a * end + g * w->end[r];
    }
    if (len % 2) sum[2 * len] = sum[2 * len + 1] = (VF){ 0 };
    for (int64_t r = 0; r < len; r += 2) {
        const four total = FN(totals)(sum + 2 * r);
        for (int64_t i = r; i < r + 2 && i < len; i++) {
            const int64_t out = (at + i * j->B) * j->H + head;
            if (times->off[i]) continue;
            if (j->ga) j->ga[out] += total[i % 2 * 2] + both[i];
            if (j->gg) j->gg[out] += total[i % 2 * 2 + 1] + times->e[i] * w->end[i];
            sums->skip += sums->pairs[i * LDL + i];
        }
    }
}

/* to[t][n] = or += what `from` has turned, which is 0 from then on. */
FUN void FN(give_keys)(float *from, int64_t len, int64_t n, float *to, int64_t stride,
                       int add)
{
    for (int64_t t = 0; t < len; t += 4)
        for (int64_t c = 0; c < n; c += 4) {
            float *at = from + t / PANEL * (KEYS * PANEL) + c * PANEL + t % PANEL;
            mls_v4 r[4];
            for (int i = 0; i < 4; i++) {
                r[i] = *(mls_v4 *)(at + i * PANEL);
                *(mls_v4 *)(at + i * PANEL) = (mls_v4){ 0 };
            }
            mls_turn4(r);
            for (int i = 0; i < 4 && t + i < len; i++) {
                float *row = to + (t + i) * stride + c;
                if (n - c >= 4) {
                    if (add) r[i] += *(mls_v4 *)row;
                    *(mls_v4 *)row = r[i];
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
    const int64_t t0 = chunk * CHUNK, at = t0 * j->B + b;
    const float *from = outer_begin(j, chunk, b, u);
    float *carry = j->carry + outer_place(j, b, u),
          *gx = j->gx ? j->gx + at * j->xs + u->head * j->P + u->p0 : NULL;
    FN(room) w;
    FN(take_times)(j, &w.times, t0, len, b, u);
    FN(weights)(&w.times, len, keys->dots, w.m, w.d);
    FN(take_unit)(j, &w, t0, len, b, u);
    FN(pairs)(&w, len, u->width, sums);
    for (int64_t n0 = 0; n0 < j->N; n0 += KEYS) {
        FN(keys_at)(j, keys, t0, len, b, u->group, n0);
        FN(through)(j, keys, &w, sums, len, u->width, from + n0 * PANEL,
                    carry + n0 * PANEL, gx);
        if (j->N > KEYS) FN(flush)(j, keys, sums, len, at, u->group);
    }
    sums->skip = 0.0f;
    FN(squares)(j, keys->dots, &w, sums, len, at, u->head);
    j->gd_part[b * j->H + u->head] += sums->skip;
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
    for (int64_t i = group * per; i < (group + 1) * per; i++) {
        const outer_unit u = outer_unit_of(j, i);
        FN(fold_state)(j, b, &u, j->s0, j->first);
        if (j->gs1) FN(fold_state)(j, b, &u, j->gs1, j->carry);
        else
            memset(j->carry + outer_place(j, b, &u), 0,
                   (size_t)((u.width + PANEL - 1) / PANEL * PANEL * j->N)
                       * sizeof *j->carry);
    }
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
    for (int64_t i = group * per; j->gs0 && i < (group + 1) * per; i++) {
        const outer_unit u = outer_unit_of(j, i);
        FN(unfold_state)(j, b, &u, j->carry, j->gs0, 1);
    }
}
