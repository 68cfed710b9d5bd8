/* cfc_scan.h - the closed-form cell over a sequence as one op: backbone, heads, step
 * (cfc_step.h) and, with mixed memory, the LSTM before it (memory.h).  Shared by cfc
 * and wired_cfc. */
#ifndef LIQUID_CFC_SCAN_H
#define LIQUID_CFC_SCAN_H

#include <mls/gradient.h>

#include "cfc_step.h"
#include "memory.h"

enum { MAX_LAYERS = 8, MAX_WEIGHTS = 2 * MAX_LAYERS + 8 };
enum { FF1, FF2, TIME_A, TIME_B };
enum {
    IN_X,
    IN_H,
    IN_DT,
    IN_TAU, /* [T][B][H] or NULL: divides dt */
    IN_MASK,
    IN_C, /* cell, weights of the LSTM: NULL without mixed memory */
    IN_WX,
    IN_BX,
    IN_WR,
    IN_WTAU, /* [1][H] of mode pure, else NULL */
    IN_A,
    IN_WEIGHT, /* w, b of each backbone layer, then of each head */
    MAX_IN = IN_WEIGHT + MAX_WEIGHTS
};
/* OUT_Z..OUT_CLAST with mixed memory only; then L activations, then L slopes if any */
enum {
    OUT_Y,
    OUT_H,
    OUT_HEADS,
    OUT_ACT,
    OUT_Z = OUT_ACT,
    OUT_C,
    OUT_M,
    OUT_CLAST,
    OUT_ACT_MIXED,
    MAX_OUT = OUT_ACT_MIXED + 2 * MAX_LAYERS
};

typedef struct cfc_cell { /* what the op is told beside its inputs */
    int64_t units, backbone_units, backbone_layers;
    int activation, head_activation, mode, mixed_memory;
} cfc_cell;

typedef struct sizes {
    int64_t T, B, S, H, L, U; /* steps, batch, inputs, units, backbone layers, units */
    int64_t Z, F;             /* into the heads, out of the first product            */
    int act, sloped;          /* first activation; whether slopes follow them        */
    cfc_kind kind;
} sizes;

static int cfc_sloped(const cfc_cell *p)
{
    return p->activation == SILU || p->activation == GELU;
}
static int cfc_outputs(const cfc_cell *p)
{
    return (p->mixed_memory ? OUT_ACT_MIXED : OUT_ACT) +
           (int)p->backbone_layers * (cfc_sloped(p) ? 2 : 1);
}
static int cfc_heads(const cfc_cell *p) { return p->mode == CFC_PURE ? 1 : 4; }

static sizes sizes_of(const mls_call *k)
{
    const cfc_cell *p = k->attr;
    const mls_tensor *x = k->in[IN_X];
    sizes s = {.T = x->dim[0], .B = x->dim[1], .S = x->dim[2]};
    s.H = p->units;
    s.L = p->backbone_layers;
    s.U = p->backbone_units;
    s.act = p->mixed_memory ? OUT_ACT_MIXED : OUT_ACT;
    s.sloped = cfc_sloped(p);
    s.kind = (cfc_kind){.H = s.H,
                        .mode = p->mode,
                        .heads = p->mode == CFC_PURE             ? 1
                                 : k->in[IN_DT] || k->in[IN_TAU] ? 4
                                                                 : 3,
                        .in = p->head_activation ? LECUN_IN : 1.0f,
                        .out = p->head_activation ? LECUN_OUT : 1.0f};
    s.kind.N = s.kind.heads * s.H;
    s.Z = s.L ? s.U : s.S + s.H;
    s.F = s.L ? s.U : s.kind.N;
    return s;
}

static mls_t weight_of(const mls_call *k, const sizes *s, int head, int bias)
{
    return k->in[IN_WEIGHT + 2 * s->L + 2 * head + bias];
}
static const float *data_of(const mls_call *k, int in)
{
    return k->in[in] ? k->in[in]->data : NULL;
}
static float *slope_of(const mls_call *k, const sizes *s, int64_t l, int64_t row)
{
    return s->sloped ? k->out[s->act + s->L + l]->data + row * s->U : NULL;
}

/* The heads under one another: [N][cols] from their weights (or biases).  Without step
 * lengths a and b always meet as a sum, which saves a quarter of the work. */
static float *stack(const mls_call *k, const sizes *s, int bias, int64_t cols)
{
    const int64_t n = s->H * cols;
    float *w = mls->scratch(k, (size_t)(s->kind.N * cols) * sizeof(float));
    for (int i = 0; w && i < s->kind.heads; i++)
        memcpy(w + i * n, weight_of(k, s, i, bias)->data, (size_t)n * sizeof(float));
    if (w && s->kind.heads == 3)
        add(n, weight_of(k, s, TIME_B, bias)->data, w + TIME_A * n);
    return w;
}

static void unstack(const mls_call *k, const sizes *s, const float *w, const float *b)
{
    const int64_t n = s->H * s->Z;
    for (int i = 0; i < (s->kind.heads == 1 ? 1 : 4); i++) {
        const int from = s->kind.heads == 3 && i == TIME_B ? TIME_A : i;
        add(n, w + from * n, weight_of(k, s, i, 0)->grad);
        add(s->H, b + from * s->H, weight_of(k, s, i, 1)->grad);
    }
}

/* Products of a step with the backbone's later layers and the heads: layer[1..L]. */
static int products(const mls_call *k, const sizes *s, int turned, const float *w,
                    const float *b, mls_product *layer)
{
    int ok = 1;
    for (int64_t l = 1; l <= s->L; l++) {
        const int last = l == s->L;
        const int64_t n = last ? s->kind.N : s->U;
        const float *m = last ? w : k->in[IN_WEIGHT + 2 * l]->data;
        const float *bias = last ? b : k->in[IN_WEIGHT + 2 * l + 1]->data;
        layer[l] = mls_product_of(k, s->T, m, s->U, turned, turned ? s->U : n,
                                  turned ? n : s->U, turned ? bias : NULL);
        ok &= layer[l].start != NULL;
    }
    return ok;
}

/* Samples [first, first + n): no step of one needs any other. */
typedef struct some { int64_t first, n; } some;

/* The LSTM of step t over some samples; returns its output. */
MLS_INLINE const float *memory(const mls_call *k, const sizes *s, int64_t t, some of,
                               const mls_product *turn, const float *h)
{
    const int64_t row = t * s->B + of.first, H = s->H;
    const float *c0 = t ? k->out[OUT_C]->data + (row - s->B) * H
                        : k->in[IN_C]->data + of.first * H;
    float *z = k->out[OUT_Z]->data + row * 4 * H, *c = k->out[OUT_C]->data + row * H;
    float *m = k->out[OUT_M]->data + row * H;
    const float *mask = data_of(k, IN_MASK);
    mls_product_run(turn, of.n, h, 1, z);
    for (int64_t b = 0; b < of.n; b++) {
        memory_step(H, z + b * 4 * H, c0 + b * H, c + b * H, m + b * H);
        if (mask && mask[row + b] == 0.0f)
            memcpy(c + b * H, c0 + b * H, (size_t)H * sizeof(float));
    }
    return m;
}

MLS_INLINE void steps(const mls_call *k, const sizes *s, int64_t t, some of,
                      const float *h, float *y)
{
    const float *dt = data_of(k, IN_DT), *tau = data_of(k, IN_TAU);
    const float *mask = data_of(k, IN_MASK);
    const int64_t H = s->H;
    for (int64_t b = 0; b < of.n; b++) {
        const int64_t row = t * s->B + of.first + b;
        cfc_step(&s->kind, k->out[OUT_HEADS]->data + row * s->kind.N,
                 dt ? dt[row] : 1.0f, tau ? tau + row * H : NULL, data_of(k, IN_WTAU),
                 data_of(k, IN_A), y + b * H);
        if (mask && mask[row] == 0.0f)
            memcpy(y + b * H, h + b * H, (size_t)H * sizeof(float));
    }
}

typedef struct sums sums;

typedef struct walk { /* what a pass over the steps of some samples needs */
    const mls_call *k;
    const sizes *s;
    int64_t share; /* samples of an item */
    const mls_product *back, *layer, *turn;
    float *first; /* out of the first product, or their gradient */
    const sums *sums;
} walk;

static some some_of(const walk *w, int64_t item)
{
    const int64_t from = item * w->share, left = w->s->B - from;
    return (some){from, left < w->share ? left : w->share};
}

/* Weights go past the rows of an item once for all of them: few items, of whole tiles of
 * four rows where there are enough. */
static void each_item(walk *w, void (*body)(int64_t, void *))
{
    const int64_t B = w->s->B, H = w->s->H;
    const int64_t threads = MLS_HAS(mls, threads) ? mls->threads() : 1;
    const int64_t tile = B >= 4 * threads ? 4 : B >= 2 * threads ? 2 : 1;
    w->share = B;
    if (threads > 1 && w->s->T >= 8 && w->s->T * B * H * (H + w->s->F) >= 1000000)
        w->share = ((B + threads - 1) / threads + tile - 1) / tile * tile;
    const int64_t items = (B + w->share - 1) / w->share;
    if (items > 1) mls->parfor(items, body, w);
    else body(0, w);
}

MLS_INLINE void forward_some(int64_t item, void *arg)
{
    const walk *w = arg;
    const mls_call *k = w->k;
    const sizes *s = w->s;
    const cfc_cell *p = k->attr;
    const some of = some_of(w, item);
    const float *h = k->in[IN_H]->data + of.first * s->H;
    for (int64_t t = 0; t < s->T; t++) {
        const int64_t row = t * s->B + of.first;
        const float *m = p->mixed_memory ? memory(k, s, t, of, w->turn, h) : h;
        float *y = k->out[OUT_Y]->data + row * s->H;
        mls_product_run(w->back, of.n, m, 1, w->first + row * s->F);
        for (int64_t l = 0; l < s->L; l++) {
            const int last = l + 1 == s->L;
            float *a = k->out[s->act + l]->data + row * s->U;
            activate(p->activation, of.n * s->U, a, slope_of(k, s, l, row));
            mls_product_run(&w->layer[l + 1], of.n, a, 0,
                            k->out[last ? OUT_HEADS : s->act + l + 1]->data +
                                row * (last ? s->kind.N : s->U));
        }
        steps(k, s, t, of, h, y);
        h = y;
    }
}
MLS_KERNEL_BODY(forward_item, forward_some)

static void scan_forward(const mls_call *k)
{
    const cfc_cell *p = k->attr;
    const sizes s = sizes_of(k);
    const float *w = stack(k, &s, 0, s.Z), *b = stack(k, &s, 1, 1);
    const float *w0 = s.L ? k->in[IN_WEIGHT]->data : w;
    const float *b0 = s.L ? k->in[IN_WEIGHT + 1]->data : b;
    const int64_t ld = s.S + s.H, rows = s.T * s.B;
    float *first = k->out[s.L ? s.act : OUT_HEADS]->data;
    const mls_product back =
        mls_product_of(k, s.T, w0 ? w0 + s.S : NULL, ld, 1, s.H, s.F, NULL);
    mls_product layer[MAX_LAYERS + 1], turn = back;
    if (p->mixed_memory)
        turn = mls_product_of(k, s.T, k->in[IN_WR]->data, s.H, 1, s.H, 4 * s.H, NULL);
    if (!products(k, &s, 1, w, b, layer) || !w || !b || !back.start || !turn.start)
        return; /* no memory: already said */

    product_of_rows(k, s.B, rows, s.F, s.S, k->in[IN_X]->data, w0, ld, b0, first);
    if (p->mixed_memory)
        product_of_rows(k, s.B, rows, 4 * s.H, s.S, k->in[IN_X]->data,
                        k->in[IN_WX]->data, s.S, k->in[IN_BX]->data,
                        k->out[OUT_Z]->data);
    walk all = {k, &s, 0, &back, layer, &turn, first, NULL};
    each_item(&all, forward_item);
    const size_t last = (size_t)(s.B * s.H) * sizeof(float);
    memcpy(k->out[OUT_H]->data, k->out[OUT_Y]->data + (rows - s.B) * s.H, last);
    if (p->mixed_memory)
        memcpy(k->out[OUT_CLAST]->data, k->out[OUT_C]->data + (rows - s.B) * s.H, last);
}

struct sums {            /* gradients that gather over the steps */
    float *dh, *dc, *dm; /* [B][H]: of h[t], of the LSTM's cell and output  */
    float *dw;           /* of the stacked heads */
    float *db, *dpure;   /* [B][L U + N]: of the biases; [B][2 H]: of w_tau, A */
    float *heads, *z, *act[MAX_LAYERS]; /* [T][B]..: of what the outputs hold */
};

/* By sample, so that threads change no bit. */
static int64_t biases(const sizes *s) { return s->L * s->U + s->kind.N; }

/* From the gradient of h[t] (dh, which it takes up) to that of the heads' sums. */
MLS_INLINE void steps_back(const mls_call *k, const sizes *s, int64_t t, some of,
                           const sums *g)
{
    const mls_t tau = k->in[IN_TAU], dt = k->in[IN_DT];
    const float *mask = data_of(k, IN_MASK);
    const int64_t H = s->H, N = s->kind.N;
    for (int64_t b = of.first; b < of.first + of.n; b++) {
        const int64_t row = t * s->B + b;
        const float *f = k->out[OUT_HEADS]->data + row * N;
        float *df = g->heads + row * N, *db = g->dh + b * H;
        float *dtau = tau && tau->grad ? tau->grad + row * H : NULL;
        const float *per = tau ? tau->data + row * H : NULL;
        const float length = dt ? dt->data[row] : 1.0f;
        if (k->out[OUT_Y]->grad) add(H, k->out[OUT_Y]->grad + row * H, db);
        if (mask && mask[row] == 0.0f) {
            memset(df, 0, (size_t)N * sizeof(float));
            continue;
        }
        float ddt;
        if (s->kind.mode == CFC_PURE)
            ddt = cfc_pure_back(&s->kind, f, length, per, k->in[IN_WTAU]->data,
                                k->in[IN_A]->data, db, df, dtau, g->dpure + b * 2 * H,
                                g->dpure + b * 2 * H + H);
        else
            ddt = cfc_step_back(&s->kind, f, length, per, db, df, dtau);
        if (dt && dt->grad) dt->grad[row] += ddt;
        memset(db, 0, (size_t)H * sizeof(float));
        add(N, df, g->db + b * biases(s) + s->L * s->U);
    }
}

/* From dm to the gradients of the LSTM's sums, and dh += those of h[t-1]. */
MLS_INLINE void memory_back(const mls_call *k, const sizes *s, int64_t t, some of,
                            const mls_product *turn, const sums *g)
{
    const int64_t row = t * s->B + of.first, H = s->H;
    const float *c0 = t ? k->out[OUT_C]->data + (row - s->B) * H
                        : k->in[IN_C]->data + of.first * H;
    const float *c = k->out[OUT_C]->data + row * H, *mask = data_of(k, IN_MASK);
    const float *z = k->out[OUT_Z]->data + row * 4 * H;
    float *dz = g->z + row * 4 * H;
    float *dm = g->dm + of.first * H, *dc = g->dc + of.first * H;
    for (int64_t b = 0; b < of.n; b++)
        if (mask && mask[row + b] == 0.0f)
            memset(dz + b * 4 * H, 0, (size_t)(4 * H) * sizeof(float));
        else
            memory_step_back(H, z + b * 4 * H, c0 + b * H, c + b * H, dm + b * H,
                             dc + b * H, dz + b * 4 * H);
    mls_product_run(turn, of.n, dz, 1, g->dh + of.first * H);
}

/* The gradient of a product of every h[t-1] (that of step 0 in `first`), or of `of` if
 * that is kept for each step, over the whole sequence. */
static void state_weight(const mls_call *k, const sizes *s, const float *g, int64_t n,
                         const float *of, float *w, int64_t ld)
{
    const int64_t rows = s->T * s->B;
    if (of) {
        outer(k, rows, g, n, of, s->H, w, ld);
        return;
    }
    outer(k, s->B, g, n, k->in[IN_H]->data, s->H, w, ld);
    outer(k, rows - s->B, g + s->B * n, n, k->out[OUT_Y]->data, s->H, w, ld);
}

/* The gradient of the first product's weights, which it adds to w. */
static void first_weight(const mls_call *k, const sizes *s, const float *g, float *w)
{
    const cfc_cell *p = k->attr;
    const int64_t ld = s->S + s->H;
    if (!w) return;
    outer(k, s->T * s->B, g, s->F, k->in[IN_X]->data, s->S, w, ld);
    state_weight(k, s, g, s->F, p->mixed_memory ? k->out[OUT_M]->data : NULL, w + s->S,
                 ld);
}

static void memory_weight(const mls_call *k, const sizes *s, const float *dz)
{
    const int64_t rows = s->T * s->B, n = 4 * s->H;
    outer(k, rows, dz, n, k->in[IN_X]->data, s->S, k->in[IN_WX]->grad, s->S);
    if (k->in[IN_BX]->grad) add_rows(rows, n, dz, k->in[IN_BX]->grad);
    if (k->in[IN_WR]->grad) state_weight(k, s, dz, n, NULL, k->in[IN_WR]->grad, s->H);
    if (k->in[IN_X]->grad)
        mls->gemm_rows(k, s->B, 0, 0, rows, s->S, n, 1.0f, dz, n, k->in[IN_WX]->data,
                       s->S, 1.0f, k->in[IN_X]->grad, s->S);
}

/* What follows from the gradients of all sums: inputs and weights. */
static void gather(const mls_call *k, const sizes *s, const float *w0, const sums *g)
{
    const cfc_cell *p = k->attr;
    const int64_t rows = s->T * s->B, ld = s->S + s->H, N = s->kind.N;
    const float *dheads = g->heads, *first = s->L ? g->act[0] : dheads;
    float *db = g->db, *dpure = g->dpure;
    for (int64_t b = 1; b < s->B; b++) {
        add(biases(s), g->db + b * biases(s), db);
        add(2 * s->H, g->dpure + b * 2 * s->H, dpure);
    }
    if (k->in[IN_X]->grad)
        mls->gemm_rows(k, s->B, 0, 0, rows, s->S, s->F, 1.0f, first, s->F, w0, ld,
                       mls_is_fresh(k, IN_X) ? 0.0f : 1.0f, k->in[IN_X]->grad, s->S);
    for (int64_t l = 0; l < s->L; l++) {
        const float *d = g->act[l];
        float *to = k->in[IN_WEIGHT + 2 * l]->grad;
        if (l == 0)
            first_weight(k, s, d, to);
        else
            outer(k, rows, d, s->U, k->out[s->act + l - 1]->data, s->U, to, s->U);
        add(s->U, db + l * s->U, k->in[IN_WEIGHT + 2 * l + 1]->grad);
    }
    if (s->L)
        outer(k, rows, dheads, N, k->out[s->act + s->L - 1]->data, s->U, g->dw, s->U);
    else
        first_weight(k, s, dheads, g->dw);
    unstack(k, s, g->dw, db + s->L * s->U);
    add(s->B * s->H, g->dh, k->in[IN_H]->grad);
    if (p->mode == CFC_PURE) {
        add(s->H, dpure, k->in[IN_WTAU]->grad);
        add(s->H, dpure + s->H, k->in[IN_A]->grad);
    }
    if (!p->mixed_memory) return;
    memory_weight(k, s, g->z);
    add(s->B * s->H, g->dc, k->in[IN_C]->grad);
}

/* Room for the gradient of what an output holds: only this op reads and writes it. */
static float *room(const mls_call *k, int out)
{
    return mls->scratch(k, (size_t)k->out[out]->count * sizeof(float));
}

/* Room for those of all that the scan kept; 0: no memory. */
static int rooms(const mls_call *k, const sizes *s, sums *g)
{
    const cfc_cell *p = k->attr;
    g->heads = room(k, OUT_HEADS);
    g->z = p->mixed_memory ? room(k, OUT_Z) : NULL;
    int ok = g->heads && (g->z || !p->mixed_memory);
    for (int64_t l = 0; ok && l < s->L; l++)
        ok = (g->act[l] = room(k, s->act + (int)l)) != NULL;
    return ok;
}

static float *zeros(const mls_call *k, int64_t n)
{
    float *v = mls->scratch(k, (size_t)n * sizeof(float));
    return v ? memset(v, 0, (size_t)n * sizeof(float)) : NULL;
}

MLS_INLINE void backward_some(int64_t item, void *arg)
{
    const walk *w = arg;
    const mls_call *k = w->k;
    const sizes *s = w->s;
    const sums *g = w->sums;
    const cfc_cell *p = k->attr;
    const some of = some_of(w, item);
    float *dh = (p->mixed_memory ? g->dm : g->dh) + of.first * s->H;
    for (int64_t t = s->T - 1; t >= 0; t--) {
        const int64_t row = t * s->B + of.first;
        steps_back(k, s, t, of, g);
        const float *d = g->heads + row * s->kind.N;
        for (int64_t l = s->L - 1; l >= 0; l--) {
            float *da = g->act[l] + row * s->U;
            mls_product_run(&w->layer[l + 1], of.n, d, 0, da);
            activate_back(p->activation, of.n * s->U,
                          k->out[s->act + l]->data + row * s->U, slope_of(k, s, l, row),
                          da);
            for (int64_t b = 0; b < of.n; b++)
                add(s->U, da + b * s->U, g->db + (of.first + b) * biases(s) + l * s->U);
            d = da;
        }
        mls_product_run(w->back, of.n, d, !p->mixed_memory, dh);
        if (p->mixed_memory) memory_back(k, s, t, of, w->turn, g);
    }
}
MLS_KERNEL_BODY(backward_item, backward_some)

static void scan_backward(const mls_call *k)
{
    const cfc_cell *p = k->attr;
    const sizes s = sizes_of(k);
    const int64_t ld = s.S + s.H, N = s.kind.N, BH = s.B * s.H;
    const float *w = stack(k, &s, 0, s.Z), *w0 = s.L ? k->in[IN_WEIGHT]->data : w;
    sums g = {.dh = zeros(k, 3 * BH), .dw = zeros(k, N * s.Z)};
    g.db = zeros(k, s.B * biases(&s));
    g.dpure = zeros(k, 2 * BH);
    const mls_product back =
        mls_product_of(k, s.T, w0 ? w0 + s.S : NULL, ld, 0, s.F, s.H, NULL);
    mls_product layer[MAX_LAYERS + 1], turn = back;
    if (p->mixed_memory)
        turn = mls_product_of(k, s.T, k->in[IN_WR]->data, s.H, 0, 4 * s.H, s.H, NULL);
    if (!products(k, &s, 0, w, NULL, layer) || !w || !g.dh || !g.dw || !g.db ||
        !g.dpure || !back.start || !turn.start || !rooms(k, &s, &g))
        return;
    for (int i = IN_H; i < k->n_in; i++) mls_clear_if_fresh(k, i);
    g.dc = g.dh + BH;
    g.dm = g.dc + BH;
    if (k->out[OUT_H]->grad)
        memcpy(g.dh, k->out[OUT_H]->grad, (size_t)BH * sizeof(float));
    if (p->mixed_memory && k->out[OUT_CLAST]->grad)
        memcpy(g.dc, k->out[OUT_CLAST]->grad, (size_t)BH * sizeof(float));
    walk all = {k, &s, 0, &back, layer, &turn, NULL, &g};
    each_item(&all, backward_item);
    gather(k, &s, w0, &g);
}

static double scan_flops(const mls_call *k)
{
    const cfc_cell *p = k->attr;
    const sizes s = sizes_of(k);
    const double deep = s.L > 1 ? (double)((s.L - 1) * s.U * s.U) : 0.0;
    const double heads = s.L ? (double)(s.kind.N * s.U) : 0.0;
    const double lstm = p->mixed_memory ? (double)(4 * s.H * (s.S + s.H)) : 0.0;
    return 2.0 * (double)(s.T * s.B) *
           ((double)((s.S + s.H) * s.F) + deep + heads + lstm);
}

static const mls_op cfc_scan = {sizeof cfc_scan, "cfc.scan", scan_forward,
                                scan_backward, scan_flops};

#endif
