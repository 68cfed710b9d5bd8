/* identity.c - passes values through: an encoder without spikes.
 *
 *   out[t] = in[t]
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
    out[0] = out[1] = in[0];
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B n", "values" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "not used: there is no state" },
    { "spikes", MLS_OUT, "T B n", "the values, as they came; not binary" },
    { "membrane", MLS_OUT, "T B n", "the values too" },
    MLS_PORT_END
};

static const mls_component identity = { sizeof identity,
                                        "encoder",
                                        "identity",
                                        MLS_CAUSAL | MLS_STREAMS,
                                        "No encoding: values pass through unchanged.",
                                        ports,
                                        NULL,
                                        0,
                                        setup,
                                        forward,
                                        NULL };

MLS_PLUGIN("encoder-identity", "1.0", "Apache-2.0", &identity);
