/* lstm.c - long short-term memory (Hochreiter, Schmidhuber 1997; with forget gate, Gers
 * et al. 2000), as torch.nn.LSTM of one layer.
 *
 *   i, f, o = sigmoid(W x[t] + b + U h[t-1] + d) of their own weights
 *   g = tanh(likewise)
 *   c[t] = f c[t-1] + i g
 *   h[t] = o tanh(c[t])
 *   c[t] = c[t-1] + (f c[t-1] + i g - c[t-1]) / tau,   tau = 0.5 + sigmoid(Wtau m)
 *
 * The last line takes the place of the third with mod_tau connected: Euler's rule on
 * tau dc/dt = c' - c with a step of 1, c' being the LSTM's own new cell.  The factor of
 * c[t-1] is 1 - (1 - f) / tau, in (-1, 1) for every tau in (0.5, 1.5); it is negative
 * where tau < 1 and f < 1 - tau.
 *
 * Rows of the weights: i | f | g | o.  A control for the liquid cells: it knows no
 * time, so it has no dt.
 */
#include "rnn.h"

typedef struct lstm {
    int64_t units;
    mls_t weight[4], tau;
    mls_state *h, *c;
} lstm;

MLS_INLINE void step(int64_t H, float *restrict i, float *restrict q,
                     const float *restrict h, const float *restrict c,
                     const float *tau, float *restrict y)
{
    float *restrict f = i + H, *restrict g = i + 2 * H, *restrict o = i + 3 * H;
    (void)h;
    for (int64_t j = 0; j < H; j++) {
        i[j] = mls_sigmoidf(i[j]);
        f[j] = mls_sigmoidf(f[j]);
        g[j] = mls_tanhf(g[j]);
        o[j] = mls_sigmoidf(o[j]);
        q[j] = f[j] * c[j] + i[j] * g[j];
    }
    rnn_slow(H, tau, c, q);
    for (int64_t j = 0; j < H; j++) y[j] = o[j] * mls_tanhf(q[j]);
}

/* dq is dg here: the recurrent product adds to the same sums. */
MLS_INLINE void gates_back(int64_t H, const float *restrict i, const float *restrict q,
                           const float *restrict c, const float *restrict tau, int slow,
                           float *restrict dtau, float *restrict dh, float *restrict dc,
                           float *restrict dg)
{
    const float *restrict f = i + H, *restrict g = i + 2 * H, *restrict o = i + 3 * H;
    for (int64_t j = 0; j < H; j++) {
        const float y = mls_tanhf(q[j]), all = dc[j] + dh[j] * o[j] * (1.0f - y * y);
        const float d = slow ? all / tau[j] : all;
        if (slow) dtau[j] -= d / tau[j] * (i[j] * g[j] - (1.0f - f[j]) * c[j]);
        dg[j] = d * g[j] * i[j] * (1.0f - i[j]);
        dg[H + j] = d * c[j] * f[j] * (1.0f - f[j]);
        dg[2 * H + j] = d * i[j] * (1.0f - g[j] * g[j]);
        dg[3 * H + j] = dh[j] * y * o[j] * (1.0f - o[j]);
        dc[j] = slow ? d * f[j] + (all - d) : d * f[j];
        dh[j] = 0.0f;
    }
}

MLS_INLINE void step_back(int64_t H, const float *i, const float *q, const float *h,
                          const float *c, const float *tau, float *dtau, float *dh,
                          float *dc, float *dg, float *dq)
{
    (void)h, (void)dq;
    if (tau) gates_back(H, i, q, c, tau, 1, dtau, dh, dc, dg);
    else gates_back(H, i, q, c, NULL, 0, NULL, dh, dc, dg);
}

MLS_INLINE void forward_body(const mls_call *k) { rnn_forward(k, step); }
MLS_KERNEL(scan_forward, forward_body)
MLS_INLINE void backward_body(const mls_call *k) { rnn_backward(k, step_back); }
MLS_KERNEL(scan_backward, backward_body)
static const mls_op scan = {sizeof scan, "lstm.scan", scan_forward, scan_backward,
                            rnn_flops};

static void setup(mls_ctx *c, void *self)
{
    lstm *p = self;
    rnn_weights(c, mls->width(c, "in"), p->units, 4, p->weight);
    p->tau = tau_weight(c, p->units);
    p->h = mls->state(c, "h", p->units, 0.0, NULL, "hidden state");
    p->c = mls->state(c, "c", p->units, 0.0, NULL, "cell");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    lstm *p = self;
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], H = p->units;
    const mls_t tau = tau_of(c, in[1], p->tau);
    const mls_t from[] = {in[0],        mls->load(c, p->h), mls->load(c, p->c),
                          in[2],        p->weight[0],       p->weight[1],
                          p->weight[2], p->weight[3],       tau};
    const mls_t to[] = {mls->tensor(c, T, B, H), mls->tensor(c, 1, B, H),
                        mls->tensor(c, T, B, 4 * H), mls->tensor(c, T, B, H),
                        mls->tensor(c, 1, B, H)};
    MLS_APPLY(c, &scan, NULL, from, to);
    mls->store(c, p->h, to[RNN_HLAST]);
    mls->store(c, p->c, to[RNN_CLAST]);
    if (mls->wanted(c, "cell")) mls->tap(c, "cell", to[RNN_Q], NULL, "cell");
    if (mls->wanted(c, "forget"))
        mls->tap(c, "forget", mls->slice(c, to[RNN_G], H, H), NULL,
                 "share of the cell that is kept");
    if (tau) mls->tap(c, "tau", tau, "step", "time constant of each cell");
    out[0] = to[RNN_Y];
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
    {"mod_tau", MLS_IN | MLS_MAYBE, "T B m",
     "modulates the time constant of every cell"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding"},
    {"out", MLS_OUT, "T B units", "hidden state after each step"},
    MLS_PORT_END};

static const mls_option options[] = {
    MLS_OPT(lstm, units, MLS_INT, 0, 0, 65536, NULL,
            "hidden units, 0 for the width of the network"),
    MLS_OPT_END};

static const mls_component liquid_lstm = {
    sizeof liquid_lstm,
    "liquid",
    "lstm",
    MLS_CAUSAL | MLS_STREAMS,
    "Long short-term memory, a control without continuous time.\n"
    "PyTorch's formulas and weight names (`torch.nn.LSTM`, one layer), rows i | f | g "
    "|\n"
    "o. It has no port `dt`: the length of a step is nothing to it, which is what a\n"
    "liquid cell is to be compared with. `mod_tau` divides what a step changes of c by\n"
    "tau = 0.5 + sigmoid(W m), which starts at 1.",
    ports,
    options,
    sizeof(lstm),
    setup,
    forward,
    NULL};

MLS_PLUGIN("lstm", "1.1", "Apache-2.0", &liquid_lstm);
