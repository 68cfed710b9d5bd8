/* linear_attention.c - causal linear attention, with or without decay (retention).
 *
 *   q | k | v (| g) = W_in in                   heads of size d = D / heads
 *   f(x)  = elu(x) + 1                          of q and k, so that all weights are > 0
 *   S_t   = a S_{t-1} + f(k_t) (x) v_t          [d][d] per head
 *   z_t   = a z_{t-1} + f(k_t)
 *   y_t   = f(q_t) S_t / (f(q_t) . z_t + 1e-6)  normalise = keys
 *         | f(q_t) S_t / rms(f(q_t) S_t)        normalise = rms, by head, eps 1e-5
 *   out   = W_out (y silu(g))                   without `gate`: W_out y
 *
 * Katharopoulos et al. 2020, arXiv:2006.16236.  With a < 1, and rms, it is the
 * retention of Sun et al. 2023, arXiv:2307.08621, but with f and without xPos rotation;
 * 1 - a starts log-spaced over the heads from 1/32 to 1/512, so that any number of
 * heads goes.  `learned` trains a = sigmoid(decay).  mod_b and mod_c add W mod_t to
 * k_t and q_t, which are here what B and C are to a state space model.
 */
#include <math.h>
#include "outer.h"
#include "spread.h"

typedef struct attention {
    int64_t    heads;
    int        decay, normalise, gate;
    outer      o;
    int64_t    width;
    mls_t in_proj, out_proj, decays, mod_b, mod_c; /* NULL where there is none */
    mls_state *kv, *keys;
} attention;

enum { DECAY_NONE, DECAY_FIXED, DECAY_LEARNED };
enum { BY_KEYS, BY_RMS, BY_NOTHING };

/* ---- The feature map ------------------------------------------------------------- */

MLS_INLINE void feature_forward_body(const mls_call *k)
{
    const float *x = k->in[0]->data;
    float *y = k->out[0]->data;
    for (int64_t i = 0; i < k->in[0]->count; i++)
        y[i] = x[i] > 0.0f ? x[i] + 1.0f : mls_expf(x[i] > 0.0f ? 0.0f : x[i]);
}

MLS_INLINE void feature_backward_body(const mls_call *k)
{
    const float *x = k->in[0]->data, *y = k->out[0]->data, *gy = k->out[0]->grad;
    float *gx = k->in[0]->grad;
    for (int64_t i = 0; gx && i < k->in[0]->count; i++)
        gx[i] += x[i] > 0.0f ? gy[i] : gy[i] * y[i];
}

MLS_KERNEL(feature_forward, feature_forward_body)
MLS_KERNEL(feature_backward, feature_backward_body)

static double feature_flops(const mls_call *k)
{
    return 12.0 * (double)k->in[0]->count;
}

static const mls_op feature = { sizeof feature, "linear_attention.feature",
                                feature_forward, feature_backward, feature_flops };

static mls_t mapped(mls_ctx *c, mls_t x)
{
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    mls->apply(c, &feature, NULL, &x, 1, &y, 1);
    return y;
}

/* ---- The normaliser -------------------------------------------------------------- */

enum { Y, Q, K, A, Z0, MASK, INPUTS };
enum { OUT, Z1, Z, SUM, OUTPUTS };

typedef struct divide_job {
    int64_t T, B, H, d;
    const float *y, *q, *k, *a, *z0, *mask, *gout;
    float *out, *z1, *z, *sum;
    float *gy, *gq, *gk, *ga, *gz0, *gz1;
} divide_job;

static divide_job divide_job_of(const mls_call *k)
{
    const attention *p = k->attr;
    const mls_t *in = k->in, *out = k->out;
    return (divide_job){ .T = in[Y]->dim[0],
                         .B = in[Y]->dim[1],
                         .H = p->o.heads,
                         .d = p->o.size,
                         .y = in[Y]->data,
                         .q = in[Q]->data,
                         .k = in[K]->data,
                         .a = in[A] ? in[A]->data : NULL,
                         .z0 = in[Z0]->data,
                         .mask = in[MASK] ? in[MASK]->data : NULL,
                         .out = out[OUT]->data,
                         .z1 = out[Z1]->data,
                         .z = out[Z]->data,
                         .sum = out[SUM]->data,
                         .gout = out[OUT]->grad,
                         .gz1 = out[Z1]->grad,
                         .gy = in[Y]->grad,
                         .gq = in[Q]->grad,
                         .gk = in[K]->grad,
                         .ga = in[A] ? in[A]->grad : NULL,
                         .gz0 = in[Z0]->grad };
}

/* One head of one sample. */
MLS_INLINE void divide_forward_body(int64_t item, void *arg)
{
    const divide_job *j = arg;
    const int64_t d = j->d, HD = j->H * d, b = item / j->H, h = item % j->H;
    const float *before = j->z0 + b * HD + h * d;
    for (int64_t t = 0; t < j->T; t++) {
        const int64_t row = t * j->B + b, at = row * HD + h * d, i = row * j->H + h;
        const int off = j->mask && j->mask[row] == 0.0f;
        const float a = j->a && !off ? j->a[i] : 1.0f;
        float *z = j->z + at, sum = 0.0f;
        for (int64_t n = 0; n < d; n++)
            z[n] = a * before[n] + (off ? 0.0f : j->k[at + n]);
        for (int64_t n = 0; n < d; n++) sum += z[n] * j->q[at + n];
        j->sum[i] = off ? 1.0f : sum + 1e-6f;
        for (int64_t n = 0; n < d; n++)
            j->out[at + n] = off ? 0.0f : j->y[at + n] / j->sum[i];
        before = z;
    }
    memcpy(j->z1 + b * HD + h * d, before, (size_t)d * sizeof(float));
}

MLS_INLINE void divide_backward_body(int64_t item, void *arg)
{
    const divide_job *j = arg;
    const int64_t d = j->d, HD = j->H * d, b = item / j->H, h = item % j->H;
    float *carry = j->gz1 + b * HD + h * d;             /* the op's to overwrite */
    for (int64_t t = j->T - 1; t >= 0; t--) {
        const int64_t row = t * j->B + b, at = row * HD + h * d, i = row * j->H + h;
        if (j->mask && j->mask[row] == 0.0f) continue;
        const float *before = t ? j->z + at - j->B * HD : j->z0 + b * HD + h * d;
        const float a = j->a ? j->a[i] : 1.0f, share = 1.0f / j->sum[i];
        float gsum = 0.0f, ga = 0.0f;
        for (int64_t n = 0; n < d; n++) gsum -= j->gout[at + n] * j->out[at + n];
        gsum *= share;
        for (int64_t n = 0; j->gy && n < d; n++)
            j->gy[at + n] += j->gout[at + n] * share;
        for (int64_t n = 0; j->gq && n < d; n++) j->gq[at + n] += gsum * j->z[at + n];
        for (int64_t n = 0; n < d; n++) {
            const float gz = carry[n] + gsum * j->q[at + n];
            if (j->gk) j->gk[at + n] += gz;
            ga += gz * before[n];
            carry[n] = gz * a;
        }
        if (j->ga) j->ga[i] += ga;
    }
    for (int64_t n = 0; j->gz0 && n < d; n++) j->gz0[b * HD + h * d + n] += carry[n];
}

MLS_KERNEL_BODY(divide_forward_item, divide_forward_body)
MLS_KERNEL_BODY(divide_backward_item, divide_backward_body)

static void divide_forward(const mls_call *k)
{
    divide_job j = divide_job_of(k);
    for (int64_t i = 0; i < j.B * j.H; i++) divide_forward_item(i, &j);
}

static void divide_backward(const mls_call *k)
{
    divide_job j = divide_job_of(k);
    for (int64_t i = 0; i < j.B * j.H; i++) divide_backward_item(i, &j);
}

static double divide_flops(const mls_call *k) { return 5.0 * (double)k->in[Y]->count; }

static const mls_op divide = { sizeof divide, "linear_attention.divide", divide_forward,
                               divide_backward, divide_flops };

/* ---- Weights --------------------------------------------------------------------- */

/* The logit of 1 - r, r log-spaced from 1/32 to 1/512. */
static void init_decay(float *w, int64_t rows, int64_t cols, const void *self)
{
    (void)self;
    for (int64_t i = 0; i < rows * cols; i++) {
        const double share = cols > 1 ? (double)i / (double)(cols - 1) : 0.0;
        const double r = exp(log(1.0 / 32.0) - share * log(16.0));
        w[i] = (float)log((1.0 - r) / r);
    }
}

static void setup(mls_ctx *c, void *self)
{
    attention *p = self;
    const int64_t D = mls->width(c, "in"), H = p->heads;
    const mls_init zero = mls_init_of(MLS_CONSTANT, 0.0, 0);
    if (D % H) {
        mls->fail(c, "heads = %lld does not divide the width %lld", (long long)H,
                  (long long)D);
        return;
    }
    p->width = D;
    p->o = (outer){ .heads = H, .groups = H, .size = D / H, .keys = D / H, .own = 1 };
    p->in_proj = mls->weight(c, "in_proj.weight", (p->gate ? 4 : 3) * D, D, MLS_LINEAR);
    p->out_proj = mls->weight(c, "out_proj.weight", D, D, MLS_LINEAR);
    if (p->decay != DECAY_NONE)
        p->decays = mls->weight(c, "decay", 1, H, (mls_init){ MLS_CONSTANT, 0.0, 0.0,
            MLS_NO_DECAY | (p->decay == DECAY_FIXED ? MLS_FROZEN : 0), init_decay });
    if (mls->connected(c, "mod_b"))
        p->mod_b = mls->weight(c, "mod_b.weight", D, mls->width(c, "mod_b"), zero);
    if (mls->connected(c, "mod_c"))
        p->mod_c = mls->weight(c, "mod_c.weight", D, mls->width(c, "mod_c"), zero);
    p->kv = mls->state(c, "kv", D * (D / H), 0.0, NULL,
                       "sum of keys times values, [head][key][value]");
    if (p->normalise == BY_KEYS)
        p->keys = mls->state(c, "keysum", D, 0.0, NULL, "sum of keys, [head][key]");
}

/* ---- Forward --------------------------------------------------------------------- */

static mls_t by_keys(mls_ctx *c, const attention *p, mls_t y, const mls_t *scan)
{
    const int64_t T = y->dim[0], B = y->dim[1], D = p->width;
    mls_t from[INPUTS] = { y, scan[OUTER_Q], scan[OUTER_K], scan[OUTER_A],
                           mls->load(c, p->keys), scan[OUTER_MASK] };
    mls_t to[OUTPUTS] = { mls->tensor(c, T, B, D), mls->tensor(c, 1, B, D),
                          mls->tensor(c, T, B, D), mls->tensor(c, T, B, p->heads) };
    mls->apply(c, &divide, p, from, INPUTS, to, OUTPUTS);
    mls->store(c, p->keys, to[Z1]);
    mls->tap(c, "normaliser", to[SUM], NULL, "what each head is divided by");
    return to[OUT];
}

static mls_t by_rms(mls_ctx *c, const attention *p, mls_t y)
{
    const int64_t d = p->o.size;
    mls_t all = NULL;
    for (int64_t h = 0; h < p->heads; h++) {
        mls_t one = mls->rms_norm(c, mls->slice(c, y, h * d, d), NULL, 1e-5);
        all = all ? mls->concat(c, all, one) : one;
    }
    return all;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const attention *p = self;
    mls_t x = in[0], mask = in[3], last;
    const int64_t D = p->width;
    mls_t qkv = mls->linear(c, x, p->in_proj, NULL);
    mls_t q = mls->slice(c, qkv, 0, D), k = mls->slice(c, qkv, D, D);
    if (p->mod_b) k = mls->binary(c, MLS_ADD, k, mls->linear(c, in[1], p->mod_b, NULL));
    if (p->mod_c) q = mls->binary(c, MLS_ADD, q, mls->linear(c, in[2], p->mod_c, NULL));
    q = mapped(c, q), k = mapped(c, k);
    mls->tap(c, "queries", q, NULL, "features of the queries");
    mls->tap(c, "keys", k, NULL, "features of the keys");

    mls_t a = NULL;
    if (p->decays) {
        a = mls->unary(c, MLS_SIGMOID, spread(c, p->decays, x->dim[0], x->dim[1]));
        mls->tap(c, "decay", a, NULL, "share of its state that each head keeps");
    }
    mls_t from[OUTER_INPUTS] = {
        mls->slice(c, qkv, 2 * D, D), k, q, a, NULL, NULL, NULL, mask
    };
    mls_t y = outer_apply(c, &p->o, from, p->kv, &last);
    mls->tap(c, "state", last, NULL, "keys times values after the chunk");
    if (p->normalise == BY_KEYS) y = by_keys(c, p, y, from);
    else if (p->normalise == BY_RMS) y = by_rms(c, p, y);
    if (p->gate) {
        mls_t g = mls->unary(c, MLS_SILU, mls->slice(c, qkv, 3 * D, D));
        mls->tap(c, "gate", g, NULL, "what the heads are multiplied by");
        y = mls->binary(c, MLS_MUL, y, g);
    }
    mls_t o = mls->linear(c, y, p->out_proj, NULL);
    out[0] = mask ? mls->binary(c, MLS_MUL, o, mask) : o;
}

/* ---- Descriptor ------------------------------------------------------------------ */

static const mls_port ports[] = {
    { "in",    MLS_IN,             "T B in", "sequence" },
    { "mod_b", MLS_IN | MLS_MAYBE, "T B p",
      "added to the keys through a weight that starts at 0" },
    { "mod_c", MLS_IN | MLS_MAYBE, "T B q",
      "added to the queries through a weight that starts at 0" },
    { "mask",  MLS_IN | MLS_MAYBE, "T B 1",  "1 for a real step, 0 for padding" },
    { "out",   MLS_OUT,            "T B in", "sequence, of the width of in" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(attention, heads, MLS_INT, 4, 1, 4096, NULL,
            "heads; must divide the width"),
    MLS_OPT_CHOICE(
        attention, decay, "none|fixed|learned",
        "whether old steps fade, at rates of each head, and if those are trained"),
    MLS_OPT_CHOICE(
        attention, normalise, "keys|rms|none",
        "divide a head by the sum of its weights, or by its root mean square"),
    MLS_OPT(attention, gate, MLS_BOOL, 0, 0, 0, NULL,
            "multiply the heads by silu of a projection of the input"),
    MLS_OPT_END
};

static const mls_component mixer = {
    sizeof mixer,
    "mixer",
    "linear_attention",
    MLS_CAUSAL | MLS_STREAMS,
    "Causal linear attention: a sum of keys times values in place of a window.\n"
    "Cost and state do not grow with the sequence, unlike those of `mixer.attention`. "
    "With `decay` and `normalise = rms` it is retention. Positions enter through "
    "decay alone: without it, the order of past steps does not matter. The other "
    "branch of a network may steer keys (`mod_b`) and queries (`mod_c`).",
    ports,
    options,
    sizeof(attention),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("linear-attention", "1.0", "Apache-2.0", &mixer);
