/* outer_tile.h - the small products that outer_chunk.h and outer_back.h are made of: R
 * rows by a panel of two vectors, which stay in registers over the whole sum.
 *
 *   acc[r][.] = sum_k a[r ra + k ka] b[k][.]       b: rows of PANEL floats, closed up
 *
 * Each value is a sum over k in order: its bits do not depend on the rows beside it.
 */
#define PANEL (2 * LANES)

#define SUM(R)                                                                           \
    VF acc[R][2];                                                                        \
    for (int r = 0; r < R; r++) acc[r][0] = acc[r][1] = (VF){ 0 };                       \
    for (int64_t k = 0; k < kk; k++, a += ka, b += PANEL) {                              \
        const VF b0 = FN(load)(b), b1 = FN(load)(b + LANES);                             \
        for (int r = 0; r < R; r++) {                                                    \
            const float x = a[r * ra];                                                   \
            acc[r][0] += x * b0, acc[r][1] += x * b1;                                    \
        }                                                                                \
    }

/* c = f start + acc */
#define TILE_INTO(name, R)                                                               \
    TARGET __attribute__((noinline)) static void FN(name)(                               \
        int64_t kk, const float *a, int64_t ra, int64_t ka, const float *b, float f,     \
        const float *start, int64_t lds, float *c, int64_t ldc)                          \
    {                                                                                    \
        SUM(R)                                                                           \
        for (int r = 0; r < R; r++, c += ldc, start += lds) {                            \
            FN(save)(c, f * FN(load)(start) + acc[r][0]);                                \
            FN(save)(c + LANES, f * FN(load)(start + LANES) + acc[r][1]);                \
        }                                                                                \
    }

/* c = (add ? c : 0) + scale[r] acc */
#define TILE_ROWS(name, R)                                                               \
    TARGET __attribute__((noinline)) static void FN(name)(                               \
        int64_t kk, const float *a, int64_t ra, int64_t ka, const float *b,              \
        const float *scale, int add, float *c, int64_t ldc)                              \
    {                                                                                    \
        SUM(R)                                                                           \
        for (int r = 0; r < R; r++, c += ldc) {                                          \
            VF c0 = { 0 }, c1 = { 0 };                                                   \
            if (add) c0 = FN(load)(c), c1 = FN(load)(c + LANES);                         \
            FN(save)(c, c0 + scale[r] * acc[r][0]);                                      \
            FN(save)(c + LANES, c1 + scale[r] * acc[r][1]);                              \
        }                                                                                \
    }

/* c += scale[.] acc and sum[.] += z[r][.] acc; c and z: rows of PANEL floats */
#define TILE_COLUMNS(name, R)                                                            \
    TARGET __attribute__((noinline)) static void FN(name)(                               \
        int64_t kk, const float *a, int64_t ra, int64_t ka, const float *b,              \
        const float *scale, const float *z, float *sum, float *c)                        \
    {                                                                                    \
        SUM(R)                                                                           \
        const VF s0 = FN(load)(scale), s1 = FN(load)(scale + LANES);                     \
        VF t0 = FN(load)(sum), t1 = FN(load)(sum + LANES);                               \
        for (int r = 0; r < R; r++, c += PANEL, z += PANEL) {                            \
            t0 += FN(load)(z) * acc[r][0], t1 += FN(load)(z + LANES) * acc[r][1];        \
            FN(save)(c, FN(load)(c) + s0 * acc[r][0]);                                   \
            FN(save)(c + LANES, FN(load)(c + LANES) + s1 * acc[r][1]);                   \
        }                                                                                \
        FN(save)(sum, t0), FN(save)(sum + LANES, t1);                                    \
    }

TILE_INTO(into_6, 6)
TILE_INTO(into_4, 4)
TILE_INTO(into_1, 1)
TILE_ROWS(rows_6, 6)
TILE_ROWS(rows_4, 4)
TILE_ROWS(rows_1, 1)
TILE_COLUMNS(columns_6, 6)
TILE_COLUMNS(columns_4, 4)
TILE_COLUMNS(columns_1, 1)
#undef SUM
#undef TILE_INTO
#undef TILE_ROWS
#undef TILE_COLUMNS

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

FUN void FN(rows)(int64_t rows, int64_t kk, const float *a, int64_t ra, int64_t ka,
                  const float *b, const float *scale, int add, float *c, int64_t ldc)
{
    if (rows == 6) FN(rows_6)(kk, a, ra, ka, b, scale, add, c, ldc);
    else if (rows == 4) FN(rows_4)(kk, a, ra, ka, b, scale, add, c, ldc);
    else FN(rows_1)(kk, a, ra, ka, b, scale, add, c, ldc);
}

FUN void FN(columns)(int64_t rows, int64_t kk, const float *a, int64_t ra, int64_t ka,
                     const float *b, const float *scale, const float *z, float *sum,
                     float *c)
{
    if (rows == 6) FN(columns_6)(kk, a, ra, ka, b, scale, z, sum, c);
    else if (rows == 4) FN(columns_4)(kk, a, ra, ka, b, scale, z, sum, c);
    else FN(columns_1)(kk, a, ra, ka, b, scale, z, sum, c);
}

/* to = f from + sum_k a[n + k ka] b[k], for all rows n of S: b is [width / PANEL][CHUNK]
 * [PANEL].  A panel that S has only a part of goes through memory of its own. */
FUN void FN(into_state)(int64_t rows, int64_t width, int64_t kk, const float *a, int64_t ka,
                        const float *b, float f, const float *from, float *to, int64_t P)
{
    for (int64_t c = 0; c < width; c += PANEL, b += CHUNK * PANEL)
        for (int64_t n = 0, r; n < rows; n += r) {
            const float *start = from + n * P + c;
            float *end = to + n * P + c, part[6 * PANEL];
            r = STRIP(rows - n);
            if (width - c >= PANEL) {
                FN(into)(r, kk, a + n, 1, ka, b, f, start, P, end, P);
                continue;
            }
            for (int64_t i = 0; i < r; i++)
                for (int64_t l = 0; l < PANEL; l += LANES)
                    FN(save)(part + i * PANEL + l,
                             FN(take)(start + i * P + l, width - c - l));
            FN(into)(r, kk, a + n, 1, ka, b, f, part, PANEL, part, PANEL);
            for (int64_t i = 0; i < r; i++)
                for (int64_t l = 0; l < PANEL; l += LANES)
                    FN(put)(end + i * P + l, FN(load)(part + i * PANEL + l),
                            width - c - l);
        }
}

/* 4 x 4, in place. */
FUN void FN(turned)(four *r)
{
    const four a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5),
               b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7),
               c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5),
               d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

/* to[c][t] = from[t][c], to in panels of PANEL steps that are `apart`. */
FUN void FN(turn)(const float *from, int64_t ld, int64_t steps, int64_t cols, float *to,
                  int64_t apart)
{
    for (int64_t t = 0; t < steps; t += 4)
        for (int64_t c = 0; c < cols; c += 4) {
            float *out = to + t / PANEL * apart + c * PANEL + t % PANEL;
            four r[4];
            for (int i = 0; i < 4; i++) r[i] = *(const four_at *)(from + (t + i) * ld + c);
            FN(turned)(r);
            for (int i = 0; i < 4; i++) *(four_at *)(out + i * PANEL) = r[i];
        }
}
