/* Calls itself a fusion and has only one input. */
#include "right.h"

BROKEN_AS(one_armed, "fusion", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options,
          sizeof(right), right_setup, right_forward);
