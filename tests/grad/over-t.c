/* Gradients that take the place of something: of the values of their tensor (MLS_OVER), or of
 * the gradient that they come from (MLS_PASSES); and when they must not.                  */
#include "rig.h"

#include "grad/reuse.h"
#include "grad/tape-inner.h"

enum { T = 32, B = 8, N = 8, COUNT = T * B * N };

/* y = x x (times w, if there is one) from `from` to `to`, and 0 beside: two of them can share
 * an x, of which each reads its part.  What backward met.                                 */
typedef struct part { int64_t from, to; int runs, over, passed; } part;

static void square(const mls_call *k)
{
    const part *p = k->attr;
    const float *x = k->in[0]->data, *w = k->n_in > 1 ? k->in[1]->data : NULL;
    memset(k->out[0]->data, 0, COUNT * sizeof(float));
    for (int64_t i = p->from; i < p->to; i++)
        k->out[0]->data[i] = x[i] * x[i] * (w ? w[i] : 1.0f);
}

static void square_back(const mls_call *k)
{
    part *p = (part *)(uintptr_t)k->attr;
    const mls_tensor *x = k->in[0], *w = k->n_in > 1 ? k->in[1] : NULL, *y = k->out[0];
    const int put = k->fresh & 1 || p->to - p->from < COUNT;
    p->runs++;
    p->over = x->grad == x->data;
    p->passed = x->grad == y->grad;
    if (w && k->fresh & 2) memset(w->grad, 0, COUNT * sizeof(float));
    for (int64_t i = p->from; i < p->to; i++) {
        const float xi = x->data[i], g = y->grad[i];
        const float gx = 2.0f * xi * (w ? w->data[i] : 1.0f) * g;
        x->grad[i] = put ? gx : x->grad[i] + gx;
        if (w) w->grad[i] += xi * xi * g;
    }
}

static double no_flops(const mls_call *k) { return (double)k->n_in; }
static const mls_op squares = { sizeof squares, "squares", square, square_back, no_flops };

/* y = 2 x, of which backward reads nothing and says so. */
static void twice(const mls_call *k)
{
    for (int64_t i = 0; i < COUNT; i++) k->out[0]->data[i] = 2.0f * k->in[0]->data[i];
}

static void twice_back(const mls_call *k)
{
    for (int64_t i = 0; i < COUNT; i++) k->in[0]->grad[i] += 2.0f * k->out[0]->grad[i];
}

static const mls_op doubles = { sizeof doubles, "doubles", twice, twice_back, no_flops };

static mls_t make(mls_ctx *c, unsigned can, const mls_op *op, part *p, mls_t a, mls_t b)
{
    const mls_t in[] = { a, b }, out = mls_tape_tensor(c, T, B, N);
    mls_tape_apply_as(c, can, op, p, in, b ? 2 : 1, &out, 1);
    return out;
}

enum { ALONE, READ, BORNE, HELD, VIEWED, AGAIN, LATER, GIVEN, CASES };

typedef struct built { mls_t y; part p[3]; } built;

/* x -> a = 2 x -> a a, and in each case something beside it that reads a too. */
static void build(rig *g, float *x, float *gx, int which, unsigned can, built *t)
{
    mls_ctx *c = &g->c;
    const unsigned plain = MLS_WRITES | MLS_FORGETS;
    const int two = which == BORNE || which == AGAIN || which == LATER;
    *t = (built){ .p = { { .to = two ? COUNT / 2 : COUNT }, { two ? COUNT / 2 : 0, COUNT, 0, 0, 0 },
                         { .to = COUNT } } };
    const mls_t leaf = mls_tape_wrap(c, x, gx, 1, T, B, N);
    mls_t a = make(c, MLS_TAPE_FORGETS, &doubles, NULL, leaf, NULL), beside = NULL;
    if (which == HELD) mls_tape_detach(c, a);
    if (which == READ) beside = make(c, plain, &squares, &t->p[1], a, NULL);
    if (which == BORNE) beside = make(c, can, &squares, &t->p[1], a, NULL);
    if (which == AGAIN || which == LATER)
        beside = make(c, can | MLS_REPEATS, &squares, &t->p[1], a, NULL);
    if (which == LATER) beside = make(c, plain, &squares, &t->p[2], beside, NULL);
    if (which == VIEWED)
        beside = mls_grad_unary(c, MLS_SQUARE, mls_tape_steps(c, a, 3, 1));
    if (which == GIVEN) beside = a;
    if (which == AGAIN) {
        t->y = make(c, can, &squares, &t->p[0], a, beside);
        return;
    }
    t->y = make(c, can, &squares, &t->p[0], a, NULL);
    if (beside) t->y = mls_grad_binary(c, MLS_ADD, t->y, beside);
}

/* The gradient of x, with memory that is used again or without. */
static void run(int which, unsigned can, int reuse, int half, float *x, float *gx, built *t)
{
    rig g;
    rig_start(&g, MLS_TRAIN);
    memset(gx, 0, COUNT * sizeof *gx);
    if (reuse) {
        g.tape.reuse = mls_reuse_new(half);
        mls_reuse_plan(&g.tape, 1);
        build(&g, x, gx, which, can, t);
        mls_reuse_end(&g.c);
        mls_reuse_planned(&g.tape);
        mls_tape_reset(&g.tape);
    }
    build(&g, x, gx, which, can, t);
    mls_reuse_end(&g.c);
    float *seed = mls_tape_grad(&g.c, t->y);
    for (int64_t i = 0; i < COUNT; i++) seed[i] = 0.5f + 0.25f * (float)(i % 3);
    mls_tape_backward(&g.c);
    rig_stop(&g);
}

/* Runs each case with `can` and without it: the same gradient. */
static void each_case(unsigned can, void (*look)(int which, int half, const part *p))
{
    const unsigned plain = MLS_WRITES | MLS_FORGETS;
    float *x = rig_noise(COUNT, 3), *want = rig_zeros(COUNT), *got = rig_zeros(COUNT);
    for (int which = 0; which < CASES; which++)
        for (int half = 0; half < 2; half++) {
            built t;
            run(which, plain, half, half, x, want, &t);
            assert_false(t.p[0].over || t.p[0].passed);
            run(which, plain | can, 1, half, x, got, &t);
            assert_int_equal(t.p[0].runs, 1);
            look(which, half, &t.p[0]);
            for (int64_t i = 0; i < COUNT; i++)
                if (got[i] != want[i])
                    fail_msg("case %d, half %d: gradient %lld is %g, should be %g", which, half,
                             (long long)i, (double)got[i], (double)want[i]);
        }
    free(x), free(want), free(got);
}

static void lies_over(int which, int half, const part *p)
{
    const int over = which == ALONE || which == BORNE || which == AGAIN || which == LATER;
    if (p->over != over)
        fail_msg("case %d, half %d: the gradient %s over the values", which, half,
                 over ? "is not" : "lies");
}

static void over_values(void **state)
{
    (void)state;
    each_case(MLS_OVER(0), lies_over);
}

static void is_passed(int which, int half, const part *p)
{
    const int passed = which != GIVEN;                      /* a's gradient holds something */
    if (p->passed != passed)
        fail_msg("case %d, half %d: the gradient is %spassed on", which, half,
                 passed ? "not " : "");
}

static void over_the_gradient_it_comes_from(void **state)
{
    (void)state;
    each_case(MLS_PASSES(0), is_passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(over_values),
                                        cmocka_unit_test(over_the_gradient_it_comes_from) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("over", tests, NULL, NULL);
}
