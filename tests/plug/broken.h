/* broken.h - a mixer that passes values through one op and breaks from step `from` on.
 * A plugin defines TITLE and breaks(), and includes this.
 *
 *   out[t] = in[t]
 */
#ifndef TESTS_PLUG_BROKEN_H
#define TESTS_PLUG_BROKEN_H

#include <mls/plugin.h>
#include <string.h>

static void breaks(float *out, int64_t n);

typedef struct broken { int64_t from, calls; } broken;

/* Every training step and every batch of an evaluation is one call. */
static void op_forward(const mls_call *k)
{
    broken *p = (broken *)(uintptr_t)k->attr;    /* self, which lives as long */
    memcpy(k->out[0]->data, k->in[0]->data, (size_t)k->in[0]->count * sizeof(float));
    if (++p->calls >= p->from) breaks(k->out[0]->data, k->out[0]->count);
}

static void op_backward(const mls_call *k)
{
    for (int64_t i = 0; k->in[0]->grad && i < k->in[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i];
}

static const mls_op copy = { sizeof copy, TITLE ".copy", op_forward, op_backward, NULL };

static void setup(mls_ctx *c, void *self)
{
    (void)c;
    (void)self;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const mls_t x[] = { in[0] };
    const mls_t y[] = { mls->tensor(c, x[0]->dim[0], x[0]->dim[1], x[0]->dim[2]) };
    MLS_APPLY(c, &copy, self, x, y);
    out[0] = y[0];
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "values" },
                                  { "out", MLS_OUT, "T B n", "the values" },
                                  MLS_PORT_END };

static const mls_option options[] = {
    MLS_OPT(broken, from, MLS_INT, 5, 1, 1000000, NULL, "the first call that breaks"),
    MLS_OPT_END };

static const mls_component component = {
    sizeof component, "mixer", TITLE, MLS_CAUSAL | MLS_STREAMS,
    "A test: passes values through until it breaks.", ports, options, sizeof(broken),
    setup, forward, NULL };

MLS_PLUGIN(TITLE, "1", "Apache-2.0", &component);

#endif
