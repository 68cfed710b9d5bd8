/* The logarithm of values of either sign. */
#include "right.h"

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = mls->unary(c, MLS_LOG, y);
}
BROKEN(logarithm, right_setup, forward);
