/* outer.h - the scan of mixers whose state is a matrix for each head:
 *
 *   S_t = a_t S_{t-1} + g_t k_t (x) x_t        S [N][P]   k, q [N]   x, y [P]
 *   y_t = q_t S_t + d x_t
 *
 * a, g and d are numbers of each head.  It is the state space duality of Mamba-2 and
 * linear attention alike, in its recurrent form: a chunked form does no fewer
 * multiplications at these sizes, and this one keeps its bits however T is cut.
 * Heads of one group share k and q.
 */
#ifndef PLUGINS_MIXER_OUTER_H
#define PLUGINS_MIXER_OUTER_H

#include <mls/kernel.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors only pass through inlined calls */
#endif

typedef struct outer { /* attr of the op: lives as long as the network     */
    int64_t heads, groups, size, keys; /* H, G, P, N               */
} outer;

enum {
    OUTER_X, /* [T][B][H P]                                      */
    OUTER_K,
    OUTER_Q, /* [T][B][G N]                                      */
    OUTER_A,
    OUTER_G,    /* [T][B][H]; NULL: 1                               */
    OUTER_D,    /* [1][1][H]; NULL: 0                               */
    OUTER_S,    /* [1][B][H N P]                                    */
    OUTER_MASK, /* [T][B][1]; NULL: all steps are real              */
    OUTER_INPUTS
};
enum { OUTER_Y, OUTER_LAST, OUTER_BORDER, OUTER_OUTPUTS };

enum {
    CHUNK = 64,
    CHANNELS = 64,
    GROUP = 4
}; /* steps, columns and rows of S at a time */

typedef struct outer_job {
    int64_t T, B, H, G, P, N, chunks, cuts; /* cuts: pieces of P that items take    */
    const float *x, *k, *q, *a, *g, *d, *s0, *mask;
    const float *gy;
    float *y, *s1, *border; /* border: S where chunks 1.. begin     */
    float *gx, *gk, *gq, *ga, *gg, *gs0, *gd_part, *carry;
} outer_job;

/* Columns [p0, p0 + width) of a head's S. */
typedef struct outer_unit { int64_t head, group, p0, width; } outer_unit;

static inline outer_unit outer_unit_of(const outer_job *j, int64_t i)
{
    const int64_t head = i / j->cuts, p0 = i % j->cuts * CHANNELS, left = j->P - p0;
    return (outer_unit){ head, head / (j->H / j->G), p0,
                         left < CHANNELS ? left : CHANNELS };
}

/* S of sample b as a unit sees it where a chunk begins: element [n][p] at n P + p. */
static inline const float *outer_begin(const outer_job *j, int64_t chunk, int64_t b,
                                       const outer_unit *u)
{
    const float *base =
        chunk ? j->border + (chunk - 1) * j->B * j->H * j->N * j->P : j->s0;
    return base + (b * j->H + u->head) * j->N * j->P + u->p0;
}

#define LANES 4
#define FN(x) x##_plain
#define TARGET
#include "outer_scan.h"
#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "outer_scan.h"
#define LANES 16
#define FN(x) x##_avx512
#define TARGET MLS_AVX512
#include "outer_scan.h"
#endif

typedef void (*outer_item)(int64_t, void *);

static outer_item outer_code(int backward)
{
#if defined(__x86_64__)
    if (mls->isa == MLS_ISA_AVX512)
        return backward ? backward_item_avx512 : forward_item_avx512;
    if (mls->isa == MLS_ISA_AVX2)
        return backward ? backward_item_avx2 : forward_item_avx2;
#endif
    return backward ? backward_item_plain : forward_item_plain;
}

static outer_job outer_job_of(const mls_call *k)
{
    const outer *p = k->attr;
    const mls_t *in = k->in;
    outer_job j = { .T = in[OUTER_X]->dim[0], .B = in[OUTER_X]->dim[1], .H = p->heads,
                    .G = p->groups, .P = p->size, .N = p->keys };
    j.chunks = (j.T + CHUNK - 1) / CHUNK;
    j.cuts = (j.P + CHANNELS - 1) / CHANNELS;
    j.x = in[OUTER_X]->data, j.k = in[OUTER_K]->data, j.q = in[OUTER_Q]->data;
    j.a = in[OUTER_A] ? in[OUTER_A]->data : NULL;
    j.g = in[OUTER_G] ? in[OUTER_G]->data : NULL;
    j.d = in[OUTER_D] ? in[OUTER_D]->data : NULL;
    j.mask = in[OUTER_MASK] ? in[OUTER_MASK]->data : NULL;
    j.s0 = in[OUTER_S]->data;
    j.y = k->out[OUTER_Y]->data, j.s1 = k->out[OUTER_LAST]->data;
    j.border = k->out[OUTER_BORDER]->data;
    return j;
}

/* Waking threads costs more than a short sequence does. */
static void outer_each(const outer_job *j, int64_t items, outer_item body)
{
    outer_job own = *j;
    if (j->T * j->B * j->H * j->P * j->N >= 1000000) mls->parfor(items, body, &own);
    else for (int64_t i = 0; i < items; i++) body(i, &own);
}

static void outer_forward(const mls_call *k)
{
    const outer_job j = outer_job_of(k);
    if (j.chunks == 1) j.border[0] = 0.0f;
    outer_each(&j, j.B * j.H * j.cuts, outer_code(0));
}

static void outer_backward(const mls_call *k)
{
    const size_t whole = (size_t)k->in[OUTER_S]->count * sizeof(float);
    outer_job j = outer_job_of(k);
    j.carry = mls->scratch(k, whole);
    j.gd_part = mls->scratch(k, (size_t)(j.B * j.H) * sizeof(float));
    if (!j.carry || !j.gd_part) return;
    memcpy(j.carry, k->out[OUTER_LAST]->grad, whole);
    memset(j.gd_part, 0, (size_t)(j.B * j.H) * sizeof(float));
    j.gy = k->out[OUTER_Y]->grad;
    j.gx = k->in[OUTER_X]->grad, j.gk = k->in[OUTER_K]->grad,
    j.gq = k->in[OUTER_Q]->grad;
    j.ga = k->in[OUTER_A] ? k->in[OUTER_A]->grad : NULL;
    j.gg = k->in[OUTER_G] ? k->in[OUTER_G]->grad : NULL;
    j.gs0 = k->in[OUTER_S]->grad;
    outer_each(&j, j.B * j.G, outer_code(1));
    for (int64_t i = 0; j.gs0 && i < k->in[OUTER_S]->count; i++) j.gs0[i] += j.carry[i];
    for (int64_t i = 0; k->in[OUTER_D] && k->in[OUTER_D]->grad && i < j.B * j.H; i++)
        k->in[OUTER_D]->grad[i % j.H] += j.gd_part[i];
}

static double outer_flops(const mls_call *k)
{
    const outer *p = k->attr;
    return (double)k->in[OUTER_X]->count * (5.0 * (double)p->keys + 4.0);
}

static const mls_op outer_scan = { sizeof outer_scan, "mixer.outer", outer_forward,
                                   outer_backward, outer_flops };

/* y; the state is loaded from s and stored there.  in[OUTER_S] is filled in here. */
static mls_t outer_apply(mls_ctx *c, const outer *p, mls_t in[OUTER_INPUTS],
                         mls_state *s, mls_t *last)
{
    const int64_t T = in[OUTER_X]->dim[0], B = in[OUTER_X]->dim[1];
    const int64_t whole = p->heads * p->size * p->keys, cuts = (T - 1) / CHUNK;
    mls_t y = mls->tensor(c, T, B, p->heads * p->size),
          s1 = mls->tensor(c, 1, B, whole);
    mls_t border = cuts > 0 ? mls->tensor(c, cuts, B, whole) : mls->tensor(c, 1, 1, 1);
    const mls_t out[OUTER_OUTPUTS] = { y, s1, border };
    in[OUTER_S] = mls->load(c, s);
    mls->apply(c, &outer_scan, p, in, OUTER_INPUTS, out, OUTER_OUTPUTS);
    mls->store(c, s, s1);
    if (last) *last = s1;
    return y;
}

#endif
