/* population.c - each value to a row of units with Gaussian receptive fields.
 *
 *   c_k = k / (K - 1), k = 0..K-1          (1/2 for one field)
 *   g_k = exp(-scale (v - c_k)^2 (K - 1)^2 / (2 sigma^2))
 *   S_k = H(g_k - theta)
 * sigma is in distances between centres.  v = squash(W x + b) in 0 to 1.
 *
 * Reference: Bohte, Kok and La Poutre 2002; norse's population_encode gives the graded
 * g_k, with sigma in units of v.  Here units spike or do not; the tap `activation`
 * shows g.
 */
#include "coder.h"

typedef struct population {
    coder base;
    int64_t fields;
    double sigma, threshold;
} population;

MLS_INLINE float activation(const population *p, float v, int64_t k, float *slope)
{
    const float K = (float)p->fields, gaps = K > 1.0f ? K - 1.0f : 1.0f;
    const float centre = K > 1.0f ? (float)k / gaps : 0.5f;
    const float z = (v - centre) * gaps / (float)p->sigma;
    const float g = mls_expf(-0.5f * z * z);
    *slope = -g * z * gaps / (float)p->sigma;
    return g;
}

MLS_INLINE void code_value(const coder *base, float v, float *s, int smooth)
{
    const population *p = (const population *)(const void *)base;
    const float slope = usual_slope(base->surrogate, base->slope);
    for (int64_t k = 0; k < p->fields; k++) {
        float unused;
        const float x = activation(p, v, k, &unused) - (float)p->threshold;
        s[k] = v != v   ? v
               : smooth ? smooth_step(base->surrogate, slope, x)
                        : (float)(x > 0.0f);
    }
}

MLS_INLINE float code_slope(const coder *base, float v, const float *ds, int smooth)
{
    (void)smooth;
    const population *p = (const population *)(const void *)base;
    const float slope = usual_slope(base->surrogate, base->slope);
    float sum = 0.0f;
    for (int64_t k = 0; k < p->fields; k++) {
        float dg;
        const float x = activation(p, v, k, &dg) - (float)p->threshold;
        sum += ds[k] * slope_at(base->surrogate, slope, x) * dg;
    }
    return sum;
}

/* g itself, for the tap */
static void show_forward(const mls_call *k)
{
    const population *p = k->attr;
    const int64_t K = p->fields;
    float unused;
    for (int64_t i = 0; i < k->out[0]->count; i++)
        k->out[0]->data[i] = activation(p, k->in[0]->data[i / K], i % K, &unused);
}

static const mls_op show = {sizeof show, "population.activation", show_forward, NULL,
                            NULL};

static void setup(mls_ctx *c, void *self)
{
    population *p = self;
    coder_setup(c, &p->base, p->fields, "fields");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    population *p = self;
    mls_t v = coder_values(c, &p->base, in[0]);
    out[0] = coder_spikes(c, &p->base, v, in[1]);
    if (!mls->wanted(c, "activation")) return;
    mls_t g = mls->tensor(c, v->dim[0], v->dim[1], p->base.units);
    MLS_APPLY(c, &show, p, ((mls_t[]){v}), ((mls_t[]){g}));
    mls->tap(c, "activation", g, NULL, "activation of each receptive field");
}

static const mls_port ports[] = {CODER_PORTS};

static const mls_option options[] = {
    CODER_INPUT(population),
    MLS_OPT(population, fields, MLS_INT, 4, 1, 1024, NULL,
            "receptive fields of a channel"),
    MLS_OPT(population, sigma, MLS_REAL, 1.0, 1e-2, 1e3, NULL,
            "width of a field, in distances between centres"),
    MLS_OPT(population, threshold, MLS_REAL, 0.5, 1e-3, 1, NULL,
            "activation above which a unit spikes"),
    CODER_SURROGATE(population),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "population",
    MLS_CAUSAL | MLS_STREAMS,
    "Population code: units with Gaussian receptive fields over a channel's range.\n\n"
    "units is fields times the number of channels.  With the defaults two or three\n"
    "neighbours spike for each value.",
    ports,
    options,
    sizeof(population),
    setup,
    forward,
    NULL};

MLS_PLUGIN("population", "1.0", "Apache-2.0", &encoder);
