/* izhikevich.c - Izhikevich's simple model, with the firing patterns of its presets.
 *
 *   v' = v[t-1] or c after a spike,   u' = u[t-1] or u[t-1] + d after a spike
 *   v[t] = v' + h (0.04 v'^2 + 5 v' + 140 - u' + g I[t])
 *   u[t] = u' + h a (b v' - u')                 with the old v'
 *   S[t] = H(v[t] - 30)                          mV; h in ms; I = W x + b
 * `membrane` shows v before its reset.  v is kept within -150 to 1000 mV, which only a
 * current beyond all physiology reaches: Euler's steps would leave the floats there.  A
 * threshold of 30 mV above a rest of -65 mV is far for a surrogate, so it sees
 * (v - 30) / 20 mV.
 *
 * Reference: Izhikevich 2003, "Simple model of spiking neurons", and 2004, "Which model
 * to use for cortical spiking neurons?"; norse's izhikevich_step with h = 0.25 ms.
 */
#include "spiking.h"
/* straight_through has no bounds: v squared would run away with it */
#define NEURON_SURROGATES BOUNDED_SURROGATES
#include "neuron.h"

enum { RECOVERY = 2 };
#define FLOOR -150.0f
#define CEILING 1000.0f
#define PEAK 30.0f
#define SCALE 20.0f

typedef struct izhikevich {
    neuron base;
    int preset;
    double a, b, c, d, gain, dt;
} izhikevich;

typedef struct preset {
    double a, b, c, d;
} preset;

#define PRESETS                                                                        \
    "tonic_spiking|phasic_spiking|tonic_bursting|phasic_bursting|mixed_mode|"          \
    "frequency_adaptation|class_1|class_2|regular_spiking|intrinsically_bursting|"     \
    "chattering|fast_spiking|low_threshold|thalamo_cortical|resonator|custom"

static const preset named[] = {
    {0.02, 0.2, -65, 6},     {0.02, 0.25, -65, 6},    {0.02, 0.2, -50, 2},
    {0.02, 0.25, -55, 0.05}, {0.02, 0.2, -55, 4},     {0.01, 0.2, -65, 8},
    {0.02, -0.1, -55, 6},    {0.2, 0.26, -65, 0},     {0.02, 0.2, -65, 8},
    {0.02, 0.2, -55, 4},     {0.02, 0.2, -50, 2},     {0.1, 0.2, -65, 2},
    {0.02, 0.25, -65, 2},    {0.02, 0.25, -65, 0.05}, {0.1, 0.26, -65, 2},
};

MLS_INLINE const izhikevich *self_of(const plan *g)
{
    return (const izhikevich *)(const void *)g->p;
}

MLS_INLINE void neuron_drive(const plan *g, const float *const *now, float *restrict x,
                             int64_t N)
{
    (void)g;
    const float *restrict v = now[MEMBRANE];
    for (int64_t n = 0; n < N; n++) x[n] = (v[n] - PEAK) / SCALE;
}

/* NaN stays NaN: a bad input is to be found */
MLS_INLINE float kept(float v) { return v < FLOOR ? FLOOR : v > CEILING ? CEILING : v; }

MLS_INLINE void neuron_step(const plan *g, const float *const *old,
                            const float *restrict x, float *const *now)
{
    const int64_t N = g->N;
    const izhikevich *p = self_of(g);
    const float a = (float)p->a, b = (float)p->b, c = (float)p->c, d = (float)p->d;
    const float gain = (float)p->gain, h = (float)p->dt;
    const float *restrict v = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict u = old[RECOVERY];
    float *restrict vn = now[MEMBRANE], *restrict un = now[RECOVERY];
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float w = v[n] + s[n] * (c - v[n]), r = u[n] + d * s[n];
        vn[n] = kept(w + h * ((0.04f * w + 5.0f) * w + 140.0f - r + gain * x[n]));
        un[n] = r + h * a * (b * w - r);
    }
}

MLS_INLINE void neuron_back(const plan *g, const float *const *old,
                            const float *restrict x, const float *const *now,
                            const float *const *grad, const float *restrict ddrive,
                            float *const *dold, float *restrict din, float *restrict dp)
{
    (void)x;
    (void)dp;
    const int64_t N = g->N;
    const izhikevich *p = self_of(g);
    const float a = (float)p->a, b = (float)p->b, c = (float)p->c, d = (float)p->d;
    const float gain = (float)p->gain, h = (float)p->dt;
    const float *restrict v = old[MEMBRANE], *restrict s = old[SPIKE];
    const float *restrict vn = now[MEMBRANE];
    const float *restrict dm = grad[MEMBRANE], *restrict dr = grad[RECOVERY];
    float *restrict dv = dold[MEMBRANE], *restrict ds = dold[SPIKE];
    float *restrict du = dold[RECOVERY];
    NO_OVERLAP
    for (int64_t n = 0; n < N; n++) {
        const float inside = (float)((vn[n] > FLOOR) & (vn[n] < CEILING));
        const float e = inside * (dm[n] + ddrive[n] / SCALE), er = dr[n];
        const float w = v[n] + s[n] * (c - v[n]);
        const float dw = e * (1.0f + h * (0.08f * w + 5.0f)) + er * h * a * b;
        const float dq = er * (1.0f - h * a) - e * h;
        dv[n] = dw * (1.0f - s[n]);
        du[n] = dq;
        ds[n] = g->live * (dw * (c - v[n]) + dq * d);
        din[n] = e * h * gain;
    }
}

#include "neuron_scan.h"

static void setup(mls_ctx *c, void *self)
{
    izhikevich *p = self;
    const size_t n = sizeof named / sizeof *named;
    if ((size_t)p->preset < n) {
        p->a = named[p->preset].a;
        p->b = named[p->preset].b;
        p->c = named[p->preset].c;
        p->d = named[p->preset].d;
    }
    neuron_project(c, &p->base);
    p->base.state[MEMBRANE] = mls->state(c, "v", p->base.units, -65.0, "mV",
                                         "membrane potential before its reset");
    p->base.state[SPIKE] =
        mls->state(c, "s", p->base.units, 0.0, NULL, "spikes of the step before");
    p->base.state[RECOVERY] =
        mls->state(c, "u", p->base.units, -65.0 * p->b, "mV", "recovery variable");
    p->base.states = 3;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    izhikevich *p = self;
    mls_t x = p->base.project ? mls->linear(c, in[0], p->base.w, p->base.b) : in[0];
    mls_t tape = run_neurons(c, &p->base, x, in[1], NULL, out);
    if (mls->wanted(c, "recovery"))
        mls->tap(c, "recovery", state_over_time(c, tape, out[1], RECOVERY), "mV",
                 "recovery variable u of each neuron");
    if (mls->wanted(c, "current"))
        mls->tap(c, "current", mls->scale(c, x, p->gain, 0.0), NULL,
                 "input current of each neuron, times gain");
}

static const mls_port ports[] = {NEURON_PORTS};

static const mls_option options[] = {
    NEURON_INPUT(izhikevich),
    MLS_OPT_CHOICE(
        izhikevich, preset, PRESETS,
        "firing pattern: names of the papers of 2004, then of 2003; custom: as "
        "a, b, c and d say"),
    MLS_OPT(izhikevich, a, MLS_REAL, 0.02, 0, 1, "1/ms",
            "rate of the recovery, with preset custom"),
    MLS_OPT(izhikevich, b, MLS_REAL, 0.2, -1, 1, NULL,
            "what v does to the recovery, with preset custom"),
    MLS_OPT(izhikevich, c, MLS_REAL, -65.0, -100, 0, "mV",
            "v after a spike, with preset custom"),
    MLS_OPT(izhikevich, d, MLS_REAL, 6.0, -100, 100, "mV",
            "what a spike adds to the recovery, with preset custom"),
    MLS_OPT(izhikevich, gain, MLS_REAL, 20.0, 0, 1e4, NULL,
            "current of an input of 1; steady firing begins at 4 to 10"),
    MLS_OPT(izhikevich, dt, MLS_REAL, 0.5, 1e-3, 1, "ms", "length of an inner step"),
    NEURON_SURROGATE(izhikevich),
    NEURON_STEPS(izhikevich),
    NEURON_RATES(izhikevich),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "izhikevich",
    MLS_CAUSAL | MLS_STREAMS,
    "Izhikevich's neurons: spiking, bursting and adapting patterns by name.\n\n"
    "A step lasts dt, so that a spike takes several steps: raise steps for inputs that "
    "come\n"
    "at the rate of tokens.  The surrogate's x is (v - 30 mV) / 20 mV.",
    ports,
    options,
    sizeof(izhikevich),
    setup,
    forward,
    NULL};

MLS_PLUGIN("izhikevich", "1.0", "Apache-2.0", &encoder);
