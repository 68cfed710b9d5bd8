/* outer_tile.h - the small products that outer_chunk.h and outer_back.h are made of: R
 * rows by a panel of two vectors, which stay in registers over the whole sum.
 *
 *   acc[r][.] = sum_k a[r ra + k ka] b[k][.]       b: rows of PANEL floats, closed up
 *
 * Each value is a sum over k in order: its bits do not depend on the rows beside it.
 */
#define PANEL (2 * LANES)

#define ROWS_1(X) X(0)
#define ROWS_4(X) X(0) X(1) X(2) X(3)
#define ROWS_6(X) ROWS_4(X) X(4) X(5)

/* Names in place of arrays: GCC keeps these in registers from end to end. */
#define ZERO(r) VF u##r = { 0 }, v##r = { 0 };
#define PLUS(r) u##r += a[r * ra] * b0, v##r += a[r * ra] * b1;
#define SUM(R)                                                                           \
    MLS_UNROLL(4)                                                                        \
    for (int64_t k = 0; k < kk; k++, a += ka, b += PANEL) {                              \
        const VF b0 = FN(load)(b), b1 = FN(load)(b + LANES);                             \
        ROWS_##R(PLUS)                                                                   \
    }

/* c = f start + acc */
#define INTO(r)                                                                          \
    FN(save)(c + r * ldc, f * FN(load)(start + r * lds) + u##r);                         \
    FN(save)(c + r * ldc + LANES, f * FN(load)(start + r * lds + LANES) + v##r);
#define TILE_INTO(R)                                                                     \
    TARGET __attribute__((noinline)) static void FN(into_##R)(                           \
        int64_t kk, const float *a, int64_t ra, int64_t ka, const float *b, float f,     \
        const float *start, int64_t lds, float *c, int64_t ldc)                          \
    {                                                                                    \
        ROWS_##R(ZERO)                                                                   \
        SUM(R)                                                                           \
        ROWS_##R(INTO)                                                                   \
    }

/* c = start + scale[r] acc + the sum over a2 and b2; rows of a are LDK apart */
#define SCALED(r) u##r *= scale[r], v##r *= scale[r];
#define TILE_PAIR(name, R, ra2, ka2)                                                     \
    TARGET __attribute__((noinline)) static void FN(name##_##R)(                         \
        int64_t kk, const float *a, const float *b, const float *scale, int64_t kk2,     \
        const float *a2, const float *b2, const float *start, int64_t lds, float *c,     \
        int64_t ldc)                                                                     \
    {                                                                                    \
        const float f = 1.0f;                                                            \
        ROWS_##R(ZERO)                                                                   \
        {                                                                                \
            const int64_t ra = LDK, ka = 1;                                              \
            SUM(R)                                                                       \
        }                                                                                \
        ROWS_##R(SCALED)                                                                 \
        kk = kk2, a = a2, b = b2;                                                        \
        {                                                                                \
            const int64_t ra = ra2, ka = ka2;                                            \
            SUM(R)                                                                       \
        }                                                                                \
        ROWS_##R(INTO)                                                                   \
    }

/* c += scale[.] acc and sum[.] += z[r][.] acc; c and z: rows of PANEL floats.  a: rows of
 * panels as S has them, `apart` from one to the next, kk in all */
#define COLUMN(r)                                                                        \
    t0 += FN(load)(z + r * PANEL) * u##r, t1 += FN(load)(z + r * PANEL + LANES) * v##r;  \
    FN(save)(c + r * PANEL, FN(load)(c + r * PANEL) + s0 * u##r);                        \
    FN(save)(c + r * PANEL + LANES, FN(load)(c + r * PANEL + LANES) + s1 * v##r);
#define TILE_COLUMNS(R)                                                                  \
    TARGET __attribute__((noinline)) static void FN(columns_##R)(                        \
        int64_t panels, int64_t apart, const float *from, const float *b,                \
        const float *scale, const float *z, float *sum, float *c)                        \
    {                                                                                    \
        const int64_t kk = PANEL, ra = PANEL, ka = 1;                                    \
        ROWS_##R(ZERO)                                                                   \
        for (; panels > 0; panels--, from += apart) {                                    \
            const float *a = from;                                                       \
            SUM(R)                                                                       \
        }                                                                                \
        const VF s0 = FN(load)(scale), s1 = FN(load)(scale + LANES);                     \
        VF t0 = FN(load)(sum), t1 = FN(load)(sum + LANES);                               \
        ROWS_##R(COLUMN)                                                                 \
        FN(save)(sum, t0), FN(save)(sum + LANES, t1);                                    \
    }

#define TILES(R)                                                                         \
    TILE_INTO(R)                                                                         \
    TILE_PAIR(pair_ahead, R, 1, LDL)                                                       \
    TILE_PAIR(pair_back, R, LDL, 1)                                                       \
    TILE_COLUMNS(R)
TILES(6)
TILES(4)
TILES(1)
#undef ROWS_1
#undef ROWS_4
#undef ROWS_6
#undef ZERO
#undef PLUS
#undef SUM
#undef INTO
#undef TILE_INTO
#undef SCALED
#undef TILE_PAIR
#undef COLUMN
#undef TILE_COLUMNS
#undef TILES

/* Rows to take next: what keeps enough sums busy. */
#define STRIP(left) ((left) >= 6 && (left) != 8 ? 6 : (left) >= 4 ? 4 : 1)

FUN void FN(into)(int64_t rows, int64_t kk, const float *a, int64_t ra, int64_t ka,
                  const float *b, float f, const float *start, int64_t lds, float *c,
                  int64_t ldc)
{
    if (rows == 6) FN(into_6)(kk, a, ra, ka, b, f, start, lds, c, ldc);
    else if (rows == 4) FN(into_4)(kk, a, ra, ka, b, f, start, lds, c, ldc);
    else FN(into_1)(kk, a, ra, ka, b, f, start, lds, c, ldc);
}

/* c has `width` columns from here on: of fewer than a panel, the rest goes nowhere. */
#define PAIR(name)                                                                       \
    FUN void FN(name)(int64_t rows, int64_t width, int64_t kk, const float *a,           \
                      const float *b, const float *scale, int64_t kk2, const float *a2,  \
                      const float *b2, const float *start, int64_t lds, float *c,        \
                      int64_t ldc)                                                       \
    {                                                                                    \
        float part[6 * PANEL], *to = width < PANEL ? part : c;                           \
        const int64_t ld = width < PANEL ? PANEL : ldc;                                  \
        if (width < PANEL && lds) {                                                      \
            for (int64_t r = 0; r < rows; r++)                                           \
                for (int64_t l = 0; l < PANEL; l += LANES)                               \
                    FN(save)(part + r * PANEL + l,                                       \
                             FN(take)(start + r * lds + l, width - l));                  \
            start = part, lds = PANEL;                                                   \
        }                                                                                \
        if (rows == 6)                                                                   \
            FN(name##_6)(kk, a, b, scale, kk2, a2, b2, start, lds, to, ld);              \
        else if (rows == 4)                                                              \
            FN(name##_4)(kk, a, b, scale, kk2, a2, b2, start, lds, to, ld);              \
        else FN(name##_1)(kk, a, b, scale, kk2, a2, b2, start, lds, to, ld);             \
        for (int64_t r = 0; width < PANEL && r < rows; r++)                              \
            for (int64_t l = 0; l < PANEL; l += LANES)                                   \
                FN(put)(c + r * ldc + l, FN(load)(part + r * PANEL + l), width - l);     \
    }
PAIR(pair_ahead)
PAIR(pair_back)
#undef PAIR

FUN void FN(columns)(int64_t rows, int64_t panels, int64_t apart, const float *a,
                     const float *b, const float *scale, const float *z, float *sum,
                     float *c)
{
    if (rows == 6) FN(columns_6)(panels, apart, a, b, scale, z, sum, c);
    else if (rows == 4) FN(columns_4)(panels, apart, a, b, scale, z, sum, c);
    else FN(columns_1)(panels, apart, a, b, scale, z, sum, c);
}

/* to = f from + sum_k a[n + k ka] b[k], for `rows` rows of the panels of S, which are
 * `apart`: b is [width / PANEL][CHUNK][PANEL]. */
FUN void FN(into_state)(int64_t rows, int64_t width, int64_t kk, const float *a, int64_t ka,
                        const float *b, float f, const float *from, float *to,
                        int64_t apart)
{
    for (int64_t c = 0; c < width; c += PANEL, b += CHUNK * PANEL)
        for (int64_t n = 0, r; n < rows; n += r) {
            const int64_t at = c / PANEL * apart + n * PANEL;
            r = STRIP(rows - n);
            FN(into)(r, kk, a + n, 1, ka, b, f, from + at, PANEL, to + at, PANEL);
        }
}

/* S of a unit from [H][N][P] of each sample to panels, 0 beyond P. */
FUN void FN(fold_state)(const outer_job *j, int64_t b, const outer_unit *u,
                        const float *from, float *to)
{
    from += (b * j->H + u->head) * j->N * j->P + u->p0;
    to += outer_place(j, b, u);
    for (int64_t c = 0; c < u->width; c += PANEL)
        for (int64_t n = 0; n < j->N; n++, to += PANEL)
            for (int64_t l = 0; l < PANEL; l += LANES)
                FN(save)(to + l, FN(take)(from + n * j->P + c + l, u->width - c - l));
}

FUN void FN(unfold_state)(const outer_job *j, int64_t b, const outer_unit *u,
                          const float *from, float *to, int add)
{
    from += outer_place(j, b, u);
    to += (b * j->H + u->head) * j->N * j->P + u->p0;
    for (int64_t c = 0; c < u->width; c += PANEL)
        for (int64_t n = 0; n < j->N; n++, from += PANEL)
            for (int64_t l = 0; l < PANEL; l += LANES)
                FN(give)(to + n * j->P + c + l, FN(load)(from + l), u->width - c - l, add);
}

/* to[c][t] = from[t][c], to in panels of PANEL steps that are `apart`. */
FUN void FN(turn)(const float *from, int64_t ld, int64_t steps, int64_t cols, float *to,
                  int64_t apart)
{
    for (int64_t t = 0; t < steps; t += 4)
        for (int64_t c = 0; c < cols; c += 4) {
            float *out = to + t / PANEL * apart + c * PANEL + t % PANEL;
            mls_v4 r[4];
            for (int i = 0; i < 4; i++) r[i] = *(const mls_v4 *)(from + (t + i) * ld + c);
            mls_turn4(r);
            for (int i = 0; i < 4; i++) *(mls_v4 *)(out + i * PANEL) = r[i];
        }
}
