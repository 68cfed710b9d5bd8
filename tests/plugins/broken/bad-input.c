/* Swallows NaN: nobody would hear of it. */
#include "right.h"

static void clean(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++) {
        const float x = k->in[0]->data[i];
        k->out[0]->data[i] = x == x ? x : 0.0f;
    }
}

static void pass(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "swallowing.copy", clean, pass, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const mls_t cleaned[] = { right_apply(c, &op, NULL, in[0]), in[1] };
    right_forward(c, self, cleaned, out);
}
BROKEN(swallowing, right_setup, forward);
