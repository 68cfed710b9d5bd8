/* sum.c - two streams added.
 *
 *   out[t] = a[t] + b[t]
 */
#include <mls/plugin.h>

static void setup(mls_ctx *c, void *self)
{
    (void)c;
    (void)self;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)self;
    out[0] = mls->binary(c, MLS_ADD, in[0], in[1]);
}

static const mls_port ports[] = { { "a", MLS_IN, "T B n", "first stream" },
                                  { "b", MLS_IN, "T B n", "second stream" },
                                  { "out", MLS_OUT, "T B n", "their sum" },
                                  MLS_PORT_END };

static const mls_component fusion = { sizeof fusion,
                                      "fusion",
                                      "sum",
                                      MLS_CAUSAL | MLS_STREAMS,
                                      "Adds two streams.",
                                      ports,
                                      NULL,
                                      0,
                                      setup,
                                      forward,
                                      NULL };

MLS_PLUGIN("sum", "1.0", "Apache-2.0", &fusion);
