/* ltc.c - liquid time-constant cell (Hasani et al. 2021, AAAI 35), as in ncps.LTCCell.
 *
 *   u = x input_w + input_b                  and the output likewise from motor neurons
 *   cm dv_j/dt = gleak_j (vleak_j - v_j) + sum_i w_ij s_ij (E_ij - v_j)
 *                + sum_k w'_kj s'_kj (E'_kj - v_j)         s' of the inputs u_k
 *   s_ij = sigmoid(sigma_ij (v_i - mu_ij))
 *
 * integrated over dt in K = ode_unfolds substeps h = dt / K; w, gleak, cm positive:
 *
 *   semi_implicit  v = (cm/h v + gleak vleak + N) / (cm/h + gleak + D + epsilon),
 *                  N = sum w s E, D = sum w s             fused solver of the paper
 *   euler, rk4     explicit; h is at most 1 (rk4: 2) times cm over the conductance that
 *                  the neuron has at that evaluation
 *
 * Differences: the step of explicit solvers is dt / K, where the authors' TensorFlow
 * code takes 0.1 K times whatever dt, and is bounded as said, where theirs diverges.
 * `clip` puts a floor under parameters here, where ncps asks the user to clip them
 * after every step of the optimiser.  With mod_tau, cm is multiplied by tau = 0.5 +
 * sigmoid(W m).
 */
#include "ltc_back.h"
#include "modulation.h"
#include "wiring_setup.h"

enum { AFFINE, LINEAR, NONE };

typedef struct ltc {
    wiring_options net;
    int64_t ode_unfolds;
    int solver, positivity, input_mapping, output_mapping;
    double epsilon;
    wiring wiring;
    ltc_cell cell;
    mls_t weight[LTC_WEIGHTS], input_w, input_b, output_w, output_b, tau;
    mls_state *v;
} ltc;

static void poles(float *w, int64_t rows, int64_t cols, const void *self)
{
    const ltc *p = self;
    if (p->wiring.adjacency)
        memcpy(w, p->wiring.adjacency, (size_t)(rows * cols) * sizeof *w);
}

static void sensory_poles(float *w, int64_t rows, int64_t cols, const void *self)
{
    const ltc *p = self;
    if (p->wiring.sensory)
        memcpy(w, p->wiring.sensory, (size_t)(rows * cols) * sizeof *w);
}

static mls_t range(mls_ctx *c, const char *name, int64_t rows, int64_t cols, double a,
                   double b)
{
    mls_init i = mls_init_of(MLS_RANGE, a, MLS_NO_DECAY);
    i.b = b;
    return mls->weight(c, name, rows, cols, i);
}

static void mapping(mls_ctx *c, int kind, const char *w, const char *b, int64_t n,
                    mls_t *gain, mls_t *bias)
{
    if (kind != NONE) *gain = mls->weight(c, w, 1, n, MLS_ONES);
    if (kind == AFFINE) *bias = mls->weight(c, b, 1, n, MLS_ZEROS);
}

static void setup(mls_ctx *c, void *self)
{
    ltc *p = self;
    const int64_t S = mls->width(c, "in");
    if (!wiring_setup(c, &p->net, S, &p->wiring)) return;
    const int64_t U = p->wiring.units;
    mls_init pole = mls_init_of(MLS_CONSTANT, 0.0, MLS_NO_DECAY);
    p->cell = (ltc_cell){p->ode_unfolds,    p->solver,           p->positivity,
                         (float)p->epsilon, p->wiring.adjacency, p->wiring.sensory};
    p->weight[GLEAK] = range(c, "gleak", 1, U, 0.001, 1.0);
    p->weight[VLEAK] = range(c, "vleak", 1, U, -0.2, 0.2);
    p->weight[CM] = range(c, "cm", 1, U, 0.4, 0.6);
    p->weight[SIGMA] = range(c, "sigma", U, U, 3.0, 8.0);
    p->weight[MU] = range(c, "mu", U, U, 0.3, 0.8);
    p->weight[W] = range(c, "w", U, U, 0.001, 1.0);
    pole.adjust = poles;
    p->weight[EREV] = mls->weight(c, "erev", U, U, pole);
    p->weight[S_SIGMA] = range(c, "sensory_sigma", S, U, 3.0, 8.0);
    p->weight[S_MU] = range(c, "sensory_mu", S, U, 0.3, 0.8);
    p->weight[S_W] = range(c, "sensory_w", S, U, 0.001, 1.0);
    pole.adjust = sensory_poles;
    p->weight[S_EREV] = mls->weight(c, "sensory_erev", S, U, pole);
    mapping(c, p->input_mapping, "input_w", "input_b", S, &p->input_w, &p->input_b);
    mapping(c, p->output_mapping, "output_w", "output_b", p->wiring.outputs,
            &p->output_w, &p->output_b);
    p->tau = tau_weight(c, U);
    p->v = mls->state(c, "v", U, 0.0, NULL, "potential of every neuron");
}

static mls_t mapped(mls_ctx *c, mls_t x, mls_t gain, mls_t bias)
{
    if (gain) x = mls->binary(c, MLS_MUL, x, gain);
    if (bias) x = mls->binary(c, MLS_ADD, x, bias);
    return x;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    ltc *p = self;
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], U = p->wiring.units;
    const mls_t tau = tau_of(c, in[2], p->tau);
    const int seen = mls->wanted(c, "tau") || mls->wanted(c, "limited");
    mls_t from[LTC_INS] = {mapped(c, in[0], p->input_w, p->input_b), mls->load(c, p->v),
                           in[1], tau, in[3]};
    mls_t to[LTC_OUTS] = {mls->tensor(c, T, B, U), mls->tensor(c, 1, B, U)};
    if (ltc_keeps(&p->cell))
        from[LTC_KEPT] = mls->tensor(c, T, B, 2 * p->ode_unfolds * U);
    memcpy(from + LTC_IN, p->weight, sizeof p->weight);
    for (int i = LTC_TIME; seen && i < LTC_OUTS; i++) to[i] = mls->tensor(c, T, B, U);
    mls->apply(c, &ltc_scan, &p->cell, from, LTC_INS, to, seen ? LTC_OUTS : LTC_TIME);
    mls->store(c, p->v, to[LTC_LAST]);
    if (mls->wanted(c, "potential"))
        mls->tap(c, "potential", to[LTC_Y], NULL,
                 "potential of every neuron: motor, then others");
    if (mls->wanted(c, "tau"))
        mls->tap(c, "tau", to[LTC_TIME], NULL,
                 "time constant of every neuron: capacity over the conductance it had");
    if (mls->wanted(c, "limited"))
        mls->tap(c, "limited", to[LTC_LIMITED], NULL,
                 "1 where the last substep of an explicit solver was cut short");
    const mls_t v = p->wiring.outputs < U
                        ? mls->slice(c, to[LTC_Y], 0, p->wiring.outputs)
                        : to[LTC_Y];
    out[0] = mapped(c, v, p->output_w, p->output_b);
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
    {"dt", MLS_IN | MLS_MAYBE, "T B 1", "length of each step, 1 when unconnected"},
    {"mod_tau", MLS_IN | MLS_MAYBE, "T B m", "modulates the capacity of every neuron"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding"},
    {"out", MLS_OUT, "T B outputs", "mapped potentials of the motor neurons"},
    MLS_PORT_END};

static const mls_option options[] = {
    WIRING_OPTIONS(ltc, "full|random|ncp|auto_ncp"),
    WIRING_SELF(ltc),
    MLS_OPT_CHOICE(ltc, solver, "semi_implicit|euler|rk4", "how a step is integrated"),
    MLS_OPT(ltc, ode_unfolds, MLS_INT, 6, 1, 64, NULL, "substeps of a step"),
    MLS_OPT_CHOICE(ltc, positivity, "softplus|clip",
                   "what keeps w, gleak and cm positive"),
    MLS_OPT(ltc, epsilon, MLS_REAL, 1e-8, 0, 1, NULL,
            "added to the conductance that the semi-implicit solver divides by"),
    MLS_OPT_CHOICE(ltc, input_mapping, "affine|linear|none",
                   "gain and offset of every input"),
    MLS_OPT_CHOICE(ltc, output_mapping, "affine|linear|none",
                   "gain and offset of every motor neuron"),
    MLS_OPT_END};

static const mls_component liquid_ltc = {
    sizeof liquid_ltc,
    "liquid",
    "ltc",
    MLS_CAUSAL | MLS_STREAMS,
    "Liquid time-constant cell: neurons whose conductances set their own time "
    "constants.\n"
    "Hasani et al. 2021. Weights carry the names of ncps' state dict. Each step of "
    "the\n"
    "sequence is integrated in `ode_unfolds` substeps; `semi_implicit` is the "
    "authors'\n"
    "fused solver. The explicit solvers are bounded: where a substep is too long for "
    "the\n"
    "conductance of a neuron it is cut short for that neuron, which the channel "
    "`limited`\n"
    "shows; more substeps make them faithful again.\n"
    "\n"
    "With `positivity` `clip`, w and gleak stay at 0 and cm at 1e-6 or above, and a\n"
    "parameter below its floor keeps only the gradient that raises it.\n"
    "\n" WIRING_HELP,
    ports,
    options,
    sizeof(ltc),
    setup,
    forward,
    NULL};

MLS_PLUGIN("ltc", "1.0", "Apache-2.0", &liquid_ltc);
