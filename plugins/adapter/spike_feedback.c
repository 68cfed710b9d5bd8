/* spike_feedback.c - values back to spikes, for a wire from a mixer to an encoder.
 *
 *   p[t] = sigmoid(W m[t] + b)
 *   bernoulli  S[t] = 1 with probability p[t]; gradient of p (straight-through)
 *   threshold  S[t] = H(p[t] - theta), theta learnt, one or one a unit; surrogate
 * gradient m is the input port of this kind, `spikes`, which here takes values: what
 * comes in is a mixer's output, and what goes out at `out` are the spikes.  There is no
 * port `membrane`, because a mixer has none.  Noise: encoder/noise.h.
 */
#include "../encoder/noise.h"
#include "../encoder/spiking.h"

enum { BERNOULLI, THRESHOLD };
enum { SCALAR, PER_UNIT, FIXED };

typedef struct spike_feedback {
    int64_t units;
    int spike, learn_threshold, surrogate;
    double threshold, slope;
    mls_t w, b, theta;
    noise noise;
} spike_feedback;

/* in: p, u or NULL, theta or NULL, mask; out: spikes */
static void fire_forward(const mls_call *k)
{
    const spike_feedback *f = k->attr;
    mls_t p = k->in[0], u = k->in[1], th = k->in[2];
    const float slope = usual_slope(f->surrogate, f->slope);
    const int64_t N = p->dim[2];
    for (int64_t i = 0; i < p->count; i++) {
        const float x = p->data[i];
        float *s = k->out[0]->data + i;
        if (k->in[3] && k->in[3]->data[i / N] == 0.0f) {
            *s = 0.0f;
        } else if (x != x) {
            *s = x;
        } else if (u) {
            *s = k->flags & MLS_SMOOTH ? x : (float)(u->data[i] < x);
        } else {
            const float d =
                x - (th ? th->data[th->count > 1 ? i % N : 0] : (float)f->threshold);
            *s = k->flags & MLS_SMOOTH ? smooth_step(f->surrogate, slope, d)
                                       : (float)(d > 0.0f);
        }
    }
}

static void fire_backward(const mls_call *k)
{
    const spike_feedback *f = k->attr;
    mls_t p = k->in[0], u = k->in[1], th = k->in[2];
    const float slope = usual_slope(f->surrogate, f->slope);
    const int64_t N = p->dim[2];
    for (int64_t i = 0; i < p->count; i++) {
        if (k->in[3] && k->in[3]->data[i / N] == 0.0f) continue;
        const int64_t at = th && th->count > 1 ? i % N : 0;
        const float d = p->data[i] - (th ? th->data[at] : (float)f->threshold);
        const float e =
            k->out[0]->grad[i] * (u ? 1.0f : slope_at(f->surrogate, slope, d));
        if (p->grad) p->grad[i] += e;
        if (!u && th && th->grad) th->grad[at] -= e;
    }
}

static double fire_flops(const mls_call *k) { return 2.0 * (double)k->in[0]->count; }

static const mls_op fire = {sizeof fire, "spike_feedback.fire", fire_forward,
                            fire_backward, fire_flops};

static void setup(mls_ctx *c, void *self)
{
    spike_feedback *f = self;
    const int64_t in = mls->width(c, "spikes"), n = mls->width(c, "out");
    f->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    f->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    if (f->spike == BERNOULLI)
        noise_setup(c, &f->noise);
    else if (f->learn_threshold != FIXED)
        f->theta = mls->weight(c, "threshold", 1, f->learn_threshold == SCALAR ? 1 : n,
                               mls_init_of(MLS_CONSTANT, f->threshold, MLS_NO_DECAY));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    spike_feedback *f = self;
    mls_t p = mls->unary(c, MLS_SIGMOID, mls->linear(c, in[0], f->w, f->b)), u = NULL;
    const int64_t T = p->dim[0], B = p->dim[1], N = p->dim[2];
    if (f->spike == BERNOULLI) u = noise_draw(c, &f->noise, T, B, N, in[1]);
    mls_t s = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &fire, f, ((mls_t[]){p, u, f->theta, in[1]}), ((mls_t[]){s}));
    mls->tap(c, "probability", p, NULL, "probability of a spike, or what theta judges");
    out[0] = s;
}

static const mls_port ports[] = {
    {"spikes", MLS_IN, "T B in", "values: the output of a mixer"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps"},
    {"out", MLS_OUT | MLS_SPIKES, "T B units", "0 or 1; 0 at a masked step"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(spike_feedback, units, MLS_INT, 0, 0, 65536, NULL,
            "spike trains; 0: the network's width"),
    MLS_OPT_CHOICE(spike_feedback, spike, "bernoulli|threshold",
                   "spikes by chance, or where p is above a threshold"),
    MLS_OPT(spike_feedback, threshold, MLS_REAL, 0.5, 1e-3, 0.999, NULL,
            "threshold of p, or where it starts when it learns"),
    MLS_OPT_CHOICE(spike_feedback, learn_threshold, "scalar|unit|none",
                   "train the threshold: one for all units, one each, or not"),
    MLS_OPT_CHOICE(spike_feedback, surrogate, SURROGATES,
                   "derivative of the spike at a threshold"),
    MLS_OPT(spike_feedback, slope, MLS_REAL, 0, 0, 1000, NULL, SLOPE_HELP),
    MLS_OPT_END};

static const mls_component adapter = {
    sizeof adapter,
    "adapter",
    "spike_feedback",
    MLS_CAUSAL | MLS_STREAMS | MLS_RANDOM,
    "Values to spikes: what a mixer sends back to an encoder.\n\n"
    "For a feedback wire, as in mamba ~> back; back -> add.b; add -> enc.  Its input "
    "port\n"
    "is called `spikes` as in every adapter, but takes values.",
    ports,
    options,
    sizeof(spike_feedback),
    setup,
    forward,
    NULL};

MLS_PLUGIN("spike_feedback", "1.0", "Apache-2.0", &adapter);
