#include "train/optimiser.h"

#include "base/philox.h"
#include "kern/kern.h"

#include <math.h>

int mls_optimiser_open(mls_optimiser *o, const mls_net *net, mls_arena *a)
{
    mls_net_data(net, &o->count);
    const size_t count = (size_t)(o->count > 0 ? o->count : 1);
    void *m = mls_arena_zalloc(a, count * (o->mixed ? sizeof *o->mh : sizeof *o->m));
    void *v = o->kind == MLS_ADAMW
                  ? mls_arena_zalloc(a, count * (o->mixed ? sizeof *o->vh : sizeof *o->v))
                  : NULL;
    if (o->mixed) {
        o->mh = m;
        o->vh = v;
    } else {
        o->m = m;
        o->v = v;
    }
    return m && (v || o->kind != MLS_ADAMW);
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

/* shrink: what SGD's decay takes of a weight */
static void step_float(mls_optimiser *o, const mls_weight *w, int64_t at, int64_t n,
                       const mls_adamw *p, float shrink)
{
    if (o->kind == MLS_ADAMW) mls_k_adamw(w->data, w->grad, o->m + at, o->v + at, n, p);
    else sgd(w->data, w->grad, o->m + at, n, p->lr, (float)o->momentum, shrink);
}

static void step_mixed(mls_optimiser *o, const mls_weight *w, int64_t at, int64_t n,
                       const mls_adamw *p, float shrink)
{
    const uint32_t key = (uint32_t)mls_philox_mix(o->key, (uint64_t)p->t) + (uint32_t)at;
    if (o->kind == MLS_ADAMW)
        mls_k_adamw_half(w->data, w->grad, o->mh + at, o->vh + at, n, key, p);
    else
        mls_k_sgd_half(w->data, w->grad, o->mh + at, n, key, p->lr, (float)o->momentum,
                       shrink);
}

void mls_optimiser_step(mls_optimiser *o, mls_net *net, double rate, int64_t step)
{
    int64_t at = 0;
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        const int64_t n = w->rows * w->cols;
        const double decay = w->flags & MLS_NO_DECAY ? 0.0 : o->decay;
        const mls_adamw p = { (float)rate, (float)o->beta1, (float)o->beta2,
                              (float)o->epsilon, (float)decay, step };
        const float shrink = (float)(rate * decay);
        if (!(w->flags & MLS_FROZEN))
            (o->mixed ? step_mixed : step_float)(o, w, at, n, &p, shrink);
        at += n;
    }
    mls_net_adapt(net);
}

void mls_optimiser_bundle(const mls_optimiser *o, mls_bundle *b)
{
    const mls_bundle_type type = o->mixed ? MLS_B_U16 : MLS_B_F32;
    void *m = o->mixed ? (void *)o->mh : o->m, *v = o->mixed ? (void *)o->vh : o->v;
    mls_bundle_add(b, "optimiser/m", type, m, 1, &o->count);
    if (v) mls_bundle_add(b, "optimiser/v", type, v, 1, &o->count);
}
