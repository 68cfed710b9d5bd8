/* temporal.c - exponentially fading trace of the spikes, then a linear map.
 *
 *   a[t] = lambda a[t-1] + s[t],   lambda = exp(-1 / tau)
 *   out[t] = W (g a[t]) + b,       g = 1 - lambda when normalize, else 1
 *
 * Recursive: the exact infinite kernel with one value per channel, carried from chunk
 * to chunk.  max_taps = n > 0 cuts the kernel off instead,
 *   a[t] = sum_{i<n} lambda^i s[t-i],
 * as the finite filters of the literature do.  A masked step is no input and has a = 0.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct temporal {
    int64_t units, max_taps;
    double tau;
    int normalize;
    float lambda, gain;
    mls_t w, b;
    mls_state *trace, *past;
} temporal;

/* in: s, state [1][B][N], mask; out: g a [T][B][N], the state after.  parfor's bodies
 * take a mutable pointer, the call is constant: hence the box. */
typedef struct box {
    const mls_call *k;
} box;

MLS_INLINE int real_step(const mls_call *k, int64_t t, int64_t b)
{
    return !k->in[2] || k->in[2]->data[t * k->in[0]->dim[1] + b] != 0.0f;
}

MLS_INLINE void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const box *)arg)->k;
    const temporal *p = k->attr;
    mls_t x = k->in[0], y = k->out[0];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    const float lambda = p->lambda, gain = p->gain, *a0 = k->in[1]->data + b * N;
    float *a = k->out[1]->data + b * N;
    for (int64_t n = 0; n < N; n++) a[n] = a0[n];
    for (int64_t t = 0; t < T; t++) {
        const float *xt = x->data + (t * B + b) * N;
        float *yt = y->data + (t * B + b) * N;
        if (!real_step(k, t, b)) {
            memset(yt, 0, (size_t)N * sizeof *yt);
            continue;
        }
        for (int64_t n = 0; n < N; n++) {
            a[n] = lambda * a[n] + xt[n];
            yt[n] = gain * a[n];
        }
    }
}

MLS_INLINE void backward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const box *)arg)->k;
    const temporal *p = k->attr;
    mls_t x = k->in[0], a0 = k->in[1], y = k->out[0];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    const float lambda = p->lambda, gain = p->gain;
    float *da = k->out[1]->grad + b * N; /* ours to overwrite */
    for (int64_t t = T - 1; t >= 0; t--) {
        if (!real_step(k, t, b)) continue;
        const int64_t at = (t * B + b) * N;
        const float *g = y->grad + at;
        for (int64_t n = 0; n < N; n++) da[n] += gain * g[n];
        if (x->grad)
            for (int64_t n = 0; n < N; n++) x->grad[at + n] += da[n];
        for (int64_t n = 0; n < N; n++) da[n] *= lambda;
    }
    if (a0->grad)
        for (int64_t n = 0; n < N; n++) a0->grad[b * N + n] += da[n];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void trace_forward(const mls_call *k)
{
    box g = { k };
    mls->parfor(k->in[0]->dim[1], forward_one, &g);
}

static void trace_backward(const mls_call *k)
{
    box g = { k };
    mls->parfor(k->in[0]->dim[1], backward_one, &g);
}

static double trace_flops(const mls_call *k) { return 3.0 * (double)k->in[0]->count; }

static const mls_op trace = { sizeof trace, "temporal.trace", trace_forward,
                              trace_backward, trace_flops };

/* The cut-off kernel as a convolution's constant weight [N][taps], newest last. */
static void kernel_forward(const mls_call *k)
{
    const temporal *p = k->attr;
    mls_t w = k->out[0];
    const int64_t N = w->dim[1], K = w->dim[2];
    for (int64_t i = 0; i < K; i++) {
        const float v = (float)((double)p->gain * exp(-(double)(K - 1 - i) / p->tau));
        for (int64_t n = 0; n < N; n++) w->data[n * K + i] = v;
    }
}

static const mls_op kernel = { sizeof kernel, "temporal.kernel", kernel_forward, NULL,
                               NULL };

static void setup(mls_ctx *c, void *self)
{
    temporal *p = self;
    const int64_t in = mls->width(c, "spikes"), n = mls->width(c, "out");
    /* One tap is no memory at all: the recursion with lambda = 0 is it. */
    p->lambda = p->max_taps == 1 ? 0.0f : (float)exp(-1.0 / p->tau);
    p->gain = p->normalize ? (float)-expm1(-1.0 / p->tau) : 1.0f;
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    if (p->max_taps > 1)
        p->past = mls->state(c, "past", (p->max_taps - 1) * in, 0.0, NULL,
                             "the last max_taps - 1 inputs, oldest first");
    else
        p->trace = mls->state(c, "trace", in, 0.0, NULL, "fading sum of the spikes");
}

static mls_t filtered(mls_ctx *c, temporal *p, mls_t x, mls_t mask)
{
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    if (p->past) {
        mls_t w = mls->tensor(c, 1, N, p->max_taps);
        mls->apply(c, &kernel, p, NULL, 0, &w, 1);
        return mls->conv(c, x, w, NULL, p->past, mask);
    }
    mls_t a0 = mls->load(c, p->trace), y = mls->tensor(c, T, B, N),
          a = mls->tensor(c, 1, B, N);
    MLS_APPLY(c, &trace, p, ((mls_t[]){ x, a0, mask }), ((mls_t[]){ y, a }));
    mls->store(c, p->trace, a);
    return y;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    temporal *p = self;
    mls_t y = filtered(c, p, in[0], in[2]);
    mls->tap(c, "filtered", y, NULL, "trace of the spikes before the linear map");
    out[0] = mls->linear(c, y, p->w, p->b);
}

static const mls_port ports[] = { { "spikes", MLS_IN, "T B in", "spike trains" },
                                  { "membrane", MLS_IN | MLS_MAYBE, "T B in",
                                    "not used" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
                                  { "out", MLS_OUT, "T B units", "projected traces" },
                                  MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(temporal, units, MLS_INT, 0, 0, 65536, NULL,
            "outputs; 0: the network's width"),
    MLS_OPT(temporal, tau, MLS_REAL, 20.0, 1e-2, 1e6, "steps",
            "time constant of the trace"),
    MLS_OPT(temporal, normalize, MLS_BOOL, 1, 0, 0, NULL,
            "scale by 1 - lambda, so that a constant 1 tends to 1"),
    MLS_OPT(temporal, max_taps, MLS_INT, 0, 0, 4096, "steps",
            "cut the kernel off after so many steps; 0: infinite, recursive"),
    MLS_OPT_END
};

static const mls_component adapter = {
    sizeof adapter,
    "adapter",
    "temporal",
    MLS_CAUSAL | MLS_STREAMS,
    "Spikes to values: exponential trace, then a linear map.",
    ports,
    options,
    sizeof(temporal),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("temporal", "1.0", "Apache-2.0", &adapter);
