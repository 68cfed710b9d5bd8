/* Every step sees the mean of the whole sequence. */
#include "right.h"

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = mls->binary(c, MLS_ADD, y, mls->pool(c, in[0], MLS_POOL_MEAN, in[1]));
}
BROKEN(foreseeing, right_setup, forward);
