/* Takes memory in setup that nobody gives back. */
#include "right.h"

#include <stdlib.h>
#include <string.h>

typedef struct leaking { right r; void *own; } leaking;

static void setup(mls_ctx *c, void *self)
{
    leaking *p = self;
    right_setup(c, self);
    p->own = malloc(200000);
    if (p->own) memset(p->own, 1, 200000);
}
BROKEN_AS(leaking_mixer, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options,
          sizeof(leaking), setup, right_forward);
