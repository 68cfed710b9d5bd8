/* Forgets a factor in the backward of its op: y = x^2, dy = x. */
#include "right.h"

static void square(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++)
        k->out[0]->data[i] = k->in[0]->data[i] * k->in[0]->data[i];
}

static void back(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i] * k->in[0]->data[i];
}

static const mls_op op = { sizeof op, "halved.square", square, back, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = right_apply(c, &op, NULL, y);
}
BROKEN(halved, right_setup, forward);
