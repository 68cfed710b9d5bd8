/* An encoder without a surrogate: no gradient comes through its spikes. */
#include "right.h"

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "values" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step" },
    { "spikes", MLS_OUT | MLS_SPIKES, "T B n", "spikes" },
    { "membrane", MLS_OUT, "T B n", "potential" }, MLS_PORT_END };

static void fire(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++)
        k->out[0]->data[i] = k->in[0]->data[i] > 0.0f ? 1.0f : 0.0f;
}

static const mls_op op = { sizeof op, "hard.fire", fire, NULL, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    right_forward(c, self, in, &out[1]);
    out[0] = right_apply(c, &op, NULL, out[1]);
}
BROKEN_AS(hard, "encoder", MLS_CAUSAL | MLS_STREAMS, ports, right_options, sizeof(right),
          right_setup, forward);
