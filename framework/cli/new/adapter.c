/* @NAME@.c - spikes to values: a fading trace that each channel learns, then a linear map.
 *
 *   a[t] = l a[t-1] + (1 - l) s[t],       l = sigmoid(decay), one per channel
 *   out[t] = W a[t] + b  (+ V u[t] where the membrane u is connected; V starts at 0)
 *
 * The trace is an infinite exponential kernel in one value a channel, carried from chunk
 * to chunk; it is the filter of a current-based synapse.  A masked step keeps a.
 *
 * Reference: Gerstner, Kistler, Naud, Paninski 2014, "Neuronal Dynamics", chapter 3.
 *
 * What to change first: the line with `an` in forward_sample (a second, slower trace?)
 * and its slopes in backward_sample; `make check` says whether they belong together.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct @NAME@_self {
    int64_t units;
    double tau;
    mls_t w, b, v, decay;
    mls_state *a;
} @NAME@_self;

/* in: s [T][B][N], a before [1][B][N], decay [1][N], mask [T][B][1] or NULL; out: a.
 * One sample is one item of parfor: it alone writes its rows.                         */
typedef struct job {
    const mls_call *k;
    float *da, *ddecay; /* [B][N]: gradients that a sample gathers                     */
} job;

static int real_step(const mls_call *k, int64_t t, int64_t b)
{
    return !k->in[3] || k->in[3]->data[t * k->in[0]->dim[1] + b] != 0.0f;
}

static void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const job *)arg)->k;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    const float *old = k->in[1]->data + b * N;
    for (int64_t t = 0; t < T; t++) {
        const float *s = k->in[0]->data + (t * B + b) * N;
        float *a = k->out[0]->data + (t * B + b) * N;
        const int real = real_step(k, t, b);
        for (int64_t n = 0; n < N; n++) {
            const float l = mls_sigmoidf(k->in[2]->data[n]);
            const float an = l * old[n] + (1.0f - l) * s[n];
            a[n] = real ? an : old[n];
        }
        old = a;
    }
}

static void backward_sample(int64_t b, void *arg)
{
    const job *j = arg;
    const mls_call *k = j->k;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    float *da = j->da + b * N, *dd = j->ddecay + b * N;
    memset(da, 0, (size_t)N * sizeof *da);
    memset(dd, 0, (size_t)N * sizeof *dd);
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = (t * B + b) * N;
        const float *old = t ? k->out[0]->data + at - B * N : k->in[1]->data + b * N;
        for (int64_t n = 0; n < N; n++) da[n] += k->out[0]->grad[at + n];
        if (!real_step(k, t, b)) continue;
        for (int64_t n = 0; n < N; n++) {
            const float l = mls_sigmoidf(k->in[2]->data[n]), d = da[n];
            if (k->in[0]->grad) k->in[0]->grad[at + n] += (1.0f - l) * d;
            dd[n] += d * (old[n] - k->in[0]->data[at + n]) * l * (1.0f - l);
            da[n] = l * d;
        }
    }
    for (int64_t n = 0; k->in[1]->grad && n < N; n++) k->in[1]->grad[b * N + n] += da[n];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void trace_forward(const mls_call *k)
{
    job j = { k, NULL, NULL };
    mls->parfor(k->in[0]->dim[1], forward_one, &j);
}

static void trace_backward(const mls_call *k)
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

static double trace_flops(const mls_call *k) { return 3.0 * (double)k->in[0]->count; }

static const mls_op trace = { sizeof trace, "@NAME@.trace", trace_forward, trace_backward,
                              trace_flops };

static void setup(mls_ctx *c, void *self)
{
    @NAME@_self *p = self;
    const int64_t in = mls->width(c, "spikes"), n = mls->width(c, "out");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(c, "bias", 1, n, MLS_ZEROS);
    if (mls->connected(c, "membrane"))
        p->v = mls->weight(c, "membrane.weight", n, mls->width(c, "membrane"), MLS_ZEROS);
    /* sigmoid(decay) = exp(-1 / tau) */
    p->decay = mls->weight(
        c, "decay", 1, in, mls_init_of(MLS_CONSTANT, -log(expm1(1.0 / p->tau)), MLS_NO_DECAY));
    p->a = mls->state(c, "trace", in, 0.0, NULL, "fading mean of the spikes");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    @NAME@_self *p = self;
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], N = in[0]->dim[2];
    mls_t a0 = mls->load(c, p->a), a = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &trace, NULL, ((mls_t[]){ in[0], a0, p->decay, in[2] }), ((mls_t[]){ a }));
    mls->store(c, p->a, mls->steps(c, a, T - 1, 1));
    mls->tap(c, "filtered", a, NULL, "trace of the spikes before the linear map");
    out[0] = mls->linear(c, a, p->w, p->b);
    if (p->v) out[0] = mls->binary(c, MLS_ADD, out[0], mls->linear(c, in[1], p->v, NULL));
}

static const mls_port ports[] = {
    { "spikes", MLS_IN, "T B in", "spike trains" },
    { "membrane", MLS_IN | MLS_MAYBE, "T B m", "membrane potentials" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "out", MLS_OUT, "T B units", "projected traces" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, units, MLS_INT, 0, 0, 65536, NULL, "outputs; 0: the network's width"),
    MLS_OPT(@NAME@_self, tau, MLS_REAL, 5, 0.5, 1e4, "steps",
            "time constant that training begins with"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "adapter", "@NAME@", MLS_CAUSAL | MLS_STREAMS,
    "Spikes to values by a fading trace that each channel learns.",
    ports, options, sizeof(@NAME@_self), setup, forward, NULL
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
