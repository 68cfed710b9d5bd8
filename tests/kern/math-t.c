/* The functions of mls/kernel.h against libm in double, over dense ranges and for every
 * kernel family that this CPU runs.  The bounds are those that the header states.    */
#include <mls/kernel.h>

#include "kern/kern.h"
#include "plug/plug.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 1 << 12, BLOCKS = 256 };

typedef struct pair { const float *x; float *y; } pair;

#define FUNCTION(name) \
    MLS_INLINE void body_##name(int64_t i, void *arg) \
    { \
        (void)i; \
        const pair *p = arg; \
        for (int j = 0; j < N; j++) p->y[j] = mls_##name##f(p->x[j]); \
    } \
    MLS_KERNEL_BODY(k_##name, body_##name)

FUNCTION(exp2)
FUNCTION(exp)
FUNCTION(sigmoid)
FUNCTION(tanh)
FUNCTION(log)
FUNCTION(softplus)

static double ref_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double ref_softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}
static double ref_log(double x) { return log(x); }

/* A host of our own, so that the family can be chosen. */
static mls_host host;

/* Largest |y - ref| / max(|ref|, floor), evenly over [lo, hi], over the three families.
 */
static double worst(void (*kernel)(int64_t, void *), double (*ref)(double), double lo,
                    double hi, double floor)
{
    static float x[N], y[N];
    pair p = { x, y };
    double most = 0.0;
    const mls_host *before = mls;
    const int best = mls_k_init();
    mls = &host;
    for (host.isa = 0; host.isa <= best; host.isa++)
        for (int b = 0; b < BLOCKS; b++) {
            for (int j = 0; j < N; j++)
                x[j] = (float)(lo + (hi - lo) * (b * N + j) / ((double)BLOCKS * N - 1));
            kernel(0, &p);
            for (int j = 0; j < N; j++) {
                const double r = ref((double)x[j]),
                             size = fabs(r) > floor ? fabs(r) : floor;
                const double e = fabs((double)y[j] - r) / size;
                if (!(e <= most)) most = e;
            }
        }
    mls = before;
    print_message("worst over [%g, %g]: %.2e\n", lo, hi, most);
    return most;
}

static void exp2_is_accurate(void **state)
{
    (void)state;
    assert_true(worst(k_exp2, exp2, -126, 127, 0) < 2.0e-7);
    assert_true(worst(k_exp2, exp2, -1, 1, 0) < 2.0e-7);
}

static void exp_is_accurate(void **state)
{
    (void)state;
    assert_true(worst(k_exp, exp, -87.3, 88, 0) < 2.0e-7);
    assert_true(worst(k_exp, exp, -1, 1, 0) < 2.0e-7);
}

static void sigmoid_is_accurate(void **state)
{
    (void)state;
    assert_true(worst(k_sigmoid, ref_sigmoid, -87, 88, 0) < 3.0e-7);
    assert_true(worst(k_sigmoid, ref_sigmoid, -8, 8, 0) < 3.0e-7);
}

static void tanh_is_accurate(void **state)
{
    (void)state;
    assert_true(worst(k_tanh, tanh, -20, 20, 0) < 4.0e-7);
    assert_true(worst(k_tanh, tanh, -1, 1, 0) < 4.0e-7);
    assert_true(worst(k_tanh, tanh, -1e-3, 1e-3, 0) < 4.0e-7);
}

static void log_is_accurate(void **state)
{
    (void)state;
    assert_true(worst(k_log, ref_log, 0.5, 2.5, 0) < 2.0e-7);
    assert_true(worst(k_log, ref_log, 1e-30, 1e-3, 0) < 2.0e-7);
    assert_true(worst(k_log, ref_log, 1e-3, 1e30, 0) < 2.0e-7);
}

static void softplus_is_accurate(void **state)
{
    (void)state;
    assert_true(worst(k_softplus, ref_softplus, -87, 88, 0) < 4.0e-7);
    assert_true(worst(k_softplus, ref_softplus, -20, 20, 0) < 4.0e-7);
}

static float at(void (*kernel)(int64_t, void *), float x)
{
    static float in[N], out[N];
    for (int j = 0; j < N; j++) in[j] = x;
    pair p = { in, out };
    kernel(0, &p);
    return out[N / 2];
}

static void edges(void **state)
{
    (void)state;
    const mls_host *before = mls;
    const int best = mls_k_init();
    mls = &host;
    for (host.isa = 0; host.isa <= best; host.isa++) {
        float hostile;
        memset(&hostile, 0xff, sizeof hostile);
        void (*const all[])(int64_t, void *) = { k_exp2, k_exp, k_sigmoid, k_tanh,
                                                k_softplus };
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
            assert_true(isnan(at(all[i], NAN)));
            assert_true(isnan(at(all[i], hostile)));
        }
        assert_true(at(k_exp, 0.0f) == 1.0f && at(k_exp2, 0.0f) == 1.0f);
        assert_true(at(k_exp2, 10.0f) == 1024.0f && at(k_exp2, -126.0f) == 0x1p-126f);
        assert_true(at(k_exp, -INFINITY) == 0.0f && at(k_exp, -1e30f) == 0.0f);
        assert_true(isinf(at(k_exp, INFINITY)) && isinf(at(k_exp2, 200.0f)));
        assert_true(at(k_sigmoid, 0.0f) == 0.5f && at(k_sigmoid, 200.0f) == 1.0f);
        assert_true(at(k_sigmoid, -200.0f) == 0.0f);
        assert_true(at(k_tanh, 0.0f) == 0.0f);
        assert_true(fabsf(at(k_tanh, 1e30f)) <= 1.0f && at(k_tanh, 30.0f) > 0.999999f);
        assert_true(at(k_tanh, -3.0f) == -at(k_tanh, 3.0f));
        assert_true(at(k_log, 1.0f) == 0.0f);
        assert_true(at(k_softplus, 500.0f) == 500.0f &&
                    at(k_softplus, -500.0f) == 0.0f);
    }
    mls = before;
}

/* Every value where it belongs, and nothing around them, whatever is left over of fours. */
static void rows_and_columns_change_places(void **state)
{
    (void)state;
    enum { MOST = 9, LD = 11, LDT = 13, GUARD = -7 };
    float from[MOST * LD], to[MOST * LDT];
    for (int i = 0; i < MOST * LD; i++) from[i] = (float)i;
    for (int rows = 0; rows <= MOST; rows++)
        for (int cols = 0; cols <= MOST; cols++) {
            for (int i = 0; i < MOST * LDT; i++) to[i] = GUARD;
            mls_transpose(rows, cols, from, LD, to, LDT);
            for (int i = 0; i < MOST; i++)
                for (int l = 0; l < LDT; l++)
                    assert_true(to[i * LDT + l] ==
                                (i < cols && l < rows ? from[l * LD + i] : GUARD));
        }
}

static void rows_are_packed(void **state)
{
    (void)state;
    enum { ROWS = 3, PANEL = 4, LD = 6, GUARD = -7 };
    float from[ROWS * LD], to[ROWS * PANEL + 1];
    for (int i = 0; i < ROWS * LD; i++) from[i] = (float)i;
    for (int w = 1; w <= PANEL; w++) {
        for (int i = 0; i <= ROWS * PANEL; i++) to[i] = GUARD;
        mls_pack_rows(ROWS, w, PANEL, from, LD, to);
        for (int r = 0; r < ROWS; r++)
            for (int l = 0; l < PANEL; l++)
                assert_true(to[r * PANEL + l] == (l < w ? from[r * LD + l] : GUARD));
        assert_true(to[ROWS * PANEL] == GUARD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp2_is_accurate),     cmocka_unit_test(exp_is_accurate),
        cmocka_unit_test(sigmoid_is_accurate),  cmocka_unit_test(tanh_is_accurate),
        cmocka_unit_test(log_is_accurate),      cmocka_unit_test(softplus_is_accurate),
        cmocka_unit_test(edges),
        cmocka_unit_test(rows_and_columns_change_places),
        cmocka_unit_test(rows_are_packed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
