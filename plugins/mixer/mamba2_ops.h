/* mamba2_ops.h - what mamba2.c does before and after its scan, each in one pass over what
 * the input projection wrote, where it wrote it:
 *
 *   u   = silu(conv(xBC))             causal, depthwise; see mamba_conv.h
 *   out = RMSNorm(y silu(z))          by groups of n features, eps 1e-5
 */
#ifndef PLUGINS_MIXER_MAMBA2_OPS_H
#define PLUGINS_MIXER_MAMBA2_OPS_H

#include <math.h>
#include "outer.h"

enum { TAPS = 64, ROWS = 64 }; /* at most, of the convolution; of an item of the norm */
enum { CONV_CHANNELS = 256, CONV_CHUNK = 32 };

typedef struct conv_job {
    int64_t T, B, E, K, segments, xs;               /* xs: floats from row to row of x */
    const int32_t *step;                            /* [B][T] real steps; NULL: all   */
    const int64_t *real;                            /* [B] how many there are         */
    const float *x, *w, *bias, *past, *gu, *gnext;  /* w by tap: [K][E]               */
    float  *u, *next, *gx, *gpast;
    float  *part;                                   /* [B][K + 1][E]: of w, then bias */
} conv_job;

typedef struct gate_job {
    int64_t rows, E, n, zs;                         /* n: features of a group         */
    int64_t pad, room;                              /* n padded; floats of an item    */
    const float *y, *z, *w, *gout;
    float  *out, *gy, *gz;
    float  *part;                                   /* of an item: v, sigmoid, h, gw  */
    int     add_y;
} gate_job;

#define LANES 4
#define FN(x) x##_m2_plain
#define TARGET
#include "mamba2_loops.h"
#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_m2_avx2
#define TARGET MLS_AVX2
#include "mamba2_loops.h"
#define LANES 16
#define FN(x) x##_m2_avx512
#define TARGET MLS_AVX512
#include "mamba2_loops.h"
#endif

typedef struct loops {
    void (*conv_forward)(int64_t, void *), (*conv_backward)(int64_t, void *);
    void (*gate_forward)(int64_t, void *), (*gate_backward)(int64_t, void *);
} loops;

static loops loops_of(int isa)
{
#if defined(__x86_64__)
    if (isa == MLS_ISA_AVX512)
        return (loops){ conv_forward_item_m2_avx512, conv_backward_item_m2_avx512,
                        gate_forward_item_m2_avx512, gate_backward_item_m2_avx512 };
    if (isa == MLS_ISA_AVX2)
        return (loops){ conv_forward_item_m2_avx2, conv_backward_item_m2_avx2,
                        gate_forward_item_m2_avx2, gate_backward_item_m2_avx2 };
#endif
    (void)isa;
    return (loops){ conv_forward_item_m2_plain, conv_backward_item_m2_plain,
                    gate_forward_item_m2_plain, gate_backward_item_m2_plain };
}

static void each_of(int64_t floats, int64_t items, void (*body)(int64_t, void *), void *job)
{
    if (floats >= 500000) mls->parfor(items, body, job);
    else for (int64_t i = 0; i < items; i++) body(i, job);
}

/* ---- The convolution --------------------------------------------------------------- */

enum { C_ALL, C_W, C_BIAS, C_PAST, C_MASK };

/* Where x begins in the rows of its tensor: after z, E wide. */
typedef struct part_of { int64_t from; } part_of;

/* 0 when memory ran out; the context knows. */
static int conv_job_of(const mls_call *k, conv_job *j)
{
    const mls_t x = k->in[C_ALL], mask = k->in[C_MASK], u = k->out[0], w = k->in[C_W];
    const int64_t T = x->dim[0], B = x->dim[1], E = u->dim[2], K = w->dim[2];
    float *taps = mls->scratch(k, (size_t)(K * E) * sizeof *taps);
    int64_t *real = mls->scratch(k, (size_t)B * sizeof *real);
    int32_t *step = mask ? mls->scratch(k, (size_t)(T * B) * sizeof *step) : NULL;
    if (!taps || !real || (mask && !step)) return 0;
    for (int64_t i = 0; i < K; i++)
        for (int64_t e = 0; e < E; e++) taps[i * E + e] = w->data[e * K + i];
    for (int64_t b = 0; b < B; b++) {
        real[b] = mask ? 0 : T;
        for (int64_t t = 0; mask && t < T; t++)
            if (mask->data[t * B + b] != 0.0f) step[b * T + real[b]++] = (int32_t)t;
    }
    *j = (conv_job){ .T = T, .B = B, .E = E, .K = K,
                     .segments = (E + CONV_CHANNELS - 1) / CONV_CHANNELS, .xs = x->dim[2],
                     .step = step, .real = real,
                     .x = x->data + ((const part_of *)k->attr)->from, .w = taps,
                     .bias = k->in[C_BIAS]->data, .past = k->in[C_PAST]->data,
                     .u = u->data, .next = k->out[1]->data };
    return 1;
}

static void conv_forward(const mls_call *k)
{
    conv_job j;
    if (!conv_job_of(k, &j)) return;
    each_of(j.T * j.B * j.E, j.B * j.segments, loops_of(mls->isa).conv_forward, &j);
}

static void conv_backward(const mls_call *k)
{
    const mls_t w = k->in[C_W], bias = k->in[C_BIAS];
    float *gx = k->in[C_ALL]->grad;
    conv_job j;
    if (!conv_job_of(k, &j)) return;
    j.gu = k->out[0]->grad, j.gnext = k->out[1]->grad;
    j.gx = gx ? gx + ((const part_of *)k->attr)->from : NULL;
    j.gpast = k->in[C_PAST]->grad;
    j.part = mls->scratch(k, (size_t)(j.B * (j.K + 1) * j.E) * sizeof *j.part);
    if (!j.part) return;
    each_of(j.T * j.B * j.E, j.B * j.segments, loops_of(mls->isa).conv_backward, &j);
    for (int64_t b = 0; b < j.B; b++) {
        const float *part = j.part + b * (j.K + 1) * j.E;
        for (int64_t i = 0; w->grad && i < j.K; i++)
            for (int64_t e = 0; e < j.E; e++) w->grad[e * j.K + i] += part[i * j.E + e];
        for (int64_t e = 0; bias->grad && e < j.E; e++)
            bias->grad[e] += part[j.K * j.E + e];
    }
}

static double conv_flops(const mls_call *k)
{
    return (double)k->out[0]->count * (2.0 * (double)k->in[C_W]->dim[2] + 20.0);
}

static const mls_op conv = { sizeof conv, "mamba.conv", conv_forward, conv_backward,
                             conv_flops };

/* ---- The gate and its norm --------------------------------------------------------- */

enum { G_Y, G_ALL, G_W }; /* z: the first E features of G_ALL */

static gate_job gate_job_of(const mls_call *k)
{
    const mls_t y = k->in[G_Y];
    gate_job j = { .rows = y->dim[0] * y->dim[1], .E = y->dim[2],
                   .n = ((const part_of *)k->attr)->from, .zs = k->in[G_ALL]->dim[2],
                   .y = y->data, .z = k->in[G_ALL]->data, .w = k->in[G_W]->data,
                   .out = k->out[0]->data };
    j.pad = (j.n + 63) / 64 * 64;
    j.room = (3 + j.E / j.n) * j.pad;
    j.part = mls->scratch(k, (size_t)((j.rows + ROWS - 1) / ROWS * j.room)
                                 * sizeof *j.part);
    return j;
}

static void gate_forward(const mls_call *k)
{
    gate_job j = gate_job_of(k);
    if (j.part)
        each_of(j.rows * j.E, (j.rows + ROWS - 1) / ROWS, loops_of(mls->isa).gate_forward,
                &j);
}

static void gate_backward(const mls_call *k)
{
    const int64_t items = (k->in[G_Y]->dim[0] * k->in[G_Y]->dim[1] + ROWS - 1) / ROWS;
    float *gw = k->in[G_W]->grad;
    gate_job j = gate_job_of(k);
    if (!j.part) return;
    mls_clear_if_fresh(k, G_ALL);
    mls_clear_if_fresh(k, G_W);
    j.gout = k->out[0]->grad, j.gy = k->in[G_Y]->grad, j.gz = k->in[G_ALL]->grad;
    j.add_y = !mls_is_fresh(k, G_Y);
    each_of(j.rows * j.E, items, loops_of(mls->isa).gate_backward, &j);
    for (int64_t i = 0; gw && i < items; i++)
        for (int64_t e = 0; e < j.E; e++)
            gw[e] += j.part[i * j.room + (3 + e / j.n) * j.pad + e % j.n];
}

/* An exp for each value, and eight more. */
static double gate_flops(const mls_call *k) { return 8.0 * (double)k->out[0]->count; }

static const mls_op gate = { sizeof gate, "mamba2.gate", gate_forward, gate_backward,
                             gate_flops };

#endif
