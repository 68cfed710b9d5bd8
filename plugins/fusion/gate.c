/* gate.c - two streams mixed by a learned gate per head.
 *
 *   s_h = w_h . (Wq a * Wk b)_h + c_h         the features of head h, n / heads of them
 *   g_h = sigmoid(s_h / T),   T = softplus(temperature), 1 at the start
 *   out_h = g_h a_h + (1 - g_h) b_h
 *
 * Reference: the adaptive gating of the Mamba-Liquid overview, with T kept positive.
 */
#include <math.h>
#include <mls/gradient.h>

#include "dot.h"

typedef struct gate {
    int64_t heads;
    mls_t wq, wk, w, c, temperature;
} gate;

enum { Q, K, A, B, W, C, TEMPERATURE, INPUTS };
enum { ROWS = 64 }; /* of an item: sums over rows have one order, whoever adds */

/* in: q, k, a, b [T][B][n], w [H][n/H], c [1][H], temperature [1][1];
 * out: mixed [T][B][n], g [T][B][H]. */
typedef struct plan {
    const mls_call *k;
    int64_t rows, H, D;
    float scale;     /* 1 / T */
    int add[4];      /* to the gradients of q, k, a and b */
    const float *dy; /* gradient of the mixture */
    float *part;     /* of each item: dw [n], dc [H], d(1 / scale) [H]; NULL in forward */
} plan;

static plan make_plan(const mls_call *k)
{
    const int64_t H = ((const gate *)k->attr)->heads;
    return (plan){ .k = k,
                   .rows = k->in[Q]->dim[0] * k->in[Q]->dim[1],
                   .H = H,
                   .D = k->in[Q]->dim[2] / H,
                   .scale = 1.0f / mls_softplusf(k->in[TEMPERATURE]->data[0]) };
}

static int64_t item_floats(const plan *p) { return p->H * (p->D + 2); }

/* to = by x y, or to += that; y NULL: 1. */
MLS_INLINE void give(float *restrict to, int add, float by, const float *restrict x,
                     const float *restrict y, int64_t n)
{
    if (!to) return;
    if (y && add)
        for (int64_t i = 0; i < n; i++) to[i] += by * x[i] * y[i];
    else if (y)
        for (int64_t i = 0; i < n; i++) to[i] = by * x[i] * y[i];
    else if (add)
        for (int64_t i = 0; i < n; i++) to[i] += by * x[i];
    else
        for (int64_t i = 0; i < n; i++) to[i] = by * x[i];
}

MLS_INLINE void forward_rows(int64_t item, void *arg)
{
    const plan *p = arg;
    const mls_t *in = p->k->in, *out = p->k->out;
    const int64_t H = p->H, D = p->D, first = item * ROWS;
    const int64_t end = first + ROWS < p->rows ? first + ROWS : p->rows;
    for (int64_t r = first; r < end; r++)
        for (int64_t h = 0; h < H; h++) {
            const int64_t at = (r * H + h) * D;
            const float *a = in[A]->data + at, *b = in[B]->data + at;
            float *restrict y = out[0]->data + at;
            const float s = dot3(in[W]->data + h * D, in[Q]->data + at,
                                 in[K]->data + at, D) + in[C]->data[h];
            const float g = mls_sigmoidf(s * p->scale);
            out[1]->data[r * H + h] = g;
            for (int64_t i = 0; i < D; i++) y[i] = g * a[i] + (1.0f - g) * b[i];
        }
}

MLS_INLINE void backward_rows(int64_t item, void *arg)
{
    const plan *p = arg;
    const mls_t *in = p->k->in, *out = p->k->out;
    const int64_t H = p->H, D = p->D, first = item * ROWS;
    const int64_t end = first + ROWS < p->rows ? first + ROWS : p->rows;
    float *dw = p->part + item * item_floats(p), *dc = dw + H * D, *dT = dc + H;
    float *grad[4];
    for (int i = 0; i < 4; i++) grad[i] = in[i]->grad;
    memset(dw, 0, (size_t)item_floats(p) * sizeof *dw);
    for (int64_t r = first; r < end; r++)
        for (int64_t h = 0; h < H; h++) {
            const int64_t at = (r * H + h) * D;
            const float *q = in[Q]->data + at, *k = in[K]->data + at;
            const float *w = in[W]->data + h * D, *dy = p->dy + at;
            const float g = out[1]->data[r * H + h];
            const float more = out[1]->grad ? out[1]->grad[r * H + h] : 0.0f;
            const float dg =
                dot_apart(dy, in[A]->data + at, in[B]->data + at, D) + more;
            const float dz = dg * g * (1.0f - g), ds = dz * p->scale;
            const float s = dot3(w, q, k, D) + in[C]->data[h];
            dT[h] -= ds * s * p->scale;
            dc[h] += ds;
            give(grad[Q] ? grad[Q] + at : NULL, p->add[Q], ds, w, k, D);
            give(grad[K] ? grad[K] + at : NULL, p->add[K], ds, w, q, D);
            give(grad[A] ? grad[A] + at : NULL, p->add[A], g, dy, NULL, D);
            give(grad[B] ? grad[B] + at : NULL, p->add[B], 1.0f - g, dy, NULL, D);
            give(dw + h * D, 1, ds, q, k, D);
        }
}

MLS_KERNEL_BODY(forward_item, forward_rows)
MLS_KERNEL_BODY(backward_item, backward_rows)

/* Waking threads costs more than a few rows do. */
static void each_item(plan *p, void (*body)(int64_t, void *))
{
    const int64_t items = (p->rows + ROWS - 1) / ROWS;
    if (p->rows * p->H * p->D >= 50000) mls->parfor(items, body, p);
    else for (int64_t i = 0; i < items; i++) body(i, p);
}

static void mix_forward(const mls_call *k)
{
    plan p = make_plan(k);
    each_item(&p, forward_item);
}

static void mix_backward(const mls_call *k)
{
    plan p = make_plan(k);
    const int64_t items = (p.rows + ROWS - 1) / ROWS, n = p.H * p.D;
    p.dy = k->out[0]->grad;
    if (!p.dy) {        /* only the gate's own gradient came */
        const size_t bytes = (size_t)k->out[0]->count * sizeof(float);
        float *zeros = mls->scratch(k, bytes);
        p.dy = zeros ? memset(zeros, 0, bytes) : NULL;
    }
    p.part = mls->scratch(k, (size_t)(items * item_floats(&p)) * sizeof *p.part);
    if (!p.part || !p.dy) return;
    for (int i = 0; i < 4; i++) p.add[i] = !mls_is_fresh(k, i);
    for (int i = W; i < INPUTS; i++) mls_clear_if_fresh(k, i);
    each_item(&p, backward_item);

    double dT = 0.0;
    for (int64_t m = 0; m < items; m++) {
        const float *dw = p.part + m * item_floats(&p), *dc = dw + n;
        for (int64_t i = 0; k->in[W]->grad && i < n; i++) k->in[W]->grad[i] += dw[i];
        for (int64_t h = 0; k->in[C]->grad && h < p.H; h++) k->in[C]->grad[h] += dc[h];
        for (int64_t h = 0; h < p.H; h++) dT += (double)dc[p.H + h];
    }
    mls_t t = k->in[TEMPERATURE];
    if (t->grad) t->grad[0] += (float)dT * mls_sigmoidf(t->data[0]);
}

static double mix_flops(const mls_call *k) { return 7.0 * (double)k->in[0]->count; }

static const mls_op mix = { sizeof mix, "gate.mix", mix_forward, mix_backward,
                            mix_flops };

static void setup(mls_ctx *c, void *self)
{
    gate *p = self;
    const int64_t n = mls->width(c, "a");
    if (n % p->heads) {
        mls->fail(
            c,
            "fusion.gate: heads = %lld does not divide the width of its inputs, %lld",
            (long long)p->heads, (long long)n);
        return;
    }
    const int64_t d = n / p->heads;
    p->wq = mls->weight(c, "query", n, n, MLS_LINEAR);
    p->wk = mls->weight(c, "key", n, n, MLS_LINEAR);
    p->w = mls->weight(c, "weight", p->heads, d, MLS_LINEAR);
    p->c = mls->weight(c, "bias", 1, p->heads, MLS_ZEROS);
    /* softplus(ln(e - 1)) = 1 */
    p->temperature =
        mls->weight(c, "temperature", 1, 1,
                    mls_init_of(MLS_CONSTANT, 0.54132485461291810, MLS_NO_DECAY));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    gate *p = self;
    mls_t a = in[0], b = in[1];
    mls_t q = mls->linear(c, a, p->wq, NULL), k = mls->linear(c, b, p->wk, NULL);
    const int64_t T = a->dim[0], B = a->dim[1];
    mls_t y = mls->tensor(c, T, B, a->dim[2]), g = mls->tensor(c, T, B, p->heads);
    const mls_t from[INPUTS] = { q, k, a, b, p->w, p->c, p->temperature };
    const mls_t to[] = { y, g };
    mls_apply_as(c, MLS_WRITES | MLS_OMITS, &mix, p, from, INPUTS, to, 2);
    mls->tap(c, "gate", g, NULL, "share of a in each head");
    out[0] = y;
}

static const mls_port ports[] = {
    { "a", MLS_IN, "T B n", "first stream: the gate's own share" },
    { "b", MLS_IN, "T B n", "second stream" },
    { "out", MLS_OUT, "T B n", "g a + (1 - g) b, head by head" },
    MLS_PORT_END
};

static const mls_option options[] = { MLS_OPT(gate, heads, MLS_INT, 4, 1, 1024, NULL,
                                              "gates; must divide the width"),
                                      MLS_OPT_END };

static const mls_component fusion = {
    sizeof fusion,
    "fusion",
    "gate",
    MLS_CAUSAL | MLS_STREAMS,
    "Mixes two streams by a learned gate per head, with a learned temperature.",
    ports,
    options,
    sizeof(gate),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("gate", "1.0", "Apache-2.0", &fusion);
