/* @NAME@.c - real-gated linear recurrence: each channel decides how long it remembers.
 *
 *   u = W x,   r = sigmoid(R u + b_r),   i = sigmoid(I u + b_i)
 *   a[t] = sigmoid(lambda)^(power r[t])
 *   h[t] = a[t] h[t-1] + sqrt(1 - a[t]^2) (i[t] u[t])
 *   out  = O (gelu(G x) h)
 *
 * A diagonal linear recurrence: a step costs a few operations a channel, and the root
 * keeps the size of h the same whatever a is.  A masked step keeps h.
 *
 * Reference: De, Smith, Fernando et al. 2024, "Griffin: Mixing Gated Linear Recurrences
 * with Local Attention for Efficient Language Models" (the RG-LRU, without its
 * convolution; gates are full matrices here, blocks there).
 *
 * What to change first: a and what enters h, in forward_sample, and their slopes in
 * backward_sample; `make check` says whether they still belong together.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct @NAME@_self {
    int64_t inner;
    double power, low, high;
    mls_t w, r, rb, i, ib, lambda, g, o;
    mls_state *h;
} @NAME@_self;

enum { U, R, I, LAMBDA, BEFORE, MASK };

/* in: u, R u + b_r, I u + b_i [T][B][N], lambda [1][N], h before [1][B][N], mask or NULL;
 * out: h, a [T][B][N].  One sample is one item of parfor: it alone writes its rows.   */
typedef struct job {
    const mls_call *k;
    float *dh, *dlambda; /* [B][N]: gradients that a sample gathers                    */
} job;

static int real_step(const mls_call *k, int64_t t, int64_t b)
{
    return !k->in[MASK] || k->in[MASK]->data[t * k->in[U]->dim[1] + b] != 0.0f;
}

/* The small number keeps the slope finite where a is 1. */
static float room(float a) { return sqrtf(1.0f - a * a + 1e-6f); }

static void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const job *)arg)->k;
    const @NAME@_self *p = k->attr;
    const int64_t T = k->in[U]->dim[0], B = k->in[U]->dim[1], N = k->in[U]->dim[2];
    const float power = (float)p->power, *lambda = k->in[LAMBDA]->data;
    const float *old = k->in[BEFORE]->data + b * N;
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = (t * B + b) * N;
        const float *u = k->in[U]->data + at, *r = k->in[R]->data + at;
        const float *i = k->in[I]->data + at;
        float *h = k->out[0]->data + at, *a = k->out[1]->data + at;
        const int real = real_step(k, t, b);
        for (int64_t n = 0; n < N; n++) {
            const float rate = power * mls_softplusf(-lambda[n]);
            const float an = mls_expf(-rate * mls_sigmoidf(r[n]));
            const float hn = an * old[n] + room(an) * mls_sigmoidf(i[n]) * u[n];
            a[n] = real ? an : 1.0f;
            h[n] = real ? hn : old[n];
        }
        old = h;
    }
}

static void backward_sample(int64_t b, void *arg)
{
    const job *j = arg;
    const mls_call *k = j->k;
    const @NAME@_self *p = k->attr;
    const int64_t T = k->in[U]->dim[0], B = k->in[U]->dim[1], N = k->in[U]->dim[2];
    const float power = (float)p->power, *lambda = k->in[LAMBDA]->data;
    float *dh = j->dh + b * N, *dl = j->dlambda + b * N;
    memset(dh, 0, (size_t)N * sizeof *dh);
    memset(dl, 0, (size_t)N * sizeof *dl);
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = (t * B + b) * N;
        const float *old = t ? k->out[0]->data + at - B * N : k->in[BEFORE]->data + b * N;
        const float *a = k->out[1]->data + at, *u = k->in[U]->data + at;
        float *du = k->in[U]->grad, *dr = k->in[R]->grad, *di = k->in[I]->grad;
        for (int64_t n = 0; n < N; n++) dh[n] += k->out[0]->grad[at + n];
        if (!real_step(k, t, b)) continue;
        for (int64_t n = 0; n < N; n++) {
            const float r = mls_sigmoidf(k->in[R]->data[at + n]);
            const float i = mls_sigmoidf(k->in[I]->data[at + n]);
            const float q = room(a[n]), d = dh[n];
            const float da = d * (old[n] - i * u[n] * a[n] / q) + k->out[1]->grad[at + n];
            const float dlog = da * a[n], rate = power * mls_softplusf(-lambda[n]);
            if (du) du[at + n] += d * q * i;
            if (di) di[at + n] += d * q * u[n] * i * (1.0f - i);
            if (dr) dr[at + n] -= dlog * rate * r * (1.0f - r);
            dl[n] += dlog * r * power * mls_sigmoidf(-lambda[n]);
            dh[n] = d * a[n];
        }
    }
    float *before = k->in[BEFORE]->grad;
    for (int64_t n = 0; before && n < N; n++) before[b * N + n] += dh[n];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void scan_forward(const mls_call *k)
{
    job j = { k, NULL, NULL };
    mls->parfor(k->in[U]->dim[1], forward_one, &j);
}

static void scan_backward(const mls_call *k)
{
    const int64_t B = k->in[U]->dim[1], N = k->in[U]->dim[2];
    float *sums = mls->scratch(k, (size_t)(2 * B * N) * sizeof *sums);
    if (!sums) return;
    job j = { k, sums, sums + B * N };
    mls->parfor(B, backward_one, &j);
    /* Samples in order: the bits do not depend on the number of threads. */
    for (int64_t n = 0; k->in[LAMBDA]->grad && n < B * N; n++)
        k->in[LAMBDA]->grad[n % N] += j.dlambda[n];
}

static double scan_flops(const mls_call *k) { return 10.0 * (double)k->in[U]->count; }

static const mls_op scan = { sizeof scan, "@NAME@.scan", scan_forward, scan_backward,
                             scan_flops };

/* Drawn as a decay at full gate, kept as lambda: sigmoid(lambda)^power = decay. */
static void to_lambda(float *w, int64_t rows, int64_t cols, const void *self)
{
    const @NAME@_self *p = self;
    for (int64_t n = 0; n < rows * cols; n++)
        w[n] = (float)-log(expm1(-log((double)w[n]) / p->power));
}

static void setup(mls_ctx *c, void *self)
{
    @NAME@_self *p = self;
    const int64_t in = mls->width(c, "in"), n = p->inner ? p->inner : in;
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->r = mls->weight(c, "r.weight", n, n, MLS_LINEAR);
    p->rb = mls->weight(c, "r.bias", 1, n, MLS_ZEROS);
    p->i = mls->weight(c, "i.weight", n, n, MLS_LINEAR);
    p->ib = mls->weight(c, "i.bias", 1, n, MLS_ZEROS);
    p->lambda = mls->weight(c, "lambda", 1, n,
                            (mls_init){ MLS_RANGE, p->low, p->high, MLS_NO_DECAY, to_lambda });
    p->g = mls->weight(c, "gate", n, in, MLS_LINEAR);
    p->o = mls->weight(c, "out", in, n, MLS_LINEAR);
    p->h = mls->state(c, "h", n, 0.0, NULL, "what each channel remembers");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    @NAME@_self *p = self;
    mls_t u = mls->linear(c, in[0], p->w, NULL);
    mls_t r = mls->linear(c, u, p->r, p->rb), i = mls->linear(c, u, p->i, p->ib);
    const int64_t T = u->dim[0], B = u->dim[1], N = u->dim[2];
    mls_t h0 = mls->load(c, p->h), h = mls->tensor(c, T, B, N), a = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &scan, p, ((mls_t[]){ u, r, i, p->lambda, h0, in[1] }), ((mls_t[]){ h, a }));
    mls->store(c, p->h, mls->steps(c, h, T - 1, 1));
    mls->tap(c, "keep", a, NULL, "share of the state that the step keeps");
    mls_t g = mls->unary(c, MLS_GELU, mls->linear(c, in[0], p->g, NULL));
    out[0] = mls->linear(c, mls->binary(c, MLS_MUL, h, g), p->o, NULL);
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B n", "sequence" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "out", MLS_OUT, "T B n", "mixed sequence" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, inner, MLS_INT, 0, 0, 65536, NULL,
            "channels that remember; 0: the width of the input"),
    MLS_OPT(@NAME@_self, power, MLS_REAL, 8, 0.1, 100, NULL, "how far the gate reaches"),
    MLS_OPT(@NAME@_self, low, MLS_REAL, 0.9, 0.1, 0.9, NULL,
            "least decay at the start, at full gate"),
    MLS_OPT(@NAME@_self, high, MLS_REAL, 0.999, 0.9, 0.9999, NULL,
            "largest decay at the start, at full gate"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "mixer", "@NAME@", MLS_CAUSAL | MLS_STREAMS,
    "Real-gated linear recurrence: each channel decides how long it remembers.",
    ports, options, sizeof(@NAME@_self), setup, forward, NULL
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
