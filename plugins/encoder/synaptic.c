/* synaptic.c - current-based leaky integrate-and-fire (CuBa): synapse and membrane
 * leak.
 *
 *   J[t] = alpha J[t-1] + I[t]            I = W x + b, and V S[t-1] when recurrent
 *   U[t] = beta U[t-1] + J[t]  and the reset of the spike before:
 *     subtract   - theta S[t-1]           subtract_beta  - beta theta S[t-1]
 *     zero       beta (1 - S[t-1]) U[t-1] + J[t]
 *     zero_full  (1 - S[t-1]) (beta U[t-1] + J[t])       J itself is never reset
 *   S[t] = H(U[t] - theta)
 *
 * Reference: snnTorch 0.9.4 `Synaptic`, whose reset "zero" is zero_full here; its
 * `RSynaptic` is recurrent here.  Decays that learn go through a sigmoid, where
 * snnTorch clamps them.
 */
#include "neuron.h"

enum { ALPHA, BETA, THETA, SYNAPTIC_PARAMS };
enum { CURRENT = 2 };

typedef struct synaptic {
    neuron base;
    double alpha, beta, threshold;
    int learn_alpha, learn_beta, learn_threshold;
    mls_t alpha_w, beta_w, threshold_w;
} synaptic;

MLS_INLINE void neuron_drive(const plan *g, const float *const *now, float *restrict x,
                             int64_t N)
{
    const float *restrict u = now[MEMBRANE], *restrict theta = g->param + THETA * N;
    for (int64_t n = 0; n < N; n++) x[n] = u[n] - theta[n];
}

MLS_INLINE void neuron_step(const plan *g, const float *const *old,
                            const float *restrict x, float *const *now)
{
    const int64_t N = g->N;
    const int reset = g->p->reset;
    const float z = reset == ZERO || reset == ZERO_FULL, f = reset == ZERO_FULL;
    const float cut = reset == SUBTRACT, leak = reset == SUBTRACT_BETA;
    const float *restrict alpha = g->param + ALPHA * N, *restrict beta =
                                                            g->param + BETA * N;
    const float *restrict th = g->param + THETA * N;
    const float *restrict u = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict j = old[CURRENT];
    float *restrict y = now[MEMBRANE], *restrict jn = now[CURRENT];
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float i = alpha[n] * j[n] + x[n];
        jn[n] = i;
        y[n] = beta[n] * u[n] * (1.0f - z * s[n]) + i * (1.0f - f * s[n]) -
               (cut + leak * beta[n]) * th[n] * s[n];
    }
}

MLS_INLINE void neuron_back(const plan *g, const float *const *old,
                            const float *restrict x, const float *const *now,
                            const float *const *d, const float *restrict ddrive,
                            float *const *dold, float *restrict din, float *restrict dp)
{
    (void)x;
    const int64_t N = g->N;
    const int reset = g->p->reset;
    const float z = reset == ZERO || reset == ZERO_FULL, f = reset == ZERO_FULL;
    const float cut = reset == SUBTRACT, leak = reset == SUBTRACT_BETA;
    const float *restrict alpha = g->param + ALPHA * N, *restrict beta =
                                                            g->param + BETA * N;
    const float *restrict th = g->param + THETA * N;
    const float *restrict u = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict j = old[CURRENT], *restrict jn = now[CURRENT];
    const float *restrict dm = d[MEMBRANE], *restrict dj = d[CURRENT];
    float *restrict du = dold[MEMBRANE], *restrict ds = dold[SPIKE];
    float *restrict dc = dold[CURRENT], *restrict da = dp + ALPHA * N;
    float *restrict db = dp + BETA * N, *restrict dt = dp + THETA * N;
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float e = dm[n] + ddrive[n], keep = 1.0f - z * s[n];
        const float ej = dj[n] + e * (1.0f - f * s[n]);
        const float by = cut + leak * beta[n];
        du[n] = e * beta[n] * keep;
        ds[n] = -g->live * e *
                (z * beta[n] * u[n] + f * jn[n] + (cut + leak * beta[n]) * th[n]);
        dc[n] = ej * alpha[n];
        din[n] = ej;
        da[n] += ej * j[n];
        db[n] += e * (u[n] * keep - leak * th[n] * s[n]);
        dt[n] -= ddrive[n] + e * by * s[n];
    }
}

#include "neuron_scan.h"

static void setup(mls_ctx *c, void *self)
{
    synaptic *p = self;
    p->base.regular.threshold = p->threshold;
    neuron_project(c, &p->base);
    neuron_recur(c, &p->base);
    neuron_carry(c, &p->base, 0.0);
    const int64_t n = p->base.units;
    p->base.params = SYNAPTIC_PARAMS;
    p->base.constant[ALPHA] = (float)p->alpha;
    p->base.constant[BETA] = (float)p->beta;
    p->base.constant[THETA] = (float)p->threshold;
    p->base.state[CURRENT] = mls->state(c, "i", n, 0.0, NULL, "synaptic current");
    p->base.states = 3;
    p->alpha_w = learnt_decay(c, "alpha", p->learn_alpha, n, p->alpha);
    p->beta_w = learnt_decay(c, "beta", p->learn_beta, n, p->beta);
    p->threshold_w = plastic_threshold(c, &p->base.plastic, p->learn_threshold,
                                       n, p->threshold);
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    synaptic *p = self;
    mls_t x = p->base.project ? mls->linear(c, in[0], p->base.w, p->base.b) : in[0];
    const mls_t param[] = {decay_of(c, p->alpha_w), decay_of(c, p->beta_w),
                           p->threshold_w};
    mls_t tape = run_neurons(c, &p->base, x, in[1], param, out);
    plastic_apply(c, &p->base.plastic, in[0], out[0], in[1], p->base.w, p->threshold_w);
    if (mls->wanted(c, "current"))
        mls->tap(c, "current", state_over_time(c, tape, out[1], CURRENT), NULL,
                 "synaptic current of each neuron");
}

static const mls_port ports[] = {NEURON_PORTS};

static const mls_option options[] = {
    NEURON_INPUT(synaptic),
    MLS_OPT(synaptic, alpha, MLS_REAL, 0.9, 0, 1, "1/step",
            "decay of the current per step"),
    MLS_OPT(synaptic, beta, MLS_REAL, 0.9, 0, 1, "1/step", "membrane decay per step"),
    MLS_OPT(synaptic, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL, "firing threshold"),
    MLS_OPT_CHOICE(synaptic, learn_alpha, LEARNS, "train alpha through a sigmoid"),
    MLS_OPT_CHOICE(synaptic, learn_beta, LEARNS, "train beta through a sigmoid"),
    MLS_OPT_CHOICE(synaptic, learn_threshold, LEARNS, "train the threshold"),
    NEURON_CHOICE(synaptic, reset, RESETS, "what a spike does to the membrane"),
    NEURON_CHOICE(synaptic, recurrent, "none|one_to_one|all_to_all", RECURRENT_HELP),
    NEURON_FEEDBACK(synaptic),
    NEURON_EQUAL(synaptic),
    NEURON_SURROGATE(synaptic),
    NEURON_STEPS(synaptic),
    NEURON_RATES(synaptic),
    NEURON_VOLTAGE(synaptic),
    NEURON_PLASTIC(synaptic),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "synaptic",
    MLS_CAUSAL | MLS_STREAMS,
    "Current-based leaky integrate-and-fire neurons, as snnTorch's Synaptic.\n\n"
    "The current of a synapse fades with alpha, the membrane with beta: a spike rises "
    "over\n"
    "several steps.  The tap `current` shows the synaptic current.",
    ports,
    options,
    sizeof(synaptic),
    setup,
    forward,
    NULL};

MLS_PLUGIN("synaptic", "1.0", "Apache-2.0", &encoder);
