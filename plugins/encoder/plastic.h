/* plastic.h - rules by which spiking neurons change between steps, without gradients.
 *
 * stdp, pairs of spikes, each pre before it with each post after it and the other way:
 *   x_pre[t]  = e^(-1/tau_pre) x_pre[t-1] + s[t]       s[t]: max(0, input) of the step
 *   x_post[t] = e^(-1/tau_post) x_post[t-1] + S[t]     S[t]: output of the step
 *   dw[i][j] = sum over t of  a_plus F+ x_pre[t][j] S[t][i]
 *                           - a_minus F- e^(-1/tau_post) x_post[t-1][i] s[t][j]
 * that is, with dt = t_post - t_pre in steps, the sum over all pairs of spikes of
 *   a_plus F+ e^(-dt/tau_pre) for dt >= 0,    - a_minus F- e^(dt/tau_post) for dt < 0
 * Order in a step: pre comes before post.  The input of a step acts on the spikes of that
 * same step, so that such a pair (dt = 0) strengthens and does not weaken.
 *   hard   F+ = F- = 1, and the weight is cut to [w_min, w_max]
 *   soft   F+ = 1 - u, F- = u, u = (w - w_min) / (w_max - w_min), and it is cut, too
 * An input of 1 counts as a spike, of 2 as two, of 0.3 as a rate; below 0 it is none.
 *
 * homeostatic, each unit's threshold, which rises with a spike and falls without:
 *   dtheta[i] = sum over t of  S[t][i] - target_rate,   kept in [0.001, 1000]
 *
 * Sums run over the real steps of a sequence; their mean over the samples of a step, times
 * plasticity_rate, is what the weight or threshold gets after the optimiser's step.  In
 * training only.  Traces are states: pieces of a sequence make the same pairs as the
 * whole, and a masked step leaves them.  Another order of samples changes the sum by its
 * rounding (float, 1e-6 of it).
 *
 * Reference: Song, Miller, Abbott 2000, "Competitive Hebbian learning through
 * spike-timing-dependent synaptic plasticity" (a_minus / a_plus = 1.05, 20 ms); Morrison,
 * Diesmann, Gerstner 2008, "Phenomenological models of synaptic plasticity based on spike
 * timing", sections 4.1 (all-to-all, traces) and 4.2 (additive and multiplicative).  The
 * threshold is Diehl and Cook 2015's, with a target in place of their decay.
 */
#ifndef MLS_PLUGINS_PLASTIC_H
#define MLS_PLUGINS_PLASTIC_H

#include <math.h>
#include <mls/kernel.h>

enum { NO_RULE, STDP, HOMEOSTATIC };
enum { HARD_BOUNDS, SOFT_BOUNDS };

typedef struct plastic {
    int rule, alone, bounds;
    double rate, a_plus, a_minus, tau_pre, tau_post, w_min, w_max, target;
    float keep_pre, keep_post; /* of the traces, per step                          */
    double share;              /* of an inner step in a value of spikes            */
    mls_state *pre, *post;
} plastic;

#define PLASTIC_REAL(S, at, option, field, def, lo, hi, unit, help)                    \
    {                                                                                  \
        option, MLS_REAL, offsetof(S, at.field), def, lo, hi, NULL, unit, help         \
    }
#define PLASTIC_OPTIONS(S, at)                                                         \
    {"plasticity", MLS_CHOICE, offsetof(S, at.rule), 0, 0, 0, "none|stdp|homeostatic", \
     NULL,                                                                             \
     "change after each training step: of the weight by pairs of spikes, or of each "  \
     "threshold towards target_rate"},                                                 \
        PLASTIC_REAL(S, at, "plasticity_rate", rate, 1e-4, 0, 1e3, NULL,               \
                     "how much of the rule's sum is added, beside the optimiser"),     \
        {"plasticity_alone", MLS_BOOL, offsetof(S, at.alone), 0, 0, 0, NULL, NULL,     \
         "what the rule moves gets no gradient"},                                      \
        PLASTIC_REAL(S, at, "a_plus", a_plus, 1, 0, 1e3, NULL,                         \
                     "stdp: gain of a pair in which the input came first"),            \
        PLASTIC_REAL(S, at, "a_minus", a_minus, 1.05, 0, 1e3, NULL,                    \
                     "stdp: loss of a pair in which the output came first"),           \
        PLASTIC_REAL(S, at, "tau_pre", tau_pre, 20, 0.1, 1e6, "steps",                 \
                     "stdp: memory of the input's spikes"),                            \
        PLASTIC_REAL(S, at, "tau_post", tau_post, 20, 0.1, 1e6, "steps",               \
                     "stdp: memory of the output's spikes"),                           \
        {"bounds", MLS_CHOICE, offsetof(S, at.bounds), 0, 0, 0, "hard|soft", NULL,     \
         "stdp: a weight is cut at w_min and w_max, or slows down towards them, too"}, \
        PLASTIC_REAL(S, at, "w_min", w_min, -1, -1e3, 1e3, NULL,                       \
                     "stdp: least weight"),                                            \
        PLASTIC_REAL(S, at, "w_max", w_max, 1, -1e3, 1e3, NULL,                        \
                     "stdp: greatest weight"),                                         \
        PLASTIC_REAL(S, at, "target_rate", target, 0.1, 0, 1, "1/step",                \
                     "homeostatic: rate of each unit, spikes per inner step")

/* ---- setup ---------------------------------------------------------------------- */

/* share: of an inner step in a value of spikes (1 / steps with readout = sum). */
static inline void plastic_setup(mls_ctx *c, plastic *q, int project, int64_t in,
                                 int64_t n, double share)
{
    if (q->rule == NO_RULE) return;
    q->share = share;
    if (!MLS_HAS(mls, adapt)) mls->fail(c, "plasticity needs a newer mls");
    if (q->rule != STDP) return;
    if (!project)
        mls->fail(c, "plasticity = stdp changes the weight, and project = false has none");
    if (q->w_min >= q->w_max)
        mls->fail(c, "w_min = %g does not lie below w_max = %g", q->w_min, q->w_max);
    q->keep_pre = (float)exp(-1.0 / q->tau_pre);
    q->keep_post = (float)exp(-1.0 / q->tau_post);
    q->pre = mls->state(c, "pre", in, 0.0, NULL, "trace of the input's spikes");
    q->post = mls->state(c, "post", n, 0.0, NULL, "trace of the output's spikes");
}

/* The weight W of the projection. */
static inline mls_t plastic_weight(mls_ctx *c, const plastic *q, int64_t n, int64_t in)
{
    mls_init how = MLS_LINEAR;
    if (q->rule == STDP && q->alone) how.flags |= MLS_FROZEN;
    return mls->weight(c, "weight", n, in, how);
}

/* learn: 0 no, 1 one for all units, 2 one each.  NULL: it is what the option says. */
static inline mls_t plastic_threshold(mls_ctx *c, const plastic *q, int learn, int64_t n,
                                      double theta)
{
    const int moves = q->rule == HOMEOSTATIC;
    unsigned flags = MLS_NO_DECAY;
    if (!learn && !moves) return NULL;
    if (learn == 1 && moves)
        mls->fail(c, "plasticity = homeostatic moves the threshold of each unit, and "
                     "learn_threshold = scalar has one for all; expected none or unit");
    if (moves && (!learn || q->alone)) flags |= MLS_FROZEN;
    return mls->weight(c, "threshold", 1, learn == 1 ? 1 : n,
                       mls_init_of(MLS_CONSTANT, theta, flags));
}

/* ---- traces ---------------------------------------------------------------------- */

/* attr: what a step keeps; in: x, h0, mask; out: trace, and NULL or the spikes in x */
static void trace_sample(int64_t b, void *arg)
{
    const mls_call *k = arg;
    mls_t x = k->in[0], y = k->out[0], s = k->out[1];
    const float keep = *(const float *)k->attr, *old = k->in[1]->data + b * x->dim[2];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    for (int64_t t = 0; t < T; t++) {
        const int64_t at = (t * B + b) * N;
        const int real = !k->in[2] || k->in[2]->data[t * B + b] != 0.0f;
        const float a = real ? keep : 1.0f;
        float *restrict now = y->data + at;
        for (int64_t n = 0; n < N; n++) {
            const float v = x->data[at + n], spike = !real || v < 0.0f ? 0.0f : v;
            now[n] = a * old[n] + spike;
            if (s) s->data[at + n] = spike;
        }
        old = now;
    }
}

static void trace_forward(const mls_call *k)
{
    mls->parfor(k->in[0]->dim[1], trace_sample, (void *)(uintptr_t)k);
}

/* Nothing learns through a trace; who asks for the gradient of a state gets the true one. */
static void trace_backward(const mls_call *k)
{
    mls_t x = k->in[0];
    const float keep = *(const float *)k->attr;
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    float *d = k->out[0]->grad;
    for (int64_t t = T - 1; t >= 0; t--)
        for (int64_t i = 0; i < B * N; i++) {
            const int real = !k->in[2] || k->in[2]->data[t * B + i / N] != 0.0f;
            const int64_t at = t * B * N + i;
            float *before = t ? d + at - B * N : k->in[1]->grad ? k->in[1]->grad + i : NULL;
            if (before) *before += (real ? keep : 1.0f) * d[at];
            if (x->grad && real && x->data[at] >= 0.0f)
                x->grad[at] += d[at] + (k->out[1] ? k->out[1]->grad[at] : 0.0f);
        }
}

static double trace_flops(const mls_call *k) { return 2.0 * (double)k->in[0]->count; }

static const mls_op trace_op = {sizeof trace_op, "plastic.trace", trace_forward,
                                trace_backward, trace_flops};

/* ---- what the rules give --------------------------------------------------------- */

static inline float from_floor(const plastic *q, float w)
{
    const float u = (w - (float)q->w_min) / (float)(q->w_max - q->w_min);
    return u < 0.0f ? 0.0f : u > 1.0f ? 1.0f : u;
}

/* in: s, x_pre, S, x_post, x_post before, w; out: dw [1][N][I] */
static void pairs_forward(const mls_call *k)
{
    const plastic *q = k->attr;
    mls_t s = k->in[0], pre = k->in[1], spikes = k->in[2], post = k->in[3];
    const int64_t T = s->dim[0], B = s->dim[1], I = s->dim[2], N = spikes->dim[2];
    const float plus = (float)(q->a_plus / (double)B);
    const float minus = (float)(q->a_minus / (double)B) * q->keep_post;
    const int64_t rows = (T - 1) * B, all = N * I;
    const float *w = k->in[5]->data;
    float *gain = k->out[0]->data, *loss = mls->scratch(k, (size_t)all * sizeof *loss);
    if (!loss) return;
    mls->gemm(1, 0, N, I, T * B, plus, spikes->data, N, pre->data, I, 0.0f, gain, I);
    mls->gemm(1, 0, N, I, B, minus, k->in[4]->data, N, s->data, I, 0.0f, loss, I);
    if (rows)
        mls->gemm(1, 0, N, I, rows, minus, post->data, N, s->data + B * I, I, 1.0f, loss,
                  I);
    if (q->bounds == HARD_BOUNDS)
        for (int64_t i = 0; i < all; i++) gain[i] -= loss[i];
    else
        for (int64_t i = 0; i < all; i++) {
            const float u = from_floor(q, w[i]);
            gain[i] = (1.0f - u) * gain[i] - u * loss[i];
        }
}

static double pairs_flops(const mls_call *k)
{
    return 4.0 * (double)k->in[0]->count * (double)k->in[2]->dim[2];
}

static const mls_op pairs_op = {sizeof pairs_op, "plastic.pairs", pairs_forward, NULL,
                                pairs_flops};

/* The same of each step and sample, summed over a unit's inputs: out [T][B][N]. */
static void each_forward(const mls_call *k)
{
    const plastic *q = k->attr;
    mls_t s = k->in[0], pre = k->in[1], spikes = k->in[2], post = k->in[3];
    const int64_t B = s->dim[1], I = s->dim[2], N = spikes->dim[2];
    for (int64_t r = 0; r < s->dim[0] * B; r++)
        for (int64_t i = 0; i < N; i++) {
            const float *w = k->in[5]->data + i * I;
            const float before =
                r < B ? k->in[4]->data[r * N + i] : post->data[(r - B) * N + i];
            const double plus = q->a_plus * (double)spikes->data[r * N + i];
            const double minus = q->a_minus * (double)(q->keep_post * before);
            double sum = 0.0;
            for (int64_t j = 0; j < I; j++) {
                const double u = (double)from_floor(q, w[j]);
                const int soft = q->bounds == SOFT_BOUNDS;
                sum += (soft ? 1.0 - u : 1.0) * plus * (double)pre->data[r * I + j] -
                       (soft ? u : 1.0) * minus * (double)s->data[r * I + j];
            }
            k->out[0]->data[r * N + i] = (float)(q->rate * sum);
        }
}

static const mls_op each_op = {sizeof each_op, "plastic.each", each_forward, NULL, NULL};

/* in: spikes, mask; out: dtheta [1][1][N] */
static void rates_forward(const mls_call *k)
{
    const plastic *q = k->attr;
    mls_t spikes = k->in[0];
    const int64_t rows = spikes->dim[0] * spikes->dim[1], N = spikes->dim[2];
    double *sum = mls->scratch(k, (size_t)N * sizeof *sum);
    if (!sum) return;
    memset(sum, 0, (size_t)N * sizeof *sum);
    for (int64_t r = 0; r < rows; r++) {
        if (k->in[1] && k->in[1]->data[r] == 0.0f) continue;
        for (int64_t n = 0; n < N; n++)
            sum[n] += q->share * (double)spikes->data[r * N + n] - q->target;
    }
    for (int64_t n = 0; n < N; n++)
        k->out[0]->data[n] = (float)(sum[n] / (double)spikes->dim[1]);
}

static double rates_flops(const mls_call *k) { return 2.0 * (double)k->in[0]->count; }

static const mls_op rates_op = {sizeof rates_op, "plastic.rates", rates_forward, NULL,
                                rates_flops};

/* ---- forward --------------------------------------------------------------------- */

static inline void plastic_pairs(mls_ctx *c, const plastic *q, mls_t x, mls_t spikes,
                                 mls_t mask, mls_t w)
{
    const int64_t T = x->dim[0], B = x->dim[1], I = x->dim[2], N = spikes->dim[2];
    const int learns = mls->adapting(c), shows = mls->wanted(c, "weight_change");
    mls_t before = mls->load(c, q->post), s = NULL;
    mls_t pre = mls->tensor(c, T, B, I), post = mls->tensor(c, T, B, N);
    if (learns || shows) s = mls->tensor(c, T, B, I);
    MLS_APPLY(c, &trace_op, &q->keep_pre, ((mls_t[]){x, mls->load(c, q->pre), mask}),
              ((mls_t[]){pre, s}));
    MLS_APPLY(c, &trace_op, &q->keep_post, ((mls_t[]){spikes, before, mask}),
              ((mls_t[]){post, NULL}));
    mls->store(c, q->pre, mls->steps(c, pre, T - 1, 1));
    mls->store(c, q->post, mls->steps(c, post, T - 1, 1));
    mls->tap(c, "pre_trace", pre, NULL, "trace of the input's spikes");
    mls->tap(c, "post_trace", post, NULL, "trace of the output's spikes");
    const mls_t in[] = {s, pre, spikes, post, before, w};
    if (shows) {
        mls_t y = mls->tensor(c, T, B, N);
        MLS_APPLY(c, &each_op, q, in, ((mls_t[]){y}));
        mls->tap(c, "weight_change", y, NULL,
                 "what a step changes in the sum of a unit's weights, before they are cut");
    }
    if (!learns) return;
    mls_t dw = mls->tensor(c, 1, N, I);
    MLS_APPLY(c, &pairs_op, q, in, ((mls_t[]){dw}));
    mls->adapt(c, w, dw, q->rate, q->w_min, q->w_max);
}

/* x: the input that W sees; w and threshold: what plastic_weight and _threshold made. */
static inline void plastic_apply(mls_ctx *c, const plastic *q, mls_t x, mls_t spikes,
                                 mls_t mask, mls_t w, mls_t threshold)
{
    if (q->rule == STDP) plastic_pairs(c, q, x, spikes, mask, w);
    if (q->rule != HOMEOSTATIC || !mls->adapting(c)) return;
    mls_t d = mls->tensor(c, 1, 1, spikes->dim[2]);
    MLS_APPLY(c, &rates_op, q, ((mls_t[]){spikes, mask}), ((mls_t[]){d}));
    mls->adapt(c, threshold, d, q->rate, 1e-3, 1e3);
}

#endif
