#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/parfor.h"
#include "base/philox.h"
#include "kern/kern.h"
#include "plug/plug.h"

enum { N = 600007 };
static float x[N], y[N], g[N], m[N], v[N];

static void sum_of_squares(void **state)
{
    (void)state;
    mls_philox_normal(1, x, N, 1.0);
    static const int64_t sizes[] = { 0, 1, 7, 8, 16383, 16384, 16385, N };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        double ref = 0.0;
        for (int64_t i = 0; i < sizes[s]; i++) ref += (double)x[i] * (double)x[i];
        const double got = mls_k_sum_squares(x, sizes[s]);
        assert_true(fabs(got - ref) <= 1e-12 * ref);
    }
}

static void finds_the_first_bad(void **state)
{
    (void)state;
    mls_philox_normal(1, x, N, 1.0);
    x[3] = 3.4e38f;
    x[4] = 1e-45f;
    assert_int_equal(mls_k_first_bad(x, N), -1);
    assert_int_equal(mls_k_first_bad(x, 0), -1);
    static const int64_t places[] = { N - 1, 500000, 16384, 16383, 17, 0 };
    for (size_t s = 0; s < sizeof places / sizeof *places; s++) {
        x[places[s]] = s % 3 == 0 ? NAN : s % 3 == 1 ? INFINITY : -INFINITY;
        assert_int_equal(mls_k_first_bad(x, N), places[s]);
        assert_int_equal(mls_k_first_bad(x, places[s]), -1);
    }
}

/* Three steps against the formulas in double; more values than are shared out. */
static void adamw(void **state)
{
    (void)state;
    mls_adamw p = { 0.01f, 0.9f, 0.999f, 1e-8f, 0.1f, 0 };
    mls_philox_normal(2, x, N, 1.0);
    memset(m, 0, sizeof m);
    memset(v, 0, sizeof v);
    double w1 = (double)x[77], m1 = 0, v1 = 0;
    for (p.t = 1; p.t <= 3; p.t++) {
        mls_philox_normal((uint64_t)p.t + 10, g, N, 0.1);
        mls_k_adamw(x, g, m, v, N, &p);
        const double d = (double)g[77];
        m1 = 0.9 * m1 + 0.1 * d;
        v1 = 0.999 * v1 + 0.001 * d * d;
        w1 -= 0.01 * 0.1 * w1;
        w1 -= 0.01 * (m1 / (1 - pow(0.9, (double)p.t)))
              / (sqrt(v1 / (1 - pow(0.999, (double)p.t))) + 1e-8);
        assert_true(fabs((double)x[77] - w1) < 1e-6);
    }
    memcpy(y, x, sizeof x);
    static float m2[N], v2[N];
    memcpy(m2, m, sizeof m);
    memcpy(v2, v, sizeof v);
    mls_k_adamw(x, g, m, v, N, &p);
    mls_parfor_threads(3);
    mls_k_adamw(y, g, m2, v2, N, &p);
    mls_parfor_threads(1);
    assert_memory_equal(x, y, sizeof x);
    assert_memory_equal(m, m2, sizeof m);
    assert_memory_equal(v, v2, sizeof v);
}

int main(void)
{
    mls_plug_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sum_of_squares), cmocka_unit_test(finds_the_first_bad),
        cmocka_unit_test(adamw),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
