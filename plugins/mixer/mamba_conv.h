/* mamba_conv.h - mamba.c's convolution and the SiLU after it in one pass, for LANES
 * channels at a time; mamba_scan.h includes it for each instruction set.
 *
 *   s[t][e] = bias[e] + sum_i w[e][i] x[t - (K - 1) + i][e]        u = silu(s)
 *
 * Time counts real steps alone: a masked one is no input, gives 0 and leaves the state.
 * Nothing but u is kept: backward forms s again.  An item is one sample and CHANNELS
 * channels, and goes through time in chunks, in backward from the last one on.
 */

/* The row of x at real step r of sample b, or for r < 0 that of the state. */
FUN const float *FN(conv_row)(const conv_job *j, int64_t b, int64_t r, int64_t e)
{
    if (r < 0) return j->past + (b * (j->K - 1) + j->K - 1 + r) * j->E + e;
    return j->x + ((j->step ? j->step[b * j->T + r] : r) * j->B + b) * j->xs + e;
}

FUN void FN(conv_ahead)(int64_t K, const conv_job *j, int64_t b, int64_t e0, int64_t width)
{
    const float *row[TAPS];
    const int64_t real = j->real[b], B = j->B, E = j->E;
    int64_t r = 0;
    for (int64_t i = 0; i < K - 1; i++) row[i + 1] = FN(conv_row)(j, b, i - (K - 1), e0);
    for (int64_t t = 0; t < j->T; t++) {
        float *u = j->u + (t * B + b) * E + e0;
        if (r == real || (j->step && j->step[b * j->T + r] != t)) {
            memset(u, 0, (size_t)width * sizeof *u);
            continue;
        }
        for (int64_t i = 0; i < K - 1; i++) row[i] = row[i + 1];
        row[K - 1] = FN(conv_row)(j, b, r++, e0);
        FN(ahead)(row[K - 1], B * j->xs, width, 0);
        FN(ahead)(u, B * E, width, 1);
        for (int64_t c = 0; c < width; c += WIDE * LANES) {
            const int64_t n = width - c;
            VF s[WIDE], w[WIDE], x[WIDE];
            FN(take_wide)(j->bias + e0 + c, n, s);
            for (int64_t q = 0; q < K; q++) {
                FN(take_wide)(j->w + q * E + e0 + c, n, w);
                FN(take_wide)(row[q] + c, n, x);
                EACH s[i] += w[i] * x[i];
            }
            FN(sigmoid_wide)(s, w);
            EACH s[i] *= w[i];
            FN(give_wide)(u + c, s, n, 0);
        }
    }
    for (int64_t i = 0; i < K - 1; i++)
        memcpy(j->next + (b * (K - 1) + i) * E + e0,
               FN(conv_row)(j, b, real - (K - 1) + i, e0), (size_t)width * sizeof(float));
}

TARGET static void FN(conv_forward_item)(int64_t item, void *arg)
{
    const conv_job *j = arg;
    const int64_t b = item / j->segments, e0 = item % j->segments * CHANNELS;
    const int64_t width = j->E - e0 < CHANNELS ? j->E - e0 : CHANNELS;
    if (j->K == 4) FN(conv_ahead)(4, j, b, e0, width);
    else FN(conv_ahead)(j->K, j, b, e0, width);
}

/* What backward keeps of one item; d[k][t] is d loss / d s, x[k][t + K - 1] the input, and
 * beyond the chunk d has the first steps of the one after, x before it the last ones. */
typedef struct FN(conv_back) {
    VF d[BLOCKS][CHUNK + TAPS - 1], x[BLOCKS][CHUNK + TAPS - 1], sum[BLOCKS][TAPS + 1];
} FN(conv_back);

FUN void FN(conv_slopes)(int64_t K, const conv_job *j, FN(conv_back) *w, int64_t b,
                         int64_t e0, int64_t width, int64_t r0, int64_t len)
{
    for (int64_t t = 1 - K; t < len; t++) {
        const float *x = FN(conv_row)(j, b, r0 + t, e0);
        const int64_t at = t < 0 ? 0 : j->step ? j->step[b * j->T + r0 + t] : r0 + t;
        const float *gu = j->gu + (at * j->B + b) * j->E + e0;
        if (t >= 0) {
            FN(ahead)(x, j->B * j->xs, width, 0);
            FN(ahead)(gu, j->B * j->E, width, 0);
        }
        for (int64_t k = 0, c = 0; c < width; k += WIDE, c += WIDE * LANES) {
            const int64_t n = width - c;
            VF s[WIDE], g[WIDE], tap[WIDE];
            FN(take_wide)(x + c, n, s);
            EACH w->x[k + i][t + K - 1] = s[i];
            if (t < 0) continue;
            FN(take_wide)(j->bias + e0 + c, n, s);
            for (int64_t q = 0; q < K; q++) {
                FN(take_wide)(j->w + q * j->E + e0 + c, n, tap);
                EACH s[i] += tap[i] * w->x[k + i][t + q];
            }
            FN(sigmoid_wide)(s, g);
            FN(take_wide)(gu + c, n, tap);
            EACH w->d[k + i][t] = tap[i] * g[i] * (1.0f + s[i] * (1.0f - g[i]));
        }
    }
}

/* Sums for w and bias; the gradient of the input takes its place, K - 1 earlier in x. */
FUN void FN(conv_sums)(int64_t K, const conv_job *j, FN(conv_back) *w, int64_t e0,
                       int64_t width, int64_t len)
{
    for (int64_t k = 0, c = 0; c < width; k++, c += LANES) {
        const VF *d = w->d[k];
        VF *x = w->x[k], tap[TAPS], sum[TAPS + 1];
        for (int64_t i = 0; i < K; i++)
            tap[i] = FN(take)(j->w + i * j->E + e0 + c, width - c);
        for (int64_t i = 0; i <= K; i++) sum[i] = w->sum[k][i];
        for (int64_t t = 0; t < len; t++) {
            VF g = { 0 };
            for (int64_t i = 0; i < K; i++) {
                sum[i] += d[t] * x[t + i];
                g += tap[i] * d[t + K - 1 - i];
            }
            sum[K] += d[t];
            x[t] = g;
        }
        for (int64_t i = 0; i <= K; i++) w->sum[k][i] = sum[i];
    }
}

/* to += row q of the gradient of the new state. */
FUN void FN(conv_next)(const conv_job *j, int64_t b, int64_t e0, int64_t width, int64_t q,
                       float *to)
{
    const float *g = j->gnext + (b * (j->K - 1) + q) * j->E + e0;
    for (int64_t c = 0; c < width; c += LANES)
        FN(gain)(to + c, FN(take)(g + c, width - c), width - c);
}

FUN void FN(conv_behind)(int64_t K, const conv_job *j, int64_t b, int64_t e0, int64_t width)
{
    FN(conv_back) w;
    const int64_t real = j->real[b], chunks = (real + CHUNK - 1) / CHUNK;
    for (int64_t k = 0; k < BLOCKS; k++) {
        for (int64_t i = 0; i <= K; i++) w.sum[k][i] = (VF){ 0 };
        for (int64_t i = 0; i < K - 1; i++) w.d[k][i] = (VF){ 0 };
    }
    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
        const int64_t r0 = chunk * CHUNK, len = real - r0 < CHUNK ? real - r0 : CHUNK;
        for (int64_t k = 0; k < BLOCKS; k++)
            for (int64_t i = K - 2; i >= 0; i--) w.d[k][len + i] = w.d[k][i];
        FN(conv_slopes)(K, j, &w, b, e0, width, r0, len);
        FN(conv_sums)(K, j, &w, e0, width, len);
        for (int64_t t = 0; j->gx && t < len; t++) {
            float *gx = j->gx + (FN(conv_row)(j, b, r0 + t, e0) - j->x);
            FN(ahead)(gx, j->B * j->xs, width, 1);
            for (int64_t k = 0, c = 0; c < width; k++, c += LANES)
                FN(put)(gx + c, w.x[k][t], width - c);
        }
    }
    for (int64_t t = 0, r = 0; j->gx && j->step && t < j->T; t++)
        if (r < real && j->step[b * j->T + r] == t) r++;
        else memset(j->gx + (t * j->B + b) * j->xs + e0, 0, (size_t)width * sizeof(float));
    for (int64_t r = 1 - K; j->gpast && chunks && r < 0; r++) {
        float *to = j->gpast + (b * (K - 1) + K - 1 + r) * j->E + e0;
        for (int64_t k = 0, c = 0; c < width; k++, c += LANES)
            for (int64_t i = 0; r + K - 1 - i >= 0; i++)
                FN(gain)(to + c, FN(take)(j->w + i * j->E + e0 + c, width - c)
                                     * w.d[k][r + K - 1 - i], width - c);
    }
    for (int64_t q = 0; q < K - 1; q++) {
        const int64_t r = real - (K - 1) + q;
        if (r >= 0 && j->gx)
            FN(conv_next)(j, b, e0, width, q, j->gx + (FN(conv_row)(j, b, r, e0) - j->x));
        if (r < 0 && j->gpast)
            FN(conv_next)(j, b, e0, width, q, j->gpast + (b * (K - 1) + K - 1 + r) * j->E + e0);
    }
    for (int64_t k = 0, c = 0; c < width; k++, c += LANES)
        for (int64_t i = 0; i <= K; i++)
            FN(put)(j->part + (b * (K + 1) + i) * j->E + e0 + c, w.sum[k][i], width - c);
}

TARGET static void FN(conv_backward_item)(int64_t item, void *arg)
{
    const conv_job *j = arg;
    const int64_t b = item / j->segments, e0 = item % j->segments * CHANNELS;
    const int64_t width = j->E - e0 < CHANNELS ? j->E - e0 : CHANNELS;
    if (j->K == 4) FN(conv_behind)(4, j, b, e0, width);
    else FN(conv_behind)(j->K, j, b, e0, width);
}
