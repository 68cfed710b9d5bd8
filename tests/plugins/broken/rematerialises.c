/* Counts its calls: a second forward of the same step gives something else. */
#include "right.h"

typedef struct counting { right r; int calls; } counting;

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    counting *p = self;
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = mls->scale(c, y, 1.0 + 0.01 * (double)(p->calls++ % 2), 0.0);
}
BROKEN_AS(counting_calls, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options,
          sizeof(counting), right_setup, forward);
