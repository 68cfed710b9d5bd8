/* mamba2_ops.h - what mamba2.c does before and after its scan, each in one pass over what
 * the input projection wrote, where it wrote it:
 *
 *   u   = silu(conv(xBC))             causal, depthwise; see mamba_conv.h
 *   out = RMSNorm(y silu(z))          by groups of n features, eps 1e-5
 */
#ifndef PLUGINS_MIXER_MAMBA2_OPS_H
#define PLUGINS_MIXER_MAMBA2_OPS_H

#include <math.h>
#include "conv_op.h"
#include "outer.h"

enum { ROWS = 64 };                                 /* of an item of the norm         */
enum { CONV_CHANNELS = 256, CONV_CHUNK = 32 };

/* The op's attr: features of a group; and those at the end of z's rows that, like z, are not
 * the convolution's. */
typedef struct gate_part { int64_t n, tail; } gate_part;

typedef struct gate_job {
    int64_t rows, E, n, zs, tail;
    int64_t pad, room;                              /* n padded; floats of an item    */
    const float *y, *z, *w, *gout;
    float  *out, *gy, *gz;
    float  *part;                                   /* of an item: v, sigmoid, h, gw  */
    int     add_y, add_z;
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

static conv_part conv_part_of(int64_t from)
{
    const loops l = loops_of(mls->isa);
    return (conv_part){ from, CONV_CHANNELS, l.conv_forward, l.conv_backward };
}

/* ---- The gate and its norm --------------------------------------------------------- */

enum { G_Y, G_ALL, G_W }; /* z: the first E features of G_ALL */

static gate_job gate_job_of(const mls_call *k)
{
    const gate_part *p = k->attr;
    const mls_t y = k->in[G_Y];
    gate_job j = { .rows = y->dim[0] * y->dim[1], .E = y->dim[2],
                   .n = p->n, .tail = p->tail, .zs = k->in[G_ALL]->dim[2],
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
    mls_clear_if_fresh(k, G_W);
    j.gout = k->out[0]->grad, j.gy = k->in[G_Y]->grad, j.gz = k->in[G_ALL]->grad;
    j.add_y = !mls_is_fresh(k, G_Y), j.add_z = !mls_is_fresh(k, G_ALL);
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
