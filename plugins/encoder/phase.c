/* phase.c - each value to weighted spikes: the bits of its binary fraction.
 *
 *   r_1 = min(v, 1 - 2^-K)
 *   S_k = H(r_k - 2^-k), spikes at 2^-k too;   r_{k+1} = r_k - 2^-k S_k,   k = 1..K
 * so that v = sum_k 2^-k S_k to within 2^-K.  v = squash(W x + b) in 0 to 1; the phase
 * k of a channel's cycle is unit k of its row.
 *
 * The gradient goes through each S_k by the surrogate of x = 2^k r_k - 1, and through
 * what a bit leaves to the next unless detach_residue. Reference: Kim et al. 2018,
 * "Deep neural networks with weighted spikes"; SpikingJelly's WeightedPhaseEncoder,
 * whose first bit weighs 1/2, too.
 */
#include "coder.h"

enum { MOST_BITS = 24 };

typedef struct phase {
    coder base;
    int64_t bits;
    int detach_residue;
} phase;

MLS_INLINE float first(const phase *p, float v)
{
    const float top = 1.0f - ldexpf(1.0f, -(int)p->bits);
    return v > top ? top : v;
}

MLS_INLINE void code_value(const coder *base, float v, float *s, int smooth)
{
    const phase *p = (const phase *)(const void *)base;
    const float slope = usual_slope(base->surrogate, base->slope);
    float r = first(p, v), w = 0.5f;
    for (int64_t k = 0; k < p->bits; k++, w *= 0.5f) {
        s[k] = v != v   ? v
               : smooth ? smooth_step(base->surrogate, slope, r / w - 1.0f)
                        : (float)(r >= w);
        r -= w * s[k];
    }
}

MLS_INLINE float code_slope(const coder *base, float v, const float *ds, int smooth)
{
    const phase *p = (const phase *)(const void *)base;
    const float slope = usual_slope(base->surrogate, base->slope);
    float at[MOST_BITS], s[MOST_BITS], r = first(p, v), w = 0.5f;
    if (r != v) return 0.0f;
    code_value(base, v, s, smooth);
    for (int64_t k = 0; k < p->bits; k++, w *= 0.5f) {
        at[k] = r;
        r -= w * s[k];
    }
    float dr = 0.0f; /* of the residue after bit k */
    for (int64_t k = p->bits - 1; k >= 0; k--) {
        w *= 2.0f;
        const float by = slope_at(base->surrogate, slope, at[k] / w - 1.0f) / w;
        const float through = p->detach_residue ? 0.0f : w * dr;
        dr += (ds[k] - through) * by;
    }
    return dr;
}

static void setup(mls_ctx *c, void *self)
{
    phase *p = self;
    coder_setup(c, &p->base, p->bits, "bits");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    phase *p = self;
    mls_t v = coder_values(c, &p->base, in[0]);
    out[0] = coder_spikes(c, &p->base, v, in[1]);
}

static const mls_port ports[] = {CODER_PORTS};

static const mls_option options[] = {
    CODER_INPUT(phase),
    MLS_OPT(phase, bits, MLS_INT, 4, 1, MOST_BITS, NULL, "phases of a cycle"),
    MLS_OPT(phase, detach_residue, MLS_BOOL, 1, 0, 0, NULL,
            "no gradient through what a bit leaves to the next"),
    CODER_SURROGATE(phase), MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "phase",
    MLS_CAUSAL | MLS_STREAMS,
    "Phase code: the bits of a channel's value as weighted spikes.\n\n"
    "units is bits times the number of channels; a spike of phase k weighs 2^-k.",
    ports,
    options,
    sizeof(phase),
    setup,
    forward,
    NULL};

MLS_PLUGIN("phase", "1.0", "Apache-2.0", &encoder);
