/* identity.c - passes values through: no mixing over time.
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
    out[0] = in[0];
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "values" },
                                  { "mod_b", MLS_IN | MLS_MAYBE, "T B mb", "not used" },
                                  { "mod_c", MLS_IN | MLS_MAYBE, "T B mc", "not used" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1",
                                    "not used: there is no state" },
                                  { "out", MLS_OUT, "T B n", "the values" },
                                  MLS_PORT_END };

static const mls_component identity = {
    sizeof identity,
    "mixer",
    "identity",
    MLS_CAUSAL | MLS_STREAMS,
    "No mixing over time: values pass through unchanged.",
    ports,
    NULL,
    0,
    setup,
    forward,
    NULL
};

MLS_PLUGIN("mixer-identity", "1.0", "Apache-2.0", &identity);
