/* lif.c - leaky integrate-and-fire encoder, trained through a surrogate gradient.
 *
 *   I[t] = W x[t] + b                     (or x[t] itself: project = false)
 *   R[t] = H(U[t-1] - theta)              the reset, of the membrane one step before
 *   subtract       U[t] = beta U[t-1] + I[t] - theta R[t]
 *   subtract_beta  U[t] = beta (U[t-1] - theta R[t]) + I[t]
 *   zero           U[t] = beta (1 - R[t]) U[t-1] + I[t]
 *   zero_full      U[t] = (1 - R[t]) (beta U[t-1] + I[t])
 *   none           U[t] = beta U[t-1] + I[t]
 *   S[t] = H(U[t] - theta)
 * reset_delay = false resets in the step of the spike: with D = S - R, then
 *   subtract: U -= theta D    subtract_beta: U -= beta theta D    zero*: U -= U D
 * H is strict (> 0) unless fire_on_equal; dH/dx is a surrogate, with steepness k:
 *   fast_sigmoid  1 / (1 + k|x|)^2       atan  (k/2) / (1 + (pi k x / 2)^2)
 *   sigmoid       k s(kx) (1 - s(kx))    straight_through  1
 *   triangle      max(0, k - k^2 |x|)    erf   k / sqrt(pi) exp(-(kx)^2)
 *   rectangle     k where |x| < 1/(2k)
 *
 * Reference: snnTorch 0.9.4 `Leaky` (Eshraghian et al. 2023); subtract_beta is its
 * tutorial 3, zero_full its documentation.  detach_reset stops the gradient through
 * R and through D; snnTorch without delay stops it through R only.
 */
#include <mls/gradient.h>

#include "plastic.h"
#include "regular.h"

enum { FIXED, SCALAR, PER_UNIT };

typedef struct lif {
    int64_t units, steps;
    double beta, threshold, slope;
    regular regular;
    plastic plastic;
    int project, reset, reset_delay, detach_reset, fire_on_equal, surrogate;
    int readout, learn_beta, learn_threshold;
    mls_t w, b, beta_w, threshold_w;
    mls_state *v;
} lif;

/* What the scan of one sample needs; per-unit constants are spread to [N]. */
typedef struct plan {
    const mls_call *k;
    const lif *p;
    int64_t T, B, N, M;
    int64_t share, items; /* samples that one thread takes together; such shares       */
    const float *mask;
    float *u, *w; /* [T M][B][N]: membrane before and after a same-step reset     */
    float *beta, *theta, *fire, *cut; /* [N]; cut: what a subtracting reset takes */
    float *carry; /* [B][N]: gradient of the carried membrane                     */
    const float *none; /* [N] zeros, where spikes have no gradient                 */
    int fresh;         /* the input's gradient holds nothing yet                   */
    float *dbeta, *dtheta, *dcut; /* [B][N] or NULL                           */
    /* R scales the old membrane by 1 - z, the current by 1 - f; D takes q of U */
    float slope, z, f, q;
} plan;

static int make_plan(plan *g, const mls_call *k)
{
    const lif *p = k->attr;
    mls_t x = k->in[0], bw = k->in[3], tw = k->in[4];
    const int64_t N = x->dim[2], M = p->steps;
    mls_t u = k->out[2] ? k->out[2] : k->out[1];
    mls_t w = k->out[3] ? k->out[3] : M == 1 ? k->out[1] : k->out[2];
    float *c = mls->scratch(k, (size_t)(4 * N) * sizeof *c);
    /* few shares: a step of one should lie in one long piece */
    const int64_t B = x->dim[1], shares = MLS_HAS(mls, threads) ? mls->threads() : 4;
    if (!c) return 0;
    *g = (plan){ .k = k,
                 .p = p,
                 .T = x->dim[0],
                 .B = B,
                 .N = N,
                 .M = M,
                 .share = (B + shares - 1) / shares,
                 .mask = k->in[2] ? k->in[2]->data : NULL,
                 .u = u->data,
                 .w = w->data,
                 .beta = c,
                 .theta = c + N,
                 .fire = c + 2 * N,
                 .cut = c + 3 * N,
                 .slope = usual_slope(p->surrogate, p->slope),
                 .z = p->reset == ZERO || p->reset == ZERO_FULL,
                 .f = p->reset == ZERO_FULL,
                 .q = p->reset == ZERO || p->reset == ZERO_FULL };
    g->items = g->share ? (g->B + g->share - 1) / g->share : 0;
    for (int64_t n = 0; n < N; n++) {
        const float b = bw ? bw->data[bw->count > 1 ? n : 0] : (float)p->beta;
        const float th = tw ? tw->data[tw->count > 1 ? n : 0] : (float)p->threshold;
        g->beta[n] = b < 0.0f ? 0.0f : b > 1.0f ? 1.0f : b;
        g->theta[n] = th;
        g->fire[n] = p->fire_on_equal ? nextafterf(th, -INFINITY) : th;
        g->cut[n] = p->reset == SUBTRACT        ? th
                    : p->reset == SUBTRACT_BETA ? g->beta[n] * th
                                                : 0.0f;
    }
    return 1;
}

/* ---- forward ---------------------------------------------- */

/* now: reset in the same step (else w is u, and not touched); many: add to s. */
MLS_INLINE void step_row(const plan *g, const float *restrict old,
                         const float *restrict x, float *restrict u, float *restrict w,
                         float *restrict s, int smooth, int now, int many)
{
    const float *restrict beta = g->beta, *restrict theta = g->theta;
    const float *restrict fire = g->fire, *restrict cut = g->cut;
    const float z = g->z, f = g->f, q = g->q, k = g->slope;
    const int kind = g->p->surrogate;
    const int64_t N = g->N;
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float up = old[n];
        const float r =
            smooth ? smooth_step(kind, k, up - theta[n]) : (float)(up > fire[n]);
        const float un =
            beta[n] * up * (1.0f - z * r) + x[n] * (1.0f - f * r) - cut[n] * r;
        const float sn =
            smooth ? smooth_step(kind, k, un - theta[n]) : (float)(un > fire[n]);
        u[n] = un;
        if (now) w[n] = un - (sn - r) * (cut[n] + q * un);
        s[n] = many ? s[n] + sn : sn;
    }
}

MLS_INLINE void step_kind(const plan *g, const float *old, const float *x, float *u,
                          float *w, float *s)
{
    if (g->k->flags & MLS_SMOOTH) {
        if (g->p->reset_delay)
            step_row(g, old, x, u, w, s, 1, 0, 1);
        else
            step_row(g, old, x, u, w, s, 1, 1, 1);
    } else if (g->p->reset_delay) {
        if (g->M == 1)
            step_row(g, old, x, u, w, s, 0, 0, 0);
        else
            step_row(g, old, x, u, w, s, 0, 0, 1);
    } else {
        if (g->M == 1)
            step_row(g, old, x, u, w, s, 0, 1, 0);
        else
            step_row(g, old, x, u, w, s, 0, 1, 1);
    }
}

/* Before inner step j, counted over the whole sequence. */
MLS_INLINE const float *before(const plan *g, int64_t j, int64_t b)
{
    return j > 0 ? g->w + ((j - 1) * g->B + b) * g->N : g->k->in[1]->data + b * g->N;
}

MLS_INLINE void forward_step(const plan *g, int64_t t, int64_t b)
{
    const int64_t N = g->N, M = g->M, B = g->B, at = (t * B + b) * N;
    const size_t row = (size_t)N * sizeof(float);
    const int sums = M > 1 || (g->k->flags & MLS_SMOOTH);
    const int real = !g->mask || g->mask[t * B + b] != 0.0f;
    const float *old = before(g, t * M, b), *x = g->k->in[0]->data + at;
    float *st = g->k->out[0]->data + at, *mt = g->k->out[1]->data + at;
    if (sums || !real) memset(st, 0, row);
    for (int64_t i = 0; i < M; i++) {
        float *u = g->u + ((t * M + i) * B + b) * N,
              *w = g->w + ((t * M + i) * B + b) * N;
        if (!real) {
            memcpy(u, old, row);
            if (w != u) memcpy(w, old, row);
            continue;
        }
        if (g->p->readout == LAST && i == M - 1 && sums) memset(st, 0, row);
        step_kind(g, old, x, u, w, st);
        old = w;
    }
    if (mt != g->w + t * M * B * N + b * N || M > 1) memcpy(mt, old, row);
    if (real && M > 1 && g->p->readout == MEAN)
        for (int64_t n = 0; n < N; n++) st[n] /= (float)M;
}

/* Some samples, step by step: what a step reads and writes then lies together. */
MLS_INLINE void forward_samples(int64_t item, void *arg)
{
    const plan *g = arg;
    const int64_t end = (item + 1) * g->share < g->B ? (item + 1) * g->share : g->B;
    for (int64_t t = 0; t < g->T; t++)
        for (int64_t b = item * g->share; b < end; b++) forward_step(g, t, b);
}

MLS_KERNEL_BODY(forward_some, forward_samples)

static void scan_forward(const mls_call *k)
{
    plan g;
    if (make_plan(&g, k)) mls->parfor(g.items, forward_some, &g);
}

/* ---- backward ---------------------------------------------- */

/* plain: reset_delay, detach_reset and nothing to learn - one short loop, which writes
 * the input's gradient where it need not add to it. */
MLS_INLINE void back_row(const plan *g, const float *restrict old,
                         const float *restrict x, const float *restrict u,
                         const float *restrict gs, float share, float *restrict dx,
                         int64_t b, int kind, int smooth, int plain, int add)
{
    const float *restrict beta = g->beta, *restrict theta = g->theta;
    const float *restrict fire = g->fire, *restrict cut = g->cut;
    const float z = g->z, f = g->f, q = g->q, k = g->slope;
    const int64_t N = g->N;
    const float now = g->p->reset_delay ? 0.0f : 1.0f;
    const float live = g->p->detach_reset ? 0.0f : 1.0f;
    float *restrict carry = g->carry + b * N;
    float *restrict db = plain ? NULL : g->dbeta + b * N;
    float *restrict dt = plain ? NULL : g->dtheta + b * N;
    float *restrict dc = plain ? NULL : g->dcut + b * N;

    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float up = old[n], un = u[n], c = cut[n], h = carry[n];
        const float r =
            smooth ? smooth_step(kind, k, up - theta[n]) : (float)(up > fire[n]);
        const float ps = slope_at(kind, k, un - theta[n]);
        const float keep = beta[n] * (1.0f - z * r);
        if (plain) {
            const float du = h + ps * share * gs[n];
            dx[n] = (add ? dx[n] : 0.0f) + du * (1.0f - f * r);
            carry[n] = du * keep;
            continue;
        }
        const float s =
            smooth ? smooth_step(kind, k, un - theta[n]) : (float)(un > fire[n]);
        const float pr = live * slope_at(kind, k, up - theta[n]);
        const float d = s - r, dd = -now * live * h * (c + q * un);
        const float ds = share * gs[n] + dd;
        const float du = h * (1.0f - now * q * d) + ps * ds;
        const float dr = -dd - du * (z * beta[n] * up + f * x[n] + c);
        db[n] += du * up * (1.0f - z * r);
        dt[n] -= ps * ds + pr * dr;
        dc[n] -= now * h * d + du * r;
        dx[n] += du * (1.0f - f * r);
        carry[n] = du * keep + pr * dr;
    }
}

MLS_INLINE void back_kind(const plan *g, const float *old, const float *x,
                          const float *u, const float *gs, float share, float *dx,
                          int64_t b, int kind, int add)
{
    if (g->dbeta && !add) memset(dx, 0, (size_t)g->N * sizeof *dx);
    if (g->k->flags & MLS_SMOOTH)
        back_row(g, old, x, u, gs, share, dx, b, kind, 1, 0, 1);
    else if (g->dbeta)
        back_row(g, old, x, u, gs, share, dx, b, kind, 0, 0, 1);
    else if (add)
        back_row(g, old, x, u, gs, share, dx, b, kind, 0, 1, 1);
    else
        back_row(g, old, x, u, gs, share, dx, b, kind, 0, 1, 0);
}

MLS_INLINE void backward_step(const plan *g, int64_t t, int64_t b, float *spare)
{
    const int64_t N = g->N, M = g->M, B = g->B, at = (t * B + b) * N;
    const int kind = g->p->surrogate, readout = g->p->readout;
    const float *xt = g->k->in[0]->data + at, *gs = g->k->out[0]->grad;
    const float *restrict gm = g->k->out[1]->grad;
    float *restrict carry = g->carry + b * N;
    float *dx = g->k->in[0]->grad ? g->k->in[0]->grad + at : spare;
    gs = gs ? gs + at : g->none;
    for (int64_t n = 0; gm && n < N; n++) carry[n] += gm[at + n];
    if (g->mask && g->mask[t * B + b] == 0.0f) {
        if (g->fresh) memset(dx, 0, (size_t)N * sizeof *dx);
        return;
    }
    for (int64_t i = M - 1; i >= 0; i--) {
        const int64_t j = t * M + i;
        const float *old = before(g, j, b), *u = g->u + (j * B + b) * N;
        const float share = readout == MEAN                ? 1.0f / (float)M
                            : readout == SUM || i == M - 1 ? 1.0f
                                                           : 0.0f;
        const int add = !g->fresh || i < M - 1;
        if (kind == FAST_SIGMOID)
            back_kind(g, old, xt, u, gs, share, dx, b, FAST_SIGMOID, add);
        else if (kind == ATAN)
            back_kind(g, old, xt, u, gs, share, dx, b, ATAN, add);
        else if (kind == SIGMOID)
            back_kind(g, old, xt, u, gs, share, dx, b, SIGMOID, add);
        else
            back_kind(g, old, xt, u, gs, share, dx, b, kind, add);
    }
}

MLS_INLINE void backward_samples(int64_t item, void *arg)
{
    const plan *g = arg;
    const int64_t N = g->N, B = g->B, from = item * g->share;
    const int64_t end = from + g->share < B ? from + g->share : B;
    float *carry = g->carry + from * N, *spare = g->carry + (B + item) * N;
    float *dv = g->k->in[1]->grad;
    memset(carry, 0, (size_t)((end - from) * N) * sizeof *carry);
    memset(spare, 0, (size_t)N * sizeof *spare);
    for (int64_t t = g->T - 1; t >= 0; t--)
        for (int64_t b = from; b < end; b++) backward_step(g, t, b, spare);
    for (int64_t n = from * N; dv && n < end * N; n++) dv[n] += g->carry[n];
}

MLS_KERNEL_BODY(backward_some, backward_samples)

/* Sums the samples' shares in order: the bits do not depend on the threads. */
static void learn(const plan *g, mls_t beta, mls_t theta)
{
    for (int64_t n = 0; n < g->N; n++) {
        double db = 0.0, dt = 0.0, dc = 0.0;
        for (int64_t b = 0; b < g->B; b++) {
            db += g->dbeta[b * g->N + n];
            dt += g->dtheta[b * g->N + n];
            dc += g->dcut[b * g->N + n];
        }
        if (g->p->reset == SUBTRACT) dt += dc;
        if (g->p->reset == SUBTRACT_BETA) {
            dt += dc * g->beta[n];
            db += dc * g->theta[n];
        }
        if (beta && beta->grad) {
            const int64_t i = beta->count > 1 ? n : 0;
            if (beta->data[i] >= 0.0f && beta->data[i] <= 1.0f)
                beta->grad[i] += (float)db;
        }
        if (theta && theta->grad) theta->grad[theta->count > 1 ? n : 0] += (float)dt;
    }
}

static void scan_backward(const mls_call *k)
{
    plan g;
    if (!make_plan(&g, k)) return;
    mls_t beta = k->in[3], theta = k->in[4];
    const size_t slab = (size_t)(g.B * g.N);
    const int general = beta || theta || !g.p->reset_delay || !g.p->detach_reset ||
                        (k->flags & MLS_SMOOTH);
    g.carry = mls->scratch(k, 3 * slab * sizeof(float));
    if (!g.carry) return;
    g.none = memset(g.carry + 2 * slab, 0, (size_t)g.N * sizeof(float));
    g.fresh = mls_is_fresh(k, 0);
    for (int i = 1; i < k->n_in; i++) mls_clear_if_fresh(k, i);
    if (general) {
        float *sum = mls->scratch(k, 3 * slab * sizeof *sum);
        if (!sum) return;
        memset(sum, 0, 3 * slab * sizeof *sum);
        g.dbeta = sum;
        g.dtheta = sum + slab;
        g.dcut = sum + 2 * slab;
    }
    mls->parfor(g.items, backward_some, &g);
    if (beta || theta) learn(&g, beta, theta);
}

static double scan_flops(const mls_call *k)
{
    return 6.0 * (double)k->in[0]->count * (double)((const lif *)k->attr)->steps;
}

static const mls_op scan = { sizeof scan, "lif.scan", scan_forward, scan_backward,
                             scan_flops };

/* ---- the component ---------------------------------------------- */

/* Of an inner step in a value of spikes. */
static double share_of(const lif *p)
{
    return p->readout == SUM ? 1.0 / (double)p->steps : 1.0;
}

static void setup(mls_ctx *c, void *self)
{
    lif *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "spikes");
    p->units = n;
    p->regular.threshold = p->threshold;
    regular_check(c, &p->regular);
    plastic_setup(c, &p->plastic, p->project, in, n, share_of(p));
    if (p->project) {
        p->w = plastic_weight(c, &p->plastic, n, in);
        p->b = mls->weight(
            c, "bias", 1, n,
            mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    } else if (in != n) {
        mls->fail(c,
                  "project = false takes the input as current, so units must equal its "
                  "width: units = %lld, input \"in\" is %lld wide",
                  (long long)n, (long long)in);
    }
    if (p->learn_beta)
        p->beta_w = mls->weight(c, "beta", 1, p->learn_beta == SCALAR ? 1 : n,
                                mls_init_of(MLS_CONSTANT, p->beta, MLS_NO_DECAY));
    p->threshold_w =
        plastic_threshold(c, &p->plastic, p->learn_threshold, n, p->threshold);
    p->v =
        mls->state(c, "v", n, 0.0, NULL, "membrane potential carried to the next step");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    lif *p = self;
    mls_t x = p->project ? mls->linear(c, in[0], p->w, p->b) : in[0];
    mls_t v0 = mls->load(c, p->v);
    const int64_t T = in[0]->dim[0], B = in[0]->dim[1], N = p->units, M = p->steps;
    mls_t s = mls->tensor(c, T, B, N), m = mls->tensor(c, T, B, N), u = NULL, w = NULL;
    if (M > 1 || !p->reset_delay) u = mls->tensor(c, T * M, B, N);
    if (M > 1 && !p->reset_delay) w = mls->tensor(c, T * M, B, N);
    const mls_t from[] = { x, v0, in[1], p->beta_w, p->threshold_w };
    const mls_t to[] = { s, m, u, w };
    mls_apply_as(c, MLS_WRITES | MLS_OMITS | MLS_FORGETS, &scan, p, from, 5, to, 4);
    mls->store(c, p->v, mls->steps(c, m, T - 1, 1));
    out[0] = s;
    out[1] = m;
    regular_apply(c, &p->regular, s, m, in[1], share_of(p));
    plastic_apply(c, &p->plastic, in[0], s, in[1], p->w, p->threshold_w);
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B in", "input; the current itself when project is false" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "spikes", MLS_OUT | MLS_SPIKES, "T B units",
      "0 or 1; with steps > 1 what readout says; 0 at a masked step" },
    { "membrane", MLS_OUT, "T B units",
      "U of the step (its last inner step), as snnTorch returns it; held at a masked "
      "step" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(lif, units, MLS_INT, 0, 0, 65536, NULL, "neurons; 0: the network's width"),
    MLS_OPT(lif, project, MLS_BOOL, 1, 0, 0, NULL,
            "feed W x + b; false: x is the current"),
    MLS_OPT(lif, beta, MLS_REAL, 0.9, 0, 1, "1/step", "membrane decay per step"),
    MLS_OPT(lif, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL, "firing threshold"),
    MLS_OPT_CHOICE(lif, reset, RESETS,
                   "what a spike does to the membrane"),
    MLS_OPT(lif, reset_delay, MLS_BOOL, 1, 0, 0, NULL,
            "reset one step after the spike, as snnTorch; false: in the same step"),
    MLS_OPT(lif, detach_reset, MLS_BOOL, 1, 0, 0, NULL,
            "no gradient through the reset"),
    MLS_OPT(lif, fire_on_equal, MLS_BOOL, 0, 0, 0, NULL, "spike at u = threshold too"),
    MLS_OPT_CHOICE(lif, surrogate, SURROGATES,
                   "derivative of the spike"),
    MLS_OPT(lif, slope, MLS_REAL, 0, 0, 1000, NULL,
            SLOPE_HELP),
    MLS_OPT(lif, steps, MLS_INT, 1, 1, 1024, NULL,
            "inner steps per token, all with the token's current"),
    MLS_OPT_CHOICE(lif, readout, READOUTS,
                   "output of a token over its inner steps"),
    MLS_OPT_CHOICE(lif, learn_beta, "none|scalar|unit",
                   "train the decay, kept in [0, 1]"),
    MLS_OPT_CHOICE(lif, learn_threshold, "none|scalar|unit", "train the threshold"),
    REGULAR_RATES(lif, regular),
    REGULAR_VOLTAGE(lif, regular),
    PLASTIC_OPTIONS(lif, plastic),
    MLS_OPT_END
};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "lif",
    MLS_CAUSAL | MLS_STREAMS,
    "Leaky integrate-and-fire neurons, exactly as snnTorch's Leaky.\n\n"
    "With steps = 1 the output is binary; with more inner steps it is their mean,\n"
    "last or sum.  Gradients are those of the declared surrogate; with detach_reset\n"
    "they leave out the path through the reset, so that they differ from differences\n"
    "of the smooth forward.",
    ports,
    options,
    sizeof(lif),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("lif", "1.0", "Apache-2.0", &encoder);
