/* ops-spike.c - a spike: s = H(v), 1 where v > 0, with the slope of a surrogate as its
 * gradient (k: steepness).  MLS_SMOOTH puts the surrogate's primitive in the place of H.
 *
 *   fast_sigmoid  1 / (1 + k|v|)^2              1/2 + v / (1 + k|v|)
 *   atan          (k/2) / (1 + (pi k v / 2)^2)  1/2 + atan(pi k v / 2) / pi
 *   logistic      k s(kv) (1 - s(kv))           s(kv)
 *
 * As plugins/encoder/lif.c, after snnTorch (Eshraghian et al. 2023).                    */
#include "grad/ops-inner.h"

#include <math.h>

#define PI_F 3.14159265358979324f

typedef struct span {
    mls_rows     rows;
    const float *v, *gs;
    float       *to, k;
} span;

/* The step itself, its smooth primitive, and the slope of both. */
#define EACH(name, assigned, value) \
    MLS_INLINE void name##_body(int64_t i, void *arg) \
    { \
        const span *p = arg; \
        const float *restrict vs = p->v, *restrict gs = p->gs, k = p->k; \
        float *restrict to = p->to; \
        const int64_t end = mls_rows_end(&p->rows, i); \
        for (int64_t j = mls_rows_first(&p->rows, i); j < end; j++) { \
            const float v = vs[j]; \
            (void)k, (void)gs; \
            to[j] assigned(value); \
        } \
    } \
    MLS_KERNEL_BODY(name, name##_body)

MLS_INLINE float fast_slope(float d) { return 1.0f / (d * d); }
MLS_INLINE float atan_slope(float k, float a) { return 0.5f * k / (1.0f + a * a); }
MLS_INLINE float logistic_slope(float k, float s) { return k * s * (1.0f - s); }

EACH(step, =, v > 0.0f ? 1.0f : 0.0f)
EACH(fast_smooth, =, 0.5f + v / (1.0f + k * fabsf(v)))
EACH(atan_smooth, =, 0.5f + atanf(0.5f * PI_F * k * v) * (1.0f / PI_F))
EACH(logistic_smooth, =, mls_sigmoidf(k * v))
EACH(fast_back, +=, gs[j] * fast_slope(1.0f + k * fabsf(v)))
EACH(atan_back, +=, gs[j] * atan_slope(k, 0.5f * PI_F * k * v))
EACH(logistic_back, +=, gs[j] * logistic_slope(k, mls_sigmoidf(k * v)))

static const struct row {
    float usual;
    void (*smooth)(int64_t i, void *arg), (*back)(int64_t i, void *arg);
} table[] = {
    [MLS_FAST_SIGMOID] = { 25.0f, fast_smooth, fast_back },
    [MLS_ATAN] = { 2.0f, atan_smooth, atan_back },
    [MLS_LOGISTIC] = { 25.0f, logistic_smooth, logistic_back },
};

typedef struct attr { const struct row *f; float k; } attr;

static void forward(const mls_call *call)
{
    const attr *a = call->attr;
    span p = { .v = call->in[0]->data, .to = call->out[0]->data, .k = a->k };
    mls_rows_run(call->in[0]->count, 1, call->flags & MLS_SMOOTH ? a->f->smooth : step,
                 &p);
}

static void backward(const mls_call *call)
{
    const attr *a = call->attr;
    span p = { .v = call->in[0]->data, .gs = call->out[0]->grad, .to = call->in[0]->grad,
               .k = a->k };
    if (p.to) mls_rows_run(call->in[0]->count, 1, a->f->back, &p);
}

static const mls_op op = { sizeof op, "spike", forward, backward, mls_grad_flops_each };

mls_t mls_grad_spike(mls_ctx *c, mls_t v, mls_surrogate f, double slope)
{
    if (c->error->set) return mls_grad_empty(c);
    if ((unsigned)f >= sizeof table / sizeof *table)
        mls_error_set(c->error, "%s: spike: there is no surrogate number %d", c->path,
                      (int)f);
    else if (!(slope >= 0.0 && slope <= 1e6))
        mls_error_set(c->error, "%s: spike: slope = %g, expected 0 (the surrogate's usual"
                      " one) to 1e6", c->path, slope);
    if (c->error->set) return mls_grad_empty(c);
    const attr a = { &table[f], slope > 0.0 ? (float)slope : table[f].usual };
    const void *kept = mls_grad_attr(c, &a, sizeof a);
    if (!kept) return mls_grad_empty(c);
    const mls_t y = mls_grad_like(c, v);
    mls_tape_apply_as(c, MLS_REPEATS, &op, kept, &v, 1, &y, 1);
    if (y->count) mls_tape_mark_spikes(y);
    return y;
}
