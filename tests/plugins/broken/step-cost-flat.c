/* Keeps all that it ever saw: each step costs a little more than the one before. */
#include "right.h"

typedef struct diary { right r; int64_t steps; double sum; } diary;

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    diary *p = self;
    const int64_t rows = 1 + (p->steps += in[0]->dim[0]) / 8;
    mls->tensor(c, rows, in[0]->dim[1], in[0]->dim[2]);
    right_forward(c, self, in, out);
}
BROKEN_AS(diary_keeping, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options,
          sizeof(diary), right_setup, forward);
