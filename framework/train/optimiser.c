#include "train/optimiser.h"

#include "kern/kern.h"

#include <math.h>

int mls_optimiser_open(mls_optimiser *o, const mls_net *net, mls_arena *a)
{
    mls_net_data(net, &o->count);
    const size_t bytes = (size_t)(o->count > 0 ? o->count : 1) * sizeof(float);
    o->m = mls_arena_zalloc(a, bytes);
    o->v = o->kind == MLS_ADAMW ? mls_arena_zalloc(a, bytes) : NULL;
    return o->m && (o->v || o->kind != MLS_ADAMW);
}

double mls_optimiser_clip(const mls_net *net, double most)
{
    int64_t n;
    mls_net_data(net, &n);
    float *g = mls_net_grad(net);
    const double norm = sqrt(mls_k_sum_squares(g, n));
    if (isfinite(norm) && most > 0.0 && norm > most) {
        const float by = (float)(most / norm);
        for (int64_t i = 0; i < n; i++) g[i] *= by;
    }
    return norm;
}

/* m = momentum m + g,  w = w (1 - rate decay) - rate m */
static void sgd(float *restrict w, const float *restrict g, float *restrict m,
                int64_t n, float rate, float momentum, float shrink)
{
    for (int64_t i = 0; i < n; i++) {
        m[i] = momentum * m[i] + g[i];
        w[i] -= shrink * w[i] + rate * m[i];
    }
}

void mls_optimiser_step(mls_optimiser *o, mls_net *net, double rate, int64_t step)
{
    int64_t at = 0;
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        const int64_t n = w->rows * w->cols;
        const double decay = w->flags & MLS_NO_DECAY ? 0.0 : o->decay;
        if (!(w->flags & MLS_FROZEN)) {
            if (o->kind == MLS_ADAMW)
                mls_k_adamw(w->data, w->grad, o->m + at, o->v + at, n,
                            &(mls_adamw){(float)rate, (float)o->beta1, (float)o->beta2,
                                         (float)o->epsilon, (float)decay, step});
            else
                sgd(w->data, w->grad, o->m + at, n, (float)rate, (float)o->momentum,
                    (float)(rate * decay));
        }
        at += n;
    }
    mls_net_adapt(net);
}

void mls_optimiser_bundle(const mls_optimiser *o, mls_bundle *b)
{
    mls_bundle_add(b, "optimiser/m", MLS_B_F32, o->m, 1, &o->count);
    if (o->v) mls_bundle_add(b, "optimiser/v", MLS_B_F32, o->v, 1, &o->count);
}
