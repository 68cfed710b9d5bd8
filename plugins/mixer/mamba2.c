/* mamba2.c - the Mamba-2 block: a selective state space model with one decay per head
 * (state space duality, SSD).
 *
 *   z | xBC | r  = W_in in                      z [E], xBC [E + 2 G N], r [H]
 *   x | B | C    = silu(conv(xBC))              causal, depthwise, `conv` taps
 *   dt           = softplus(r + b_dt)           [H]
 *   S_t          = exp(dt A) S_{t-1} + dt B_t (x) x_t     per head [N][P], A = -e^A_log
 *   y            = C_t S_t + D x_t
 *   out          = W_out RMSNorm(y silu(z))     by group, eps 1e-5
 *
 * E = expand * D, H = E / P heads, G groups of heads that share B and C.  Dao and Gu
 * 2024, arXiv:2405.21060; weights are named as in state-spaces/mamba.  Different here:
 * any head size goes that divides E; dt is not clamped (dt_limit is (0, inf) there as
 * well).  z, x, B and C are read where the projection and the convolution wrote them.
 * mod_b and mod_c add W mod_t to B_t and C_t.
 */
#include <math.h>
#include "mamba2_ops.h"
#include "step_bias.h"

typedef struct mamba2 {
    int64_t    state, head, groups, conv, expand;
    double     dt_min, dt_max, dt_floor, a_min, a_max;
    int64_t    inner;                               /* E                             */
    outer      o;
    conv_part  xbc;                                 /* where xBC begins, its loops   */
    gate_part  gate;                                /* of the norm                   */
    mls_t      in_proj, conv_w, conv_b, dt_bias, a_log, skip, norm, out_proj;
    mls_t      mod_b, mod_c;                        /* NULL when unconnected         */
    mls_state *past, *ssm;
} mamba2;

/* ---- Weights --------------------------------------------------------------------- */

static void init_a_log(float *w, int64_t rows, int64_t cols, const void *self)
{
    (void)self;
    for (int64_t i = 0; i < rows * cols; i++) w[i] = logf(w[i]);
}

static void init_dt_bias(float *w, int64_t rows, int64_t cols, const void *self)
{
    const mamba2 *p = self;
    step_bias(w, rows * cols, p->dt_min, p->dt_max, p->dt_floor);
}

/* The largest divisor of E up to 64. */
static int64_t usual_head(int64_t E)
{
    int64_t P = E < 64 ? E : 64;
    while (E % P) P--;
    return P;
}

static int fits(mls_ctx *c, const mamba2 *p, int64_t E, int64_t P)
{
    if (p->dt_min > p->dt_max)
        mls->fail(c, "dt_min %g is above dt_max %g", p->dt_min, p->dt_max);
    else if (p->a_min > p->a_max)
        mls->fail(c, "a_min %g is above a_max %g", p->a_min, p->a_max);
    else if (E % P)
        mls->fail(c,
                  "head = %lld does not divide the inner width %lld (expand times the "
                  "width): take a divisor, or 0",
                  (long long)P, (long long)E);
    else if (E / P % p->groups)
        mls->fail(c,
                  "groups = %lld does not divide the %lld heads (inner width %lld over "
                  "head size %lld)",
                  (long long)p->groups, (long long)(E / P), (long long)E, (long long)P);
    else return 1;
    return 0;
}

static void setup(mls_ctx *c, void *self)
{
    mamba2 *p = self;
    const int64_t D = mls->width(c, "in"), E = D * p->expand, K = p->conv;
    const int64_t P = p->head ? p->head : usual_head(E), GN = p->groups * p->state;
    const mls_init zero = mls_init_of(MLS_CONSTANT, 0.0, 0);

    if (!fits(c, p, E, P)) return;
    const int64_t H = E / P, W = E + 2 * GN;
    p->inner = E;
    p->xbc = conv_part_of(E);
    p->gate = (gate_part){ E / p->groups, H };
    p->in_proj = mls->weight(c, "in_proj.weight", E + W + H, D, MLS_LINEAR);
    p->conv_w = mls->weight(c, "conv1d.weight", W, K, MLS_LINEAR);
    p->conv_b = mls->weight(c, "conv1d.bias", 1, W,
                            mls_init_of(MLS_UNIFORM, 1.0 / sqrt((double)K), 0));
    p->dt_bias = mls->weight(c, "dt_bias", 1, H, (mls_init){ MLS_RANGE, 0.0, 1.0,
                             MLS_NO_DECAY, init_dt_bias });
    p->a_log = mls->weight(c, "A_log", 1, H, (mls_init){ MLS_RANGE, p->a_min, p->a_max,
                           MLS_NO_DECAY, init_a_log });
    p->skip = mls->weight(c, "D", 1, H, MLS_ONES);
    p->norm = mls->weight(c, "norm.weight", 1, E, MLS_ONES);
    p->out_proj = mls->weight(c, "out_proj.weight", D, E, MLS_LINEAR);
    if (mls->connected(c, "mod_b"))
        p->mod_b = mls->weight(c, "mod_b.weight", GN, mls->width(c, "mod_b"), zero);
    if (mls->connected(c, "mod_c"))
        p->mod_c = mls->weight(c, "mod_c.weight", GN, mls->width(c, "mod_c"), zero);
    p->o = (outer){ .heads = H, .groups = p->groups, .size = P, .keys = p->state,
                    .k = p->mod_b ? 0 : E, .q = p->mod_c ? 0 : E + GN, .own = 1 };
    p->past = mls->state(c, "conv", (K - 1) * W, 0.0, NULL,
                         "last inputs of the convolution, oldest first");
    p->ssm = mls->state(c, "ssm", E * p->state, 0.0, NULL, "state S, [head][n][p]");
}

/* ---- Forward --------------------------------------------------------------------- */

static mls_t convolved(mls_ctx *c, const mamba2 *p, mls_t all, mls_t mask)
{
    const int64_t W = p->inner + 2 * p->groups * p->state, T = all->dim[0],
                  B = all->dim[1];
    mls_t u = mls->tensor(c, T, B, W), past = mls->tensor(c, 1, B, (p->conv - 1) * W);
    const mls_t in[] = { all, p->conv_w, p->conv_b, mls->load(c, p->past), mask },
                out[] = { u, past };
    mls_apply_as(c, MLS_REPEATS | MLS_OVER(C_ALL), &conv, &p->xbc, in, 5, out, 2);
    mls->store(c, p->past, past);
    return u;
}

static mls_t gated(mls_ctx *c, const mamba2 *p, mls_t y, mls_t all)
{
    const mls_t in[] = { y, all, p->norm },
                out = mls->tensor(c, y->dim[0], y->dim[1], p->inner);
    mls_apply_as(c, MLS_WRITES | MLS_REPEATS | MLS_OVER(G_ALL) | MLS_PASSES(G_Y), &gate,
                 &p->gate, in, 3, &out, 1);
    return out;
}

/* B or C, as `tap`: part of xbc that begins at `from`, of its own where something is added
 * or it is recorded, else NULL. */
static mls_t keys(mls_ctx *c, const mamba2 *p, mls_t xbc, int64_t from, mls_t w, mls_t mod,
                  const char *tap, const char *help)
{
    if (!w && !mls->wanted(c, tap)) return NULL;
    mls_t k = mls->slice(c, xbc, from, p->groups * p->state);
    if (w) k = mls->binary(c, MLS_ADD, k, mls->linear(c, mod, w, NULL));
    mls->tap(c, tap, k, NULL, help);
    return w ? k : NULL;
}

/* Step size and decay of each head, [T][B][H]. */
static mls_t decay(mls_ctx *c, const mamba2 *p, mls_t raw, mls_t mask, mls_t *dt)
{
    mls_t a = mls->unary(c, MLS_NEGATE, mls->unary(c, MLS_EXP, p->a_log));
    *dt = mls->unary(c, MLS_SOFTPLUS, mls->binary(c, MLS_ADD, raw, p->dt_bias));
    mls_t kept = mls->unary(c, MLS_EXP, mls->binary(c, MLS_MUL, *dt, a));
    if (mls->wanted(c, "delta"))
        mls->tap(c, "delta", mask ? mls->binary(c, MLS_MUL, *dt, mask) : *dt, "step",
                 "step size of each head");
    mls->tap(c, "decay", kept, NULL, "share of its state that each head keeps");
    return kept;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const mamba2 *p = self;
    mls_t x = in[0], mask = in[3], dt, last;
    const int64_t E = p->inner, H = p->o.heads, GN = p->groups * p->state,
                  W = E + 2 * GN;

    mls_t all = mls->linear(c, x, p->in_proj, NULL);
    mls_t raw = mls->slice(c, all, E + W, H), xbc = convolved(c, p, all, mask);
    mls_t bm = keys(c, p, xbc, E, p->mod_b, in[1], "B",
                    "input weights of the state, by group");
    mls_t cm = keys(c, p, xbc, E + GN, p->mod_c, in[2], "C",
                    "output weights of the state, by group");
    mls_t a = decay(c, p, raw, mask, &dt);
    mls_t from[OUTER_INPUTS] = { xbc, bm, cm, a, dt, p->skip, NULL, mask };
    mls_t y = outer_apply(c, &p->o, from, p->ssm, &last);
    mls->tap(c, "state", last, NULL, "state after the chunk, [head][n][p]");
    y = gated(c, p, y, all);
    mls_t o = mls->linear(c, y, p->out_proj, NULL);
    out[0] = mask ? mls->binary(c, MLS_MUL, o, mask) : o;
}

/* ---- Descriptor ------------------------------------------------------------------ */

static const mls_port ports[] = {
    { "in", MLS_IN, "T B in", "sequence" },
    { "mod_b", MLS_IN | MLS_MAYBE, "T B p",
      "added to B through a weight that starts at 0" },
    { "mod_c", MLS_IN | MLS_MAYBE, "T B q",
      "added to C through a weight that starts at 0" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding" },
    { "out", MLS_OUT, "T B in", "sequence, of the width of in" },
    MLS_PORT_END
};

static const mls_option options[] = {
    MLS_OPT(mamba2, state, MLS_INT, 128, 1, 1024, NULL, "states N of each channel"),
    MLS_OPT(mamba2, head, MLS_INT, 0, 0, 65536, NULL,
            "channels P of a head; 0 means the largest divisor of the inner width up "
            "to 64"),
    MLS_OPT(mamba2, groups, MLS_INT, 1, 1, 1024, NULL,
            "groups of heads with B, C and norm of their own; must divide the heads"),
    MLS_OPT(mamba2, conv, MLS_INT, 4, 2, 64, "steps", "length of the convolution"),
    MLS_OPT(mamba2, expand, MLS_INT, 2, 1, 16, NULL,
            "inner channels for each input channel"),
    MLS_OPT(mamba2, dt_min, MLS_REAL, 1e-3, 1e-6, 10, NULL,
            "least step size at the start"),
    MLS_OPT(mamba2, dt_max, MLS_REAL, 0.1, 1e-6, 10, NULL,
            "largest step size at the start"),
    MLS_OPT(mamba2, dt_floor, MLS_REAL, 1e-4, 0, 10, NULL, "step sizes start no lower"),
    MLS_OPT(mamba2, a_min, MLS_REAL, 1, 1e-6, 1e3, NULL, "-A starts uniform from here"),
    MLS_OPT(mamba2, a_max, MLS_REAL, 16, 1e-6, 1e3, NULL,
            "-A starts uniform up to here"),
    MLS_OPT_END
};

static const mls_component mixer = {
    sizeof mixer, "mixer", "mamba2", MLS_CAUSAL | MLS_STREAMS,
    "Mamba-2 block (SSD): a selective state space model with one decay per head.\n"
    "Each head keeps a matrix `state` by `head` that decays as a whole: without an "
    "exponential for each state, far larger states are within reach than in "
    "`mixer.mamba`. Any head size goes that divides the inner width. Weights carry the "
    "names of the public "
    "state-spaces/mamba models. `mod_b` and `mod_c` take what another branch knows.",
    ports, options, sizeof(mamba2), setup, forward, NULL };

MLS_PLUGIN("mamba2", "1.0", "Apache-2.0", &mixer);
