/* rlif.c - leaky integrate-and-fire neurons that hear their own spikes.
 *
 *   I[t] = W x[t] + b + r[t],   r[t] = v S[t-1]      (one_to_one, v[n] of its own unit)
 *                               r[t] = V S[t-1] + c  (all_to_all)
 *   U[t] = beta U[t-1] + I[t]  and the reset of the spike before:
 *     subtract   - theta S[t-1]           subtract_beta  - beta theta S[t-1]
 *     zero       beta (1 - S[t-1]) U[t-1] + I[t]
 *     zero_full  (1 - S[t-1]) (beta U[t-1] + I[t])
 *   S[t] = H(U[t] - theta)
 *
 * Reference: snnTorch 0.9.4 `RLeaky`, whose reset "zero" is zero_full here.  A beta
 * that learns goes through a sigmoid, where snnTorch clamps it.  Only neurons that
 * spiked are visited for V S: the cost follows the activity.
 */
#include "leaky.h"

typedef struct rlif {
    neuron base;
    double beta, threshold;
    int recurrence, learn_beta, learn_threshold;
    mls_t beta_w, threshold_w;
} rlif;

static void setup(mls_ctx *c, void *self)
{
    rlif *p = self;
    p->base.recurrent = p->recurrence == 0 ? ALL_TO_ALL : ONE_TO_ONE;
    p->base.regular.threshold = p->threshold;
    neuron_project(c, &p->base);
    neuron_recur(c, &p->base);
    neuron_carry(c, &p->base, 0.0);
    p->base.params = LEAKY_PARAMS;
    p->base.constant[BETA] = (float)p->beta;
    p->base.constant[THETA] = (float)p->threshold;
    p->base.constant[GAIN] = 1.0f;
    p->beta_w = learnt_decay(c, "beta", p->learn_beta, p->base.units, p->beta);
    p->threshold_w = plastic_threshold(c, &p->base.plastic, p->learn_threshold,
                                       p->base.units, p->threshold);
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    rlif *p = self;
    mls_t x = p->base.project ? mls->linear(c, in[0], p->base.w, p->base.b) : in[0];
    const mls_t param[LEAKY_PARAMS] = {decay_of(c, p->beta_w), p->threshold_w, NULL};
    mls_t tape = run_neurons(c, &p->base, x, in[1], param, out);
    plastic_apply(c, &p->base.plastic, in[0], out[0], in[1], p->base.w, p->threshold_w);
    if (mls->wanted(c, "current"))
        mls->tap(c, "current", state_over_time(c, tape, out[1], p->base.states), NULL,
                 "input of each neuron, with what spikes of the step before add");
}

static const mls_port ports[] = {NEURON_PORTS};

static const mls_option options[] = {
    NEURON_INPUT(rlif),
    MLS_OPT(rlif, beta, MLS_REAL, 0.9, 0, 1, "1/step", "membrane decay per step"),
    MLS_OPT(rlif, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL, "firing threshold"),
    MLS_OPT_CHOICE(rlif, learn_beta, LEARNS, "train beta through a sigmoid"),
    MLS_OPT_CHOICE(rlif, learn_threshold, LEARNS, "train the threshold"),
    NEURON_CHOICE(rlif, reset, RESETS, "what a spike does to the membrane"),
    {"recurrent", MLS_CHOICE, offsetof(rlif, recurrence), 0, 0, 0,
     "all_to_all|one_to_one", NULL,
     "spikes of the step before reach every unit, or their own alone"},
    NEURON_FEEDBACK(rlif),
    NEURON_SURROGATE(rlif),
    NEURON_STEPS(rlif),
    NEURON_RATES(rlif),
    NEURON_VOLTAGE(rlif),
    NEURON_PLASTIC(rlif),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "rlif",
    MLS_CAUSAL | MLS_STREAMS,
    "Recurrent leaky integrate-and-fire neurons, as snnTorch's RLeaky.\n\n"
    "Spikes of a step enter the currents of the next, each in its own unit or through "
    "a\n"
    "full matrix.  The tap `current` shows the input with what they add.",
    ports,
    options,
    sizeof(rlif),
    setup,
    forward,
    NULL};

MLS_PLUGIN("rlif", "1.0", "Apache-2.0", &encoder);
