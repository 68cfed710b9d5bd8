/* @NAME@.c - two streams mixed by a gate of each feature, which sees both.
 *
 *   g = sigmoid(sharpness (P a + Q b + c))
 *   out = g a + (1 - g) b
 *
 * Every step by itself: no state, so masks and chunks change nothing.
 *
 * Reference: Arevalo, Solorio, Montes-y-Gomez, Gonzalez 2017, "Gated Multimodal Units for
 * Information Fusion" (without its tanh of the streams).
 *
 * What to change first: the line with `g` in forward_sample and its slopes in
 * backward_sample; `make check` says whether they still belong together.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct @NAME@_self {
    double sharpness, share;
    mls_t p, q, c;
} @NAME@_self;

/* in: P a + Q b + c, a, b [T][B][N]; out: mixed, g [T][B][N].  One sample is one item of
 * parfor: it alone writes its rows.                                                   */
typedef struct job {
    const mls_call *k;
} job;

static void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const job *)arg)->k;
    const float sharp = (float)((const @NAME@_self *)k->attr)->sharpness;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = (t * B + b) * N;
        const float *s = k->in[0]->data + at, *x = k->in[1]->data + at;
        const float *z = k->in[2]->data + at;
        float *y = k->out[0]->data + at, *gate = k->out[1]->data + at;
        for (int64_t n = 0; n < N; n++) {
            const float g = mls_sigmoidf(sharp * s[n]);
            gate[n] = g;
            y[n] = g * x[n] + (1.0f - g) * z[n];
        }
    }
}

static void backward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const job *)arg)->k;
    const float sharp = (float)((const @NAME@_self *)k->attr)->sharpness;
    const int64_t T = k->in[0]->dim[0], B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    float *ds = k->in[0]->grad, *dx = k->in[1]->grad, *dz = k->in[2]->grad;
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = (t * B + b) * N;
        const float *x = k->in[1]->data + at, *z = k->in[2]->data + at;
        const float *gate = k->out[1]->data + at, *dy = k->out[0]->grad + at;
        const float *dgate = k->out[1]->grad + at;
        for (int64_t n = 0; n < N; n++) {
            const float g = gate[n], dg = dy[n] * (x[n] - z[n]) + dgate[n];
            if (ds) ds[at + n] += dg * g * (1.0f - g) * sharp;
            if (dx) dx[at + n] += g * dy[n];
            if (dz) dz[at + n] += (1.0f - g) * dy[n];
        }
    }
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void mix_forward(const mls_call *k)
{
    job j = { k };
    mls->parfor(k->in[0]->dim[1], forward_one, &j);
}

static void mix_backward(const mls_call *k)
{
    job j = { k };
    mls->parfor(k->in[0]->dim[1], backward_one, &j);
}

static double mix_flops(const mls_call *k) { return 8.0 * (double)k->in[0]->count; }

static const mls_op mix = { sizeof mix, "@NAME@.mix", mix_forward, mix_backward, mix_flops };

static void setup(mls_ctx *c, void *self)
{
    @NAME@_self *p = self;
    const int64_t n = mls->width(c, "a");
    p->p = mls->weight(c, "a.weight", n, n, MLS_LINEAR);
    p->q = mls->weight(c, "b.weight", n, n, MLS_LINEAR);
    /* sigmoid(sharpness bias) = share */
    const double bias = log(p->share / (1.0 - p->share)) / p->sharpness;
    p->c = mls->weight(c, "bias", 1, n, mls_init_of(MLS_CONSTANT, bias, MLS_NO_DECAY));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    @NAME@_self *p = self;
    mls_t a = in[0], b = in[1];
    mls_t s = mls->binary(c, MLS_ADD, mls->linear(c, a, p->p, p->c),
                          mls->linear(c, b, p->q, NULL));
    mls_t y = mls->tensor(c, s->dim[0], s->dim[1], s->dim[2]);
    mls_t g = mls->tensor(c, s->dim[0], s->dim[1], s->dim[2]);
    MLS_APPLY(c, &mix, p, ((mls_t[]){ s, a, b }), ((mls_t[]){ y, g }));
    mls->tap(c, "gate", g, NULL, "share of a in each feature");
    out[0] = y;
}

static const mls_port ports[] = {
    { "a", MLS_IN, "T B n", "first stream: the gate's own share" },
    { "b", MLS_IN, "T B n", "second stream" },
    { "out", MLS_OUT, "T B n", "g a + (1 - g) b" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, sharpness, MLS_REAL, 1, 0.01, 100, NULL,
            "large: the gate takes one stream or the other"),
    MLS_OPT(@NAME@_self, share, MLS_REAL, 0.5, 0.01, 0.99, NULL,
            "share of a that training begins with"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "fusion", "@NAME@", MLS_CAUSAL | MLS_STREAMS,
    "Mixes two streams by a gate of each feature.",
    ports, options, sizeof(@NAME@_self), setup, forward, NULL
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
