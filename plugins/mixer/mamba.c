/* mamba.c - the Mamba-1 block: a selective state space model (S6).
 *
 *   x | z  = W_in in                            x, z [E],  E = expand * D
 *   u      = silu(conv(x))                      causal, depthwise, `conv` taps
 *   r|B|C  = W_x u                              r [R],  B, C [N]
 *   dt     = softplus(W_dt r + b_dt)            [E]
 *   h_t    = exp(dt A) h_{t-1} + dt B_t u_t     [E][N],  A = -exp(A_log)
 *   out    = W_out ((sum_n C_n h_n + D u) silu(z))
 *
 * Gu and Dao 2023, arXiv:2312.00752; weights are named as in state-spaces/mamba.  The
 * default is the mixture that every public Mamba computes: zero-order hold for A, Euler
 * for B.  With `zoh` the input enters exactly held, as (exp(dt A) - 1) / A * B u; with
 * `bilinear`, and r = 1 / (1 - dt A / 2), h_t = (2 r - 1) h_{t-1} + r dt B u.
 * Without selective_delta, _b or _c the rows of W_x that gave it go, and a learned
 * constant stands in: b_dt alone, or weights B (ones) and C (N(0, 1)), as in S4D.
 * mod_b and mod_c add W mod_t to B_t and C_t: what another branch knows steers what the
 * state takes in and gives out.
 */
#include <math.h>
#include <mls/gradient.h>
#include "conv_op.h"
#include "spread.h"
#include "step_bias.h"
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors only pass through inlined calls */
#endif

typedef struct mamba {
    int64_t    state, conv, expand, dt_rank;
    int        discretization;                      /* EULER, ZOH, BILINEAR          */
    int        selective_delta, selective_b, selective_c;
    double     dt_min, dt_max, dt_floor;
    int64_t    inner, rank;                         /* E, R                          */
    mls_t      in_proj, conv_w, conv_b, x_proj, dt_proj, dt_bias, a_log, skip, out_proj;
    mls_t      b_fixed, c_fixed;                    /* NULL where selective          */
    mls_t      mod_b, mod_c;                        /* NULL when unconnected         */
    mls_state *past, *ssm;
    conv_part  x;                                   /* the convolution's own         */
} mamba;

static int64_t parts(int64_t n, int64_t size) { return (n + size - 1) / size; }
static int64_t pairs(int64_t n, int64_t size) { return 2 * parts(n, 2 * size); }

/* ---- The scan -------------------------------------------------------------------- */

enum { EULER, ZOH, BILINEAR };
enum { CHUNK = 48, CHANNELS = 128, GROUP = 4, PAIR = 2 };  /* steps, channels, states */
#define LINES __attribute__((aligned(64)))         /* so that two vectors share a line */
enum { SPAN = CHUNK + 2, GROUPS = 4, AHEAD = 6 };   /* GROUPs whose columns are kept;
                                                       rows to fetch before their use */

/* Everything that an item of the scan reads and writes; items overlap in nothing. */
typedef struct scan_job {
    int64_t T, B, E, N;
    int64_t chunks, segments, blocks, padded;       /* padded: N to whole GROUPs */
    int64_t zs;                                     /* floats from row to row of z    */
    int     rule;                                   /* EULER, ZOH or BILINEAR         */
    const float *u, *raw, *z, *bm, *cm, *a_log, *skip, *mask, *h0, *gout, *gh1;
    float  *out, *h1, *border;                      /* border: h where chunks begin   */
    float  *rate, *fastest;                         /* A log2(e), its largest size */
    float  *gu, *graw, *gz, *gh0, *carry;           /* carry: of h, [B] blocks          */
    int     add_u, add_raw, add_z;                  /* to what these hold already       */
    float  *ga_part, *gskip_part;                   /* by sample                      */
    float  *gb_part, *gc_part;                      /* by segment of channels         */
} scan_job;

#define LANES 4
#define FN(x) x##_plain
#define TARGET
#include "mamba_scan.h"
#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "mamba_scan.h"
#define LANES 16
#define FN(x) x##_avx512
#define TARGET MLS_AVX512
#include "mamba_scan.h"
#endif

typedef struct scan_code {
    int  lanes;
    void (*rates)(const scan_job *);
    void (*forward)(int64_t, void *), (*backward)(int64_t, void *);
    void (*conv_forward)(int64_t, void *), (*conv_backward)(int64_t, void *);
} scan_code;

static scan_code code_of(int isa)
{
#if defined(__x86_64__)
    if (isa == MLS_ISA_AVX512)
        return (scan_code){ 16, rates_avx512, forward_item_avx512, backward_item_avx512,
                            conv_forward_item_avx512, conv_backward_item_avx512 };
    if (isa == MLS_ISA_AVX2)
        return (scan_code){ 8, rates_avx2, forward_item_avx2, backward_item_avx2,
                            conv_forward_item_avx2, conv_backward_item_avx2 };
#endif
    (void)isa;
    return (scan_code){ 4, rates_plain, forward_item_plain, backward_item_plain,
                            conv_forward_item_plain, conv_backward_item_plain };
}

/* The border tensor is sized for the widest vectors, whatever the machine. */
static int64_t padded_width(const mamba *p)
{
    return pairs(p->inner, 16) * 16 * parts(p->state, GROUP) * GROUP;
}

enum { U, RAW, BM, CM, A_LOG, SKIP, XZ, H0, MASK, INPUTS };
enum { OUT, H1, BORDER, OUTPUTS };

static scan_job job_of(const mls_call *k, scan_code code)
{
    const mamba *p = k->attr;
    const mls_t *in = k->in;
    scan_job j = { .T = in[U]->dim[0], .B = in[U]->dim[1], .E = p->inner, .N = p->state };
    j.chunks = parts(j.T, CHUNK);
    j.segments = parts(j.E, CHANNELS);
    j.blocks = pairs(j.E, code.lanes);
    j.padded = parts(j.N, GROUP) * GROUP;
    j.rule = p->discretization;
    j.zs = 2 * j.E;
    j.u = in[U]->data, j.raw = in[RAW]->data, j.z = in[XZ]->data + j.E;
    j.bm = in[BM]->data, j.cm = in[CM]->data;
    j.a_log = in[A_LOG]->data, j.skip = in[SKIP]->data, j.h0 = in[H0]->data;
    j.mask = in[MASK] ? in[MASK]->data : NULL;
    j.out = k->out[OUT]->data, j.h1 = k->out[H1]->data, j.border = k->out[BORDER]->data;
    const size_t table = (size_t)(j.blocks * code.lanes * j.padded);
    j.rate = mls->scratch(k, (table + 1) * sizeof(float));
    if (j.rate) {
        j.fastest = j.rate + table;
        code.rates(&j);
    }
    return j;
}

/* Waking threads costs more than a short sequence does; which of the two runs the items
 * does not change a bit. */
static void each_item(const scan_job *j, void (*body)(int64_t, void *))
{
    scan_job own = *j;
    const int64_t items = j->B * j->segments;
    if (j->T * j->B * j->E * j->N >= 100000) mls->parfor(items, body, &own);
    else for (int64_t i = 0; i < items; i++) body(i, &own);
}

static void scan_forward(const mls_call *k)
{
    const scan_code code = code_of(mls->isa);
    const scan_job j = job_of(k, code);
    if (!j.rate) return;
    each_item(&j, code.forward);
    /* what is there for wider vectors than these: nobody reads it, and it holds no NaN */
    const int64_t used = j.chunks * j.B * j.blocks * code.lanes * j.padded;
    memset(j.border + used, 0,
           (size_t)(k->out[BORDER]->count - used) * sizeof *j.border);
}

/* part[0][n] = the sum of part[B][n], in their order. */
static void sum_parts(float *part, int64_t B, int64_t n)
{
    for (int64_t b = 1; b < B; b++)
        for (int64_t i = 0; i < n; i++) part[i] += part[b * n + i];
}

/* Adds up what the samples found for A and D. */
static void sum_samples(const mls_call *k, const scan_job *j, int lanes)
{
    float *const ga = k->in[A_LOG]->grad, *const gD = k->in[SKIP]->grad;
    sum_parts(j->ga_part, j->B, j->blocks * lanes * j->padded);
    sum_parts(j->gskip_part, j->B, j->blocks * lanes);
    for (int64_t e = 0; e < j->E; e++) {
        if (gD) gD[e] += j->gskip_part[e];
        for (int64_t n = 0; ga && n < j->N; n++) {
            const int64_t at = (e / lanes * j->padded + n) * lanes + e % lanes;
            /* dA / dA_log = A */
            ga[e * j->N + n] += j->ga_part[at] * (j->rate[at] * MLS_LN2);
        }
    }
}

/* Adds up what the segments of channels found for B or C, in their order. */
static void sum_segments(const scan_job *j, const float *part, float *grad, int add)
{
    const int64_t n = j->T * j->B * j->N;
    if (grad && !add) memcpy(grad, part, (size_t)n * sizeof *grad);
    for (int64_t s = add ? 0 : 1; grad && s < j->segments; s++)
        for (int64_t i = 0; i < n; i++) grad[i] += part[s * n + i];
}

/* The gradient of out, which may not have got any. */
static const float *gradient_of(const mls_call *k, mls_t out)
{
    if (out->grad) return out->grad;
    const size_t bytes = (size_t)out->count * sizeof(float);
    float *zeros = mls->scratch(k, bytes);
    return zeros ? memset(zeros, 0, bytes) : NULL;
}

static void scan_backward(const mls_call *k)
{
    const scan_code code = code_of(mls->isa);
    scan_job j = job_of(k, code);
    const size_t table = (size_t)(j.B * j.blocks * code.lanes);
    const size_t rows = (size_t)(j.segments * j.T * j.B * j.N);
    j.ga_part = mls->scratch(k, table * (size_t)j.padded * sizeof(float));
    j.gskip_part = mls->scratch(k, table * sizeof(float));
    j.gb_part = mls->scratch(k, rows * sizeof(float));
    j.gc_part = mls->scratch(k, rows * sizeof(float));
    j.carry = mls->scratch(k, table * (size_t)j.padded * sizeof(float));
    j.gout = gradient_of(k, k->out[OUT]), j.gh1 = k->out[H1]->grad;
    if (!j.rate || !j.ga_part || !j.gskip_part || !j.gb_part || !j.gc_part || !j.carry ||
        !j.gout)
        return;
    const int whole[] = { A_LOG, SKIP, H0 };
    for (int i = 0; i < 3; i++) mls_clear_if_fresh(k, whole[i]);
    j.add_u = !mls_is_fresh(k, U), j.add_raw = !mls_is_fresh(k, RAW);
    j.add_z = !mls_is_fresh(k, XZ);
    j.gu = k->in[U]->grad, j.graw = k->in[RAW]->grad, j.gh0 = k->in[H0]->grad;
    j.gz = k->in[XZ]->grad ? k->in[XZ]->grad + j.E : NULL;
    each_item(&j, code.backward);
    sum_samples(k, &j, code.lanes);
    sum_segments(&j, j.gb_part, k->in[BM]->grad, !mls_is_fresh(k, BM));
    sum_segments(&j, j.gc_part, k->in[CM]->grad, !mls_is_fresh(k, CM));
}

static double scan_flops(const mls_call *k)
{
    const mamba *p = k->attr;
    /* exp counts 10, the two multiply-adds and dt A 5; softplus and gate 60 */
    return (double)k->in[U]->count * (15.0 * (double)p->state + 60.0);
}

static const mls_op scan = { sizeof scan, "mamba.scan", scan_forward, scan_backward,
                             scan_flops };

/* ---- Weights --------------------------------------------------------------------- */

/* A_log = ln(1..N) in every channel: S4D-real. */
static void init_a_log(float *w, int64_t rows, int64_t cols, const void *self)
{
    (void)self;
    for (int64_t e = 0; e < rows; e++)
        for (int64_t n = 0; n < cols; n++) w[e * cols + n] = logf((float)(n + 1));
}

/* U(0, 1) -> the bias of a step size that starts log-uniform. */
static void init_dt_bias(float *w, int64_t rows, int64_t cols, const void *self)
{
    const mamba *p = self;
    step_bias(w, rows * cols, p->dt_min, p->dt_max, p->dt_floor);
}

static mls_init adjusted(mls_init_kind kind, double a, double b,
                         void (*adjust)(float *, int64_t, int64_t, const void *))
{
    return (mls_init){ kind, a, b, MLS_NO_DECAY, adjust };
}

static void setup(mls_ctx *c, void *self)
{
    mamba *p = self;
    const int64_t D = mls->width(c, "in"), E = D * p->expand, N = p->state, K = p->conv;
    const int64_t R = p->dt_rank ? p->dt_rank : parts(D, 16);
    const mls_init zero = mls_init_of(MLS_CONSTANT, 0.0, 0);

    if (p->dt_min > p->dt_max)
        mls->fail(c, "dt_min %g is above dt_max %g", p->dt_min, p->dt_max);
    p->inner = E, p->rank = R;
    const scan_code code = code_of(mls->isa);
    p->x = (conv_part){ 0, CHANNELS, code.conv_forward, code.conv_backward };
    p->in_proj = mls->weight(c, "in_proj.weight", 2 * E, D, MLS_LINEAR);
    p->conv_w = mls->weight(c, "conv1d.weight", E, K, MLS_LINEAR);
    p->conv_b = mls->weight(c, "conv1d.bias", 1, E,
                            mls_init_of(MLS_UNIFORM, 1.0 / sqrt((double)K), 0));
    const int64_t rows = p->selective_delta * R + (p->selective_b + p->selective_c) * N;
    if (rows) p->x_proj = mls->weight(c, "x_proj.weight", rows, E, MLS_LINEAR);
    if (p->selective_delta)
        p->dt_proj = mls->weight(c, "dt_proj.weight", E, R, MLS_LINEAR);
    if (!p->selective_b) p->b_fixed = mls->weight(c, "B", 1, N, MLS_ONES);
    if (!p->selective_c)
        p->c_fixed = mls->weight(c, "C", 1, N, mls_init_of(MLS_NORMAL, 1.0, MLS_NO_DECAY));
    p->dt_bias = mls->weight(c, "dt_proj.bias", 1, E,
                             adjusted(MLS_RANGE, 0.0, 1.0, init_dt_bias));
    p->a_log = mls->weight(c, "A_log", E, N, adjusted(MLS_CONSTANT, 0.0, 0.0, init_a_log));
    p->skip = mls->weight(c, "D", 1, E, MLS_ONES);
    p->out_proj = mls->weight(c, "out_proj.weight", D, E, MLS_LINEAR);
    if (mls->connected(c, "mod_b"))
        p->mod_b = mls->weight(c, "mod_b.weight", N, mls->width(c, "mod_b"), zero);
    if (mls->connected(c, "mod_c"))
        p->mod_c = mls->weight(c, "mod_c.weight", N, mls->width(c, "mod_c"), zero);
    p->past = mls->state(c, "conv", (K - 1) * E, 0.0, NULL,
                         "last inputs of the convolution, oldest first");
    p->ssm = mls->state(c, "ssm", E * N, 0.0, NULL, "state h, [channel][n]");
}

/* ---- Forward --------------------------------------------------------------------- */

/* The next n features; NULL for none. */
static mls_t part(mls_ctx *c, mls_t x, int64_t n, int64_t *at)
{
    *at += n;
    return n ? mls->slice(c, x, *at - n, n) : NULL;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const mamba *p = self;
    mls_t x = in[0], mask = in[3];
    const int64_t T = x->dim[0], B = x->dim[1], E = p->inner, N = p->state, R = p->rank;

    mls_t xz = mls->linear(c, x, p->in_proj, NULL);
    mls_t u = mls->tensor(c, T, B, E), past = mls->tensor(c, 1, B, (p->conv - 1) * E);
    const mls_t taps[] = { xz, p->conv_w, p->conv_b, mls->load(c, p->past), mask };
    const mls_t made[] = { u, past };
    mls_apply_as(c, MLS_REPEATS | MLS_OVER(C_ALL), &conv, &p->x, taps, 5, made, 2);
    mls->store(c, p->past, past);
    mls_t rbc = p->x_proj ? mls->linear(c, u, p->x_proj, NULL) : NULL;
    int64_t at = 0;
    mls_t r = part(c, rbc, p->selective_delta ? R : 0, &at);
    mls_t bm = part(c, rbc, p->selective_b ? N : 0, &at);
    mls_t cm = part(c, rbc, p->selective_c ? N : 0, &at);
    mls_t raw = r ? mls->linear(c, r, p->dt_proj, p->dt_bias) : spread(c, p->dt_bias, T, B);
    if (!bm) bm = spread(c, p->b_fixed, T, B);
    if (!cm) cm = spread(c, p->c_fixed, T, B);
    if (p->mod_b) bm = mls->binary(c, MLS_ADD, bm, mls->linear(c, in[1], p->mod_b, NULL));
    if (p->mod_c) cm = mls->binary(c, MLS_ADD, cm, mls->linear(c, in[2], p->mod_c, NULL));
    mls->tap(c, "B", bm, NULL, "input weights of the state");
    mls->tap(c, "C", cm, NULL, "output weights of the state");
    if (mls->wanted(c, "delta")) {
        mls_t delta = mls->unary(c, MLS_SOFTPLUS, raw);
        if (mask) delta = mls->binary(c, MLS_MUL, delta, mask);
        mls->tap(c, "delta", delta, "step", "step size of each channel");
    }

    mls_t y = mls->tensor(c, T, B, E), h1 = mls->tensor(c, 1, B, E * N);
    mls_t border = mls->tensor(c, parts(T, CHUNK), B, padded_width(p));
    const mls_t from[INPUTS] = { u, raw, bm, cm, p->a_log, p->skip, xz,
                                 mls->load(c, p->ssm), mask };
    const mls_t to[OUTPUTS] = { y, h1, border };
    mls_expect(c, (size_t)(2 * B * N * (parts(E, CHANNELS) * T + E)) * sizeof(float));
    mls_apply_as(c, MLS_WRITES | MLS_OMITS | MLS_FORGETS | MLS_OVER(RAW) | MLS_OVER(XZ) |
                 MLS_PASSES(U), &scan, p, from, INPUTS, to, OUTPUTS);
    mls->store(c, p->ssm, h1);
    mls->tap(c, "state", h1, NULL, "state after the chunk, [channel][n]");
    mls_t o = mls->linear(c, y, p->out_proj, NULL);
    out[0] = mask ? mls->binary(c, MLS_MUL, o, mask) : o;
}

/* ---- Descriptor ------------------------------------------------------------------ */

static const mls_port ports[] = {
    { "in",    MLS_IN,             "T B in", "sequence" },
    { "mod_b", MLS_IN | MLS_MAYBE, "T B p",  "added to B through a weight that starts at 0" },
    { "mod_c", MLS_IN | MLS_MAYBE, "T B q",  "added to C through a weight that starts at 0" },
    { "mask",  MLS_IN | MLS_MAYBE, "T B 1",  "1 for a real step, 0 for padding" },
    { "out",   MLS_OUT,            "T B in", "sequence, of the width of in" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(mamba, state, MLS_INT, 16, 1, 256, NULL, "states N of each channel"),
    MLS_OPT(mamba, conv, MLS_INT, 4, 2, 64, "steps", "length of the convolution"),
    MLS_OPT(mamba, expand, MLS_INT, 2, 1, 16, NULL, "inner channels for each input channel"),
    MLS_OPT(mamba, dt_rank, MLS_INT, 0, 0, 4096, NULL,
            "rank of the step size's projection; 0 means a sixteenth of the width"),
    MLS_OPT_CHOICE(mamba, discretization, "zoh_a_euler_b|zoh|bilinear",
                   "of A and B: held and Euler as in every public Mamba, both exactly held, "
                   "or both by the trapezoidal rule (Tustin)"),
    MLS_OPT(mamba, selective_delta, MLS_BOOL, 1, 0, 0, NULL,
            "the step size depends on the input; off: one learned step size per channel"),
    MLS_OPT(mamba, selective_b, MLS_BOOL, 1, 0, 0, NULL,
            "B depends on the input; off: a learned vector"),
    MLS_OPT(mamba, selective_c, MLS_BOOL, 1, 0, 0, NULL,
            "C depends on the input; off: a learned vector"),
    MLS_OPT(mamba, dt_min, MLS_REAL, 1e-3, 1e-6, 10, NULL, "least step size at the start"),
    MLS_OPT(mamba, dt_max, MLS_REAL, 0.1, 1e-6, 10, NULL, "largest step size at the start"),
    MLS_OPT(mamba, dt_floor, MLS_REAL, 1e-4, 0, 10, NULL, "step sizes start no lower"),
    MLS_OPT_END };

static const mls_component mixer = {
    sizeof mixer, "mixer", "mamba", MLS_CAUSAL | MLS_STREAMS,
    "Mamba-1 block: a selective state space model.\n"
    "Step size, B and C are functions of the input, so that the state chooses what it "
    "keeps. Weights carry the names of the public state-spaces/mamba models. The other "
    "branch of a network may steer what is taken in (`mod_b`) and given out (`mod_c`).",
    ports, options, sizeof(mamba), setup, forward, NULL };

MLS_PLUGIN("mamba", "1.0", "Apache-2.0", &mixer);
