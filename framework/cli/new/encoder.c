/* @NAME@.c - leaky integrate-and-fire neurons that learn their own decay.
 *
 *   I[t] = W x[t] + b
 *   U[t] = beta U[t-1] + I[t] - theta S'[t],   S'[t] = H(U[t-1] - theta),
 *   S[t] = H(U[t] - theta)                     beta = sigmoid(decay), one per neuron
 *
 * In backward every step H has the slope of an arctangent, (k/2) / (1 + (pi k x / 2)^2);
 * in smooth mode forward uses that arctangent too, so that slopes can be checked.
 * A masked step keeps U and has no spike.
 *
 * Reference: Fang, Yu, Chen, Masquelier, Huang, Tian 2021, "Incorporating Learnable
 * Membrane Time Constant to Enhance Learning of Spiking Neural Networks" (ICCV).
 *
 * What to change first: the line with `un` in forward_sample and its slopes in
 * backward_sample; `make check` says whether they still belong together.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct @NAME@_self {
    int64_t units;
    double tau, threshold, slope;
    mls_t w, b, decay;
    mls_state *u;
} @NAME@_self;

#define HALF_PI 1.57079632679489662f

static float step(float k, float x, int smooth)
{
    return smooth ? 0.5f + atanf(HALF_PI * k * x) / (2.0f * HALF_PI) : (float)(x > 0.0f);
}

static float slope(float k, float x)
{
    const float a = HALF_PI * k * x;
    return 0.5f * k / (1.0f + a * a);
}

/* in: I [T][B][N], U before [1][B][N], decay [1][N], mask [T][B][1] or NULL;
 * out: S, U [T][B][N].  One sample is one item of parfor: it alone writes its rows.   */
typedef struct job {
    const mls_call *k;
    float *du, *ddecay; /* [B][N]: gradients that a sample gathers                     */
} job;

static int real_step(const mls_call *k, int64_t t, int64_t b)
{
    return !k->in[3] || k->in[3]->data[t * k->in[0]->dim[1] + b] != 0.0f;
}

static void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const job *)arg)->k;
    const @NAME@_self *p = k->attr;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    const int smooth = (k->flags & MLS_SMOOTH) != 0;
    const float theta = (float)p->threshold, sharp = (float)p->slope;
    const float *old = k->in[1]->data + b * N;
    for (int64_t t = 0; t < T; t++) {
        const float *x = k->in[0]->data + (t * B + b) * N;
        float *s = k->out[0]->data + (t * B + b) * N, *u = k->out[1]->data + (t * B + b) * N;
        const int real = real_step(k, t, b);
        for (int64_t n = 0; n < N; n++) {
            const float beta = mls_sigmoidf(k->in[2]->data[n]);
            const float reset = step(sharp, old[n] - theta, smooth);
            const float un = beta * old[n] + x[n] - theta * reset;
            u[n] = real ? un : old[n];
            s[n] = real ? step(sharp, un - theta, smooth) : 0.0f;
        }
        old = u;
    }
}

static void backward_sample(int64_t b, void *arg)
{
    const job *j = arg;
    const mls_call *k = j->k;
    const @NAME@_self *p = k->attr;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    const float theta = (float)p->threshold, sharp = (float)p->slope;
    float *du = j->du + b * N, *dd = j->ddecay + b * N;
    memset(du, 0, (size_t)N * sizeof *du);
    memset(dd, 0, (size_t)N * sizeof *dd);
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = (t * B + b) * N;
        const float *old = t ? k->out[1]->data + at - B * N : k->in[1]->data + b * N;
        for (int64_t n = 0; n < N; n++) du[n] += k->out[1]->grad[at + n];
        if (!real_step(k, t, b)) continue;
        for (int64_t n = 0; n < N; n++) {
            const float beta = mls_sigmoidf(k->in[2]->data[n]), over = old[n] - theta;
            const float d = du[n] + k->out[0]->grad[at + n] *
                                        slope(sharp, k->out[1]->data[at + n] - theta);
            if (k->in[0]->grad) k->in[0]->grad[at + n] += d;
            dd[n] += d * old[n] * beta * (1.0f - beta);
            du[n] = d * (beta - theta * slope(sharp, over));
        }
    }
    for (int64_t n = 0; k->in[1]->grad && n < N; n++) k->in[1]->grad[b * N + n] += du[n];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void spike_forward(const mls_call *k)
{
    job j = { k, NULL, NULL };
    mls->parfor(k->in[0]->dim[1], forward_one, &j);
}

static void spike_backward(const mls_call *k)
{
    const int64_t B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    float *sums = mls->scratch(k, (size_t)(2 * B * N) * sizeof *sums);
    if (!sums) return;
    job j = { k, sums, sums + B * N };
    mls->parfor(B, backward_one, &j);
    /* Samples in order: the bits do not depend on the number of threads. */
    for (int64_t i = 0; k->in[2]->grad && i < B * N; i++)
        k->in[2]->grad[i % N] += j.ddecay[i];
}

static double spike_flops(const mls_call *k) { return 8.0 * (double)k->in[0]->count; }

static const mls_op spike = { sizeof spike, "@NAME@.spike", spike_forward, spike_backward,
                              spike_flops };

static void setup(mls_ctx *c, void *self)
{
    @NAME@_self *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "spikes");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(c, "bias", 1, n, MLS_ZEROS);
    /* sigmoid(decay) = exp(-1 / tau) */
    p->decay = mls->weight(
        c, "decay", 1, n, mls_init_of(MLS_CONSTANT, -log(expm1(1.0 / p->tau)), MLS_NO_DECAY));
    p->u = mls->state(c, "u", n, 0.0, NULL, "membrane potential");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    @NAME@_self *p = self;
    mls_t x = mls->linear(c, in[0], p->w, p->b), u0 = mls->load(c, p->u);
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    mls_t s = mls->tensor(c, T, B, N), u = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &spike, p, ((mls_t[]){ x, u0, p->decay, in[1] }), ((mls_t[]){ s, u }));
    mls->store(c, p->u, mls->steps(c, u, T - 1, 1));
    mls->tap(c, "current", x, NULL, "what is fed into the membrane");
    out[0] = s;
    out[1] = u;
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B in", "input" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "spikes", MLS_OUT | MLS_SPIKES, "T B units", "0 or 1; 0 at a masked step" },
    { "membrane", MLS_OUT, "T B units", "U of the step; held at a masked step" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, units, MLS_INT, 0, 0, 65536, NULL, "neurons; 0: the network's width"),
    MLS_OPT(@NAME@_self, tau, MLS_REAL, 10, 0.5, 1e4, "steps",
            "time constant that training begins with"),
    MLS_OPT(@NAME@_self, threshold, MLS_REAL, 1, 1e-3, 1e3, NULL, "firing threshold"),
    MLS_OPT(@NAME@_self, slope, MLS_REAL, 2, 0.1, 100, NULL, "steepness k of the surrogate"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "encoder", "@NAME@", MLS_CAUSAL | MLS_STREAMS,
    "Leaky integrate-and-fire neurons that learn their own decay.",
    ports, options, sizeof(@NAME@_self), setup, forward, NULL
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
