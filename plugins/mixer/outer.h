/* outer.h - the scan of mixers whose state is a matrix for each head:
 *
 *   S_t = a_t S_{t-1} + g_t k_t (x) x_t        S [N][P]   k, q [N]   x, y [P]
 *   y_t = q_t S_t + d x_t
 *
 * a, g and d are numbers of each head.  Heads of one group share k and q.  It is the
 * state space duality of Mamba-2 and linear attention alike.  outer_chunk.h takes whole
 * chunks of steps as products; step by step, in outer_scan.h, S and y need three
 * multiplications for each element of S where that needs little more than two, but bits
 * that do not depend on how T is cut.
 */
#ifndef PLUGINS_MIXER_OUTER_H
#define PLUGINS_MIXER_OUTER_H

#include <mls/gradient.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors only pass through inlined calls */
#endif

typedef struct outer { /* attr of the op: lives as long as the network     */
    int64_t heads, groups, size, keys; /* H, G, P, N               */
    int64_t x, k, q; /* where in their tensors' features they begin */
    int     own;     /* nobody else reads the tensor of x           */
} outer;

enum {
    OUTER_X, /* [T][B] rows that hold H P from x on              */
    OUTER_K,
    OUTER_Q, /* likewise, G N; NULL: in the tensor of x          */
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
    GROUP = 4,  /* steps, columns and rows of S at a time, */
    KEYS = 128, /* rows in products,                       */
    SHORT = 12, /* steps that are taken one by one,        */
    AHEAD = 6,  /* and rows to fetch before their use      */
    LDK = KEYS + 16,
    LDL = CHUNK + 16 /* rows that do not fall on each other in the cache */
};

typedef struct outer_job {
    int64_t T, B, H, G, P, N, chunks, cuts; /* cuts: pieces of P that items take    */
    int64_t xs, ks, qs;                     /* floats from row to row               */
    int64_t panel;                          /* columns that lie together in S       */
    const float *x, *k, *q, *a, *g, *d, *s0, *mask;
    const float *gy;
    float *y, *s1, *border; /* border: S where chunks 1.. begin     */
    float *first, *last;    /* S at both ends, as in border         */
    float *gx, *gk, *gq, *ga, *gg, *gs0, *gd_part;
    const float *gs1;       /* NULL: none came                      */
    float *carry;           /* gradient of S, as in border          */
    int add_x, add_k, add_q; /* to what these hold already           */
} outer_job;

/* Columns [p0, p0 + width) of a head's S. */
typedef struct outer_unit { int64_t head, group, p0, width; } outer_unit;

/* Keys and queries of a chunk, n0 .. n0 + n of N. */
typedef struct outer_keys {
    int64_t n0, n;
    int both;                                  /* kt is wanted, not qt alone        */
    float k[CHUNK * LDK], q[CHUNK * LDK];      /* in rows                           */
    float kt[CHUNK * KEYS], qt[CHUNK * KEYS];  /* turned, in panels of steps        */
    float dots[CHUNK * LDL];                   /* [s][t]: k_s . q_t                 */
    float zeros[32];
} outer_keys;

/* What the steps of a chunk do to a head; see outer_chunk.h. */
typedef struct outer_times {
    float a[CHUNK], g[CHUNK], p[CHUNK], e[CHUNK], ge[CHUNK], whole, d;
    int off[CHUNK];                            /* masked                            */
} outer_times;

/* What backward sums over the heads of a group, by panels of steps. */
typedef struct outer_sums {
    float dq[CHUNK * KEYS], dk[CHUNK * KEYS], w[CHUNK * CHUNK], pairs[CHUNK * LDL];
    float zeros[32], skip;
} outer_sums;

static inline outer_unit outer_unit_of(const outer_job *j, int64_t i)
{
    const int64_t head = i / j->cuts, p0 = i % j->cuts * CHANNELS, left = j->P - p0;
    return (outer_unit){ head, head / (j->H / j->G), p0,
                         left < CHANNELS ? left : CHANNELS };
}

/* Floats in a head's S, in panels of `panel` columns: [P / panel][N][panel]. */
static inline int64_t outer_room(const outer_job *j)
{
    return (j->P + j->panel - 1) / j->panel * j->panel * j->N;
}

/* Where a unit's panels begin, in an array of S of all samples and heads. */
static inline int64_t outer_place(const outer_job *j, int64_t b, const outer_unit *u)
{
    return (b * j->H + u->head) * outer_room(j) + u->p0 * j->N;
}

/* A unit's S where a chunk begins, and where it ends. */
static inline const float *outer_begin(const outer_job *j, int64_t chunk, int64_t b,
                                       const outer_unit *u)
{
    const int64_t whole = j->B * j->H * outer_room(j);
    return (chunk ? j->border + (chunk - 1) * whole : j->first) + outer_place(j, b, u);
}

static inline float *outer_end(const outer_job *j, int64_t chunk, int64_t b,
                               const outer_unit *u)
{
    const int64_t whole = j->B * j->H * outer_room(j);
    return (chunk + 1 < j->chunks ? j->border + chunk * whole : j->last)
         + outer_place(j, b, u);
}

#define LANES 4
#define FN(x) x##_plain
#define TARGET
#include "outer_code.h"
#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "outer_code.h"
#define LANES 16
#define FN(x) x##_avx512
#define TARGET MLS_AVX512
#include "outer_code.h"
#endif

typedef struct outer_code {
    int64_t panel;
    void (*stepwise)(int64_t, void *); /* items: the units of each sample */
    void (*unit)(int64_t, void *), (*group)(int64_t, void *);
    void (*backward)(int64_t, void *); /* items: the groups of each sample */
} outer_code;

static outer_code outer_code_of(int isa)
{
#if defined(__x86_64__)
    if (isa == MLS_ISA_AVX512)
        return (outer_code){ 32, stepwise_avx512, chunked_unit_avx512, chunked_group_avx512,
                             backward_item_avx512 };
    if (isa == MLS_ISA_AVX2)
        return (outer_code){ 16, stepwise_avx2, chunked_unit_avx2, chunked_group_avx2,
                             backward_item_avx2 };
#endif
    (void)isa;
    return (outer_code){ 8, stepwise_plain, chunked_unit_plain, chunked_group_plain,
                         backward_item_plain };
}

static outer_job outer_job_of(const mls_call *k, const outer_code *code)
{
    const outer *p = k->attr;
    const mls_t *in = k->in, x = in[OUTER_X], keys = in[OUTER_K] ? in[OUTER_K] : x,
                queries = in[OUTER_Q] ? in[OUTER_Q] : x;
    outer_job j = { .T = x->dim[0], .B = x->dim[1], .H = p->heads, .G = p->groups,
                    .P = p->size, .N = p->keys, .xs = x->dim[2], .ks = keys->dim[2],
                    .qs = queries->dim[2] };
    j.panel = code->panel;
    j.chunks = (j.T + CHUNK - 1) / CHUNK;
    j.cuts = (j.P + CHANNELS - 1) / CHANNELS;
    j.x = x->data + p->x, j.k = keys->data + p->k, j.q = queries->data + p->q;
    j.a = in[OUTER_A] ? in[OUTER_A]->data : NULL;
    j.g = in[OUTER_G] ? in[OUTER_G]->data : NULL;
    j.d = in[OUTER_D] ? in[OUTER_D]->data : NULL;
    j.mask = in[OUTER_MASK] ? in[OUTER_MASK]->data : NULL;
    j.s0 = in[OUTER_S]->data;
    j.y = k->out[OUTER_Y]->data, j.s1 = k->out[OUTER_LAST]->data;
    j.border = k->out[OUTER_BORDER]->data;
    j.first = mls->scratch(k, (size_t)(j.B * j.H * outer_room(&j)) * sizeof(float));
    return j;
}

/* Waking threads costs more than a short sequence does. */
static void outer_each(const outer_job *j, int64_t items, void (*body)(int64_t, void *))
{
    outer_job own = *j;
    if (j->T * j->B * j->H * j->P * j->N >= 1000000) mls->parfor(items, body, &own);
    else for (int64_t i = 0; i < items; i++) body(i, &own);
}

static void outer_forward(const mls_call *k)
{
    const outer_code code = outer_code_of(mls->isa);
    outer_job j = outer_job_of(k, &code);
    const int64_t units = j.B * j.H * j.cuts, groups = j.B * j.G;
    j.last = mls->scratch(k, (size_t)(j.B * j.H * outer_room(&j)) * sizeof(float));
    if (!j.first || !j.last) return;
    if (j.chunks == 1) j.border[0] = 0.0f;
    if (j.T < SHORT || k->flags & MLS_EXACT) outer_each(&j, units, code.stepwise);
    else if (groups < 8) outer_each(&j, units, code.unit);  /* for many threads */
    else outer_each(&j, groups, code.group);
}

/* Makes room for a gradient that backward of a scan writes `width` floats of each row of;
 * whether it must add to what is there. */
static int outer_adds(const mls_call *k, int i, int64_t width)
{
    if (!mls_is_fresh(k, i)) return 1;
    if (k->in[i]->dim[2] == width) return 0;
    mls_clear_if_fresh(k, i);
    return 1;
}

static void outer_gradients(const mls_call *k, outer_job *j)
{
    const outer *p = k->attr;
    const mls_t *in = k->in;
    const int own_k = in[OUTER_K] != NULL, own_q = in[OUTER_Q] != NULL;
    const int64_t HP = j->H * j->P, GN = j->G * j->N;
    const int once = j->N <= KEYS;  /* else k and q get theirs in several parts */
    float *x = in[OUTER_X]->grad, *keys = own_k ? in[OUTER_K]->grad : x,
          *queries = own_q ? in[OUTER_Q]->grad : x;
    const int64_t rest = (own_k ? 0 : GN) + (own_q ? 0 : GN);
    j->add_x = outer_adds(k, OUTER_X, once || !rest ? HP + rest : -1);
    j->add_k = own_k ? outer_adds(k, OUTER_K, once ? GN : -1) : j->add_x;
    j->add_q = own_q ? outer_adds(k, OUTER_Q, once ? GN : -1) : j->add_x;
    j->gx = x ? x + p->x : NULL;
    j->gk = keys ? keys + p->k : NULL;
    j->gq = queries ? queries + p->q : NULL;
    for (int i = OUTER_A; i <= OUTER_S; i++)
        if (in[i]) mls_clear_if_fresh(k, i);
    j->ga = in[OUTER_A] ? in[OUTER_A]->grad : NULL;
    j->gg = in[OUTER_G] ? in[OUTER_G]->grad : NULL;
    j->gs0 = in[OUTER_S]->grad;
    j->gs1 = k->out[OUTER_LAST]->grad;
}

static void outer_backward(const mls_call *k)
{
    const outer_code code = outer_code_of(mls->isa);
    outer_job j = outer_job_of(k, &code);
    const mls_t d = k->in[OUTER_D];
    const size_t gy = (size_t)k->out[OUTER_Y]->count * sizeof(float);
    float *zeros = k->out[OUTER_Y]->grad ? NULL : mls->scratch(k, gy);
    j.carry = mls->scratch(k, (size_t)(j.B * j.H * outer_room(&j)) * sizeof(float));
    j.gd_part = mls->scratch(k, (size_t)(j.B * j.H) * sizeof(float));
    j.gy = zeros ? memset(zeros, 0, gy) : k->out[OUTER_Y]->grad;
    if (!j.first || !j.carry || !j.gd_part || !j.gy) return;
    memset(j.gd_part, 0, (size_t)(j.B * j.H) * sizeof(float));
    outer_gradients(k, &j);
    outer_each(&j, j.B * j.G, code.backward);
    for (int64_t i = 0; d && d->grad && i < j.B * j.H; i++)
        d->grad[i % j.H] += j.gd_part[i];
}

static double outer_flops(const mls_call *k)
{
    const outer *p = k->attr;
    return (double)k->out[OUTER_Y]->count * (5.0 * (double)p->keys + 4.0);
}

static const mls_op outer_scan = { sizeof outer_scan, "mixer.outer", outer_forward,
                                   outer_backward, outer_flops };

/* Keys that are taken once are not read again when their gradient is there; nor are values.
 * What is narrower than its tensor would clear the rest of it.                            */
static inline unsigned outer_over(const outer *p, const mls_t in[OUTER_INPUTS])
{
    const int64_t GN = p->groups * p->keys;
    const int64_t width = p->heads * p->size + (in[OUTER_K] ? 0 : GN) + (in[OUTER_Q] ? 0 : GN);
    return p->own && p->keys <= KEYS && in[OUTER_X]->dim[2] == width ? MLS_OVER(OUTER_X) : 0;
}

/* y; the state is loaded from s and stored there.  in[OUTER_S] is filled in here. */
static inline mls_t outer_apply(mls_ctx *c, const outer *p, mls_t in[OUTER_INPUTS],
                         mls_state *s, mls_t *last)
{
    const int64_t T = in[OUTER_X]->dim[0], B = in[OUTER_X]->dim[1];
    const int64_t panel = outer_code_of(mls->isa).panel, cuts = (T - 1) / CHUNK;
    const int64_t wide = (p->size + panel - 1) / panel * panel;
    mls_t y = mls->tensor(c, T, B, p->heads * p->size),
          s1 = mls->tensor(c, 1, B, p->heads * p->size * p->keys);
    mls_t border = cuts > 0 ? mls->tensor(c, cuts, B, p->heads * wide * p->keys)
                            : mls->tensor(c, 1, 1, 1);
    const mls_t out[OUTER_OUTPUTS] = { y, s1, border };
    in[OUTER_S] = mls->load(c, s);
    mls_apply_as(c, MLS_WRITES | MLS_OMITS | MLS_FORGETS | outer_over(p, in), &outer_scan, p,
                 in, OUTER_INPUTS, out, OUTER_OUTPUTS);
    mls->store(c, s, s1);
    if (last) *last = s1;
    return y;
}

#endif
