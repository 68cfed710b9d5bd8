/* s4d.c - S4D: a diagonal state space model that does not depend on its input.
 *
 *   A    = -exp(log_A_real) + i A_imag          [D][M], M = state / 2 complex modes
 *   Abar = exp(dt A),  Cbar = C (Abar - 1) / A  zero-order hold, dt = e^log_dt, B = 1
 *   h_t  = Abar h_{t-1} + u_t                   each channel by itself
 *   y_t  = 2 Re sum_m Cbar_m h_t,m + D u_t
 *   out  = a sigmoid(b),  a | b = W dropout(gelu(y)) + bias
 *
 * With mod_b and mod_c, B and C depend on the step, by real numbers that all channels
 * share:  h_t,m = Abar h_{t-1},m + (1 + (W_B mod_t)_m) u_t  and, in Cbar, C_m + (W_C
 * mod_t)_m in the place of C_m.  It is a recurrence as before, no longer a convolution.
 *
 * Gu et al. 2022, arXiv:2206.11893, and s4d.py of state-spaces/s4, whose names the
 * weights carry (S4D-Lin: A starts at -1/2 + i pi m).  It is the control for what
 * selectivity brings.  Different here: the recurrence is computed step by step, not as
 * a convolution by FFT, so that it streams; weights of the kernel have no weight decay,
 * as there, but the learning rate of all others.
 */
#include <complex.h>
#include <math.h>
#include <mls/kernel.h>
#include "spread.h"
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors only pass through inlined calls */
#endif

typedef struct s4d {
    int64_t    state;
    double     dt_min, dt_max, dropout;
    int64_t    modes;                                       /* M */
    mls_t      log_dt, a_real, a_imag, c, skip, out, out_bias;
    mls_t      mod_b, mod_c;                        /* NULL when unconnected         */
    mls_state *h;
} s4d;

/* ---- The scan -------------------------------------------------------------------- */

enum { CHUNK = 64, CHANNELS = 64, GROUP = 4, MODES = 2 };

/* Tables and states are [m][re, im][channel]. */
typedef struct scan_job {
    int64_t T, B, H, M, chunks, segments;
    const float *u, *skip, *mask, *h0, *gy;
    float *y, *h1, *border; /* border: h where chunks 1.. begin                 */
    float *a, *c;           /* Abar; c: y = h.re c.re + h.im c.im               */
    float *gu, *carry, *ga, *gc, *gskip; /* the last three by sample */
    const float *mb, *mc;                /* [T][B][M] added to B and C, or NULL     */
    float *hold;                         /* as c, for a C of 1                      */
    float *gmb, *gmc, *ghold;            /* ghold by sample                         */
} scan_job;

/* What mod_b and mod_c add at the steps of a chunk to the modes of a pair. */
typedef struct steer { float b[CHUNK][MODES], c[CHUNK][MODES]; } steer;

static inline void steer_pair(const float *from, const scan_job *j, int64_t t0,
                              int64_t len, int64_t b, int64_t m, float (*to)[MODES])
{
    for (int64_t t = 0; t < len; t++)
        for (int64_t i = 0; i < MODES; i++)
            to[t][i] = from && m + i < j->M
                           ? from[((t0 + t) * j->B + b) * j->M + m + i] : 0.0f;
}

static inline const float *scan_begin(const scan_job *j, int64_t chunk, int64_t b)
{
    const int64_t rows = 2 * j->M * j->H;
    return chunk ? j->border + ((chunk - 1) * j->B + b) * rows : j->h0 + b * rows;
}

#define LANES 4
#define FN(x) x##_plain
#define TARGET
#include "s4d_scan.h"
#if defined(__x86_64__)
#define LANES 8
#define FN(x) x##_avx2
#define TARGET MLS_AVX2
#include "s4d_scan.h"
#define LANES 16
#define FN(x) x##_avx512
#define TARGET MLS_AVX512
#include "s4d_scan.h"
#endif

typedef void (*scan_item)(int64_t, void *);

enum { FORWARD, BACKWARD, WHOLE }; /* WHOLE: backward of a sample at a time */

static scan_item code_of(int way)
{
#define CODE(isa)                                                                      \
    return way == FORWARD ? forward_item_##isa                                         \
         : way == BACKWARD ? backward_item_##isa : backward_sample_##isa
#if defined(__x86_64__)
    if (mls->isa == MLS_ISA_AVX512) CODE(avx512);
    if (mls->isa == MLS_ISA_AVX2) CODE(avx2);
#endif
    CODE(plain);
#undef CODE
}

enum { U, LOG_DT, A_REAL, A_IMAG, C, SKIP, H0, MASK, MOD_B, MOD_C, INPUTS };
enum { Y, H1, BORDER, OUTPUTS };

/* A mode and what the scan is given of it. */
typedef struct mode { double dt, re; double complex a, abar, hold, c; } mode;

static mode mode_of(const mls_t *in, int64_t M, int64_t e, int64_t m)
{
    const double complex i = _Complex_I;
    const double re = -exp((double)in[A_REAL]->data[e * M + m]);
    const float *c = in[C]->data + (e * M + m) * 2;
    mode k = { .dt = exp((double)in[LOG_DT]->data[e]), .re = re };
    k.a = re + i * (double)in[A_IMAG]->data[e * M + m];
    k.abar = cexp(k.dt * k.a);
    k.hold = (k.abar - 1.0) / k.a;
    k.c = (double)c[0] + i * (double)c[1];
    return k;
}

static scan_job job_of(const mls_call *k)
{
    const s4d *p = k->attr;
    const mls_t *in = k->in;
    scan_job j = { .T = in[U]->dim[0], .B = in[U]->dim[1], .H = in[U]->dim[2],
                   .M = p->modes };
    j.chunks = (j.T + CHUNK - 1) / CHUNK;
    j.segments = (j.H + CHANNELS - 1) / CHANNELS;
    j.u = in[U]->data, j.skip = in[SKIP]->data, j.h0 = in[H0]->data;
    j.mask = in[MASK] ? in[MASK]->data : NULL;
    j.y = k->out[Y]->data, j.h1 = k->out[H1]->data, j.border = k->out[BORDER]->data;
    j.mb = in[MOD_B] ? in[MOD_B]->data : NULL;
    j.mc = in[MOD_C] ? in[MOD_C]->data : NULL;
    j.a = mls->scratch(k, (size_t)(6 * j.M * j.H) * sizeof(float));
    if (!j.a) return j;
    j.c = j.a + 2 * j.M * j.H, j.hold = j.c + 2 * j.M * j.H;
    for (int64_t e = 0; e < j.H; e++)
        for (int64_t m = 0; m < j.M; m++) {
            const mode d = mode_of(in, j.M, e, m);
            const double complex c = 2.0 * d.c * d.hold;
            const int64_t re = 2 * m * j.H + e, im = re + j.H;
            j.a[re] = (float)creal(d.abar), j.a[im] = (float)cimag(d.abar);
            j.c[re] = (float)creal(c), j.c[im] = (float)-cimag(c);
            j.hold[re] = (float)(2.0 * creal(d.hold));
            j.hold[im] = (float)(-2.0 * cimag(d.hold));
        }
    return j;
}

/* Waking threads costs more than a short sequence does. */
static void each_item(const scan_job *j, int way)
{
    scan_job own = *j;
    const scan_item body = code_of(way);
    const int64_t items = way == WHOLE ? j->B : j->B * j->segments;
    if (j->T * j->B * j->H * j->M >= 500000) mls->parfor(items, body, &own);
    else for (int64_t i = 0; i < items; i++) body(i, &own);
}

static void scan_forward(const mls_call *k)
{
    const scan_job j = job_of(k);
    if (!j.a) return;
    if (j.chunks == 1) j.border[0] = 0.0f;
    each_item(&j, FORWARD);
}

static void add(float *grad, int64_t i, double x) { if (grad) grad[i] += (float)x; }

/* From Abar, Cbar and the hold beside it to the weights.  For an analytic f the gradient of its argument is
 * conj(f') times that of its value. */
static void mode_back(const mls_call *k, int64_t M, int64_t e, int64_t m,
                      double complex gabar, double complex gc, double complex gheld)
{
    const mls_t *in = k->in;
    const mode d = mode_of(in, M, e, m);
    const double complex ghold = conj(d.c) * gc + gheld, gown = conj(d.hold) * gc;
    const double complex gz = conj(d.abar) * (gabar + conj(1.0 / d.a) * ghold);
    const double complex ga = d.dt * gz - conj(d.hold / d.a) * ghold;
    add(in[LOG_DT]->grad, e, creal(conj(d.a) * gz) * d.dt);
    add(in[A_REAL]->grad, e * M + m, creal(ga) * d.re);
    add(in[A_IMAG]->grad, e * M + m, cimag(ga));
    add(in[C]->grad, (e * M + m) * 2, creal(gown));
    add(in[C]->grad, (e * M + m) * 2 + 1, cimag(gown));
}

static void scan_backward(const mls_call *k)
{
    scan_job j = job_of(k);
    const int64_t rows = 2 * j.M * j.H, all = j.B * rows;
    j.carry = mls->scratch(k, (size_t)(4 * all + j.B * j.H) * sizeof(float));
    if (!j.a || !j.carry) return;
    j.ga = j.carry + all, j.gc = j.ga + all, j.ghold = j.gc + all;
    j.gskip = j.ghold + all;
    memcpy(j.carry, k->out[H1]->grad, (size_t)all * sizeof(float));
    memset(j.ga, 0, (size_t)(3 * all + j.B * j.H) * sizeof(float));
    j.gy = k->out[Y]->grad, j.gu = k->in[U]->grad;
    j.gmb = j.mb ? k->in[MOD_B]->grad : NULL, j.gmc = j.mc ? k->in[MOD_C]->grad : NULL;
    /* all channels of a sample add to the gradients of mod_b and mod_c */
    each_item(&j, j.mb || j.mc ? WHOLE : BACKWARD);
    for (int64_t i = 0; k->in[H0]->grad && i < all; i++)
        k->in[H0]->grad[i] += j.carry[i];
    for (int64_t i = 0; i < j.B * j.H; i++)
        add(k->in[SKIP]->grad, i % j.H, (double)j.gskip[i]);
    for (int64_t e = 0; e < j.H; e++)
        for (int64_t m = 0; m < j.M; m++) {
            double s[6] = { 0 };
            for (int64_t b = 0; b < j.B; b++)
                for (int part = 0; part < 2; part++) {
                    const int64_t at = b * rows + (2 * m + part) * j.H + e;
                    s[part] += (double)j.ga[at], s[2 + part] += (double)j.gc[at];
                    s[4 + part] += (double)j.ghold[at];
                }
            /* the scan's c is 2 conj(Cbar), its hold likewise */
            mode_back(k, j.M, e, m, s[0] + _Complex_I * s[1],
                      2.0 * (s[2] - _Complex_I * s[3]),
                      2.0 * (s[4] - _Complex_I * s[5]));
        }
}

static double scan_flops(const mls_call *k)
{
    const s4d *p = k->attr;
    return (double)k->in[U]->count * (11.0 * (double)p->modes + 2.0);
}

static const mls_op scan = { sizeof scan, "s4d.scan", scan_forward, scan_backward,
                             scan_flops };

/* ---- Weights --------------------------------------------------------------------- */

static void init_a_imag(float *w, int64_t rows, int64_t cols, const void *self)
{
    (void)self;
    for (int64_t i = 0; i < rows * cols; i++)
        w[i] = (float)(3.14159265358979323846 * (double)(i % cols));
}

static void setup(mls_ctx *c, void *self)
{
    s4d *p = self;
    const int64_t D = mls->width(c, "in"), M = p->state / 2;
    if (p->state % 2) {
        mls->fail(c, "state = %lld is odd: modes come in conjugate pairs",
                  (long long)p->state);
        return;
    }
    if (p->dt_min > p->dt_max) {
        mls->fail(c, "dt_min %g is above dt_max %g", p->dt_min, p->dt_max);
        return;
    }
    p->modes = M;
    p->log_dt = mls->weight(
        c, "kernel.log_dt", 1, D,
        (mls_init){ MLS_RANGE, log(p->dt_min), log(p->dt_max), MLS_NO_DECAY, NULL });
    p->a_real = mls->weight(c, "kernel.log_A_real", D, M,
                            mls_init_of(MLS_CONSTANT, log(0.5), MLS_NO_DECAY));
    p->a_imag =
        mls->weight(c, "kernel.A_imag", D, M,
                    (mls_init){ MLS_CONSTANT, 0.0, 0.0, MLS_NO_DECAY, init_a_imag });
    /* complex N(0, 1): each part has half of the variance */
    p->c = mls->weight(c, "kernel.C", D, 2 * M,
                       mls_init_of(MLS_NORMAL, sqrt(0.5), MLS_NO_DECAY));
    p->skip = mls->weight(c, "D", 1, D, mls_init_of(MLS_NORMAL, 1.0, MLS_NO_DECAY));
    p->out = mls->weight(c, "output_linear.weight", 2 * D, D, MLS_LINEAR);
    p->out_bias = mls->weight(c, "output_linear.bias", 1, 2 * D,
                              mls_init_of(MLS_UNIFORM, 1.0 / sqrt((double)D), 0));
    const mls_init zero = mls_init_of(MLS_CONSTANT, 0.0, 0);
    if (mls->connected(c, "mod_b"))
        p->mod_b = mls->weight(c, "mod_b.weight", M, mls->width(c, "mod_b"), zero);
    if (mls->connected(c, "mod_c"))
        p->mod_c = mls->weight(c, "mod_c.weight", M, mls->width(c, "mod_c"), zero);
    p->h = mls->state(c, "ssm", D * p->state, 0.0, NULL,
                      "modes h, [mode][re, im][channel]");
}

/* ---- Forward --------------------------------------------------------------------- */

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const s4d *p = self;
    mls_t x = in[0], mask = in[3];
    const int64_t T = x->dim[0], B = x->dim[1], D = x->dim[2], cuts = (T - 1) / CHUNK;

    if (mls->wanted(c, "delta"))
        mls->tap(c, "delta", spread(c, mls->unary(c, MLS_EXP, p->log_dt), T, B), "step",
                 "step size of each channel");
    const mls_t from[INPUTS] = { x, p->log_dt, p->a_real, p->a_imag, p->c, p->skip,
                                 mls->load(c, p->h), mask,
                                 p->mod_b ? mls->linear(c, in[1], p->mod_b, NULL) : NULL,
                                 p->mod_c ? mls->linear(c, in[2], p->mod_c, NULL) : NULL };
    const mls_t to[OUTPUTS] = {
        mls->tensor(c, T, B, D), mls->tensor(c, 1, B, D * p->state),
        cuts > 0 ? mls->tensor(c, cuts, B, D * p->state) : mls->tensor(c, 1, 1, 1) };
    mls->apply(c, &scan, p, from, INPUTS, to, OUTPUTS);
    mls->store(c, p->h, to[H1]);
    mls->tap(c, "state", to[H1], NULL,
             "modes after the chunk, [mode][re, im][channel]");
    mls->tap(c, "mixed", to[Y], NULL, "what the state gives, before the GELU");
    mls_t y = mls->dropout(c, mls->unary(c, MLS_GELU, to[Y]), p->dropout);
    mls_t ab = mls->linear(c, y, p->out, p->out_bias);
    mls_t gate = mls->unary(c, MLS_SIGMOID, mls->slice(c, ab, D, D));
    mls->tap(c, "gate", gate, NULL, "what the output is multiplied by");
    mls_t o = mls->binary(c, MLS_MUL, mls->slice(c, ab, 0, D), gate);
    out[0] = mask ? mls->binary(c, MLS_MUL, o, mask) : o;
}

/* ---- Descriptor ------------------------------------------------------------------ */

static const mls_port ports[] = {
    { "in",   MLS_IN,             "T B in", "sequence" },
    { "mod_b", MLS_IN | MLS_MAYBE, "T B p",
      "added to B of each mode through a weight that starts at 0" },
    { "mod_c", MLS_IN | MLS_MAYBE, "T B q",
      "added to C of each mode through a weight that starts at 0" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1",  "1 for a real step, 0 for padding" },
    { "out",  MLS_OUT,            "T B in", "sequence, of the width of in" },
    MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(s4d, state, MLS_INT, 64, 2, 1024, NULL,
            "states N of each channel, even: N / 2 complex modes"),
    MLS_OPT(s4d, dt_min, MLS_REAL, 1e-3, 1e-6, 10, NULL,
            "least step size at the start"),
    MLS_OPT(s4d, dt_max, MLS_REAL, 0.1, 1e-6, 10, NULL,
            "largest step size at the start"),
    MLS_OPT(s4d, dropout, MLS_REAL, 0, 0, 0.9, NULL,
            "share of activations left out in training, before the output projection"),
    MLS_OPT_END
};

static const mls_component mixer = {
    sizeof mixer,
    "mixer",
    "s4d",
    MLS_CAUSAL | MLS_STREAMS,
    "S4D: a diagonal state space model with fixed dynamics.\n"
    "Complex modes that oscillate and fade, the same at every step: what "
    "`mixer.mamba` is without selectivity. Exact zero-order hold. `mod_b` and `mod_c` "
    "take what another branch knows, as real numbers for each mode that all channels "
    "share; with them B and C depend on the step.",
    ports,
    options,
    sizeof(s4d),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("s4d", "1.1", "Apache-2.0", &mixer);
