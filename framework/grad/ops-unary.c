#include "grad/ops-inner.h"
#include "grad/tape-inner.h"

#include <float.h>
#include <math.h>

/* Each function is one row of a table: its value from x, and its slope from x or y.  */

typedef struct span {
    mls_rows     rows;
    const float *x, *y, *gy;
    float       *to;           /* y in forward, the gradient of x in backward         */
    float        a, b;         /* of a x + b                                          */
    int          add;          /* to what is there, in backward                       */
} span;

#define UNARY(name, value, slope) \
    MLS_INLINE void value_of_##name(int64_t i, void *arg) \
    { \
        const span *s = arg; \
        const float *restrict xs = s->x; \
        float *restrict to = s->to; \
        const int64_t end = mls_rows_end(&s->rows, i); \
        for (int64_t j = mls_rows_first(&s->rows, i); j < end; j++) { \
            const float x = xs[j]; \
            to[j] = (value); \
        } \
    } \
    MLS_KERNEL_BODY(name##_forward, value_of_##name) \
    MLS_INLINE void slope_of_##name(int64_t i, void *arg) \
    { \
        const span *s = arg; \
        const float *restrict xs = s->x, *restrict ys = s->y, *restrict gy = s->gy; \
        float *restrict to = s->to; \
        const int add = s->add; \
        const int64_t end = mls_rows_end(&s->rows, i); \
        for (int64_t j = mls_rows_first(&s->rows, i); j < end; j++) { \
            const float x = xs[j], y = ys[j]; \
            (void)x, (void)y; \
            to[j] = (add ? to[j] : 0.0f) + gy[j] * (slope); \
        } \
    } \
    MLS_KERNEL_BODY(name##_backward, slope_of_##name)

/* The normal distribution function to 1.5e-7 (Abramowitz and Stegun 7.1.26); *density
 * is its slope, which shares the exponential.                                        */
MLS_INLINE float normal(float x, float *density)
{
    const float z = (x < 0.0f ? -x : x) * 0.70710678f;
    const float t = 1.0f / (1.0f + 0.3275911f * z);
    const float e = mls_expf(-z * z);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const float tail = 0.5f * p * t * e;
    *density = 0.39894228f * e;
    return x < 0.0f ? tail : 1.0f - tail;
}

MLS_INLINE float gelu(float x) { float d; return x * normal(x, &d); }
MLS_INLINE float gelu_slope(float x)
{
    float d;
    const float n = normal(x, &d);
    return n + x * d;
}

MLS_INLINE float silu_slope(float x)
{
    const float s = mls_sigmoidf(x);
    return s + x * s * (1.0f - s);
}

/* ln x for every x: mls_logf knows normal positive numbers only. */
MLS_INLINE float log_of(float x)
{
    const float a = fabsf(x);
    const int tiny = a < FLT_MIN;
    float y = mls_logf(tiny ? a * 0x1p25f : a) - (tiny ? 25.0f * MLS_LN2 : 0.0f);
    y = x > FLT_MAX ? x : y;
    y = x == 0.0f ? -INFINITY : y;
    return x >= 0.0f ? y : NAN;
}

/* 1.7159 tanh(0.666 x), as ncps has it */
#define LECUN_SIZE 1.7159f
#define LECUN_RATE 0.666f

UNARY(sigmoid, mls_sigmoidf(x), y * (1.0f - y))
UNARY(tanh, mls_tanhf(x), 1.0f - y * y)
UNARY(silu, x * mls_sigmoidf(x), silu_slope(x))
UNARY(gelu, gelu(x), gelu_slope(x))
UNARY(relu, x < 0.0f ? 0.0f : x, x > 0.0f ? 1.0f : 0.0f)
UNARY(softplus, mls_softplusf(x), mls_sigmoidf(x))
UNARY(exp, mls_expf(x), y)
UNARY(lecun, LECUN_SIZE * mls_tanhf(LECUN_RATE * x),
      LECUN_RATE * (LECUN_SIZE - y * y * (1.0f / LECUN_SIZE)))
UNARY(negate, -x, -1.0f)
UNARY(square, x * x, 2.0f * x)
UNARY(log, log_of(x), 1.0f / x)
UNARY(sqrt, sqrtf(x), 0.5f / y)
/* at 0 the slope of abs is taken as 0 */
UNARY(abs, fabsf(x), x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : 0.0f)
UNARY(scale, s->a * x + s->b, s->a)

typedef struct function {
    mls_op op;
    void (*forward)(int64_t i, void *arg), (*backward)(int64_t i, void *arg);
    unsigned forgets;
} function;

typedef struct unary_attr { const function *f; float a, b; } unary_attr;

static void forward(const mls_call *k)
{
    const unary_attr *u = k->attr;
    span s = { .x = k->in[0]->data, .to = k->out[0]->data, .a = u->a, .b = u->b };
    mls_rows_run(k->in[0]->count, 1, u->f->forward, &s);
}

static void backward(const mls_call *k)
{
    const unary_attr *u = k->attr;
    if (!k->in[0]->grad) return;
    const unsigned forgets = u->f->forgets;          /* then any floats: nobody looks    */
    const float *gy = k->out[0]->grad;
    const int no_y = mls_tape_unread(forgets, 1);
    span s = { .x = forgets & MLS_TAPE_FORGETS_IN ? gy : k->in[0]->data,
               .y = no_y ? gy : k->out[0]->data, .gy = gy,
               .to = k->in[0]->grad, .a = u->a, .b = u->b, .add = !(k->fresh & 1) };
    mls_rows_run(k->in[0]->count, 1, u->f->backward, &s);
}

#define ROW(name, slope) \
    { { sizeof(mls_op), #name, forward, backward, mls_grad_flops_each }, \
      name##_forward, name##_backward, slope }
/* What a slope is computed of: the x or the y; what it is not goes. */
#define OF_X MLS_REPEATS
#define OF_Y MLS_TAPE_FORGETS_IN
#define OF_NEITHER MLS_TAPE_FORGETS

static const function functions[] = {
    [MLS_SIGMOID] = ROW(sigmoid, OF_Y),      [MLS_TANH] = ROW(tanh, OF_Y),
    [MLS_SILU] = ROW(silu, OF_X),            [MLS_GELU] = ROW(gelu, OF_X),
    [MLS_RELU] = ROW(relu, OF_X),            [MLS_SOFTPLUS] = ROW(softplus, OF_X),
    [MLS_EXP] = ROW(exp, OF_Y),              [MLS_LECUN_TANH] = ROW(lecun, OF_Y),
    [MLS_NEGATE] = ROW(negate, OF_NEITHER),  [MLS_SQUARE] = ROW(square, OF_X),
    [MLS_LOG] = ROW(log, OF_X),              [MLS_SQRT] = ROW(sqrt, OF_Y),
    [MLS_ABS] = ROW(abs, OF_X),
};
static const function scale = ROW(scale, OF_NEITHER);

static mls_t apply(mls_ctx *c, const function *f, mls_t x, double a, double b)
{
    const unary_attr u = { f, (float)a, (float)b };
    const void *attr = c->error->set ? NULL : mls_grad_attr(c, &u, sizeof u);
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_grad_like(c, x);
    mls_tape_apply_as(c, MLS_WRITES | f->forgets, &f->op, attr, &x, 1, &y, 1);
    return y;
}

mls_t mls_grad_unary(mls_ctx *c, mls_unary f, mls_t x)
{
    if ((unsigned)f >= sizeof functions / sizeof *functions) {
        mls_error_set(c->error, "%s: unary: there is no function number %d", c->path,
                      (int)f);
        return mls_grad_empty(c);
    }
    return apply(c, &functions[f], x, 0.0, 0.0);
}

mls_t mls_grad_scale(mls_ctx *c, mls_t x, double a, double b)
{
    return apply(c, &scale, x, a, b);
}
