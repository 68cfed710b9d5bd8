/* cross_attention.c - two streams look each other up over time, then become one.
 *
 *   a' = a + Oa attn(Qa a, K Vb b)      b' = b + Ob attn(Qb b, K Va a)
 *   out = g a' + (1 - g) b'
 *
 * Both directions use the streams as they came in.  attn is softmax over real steps s
 * up to t of q_t . k_s / sqrt(d) in each head; the rows of a kv matrix are K of all
 * heads, then V of all heads.  The weight g is
 *
 *   fixed     alpha
 *   learned   sigmoid(c), one c, so that g starts at alpha
 *   gate      sigmoid((w_h . (Wq a' * Wk b')_h + c_h) / tau) for each gate head h, as
 *             fusion.gate; tau = softplus(r) > 0, starting at 1
 *
 * mode = full lets every step see every step.  mode = heads is what the first program of
 * the overview computes instead of attention over time: at each step the heads of one
 * stream look at the heads of the other, with no memory and no masking,
 *
 *   o_h = sum_g softmax_g(q_h . k_g / sqrt(d)) v_g        h, g heads of the same step
 *
 * in everything else as above.  There the rows of kv were k | v within each head.
 */
#include <math.h>
#include <mls/kernel.h>

#include "dot.h"

typedef struct side {
    mls_t      q, kv, out, out_bias;
    mls_state *past;
} side;

typedef struct cross {
    int64_t       heads, window, gate_heads;
    double        alpha;
    int           mode, positions, bidirectional, weight;
    mls_attention a;
    side          at[2];
    mls_t         gate_q, gate_k, gate_w, bias, temperature;  /* learned: bias only */
} cross;

enum { NONE, ROTARY };
enum { FIXED, LEARNED, GATE };
enum { CAUSAL, FULL, HEADS };

/* ---- out = g a + (1 - g) b --------------------------------------------------------- */

/* in: a, b [T][B][D], z [T][B][D], w [G][D/G], c [1][G], r [1][1];
 * out: out [T][B][D], g [T][B][G] = sigmoid((w . z + c) / softplus(r)), head by head.
 * Without z, w and r, g is the sigmoid of c.  A head is an item: it alone writes its
 * columns and weights, so every sum has one order.                                    */
typedef struct heads {
    const mls_call *k;
    int64_t rows, G, n;
    float   tau;
    double *d_tau;          /* [G]                                                     */
} heads;

static heads heads_of(const mls_call *k)
{
    const mls_t a = k->in[0], r = k->in[5];
    const int64_t G = k->in[4]->count;
    return (heads){ k, a->dim[0] * a->dim[1], G, a->dim[2] / G,
                    r ? mls_softplusf(r->data[0]) : 1.0f, NULL };
}

MLS_INLINE float logit(const heads *p, int64_t row, int64_t h)
{
    const mls_t z = p->k->in[2], w = p->k->in[3], c = p->k->in[4];
    if (!z) return c->data[h];
    return c->data[h] + dot(z->data + (row * p->G + h) * p->n, w->data + h * p->n, p->n);
}

MLS_INLINE void forward_head(int64_t h, void *arg)
{
    const heads *p = arg;
    const mls_t a = p->k->in[0], b = p->k->in[1], out = p->k->out[0], g = p->k->out[1];
    for (int64_t r = 0; r < p->rows; r++) {
        const float share = mls_sigmoidf(logit(p, r, h) / p->tau);
        const int64_t at = (r * p->G + h) * p->n;
        g->data[r * p->G + h] = share;
        for (int64_t e = at; e < at + p->n; e++)
            out->data[e] = share * a->data[e] + (1.0f - share) * b->data[e];
    }
}

MLS_INLINE void backward_head(int64_t h, void *arg)
{
    const heads *p = arg;
    const mls_t a = p->k->in[0], b = p->k->in[1], z = p->k->in[2], w = p->k->in[3];
    const mls_t c = p->k->in[4], out = p->k->out[0], g = p->k->out[1];
    double d_c = 0.0, d_tau = 0.0;
    for (int64_t r = 0; r < p->rows; r++) {
        const int64_t at = (r * p->G + h) * p->n;
        const float share = g->data[r * p->G + h], *dy = out->grad + at;
        const float *av = a->data + at, *bv = b->data + at;
        const float dg = g->grad[r * p->G + h] + dot_apart(dy, av, bv, p->n);
        if (a->grad)
            for (int64_t e = 0; e < p->n; e++) a->grad[at + e] += share * dy[e];
        if (b->grad)
            for (int64_t e = 0; e < p->n; e++) b->grad[at + e] += (1.0f - share) * dy[e];
        const float ds = dg * share * (1.0f - share) / p->tau;
        d_c += (double)ds;
        if (!z) continue;
        d_tau -= (double)(ds * logit(p, r, h) / p->tau);
        if (z->grad)
            for (int64_t e = 0; e < p->n; e++) z->grad[at + e] += ds * w->data[h * p->n + e];
        if (w->grad)
            for (int64_t e = 0; e < p->n; e++) w->grad[h * p->n + e] += ds * z->data[at + e];
    }
    if (c->grad) c->grad[h] += (float)d_c;
    p->d_tau[h] = d_tau;
}

MLS_KERNEL_BODY(forward_one, forward_head)
MLS_KERNEL_BODY(backward_one, backward_head)

static void mix_forward(const mls_call *k)
{
    heads p = heads_of(k);
    mls->parfor(p.G, forward_one, &p);
}

static void mix_backward(const mls_call *k)
{
    const mls_t r = k->in[5];
    heads p = heads_of(k);
    p.d_tau = mls->scratch(k, (size_t)p.G * sizeof *p.d_tau);
    if (!p.d_tau) return;
    mls->parfor(p.G, backward_one, &p);
    double sum = 0.0;
    for (int64_t h = 0; h < p.G; h++) sum += p.d_tau[h];
    if (r && r->grad) r->grad[0] += (float)sum * mls_sigmoidf(r->data[0]);
}

static double mix_flops(const mls_call *k) { return 7.0 * (double)k->in[0]->count; }

static const mls_op mix = { sizeof mix, "cross_attention.mix", mix_forward, mix_backward,
                            mix_flops };

/* ---- attention over heads at one step -------------------------------------------------- */

/* in: q [T][B][H d], kv [T][B][2 H d]; out: o [T][B][H d], p [T][B][H H], a row of p the
 * shares of all heads of the other stream.  Rows are independent; an item is some.      */
enum { ROWS = 16 };

typedef struct step {
    const mls_call *k;
    int64_t rows, H, d;
    float   scale;
    float  *ds;             /* [items][H]: backward                                      */
} step;

static step step_of(const mls_call *k)
{
    const cross *c = k->attr;
    const mls_t q = k->in[0];
    const int64_t d = q->dim[2] / c->heads;
    return (step){ k, q->dim[0] * q->dim[1], c->heads, d, 1.0f / sqrtf((float)d), NULL };
}

static int64_t items(const step *s) { return (s->rows + ROWS - 1) / ROWS; }

static int64_t last_row(const step *s, int64_t item)
{
    return (item + 1) * ROWS < s->rows ? (item + 1) * ROWS : s->rows;
}

MLS_INLINE void add_scaled(float *to, const float *x, float a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += a * x[i];
}

MLS_INLINE void softmax_of(float *p, int64_t n)
{
    float top = p[0], sum = 0.0f;
    for (int64_t i = 1; i < n; i++) top = p[i] > top ? p[i] : top;
    for (int64_t i = 0; i < n; i++) sum += p[i] = mls_expf(p[i] - top);
    for (int64_t i = 0; i < n; i++) p[i] /= sum;
}

MLS_INLINE void step_forward_body(int64_t item, void *arg)
{
    const step *s = arg;
    const int64_t H = s->H, d = s->d, D = H * d;
    for (int64_t r = item * ROWS; r < last_row(s, item); r++) {
        const float *q = s->k->in[0]->data + r * D, *k = s->k->in[1]->data + r * 2 * D;
        float *o = s->k->out[0]->data + r * D, *p = s->k->out[1]->data + r * H * H;
        memset(o, 0, (size_t)D * sizeof *o);
        for (int64_t h = 0; h < H; h++, p += H) {
            for (int64_t g = 0; g < H; g++) p[g] = s->scale * dot(q + h * d, k + g * d, d);
            softmax_of(p, H);
            for (int64_t g = 0; g < H; g++) add_scaled(o + h * d, k + D + g * d, p[g], d);
        }
    }
}

/* One head of one row: dp = do . v + what is asked of p itself, ds = p (dp - p . dp). */
MLS_INLINE void head_backward(const step *s, int64_t r, int64_t h, float *ds)
{
    const mls_t q = s->k->in[0], kv = s->k->in[1], o = s->k->out[0], p = s->k->out[1];
    const int64_t H = s->H, d = s->d, D = H * d, at = r * D + h * d, row = (r * H + h) * H;
    const float *k = kv->data + r * 2 * D, *gy = o->grad + at, *share = p->data + row;
    float sum = 0.0f;
    for (int64_t g = 0; g < H; g++) {
        ds[g] = dot(gy, k + D + g * d, d) + p->grad[row + g];
        sum += share[g] * ds[g];
    }
    for (int64_t g = 0; g < H; g++) ds[g] = s->scale * share[g] * (ds[g] - sum);
    for (int64_t g = 0; q->grad && g < H; g++)
        add_scaled(q->grad + at, k + g * d, ds[g], d);
    for (int64_t g = 0; kv->grad && g < H; g++) {
        float *dk = kv->grad + r * 2 * D + g * d;
        add_scaled(dk, q->data + at, ds[g], d);
        add_scaled(dk + D, gy, share[g], d);
    }
}

MLS_INLINE void step_backward_body(int64_t item, void *arg)
{
    const step *s = arg;
    for (int64_t r = item * ROWS; r < last_row(s, item); r++)
        for (int64_t h = 0; h < s->H; h++) head_backward(s, r, h, s->ds + item * s->H);
}

MLS_KERNEL_BODY(step_forward_item, step_forward_body)
MLS_KERNEL_BODY(step_backward_item, step_backward_body)

static void step_forward(const mls_call *k)
{
    step s = step_of(k);
    mls->parfor(items(&s), step_forward_item, &s);
}

static void step_backward(const mls_call *k)
{
    step s = step_of(k);
    s.ds = mls->scratch(k, (size_t)(items(&s) * s.H) * sizeof *s.ds);
    if (s.ds) mls->parfor(items(&s), step_backward_item, &s);
}

static double step_flops(const mls_call *k)
{
    const step s = step_of(k);
    return 4.0 * (double)s.rows * (double)(s.H * s.H * s.d);
}

static const mls_op over_heads = { sizeof over_heads, "cross_attention.heads", step_forward,
                                   step_backward, step_flops };

/* ---- the component ------------------------------------------------------------------- */

static int divides(mls_ctx *c, const char *option, int64_t heads, int64_t width)
{
    if (width % heads == 0) return 1;
    mls->fail(c, "%s = %lld does not divide the width %lld", option, (long long)heads,
              (long long)width);
    return 0;
}

static void setup_side(mls_ctx *c, cross *p, side *s, const char *const *name)
{
    const int64_t D = p->a.width;
    s->q = mls->weight(c, name[0], D, D, MLS_LINEAR);
    s->kv = mls->weight(c, name[1], 2 * D, D, MLS_LINEAR);
    s->out = mls->weight(c, name[2], D, D, MLS_LINEAR);
    s->out_bias = mls->weight(c, name[3], 1, D, MLS_ZEROS);
    if (p->mode == CAUSAL)
        s->past = mls->state(c, name[4], MLS_ATTENTION_WIDTH(&p->a), 0.0, NULL, name[5]);
}

/* What the mode makes no use of is refused. */
static int suits(mls_ctx *c, cross *p)
{
    if (p->bidirectional && p->mode == HEADS)
        mls->fail(c, "bidirectional is about steps of time, which mode = heads does not see");
    else if (p->bidirectional)
        p->mode = FULL;
    if (p->window && p->mode != CAUSAL)
        mls->fail(c, "window = %lld is for mode = causal alone: mode = %s sees %s",
                  (long long)p->window, p->mode == FULL ? "full" : "heads",
                  p->mode == FULL ? "the whole sequence" : "one step");
    else if (p->mode == HEADS && p->positions == ROTARY)
        mls->fail(c, "positions = rotary is about steps of time, which mode = heads does not "
                  "see");
    else if (p->mode == HEADS && p->heads == 1)
        mls->fail(c, "heads = 1 leaves mode = heads nothing to choose from: expected 2 or more");
    else
        return 1;
    return 0;
}

static void setup(mls_ctx *c, void *self)
{
    static const char *const name[2][6] = {
        { "a.q.weight", "a.kv.weight", "a.out.weight", "a.out.bias", "kv_a",
          "keys and values of a's window, then the count of steps" },
        { "b.q.weight", "b.kv.weight", "b.out.weight", "b.out.bias", "kv_b",
          "keys and values of b's window, then the count of steps" } };
    cross *p = self;
    const int64_t D = mls->width(c, "a");
    if (!suits(c, p) || !divides(c, "heads", p->heads, D)) return;
    if (p->weight == GATE && !divides(c, "gate_heads", p->gate_heads, D)) return;
    if (p->positions == ROTARY && D / p->heads % 2) {
        mls->fail(c, "positions = rotary needs heads of even size, but width %lld over %lld "
                  "heads gives %lld", (long long)D, (long long)p->heads,
                  (long long)(D / p->heads));
        return;
    }
    if (p->weight == LEARNED && (p->alpha <= 0.0 || p->alpha >= 1.0)) {
        mls->fail(c, "alpha = %g cannot be the start of a learned weight: expected more than "
                  "0 and less than 1", p->alpha);
        return;
    }
    p->a = (mls_attention){ p->heads, D, p->window ? p->window : mls->length(c),
                            p->positions == ROTARY, p->mode == FULL };
    for (int i = 0; i < 2; i++) setup_side(c, p, &p->at[i], name[i]);
    if (p->weight == LEARNED)
        p->bias = mls->weight(c, "alpha", 1, 1,
                              mls_init_of(MLS_CONSTANT, log(p->alpha / (1.0 - p->alpha)),
                                          MLS_NO_DECAY));
    if (p->weight == GATE) {
        p->gate_q = mls->weight(c, "gate.query", D, D, MLS_LINEAR);
        p->gate_k = mls->weight(c, "gate.key", D, D, MLS_LINEAR);
        p->gate_w = mls->weight(c, "gate.weight", p->gate_heads, D / p->gate_heads,
                                MLS_LINEAR);
        p->bias = mls->weight(c, "gate.bias", 1, p->gate_heads, MLS_ZEROS);
        p->temperature = mls->weight(c, "gate.temperature", 1, 1,
                                     mls_init_of(MLS_CONSTANT, log(expm1(1.0)), MLS_NO_DECAY));
    }
}

/* x + O attn(Q x, KV other) */
static mls_t look_up(mls_ctx *c, cross *p, int to, mls_t x, mls_t other, mls_t mask)
{
    const side *s = &p->at[to], *o = &p->at[1 - to];
    mls_t q = mls->linear(c, x, s->q, NULL), kv = mls->linear(c, other, o->kv, NULL);
    mls_t found;
    if (p->mode == HEADS) {
        const int64_t T = x->dim[0], B = x->dim[1];
        mls_t share = mls->tensor(c, T, B, p->heads * p->heads);
        found = mls->tensor(c, T, B, p->a.width);
        MLS_APPLY(c, &over_heads, p, ((mls_t[]){ q, kv }), ((mls_t[]){ found, share }));
        mls->tap(c, to ? "b_heads" : "a_heads", share, NULL,
                 "share of each head of the other stream, by head");
    } else {
        found = mls->attention(c, q, kv, &p->a, o->past, mask);
    }
    return mls->binary(c, MLS_ADD, x, mls->linear(c, found, s->out, s->out_bias));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    cross *p = self;
    mls_t a = look_up(c, p, 0, in[0], in[1], in[2]);
    mls_t b = look_up(c, p, 1, in[1], in[0], in[2]);
    if (p->weight == FIXED) {
        out[0] = mls->binary(c, MLS_ADD, mls->scale(c, a, p->alpha, 0.0),
                             mls->scale(c, b, 1.0 - p->alpha, 0.0));
        return;
    }
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], D = p->a.width;
    const int gated = p->weight == GATE;
    mls_t z = NULL;
    if (gated)
        z = mls->binary(c, MLS_MUL, mls->linear(c, a, p->gate_q, NULL),
                        mls->linear(c, b, p->gate_k, NULL));
    mls_t g = mls->tensor(c, T, B, gated ? p->gate_heads : 1);
    out[0] = mls->tensor(c, T, B, D);
    MLS_APPLY(c, &mix, p, ((mls_t[]){ a, b, z, p->gate_w, p->bias, p->temperature }),
              ((mls_t[]){ out[0], g }));
    if (gated) mls->tap(c, "gate", g, NULL, "share of a in the output, by head");
    else mls->tap(c, "alpha", g, NULL, "share of a in the output");
}

static const mls_port ports[] = {
    { "a",    MLS_IN,             "T B n", "first stream" },
    { "b",    MLS_IN,             "T B n", "second stream" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for real steps, 0 for padding" },
    { "out",  MLS_OUT,            "T B n", "both streams, enhanced and weighted" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(cross, heads, MLS_INT, 8, 1, 4096, NULL, "heads; must divide the width"),
    MLS_OPT_CHOICE(cross, mode, "causal|full|heads",
                   "what a step sees: steps up to itself, every step (for classification), or "
                   "the other stream's heads at the same step"),
    MLS_OPT(cross, window, MLS_INT, 0, 0, 1 << 24, "steps",
            "how many steps mode = causal sees, itself included; 0 is the sequence length"),
    MLS_OPT_CHOICE(cross, positions, "none|rotary",
                   "rotate queries and keys by their positions, or not"),
    MLS_OPT(cross, bidirectional, MLS_BOOL, 0, 0, 0, NULL,
            "the same as mode = full"),
    MLS_OPT_CHOICE(cross, weight, "fixed|learned|gate",
                   "how the two enhanced streams are weighted"),
    MLS_OPT(cross, alpha, MLS_REAL, 0.5, 0.0, 1.0, NULL,
            "share of a: of weight = fixed, and the start of weight = learned"),
    MLS_OPT(cross, gate_heads, MLS_INT, 4, 1, 4096, NULL,
            "heads of weight = gate; must divide the width"),
    MLS_OPT_END };

static const mls_component cross_fusion = {
    sizeof cross_fusion, "fusion", "cross_attention", MLS_CAUSAL | MLS_STREAMS,
    "Cross-attention over time in both directions, then a weighted sum.\n"
    "Each stream queries the other; both use the streams as they came in, and each "
    "result is added to its stream. `weight` says how the two become one: a `fixed` "
    "share, one `learned` share, or a `gate` per head. `mode` says what a step sees: in "
    "`causal` the last `window` steps; in `full` all of the sequence, so that it is neither "
    "causal nor streaming; in `heads` no time at all: the heads of one stream attend to the "
    "heads of the other within a step, a cheap mixer of channels.",
    ports, options, sizeof(cross), setup, forward, NULL };

MLS_PLUGIN("cross_attention", "1.0", "Apache-2.0", &cross_fusion);
