/* Takes the mean of the batch away: a sample's output depends on its neighbours. */
#include "right.h"

static void centre(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t B = x->dim[1], N = x->dim[2];
    for (int64_t t = 0; t < x->dim[0]; t++)
        for (int64_t n = 0; n < N; n++) {
            const float *a = x->data + t * B * N + n;
            float sum = 0.0f;
            for (int64_t b = 0; b < B; b++) sum += a[b * N];
            for (int64_t b = 0; b < B; b++)
                y->data[(t * B + b) * N + n] = a[b * N] - sum / (float)B;
        }
}

static void back(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t B = x->dim[1], N = x->dim[2];
    for (int64_t t = 0; x->grad && t < x->dim[0]; t++)
        for (int64_t n = 0; n < N; n++) {
            const float *g = y->grad + t * B * N + n;
            float sum = 0.0f;
            for (int64_t b = 0; b < B; b++) sum += g[b * N];
            for (int64_t b = 0; b < B; b++)
                x->grad[(t * B + b) * N + n] += g[b * N] - sum / (float)B;
        }
}

static const mls_op op = { sizeof op, "batch_mean.centre", centre, back, NULL };

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_t y;
    right_forward(c, self, in, &y);
    out[0] = right_apply(c, &op, NULL, y);
}
BROKEN(batch_mean, right_setup, forward);
