/* An encoder whose spikes are shares. */
#include "right.h"

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "values" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step" },
    { "spikes", MLS_OUT | MLS_SPIKES, "T B n", "spikes" },
    { "membrane", MLS_OUT, "T B n", "potential" }, MLS_PORT_END };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    right_forward(c, self, in, &out[1]);
    out[0] = mls->unary(c, MLS_SIGMOID, out[1]);
}
BROKEN_AS(graded, "encoder", MLS_CAUSAL | MLS_STREAMS, ports, right_options, sizeof(right),
          right_setup, forward);
