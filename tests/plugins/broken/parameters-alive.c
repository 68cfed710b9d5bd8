/* Has a weight that takes no part. */
#include "right.h"

static void setup(mls_ctx *c, void *self)
{
    right_setup(c, self);
    mls->weight(c, "spare", 3, 3, MLS_LINEAR);
}
BROKEN(dead_weight, setup, right_forward);
