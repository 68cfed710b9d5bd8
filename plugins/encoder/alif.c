/* alif.c - leaky integrate-and-fire with an adaptive threshold; recurrent: the LSNN.
 *
 *   U[t] = alpha U[t-1] + I[t] - theta[t-1] S[t-1]     I = W x + b (+ V S[t-1] + c)
 *   a[t] = rho a[t-1] + h S[t-1],   h = 1 - rho, or 1 when normalize is off
 *   theta[t] = theta0 + strength a[t]
 *   S[t] = H(U[t] - theta[t])
 * Decays are per step: exp(-dt / tau).  A unit trap of a published implementation: an
 * adaptation of 1/800 per second is tau = 800 s, not the 800 ms that was meant.
 *
 * Reference: Bellec et al. 2018, "Long short-term memory and learning-to-learn in
 * networks of spiking neurons", eqs. 1-3, with R_m (1 - alpha) absorbed in W.  Its
 * pseudo-derivative is `triangle`, there of (U - theta) / theta and damped by 0.3.
 */
#include "neuron.h"

enum { ALPHA, RHO, THETA, STRENGTH, ALIF_PARAMS };
enum { ADAPTATION = 2 };

typedef struct alif {
    neuron base;
    double alpha, rho, threshold, strength;
    int normalize, learn_alpha, learn_rho, learn_strength;
    mls_t alpha_w, rho_w, strength_w, threshold_w;
} alif;

MLS_INLINE void neuron_drive(const plan *g, const float *const *now, float *restrict x,
                             int64_t N)
{
    const float *restrict u = now[MEMBRANE], *restrict a = now[ADAPTATION];
    const float *restrict th = g->param + THETA * N, *restrict q =
                                                         g->param + STRENGTH * N;
    for (int64_t n = 0; n < N; n++) x[n] = u[n] - (th[n] + q[n] * a[n]);
}

MLS_INLINE void neuron_step(const plan *g, const float *const *old,
                            const float *restrict x, float *const *now)
{
    const int64_t N = g->N;
    const float normal = (float)((const alif *)(const void *)g->p)->normalize;
    const float *restrict alpha = g->param + ALPHA * N, *restrict rho =
                                                            g->param + RHO * N;
    const float *restrict th = g->param + THETA * N, *restrict q =
                                                         g->param + STRENGTH * N;
    const float *restrict u = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict a = old[ADAPTATION];
    float *restrict un = now[MEMBRANE], *restrict an = now[ADAPTATION];
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        un[n] = alpha[n] * u[n] + x[n] - (th[n] + q[n] * a[n]) * s[n];
        an[n] = rho[n] * a[n] + (1.0f - normal * rho[n]) * s[n];
    }
}

MLS_INLINE void neuron_back(const plan *g, const float *const *old,
                            const float *restrict x, const float *const *now,
                            const float *const *d, const float *restrict ddrive,
                            float *const *dold, float *restrict din, float *restrict dp)
{
    (void)x;
    const int64_t N = g->N;
    const float normal = (float)((const alif *)(const void *)g->p)->normalize;
    const float *restrict alpha = g->param + ALPHA * N, *restrict rho =
                                                            g->param + RHO * N;
    const float *restrict th = g->param + THETA * N, *restrict q =
                                                         g->param + STRENGTH * N;
    const float *restrict u = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict a = old[ADAPTATION], *restrict an = now[ADAPTATION];
    const float *restrict dm = d[MEMBRANE], *restrict db = d[ADAPTATION];
    float *restrict du = dold[MEMBRANE], *restrict ds = dold[SPIKE];
    float *restrict da = dold[ADAPTATION], *restrict dalpha = dp + ALPHA * N;
    float *restrict drho = dp + RHO * N, *restrict dth = dp + THETA * N;
    float *restrict dq = dp + STRENGTH * N;
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float e = dm[n] + ddrive[n], ea = db[n] - ddrive[n] * q[n];
        du[n] = e * alpha[n];
        /* the threshold hears every spike; only what resets may be detached */
        ds[n] = ea * (1.0f - normal * rho[n]) - g->live * e * (th[n] + q[n] * a[n]);
        da[n] = ea * rho[n] - e * q[n] * s[n];
        din[n] = e;
        dalpha[n] += e * u[n];
        drho[n] += ea * (a[n] - normal * s[n]);
        dth[n] -= ddrive[n] + e * s[n];
        dq[n] -= ddrive[n] * an[n] + e * a[n] * s[n];
    }
}

#include "neuron_scan.h"

static void setup(mls_ctx *c, void *self)
{
    alif *p = self;
    p->base.regular.threshold = p->threshold;
    neuron_project(c, &p->base);
    neuron_recur(c, &p->base);
    neuron_carry(c, &p->base, 0.0);
    const int64_t n = p->base.units;
    p->base.params = ALIF_PARAMS;
    p->base.constant[ALPHA] = (float)p->alpha;
    p->base.constant[RHO] = (float)p->rho;
    p->base.constant[THETA] = (float)p->threshold;
    p->base.constant[STRENGTH] = (float)p->strength;
    p->base.state[ADAPTATION] =
        mls->state(c, "a", n, 0.0, NULL, "adaptation: fading count of past spikes");
    p->base.states = 3;
    p->alpha_w = learnt_decay(c, "alpha", p->learn_alpha, n, p->alpha);
    p->rho_w = learnt_decay(c, "rho", p->learn_rho, n, p->rho);
    p->strength_w = learnt(c, "strength", p->learn_strength, n, p->strength);
    p->threshold_w = plastic_threshold(c, &p->base.plastic, FIXED, n, p->threshold);
}

/* theta0 + strength a of the last inner step: what the tap shows. */
static void show_forward(const mls_call *k)
{
    const alif *p = k->attr;
    mls_t tape = k->in[0], q = k->in[1], th = k->in[2], y = k->out[0];
    const int64_t T = y->dim[0], B = y->dim[1], N = y->dim[2], M = tape->dim[0] / T;
    for (int64_t i = 0; i < T * B; i++) {
        const int64_t at = ((i / B * M + M - 1) * B + i % B) * tape->dim[2];
        const float *a = tape->data + at + ADAPTATION * N;
        for (int64_t n = 0; n < N; n++)
            y->data[i * N + n] =
                (th ? th->data[n] : (float)p->threshold) +
                (q ? q->data[q->count > 1 ? n : 0] : (float)p->strength) * a[n];
    }
}

static const mls_op show = {sizeof show, "alif.threshold", show_forward, NULL, NULL};

static void tap_threshold(mls_ctx *c, const alif *p, mls_t tape, mls_t like)
{
    mls_t y = mls->tensor(c, like->dim[0], like->dim[1], like->dim[2]);
    MLS_APPLY(c, &show, p, ((mls_t[]){tape, p->strength_w, p->threshold_w}),
              ((mls_t[]){y}));
    mls->tap(c, "threshold", y, NULL, "adaptive threshold of each neuron");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    alif *p = self;
    mls_t x = p->base.project ? mls->linear(c, in[0], p->base.w, p->base.b) : in[0];
    const mls_t param[] = {decay_of(c, p->alpha_w), decay_of(c, p->rho_w),
                           p->threshold_w, p->strength_w};
    mls_t tape = run_neurons(c, &p->base, x, in[1], param, out);
    plastic_apply(c, &p->base.plastic, in[0], out[0], in[1], p->base.w, p->threshold_w);
    if (mls->wanted(c, "threshold")) tap_threshold(c, p, tape, out[1]);
    if (mls->wanted(c, "current"))
        mls->tap(c, "current", x, NULL, "input current of each neuron");
}

static const mls_port ports[] = {NEURON_PORTS};

static const mls_option options[] = {
    NEURON_INPUT(alif),
    MLS_OPT(alif, alpha, MLS_REAL, 0.9, 0, 1, "1/step", "membrane decay per step"),
    MLS_OPT(alif, rho, MLS_REAL, 0.99, 0, 1, "1/step",
            "decay of the adaptation per step"),
    MLS_OPT(alif, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL,
            "threshold without adaptation"),
    MLS_OPT(alif, strength, MLS_REAL, 1.8, 0, 1e3, NULL,
            "how far the threshold rises with the adaptation"),
    MLS_OPT(alif, normalize, MLS_BOOL, 1, 0, 0, NULL,
            "a spike adds 1 - rho to the adaptation; false: 1"),
    MLS_OPT_CHOICE(alif, learn_alpha, LEARNS, "train alpha through a sigmoid"),
    MLS_OPT_CHOICE(alif, learn_rho, LEARNS, "train rho through a sigmoid"),
    MLS_OPT_CHOICE(alif, learn_strength, LEARNS, "train the strength"),
    NEURON_CHOICE(alif, recurrent, "none|one_to_one|all_to_all", RECURRENT_HELP),
    NEURON_FEEDBACK(alif),
    NEURON_EQUAL(alif),
    NEURON_SURROGATE(alif),
    NEURON_STEPS(alif),
    NEURON_RATES(alif),
    NEURON_VOLTAGE(alif),
    NEURON_PLASTIC(alif),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "alif",
    MLS_CAUSAL | MLS_STREAMS,
    "Leaky integrate-and-fire neurons whose threshold rises with their spikes.\n\n"
    "Adaptation gives a memory of 1 / (1 - rho) steps.  With recurrent = all_to_all it "
    "is\n"
    "the LSNN of Bellec et al. 2018.  The tap `threshold` shows theta.",
    ports,
    options,
    sizeof(alif),
    setup,
    forward,
    NULL};

MLS_PLUGIN("alif", "1.0", "Apache-2.0", &encoder);
