/* Says that it streams and has no state, but looks one step back. */
#include "right.h"

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const right *p = self;
    mls_t x = mls->linear(c, in[0], p->w, p->b);
    out[0] = right_leak(c, p, x, NULL, in[1]);
}

static void setup(mls_ctx *c, void *self)
{
    right *p = self;
    const int64_t n = mls->width(c, "in");
    p->w = mls->weight(c, "w", n, n, MLS_LINEAR);
    p->b = mls->weight(c, "b", 1, n, MLS_ZEROS);
}
BROKEN(stateless, setup, forward);
