/* rate.c - values to random spikes whose rate follows them.
 *
 *   r[t] = gain x[t] + offset
 *   bernoulli  p = r clamped to [0, 1]
 *   poisson    p = 1 - exp(-max(r, 0)): at least one event of a Poisson process of r a
 * step S[t] = 1 with probability p[t] The gradient is the one of p (straight-through);
 * a gradient ends where p is clamped.
 *
 * Reference: snnTorch 0.9.4 `spikegen.rate`.  norse's Poisson encoder takes p = f_max
 * dt x, the first order of poisson with gain = f_max dt.  Noise: noise.h.
 */
#include "noise.h"
#include "spiking.h"
#include <math.h>

enum { BERNOULLI, POISSON };

typedef struct rate {
    double gain, offset;
    int law, readout;
    int64_t steps;
    noise noise;
} rate;

MLS_INLINE float chance(const rate *p, float x, float *slope)
{
    const float r = (float)p->gain * x + (float)p->offset;
    if (p->law == POISSON) {
        const float e = r > 0.0f ? mls_expf(-r) : 1.0f;
        *slope = r > 0.0f ? (float)p->gain * e : 0.0f;
        return r != r ? r : 1.0f - e;
    }
    *slope = r > 0.0f && r < 1.0f ? (float)p->gain : 0.0f;
    return r < 0.0f ? 0.0f : r > 1.0f ? 1.0f : r;
}

/* A token's output for all its inner steps in terms of one: mean and last leave p. */
static float weight_of(const rate *p)
{
    return p->readout == SUM ? (float)p->steps : 1.0f;
}

/* in: x, u [T][B][steps N], mask; out: spikes, p */
static void code_forward(const mls_call *k)
{
    const rate *p = k->attr;
    mls_t x = k->in[0], u = k->in[1], s = k->out[0];
    const int64_t N = x->dim[2], M = p->steps, rows = x->dim[0] * x->dim[1];
    const float *mask = k->in[2] ? k->in[2]->data : NULL;
    for (int64_t i = 0; i < rows; i++) {
        const int real = !mask || mask[i] != 0.0f;
        for (int64_t n = 0; n < N; n++) {
            float slope, sum = 0.0f;
            const float c = real ? chance(p, x->data[i * N + n], &slope) : 0.0f;
            k->out[1]->data[i * N + n] = c;
            const float *v = u->data + i * M * N + n;
            for (int64_t m = p->readout == LAST ? M - 1 : 0; real && m < M; m++)
                sum += (float)(v[m * N] < c);
            if (c != c)
                sum = c;
            else if (k->flags & MLS_SMOOTH)
                sum = c * (p->readout == LAST ? 1.0f : (float)M);
            s->data[i * N + n] = p->readout == MEAN ? sum / (float)M : sum;
        }
    }
}

static void code_backward(const mls_call *k)
{
    const rate *p = k->attr;
    mls_t x = k->in[0];
    const int64_t N = x->dim[2];
    const float *mask = k->in[2] ? k->in[2]->data : NULL;
    for (int64_t i = 0; x->grad && i < x->count; i++) {
        float slope;
        if (mask && mask[i / N] == 0.0f) continue;
        chance(p, x->data[i], &slope);
        x->grad[i] += slope * (k->out[0]->grad[i] * weight_of(p) + k->out[1]->grad[i]);
    }
}

static double code_flops(const mls_call *k)
{
    return (double)k->in[1]->count * 2.0 + (double)k->in[0]->count * 4.0;
}

static const mls_op code = {sizeof code, "rate.code", code_forward, code_backward,
                            code_flops};

static void setup(mls_ctx *c, void *self) { noise_setup(c, &((rate *)self)->noise); }

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    rate *p = self;
    mls_t x = in[0];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    mls_t u = noise_draw(c, &p->noise, T, B, N * p->steps, in[1]);
    mls_t s = mls->tensor(c, T, B, N), r = mls->tensor(c, T, B, N);
    MLS_APPLY(c, &code, p, ((mls_t[]){x, u, in[1]}), ((mls_t[]){s, r}));
    mls->tap(c, "probability", r, NULL, "probability of a spike");
    out[0] = s;
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "values; 0 to 1 unless gain and offset bring them there"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps"},
    {"spikes", MLS_OUT | MLS_SPIKES, "T B in",
     "0 or 1; with steps > 1 what readout says; 0 at a masked step"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(rate, gain, MLS_REAL, 1.0, -1e3, 1e3, NULL, "rate of a value of 1"),
    MLS_OPT(rate, offset, MLS_REAL, 0.0, -1e3, 1e3, "1/step", "rate of a value of 0"),
    MLS_OPT_CHOICE(
        rate, law, "bernoulli|poisson",
        "probability of a spike: the rate, or that of any event at that rate"),
    MLS_OPT(rate, steps, MLS_INT, 1, 1, 1024, NULL,
            "inner steps per token, each with a draw of its own"),
    MLS_OPT_CHOICE(rate, readout, READOUTS, "output of a token over its inner steps"),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "rate",
    MLS_CAUSAL | MLS_STREAMS | MLS_RANDOM,
    "Random spikes whose rate follows the value (Bernoulli or Poisson).\n\n"
    "A sample's spikes do not depend on its place in the batch, on padding or on "
    "chunks.\n"
    "They are drawn anew in each epoch and are fixed in evaluation; two samples never "
    "meet\n"
    "the same uniform numbers.  The tap `probability` shows p.",
    ports,
    options,
    sizeof(rate),
    setup,
    forward,
    NULL};

MLS_PLUGIN("encoder-rate", "1.0", "Apache-2.0", &encoder);
