/* leaky.c - a leaky integrator:  h[t] = a h[t-1] + (1 - a) (W x[t] + b),  a = exp(-1 / tau) */
#include <math.h>
#include <mls/plugin.h>

typedef struct leaky { int64_t units; double tau; mls_t w, b; mls_state *h; } leaky;

/* A step of padding (mask 0) keeps h, and passes its gradient on as it is. */
static int padded(const mls_call *k, int64_t t, int64_t i)
{
    const int64_t B = k->in[0]->dim[1], N = k->in[0]->dim[2];
    return k->in[2] && k->in[2]->data[t * B + i / N] == 0.0f;
}

static void scan_forward(const mls_call *k)           /* in x, h0, mask; out y, h1 */
{
    const float a = (float)exp(-1.0 / ((const leaky *)k->attr)->tau);
    const int64_t n = k->in[1]->count, T = k->in[0]->dim[0];
    float *h = k->out[1]->data;
    for (int64_t i = 0; i < n; i++) h[i] = k->in[1]->data[i];
    for (int64_t t = 0; t < T; t++)
        for (int64_t i = 0; i < n; i++) {
            const float x = k->in[0]->data[t * n + i];
            k->out[0]->data[t * n + i] = h[i] = padded(k, t, i) ? h[i] : a * h[i] + (1 - a) * x;
        }
}

static void scan_backward(const mls_call *k)          /* adds to the inputs' gradients */
{
    const float a = (float)exp(-1.0 / ((const leaky *)k->attr)->tau);
    const int64_t n = k->in[1]->count, T = k->in[0]->dim[0];
    float *dh = k->out[1]->grad;                      /* an op owns its outputs' gradients */
    for (int64_t t = T - 1; t >= 0; t--)
        for (int64_t i = 0; i < n; i++) {
            dh[i] += k->out[0]->grad[t * n + i];
            if (padded(k, t, i)) continue;
            if (k->in[0]->grad) k->in[0]->grad[t * n + i] += (1 - a) * dh[i];
            dh[i] *= a;
        }
    for (int64_t i = 0; k->in[1]->grad && i < n; i++) k->in[1]->grad[i] += dh[i];
}

static const mls_op scan = { sizeof scan, "leaky.scan", scan_forward, scan_backward, NULL };

static void setup(mls_ctx *c, void *self)
{
    leaky *p = self;
    p->w = mls->weight(c, "weight", p->units, mls->width(c, "in"), MLS_LINEAR);
    p->b = mls->weight(c, "bias", 1, p->units, MLS_ZEROS);
    p->h = mls->state(c, "h", p->units, 0.0, NULL, "what is integrated");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    leaky *p = self;
    mls_t x = mls->linear(c, in[0], p->w, p->b), h0 = mls->load(c, p->h);
    mls_t y = mls->tensor(c, x->dim[0], x->dim[1], p->units);
    mls_t h1 = mls->tensor(c, 1, x->dim[1], p->units);
    MLS_APPLY(c, &scan, p, ((mls_t[]){ x, h0, in[1] }), ((mls_t[]){ y, h1 }));
    mls->store(c, p->h, h1);
    out[0] = y;
}

static const mls_port ports[] = { { "in", MLS_IN, "T B in", "what is integrated" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1: a real step" },
                                  { "out", MLS_OUT, "T B units", "the integral" }, MLS_PORT_END };
static const mls_option options[] = {
    MLS_OPT(leaky, units, MLS_INT, 0, 0, 65536, NULL, "units; 0: the network's width"),
    MLS_OPT(leaky, tau, MLS_REAL, 10, 0.1, 1e6, "steps", "time constant"), MLS_OPT_END };
static const mls_component liquid = { sizeof liquid, "liquid", "leaky", MLS_CAUSAL | MLS_STREAMS,
    "Leaky integrator", ports, options, sizeof(leaky), setup, forward, NULL };
MLS_PLUGIN("leaky", "1.0", "Apache-2.0", &liquid);
