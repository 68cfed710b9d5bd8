#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "study/statistics.h"

#include <math.h>

static void near(double x, double y, double tolerance)
{
    if (!(fabs(x - y) <= tolerance))
        print_error("%.10g is not %.10g\n", x, y);
    assert_true(fabs(x - y) <= tolerance);
}

/* Two-sided 95 % and 99 % points of printed tables. */
static void t_quantiles(void **state)
{
    static const double known[][3] = { { 0.975, 1, 12.7062 }, { 0.975, 2, 4.30265 },
        { 0.975, 4, 2.77645 }, { 0.975, 10, 2.22814 }, { 0.975, 30, 2.04227 },
        { 0.995, 4, 4.60409 }, { 0.95, 1, 6.31375 }, { 0.975, 1000, 1.96234 },
        { 0.025, 4, -2.77645 }, { 0.75, 1, 1.0 } };
    (void)state;
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        near(mls_study_t_quantile(known[i][0], known[i][1]), known[i][2], 1e-4);
    near(mls_study_t_cdf(0.0, 7.0), 0.5, 1e-12);
    near(mls_study_t_cdf(1.0, 1.0), 0.75, 1e-12);      /* Cauchy: 1/2 + atan(1)/pi */
    near(mls_study_t_cdf(-2.0, 2.0), 0.0917517095, 1e-9);
    assert_true(isnan(mls_study_t_quantile(1.0, 3.0)));
}

static void moments(void **state)
{
    const double x[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
    (void)state;
    const mls_moments m = mls_study_moments(x, 8);
    near(m.mean, 5.0, 1e-12);
    near(m.sd, 2.1380899353, 1e-9);
    assert_true(isnan(mls_study_moments(x, 1).sd));
    assert_true(isnan(mls_study_moments(x, 0).mean));
}

/* Welch's t by hand: means 3 and 6, variances 2.5 and 10, n = 5: se = sqrt(2.5),
 * df = 2.5^2 / (0.25 / 4 + 4 / 4) = 5.88235. */
static void welch(void **state)
{
    const double a[] = { 1, 2, 3, 4, 5 }, b[] = { 2, 4, 6, 8, 10 };
    (void)state;
    const mls_difference d = mls_study_welch(a, 5, b, 5, 0.95);
    const double half = mls_study_t_quantile(0.975, 100.0 / 17.0) * sqrt(2.5);
    near(d.value, -3.0, 1e-12);
    near(d.df, 100.0 / 17.0, 1e-9);
    near(d.high - d.low, 2.0 * half, 1e-9);
    assert_int_equal(d.paired, 0);
    assert_true(isnan(mls_study_welch(a, 1, b, 5, 0.95).low));
}

/* Differences 1, 2, 3: mean 2, sd 1, t_{0.975,2} = 4.30265. */
static void paired(void **state)
{
    const double a[] = { 11, 22, 33 }, b[] = { 10, 20, 30 };
    (void)state;
    const mls_difference d = mls_study_paired(a, b, 3, 0.95);
    near(d.value, 2.0, 1e-12);
    near(d.low, 2.0 - 4.302653 / sqrt(3.0), 1e-5);
    assert_int_equal(d.paired, 1);
    assert_true(isnan(mls_study_paired(a, b, 1, 0.95).high));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(t_quantiles),
        cmocka_unit_test(moments), cmocka_unit_test(welch), cmocka_unit_test(paired) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
