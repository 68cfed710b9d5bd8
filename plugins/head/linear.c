/* linear.c - the task's outputs at every step.
 *
 *   out[t] = W x[t] + b
 */
#include <math.h>
#include <mls/plugin.h>

typedef struct head {
    mls_t w, b;
} head;

static void setup(mls_ctx *c, void *self)
{
    head *p = self;
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "output");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    head *p = self;
    out[0] = mls->linear(c, in[0], p->w, p->b);
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "features" },
                                  { "out", MLS_OUT, "T B output",
                                    "logits or predictions of each step" },
                                  MLS_PORT_END };

static const mls_component component = { sizeof component,
                                         "head",
                                         "linear",
                                         MLS_CAUSAL | MLS_STREAMS,
                                         "A linear map at every step.",
                                         ports,
                                         NULL,
                                         sizeof(head),
                                         setup,
                                         forward,
                                         NULL };

MLS_PLUGIN("head-linear", "1.0", "Apache-2.0", &component);
