/* @NAME@.c - leaky readout: evidence for each output is gathered and fades.
 *
 *   e[t] = W x[t] + b
 *   U[t] = l U[t-1] + (1 - l) e[t],       l = sigmoid(decay), one per output
 *   out[t] = U[t] / temperature
 *
 * The readout of most spiking networks: units that integrate and never fire.  One output
 * a step; a task with one target a sequence wants the port's shape "1 B output" and the
 * last real step, as plugins/head/last.c of mls.  A masked step keeps U.
 *
 * Reference: Neftci, Mostafa, Zenke 2019, "Surrogate Gradient Learning in Spiking Neural
 * Networks" (IEEE Signal Processing Magazine), with a decay that is learned here.
 *
 * What to change first: the line with `un` in forward_sample and its slopes in
 * backward_sample; `make check` says whether they still belong together.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct @NAME@_self {
    double tau, temperature;
    mls_t w, b, decay;
    mls_state *u;
} @NAME@_self;

/* in: e [T][B][N], U before [1][B][N], decay [1][N], mask [T][B][1] or NULL; out: U.
 * One sample is one item of parfor: it alone writes its rows.                         */
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
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    const float *old = k->in[1]->data + b * N;
    for (int64_t t = 0; t < T; t++) {
        const float *e = k->in[0]->data + (t * B + b) * N;
        float *u = k->out[0]->data + (t * B + b) * N;
        const int real = real_step(k, t, b);
        for (int64_t n = 0; n < N; n++) {
            const float l = mls_sigmoidf(k->in[2]->data[n]);
            const float un = l * old[n] + (1.0f - l) * e[n];
            u[n] = real ? un : old[n];
        }
        old = u;
    }
}

static void backward_sample(int64_t b, void *arg)
{
    const job *j = arg;
    const mls_call *k = j->k;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    float *du = j->du + b * N, *dd = j->ddecay + b * N;
    memset(du, 0, (size_t)N * sizeof *du);
    memset(dd, 0, (size_t)N * sizeof *dd);
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = (t * B + b) * N;
        const float *old = t ? k->out[0]->data + at - B * N : k->in[1]->data + b * N;
        for (int64_t n = 0; n < N; n++) du[n] += k->out[0]->grad[at + n];
        if (!real_step(k, t, b)) continue;
        for (int64_t n = 0; n < N; n++) {
            const float l = mls_sigmoidf(k->in[2]->data[n]), d = du[n];
            if (k->in[0]->grad) k->in[0]->grad[at + n] += (1.0f - l) * d;
            dd[n] += d * (old[n] - k->in[0]->data[at + n]) * l * (1.0f - l);
            du[n] = l * d;
        }
    }
    for (int64_t n = 0; k->in[1]->grad && n < N; n++) k->in[1]->grad[b * N + n] += du[n];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void gather_forward(const mls_call *k)
{
    job j = { k, NULL, NULL };
    mls->parfor(k->in[0]->dim[1], forward_one, &j);
}

static void gather_backward(const mls_call *k)
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

static double gather_flops(const mls_call *k) { return 3.0 * (double)k->in[0]->count; }

static const mls_op gather = { sizeof gather, "@NAME@.gather", gather_forward,
                               gather_backward, gather_flops };

static void setup(mls_ctx *c, void *self)
{
    @NAME@_self *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "output");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(c, "bias", 1, n, MLS_ZEROS);
    /* sigmoid(decay) = exp(-1 / tau) */
    p->decay = mls->weight(
        c, "decay", 1, n, mls_init_of(MLS_CONSTANT, -log(expm1(1.0 / p->tau)), MLS_NO_DECAY));
    p->u = mls->state(c, "u", n, 0.0, NULL, "evidence gathered so far");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    @NAME@_self *p = self;
    mls_t e = mls->linear(c, in[0], p->w, p->b), u0 = mls->load(c, p->u);
    const int64_t T = e->dim[0], B = e->dim[1], N = e->dim[2];
    mls_t u = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &gather, NULL, ((mls_t[]){ e, u0, p->decay, in[1] }), ((mls_t[]){ u }));
    mls->store(c, p->u, mls->steps(c, u, T - 1, 1));
    mls->tap(c, "evidence", e, NULL, "what each step says by itself");
    out[0] = mls->scale(c, u, 1.0 / p->temperature, 0.0);
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B n", "features" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "out", MLS_OUT, "T B output", "logits or predictions, one a step" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, tau, MLS_REAL, 0.5, 0.1, 1e4, "steps",
            "time constant that training begins with"),
    MLS_OPT(@NAME@_self, temperature, MLS_REAL, 1, 0.01, 100, NULL,
            "the outputs are divided by it"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "head", "@NAME@", MLS_CAUSAL | MLS_STREAMS,
    "Leaky readout: evidence for each output is gathered and fades.",
    ports, options, sizeof(@NAME@_self), setup, forward, NULL
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
