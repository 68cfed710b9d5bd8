/* latency.c - each value to one spike, the sooner the larger the value.
 *
 *   linear       t = tau (1 - max(v, theta));  normalize: tau = M - 1
 *   logarithmic  w = max(v, theta + 1e-7), t = tau ln(w / (w - theta));
 *                normalize: times M - 1 over the longest of them
 *   S_k = 1 where k = round(t), half to even;  a spike past the last step is in the
 * last clip: no spike for v < theta M inner steps are the M outputs of a channel, side
 * by side.  v = squash(W x + b) in 0 to 1.  normalize is that of snnTorch for one
 * value: its longest time is that of the smallest value there can be, and not of the
 * smallest in the batch, which would make a sample's spikes depend on the others.
 *
 * The gradient is that of linear interpolation, S_k = max(0, 1 - |t - k|).
 * Reference: snnTorch 0.9.4 `spikegen.latency`.
 */
#include "coder.h"

enum { LINEAR, LOGARITHMIC };

typedef struct latency {
    coder base;
    int64_t steps;
    int law, normalize, clip;
    double tau, threshold;
    float scale; /* of time */
} latency;

/* Time of the spike, in steps, and its slope; before it is held within the steps. */
MLS_INLINE float time_of(const latency *p, float v, float *slope)
{
    const float theta = (float)p->threshold, a = p->scale;
    if (p->law == LINEAR) {
        const float t = a * (1.0f - v), most = a * (1.0f - theta);
        *slope = t < most ? -a : 0.0f;
        return t > most ? most : t;
    }
    const int low = v < theta + 1e-7f;
    const float w = low ? theta + 1e-7f : v;
    *slope = low ? 0.0f : a * (1.0f / w - 1.0f / (w - theta));
    return a * mls_logf(w / (w - theta));
}

MLS_INLINE float held(const latency *p, float t, float *slope)
{
    const float last = (float)(p->steps - 1);
    if (t < last) return t;
    *slope = 0.0f;
    return last;
}

MLS_INLINE void code_value(const coder *base, float v, float *s, int smooth)
{
    const latency *p = (const latency *)(const void *)base;
    const int none = p->clip && v < (float)p->threshold;
    float slope;
    const float t = held(p, time_of(p, v, &slope), &slope), at = nearbyintf(t);
    for (int64_t k = 0; k < p->steps; k++) {
        const float d = fabsf(t - (float)k);
        s[k] = v != v   ? v
               : none   ? 0.0f
               : smooth ? (d < 1.0f ? 1.0f - d : 0.0f)
                        : (float)((float)k == at);
    }
}

MLS_INLINE float code_slope(const coder *base, float v, const float *ds, int smooth)
{
    (void)smooth;
    const latency *p = (const latency *)(const void *)base;
    float slope, sum = 0.0f;
    if (p->clip && v < (float)p->threshold) return 0.0f;
    const float t = held(p, time_of(p, v, &slope), &slope);
    for (int64_t k = 0; k < p->steps; k++) {
        const float d = t - (float)k;
        if (d > -1.0f && d < 1.0f) sum -= ds[k] * (d > 0.0f ? 1.0f : -1.0f);
    }
    return sum * slope;
}

static void show_forward(const mls_call *k)
{
    const latency *p = k->attr;
    float slope;
    for (int64_t i = 0; i < k->out[0]->count; i++)
        k->out[0]->data[i] = time_of(p, k->in[0]->data[i], &slope);
}

static const mls_op show = {sizeof show, "latency.time", show_forward, NULL, NULL};

static void setup(mls_ctx *c, void *self)
{
    latency *p = self;
    const double last = (double)(p->steps - 1), least = p->threshold + 1e-7;
    coder_setup(c, &p->base, p->steps, "steps");
    p->scale = !p->normalize      ? (float)p->tau
               : p->law == LINEAR ? (float)last
                                  : (float)(last / log(least / (least - p->threshold)));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    latency *p = self;
    mls_t v = coder_values(c, &p->base, in[0]);
    out[0] = coder_spikes(c, &p->base, v, in[1]);
    if (!mls->wanted(c, "time")) return;
    mls_t t = mls->tensor(c, v->dim[0], v->dim[1], v->dim[2]);
    MLS_APPLY(c, &show, p, ((mls_t[]){v}), ((mls_t[]){t}));
    mls->tap(c, "time", t, NULL, "time of each channel's spike, in steps, not rounded");
}

static const mls_port ports[] = {CODER_PORTS};

static const mls_option options[] = {
    CODER_INPUT(latency),
    MLS_OPT(latency, steps, MLS_INT, 4, 1, 1024, NULL,
            "inner steps per token, the outputs of a channel"),
    MLS_OPT_CHOICE(latency, law, "linear|logarithmic",
                   "how the time of the spike falls with the value"),
    MLS_OPT(latency, normalize, MLS_BOOL, 1, 0, 0, NULL,
            "spread the times over all steps; false: by tau"),
    MLS_OPT(latency, tau, MLS_REAL, 1.0, 1e-3, 1e3, "steps",
            "time constant when normalize is off"),
    MLS_OPT(latency, threshold, MLS_REAL, 0.01, 1e-4, 0.9, NULL,
            "value that fires last, or with clip the least that fires"),
    MLS_OPT(latency, clip, MLS_BOOL, 0, 0, 0, NULL, "no spike below the threshold"),
    MLS_OPT_END};

static const mls_component encoder = {
    sizeof encoder,
    "encoder",
    "latency",
    MLS_CAUSAL | MLS_STREAMS,
    "Latency code: one spike for each value, the sooner the larger it is.\n\n"
    "units is steps times the number of channels: the inner steps of a token stand "
    "side by\n"
    "side, since their mean would be the same for every value.  The tap `time` shows "
    "when.",
    ports,
    options,
    sizeof(latency),
    setup,
    forward,
    NULL};

MLS_PLUGIN("latency", "1.0", "Apache-2.0", &encoder);
