/* Takes one head where the number of heads does not divide the width, and says nothing. */
#include "right.h"

typedef struct headed { right r; int64_t heads; } headed;

static const mls_option options[] = {
    { "decay", MLS_REAL, offsetof(headed, r.decay), 0.5, 0, 0.99, NULL, NULL,
      "share of the past that stays" },
    MLS_OPT(headed, heads, MLS_INT, 2, 1, 64, NULL, "parts that the output is scaled by"),
    MLS_OPT_END };

static void setup(mls_ctx *c, void *self)
{
    headed *p = self;
    right_setup(c, self);
    if (mls->width(c, "in") % p->heads) p->heads = 1;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const headed *p = self;
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = mls->scale(c, y, 1.0 / (double)p->heads, 0.0);
}
BROKEN_AS(obliging, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, options, sizeof(headed),
          setup, forward);
