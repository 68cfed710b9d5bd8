/* spread.h - a constant [1][1][N] as a sequence [T][B][N]; its gradient is the sum. */
#ifndef PLUGINS_MIXER_SPREAD_H
#define PLUGINS_MIXER_SPREAD_H

#include <mls/plugin.h>
#include <string.h>

static void spread_forward(const mls_call *k)
{
    const int64_t N = k->in[0]->count, rows = k->out[0]->count / N;
    for (int64_t i = 0; i < rows; i++)
        memcpy(k->out[0]->data + i * N, k->in[0]->data, (size_t)N * sizeof(float));
}

static void spread_backward(const mls_call *k)
{
    const int64_t N = k->in[0]->count, rows = k->out[0]->count / N;
    for (int64_t i = 0; i < rows && k->in[0]->grad; i++)
        for (int64_t n = 0; n < N; n++) k->in[0]->grad[n] += k->out[0]->grad[i * N + n];
}

static const mls_op spreading = { sizeof spreading, "mixer.spread", spread_forward,
                                  spread_backward, NULL };

static inline mls_t spread(mls_ctx *c, mls_t value, int64_t T, int64_t B)
{
    mls_t out = mls->tensor(c, T, B, value->dim[2]);
    mls->apply(c, &spreading, NULL, &value, 1, &out, 1);
    return out;
}

#endif
