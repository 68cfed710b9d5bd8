/* delta.c - spikes where a channel changed: on events, off events.
 *
 *   v[t] = W x[t] + b   (project = false: x[t] itself),   d = v[t] - v[t-1]
 *   on[t] = 1 where d >= theta      off[t] = 1 where -d >= theta
 * The first step is compared with 0, or with itself (first = itself: no event).  Unit
 * 2c is on and unit 2c + 1 off of channel c; polarity = on: unit c.  A masked step has
 * no events and is not compared with.
 *
 * Reference: snnTorch 0.9.4 `spikegen.delta`, whose off events are -1 in the same unit.
 * Gradients through both by the surrogate.
 */
#include "spiking.h"

enum { BOTH, ON };
enum { FROM_ZERO, FROM_ITSELF };

typedef struct delta {
    int64_t units;
    double threshold, slope;
    int project, polarity, first, surrogate;
    mls_t w, b;
    mls_state *last, *begun;
} delta;

/* in: v, last [1][B][C], begun [1][B][1], mask; out: spikes, last, begun */
typedef struct box {
    const mls_call *k;
} box;

MLS_INLINE int real_step(const mls_call *k, int64_t t, int64_t b)
{
    return !k->in[3] || k->in[3]->data[t * k->in[0]->dim[1] + b] != 0.0f;
}

MLS_INLINE float event(const mls_call *k, float x)
{
    const delta *p = k->attr;
    if (x != x) return x;
    if (k->flags & MLS_SMOOTH)
        return smooth_step(p->surrogate, usual_slope(p->surrogate, p->slope), x);
    return (float)(x >= 0.0f);
}

MLS_INLINE void forward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const box *)arg)->k;
    const delta *p = k->attr;
    mls_t v = k->in[0];
    const int64_t T = v->dim[0], B = v->dim[1], C = v->dim[2],
                  K = p->polarity == ON ? 1 : 2;
    const float theta = (float)p->threshold, *old = k->in[1]->data + b * C;
    int begun = k->in[2]->data[b] != 0.0f;
    for (int64_t t = 0; t < T; t++) {
        float *s = k->out[0]->data + (t * B + b) * C * K;
        const float *now = v->data + (t * B + b) * C;
        memset(s, 0, (size_t)(C * K) * sizeof *s);
        if (!real_step(k, t, b)) continue;
        for (int64_t c = 0; c < C; c++) {
            const float d =
                begun || p->first == FROM_ZERO ? now[c] - old[c] : 0.0f * now[c];
            s[c * K] = event(k, d - theta);
            if (K > 1) s[c * K + 1] = event(k, -d - theta);
        }
        old = now;
        begun = 1;
    }
    memcpy(k->out[1]->data + b * C, old, (size_t)C * sizeof(float));
    k->out[2]->data[b] = (float)begun;
}

MLS_INLINE float through(const delta *p, float x)
{
    return slope_at(p->surrogate, usual_slope(p->surrogate, p->slope), x);
}

/* The gradient of d goes to the step and, negated, to the real step before. */
MLS_INLINE void backward_sample(int64_t b, void *arg)
{
    const mls_call *k = ((const box *)arg)->k;
    const delta *p = k->attr;
    mls_t v = k->in[0], start = k->in[1];
    const int64_t T = v->dim[0], B = v->dim[1], C = v->dim[2],
                  K = p->polarity == ON ? 1 : 2;
    const float theta = (float)p->threshold, *old = start->data + b * C;
    float *dold = start->grad ? start->grad + b * C : NULL;
    int begun = k->in[2]->data[b] != 0.0f;
    for (int64_t t = 0; t < T; t++) {
        const float *ds = k->out[0]->grad + (t * B + b) * C * K;
        const float *now = v->data + (t * B + b) * C;
        float *dnow = v->grad ? v->grad + (t * B + b) * C : NULL;
        if (!real_step(k, t, b)) continue;
        for (int64_t c = 0; (begun || p->first == FROM_ZERO) && c < C; c++) {
            const float d = now[c] - old[c];
            float e = ds[c * K] * through(p, d - theta);
            if (K > 1) e -= ds[c * K + 1] * through(p, -d - theta);
            if (dnow) dnow[c] += e;
            if (dold) dold[c] -= e;
        }
        old = now;
        dold = dnow;
        begun = 1;
    }
    for (int64_t c = 0; dold && c < C; c++) dold[c] += k->out[1]->grad[b * C + c];
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void events_forward(const mls_call *k)
{
    box g = {k};
    mls->parfor(k->in[0]->dim[1], forward_one, &g);
}

static void events_backward(const mls_call *k)
{
    box g = {k};
    mls->parfor(k->in[0]->dim[1], backward_one, &g);
}

static double events_flops(const mls_call *k) { return 3.0 * (double)k->out[0]->count; }

static const mls_op events = {sizeof events, "delta.events", events_forward,
                              events_backward, events_flops};

static void setup(mls_ctx *c, void *self)
{
    delta *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "spikes");
    const int64_t K = p->polarity == ON ? 1 : 2, C = n / K;
    p->units = n;
    if (n % K != 0 || (!p->project && C != in)) {
        mls->fail(c,
                  "units = %lld and project = %s do not fit: expected units to be %s "
                  "times %lld, for the polarity (input \"in\" is %lld wide)",
                  (long long)n, p->project ? "true" : "false",
                  p->project ? "any number" : "the input's width", (long long)K,
                  (long long)in);
        return;
    }
    if (p->project) {
        p->w = mls->weight(c, "weight", C, in, MLS_LINEAR);
        p->b = mls->weight(
            c, "bias", 1, C,
            mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    }
    p->last = mls->state(c, "last", C, 0.0, NULL, "channels at the last real step");
    p->begun = mls->state(c, "begun", 1, 0.0, NULL, "1 after the first real step");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    delta *p = self;
    mls_t v = p->project ? mls->linear(c, in[0], p->w, p->b) : in[0];
    const int64_t T = v->dim[0], B = v->dim[1];
    mls_t s = mls->tensor(c, T, B, p->units), last = mls->tensor(c, 1, B, v->dim[2]);
    mls_t begun = mls->tensor(c, 1, B, 1);
    MLS_APPLY(c, &events, p,
              ((mls_t[]){v, mls->load(c, p->last), mls->load(c, p->begun), in[1]}),
              ((mls_t[]){s, last, begun}));
    mls->store(c, p->last, last);
    mls->store(c, p->begun, begun);
    mls->tap(c, "value", v, NULL, "value of each channel whose changes are events");
    out[0] = s;
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "values"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps"},
    {"spikes", MLS_OUT | MLS_SPIKES, "T B units",
     "on and off events of a channel side by side; 0 at a masked step"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(delta, units, MLS_INT, 0, 0, 65536, NULL,
            "outputs, two for each channel with polarity both; 0: the network's width"),
    MLS_OPT(delta, project, MLS_BOOL, 1, 0, 0, NULL,
            "channels are W x + b; false: each input is a channel"),
    MLS_OPT(delta, threshold, MLS_REAL, 0.1, 1e-6, 1e3, NULL,
            "change from one step to the next that is an event"),
    MLS_OPT_CHOICE(delta, polarity, "both|on",
                   "events of rises and falls, or of rises"),
    MLS_OPT_CHOICE(delta, first, "zero|itself", "what the first step is compared with"),
    MLS_OPT_CHOICE(delta, surrogate, SURROGATES, "derivative of the spike"),
    MLS_OPT(delta, slope, MLS_REAL, 0, 0, 1000, NULL, SLOPE_HELP),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "delta",
    MLS_CAUSAL | MLS_STREAMS,
    "Delta code: spikes where a channel rises or falls, as an event camera's.\n\n"
    "units is twice the number of channels, or as many with polarity = on.",
    ports,
    options,
    sizeof(delta),
    setup,
    forward,
    NULL};

MLS_PLUGIN("delta", "1.0", "Apache-2.0", &encoder);
