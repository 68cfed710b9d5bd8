/* identity.c - passes spikes through as values.
 *
 *   out[t] = spikes[t]
 *
 * The control of an ablation.
 */
#include <mls/plugin.h>

static void setup(mls_ctx *c, void *self)
{
    (void)c;
    (void)self;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c;
    (void)self;
    out[0] = in[0];
}

static const mls_port ports[] = {
    { "spikes", MLS_IN, "T B n", "spike trains" },
    { "membrane", MLS_IN | MLS_MAYBE, "T B n", "not used" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "not used: there is no state" },
    { "out", MLS_OUT, "T B n", "the spikes" },
    MLS_PORT_END
};

static const mls_component identity = { sizeof identity,
                                        "adapter",
                                        "identity",
                                        MLS_CAUSAL | MLS_STREAMS,
                                        "Spikes as values, unchanged.",
                                        ports,
                                        NULL,
                                        0,
                                        setup,
                                        forward,
                                        NULL };

MLS_PLUGIN("adapter-identity", "1.0", "Apache-2.0", &identity);
