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
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct side {
    mls_t      q, kv, out, out_bias;
    mls_state *past;
} side;

typedef struct cross {
    int64_t       heads, window, gate_heads;
    double        alpha;
    int           positions, bidirectional, weight;
    mls_attention a;
    side          at[2];
    mls_t         gate_q, gate_k, gate_w, bias, temperature;  /* learned: bias only */
} cross;

enum { NONE, ROTARY };
enum { FIXED, LEARNED, GATE };

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
    float sum = c->data[h];
    if (!z) return sum;
    const float *x = z->data + (row * p->G + h) * p->n, *y = w->data + h * p->n;
    for (int64_t e = 0; e < p->n; e++) sum += x[e] * y[e];
    return sum;
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
        float dg = g->grad[r * p->G + h];
        for (int64_t e = 0; e < p->n; e++) dg += dy[e] * (av[e] - bv[e]);
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
    if (!p->bidirectional)
        s->past = mls->state(c, name[4], MLS_ATTENTION_WIDTH(&p->a), 0.0, NULL, name[5]);
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
    if (!divides(c, "heads", p->heads, D)) return;
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
                            p->positions == ROTARY, p->bidirectional };
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
    mls_t found = mls->attention(c, q, kv, &p->a, o->past, mask);
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
    MLS_OPT(cross, window, MLS_INT, 0, 0, 1 << 24, "steps",
            "how many steps a step sees, itself included; 0 is the sequence length"),
    MLS_OPT_CHOICE(cross, positions, "none|rotary",
                   "rotate queries and keys by their positions, or not"),
    MLS_OPT(cross, bidirectional, MLS_BOOL, 0, 0, 0, NULL,
            "every step sees the whole sequence; for classification, keeps no state"),
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
    "share, one `learned` share, or a `gate` per head. Attention is causal and sees "
    "`window` steps; with `bidirectional` it is neither causal nor streaming.",
    ports, options, sizeof(cross), setup, forward, NULL };

MLS_PLUGIN("cross_attention", "1.0", "Apache-2.0", &cross_fusion);
