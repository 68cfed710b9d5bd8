/* The help of an option ends in a full stop, and its unit is no unit. */
#include "right.h"

static const mls_option options[] = {
    MLS_OPT(right, decay, MLS_REAL, 0.5, 0, 0.99, "furlong", "Share of the past that stays."),
    MLS_OPT_END };
BROKEN_AS(full_stop, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, options, sizeof(right),
          right_setup, right_forward);
