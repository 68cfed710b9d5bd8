/* Does each of its products a thousand times. */
#include "right.h"

static void slow(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++) {
        volatile float y = k->in[0]->data[i];
        for (int again = 0; again < 2000; again++) y = y * 1.0f;
        k->out[0]->data[i] = y;
    }
}

static void pass(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "lazy.copy", slow, pass, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = right_apply(c, &op, NULL, y);
}
BROKEN(lazy, right_setup, forward);
