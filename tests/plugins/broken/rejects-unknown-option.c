/* Takes a misspelt name for an option of its own. */
#include "right.h"

typedef struct lenient { right r; double other; } lenient;

static const mls_option options[] = {
    { "decay", MLS_REAL, offsetof(lenient, r.decay), 0.5, 0, 0.99, NULL, NULL,
      "share of the past that stays" },
    { "decay_", MLS_REAL, offsetof(lenient, other), 0.5, 0, 0.99, NULL, NULL,
      "share of the past that stays, for those who mistype it" }, MLS_OPT_END };

BROKEN_AS(mistyped, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, options,
          sizeof(lenient), right_setup, right_forward);
