/* rate.c - firing rate over a sliding window, then a linear map.
 *
 *   c[t] = 1/w  sum_{i<w} s[t-i]      out[t] = W c[t] + b
 *
 * Steps before the first are zeros.  count_padding = false divides by the steps that
 * there have been, min(t+1, w).  Time counts real steps: a masked step is no input,
 * has c = 0 and leaves the window.  Mamba-Spike's interface is this with w = 5; the
 * window is causal, unlike a centred average pool, which would show the future.
 */
#include <math.h>
#include <mls/kernel.h>

typedef struct rate {
    int64_t units, window;
    int count_padding;
    mls_t w, b;
    mls_state *past; /* the last window - 1 inputs, oldest first; how many there were */
} rate;

typedef struct plan {
    const mls_call *k;
    int64_t T, B, N, W; /* W - 1 rows of past                                       */
    int padding;
    const float *mask;
    float **row, **grad; /* [B][W - 1 + T]: each sample's real inputs in order       */
} plan;

static int make_plan(plan *p, const mls_call *k, int backward)
{
    const rate *r = k->attr;
    mls_t x = k->in[0];
    *p = (plan){ .k = k,
                 .T = x->dim[0],
                 .B = x->dim[1],
                 .N = x->dim[2],
                 .W = r->window,
                 .padding = r->count_padding,
                 .mask = k->in[2] ? k->in[2]->data : NULL };
    const size_t n = (size_t)(p->B * (p->W - 1 + p->T));
    p->row = mls->scratch(k, n * sizeof *p->row);
    if (backward) p->grad = mls->scratch(k, n * sizeof *p->grad);
    return p->row && (!backward || p->grad);
}

/* Lists the sample's inputs; with grad, where their gradients go.  Returns how many. */
MLS_INLINE int64_t list_rows(const plan *p, int64_t b)
{
    mls_t x = p->k->in[0], past = p->k->in[1];
    const int64_t each = p->W - 1 + p->T, old = p->W - 1, width = old * p->N + 1;
    float **row = p->row + b * each, **grad = p->grad ? p->grad + b * each : NULL;
    int64_t n = 0;
    for (int64_t i = 0; i < old; i++, n++) {
        row[n] = past->data + b * width + i * p->N;
        if (grad) grad[n] = past->grad ? past->grad + b * width + i * p->N : NULL;
    }
    for (int64_t t = 0; t < p->T; t++) {
        if (p->mask && p->mask[t * p->B + b] == 0.0f) continue;
        const int64_t at = (t * p->B + b) * p->N;
        row[n] = x->data + at;
        if (grad) grad[n] = x->grad ? x->grad + at : NULL;
        n++;
    }
    return n;
}

MLS_INLINE float share(const plan *p, float fill)
{
    return 1.0f / (p->padding || fill > (float)p->W ? (float)p->W : fill);
}

MLS_INLINE void forward_sample(int64_t b, void *arg)
{
    const plan *p = arg;
    const int64_t N = p->N, old = p->W - 1, width = old * N + 1;
    mls_t past = p->k->in[1], y = p->k->out[0], next = p->k->out[1];
    float *const *row = p->row + b * (old + p->T);
    const int64_t n = list_rows(p, b);
    float fill = past->data[b * width + old * N];
    int64_t at = old;
    for (int64_t t = 0; t < p->T; t++) {
        float *yt = y->data + (t * p->B + b) * N;
        memset(yt, 0, (size_t)N * sizeof *yt);
        if (p->mask && p->mask[t * p->B + b] == 0.0f) continue;
        fill = fill < (float)p->W ? fill + 1.0f : fill;
        const float a = share(p, fill);
        for (int64_t i = at - old; i <= at; i++) { /* oldest first, always */
            const float *x = row[i];
            for (int64_t j = 0; j < N; j++) yt[j] += x[j];
        }
        for (int64_t j = 0; j < N; j++) yt[j] *= a;
        at++;
    }
    for (int64_t i = 0; i < old; i++)
        memcpy(next->data + b * width + i * N, row[n - old + i],
               (size_t)N * sizeof(float));
    next->data[b * width + old * N] = fill;
}

MLS_INLINE void backward_sample(int64_t b, void *arg)
{
    const plan *p = arg;
    const int64_t N = p->N, old = p->W - 1, width = old * N + 1;
    mls_t past = p->k->in[1], y = p->k->out[0], next = p->k->out[1];
    float *const *grad = p->grad + b * (old + p->T);
    const int64_t n = list_rows(p, b);
    float fill = past->data[b * width + old * N];
    int64_t at = old;
    for (int64_t t = 0; t < p->T; t++) {
        if (p->mask && p->mask[t * p->B + b] == 0.0f) continue;
        const float *g = y->grad + (t * p->B + b) * N;
        fill = fill < (float)p->W ? fill + 1.0f : fill;
        const float a = share(p, fill);
        for (int64_t i = at - old; i <= at; i++) {
            float *dx = grad[i];
            if (!dx) continue;
            for (int64_t j = 0; j < N; j++) dx[j] += a * g[j];
        }
        at++;
    }
    for (int64_t i = 0; i < old; i++) {
        float *dx = grad[n - old + i];
        const float *g = next->grad + b * width + i * N;
        if (!dx) continue;
        for (int64_t j = 0; j < N; j++) dx[j] += g[j];
    }
}

MLS_KERNEL_BODY(forward_one, forward_sample)
MLS_KERNEL_BODY(backward_one, backward_sample)

static void window_forward(const mls_call *k)
{
    plan p;
    if (make_plan(&p, k, 0)) mls->parfor(p.B, forward_one, &p);
}

static void window_backward(const mls_call *k)
{
    plan p;
    if (make_plan(&p, k, 1)) mls->parfor(p.B, backward_one, &p);
}

static double window_flops(const mls_call *k)
{
    return (double)k->in[0]->count * (double)((const rate *)k->attr)->window;
}

static const mls_op window = { sizeof window, "rate.window", window_forward,
                               window_backward, window_flops };

static void setup(mls_ctx *c, void *self)
{
    rate *r = self;
    const int64_t in = mls->width(c, "spikes"), n = mls->width(c, "out");
    r->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    r->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    r->past = mls->state(c, "past", (r->window - 1) * in + 1, 0.0, NULL,
                         "the last window - 1 inputs, oldest first, then their number");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    rate *r = self;
    mls_t x = in[0], past = mls->load(c, r->past);
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    mls_t next = mls->tensor(c, 1, x->dim[1], (r->window - 1) * x->dim[2] + 1);
    MLS_APPLY(c, &window, r, ((mls_t[]){ x, past, in[2] }), ((mls_t[]){ y, next }));
    mls->store(c, r->past, next);
    mls->tap(c, "rate", y, "1/step", "windowed rate before the linear map");
    out[0] = mls->linear(c, y, r->w, r->b);
}

static const mls_port ports[] = { { "spikes", MLS_IN, "T B in", "spike trains" },
                                  { "membrane", MLS_IN | MLS_MAYBE, "T B in",
                                    "not used" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
                                  { "out", MLS_OUT, "T B units", "projected rates" },
                                  MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(rate, units, MLS_INT, 0, 0, 65536, NULL, "outputs; 0: the network's width"),
    MLS_OPT(rate, window, MLS_INT, 10, 1, 4096, "steps", "length of the window"),
    MLS_OPT(rate, count_padding, MLS_BOOL, 1, 0, 0, NULL,
            "divide by the window even before it is full"),
    MLS_OPT_END
};

static const mls_component adapter = {
    sizeof adapter,
    "adapter",
    "rate",
    MLS_CAUSAL | MLS_STREAMS,
    "Spikes to values: mean over the last steps, then a linear map.",
    ports,
    options,
    sizeof(rate),
    setup,
    forward,
    NULL
};

MLS_PLUGIN("rate", "1.0", "Apache-2.0", &adapter);
