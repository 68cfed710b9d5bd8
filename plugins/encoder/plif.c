/* plif.c - leaky integrate-and-fire with a learnt time constant.
 *
 *   1/tau = sigmoid(w),  beta = 1 - 1/tau
 *   U[t] = beta V[t-1] + g I[t],   g = 1/tau when decay_input, else 1
 *   S[t] = H(U[t] - theta)
 *   V[t] = U[t] - theta S[t]  (subtract)   or   (1 - S[t]) U[t]  (zero)
 * w starts at -ln(tau - 1).  `membrane` shows U, before the reset.
 *
 * Reference: Fang et al. 2021, "Incorporating Learnable Membrane Time Constant to
 * Enhance Learning of Spiking Neural Networks"; SpikingJelly 0.0.0.0.14
 * `ParametricLIFNode` with v_reset 0.  It spikes at U = theta, too, which here does
 * not, and lets the gradient through the reset, as detach_reset = false does.
 */
#include "leaky.h"

typedef struct plif {
    neuron base;
    double tau, threshold;
    int hard, decay_input, learn_tau;
    mls_t inverse, threshold_w;
} plif;

static void setup(mls_ctx *c, void *self)
{
    plif *p = self;
    p->base.regular.threshold = p->threshold;
    neuron_project(c, &p->base);
    p->base.reset = p->hard ? ZERO : SUBTRACT_BETA;
    p->base.params = LEAKY_PARAMS;
    p->base.constant[BETA] = (float)(1.0 - 1.0 / p->tau);
    p->base.constant[THETA] = (float)p->threshold;
    p->base.constant[GAIN] = p->decay_input ? (float)(1.0 / p->tau) : 1.0f;
    neuron_carry(c, &p->base, 0.0);
    /* the choices begin with "scalar", the reference's */
    const int learn = p->learn_tau == 0 ? SCALAR : p->learn_tau == 1 ? PER_UNIT : FIXED;
    p->threshold_w =
        plastic_threshold(c, &p->base.plastic, FIXED, p->base.units, p->threshold);
    p->inverse = learnt(c, "tau", learn, p->base.units, -log(p->tau - 1.0));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    plif *p = self;
    mls_t x = p->base.project ? mls->linear(c, in[0], p->base.w, p->base.b) : in[0];
    mls_t param[LEAKY_PARAMS] = {NULL}, rate = decay_of(c, p->inverse);
    if (rate) {
        param[BETA] = mls->scale(c, rate, -1.0, 1.0);
        if (p->decay_input) param[GAIN] = rate;
    }
    param[THETA] = p->threshold_w;
    run_neurons(c, &p->base, x, in[1], param, out);
    plastic_apply(c, &p->base.plastic, in[0], out[0], in[1], p->base.w, p->threshold_w);
    if (mls->wanted(c, "current"))
        mls->tap(c, "current", x, NULL, "input current of each neuron");
}

static const mls_port ports[] = {NEURON_PORTS};

static const mls_option options[] = {
    NEURON_INPUT(plif),
    MLS_OPT(plif, tau, MLS_REAL, 2.0, 1.01, 1e4, "steps",
            "membrane time constant, or where it starts when it learns"),
    {"learn_tau", MLS_CHOICE, offsetof(plif, learn_tau), 0, 0, 0, "scalar|unit|none",
     NULL, "train 1/tau through a sigmoid: one for all units, one each, or not"},
    MLS_OPT(plif, decay_input, MLS_BOOL, 1, 0, 0, NULL,
            "divide the current by tau, as the leak"),
    MLS_OPT(plif, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL, "firing threshold"),
    {"reset", MLS_CHOICE, offsetof(plif, hard), 0, 0, 0, "subtract|zero", NULL,
     "what a spike does to the membrane"},
    NEURON_SURROGATE(plif),
    NEURON_STEPS(plif),
    NEURON_RATES(plif),
    NEURON_VOLTAGE(plif),
    NEURON_PLASTIC(plif),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "plif",
    MLS_CAUSAL | MLS_STREAMS,
    "Parametric leaky integrate-and-fire: the membrane's time constant learns.\n\n"
    "1/tau is the sigmoid of a weight, so that it never leaves (0, 1).  With learn_tau "
    "=\n"
    "none it is SpikingJelly's LIFNode.",
    ports,
    options,
    sizeof(plif),
    setup,
    forward,
    NULL};

MLS_PLUGIN("plif", "1.0", "Apache-2.0", &encoder);
