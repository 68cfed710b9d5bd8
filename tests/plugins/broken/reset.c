/* Keeps the last output in memory of its own, which no reset reaches. */
#include "right.h"

#include <string.h>

typedef struct keeper { right r; float *last; int64_t room; } keeper;

static void setup(mls_ctx *c, void *self)
{
    keeper *p = self;
    right_setup(c, self);
    p->room = mls->width(c, "in");
    p->last = mls->alloc(c, (size_t)p->room * sizeof(float));
}

static void add_last(const mls_call *k)
{
    const keeper *p = k->attr;
    mls_t x = k->in[0], y = k->out[0];
    for (int64_t i = 0; i < x->count; i++)
        y->data[i] = x->data[i] + 0.1f * p->last[i % p->room];
    memcpy(p->last, y->data + y->count - p->room, (size_t)p->room * sizeof(float));
}

static void pass(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "hidden.add", add_last, pass, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = right_apply(c, &op, self, y);
}
BROKEN_AS(hidden, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options,
          sizeof(keeper), setup, forward);
