/* gate.c - two streams mixed by a learned gate per head.
 *
 *   s_h = w_h . (Wq a * Wk b)_h + c_h         the features of head h, n / heads of them
 *   g_h = sigmoid(s_h / T),   T = softplus(temperature), 1 at the start
 *   out_h = g_h a_h + (1 - g_h) b_h
 *
 * Reference: the adaptive gating of the Mamba-Liquid overview, with T kept positive.
 */
#include <math.h>
#include <mls/kernel.h>

enum { LANES = 8 };

typedef struct gate {
    int64_t heads;
    mls_t wq, wk, w, c, temperature;
} gate;

/* in: q, k, a, b [T][B][n], w [H][n/H], c [1][H], temperature [1][1];
 * out: mixed [T][B][n], g [T][B][H].  One head is one item: it alone writes its own
 * features and weights, so sums have one order. */
typedef struct plan {
    const mls_call *k;
    int64_t rows, H, D;
    float T;
    double *dT; /* [H] */
} plan;

static plan make_plan(const mls_call *k)
{
    const int64_t H = ((const gate *)k->attr)->heads;
    return (plan){ k,
                   k->in[0]->dim[0] * k->in[0]->dim[1],
                   H,
                   k->in[0]->dim[2] / H,
                   mls_softplusf(k->in[6]->data[0]),
                   NULL };
}

/* sum x y z over n values in a fixed order that vectorises. */
MLS_INLINE float dot3(const float *x, const float *y, const float *z, int64_t n)
{
    float part[LANES] = { 0.0f }, sum = 0.0f;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) part[j] += x[i + j] * y[i + j] * z[i + j];
    for (; i < n; i++) sum += x[i] * y[i] * z[i];
    for (int j = 0; j < LANES; j++) sum += part[j];
    return sum;
}

MLS_INLINE void forward_head(int64_t h, void *arg)
{
    const plan *p = arg;
    const mls_t *in = p->k->in;
    const int64_t n = p->H * p->D, D = p->D;
    const float *w = in[4]->data + h * D, c = in[5]->data[h], scale = 1.0f / p->T;
    for (int64_t r = 0; r < p->rows; r++) {
        const int64_t at = r * n + h * D;
        const float *a = in[2]->data + at, *b = in[3]->data + at;
        float *y = p->k->out[0]->data + at;
        const float s = dot3(w, in[0]->data + at, in[1]->data + at, D) + c;
        const float g = mls_sigmoidf(s * scale);
        p->k->out[1]->data[r * p->H + h] = g;
        for (int64_t i = 0; i < D; i++) y[i] = g * a[i] + (1.0f - g) * b[i];
    }
}

MLS_INLINE void backward_head(int64_t h, void *arg)
{
    const plan *p = arg;
    const mls_t *in = p->k->in, *out = p->k->out;
    const int64_t n = p->H * p->D, D = p->D;
    const float *w = in[4]->data + h * D, scale = 1.0f / p->T, c = in[5]->data[h];
    float *dw = in[4]->grad ? in[4]->grad + h * D : NULL;
    double dc = 0.0, dT = 0.0;
    for (int64_t r = 0; r < p->rows; r++) {
        const int64_t at = r * n + h * D;
        const float *q = in[0]->data + at, *k = in[1]->data + at;
        const float *a = in[2]->data + at, *b = in[3]->data + at,
                    *dy = out[0]->grad + at;
        const float g = out[1]->data[r * p->H + h];
        float dg = out[1]->grad[r * p->H + h];
        for (int64_t i = 0; i < D; i++) dg += dy[i] * (a[i] - b[i]);
        const float dz = dg * g * (1.0f - g), ds = dz * scale;
        const float s = dot3(w, q, k, D) + c;
        dT -= (double)(ds * s * scale);
        dc += (double)ds;
        if (in[0]->grad)
            for (int64_t i = 0; i < D; i++) in[0]->grad[at + i] += ds * w[i] * k[i];
        if (in[1]->grad)
            for (int64_t i = 0; i < D; i++) in[1]->grad[at + i] += ds * w[i] * q[i];
        if (in[2]->grad)
            for (int64_t i = 0; i < D; i++) in[2]->grad[at + i] += g * dy[i];
        if (in[3]->grad)
            for (int64_t i = 0; i < D; i++) in[3]->grad[at + i] += (1.0f - g) * dy[i];
        if (dw)
            for (int64_t i = 0; i < D; i++) dw[i] += ds * q[i] * k[i];
    }
    if (in[5]->grad) in[5]->grad[h] += (float)dc;
    p->dT[h] = dT;
}

MLS_KERNEL_BODY(forward_one, forward_head)
MLS_KERNEL_BODY(backward_one, backward_head)

static void mix_forward(const mls_call *k)
{
    plan p = make_plan(k);
    mls->parfor(p.H, forward_one, &p);
}

static void mix_backward(const mls_call *k)
{
    plan p = make_plan(k);
    p.dT = mls->scratch(k, (size_t)p.H * sizeof *p.dT);
    if (!p.dT) return;
    mls->parfor(p.H, backward_one, &p);
    double dT = 0.0;
    for (int64_t h = 0; h < p.H; h++) dT += p.dT[h];
    mls_t t = k->in[6];
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
    MLS_APPLY(c, &mix, p, ((mls_t[]){ q, k, a, b, p->w, p->c, p->temperature }),
              ((mls_t[]){ y, g }));
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
