#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "study/budget.h"

#include <string.h>

/* Like a network: quadratic in the width, linear in the fine knob. */
static int64_t square(void *arg, int64_t width, int64_t fine, mls_error *e)
{
    (void)e;
    ++*(int *)arg;
    return 12 * width * width + 100 * width + 3 * width * fine;
}

static int64_t flat(void *arg, int64_t width, int64_t fine, mls_error *e)
{
    (void)arg, (void)width, (void)fine, (void)e;
    return 1000;
}

static void finds_the_width(void **state)
{
    const mls_budget b = { .parameters = 12 * 96 * 96 + 100 * 96, .step = 8,
                           .fine_step = 1, .tolerance = 0.02, .width = "width" };
    mls_error e = { 0 };
    int64_t width, fine, n;
    int asked = 0;
    (void)state;
    assert_true(mls_budget_solve(&b, square, &asked, &width, &fine, &n, &e));
    assert_int_equal(width, 96);
    assert_int_equal(fine, 0);
    assert_int_equal(n, b.parameters);
    assert_true(asked < 30);
}

static void says_what_it_can_reach(void **state)
{
    mls_budget b = { .parameters = 110000, .step = 16, .fine_step = 1, .tolerance = 0.02,
                     .width = "width" };
    mls_error e = { 0 };
    int64_t width, fine, n;
    int asked = 0;
    (void)state;
    assert_false(mls_budget_solve(&b, square, &asked, &width, &fine, &n, &e));
    assert_non_null(strstr(e.text, "the nearest is 120192 at width = 96"));
    memset(&e, 0, sizeof e);
    b.fine = "extra";                           /* the second knob closes the gap */
    assert_true(mls_budget_solve(&b, square, &asked, &width, &fine, &n, &e));
    assert_int_equal(width, 80);
    assert_true(fine > 0 && n > 107800 && n < 112200);
}

static void sees_a_width_without_effect(void **state)
{
    const mls_budget b = { .parameters = 5000, .step = 8, .fine_step = 1,
                           .tolerance = 0.02, .width = "width" };
    mls_error e = { 0 };
    int64_t width, fine, n;
    (void)state;
    assert_false(mls_budget_solve(&b, flat, NULL, &width, &fine, &n, &e));
    assert_non_null(strstr(e.text, "is p.width used?"));
}

static void names_by_variant(void **state)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_value *map = mls_value_map(&a), *names = mls_value_map(&a), *p = mls_value_map(&a);
    (void)state;
    mls_value_set(&a, names, "parallel", mls_value_string(&a, "units"));
    mls_value_set(&a, names, "default", mls_value_string(&a, "d"));
    mls_value_set(&a, map, "parameters", mls_value_int(&a, 100));
    mls_value_set(&a, map, "width", names);
    mls_value_set(&a, p, "mode", mls_value_string(&a, "parallel"));
    assert_string_equal(mls_budget_read(map, p, &e).width, "units");
    mls_value_set(&a, p, "mode", mls_value_string(&a, "mamba"));
    assert_string_equal(mls_budget_read(map, p, &e).width, "d");
    assert_false(e.set);
    mls_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_the_width),
        cmocka_unit_test(says_what_it_can_reach),
        cmocka_unit_test(sees_a_width_without_effect), cmocka_unit_test(names_by_variant) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
