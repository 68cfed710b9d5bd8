/* Has an option that nobody reads. */
#include "right.h"

typedef struct idle { right r; double gain; } idle;

static const mls_option options[] = {
    { "decay", MLS_REAL, offsetof(idle, r.decay), 0.5, 0, 0.99, NULL, NULL,
      "share of the past that stays" },
    MLS_OPT(idle, gain, MLS_REAL, 1, 0, 10, NULL, "factor of the output"), MLS_OPT_END };

BROKEN_AS(idle_option, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, options,
          sizeof(idle), right_setup, right_forward);
