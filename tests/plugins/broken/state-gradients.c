/* Its backward stops at the beginning of the sequence: no gradient for the state. */
#include "right.h"

static void cut(const mls_call *k)
{
    for (int64_t i = 0; i < k->in[0]->count; i++) k->out[0]->data[i] = k->in[0]->data[i];
}

static void nothing(const mls_call *k) { (void)k; }

static const mls_op op = { sizeof op, "truncated.copy", cut, nothing, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const right *p = self;
    mls->store(c, p->h, right_apply(c, &op, NULL, mls->load(c, p->h)));
    right_forward(c, self, in, out);
}
BROKEN(truncated, right_setup, forward);
