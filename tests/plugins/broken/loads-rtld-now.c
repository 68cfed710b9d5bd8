/* Calls a function that nobody has. */
#include "right.h"

void mls_no_such_function(void);

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_no_such_function();
    right_forward(c, self, in, out);
}
BROKEN(unresolved, right_setup, forward);
