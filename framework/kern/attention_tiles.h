/* attention_tiles.h - attention.c's tiles for one instruction set; see tile.h.
 *
 * Whatever a product sums over lies in panels of 16 columns: K and V transposed where a
 * query meets keys, [key / 16][d][16], and as they are where keys are summed up,
 * [d / 16][key][16].  Keys are counted in whole panels, those beyond n being 0; a tile is
 * gone through in strips of STRIP queries, whose scores stay in the first cache.
 */

#include "kern/tile.h"

/* Rows [0, n) of x [n][d] as [n / 16][d][16]. */
TARGET static void FN(turn)(const float *x, int64_t n, int64_t d, float *to)
{
    for (int64_t j = 0; j < n; j += PANEL, to += PANEL * d) {
        const int64_t w = least(n - j, PANEL);
        if (w < PANEL) zero(to, 0, PANEL * d);
        mls_transpose(w, d, x + j * d, d, to, PANEL);
    }
}

/* Rows [0, n) of x [n][d] as [d / 16][n, padded][16]. */
TARGET static void FN(stack)(const float *x, int64_t n, int64_t d, float *to)
{
    for (int64_t e = 0; e < d; e += PANEL) {
        const int64_t w = least(d - e, PANEL);
        for (int64_t j = 0; j < n; j++, to += PANEL) {
            for (int64_t l = 0; l < w; l++) to[l] = x[j * d + e + l];
            zero(to, w, PANEL);
        }
        zero(to, 0, (padded(n) - n) * PANEL);
        to += (padded(n) - n) * PANEL;
    }
}

/* by * x [n][d] as [n / STRIP][d][STRIP]: what a strip reads lies side by side. */
TARGET static void FN(weave)(const float *x, int64_t n, int64_t d, float by, float *to)
{
    for (int64_t i = 0; i < n; i += STRIP, x += STRIP * d, to += STRIP * d) {
        const int64_t rows = least(n - i, STRIP);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t e = 0; e < d; e++) to[e * STRIP + r] = x[r * d + e] * by;
    }
}

/* The sums of scores over a short head, without a loop. */
FUN void FN(score_of)(int d, const float *a, const float *p, float *c)
{
    FN(vf) sum[STRIP][PANEL / LANES];
    MLS_UNROLL(32)
    for (int e = 0; e < d; e++)
        for (int r = 0; r < STRIP; r++)
            for (int v = 0; v < PANEL / LANES; v++) {
                const FN(vf) b = (FN(vf))((const FN(vu) *)(p + e * PANEL))[v];
                if (e) sum[r][v] += a[e * STRIP + r] * b;
                else sum[r][v] = a[r] * b;
            }
    for (int r = 0; r < STRIP; r++)
        for (int v = 0; v < PANEL / LANES; v++)
            ((FN(vu) *)(c + r * KEYS))[v] = (FN(vu))sum[r][v];
}

TARGET __attribute__((noinline)) static void FN(score16)(const float *a, const float *p,
                                                         float *c)
{
    FN(score_of)(16, a, p, c);
}

TARGET __attribute__((noinline)) static void FN(score32)(const float *a, const float *p,
                                                         float *c)
{
    FN(score_of)(32, a, p, c);
}

TILE(score, 1, STRIP, NULL, 0)
TILE(mix, KEYS, 1, c, ldc)
TILE(spread, 1, KEYS, c, ldc)

FUN FN(vf) FN(load)(const float *p) { return (FN(vf))*(const FN(vu) *)p; }
FUN void FN(save)(float *p, FN(vf) x) { *(FN(vu) *)p = (FN(vu))x; }

FUN FN(vf) FN(larger)(FN(vf) x, FN(vf) y)
{
    const FN(vi) more = (FN(vi))(x > y);
    return (FN(vf))((more & (FN(vi))x) | (~more & (FN(vi))y));
}

/* 2^x for LEAST <= x <= 127; NaN for NaN. */
FUN FN(vf) FN(power_within)(FN(vf) x)
{
    const float big = 12582912.0f;
    const FN(vf) r = x + big, f = x - (r - big);
    FN(vf) p = f * 1.3264722049e-3f + 9.6715129970e-3f;
    p = p * f + 5.5507337604e-2f;
    p = p * f + 2.4022242078e-1f;
    p = p * f + 6.9314697759e-1f;
    p = p * f + 1.0f;
    return (FN(vf))((FN(vi))p + ((FN(vi))r << 23));
}

/* 2^x for x <= 127: 0 below -127 and for -Inf, NaN for NaN. */
FUN FN(vf) FN(power)(FN(vf) x)
{
    const FN(vf) low = (FN(vf)){ 0 } - 127.0f;
    const FN(vi) under = (FN(vi))(x < low);
    return FN(power_within)((FN(vf))((under & (FN(vi))low) | (~under & (FN(vi))x)));
}

/* Of whole panels, as all that follow: with 16 lanes a vector may be left over. */
FUN float FN(largest)(const float *x, int64_t n)
{
    FN(vf) best = FN(load)(x), other = best;
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        best = FN(larger)(FN(load)(x + i), best);
        other = FN(larger)(FN(load)(x + i + LANES), other);
    }
    if (i < n) best = FN(larger)(FN(load)(x + i), best);
    best = FN(larger)(best, other);
    float most = best[0];
    for (int l = 1; l < LANES; l++) most = best[l] > most ? best[l] : most;
    return most;
}

/* x = 2^(x - top), which is added up in *sum; bounded: top is 0, and no x below LEAST. */
FUN void FN(powers)(int bounded, float *x, int64_t n, float top, FN(vf) *sum)
{
    FN(vf) one = *sum, other = { 0 };
    int64_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        const FN(vf) a = FN(load)(x + i), b = FN(load)(x + i + LANES);
        const FN(vf) p = bounded ? FN(power_within)(a) : FN(power)(a - top);
        const FN(vf) q = bounded ? FN(power_within)(b) : FN(power)(b - top);
        FN(save)(x + i, p);
        FN(save)(x + i + LANES, q);
        one += p;
        other += q;
    }
    if (i < n) {
        const FN(vf) a = FN(load)(x + i);
        const FN(vf) p = bounded ? FN(power_within)(a) : FN(power)(a - top);
        FN(save)(x + i, p);
        one += p;
    }
    *sum = one + other;
}

FUN float FN(total)(FN(vf) sum)
{
    float lane[LANES], all = 0.0f;
    FN(save)(lane, sum);
    for (int l = 0; l < LANES / 2; l++) all += lane[l] + lane[l + LANES / 2];
    return all;
}

/* Vectors that hold what a strip's reach has beyond one of its queries, at either end. */
enum { FN(EDGE) = (PANEL + STRIP - 2 + LANES - 1) / LANES };

/* x[nk], whole panels, = `with` outside of [c0, c1), which the edges hold. */
FUN void FN(edges)(float *x, int64_t nk, int64_t c0, int64_t c1, float with)
{
    FN(vi) lane;
    const int64_t n = least(FN(EDGE), nk / LANES);
    for (int l = 0; l < LANES; l++) lane[l] = l;
    const FN(vi) fill = (FN(vi))((FN(vf)){ 0 } + with);
    for (int64_t v = 0; c0 && v < n; v++) {
        const FN(vi) out = (FN(vi))(lane + (int32_t)(v * LANES) < (int32_t)c0);
        float *at = x + v * LANES;
        FN(save)(at, (FN(vf))((out & fill) | (~out & (FN(vi))FN(load)(at))));
    }
    for (int64_t v = 1; c1 < nk && v <= n; v++) {
        const FN(vi) out = (FN(vi))(lane + (int32_t)(nk - v * LANES) >= (int32_t)c1);
        float *at = x + nk - v * LANES;
        FN(save)(at, (FN(vf))((out & fill) | (~out & (FN(vi))FN(load)(at))));
    }
}

/* Keys [*lo, *hi), in whole panels, of the tile [j0, j1) that queries [i, i + rows) see. */
FUN void FN(reach)(const mls_k_attention *a, int64_t i, int64_t rows, int64_t j0, int64_t j1,
                   int64_t *lo, int64_t *hi)
{
    int64_t first, last, ignored;
    seen(a, i, &first, &ignored);
    seen(a, i + rows - 1, &ignored, &last);
    first = first / PANEL * PANEL;
    last = padded(last);
    *lo = first > j0 ? first : j0;
    *hi = least(last, j1);
}

/* to[rows][lo..hi) = x panels^T; x is a strip that weave made. */
FUN void FN(scores)(int64_t rows, int64_t d, const float *x, const float *panel, int64_t lo,
                    int64_t hi, float *to)
{
    for (int64_t j = lo; j < hi; j += PANEL)
        if (rows == STRIP && d == 16) FN(score16)(x, panel + j * d, to + j - lo);
        else if (rows == STRIP && d == 32) FN(score32)(x, panel + j * d, to + j - lo);
        else if (rows == STRIP) FN(score)(d, x, panel + j * d, to + j - lo, KEYS);
        else
            for (int64_t r = 0; r < rows; r++)
                FN(score_row)(d, x + r, panel + j * d, to + r * KEYS + j - lo, KEYS);
}

/* c[rows][width] += x panels: row r of x at x + r KEYS, or, if turned, column r at x + r.
 * kk rows of the panels, which are `length` long, count from `from` on. */
FUN void FN(gather)(int turned, int64_t rows, int64_t width, int64_t kk, const float *x,
                    const float *panel, int64_t from, int64_t length, float *c)
{
    for (int64_t e = 0; e < width; e += PANEL) {
        const float *p = panel + e * length + from * PANEL;
        if (rows == STRIP && turned) FN(spread)(kk, x, p, c + e, width);
        else if (rows == STRIP) FN(mix)(kk, x, p, c + e, width);
        else if (turned)
            for (int64_t r = 0; r < rows; r++)
                FN(spread_row)(kk, x + r, p, c + r * width + e, width);
        else
            for (int64_t r = 0; r < rows; r++)
                FN(mix_row)(kk, x + r * KEYS, p, c + r * width + e, width);
    }
}

/* ---- forward ------------------------------------------------------------------------ */

/* most[j] = the largest |k| of keys 0 to j; turned keys. */
FUN void FN(norms)(const float *keys, int64_t n, int64_t d, float *most)
{
    float top = 0.0f;
    for (int64_t j = 0; j < n; j += PANEL, keys += PANEL * d) {
        float square[PANEL] = { 0 };
        for (int64_t e = 0; e < d; e++)
            for (int64_t l = 0; l < PANEL; l++)
                square[l] += keys[e * PANEL + l] * keys[e * PANEL + l];
        for (int64_t l = 0; l < PANEL; l++) {
            if (!(square[l] <= top)) top = square[l];
            most[j + l] = top;
        }
    }
    for (int64_t j = 0; j < n; j++) most[j] = sqrtf(most[j]);
}

/* Scores of a query that no key can lift over BOUND need no maximum: *top is 0 then, and
 * else starts at -Inf.  It depends on nothing that the query does not see. */
FUN float FN(first_top)(const mls_k_attention *a, int64_t i, const float *most)
{
    const float *q = a->q + i * a->d, by = a->scale * MLS_LOG2E;
    int64_t lo, hi;
    float square = 0.0f;
    seen(a, i, &lo, &hi);
    for (int64_t e = 0; e < a->d; e++) square += q[e] * q[e];
    return sqrtf(square) * most[hi - 1] * by < BOUND ? 0.0f : -INFINITY;
}

FUN void FN(softmax_row)(const mls_k_attention *a, int64_t i, int64_t j0, int64_t nk,
                         float *row, int bounded, float *top, FN(vf) *sum, float *o,
                         int64_t width)
{
    int64_t c0, c1;
    columns(a, i, j0, nk, &c0, &c1);
    if (c0 == c1) {
        zero(row, 0, nk);
        return;
    }
    FN(edges)(row, nk, c0, c1, bounded ? LEAST : -INFINITY);
    if (bounded) {
        /* 2^LEAST is lost in a sum of powers above -BOUND, whose bits stay as they are */
        FN(powers)(1, row, nk, 0.0f, sum);
        FN(edges)(row, nk, c0, c1, 0.0f);
        return;
    }
    const float best = FN(largest)(row, nk);
    if (best > *top) {
        const float shrink = mls_exp2f(*top - best);
        *sum *= shrink;
        for (int64_t e = 0; e < width; e++) o[e] *= shrink;
        *top = best;
    }
    FN(powers)(0, row, nk, *top, sum);
}

/* What forward keeps in a->work. */
typedef struct FN(ahead) {
    int64_t width;                  /* d in whole panels                                */
    float *keys, *values;           /* turned; stacked                                  */
    float *q, *o, *s, *most, top[QUERIES];
    FN(vf) sum[QUERIES];
    int   bounded[QUERIES];
} FN(ahead);

TARGET static void FN(forward_tile)(mls_k_attention *a, FN(ahead) *w, int64_t i0, int64_t nq)
{
    const int64_t d = a->d, width = w->width;
    int64_t from, to, ignored;
    seen(a, i0, &from, &ignored);
    seen(a, i0 + nq - 1, &ignored, &to);
    FN(weave)(a->q + i0 * d, nq, d, a->scale * MLS_LOG2E, w->q);
    for (int64_t i = 0; i < nq; i++) {
        w->sum[i] = (FN(vf)){ 0 };
        w->top[i] = FN(first_top)(a, i0 + i, w->most);
        w->bounded[i] = w->top[i] == 0.0f;
    }
    zero(w->o, 0, nq * width);
    for (int64_t j0 = from / PANEL * PANEL; j0 < to; j0 += KEYS)
        for (int64_t r = 0; r < nq; r += STRIP) {
            const int64_t rows = least(nq - r, STRIP);
            int64_t lo, hi;
            FN(reach)(a, i0 + r, rows, j0, j0 + KEYS, &lo, &hi);
            if (lo >= hi) continue;
            FN(scores)(rows, d, w->q + r * d, w->keys, lo, hi, w->s);
            for (int64_t i = 0; i < rows; i++)
                FN(softmax_row)(a, i0 + r + i, lo, hi - lo, w->s + i * KEYS,
                                w->bounded[r + i], w->top + r + i, w->sum + r + i,
                                w->o + (r + i) * width, width);
            FN(gather)(0, rows, width, hi - lo, w->s, w->values, lo, padded(a->n),
                       w->o + r * width);
        }
    for (int64_t i = 0; i < nq; i++) {
        const float sum = FN(total)(w->sum[i]), by = 1.0f / sum;
        for (int64_t e = 0; e < d; e++) a->o[(i0 + i) * d + e] = w->o[i * width + e] * by;
        a->lse[i0 + i] = w->top[i] + log2f(sum);
    }
}

TARGET static void FN(forward)(mls_k_attention *a)
{
    FN(ahead) w = { .width = padded(a->d) };
    const int64_t d = a->d, n = padded(a->n);
    w.keys = a->work;
    w.values = w.keys + n * d;
    w.q = w.values + n * w.width;
    w.o = w.q + QUERIES * d;
    w.s = w.o + QUERIES * w.width;
    w.most = w.s + STRIP * KEYS;
    FN(turn)(a->k, a->n, d, w.keys);
    FN(norms)(w.keys, n, d, w.most);
    FN(stack)(a->v, a->n, d, w.values);
    for (int64_t i = 0; i < a->m; i += QUERIES)
        FN(forward_tile)(a, &w, i, least(a->m - i, QUERIES));
}

/* ---- backward ----------------------------------------------------------------------- */

typedef struct FN(back) {
    int64_t width;
    float *keys, *values;           /* turned                                           */
    const float *k, *q, *g;         /* stacked K, Q and d_o                             */
    float *dk, *dv;                 /* [n, padded][width]                               */
    float *qs, *gs;                 /* woven q and d_o of a tile of queries             */
    float *dq, *p, *ds;             /* [QUERIES][width], [QUERIES][KEYS]                */
} FN(back);

/* p = 2^(p - lse) and ds = by p (ds - dot); a function of its own, for the registers. */
TARGET __attribute__((noinline)) static void FN(slopes)(int64_t n, float lse, float dot,
                                                        float by, float *restrict p,
                                                        float *restrict ds)
{
    for (int64_t j = 0; j < n; j += LANES) {
        const FN(vf) x = FN(power)(FN(load)(p + j) - lse);
        FN(save)(p + j, x);
        FN(save)(ds + j, x * by * (FN(load)(ds + j) - dot));
    }
}

/* p from scores and ds = scale p (dp - dot) from dp; 0 at keys the query does not see. */
FUN void FN(slope_row)(const mls_k_attention *a, int64_t i, int64_t j0, int64_t nk, float *p,
                       float *ds, float dot)
{
    int64_t c0, c1;
    columns(a, i, j0, nk, &c0, &c1);
    FN(edges)(p, nk, c0, c1, -INFINITY);
    FN(edges)(ds, nk, c0, c1, 0.0f);
    FN(slopes)(nk, a->lse[i], dot, a->scale, p, ds);
}

/* Of queries [i0, i0 + nq) those that see one of keys [j, j + rows): [*lo, *hi). */
FUN void FN(seen_by)(const mls_k_attention *a, int64_t i0, int64_t nq, int64_t j, int64_t rows,
                     int64_t *lo, int64_t *hi)
{
    *lo = 0;
    *hi = nq;
    if (a->bidirectional) return;
    const int64_t from = j - a->first - i0, to = j + rows - 1 - a->first - i0 + a->window;
    if (from > 0) *lo = least(from, nq);
    *hi = to > *lo ? least(to, nq) : *lo;
}

TARGET static void FN(backward_tile)(mls_k_attention *a, const FN(back) *w, int64_t i0,
                                     int64_t nq)
{
    const int64_t d = a->d, width = w->width, m = padded(a->m);
    const float *g = a->d_o + i0 * d, *o = a->o + i0 * d;
    float dot[QUERIES];
    int64_t from, to, ignored;
    seen(a, i0, &from, &ignored);
    seen(a, i0 + nq - 1, &ignored, &to);
    FN(weave)(a->q + i0 * d, nq, d, a->scale * MLS_LOG2E, w->qs);
    FN(weave)(g, nq, d, 1.0f, w->gs);
    zero(w->dq, 0, nq * width);
    for (int64_t i = 0; i < nq; i++) {
        dot[i] = 0.0f;
        for (int64_t e = 0; e < d; e++) dot[i] += g[i * d + e] * o[i * d + e];
    }
    for (int64_t j0 = from / PANEL * PANEL; j0 < to; j0 += KEYS) {
        const int64_t j1 = least(j0 + KEYS, padded(to));
        for (int64_t r = 0; r < nq; r += STRIP) {
            const int64_t rows = least(nq - r, STRIP);
            float *p = w->p + r * KEYS, *ds = w->ds + r * KEYS;
            int64_t lo, hi;
            FN(reach)(a, i0 + r, rows, j0, j1, &lo, &hi);
            if (lo >= hi) continue;               /* seen_by leaves these out too */
            FN(scores)(rows, d, w->qs + r * d, w->keys, lo, hi, p + lo - j0);
            FN(scores)(rows, d, w->gs + r * d, w->values, lo, hi, ds + lo - j0);
            for (int64_t i = 0; i < rows; i++) {
                float *pi = p + i * KEYS, *di = ds + i * KEYS;
                if (lo > j0) zero(pi, 0, lo - j0), zero(di, 0, lo - j0);
                if (hi < j1) zero(pi, hi - j0, j1 - j0), zero(di, hi - j0, j1 - j0);
                FN(slope_row)(a, i0 + r + i, lo, hi - lo, pi + lo - j0, di + lo - j0,
                              dot[r + i]);
            }
            FN(gather)(0, rows, width, hi - lo, ds + lo - j0, w->k, lo, padded(a->n),
                       w->dq + r * width);
        }
        for (int64_t j = j0; j < j1; j += STRIP) {
            const int64_t rows = least(j1 - j, STRIP);
            int64_t lo, hi;
            FN(seen_by)(a, i0, nq, j, rows, &lo, &hi);
            lo = lo / STRIP * STRIP;              /* whole strips are there, or nothing */
            hi = least((hi + STRIP - 1) / STRIP * STRIP, nq);
            if (lo >= hi) continue;
            const int64_t at = lo * KEYS + j - j0;
            FN(gather)(1, rows, width, hi - lo, w->p + at, w->g, i0 + lo, m,
                       w->dv + j * width);
            FN(gather)(1, rows, width, hi - lo, w->ds + at, w->q, i0 + lo, m,
                       w->dk + j * width);
        }
    }
    for (int64_t i = 0; i < nq; i++)
        for (int64_t e = 0; e < d; e++) a->dq[(i0 + i) * d + e] += w->dq[i * width + e];
}

/* x stacked: as it is where that is the same, else in *room, which moves on. */
TARGET static const float *FN(stacked)(const float *x, int64_t n, int64_t d, float **room)
{
    if (same_stacked(n, d)) return x;
    float *to = *room;
    *room += padded(n) * padded(d);
    FN(stack)(x, n, d, to);
    return to;
}

TARGET static void FN(backward)(mls_k_attention *a)
{
    FN(back) w = { .width = padded(a->d) };
    const int64_t d = a->d, n = padded(a->n);
    const int direct = same_rows(a->n, d);
    float *room = a->work;
    w.keys = room;
    w.values = w.keys + n * d;
    w.qs = w.values + n * d;
    w.gs = w.qs + QUERIES * d;
    w.dq = w.gs + QUERIES * d;
    w.p = w.dq + QUERIES * w.width;
    w.ds = w.p + QUERIES * KEYS;
    room = w.ds + QUERIES * KEYS;
    FN(turn)(a->k, a->n, d, w.keys);
    FN(turn)(a->v, a->n, d, w.values);
    w.k = FN(stacked)(a->k, a->n, d, &room);
    w.q = FN(stacked)(a->q, a->m, d, &room);
    w.g = FN(stacked)(a->d_o, a->m, d, &room);
    w.dk = direct ? a->dk : room;
    w.dv = direct ? a->dv : room + n * w.width;
    if (!direct) zero(room, 0, 2 * n * w.width);
    for (int64_t i = 0; i < a->m; i += QUERIES)
        FN(backward_tile)(a, &w, i, least(a->m - i, QUERIES));
    for (int64_t j = 0; !direct && j < a->n; j++)
        for (int64_t e = 0; e < d; e++) {
            a->dk[j * d + e] += w.dk[j * w.width + e];
            a->dv[j * d + e] += w.dv[j * w.width + e];
        }
}

#include "kern/tile_end.h"
