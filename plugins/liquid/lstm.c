/* lstm.c - long short-term memory (Hochreiter, Schmidhuber 1997; with forget gate, Gers
 * et al. 2000), as torch.nn.LSTM of one layer.
 *
 *   i, f, o = sigmoid(W x[t] + b + U h[t-1] + d) of their own weights,  g =
 * tanh(likewise) c[t] = f c[t-1] + i g h[t] = o tanh(c[t])
 *
 * Rows of the weights: i | f | g | o.  A control for the liquid cells: it knows no
 * time, so it has no dt.
 */
#include "rnn.h"

typedef struct lstm {
    int64_t units;
    mls_t weight[4];
    mls_state *h, *c;
} lstm;

MLS_INLINE void step(int64_t H, float *restrict i, float *restrict q,
                     const float *restrict h, const float *restrict c,
                     float *restrict y)
{
    float *restrict f = i + H, *restrict g = i + 2 * H, *restrict o = i + 3 * H;
    (void)h;
    for (int64_t j = 0; j < H; j++) {
        i[j] = mls_sigmoidf(i[j]);
        f[j] = mls_sigmoidf(f[j]);
        g[j] = mls_tanhf(g[j]);
        o[j] = mls_sigmoidf(o[j]);
        q[j] = f[j] * c[j] + i[j] * g[j];
        y[j] = o[j] * mls_tanhf(q[j]);
    }
}

/* dq is dg here: the recurrent product adds to the same sums. */
MLS_INLINE void step_back(int64_t H, const float *restrict i, const float *restrict q,
                          const float *restrict h, const float *restrict c,
                          float *restrict dh, float *restrict dc, float *restrict dg,
                          float *dq)
{
    const float *restrict f = i + H, *restrict g = i + 2 * H, *restrict o = i + 3 * H;
    (void)h, (void)dq;
    for (int64_t j = 0; j < H; j++) {
        const float y = mls_tanhf(q[j]), d = dc[j] + dh[j] * o[j] * (1.0f - y * y);
        dg[j] = d * g[j] * i[j] * (1.0f - i[j]);
        dg[H + j] = d * c[j] * f[j] * (1.0f - f[j]);
        dg[2 * H + j] = d * i[j] * (1.0f - g[j] * g[j]);
        dg[3 * H + j] = dh[j] * y * o[j] * (1.0f - o[j]);
        dc[j] = d * f[j];
        dh[j] = 0.0f;
    }
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
    p->h = mls->state(c, "h", p->units, 0.0, NULL, "hidden state");
    p->c = mls->state(c, "c", p->units, 0.0, NULL, "cell");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    lstm *p = self;
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], H = p->units;
    const mls_t from[] = {in[0],        mls->load(c, p->h), mls->load(c, p->c),
                          in[1],        p->weight[0],       p->weight[1],
                          p->weight[2], p->weight[3]};
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
    out[0] = to[RNN_Y];
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
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
    "liquid cell is to be compared with.",
    ports,
    options,
    sizeof(lstm),
    setup,
    forward,
    NULL};

MLS_PLUGIN("lstm", "1.0", "Apache-2.0", &liquid_lstm);
