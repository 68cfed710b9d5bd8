/* right.h - a mixer that is right, in host operations; each file beside this one takes it
 * and does one thing wrong, for the case of `mls validate` that bears the file's name.
 *
 *   h[t] = decay h[t-1] + (1 - decay) (W x[t] + b)        y[t] = h[t]
 */
#ifndef TESTS_PLUGINS_BROKEN_RIGHT_H
#define TESTS_PLUGINS_BROKEN_RIGHT_H

#include <mls/plugin.h>

typedef struct right {
    double decay;
    mls_t w, b;
    mls_state *h;
} right;

static const mls_port right_ports[] __attribute__((unused)) = {
    { "in", MLS_IN, "T B n", "values" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step" },
    { "out", MLS_OUT, "T B n", "their leaky mean" }, MLS_PORT_END };

static const mls_option right_options[] __attribute__((unused)) = {
    MLS_OPT(right, decay, MLS_REAL, 0.5, 0, 0.99, NULL, "share of the past that stays"),
    MLS_OPT_END };

static inline void right_setup(mls_ctx *c, void *self)
{
    right *p = self;
    const int64_t n = mls->width(c, "in");
    p->w = mls->weight(c, "w", n, n, MLS_LINEAR);
    p->b = mls->weight(c, "b", 1, n, mls_init_of(MLS_UNIFORM, 0.1, MLS_NO_DECAY));
    p->h = mls->state(c, "h", n, 0.0, NULL, "leaky mean");
}

/* decay h + (1 - decay) x from the state h (NULL: from 0, and forgotten). */
static inline mls_t right_leak(mls_ctx *c, const right *p, mls_t x, mls_state *h, mls_t mask)
{
    return mls->scan(c, mls->scale(c, x, 0.0, p->decay),
                     mls->scale(c, x, 1.0 - p->decay, 0.0), h, mask);
}

static inline void right_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const right *p = self;
    out[0] = right_leak(c, p, mls->linear(c, in[0], p->w, p->b), p->h, in[1]);
}

/* An op from x to y of the same shape, and what applies it. */
static inline mls_t right_apply(mls_ctx *c, const mls_op *op, const void *attr, mls_t x)
{
    mls_t out = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    mls->apply(c, op, attr, &x, 1, &out, 1);
    return out;
}

#define BROKEN_AS(id, kind, flags, ports, options, size, setup, forward) \
    static const mls_component id = { sizeof id, kind, #id, flags, \
        "Broken on purpose: see the first line of its file", ports, options, size, setup, \
        forward, NULL }; \
    MLS_PLUGIN(#id, "1", "Apache-2.0", &id)
#define BROKEN(id, setup, forward) \
    BROKEN_AS(id, "mixer", MLS_CAUSAL | MLS_STREAMS, right_ports, right_options, \
              sizeof(right), setup, forward)

#endif
