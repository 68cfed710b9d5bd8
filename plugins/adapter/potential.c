/* potential.c - a linear map of the membrane potential.
 *
 *   out[t] = W U[t] + b
 *
 * U is what the encoder's port `membrane` gives: for encoder.lif with its delayed
 * reset, the potential before the reset.  The gradient flows into the membrane.
 */
#include <math.h>
#include <mls/plugin.h>

typedef struct potential {
    int64_t units;
    mls_t w, b;
} potential;

static void setup(mls_ctx *c, void *self)
{
    potential *p = self;
    if (!mls->connected(c, "membrane")) {
        mls->fail(
            c,
            "adapter.potential reads the membrane, but its input \"membrane\" has no "
            "wire: add one such as  enc.membrane -> adapter.membrane");
        return;
    }
    const int64_t in = mls->width(c, "membrane"), n = mls->width(c, "out");
    p->w = mls->weight(c, "weight", n, in, MLS_LINEAR);
    p->b = mls->weight(
        c, "bias", 1, n,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    potential *p = self;
    out[0] = mls->linear(c, in[1], p->w, p->b);
}

static const mls_port ports[] = {
    { "spikes", MLS_IN | MLS_MAYBE, "T B in", "not used" },
    { "membrane", MLS_IN | MLS_MAYBE, "T B in", "membrane potentials; needs a wire" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "not used: there is no state" },
    { "out", MLS_OUT, "T B units", "projected potentials" },
    MLS_PORT_END
};

static const mls_option options[] = { MLS_OPT(potential, units, MLS_INT, 0, 0, 65536,
                                              NULL, "outputs; 0: the network's width"),
                                      MLS_OPT_END };

static const mls_component adapter = { sizeof adapter,
                                       "adapter",
                                       "potential",
                                       MLS_CAUSAL | MLS_STREAMS,
                                       "Membrane potentials to values: a linear map.",
                                       ports,
                                       options,
                                       sizeof(potential),
                                       setup,
                                       forward,
                                       NULL };

MLS_PLUGIN("potential", "1.0", "Apache-2.0", &adapter);
