/* spikes.c - a spiking layer as the last one, read at every step.
 *
 *   out[t] = scale * sum of S[t] over the neurons of an output     (readout spikes)
 *            scale * mean of U[t] over them                        (readout membrane)
 *
 * with the leaky neurons of spiking_head.h.  It is what snnTorch 0.9.4's ce_rate_loss and
 * mse_membrane_loss take: train.loss = ce_rate, mse_membrane.
 */
#include "spiking_head.h"

enum { SHOW_SPIKES, SHOW_MEMBRANE };

static void setup(mls_ctx *c, void *self) { spiking_setup(c, self); }

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    spiking_head *p = self;
    mls_t both[2];
    spiking_run(c, p, in, both);
    out[0] = p->show == SHOW_SPIKES ? grouped(c, p, both[0], 1.0)
                                    : grouped(c, p, both[1], (double)p->population);
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "features" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
                                  { "out", MLS_OUT, "T B output",
                                    "spikes or membrane of each output at each step" },
                                  MLS_PORT_END };

static const mls_option options[] = {
    SPIKING_HEAD_OPTIONS("spikes|membrane", "spikes: summed over the neurons of an output; "
                                            "membrane: their mean"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "head", "spikes", MLS_CAUSAL | MLS_STREAMS,
    "Leaky neurons for each output, read at every step.\n\n"
    "With `train.loss` = ce_rate or mse_membrane they learn the class of a sequence.",
    ports, options, sizeof(spiking_head), setup, forward, NULL
};

MLS_PLUGIN("head-spikes", "1.0", "Apache-2.0", &component);
