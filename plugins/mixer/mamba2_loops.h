/* mamba2_loops.h - the loops of mamba2_ops.h; see lanes.h. */
#include "lanes.h"
#include "wide.h"

/* More channels and fewer steps at a time than in a scan: long pieces of rows. */
#define CHANNELS CONV_CHANNELS
#define CHUNK CONV_CHUNK
#define BLOCKS (CHANNELS / LANES)
#include "mamba_conv.h"
#undef CHANNELS
#undef CHUNK
#undef BLOCKS

FUN float FN(sum_wide)(const VF *x)
{
    float s[LANES], sum = 0.0f;
    FN(save)(s, (x[0] + x[1]) + (x[2] + x[3]));
    for (int l = 0; l < LANES; l++) sum += s[l];
    return sum;
}

/* v = y silu(z) and s = sigmoid(z) of n features; the sum of v v. */
FUN float FN(gated)(const float *y, const float *z, int64_t n, float *v, float *s)
{
    VF sum[WIDE] = { { 0 } };
    for (int64_t c = 0; c < n; c += WIDE * LANES) {
        VF a[WIDE], b[WIDE], t[WIDE];
        FN(take_wide)(z + c, n - c, a);
        FN(take_wide)(y + c, n - c, b);
        FN(sigmoid_wide)(a, t);
        EACH b[i] *= a[i] * t[i];
        EACH sum[i] += b[i] * b[i];
        EACH FN(save)(v + c + i * LANES, b[i]);
        if (s) EACH FN(save)(s + c + i * LANES, t[i]);
    }
    return FN(sum_wide)(sum);
}

FUN float FN(rms)(const gate_job *j, float sum)
{
    return 1.0f / sqrtf(sum / (float)j->n + 1e-5f);
}

TARGET static void FN(gate_forward_item)(int64_t item, void *arg)
{
    const gate_job *j = arg;
    const int64_t end = (item + 1) * ROWS < j->rows ? (item + 1) * ROWS : j->rows;
    float *v = j->part + item * j->room;
    for (int64_t row = item * ROWS; row < end; row++)
        for (int64_t at = 0; at < j->E; at += j->n) {
            FN(ahead)(j->z + row * j->zs + at, j->zs, j->n, 0);
            float *out = j->out + row * j->E + at;
            const float r = FN(rms)(j, FN(gated)(j->y + row * j->E + at,
                                                 j->z + row * j->zs + at, j->n, v, NULL));
            for (int64_t c = 0; c < j->n; c += LANES)
                FN(put)(out + c, r * FN(load)(v + c) * FN(take)(j->w + at + c, j->n - c),
                        j->n - c);
        }
}

/* With h = w d loss / d out: d v = r h - v r^3 mean(h v). */
TARGET static void FN(gate_backward_item)(int64_t item, void *arg)
{
    const gate_job *j = arg;
    const int64_t end = (item + 1) * ROWS < j->rows ? (item + 1) * ROWS : j->rows;
    const int64_t pad = j->pad;
    float *v = j->part + item * j->room, *s = v + pad, *h = s + pad, *gw = h + pad;
    memset(gw, 0, (size_t)(j->E / j->n * pad) * sizeof *gw);
    for (int64_t row = item * ROWS; row < end; row++)
        for (int64_t g = 0, at = 0; at < j->E; g++, at += j->n) {
            const int64_t from = row * j->E + at, zat = row * j->zs + at;
            FN(ahead)(j->z + zat, j->zs, j->n, 0);
            const float r = FN(rms)(j, FN(gated)(j->y + from, j->z + zat, j->n, v, s));
            VF dot = { 0 };
            for (int64_t c = 0; c < j->n; c += LANES) {
                const VF go = FN(take)(j->gout + from + c, j->n - c), x = FN(load)(v + c);
                const VF hc = go * FN(take)(j->w + at + c, j->n - c);
                float *sum = gw + g * pad + c;
                dot += hc * x;
                FN(save)(h + c, hc);
                FN(save)(sum, FN(load)(sum) + r * go * x);
            }
            float part[LANES], mean = 0.0f;
            FN(save)(part, dot);
            for (int l = 0; l < LANES; l++) mean += part[l];
            mean *= r * r / (float)j->n;
            for (int64_t c = 0; c < j->n; c += LANES) {
                const int64_t left = j->n - c;
                const VF gv = r * (FN(load)(h + c) - mean * FN(load)(v + c));
                const VF z = FN(take)(j->z + zat + c, left), t = FN(load)(s + c);
                const VF y = FN(take)(j->y + from + c, left);
                if (j->gy) FN(give)(j->gy + from + c, gv * z * t, left, j->add_y);
                if (j->gz)
                    FN(give)(j->gz + zat + c, gv * y * t * (1.0f + z * (1.0f - t)), left,
                             j->add_z);
            }
        }
    for (int64_t row = item * ROWS; j->gz && !j->add_z && row < end; row++)
        for (int64_t c = j->zs - j->tail; c < j->zs; c++) j->gz[row * j->zs + c] = 0.0f;
}

#include "lanes_end.h"
