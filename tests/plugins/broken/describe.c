/* Has no summary, and a port without help. */
#include "right.h"

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "" }, { "out", MLS_OUT, "T B n", "" },
    MLS_PORT_END };
static const mls_component silent = { sizeof silent, "mixer", "silent",
    MLS_CAUSAL | MLS_STREAMS, "", ports, right_options, sizeof(right), right_setup,
    right_forward, NULL };
MLS_PLUGIN("silent", "1", "Apache-2.0", &silent);
