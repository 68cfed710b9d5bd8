/* Reads values of its input where it has put the gradient already, and says that it does not. */
#include "right.h"

#include <mls/gradient.h>

/* y[i] = x[i] x[i - 1] */
static void neighbours(const mls_call *k)
{
    const float *x = k->in[0]->data;
    for (int64_t i = 0; i < k->in[0]->count; i++)
        k->out[0]->data[i] = i ? x[i] * x[i - 1] : 0.0f;
}

static void back(const mls_call *k)
{
    const float *x = k->in[0]->data, *g = k->out[0]->grad;
    float *gx = k->in[0]->grad;
    const int64_t n = k->in[0]->count;
    mls_clear_if_fresh(k, 0);
    for (int64_t i = 0; gx && i < n; i++) {
        if (i) gx[i] += g[i] * x[i - 1];
        if (i + 1 < n) gx[i] += g[i + 1] * x[i + 1];
    }
}

static const mls_op op = { sizeof op, "careless.neighbours", neighbours, back, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t x = mls->scale(c, in[0], 0.5, 0.1), y;
    y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2]);
    mls_apply_as(c, MLS_WRITES | MLS_OVER(0), &op, NULL, &x, 1, &y, 1);
    const mls_t made[] = { y, in[1] };
    right_forward(c, self, made, out);
}
BROKEN(careless, right_setup, forward);
