/* Takes the step lengths of the first sample for all. */
#include "right.h"

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "values" },
    { "dt", MLS_IN | MLS_MAYBE, "T B 1", "step lengths" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step" },
    { "out", MLS_OUT, "T B n", "their leaky mean" }, MLS_PORT_END };

static void first(const mls_call *k)
{
    mls_t x = k->in[0], dt = k->in[1], y = k->out[0];
    for (int64_t t = 0; t < x->dim[0]; t++)
        for (int64_t i = 0; i < x->dim[1] * x->dim[2]; i++)
            y->data[t * x->dim[1] * x->dim[2] + i] =
                x->data[t * x->dim[1] * x->dim[2] + i] * dt->data[t * x->dim[1]];
}

static void back(const mls_call *k)
{
    mls_t x = k->in[0], dt = k->in[1], y = k->out[0];
    const int64_t row = x->dim[1] * x->dim[2];
    for (int64_t i = 0; x->grad && i < x->count; i++)
        x->grad[i] += y->grad[i] * dt->data[i / row * x->dim[1]];
}

static const mls_op op = { sizeof op, "one_clock.scale", first, back, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const right *p = self;
    mls_t x = mls->linear(c, in[0], p->w, p->b);
    if (in[1]) {
        const mls_t both[] = { x, in[1] };
        mls_t y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
        mls->apply(c, &op, NULL, both, 2, &y, 1);
        x = y;
    }
    out[0] = right_leak(c, p, x, p->h, in[2]);
}
BROKEN_AS(one_clock, "liquid", MLS_CAUSAL | MLS_STREAMS, ports, right_options,
          sizeof(right), right_setup, forward);
