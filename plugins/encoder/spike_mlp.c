/* spike_mlp.c - two layers of leaky integrate-and-fire neurons with dropout between
 * them.
 *
 *   h[t] = lif(W1 x[t] + b1)                 2 units of the output wide, or `hidden`
 *   S[t] = lif(W2 drop(h[t]) + b2)
 *   lif: U[t] = beta U[t-1] + I[t] and its reset by S[t-1];  S[t] = H(U[t] - theta)
 * Each inner step runs both layers: the second sees the spikes of the first, not their
 * mean.  Dropout keeps h with probability 1 - p, divided by it, while training; its
 * noise is noise.h's, so that a sample's does not depend on its place in the batch.
 *
 * Reference: the encoder of the project's first Python implementation, Linear(in, 2 m)
 * -> Leaky -> Dropout(0.2) -> Linear(2 m, m) -> Leaky with snnTorch's Leaky and
 * fast_sigmoid(25).
 */
#include "leaky.h"
#include "noise.h"

typedef struct spike_mlp {
    neuron base, first; /* options lie in base: the second layer                    */
    int64_t hidden, steps;
    double beta, threshold, dropout;
    int readout;
    mls_t w1, b1, w2, b2;
    noise noise;
} spike_mlp;

/* ---- inner steps: each token steps times, and back --------------------------------
 */

static void repeat_forward(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t M = y->dim[0] / x->dim[0], row = x->dim[1] * x->dim[2];
    for (int64_t j = 0; j < y->dim[0]; j++)
        memcpy(y->data + j * row, x->data + j / M * row, (size_t)row * sizeof(float));
}

static void repeat_backward(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t M = y->dim[0] / x->dim[0], row = x->dim[1] * x->dim[2];
    for (int64_t j = 0; x->grad && j < y->dim[0]; j++)
        for (int64_t i = 0; i < row; i++)
            x->grad[j / M * row + i] += y->grad[j * row + i];
}

static const mls_op repeat = {sizeof repeat, "spike_mlp.repeat", repeat_forward,
                              repeat_backward, NULL};

static mls_t repeated(mls_ctx *c, const spike_mlp *p, mls_t x)
{
    if (!x || p->steps == 1) return x;
    mls_t y = mls->tensor(c, x->dim[0] * p->steps, x->dim[1], x->dim[2]);
    MLS_APPLY(c, &repeat, NULL, ((mls_t[]){x}), ((mls_t[]){y}));
    return y;
}

/* attr: the readout */
static float weight_of(int readout, int64_t i, int64_t M)
{
    return readout == MEAN                ? 1.0f / (float)M
           : readout == SUM || i == M - 1 ? 1.0f
                                          : 0.0f;
}

static void fold_forward(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t M = x->dim[0] / y->dim[0], row = x->dim[1] * x->dim[2];
    memset(y->data, 0, (size_t)y->count * sizeof(float));
    for (int64_t j = 0; j < x->dim[0]; j++) {
        const float a = weight_of(*(const int *)k->attr, j % M, M);
        for (int64_t i = 0; a != 0.0f && i < row; i++)
            y->data[j / M * row + i] += a * x->data[j * row + i];
    }
}

static void fold_backward(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t M = x->dim[0] / y->dim[0], row = x->dim[1] * x->dim[2];
    for (int64_t j = 0; x->grad && j < x->dim[0]; j++) {
        const float a = weight_of(*(const int *)k->attr, j % M, M);
        for (int64_t i = 0; a != 0.0f && i < row; i++)
            x->grad[j * row + i] += a * y->grad[j / M * row + i];
    }
}

static const mls_op fold = {sizeof fold, "spike_mlp.readout", fold_forward,
                            fold_backward, NULL};

static mls_t folded(mls_ctx *c, const spike_mlp *p, const int *readout, mls_t x)
{
    if (p->steps == 1) return x;
    mls_t y = mls->tensor(c, x->dim[0] / p->steps, x->dim[1], x->dim[2]);
    MLS_APPLY(c, &fold, readout, ((mls_t[]){x}), ((mls_t[]){y}));
    return y;
}

/* ---- dropout: identity unless training --------------------------------------------
 */

static float kept(const mls_call *k, int64_t i)
{
    const float p = (float)((const spike_mlp *)k->attr)->dropout;
    if (!(k->flags & MLS_TRAIN)) return 1.0f;
    return k->in[1]->data[i] < p ? 0.0f : 1.0f / (1.0f - p);
}

static void drop_forward(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++)
        k->out[0]->data[i] = kept(k, i) * k->in[0]->data[i];
}

static void drop_backward(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->out[0]->count; i++)
        k->in[0]->grad[i] += kept(k, i) * k->out[0]->grad[i];
}

static const mls_op drop = {sizeof drop, "spike_mlp.dropout", drop_forward,
                            drop_backward, NULL};

static mls_t dropped(mls_ctx *c, const spike_mlp *p, mls_t x, mls_t mask)
{
    if (p->dropout == 0.0) return x;
    mls_t u = noise_draw(c, &p->noise, x->dim[0], x->dim[1], x->dim[2], mask);
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    MLS_APPLY(c, &drop, p, ((mls_t[]){x, u}), ((mls_t[]){y}));
    return y;
}

/* ---- the component ----------------------------------------------------------------
 */

static mls_t bias(mls_ctx *c, const char *name, int64_t n, int64_t in)
{
    return mls->weight(
        c, name, 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
}

static void setup(mls_ctx *c, void *self)
{
    spike_mlp *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "spikes");
    const int64_t h = p->hidden ? p->hidden : 2 * n;
    p->w1 = mls->weight(c, "weight1", h, in, MLS_LINEAR);
    p->b1 = bias(c, "bias1", h, in);
    p->w2 = mls->weight(c, "weight2", n, h, MLS_LINEAR);
    p->b2 = bias(c, "bias2", n, h);
    if (p->dropout > 0.0) noise_setup(c, &p->noise);
    p->base.units = n;
    p->base.steps = 1;
    p->base.params = LEAKY_PARAMS;
    p->base.constant[BETA] = (float)p->beta;
    p->base.constant[THETA] = (float)p->threshold;
    p->base.constant[GAIN] = 1.0f;
    neuron_carry(c, &p->base, 0.0);
    p->first = p->base;
    p->first.state[MEMBRANE] = mls->state(c, "hidden_v", h, 0.0, NULL,
                                          "membrane potential of the first layer");
    p->first.state[SPIKE] =
        mls->state(c, "hidden_s", h, 0.0, NULL, "spikes of the first layer");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    static const int last = LAST;
    spike_mlp *p = self;
    const mls_t none[LEAKY_PARAMS] = {NULL};
    mls_t hidden[2], top[2], mask = repeated(c, p, in[1]);
    mls_t x = repeated(c, p, mls->linear(c, in[0], p->w1, p->b1));
    run_neurons(c, &p->first, x, mask, none, hidden);
    mls_t h = dropped(c, p, hidden[0], mask);
    run_neurons(c, &p->base, mls->linear(c, h, p->w2, p->b2), mask, none, top);
    out[0] = folded(c, p, &p->readout, top[0]);
    out[1] = folded(c, p, &last, top[1]);
    if (mls->wanted(c, "hidden_spikes"))
        mls->tap(c, "hidden_spikes", folded(c, p, &p->readout, hidden[0]), NULL,
                 "spikes of the first layer, before dropout");
    if (mls->wanted(c, "hidden_membrane"))
        mls->tap(c, "hidden_membrane", folded(c, p, &last, hidden[1]), NULL,
                 "membrane of the first layer, before its reset");
}

static const mls_port ports[] = {{"in", MLS_IN, "T B in", "input"},
                                 {"mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps"},
                                 {"spikes", MLS_OUT | MLS_SPIKES, "T B units",
                                  "0 or 1; with steps > 1 what readout says; 0 at a "
                                  "masked step"},
                                 {"membrane", MLS_OUT, "T B units",
                                  "membrane of the second layer before its reset; held "
                                  "at a masked step"},
                                 MLS_PORT_END};

static const mls_option options[] = {
    NEURON_OPTION(spike_mlp, units, MLS_INT, 0, 0, 65536, NULL,
                  "neurons of the second layer; 0: the network's width"),
    MLS_OPT(spike_mlp, hidden, MLS_INT, 0, 0, 65536, NULL,
            "neurons of the first layer; 0: twice units"),
    MLS_OPT(spike_mlp, beta, MLS_REAL, 0.9, 0, 1, "1/step", "membrane decay per step"),
    MLS_OPT(spike_mlp, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL, "firing threshold"),
    MLS_OPT(spike_mlp, dropout, MLS_REAL, 0.2, 0, 0.99, NULL,
            "probability that a spike of the first layer is lost while training"),
    NEURON_CHOICE(spike_mlp, reset, RESETS, "what a spike does to the membrane"),
    NEURON_SURROGATE(spike_mlp),
    MLS_OPT(spike_mlp, steps, MLS_INT, 1, 1, 1024, NULL,
            "inner steps per token, all with the token's input"),
    MLS_OPT_CHOICE(spike_mlp, readout, READOUTS,
                   "output of a token over its inner steps"),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "spike_mlp",
    MLS_CAUSAL | MLS_STREAMS | MLS_RANDOM,
    "Two layers of leaky integrate-and-fire neurons with dropout between them.\n\n"
    "The encoder of the first Python implementation; beta = 0.95 there.  Taps show "
    "the\n"
    "first layer.",
    ports,
    options,
    sizeof(spike_mlp),
    setup,
    forward,
    NULL};

MLS_PLUGIN("spike_mlp", "1.0", "Apache-2.0", &encoder);
