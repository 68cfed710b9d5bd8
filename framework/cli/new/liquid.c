/* @NAME@.c - leaky integrators whose time constants depend on the input.
 *
 *   f[t] = tanh(W x[t] + b)                       where the state is drawn to
 *   r[t] = softplus(R x[t] + c + M m[t])          how fast, per unit of time
 *   dh/dt = r (f - h) over the step:   h[t] = h[t-1] + k (f[t] - h[t-1]),
 *                                      k = 1 - exp(-r[t] dt[t])
 *
 * Exact for any dt, so steps of different lengths need no solver; dt = 0 changes nothing.
 * m is what mod_tau brings; M starts at 0, and so as if nothing were connected.
 * A masked step keeps h.
 *
 * Reference: Hasani, Lechner, Amini, Rus, Grosu 2021, "Liquid Time-constant Networks"
 * (AAAI); here the units are not coupled, which is what makes the solution exact.
 *
 * What to change first: f and r, in forward_sample, and their slopes in backward_sample;
 * `make check` says whether they still belong together.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct @NAME@_self {
    int64_t units;
    double tau;
    mls_t w, b, r, c, m;
    mls_state *h;
} @NAME@_self;

/* in: W x + b, R x + c + M m [T][B][N], h before [1][B][N], dt, mask [T][B][1] or NULL;
 * out: h, k [T][B][N].  One sample is one item of parfor: it alone writes its rows.   */
typedef struct job {
    const mls_call *k;
    float *dh; /* [B][N]: gradient of the carried state                                */
} job;

static int real_step(const mls_call *k, int64_t t, int64_t b)
{
    return !k->in[4] || k->in[4]->data[t * k->in[0]->dim[1] + b] != 0.0f;
}

static float length(const mls_call *k, int64_t t, int64_t b)
{
    return k->in[3] ? k->in[3]->data[t * k->in[0]->dim[1] + b] : 1.0f;
}

static void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const job *)arg)->k;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    const float *old = k->in[2]->data + b * N;
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = (t * B + b) * N;
        const float *x = k->in[0]->data + at, *r = k->in[1]->data + at;
        float *h = k->out[0]->data + at, *share = k->out[1]->data + at;
        const float dt = real_step(k, t, b) ? length(k, t, b) : 0.0f;
        for (int64_t n = 0; n < N; n++) {
            const float f = mls_tanhf(x[n]);
            share[n] = dt > 0.0f ? 1.0f - mls_expf(-dt * mls_softplusf(r[n])) : 0.0f;
            h[n] = dt > 0.0f ? old[n] + share[n] * (f - old[n]) : old[n];
        }
        old = h;
    }
}

static void backward_sample(int64_t b, void *arg)
{
    const job *j = arg;
    const mls_call *k = j->k;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    float *dh = j->dh + b * N;
    memset(dh, 0, (size_t)N * sizeof *dh);
    for (int64_t t = T - 1; t >= 0; t--) {
        const int64_t at = (t * B + b) * N;
        const float *old = t ? k->out[0]->data + at - B * N : k->in[2]->data + b * N;
        for (int64_t n = 0; n < N; n++) dh[n] += k->out[0]->grad[at + n];
        if (!real_step(k, t, b)) continue;
        const float dt = length(k, t, b);
        for (int64_t n = 0; n < N; n++) {
            const float f = mls_tanhf(k->in[0]->data[at + n]), d = dh[n];
            const float share = k->out[1]->data[at + n];
            const float dk = d * (f - old[n]) + k->out[1]->grad[at + n];
            if (k->in[0]->grad) k->in[0]->grad[at + n] += d * share * (1.0f - f * f);
            if (k->in[1]->grad)
                k->in[1]->grad[at + n] +=
                    dk * (1.0f - share) * dt * mls_sigmoidf(k->in[1]->data[at + n]);
            dh[n] = d * (1.0f - share);
        }
    }
    for (int64_t n = 0; k->in[2]->grad && n < N; n++) k->in[2]->grad[b * N + n] += dh[n];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void flow_forward(const mls_call *k)
{
    job j = { k, NULL };
    mls->parfor(k->in[0]->dim[1], forward_one, &j);
}

static void flow_backward(const mls_call *k)
{
    job j = { k, mls->scratch(k, (size_t)k->in[2]->count * sizeof(float)) };
    if (j.dh) mls->parfor(k->in[0]->dim[1], backward_one, &j);
}

static double flow_flops(const mls_call *k) { return 8.0 * (double)k->in[0]->count; }

static const mls_op flow = { sizeof flow, "@NAME@.flow", flow_forward, flow_backward,
                             flow_flops };

static void setup(mls_ctx *c, void *self)
{
    @NAME@_self *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "out");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(c, "bias", 1, n, MLS_ZEROS);
    p->r = mls->weight(c, "rate.weight", n, in, MLS_LINEAR);
    /* softplus(bias) = 1 / tau */
    p->c = mls->weight(c, "rate.bias", 1, n,
                       mls_init_of(MLS_CONSTANT, log(expm1(1.0 / p->tau)), MLS_NO_DECAY));
    if (mls->connected(c, "mod_tau"))
        p->m = mls->weight(c, "mod_tau.weight", n, mls->width(c, "mod_tau"), MLS_ZEROS);
    p->h = mls->state(c, "h", n, 0.0, NULL, "what is integrated");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    @NAME@_self *p = self;
    mls_t x = mls->linear(c, in[0], p->w, p->b), r = mls->linear(c, in[0], p->r, p->c);
    if (p->m) r = mls->binary(c, MLS_ADD, r, mls->linear(c, in[2], p->m, NULL));
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    mls_t h0 = mls->load(c, p->h), h = mls->tensor(c, T, B, N), k = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &flow, NULL, ((mls_t[]){ x, r, h0, in[1], in[3] }), ((mls_t[]){ h, k }));
    mls->store(c, p->h, mls->steps(c, h, T - 1, 1));
    mls->tap(c, "share", k, NULL, "share of the way to f that the step went");
    out[0] = h;
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B in", "input of each step" },
    { "dt", MLS_IN | MLS_MAYBE, "T B 1", "length of each step, 1 when unconnected" },
    { "mod_tau", MLS_IN | MLS_MAYBE, "T B m", "moves the rates through a weight that starts at 0" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "out", MLS_OUT, "T B units", "state after each step" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, units, MLS_INT, 0, 0, 65536, NULL, "units; 0: the network's width"),
    MLS_OPT(@NAME@_self, tau, MLS_REAL, 2, 0.05, 1e4, "steps",
            "time constant that training begins with, at no input"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "liquid", "@NAME@", MLS_CAUSAL | MLS_STREAMS,
    "Leaky integrators whose time constants depend on the input.",
    ports, options, sizeof(@NAME@_self), setup, forward, NULL
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
