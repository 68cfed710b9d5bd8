/* multiscale.c - gated recurrences that run on every 1st, 2nd, 4th, ... step and hold.
 *
 *   v | f | z  = W_in in                        each [S][W]: S scales of W channels
 *   g_t        = sigmoid(f + b)                 where scale s ticks: n mod base^s = 0
 *              = 1                              elsewhere: the value is held
 *   h_t        = g_t h_{t-1} + (1 - g_t) v_t
 *   out        = W_out (h silu(z))
 *
 * n counts the real steps of a sample from 0, so that all scales tick at the first.  A
 * diagonal recurrence with input-dependent decay, as in minGRU (Feng et al. 2024,
 * arXiv:2410.01201) without its candidate's offset, on the strides of a clockwork RNN
 * (Koutnik et al. 2014, arXiv:1402.3511): a slow scale forgets base^s times more slowly
 * with the same gates.  Between its ticks a scale sees nothing of its input (no
 * averaging), which is what keeps it causal and its state small.  It is no pyramid:
 * projections are made at every step, so that a stride buys memory, not time.  b
 * starts such that 1 / (1 - g) is log-uniform in [memory_min, memory_max] ticks.
 * mod_b and mod_c add W mod_t to v_t and z_t: what enters the state and what leaves it.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct multiscale {
    int64_t    scales, base, channels;
    double     memory_min, memory_max;
    int64_t    width, all;                          /* W, S W                        */
    mls_t      in_proj, bias, out_proj, mod_b, mod_c;
    mls_state *h, *phase;
} multiscale;

/* ---- The scan -------------------------------------------------------------------- */

enum { V, F, H0, PHASE0, MASK, INPUTS };
enum { HELD, GATE, H1, PHASE1, OUTPUTS };

typedef struct scan_job {
    int64_t T, B, S, W, base, round;                /* round: steps until all tick   */
    const float *v, *f, *h0, *phase0, *mask, *gheld;
    float *held, *gate, *h1, *phase1;
    float *gv, *gf, *gh0, *gh1;
} scan_job;

static scan_job job_of(const mls_call *k)
{
    const multiscale *p = k->attr;
    const mls_t *in = k->in, *out = k->out;
    scan_job j = { .T = in[V]->dim[0],
                   .B = in[V]->dim[1],
                   .S = p->scales,
                   .W = p->width,
                   .base = p->base,
                   .round = 1,
                   .v = in[V]->data,
                   .f = in[F]->data,
                   .h0 = in[H0]->data,
                   .phase0 = in[PHASE0]->data,
                   .mask = in[MASK] ? in[MASK]->data : NULL,
                   .held = out[HELD]->data,
                   .gate = out[GATE]->data,
                   .h1 = out[H1]->data,
                   .phase1 = out[PHASE1]->data,
                   .gheld = out[HELD]->grad,
                   .gh1 = out[H1]->grad,
                   .gv = in[V]->grad,
                   .gf = in[F]->grad,
                   .gh0 = in[H0]->grad };
    for (int64_t s = 1; s < j.S; s++) j.round *= j.base;
    return j;
}

/* The steps since all scales ticked: whole, in [0, round) whatever the state holds. */
static int64_t phase_of(const scan_job *j, int64_t b)
{
    const float x = floorf(j->phase0[b] + 0.5f);
    return x >= 0.0f && x < 16777216.0f ? (int64_t)x % j->round : 0;
}

MLS_INLINE void forward_body(int64_t b, void *arg)
{
    const scan_job *j = arg;
    const int64_t N = j->S * j->W;
    const float *before = j->h0 + b * N;
    int64_t n = phase_of(j, b);
    for (int64_t t = 0; t < j->T; t++) {
        const int64_t row = t * j->B + b;
        const int off = j->mask && j->mask[row] == 0.0f;
        for (int64_t s = 0, stride = 1; s < j->S; s++, stride *= j->base) {
            const int64_t at = row * N + s * j->W;
            const float *v = j->v + at, *f = j->f + at, *was = before + s * j->W;
            float *h = j->held + at, *gate = j->gate + at;
            if (off || n % stride) {
                for (int64_t i = 0; i < j->W; i++) h[i] = was[i], gate[i] = 1.0f;
                continue;
            }
            for (int64_t i = 0; i < j->W; i++) {
                const float g = mls_sigmoidf(f[i]);
                gate[i] = g;
                h[i] = g * was[i] + (1.0f - g) * v[i];
            }
        }
        before = j->held + row * N;
        if (!off) n = (n + 1) % j->round;
    }
    memcpy(j->h1 + b * N, before, (size_t)N * sizeof(float));
    j->phase1[b] = (float)n;
}

/* Where a value was held its gate is 1, and the same formula passes all on. */
MLS_INLINE void backward_body(int64_t b, void *arg)
{
    const scan_job *j = arg;
    const int64_t N = j->S * j->W;
    float *carry = j->gh1 + b * N;                  /* the op's to overwrite */
    for (int64_t t = j->T - 1; t >= 0; t--) {
        const int64_t row = t * j->B + b, at = row * N;
        const float *was = t ? j->held + at - j->B * N : j->h0 + b * N;
        const float *gate = j->gate + at, *v = j->v + at, *g = j->gheld + at;
        if (j->mask && j->mask[row] == 0.0f) {
            for (int64_t i = 0; i < N; i++) carry[i] += g[i];
            continue;
        }
        for (int64_t i = 0; i < N; i++) {
            const float now = carry[i] + g[i], in = 1.0f - gate[i];
            if (j->gv) j->gv[at + i] += now * in;
            if (j->gf) j->gf[at + i] += now * (was[i] - v[i]) * gate[i] * in;
            carry[i] = now * gate[i];
        }
    }
    for (int64_t i = 0; j->gh0 && i < N; i++) j->gh0[b * N + i] += carry[i];
}

MLS_KERNEL_BODY(forward_item, forward_body)
MLS_KERNEL_BODY(backward_item, backward_body)

/* Waking threads costs more than a short sequence does. */
static void each_item(scan_job *j, void (*body)(int64_t, void *))
{
    if (j->T * j->B * j->S * j->W >= 200000) mls->parfor(j->B, body, j);
    else for (int64_t b = 0; b < j->B; b++) body(b, j);
}

static void scan_forward(const mls_call *k)
{
    scan_job j = job_of(k);
    each_item(&j, forward_item);
}

static void scan_backward(const mls_call *k)
{
    scan_job j = job_of(k);
    each_item(&j, backward_item);
}

static double scan_flops(const mls_call *k) { return 18.0 * (double)k->in[V]->count; }

static const mls_op scan = { sizeof scan, "multiscale.scan", scan_forward,
                             scan_backward, scan_flops };

/* ---- Weights --------------------------------------------------------------------- */

/* U(0, 1) -> the logit of 1 - 1 / memory. */
static void init_bias(float *w, int64_t rows, int64_t cols, const void *self)
{
    const multiscale *p = self;
    const double lo = log(p->memory_min), hi = log(p->memory_max);
    for (int64_t i = 0; i < rows * cols; i++)
        w[i] = (float)log(expm1(lo + (double)w[i] * (hi - lo)));
}

static void setup(mls_ctx *c, void *self)
{
    multiscale *p = self;
    const int64_t D = mls->width(c, "in"), W = p->channels ? p->channels : D;
    const int64_t N = p->scales * W;
    const mls_init zero = mls_init_of(MLS_CONSTANT, 0.0, 0);
    if (p->memory_min > p->memory_max)
        mls->fail(c, "memory_min %g is above memory_max %g", p->memory_min,
                  p->memory_max);
    p->width = W, p->all = N;
    p->in_proj = mls->weight(c, "in_proj.weight", 3 * N, D, MLS_LINEAR);
    p->bias = mls->weight(c, "gate.bias", 1, N,
                          (mls_init){ MLS_RANGE, 0.0, 1.0, MLS_NO_DECAY, init_bias });
    p->out_proj = mls->weight(c, "out_proj.weight", D, N, MLS_LINEAR);
    if (mls->connected(c, "mod_b"))
        p->mod_b = mls->weight(c, "mod_b.weight", N, mls->width(c, "mod_b"), zero);
    if (mls->connected(c, "mod_c"))
        p->mod_c = mls->weight(c, "mod_c.weight", N, mls->width(c, "mod_c"), zero);
    p->h =
        mls->state(c, "held", N, 0.0, NULL, "value of each channel, [scale][channel]");
    p->phase =
        mls->state(c, "phase", 1, 0.0, "step", "real steps since all scales ticked");
}

/* ---- Forward --------------------------------------------------------------------- */

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const multiscale *p = self;
    mls_t x = in[0], mask = in[3];
    const int64_t T = x->dim[0], B = x->dim[1], N = p->all;
    mls_t vfz = mls->linear(c, x, p->in_proj, NULL);
    mls_t v = mls->slice(c, vfz, 0, N), z = mls->slice(c, vfz, 2 * N, N);
    mls_t f = mls->binary(c, MLS_ADD, mls->slice(c, vfz, N, N), p->bias);
    if (p->mod_b) v = mls->binary(c, MLS_ADD, v, mls->linear(c, in[1], p->mod_b, NULL));
    if (p->mod_c) z = mls->binary(c, MLS_ADD, z, mls->linear(c, in[2], p->mod_c, NULL));

    const mls_t from[INPUTS] = { v, f, mls->load(c, p->h), mls->load(c, p->phase),
                                 mask };
    const mls_t to[OUTPUTS] = { mls->tensor(c, T, B, N), mls->tensor(c, T, B, N),
                                mls->tensor(c, 1, B, N), mls->tensor(c, 1, B, 1) };
    mls->apply(c, &scan, p, from, INPUTS, to, OUTPUTS);
    mls->store(c, p->h, to[H1]);
    mls->store(c, p->phase, to[PHASE1]);
    mls->tap(c, "gate", to[GATE], NULL,
             "share that each channel keeps; 1 where it holds, [scale][channel]");
    mls->tap(c, "scales", to[HELD], NULL, "value of each channel, [scale][channel]");
    mls_t y = mls->binary(c, MLS_MUL, to[HELD], mls->unary(c, MLS_SILU, z));
    mls_t o = mls->linear(c, y, p->out_proj, NULL);
    out[0] = mask ? mls->binary(c, MLS_MUL, o, mask) : o;
}

/* ---- Descriptor ------------------------------------------------------------------ */

static const mls_port ports[] = {
    { "in",    MLS_IN,             "T B in", "sequence" },
    { "mod_b", MLS_IN | MLS_MAYBE, "T B p",
      "added to what enters the state, through a weight that starts at 0" },
    { "mod_c", MLS_IN | MLS_MAYBE, "T B q",
      "added to the output gate before its silu, through a weight that starts at 0" },
    { "mask",  MLS_IN | MLS_MAYBE, "T B 1",  "1 for a real step, 0 for padding" },
    { "out",   MLS_OUT,            "T B in", "sequence, of the width of in" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(multiscale, scales, MLS_INT, 3, 1, 6, NULL,
            "how many recurrences; their strides are 1, base, base squared and so on"),
    MLS_OPT(multiscale, base, MLS_INT, 2, 2, 8, NULL,
            "each stride over the one before it"),
    MLS_OPT(multiscale, channels, MLS_INT, 0, 0, 65536, NULL,
            "channels of each scale; 0 means the width of in"),
    MLS_OPT(multiscale, memory_min, MLS_REAL, 2, 1.001, 1e6, "steps",
            "least time constant at the start, in ticks of a scale"),
    MLS_OPT(multiscale, memory_max, MLS_REAL, 32, 1.001, 1e6, "steps",
            "largest time constant at the start, in ticks of a scale"),
    MLS_OPT_END };

static const mls_component mixer = {
    sizeof mixer,
    "mixer",
    "multiscale",
    MLS_CAUSAL | MLS_STREAMS,
    "Gated recurrences on strides 1, 2, 4 and so on, each held between its ticks.\n"
    "A scale of stride s is updated at every s-th real step of a sample and keeps its "
    "value between, so that the same gates remember s times longer. Inputs between "
    "ticks are not seen by that scale. Projections are made at every step: a stride "
    "buys memory, not time. The phase is a state, so that a sequence in pieces is the "
    "whole one. `mod_b` and `mod_c` take what another branch knows.",
    ports,
    options,
    sizeof(multiscale),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("multiscale", "1.0", "Apache-2.0", &mixer);
