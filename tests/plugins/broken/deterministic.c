/* Adds noise from a generator of its own that goes on from call to call. */
#include "right.h"

static uint32_t noise = 1;

static void stir(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++) {
        noise = noise * 1664525u + 1013904223u;
        k->out[0]->data[i] = k->in[0]->data[i] + 1e-3f * (float)(noise >> 8) / 16777216.0f;
    }
}

static void pass(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "rolling.stir", stir, pass, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = right_apply(c, &op, NULL, y);
}
BROKEN(rolling, right_setup, forward);
