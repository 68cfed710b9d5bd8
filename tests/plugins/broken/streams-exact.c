/* Rounds otherwise when it is called step by step. */
#include "right.h"

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = y->dim[0] > 1 ? y : mls->scale(c, mls->scale(c, y, 0.1, 0.0), 10.0, 0.0);
}
BROKEN(rounding, right_setup, forward);
