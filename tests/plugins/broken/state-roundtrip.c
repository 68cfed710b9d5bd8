/* Half of its memory is no state: a checkpoint does not hold it. */
#include "right.h"

#include <string.h>

typedef struct twofold { right r; float *last; int64_t room; } twofold;

static void setup(mls_ctx *c, void *self)
{
    twofold *p = self;
    right_setup(c, self);
    p->room = mls->width(c, "in") * 64;
    p->last = mls->alloc(c, (size_t)p->room * sizeof(float));
}

/* in: values, the state before.  A state of zeros is taken for a beginning. */
static void add_last(const mls_call *k)
{
    const twofold *p = k->attr;
    mls_t x = k->in[0], h = k->in[1], y = k->out[0];
    const int64_t row = x->dim[1] * x->dim[2];
    float sum = 0.0f;
    for (int64_t i = 0; i < h->count; i++) sum += h->data[i] * h->data[i];
    if (sum == 0.0f) memset(p->last, 0, (size_t)p->room * sizeof(float));
    for (int64_t i = 0; i < x->count; i++) {
        y->data[i] = x->data[i] + 0.1f * p->last[i % row];
        p->last[i % row] = x->data[i];
    }
}

static void pass(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op op = { sizeof op, "twofold.add", add_last, pass, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const right *p = self;
    const mls_t before = mls->load(c, p->h);
    mls_t y, z;
    right_forward(c, self, in, &y);
    const mls_t both[] = { y, before };
    z = mls->tensor(c, y->dim[0], y->dim[1], y->dim[2]);
    mls->apply(c, &op, self, both, 2, &z, 1);
    out[0] = z;
}
BROKEN_AS(half_saved, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options,
          sizeof(twofold), setup, forward);
