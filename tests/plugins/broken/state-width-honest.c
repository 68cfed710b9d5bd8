/* Tells the recorder half of a sequence, in a unit that nobody knows. */
#include "right.h"

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    right_forward(c, self, in, out);
    const int64_t half = (out[0]->dim[0] + 1) / 2;
    mls->tap(c, "trace", mls->steps(c, out[0], 0, half), "furlong", "half of the output");
}
BROKEN(half_told, right_setup, forward);
