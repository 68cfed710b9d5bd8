/* moe.c - a mixture of experts: at each step a router picks k of n components, and their
 * outputs are weighed by how sure it was.
 *
 *   p = softmax(Wr in)              one probability an expert
 *   C = the k experts of largest p; of equals, the one named first
 *   g_e = p_e / sum_{i in C} p_i    for e in C (normalise), or p_e;  0 for the others
 *   out = sum_e g_e expert_e(in)
 *   balance: n sum_e f_e P_e, f_e the share of all choices that fell on e, P_e the mean
 *   of p_e, both over the real steps of a batch; 1 when the load is even
 *
 * With normalise g is a softmax over the chosen alone.  The choice has no gradient: the
 * router learns through the g_e of the chosen experts, and through P_e.
 *
 * An expert sees the steps that were routed to it and no others: for its states every other
 * step is masked.  So what it remembers does not depend on steps that went elsewhere, and
 * streaming gives what the whole sequence gives.
 *
 * Shazeer et al. 2017, "Outrageously Large Neural Networks: The Sparsely-Gated
 * Mixture-of-Experts Layer"; the balance loss of Fedus et al. 2021, "Switch Transformers",
 * for k = 1, its f divided by k; normalise as in Jiang et al. 2024, "Mixtral of Experts".
 */
#include <stdio.h>
#include <string.h>

#include <mls/plugin.h>

enum { MOST = 64 };

typedef struct moe {
    const mls_spec *experts;
    int64_t         k;
    int             normalise, n;
    double          balance;
    mls_part       *expert[MOST];
    mls_t           router;
} moe;

/* ---- the choice: in p, mask?; out gate, chosen (1 or 0; 0 at padding) -------------------- */

/* NaN is picked too, or it would be swallowed. */
static void choose(const float *p, int n, int64_t k, float *chosen)
{
    memset(chosen, 0, (size_t)n * sizeof *chosen);
    for (int64_t i = 0; i < k; i++) {
        int best = -1;
        for (int e = 0; e < n; e++)
            if (chosen[e] == 0.0f && (best < 0 || p[e] > p[best])) best = e;
        chosen[best] = 1.0f;
    }
}

static float total(const float *p, const float *chosen, int n)
{
    float sum = 0.0f;
    for (int e = 0; e < n; e++)
        if (chosen[e] != 0.0f) sum += p[e];
    return sum;
}

static int is_real(const mls_call *k, int64_t row)
{
    return !k->in[1] || k->in[1]->data[row] != 0.0f;
}

static void gate_forward(const mls_call *k)
{
    const moe *m = k->attr;
    const int64_t rows = k->in[0]->count / m->n;
    for (int64_t r = 0; r < rows; r++) {
        const float *p = k->in[0]->data + r * m->n;
        float *g = k->out[0]->data + r * m->n, *chosen = k->out[1]->data + r * m->n;
        choose(p, m->n, m->k, chosen);
        const float sum = m->normalise ? total(p, chosen, m->n) : 1.0f;
        for (int e = 0; e < m->n; e++) g[e] = chosen[e] != 0.0f ? p[e] / sum : 0.0f;
        if (!is_real(k, r)) memset(chosen, 0, (size_t)m->n * sizeof *chosen);
    }
}

static void gate_backward(const mls_call *k)
{
    const moe *m = k->attr;
    const int64_t rows = k->in[0]->count / m->n;
    for (int64_t r = 0; k->in[0]->grad && r < rows; r++) {
        const float *p = k->in[0]->data + r * m->n, *g = k->out[0]->data + r * m->n;
        const float *chosen = k->out[1]->data + r * m->n, *dg = k->out[0]->grad + r * m->n;
        float *dp = k->in[0]->grad + r * m->n, mean = 0.0f;
        if (!is_real(k, r)) continue;
        const float sum = m->normalise ? total(p, chosen, m->n) : 1.0f;
        for (int e = 0; m->normalise && e < m->n; e++) mean += dg[e] * g[e];
        for (int e = 0; e < m->n; e++)
            if (chosen[e] != 0.0f) dp[e] += (dg[e] - mean) / sum;
    }
}

static double gate_flops(const mls_call *k)
{
    return (double)(k->in[0]->count * (((const moe *)k->attr)->k + 2));
}

static const mls_op gate = { sizeof gate, "moe.gate", gate_forward, gate_backward, gate_flops };

/* ---- the mixture: in gate, chosen, one output an expert; out their sum ------------------- */

enum { BLOCK = 64 };                             /* rows of an item                        */

static void mix_block(int64_t i, void *arg)
{
    const mls_call *k = arg;
    const int n = ((const moe *)k->attr)->n;
    const int64_t N = k->out[0]->dim[2], rows = k->out[0]->count / N;
    const int64_t end = (i + 1) * BLOCK < rows ? (i + 1) * BLOCK : rows;
    for (int64_t r = i * BLOCK; r < end; r++) {
        float *restrict y = k->out[0]->data + r * N;
        memset(y, 0, (size_t)N * sizeof *y);
        for (int e = 0; e < n; e++) {
            if (k->in[1]->data[r * n + e] == 0.0f) continue;
            const float g = k->in[0]->data[r * n + e];
            const float *restrict x = k->in[2 + e]->data + r * N;
            for (int64_t j = 0; j < N; j++) y[j] += g * x[j];
        }
    }
}

static void mix_back_block(int64_t i, void *arg)
{
    const mls_call *k = arg;
    const int n = ((const moe *)k->attr)->n;
    const int64_t N = k->out[0]->dim[2], rows = k->out[0]->count / N;
    const int64_t end = (i + 1) * BLOCK < rows ? (i + 1) * BLOCK : rows;
    for (int64_t r = i * BLOCK; r < end; r++) {
        const float *restrict dy = k->out[0]->grad + r * N;
        for (int e = 0; e < n; e++) {
            if (k->in[1]->data[r * n + e] == 0.0f) continue;
            const float g = k->in[0]->data[r * n + e];
            const float *restrict x = k->in[2 + e]->data + r * N;
            float *restrict dx = k->in[2 + e]->grad ? k->in[2 + e]->grad + r * N : NULL;
            float dot = 0.0f;
            for (int64_t j = 0; j < N; j++) dot += dy[j] * x[j];
            for (int64_t j = 0; dx && j < N; j++) dx[j] += g * dy[j];
            if (k->in[0]->grad) k->in[0]->grad[r * n + e] += dot;
        }
    }
}

static void mix_run(const mls_call *k, void (*body)(int64_t i, void *arg))
{
    const int64_t rows = k->out[0]->count / k->out[0]->dim[2];
    mls->parfor((rows + BLOCK - 1) / BLOCK, body, (void *)(uintptr_t)k);
}

static void mix_forward(const mls_call *k) { mix_run(k, mix_block); }
static void mix_backward(const mls_call *k) { mix_run(k, mix_back_block); }

static double mix_flops(const mls_call *k)
{
    return 2.0 * (double)(k->out[0]->count * ((const moe *)k->attr)->k);
}

static const mls_op mix = { sizeof mix, "moe.mix", mix_forward, mix_backward, mix_flops };

/* ---- the balance: in p, chosen; out n sum_e f_e p_e at each step ------------------------- */

/* f of a batch: constant to the gradient, as the choice is. */
static void shares(const mls_call *k, float *f)
{
    const int n = ((const moe *)k->attr)->n;
    const int64_t rows = k->in[0]->count / n;
    double count[MOST] = { 0 }, all = 0.0;
    for (int64_t r = 0; r < rows; r++)
        for (int e = 0; e < n; e++) count[e] += (double)k->in[1]->data[r * n + e];
    for (int e = 0; e < n; e++) all += count[e];
    for (int e = 0; e < n; e++) f[e] = all > 0.0 ? (float)(n * count[e] / all) : 0.0f;
}

static void balance_forward(const mls_call *k)
{
    const int n = ((const moe *)k->attr)->n;
    float f[MOST];
    shares(k, f);
    for (int64_t r = 0; r < k->out[0]->count; r++) {
        float sum = 0.0f;
        for (int e = 0; e < n; e++) sum += f[e] * k->in[0]->data[r * n + e];
        k->out[0]->data[r] = sum;
    }
}

static void balance_backward(const mls_call *k)
{
    const int n = ((const moe *)k->attr)->n;
    float f[MOST];
    shares(k, f);
    for (int64_t r = 0; k->in[0]->grad && r < k->out[0]->count; r++)
        for (int e = 0; e < n; e++)
            k->in[0]->grad[r * n + e] += f[e] * k->out[0]->grad[r];
}

static double balance_flops(const mls_call *k) { return 3.0 * (double)k->in[0]->count; }

static const mls_op even = { sizeof even, "moe.balance", balance_forward, balance_backward,
                             balance_flops };

/* ---- the component ------------------------------------------------------------------------ */

static void setup(mls_ctx *c, void *self)
{
    moe *m = self;
    const int64_t width = mls->width(c, "in");
    m->n = 0;
    for (const mls_spec *s = m->experts; s; s = s->next) m->n++;
    if (m->n > MOST || m->k > m->n) {
        mls->fail(c, m->n > MOST ? "experts: there are %d, at most %d"
                                 : "k = %d is more than there are experts: %d",
                  m->n > MOST ? m->n : (int)m->k, m->n > MOST ? (int)MOST : m->n);
        return;
    }
    if (m->k == 1 && m->n > 1 && m->normalise) {
        mls->fail(c, "k = 1 with normalise weighs the chosen expert by 1 whatever the router "
                  "says, which so learns nothing: set normalise = false");
        return;
    }
    m->router = mls->weight(c, "router.weight", m->n, width, MLS_LINEAR);
    int e = 0;
    for (const mls_spec *s = m->experts; s; s = s->next, e++) {
        char name[24];
        snprintf(name, sizeof name, "expert%d", e);
        m->expert[e] = mls->part(c, s, name, width, width);
        if (m->expert[e]->out != width)
            mls->fail(c, "experts[%d] (%s.%s) gives %lld features, expected %lld, as many as it "
                      "is fed", e, s->component->kind, s->component->name,
                      (long long)m->expert[e]->out, (long long)width);
    }
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    moe *m = self;
    const mls_t x = in[0], mask = in[1], dt = in[2];
    const int64_t T = x->dim[0], B = x->dim[1];
    const mls_t p = mls->softmax(c, mls->linear(c, x, m->router, NULL));
    const mls_t g = mls->tensor(c, T, B, m->n), chosen = mls->tensor(c, T, B, m->n);
    MLS_APPLY(c, &gate, m, ((mls_t[]){ p, mask }), ((mls_t[]){ g, chosen }));
    mls_t all[2 + MOST] = { g, chosen };
    for (int e = 0; e < m->n; e++)
        all[2 + e] = mls->run(c, m->expert[e], x, mls->slice(c, chosen, e, 1), dt);
    const mls_t y = mls->tensor(c, T, B, x->dim[2]);
    mls->apply(c, &mix, m, all, 2 + m->n, &y, 1);
    mls->tap(c, "probability", p, NULL, "what the router gives each expert");
    mls->tap(c, "load", chosen, NULL, "1 where the step went to the expert");
    if (m->balance > 0.0) {
        const mls_t b = mls->tensor(c, T, B, 1);
        MLS_APPLY(c, &even, m, ((mls_t[]){ p, chosen }), ((mls_t[]){ b }));
        mls->penalty(c, "balance", b, m->balance);
    }
    out[0] = y;
}

static const mls_port ports[] = {
    { "in",   MLS_IN,             "T B n", "sequence" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for real steps, 0 for padding" },
    { "dt",   MLS_IN | MLS_MAYBE, "T B 1", "length of each step, for experts that know it" },
    { "out",  MLS_OUT,            "T B n", "what the chosen experts gave" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT_COMPONENTS(moe, experts, "mixer.mlp, mixer.mlp, mixer.mlp, mixer.mlp",
                       "what to choose from, of any kind, as wide as the input"),
    MLS_OPT(moe, k, MLS_INT, 2, 1, MOST, NULL, "experts that a step goes to"),
    MLS_OPT(moe, normalise, MLS_BOOL, 1, 0, 0, NULL,
            "the weights of the chosen experts sum to 1; false: they are probabilities among "
            "all experts"),
    MLS_OPT(moe, balance, MLS_REAL, 0, 0, 100, NULL,
            "weight of the loss that evens the load, 1 when it is even; 0.01 is usual"),
    MLS_OPT_END };

static const mls_component moe_mixer = {
    sizeof moe_mixer, "mixer", "moe", MLS_CAUSAL | MLS_STREAMS,
    "Mixture of experts: a router sends each step to k of several components.\n"
    "Experts may be of any kind that has one input and gives as many features: `mixer.mlp`, "
    "mixers, liquid cells, encoders. An expert with a state sees the steps that were routed to "
    "it and no others. Every expert computes every step, and what was not chosen is left out of "
    "the sum: capacity grows with the number of experts, and so does the time. It is causal and "
    "streams when its experts are and do.",
    ports, options, sizeof(moe), setup, forward, NULL };

MLS_PLUGIN("moe", "1.0", "Apache-2.0", &moe_mixer);
