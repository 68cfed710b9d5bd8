/* last.c - the task's outputs for a sequence, from its last real step.
 *
 *   out = W x[t_last] + b
 *
 * The features of the last real step are carried, so that after any chunk the output is
 * that of the sequence so far, even where a sample's whole chunk is padding.
 */
#include <math.h>
#include <string.h>
#include <mls/plugin.h>

typedef struct head {
    mls_t w, b;
    mls_state *held;
} head;

/* The last real step of sample b, or -1. */
static int64_t last_real(const mls_call *k, int64_t b)
{
    const int64_t B = k->in[0]->dim[1];
    int64_t t = k->in[0]->dim[0] - 1;
    while (t >= 0 && k->in[2] && k->in[2]->data[t * B + b] == 0.0f) t--;
    return t;
}

static void pick_forward(const mls_call *k)
{
    mls_t x = k->in[0];
    const int64_t B = x->dim[1], N = x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        const int64_t t = last_real(k, b);
        const float *from = t < 0 ? k->in[1]->data + b * N : x->data + (t * B + b) * N;
        memcpy(k->out[0]->data + b * N, from, (size_t)N * sizeof *from);
    }
}

static void pick_backward(const mls_call *k)
{
    mls_t x = k->in[0], held = k->in[1];
    const int64_t B = x->dim[1], N = x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        const int64_t t = last_real(k, b);
        const float *g = k->out[0]->grad + b * N;
        float *to = t < 0 ? held->grad : x->grad;
        if (!to) continue;
        to += t < 0 ? b * N : (t * B + b) * N;
        for (int64_t n = 0; n < N; n++) to[n] += g[n];
    }
}

static const mls_op pick = { sizeof pick, "last.pick", pick_forward, pick_backward,
                             NULL };

static void setup(mls_ctx *c, void *self)
{
    head *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "output");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    p->held = mls->state(c, "held", in, 0.0, NULL, "features of the last real step");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    head *p = self;
    mls_t held = mls->load(c, p->held),
          y = mls->tensor(c, 1, in[0]->dim[1], in[0]->dim[2]);
    MLS_APPLY(c, &pick, p, ((mls_t[]){ in[0], held, in[1] }), ((mls_t[]){ y }));
    mls->store(c, p->held, y);
    out[0] = mls->linear(c, y, p->w, p->b);
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "features" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
                                  { "out", MLS_OUT, "1 B output",
                                    "logits or predictions of the sequence so far" },
                                  MLS_PORT_END };

static const mls_component component = { sizeof component,
                                         "head",
                                         "last",
                                         MLS_CAUSAL | MLS_STREAMS,
                                         "A linear map of the last real step.",
                                         ports,
                                         NULL,
                                         sizeof(head),
                                         setup,
                                         forward,
                                         NULL };

MLS_PLUGIN("head-last", "1.0", "Apache-2.0", &component);
