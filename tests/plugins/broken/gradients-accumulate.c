/* Writes its input's gradient instead of adding to it. */
#include "right.h"

static void copy(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++) k->out[0]->data[i] = k->in[0]->data[i];
}

static void back(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] = k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "overwriting.copy", copy, back, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const mls_t copied[] = { right_apply(c, &op, NULL, in[0]), in[1] };
    right_forward(c, self, copied, out);
}
BROKEN(overwriting, right_setup, forward);
