/* Takes memory from libc in every step, and gives it back. */
#include "right.h"

#include <stdlib.h>
#include <string.h>

static void copy(const mls_call *k)
{
    const size_t n = (size_t)k->in[0]->count * sizeof(float);
    float *own = malloc(n);
    if (!own) return;
    memcpy(own, k->in[0]->data, n);
    memcpy(k->out[0]->data, own, n);
    free(own);
}

static void pass(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "hungry.copy", copy, pass, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = right_apply(c, &op, NULL, y);
}
BROKEN(hungry, right_setup, forward);
