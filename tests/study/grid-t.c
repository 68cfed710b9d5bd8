#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "study/grid.h"

#include <string.h>

static mls_arena arena;

static mls_value *list(int n, const int64_t *x)
{
    mls_value *v = mls_value_list(&arena);
    for (int i = 0; i < n; i++)
        mls_value_push(&arena, v, mls_value_int(&arena, x[i]));
    return v;
}

static mls_value *modes_and_chunks(void)
{
    static const char *const mode[] = { "sequential", "parallel", "bidirectional" };
    static const int64_t chunk[] = { 512, 64, 8 };
    mls_value *vary = mls_value_map(&arena), *modes = mls_value_list(&arena);
    for (int i = 0; i < 3; i++)
        mls_value_push(&arena, modes, mls_value_string(&arena, mode[i]));
    mls_value_set(&arena, vary, "chunk", list(3, chunk));
    mls_value_set(&arena, vary, "mode", modes);
    return vary;
}

static int talks(void *arg, const mls_value *p, mls_error *e)
{
    (void)arg;
    return strcmp(mls_value_get_string(p, "mode", "", e), "bidirectional") == 0
        || mls_value_get_int(p, "chunk", 0, e) == 512;
}

static void expands(void **state)
{
    mls_error e = { 0 };
    mls_grid g;
    (void)state;
    mls_grid_expand(&arena, modes_and_chunks(), NULL, NULL, &g, &e);
    assert_false(e.set);
    assert_int_equal(g.n, 9);
    assert_string_equal(mls_grid_label(&arena, g.point[0]), "chunk=512 mode=sequential");
    assert_string_equal(mls_grid_label(&arena, g.point[1]), "chunk=512 mode=parallel");
    assert_string_equal(mls_grid_label(&arena, g.point[8]), "chunk=8 mode=bidirectional");
    mls_grid_expand(&arena, modes_and_chunks(), talks, NULL, &g, &e);
    assert_int_equal(g.n, 5);
    mls_grid_expand(&arena, NULL, NULL, NULL, &g, &e);
    assert_int_equal(g.n, 1);
    assert_string_equal(mls_grid_label(&arena, g.point[0]), "all");
}

static void filters(void **state)
{
    mls_error e = { 0 };
    mls_grid g;
    (void)state;
    mls_grid_expand(&arena, modes_and_chunks(), NULL, NULL, &g, &e);
    mls_grid_filter(&arena, &g, "mode=parallel", &e);
    assert_false(e.set);
    assert_int_equal(g.n, 3);
    mls_grid_filter(&arena, &g, "chunk=64", &e);
    assert_int_equal(g.n, 1);
    mls_grid_filter(&arena, &g, "chnk=64", &e);
    assert_true(e.set);
    assert_non_null(strstr(e.text, "did you mean \"chunk\""));
}

static void bad_vary(void **state)
{
    mls_error e = { 0 };
    mls_grid g;
    mls_value *vary = mls_value_map(&arena);
    (void)state;
    mls_value_set(&arena, vary, "width", mls_value_int(&arena, 3));
    mls_grid_expand(&arena, vary, NULL, NULL, &g, &e);
    assert_true(e.set);
    assert_non_null(strstr(e.text, "vary.width"));
}

static void seeds(void **state)
{
    static const int64_t some[] = { 7, 3 }, twice[] = { 7, 7 };
    mls_error e = { 0 };
    int64_t *s;
    int n;
    (void)state;
    mls_grid_seeds(&arena, mls_value_int(&arena, 3), &s, &n, &e);
    assert_int_equal(n, 3);
    assert_int_equal(s[2], 3);
    mls_grid_seeds(&arena, list(2, some), &s, &n, &e);
    assert_int_equal(n, 2);
    assert_int_equal(s[0], 7);
    assert_false(e.set);
    mls_grid_seeds(&arena, list(2, twice), &s, &n, &e);
    assert_true(e.set);
    memset(&e, 0, sizeof e);
    mls_grid_seeds(&arena, mls_value_int(&arena, 0), &s, &n, &e);
    assert_true(e.set);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(expands), cmocka_unit_test(filters),
        cmocka_unit_test(bad_vary), cmocka_unit_test(seeds) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_arena_free(&arena);
    return failed;
}
