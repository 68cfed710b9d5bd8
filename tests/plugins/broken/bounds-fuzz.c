/* Divides by 1 - decay, which its own range lets become 0. */
#include "right.h"

static const mls_option options[] = {
    MLS_OPT(right, decay, MLS_REAL, 0.5, 0, 1, NULL, "share of the past that stays"),
    MLS_OPT_END };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const right *p = self;
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = mls->scale(c, mls->scale(c, y, 1e30, 0.0), 1e-30 / (1.0 - p->decay), 0.0);
}
BROKEN_AS(singular, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, options, sizeof(right),
          right_setup, forward);
