/* coder.h - codes without neurons: each value becomes K outputs that are 0 or 1.
 *
 *   v = squash(W x + b)       C = units / K channels; project = false: v = squash(x), C
 * = in S[c K + k] = code of v[c] squash: sigmoid, into (0, 1); clip, into [0, 1]. A
 * code defines, for one value and before it includes this file,
 *
 *   void code_value(const coder *p, float v, float *s, int smooth)   writes K values
 *   float code_slope(const coder *p, float v, const float *ds, int smooth)   d/dv
 * There is no state and nothing random.  The tap `value` shows v.
 */
#ifndef MLS_PLUGINS_CODER_H
#define MLS_PLUGINS_CODER_H

#include "spiking.h"

enum { SQUASH_SIGMOID, SQUASH_CLIP };

/* Every code's self begins with this. */
typedef struct coder {
    int64_t units, each; /* each: K                                                 */
    int project, squash, surrogate;
    double slope;
    mls_t w, b;
} coder;

MLS_INLINE void code_value(const coder *p, float v, float *s, int smooth);
MLS_INLINE float code_slope(const coder *p, float v, const float *ds, int smooth);

#define CODER_OPTION(S, name, type, def, lo, hi, unit, help)                           \
    {                                                                                  \
#name, type, offsetof(S, base.name), def, lo, hi, NULL, unit, help             \
    }
#define CODER_CHOICE(S, name, list, help)                                              \
    {                                                                                  \
#name, MLS_CHOICE, offsetof(S, base.name), 0, 0, 0, list, NULL, help           \
    }
#define CODER_INPUT(S)                                                                 \
    CODER_OPTION(S, units, MLS_INT, 0, 0, 65536, NULL,                                 \
                 "outputs, a multiple of those of a channel; 0: the network's width"), \
        CODER_OPTION(S, project, MLS_BOOL, 1, 0, 0, NULL,                              \
                     "channels are W x + b; false: each input is a channel"),          \
        CODER_CHOICE(S, squash, "sigmoid|clip",                                        \
                     "how a channel's value gets into 0 to 1")
#define CODER_SURROGATE(S)                                                             \
    CODER_CHOICE(S, surrogate, SURROGATES, "derivative of the spike"),                 \
        CODER_OPTION(S, slope, MLS_REAL, 0, 0, 1000, NULL, SLOPE_HELP)

#define CODER_PORTS                                                                    \
    {"in", MLS_IN, "T B in", "values"},                                                \
        {"mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps"},                           \
        {"spikes", MLS_OUT | MLS_SPIKES, "T B units",                                  \
         "0 or 1, the outputs of a channel side by side; 0 at a masked step"},         \
        MLS_PORT_END

/* in: v, mask; out: spikes */
MLS_INLINE void code_row(int64_t i, void *arg)
{
    const mls_call *k = *(const mls_call *const *)arg;
    const coder *p = k->attr;
    const int64_t C = k->in[0]->dim[2], K = p->each;
    float *s = k->out[0]->data + i * C * K;
    if (k->in[1] && k->in[1]->data[i] == 0.0f) {
        memset(s, 0, (size_t)(C * K) * sizeof *s);
        return;
    }
    for (int64_t c = 0; c < C; c++)
        code_value(p, k->in[0]->data[i * C + c], s + c * K, !!(k->flags & MLS_SMOOTH));
}

MLS_INLINE void code_back_row(int64_t i, void *arg)
{
    const mls_call *k = *(const mls_call *const *)arg;
    const coder *p = k->attr;
    const int64_t C = k->in[0]->dim[2], K = p->each;
    const float *ds = k->out[0]->grad + i * C * K;
    if (k->in[1] && k->in[1]->data[i] == 0.0f) return;
    for (int64_t c = 0; c < C; c++)
        k->in[0]->grad[i * C + c] += code_slope(p, k->in[0]->data[i * C + c],
                                                ds + c * K, !!(k->flags & MLS_SMOOTH));
}

MLS_KERNEL_BODY(code_one, code_row)
MLS_KERNEL_BODY(code_back_one, code_back_row)

static void code_forward(const mls_call *k)
{
    mls->parfor(k->in[0]->dim[0] * k->in[0]->dim[1], code_one, &k);
}

static void code_backward(const mls_call *k)
{
    if (k->in[0]->grad)
        mls->parfor(k->in[0]->dim[0] * k->in[0]->dim[1], code_back_one, &k);
}

static double code_flops(const mls_call *k) { return 4.0 * (double)k->out[0]->count; }

static const mls_op code = {sizeof code, "coder.code", code_forward, code_backward,
                            code_flops};

/* clip: the gradient ends where the value is clipped */
static void clip_forward(const mls_call *k)
{
    for (int64_t i = 0; i < k->out[0]->count; i++) {
        const float x = k->in[0]->data[i];
        k->out[0]->data[i] = x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
    }
}

static void clip_backward(const mls_call *k)
{
    mls_t x = k->in[0];
    for (int64_t i = 0; x->grad && i < x->count; i++)
        if (x->data[i] >= 0.0f && x->data[i] <= 1.0f) x->grad[i] += k->out[0]->grad[i];
}

static const mls_op clip_op = {sizeof clip_op, "coder.clip", clip_forward,
                               clip_backward, NULL};

/* each: outputs of a channel; `word`: the option that says so. */
static inline void coder_setup(mls_ctx *c, coder *p, int64_t each, const char *word)
{
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "spikes"), C = n / each;
    p->units = n;
    p->each = each;
    if (n % each != 0 || (!p->project && C != in)) {
        mls->fail(
            c,
            "units = %lld, %s = %lld and project = %s do not fit: expected units to "
            "be %s times %lld (input \"in\" is %lld wide)",
            (long long)n, word, (long long)each, p->project ? "true" : "false",
            p->project ? "any number" : "the input's width", (long long)each,
            (long long)in);
        return;
    }
    if (!p->project) return;
    p->w = mls->weight(c, "weight", C, in, MLS_LINEAR);
    p->b = mls->weight(
        c, "bias", 1, C,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
}

static inline mls_t coder_values(mls_ctx *c, const coder *p, mls_t x)
{
    if (p->project) x = mls->linear(c, x, p->w, p->b);
    if (p->squash == SQUASH_SIGMOID) return mls->unary(c, MLS_SIGMOID, x);
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    MLS_APPLY(c, &clip_op, NULL, ((mls_t[]){x}), ((mls_t[]){y}));
    return y;
}

static inline mls_t coder_spikes(mls_ctx *c, const coder *p, mls_t v, mls_t mask)
{
    mls_t s = mls->tensor(c, v->dim[0], v->dim[1], v->dim[2] * p->each);
    MLS_APPLY(c, &code, p, ((mls_t[]){v, mask}), ((mls_t[]){s}));
    mls->tap(c, "value", v, NULL, "value of each channel, 0 to 1, that is coded");
    return s;
}

#endif
