/* gru.c - gated recurrent unit (Cho et al. 2014), as torch.nn.GRU of one layer.
 *
 *   r = sigmoid(Wir x[t] + bir + Whr h + bhr)        h = h[t-1]
 *   z = sigmoid(Wiz x[t] + biz + Whz h + bhz)
 *   n = tanh(Win x[t] + bin + r (Whn h + bhn))
 *   h[t] = (1 - z) n + z h
 *   h[t] = h + ((1 - z) n + z h - h) / tau,   tau = 0.5 + sigmoid(Wtau m)
 *
 * The last line holds with mod_tau connected: Euler's rule on tau dh/dt = h' - h with a
 * step of 1, h' being the GRU's own new state.  The factor of h is 1 - (1 - z) / tau, in
 * (-1, 1) for every tau in (0.5, 1.5); where tau < 1 and z < 1 - tau it is negative and
 * h overshoots n.
 *
 * A control for the liquid cells: it knows no time, so it has no dt.
 */
#include "rnn.h"

typedef struct gru {
    int64_t units;
    mls_t weight[4], tau;
    mls_state *h;
} gru;

MLS_INLINE void step(int64_t H, float *restrict g, float *restrict q,
                     const float *restrict h, const float *c, const float *tau,
                     float *restrict y)
{
    float *restrict z = g + H, *restrict n = g + 2 * H;
    (void)c;
    for (int64_t j = 0; j < H; j++) {
        g[j] = mls_sigmoidf(g[j] + q[j]);
        z[j] = mls_sigmoidf(z[j] + q[H + j]);
        n[j] = mls_tanhf(n[j] + g[j] * q[2 * H + j]);
        y[j] = n[j] + z[j] * (h[j] - n[j]);
    }
    rnn_slow(H, tau, h, y);
}

/* slow: with tau; else it is not read. */
MLS_INLINE void gates_back(int64_t H, const float *restrict g, const float *restrict q,
                           const float *restrict h, const float *restrict tau, int slow,
                           float *restrict dh, float *restrict dg, float *restrict dq)
{
    const float *restrict z = g + H, *restrict n = g + 2 * H, *restrict s = q + 2 * H;
    for (int64_t j = 0; j < H; j++) {
        const float all = dh[j], d = slow ? all / tau[j] : all;
        const float dn = d * (1.0f - z[j]) * (1.0f - n[j] * n[j]);
        dg[j] = dq[j] = dn * s[j] * g[j] * (1.0f - g[j]);
        dg[H + j] = dq[H + j] = d * (h[j] - n[j]) * z[j] * (1.0f - z[j]);
        dg[2 * H + j] = dn;
        dq[2 * H + j] = dn * g[j];
        dh[j] = slow ? d * z[j] + (all - d) : d * z[j];
    }
}

MLS_INLINE void step_back(int64_t H, const float *g, const float *q, const float *h,
                          const float *c, const float *tau, float *dtau, float *dh,
                          float *dc, float *dg, float *dq)
{
    const float *z = g + H, *n = g + 2 * H;
    (void)c, (void)dc;
    for (int64_t j = 0; tau && j < H; j++)
        dtau[j] -= dh[j] * (1.0f - z[j]) * (n[j] - h[j]) / (tau[j] * tau[j]);
    if (tau) gates_back(H, g, q, h, tau, 1, dh, dg, dq);
    else gates_back(H, g, q, h, NULL, 0, dh, dg, dq);
}

MLS_INLINE void forward_body(const mls_call *k) { rnn_forward(k, step); }
MLS_KERNEL(scan_forward, forward_body)
MLS_INLINE void backward_body(const mls_call *k) { rnn_backward(k, step_back); }
MLS_KERNEL(scan_backward, backward_body)
static const mls_op scan = {sizeof scan, "gru.scan", scan_forward, scan_backward,
                            rnn_flops};

static void setup(mls_ctx *c, void *self)
{
    gru *p = self;
    rnn_weights(c, mls->width(c, "in"), p->units, 3, p->weight);
    p->tau = tau_weight(c, p->units);
    p->h = mls->state(c, "h", p->units, 0.0, NULL, "hidden state");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    gru *p = self;
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], H = p->units;
    const mls_t tau = tau_of(c, in[1], p->tau);
    const mls_t from[] = {in[0],        mls->load(c, p->h), NULL,         in[2],
                          p->weight[0], p->weight[1],       p->weight[2], p->weight[3],
                          tau};
    const mls_t to[] = {mls->tensor(c, T, B, H), mls->tensor(c, 1, B, H),
                        mls->tensor(c, T, B, 3 * H), mls->tensor(c, T, B, 3 * H)};
    MLS_APPLY(c, &scan, NULL, from, to);
    mls->store(c, p->h, to[RNN_HLAST]);
    if (mls->wanted(c, "reset"))
        mls->tap(c, "reset", mls->slice(c, to[RNN_G], 0, H), NULL,
                 "share of the old state that the new value sees");
    if (mls->wanted(c, "update"))
        mls->tap(c, "update", mls->slice(c, to[RNN_G], H, H), NULL,
                 "share of the old state that is kept");
    if (tau) mls->tap(c, "tau", tau, "step", "time constant of each unit");
    out[0] = to[RNN_Y];
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
    {"mod_tau", MLS_IN | MLS_MAYBE, "T B m",
     "modulates the time constant of every unit"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding"},
    {"out", MLS_OUT, "T B units", "hidden state after each step"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(gru, units, MLS_INT, 0, 0, 65536, NULL,
            "hidden units, 0 for the width of the network"),
    MLS_OPT_END};

static const mls_component liquid_gru = {
    sizeof liquid_gru,
    "liquid",
    "gru",
    MLS_CAUSAL | MLS_STREAMS,
    "Gated recurrent unit, a control without continuous time.\n"
    "PyTorch's formulas and weight names (`torch.nn.GRU`, one layer). It has no port\n"
    "`dt`: the length of a step is nothing to it, which is what a liquid cell is to "
    "be\n"
    "compared with. `mod_tau` divides what a step changes of h by tau = 0.5 +\n"
    "sigmoid(W m), which starts at 1.",
    ports,
    options,
    sizeof(gru),
    setup,
    forward,
    NULL};

MLS_PLUGIN("gru", "1.1", "Apache-2.0", &liquid_gru);
