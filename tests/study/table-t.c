#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "study/study_file.h"
#include "study/table.h"
#include "folder.h"

#include <math.h>

static mls_arena arena;

static mls_value *result(double loss)
{
    mls_value *r = mls_value_map(&arena), *v = mls_value_map(&arena);
    mls_value_set(&arena, v, "loss", mls_value_real(&arena, loss));
    mls_value_set(&arena, r, "validation", v);
    mls_value_set(&arena, r, "tokens_per_second", mls_value_real(&arena, 1000.0));
    mls_value_set(&arena, r, "peak_memory", mls_value_int(&arena, 2 << 20));
    return r;
}

static mls_value *point(const char *mode)
{
    mls_value *p = mls_value_map(&arena);
    mls_value_set(&arena, p, "mode", mls_value_string(&arena, mode));
    return p;
}

static void make(mls_table_trial t[6], mls_table *table)
{
    static const double loss[6] = { 2.0, 2.2, 2.4, 1.9, 2.0, 2.1 };
    mls_value *settings = mls_value_map(&arena), *compare = mls_value_map(&arena);
    mls_value *floors = mls_value_list(&arena), *floor = mls_value_map(&arena);
    mls_value_set(&arena, settings, "name", mls_value_string(&arena, "try"));
    mls_value_set(&arena, compare, "by", mls_value_string(&arena, "loss"));
    mls_value_set(&arena, compare, "against", point("a"));
    mls_value_set(&arena, settings, "compare", compare);
    mls_value_set(&arena, floor, "name", mls_value_string(&arena, "4-gram"));
    mls_value_set(&arena, floor, "value", mls_value_real(&arena, 1.669));
    mls_value_push(&arena, floors, floor);
    mls_value_set(&arena, settings, "floors", floors);
    for (int i = 0; i < 6; i++)
        t[i] = (mls_table_trial){ .id = i < 3 ? "a0" : "b0",
            .label = i < 3 ? "mode=a" : "mode=b", .point = point(i < 3 ? "a" : "b"),
            .variant = i / 3, .seed = 1 + i % 3, .parameters = 1234567,
            .result = result(loss[i]) };
    mls_error e = { 0 };
    mls_table_make(&arena, settings, t, 6, table, &e);
    assert_false(e.set);
}

static void compares_in_pairs(void **state)
{
    mls_table_trial t[6];
    mls_table table;
    (void)state;
    make(t, &table);
    assert_int_equal(table.n_lines, 3);
    assert_true(table.line[0].baseline);
    assert_true(isnan(table.line[0].to.value));
    assert_true(fabs(table.line[1].to.value + 0.2) < 1e-12);
    assert_true(table.line[1].to.paired);
    /* differences -0.1 -0.2 -0.3: sd 0.1, t = 4.302653 */
    assert_true(fabs(table.line[1].to.low + 0.2 + 0.1 * 4.302653 / sqrt(3.0)) < 1e-6);
    const char *text = mls_table_text(&arena, &table);
    assert_non_null(strstr(text, "1,234,567"));
    assert_non_null(strstr(text, "4-gram"));
    assert_non_null(strstr(text, "paired by seed"));
    assert_null(strstr(text, "spike rate"));
    assert_non_null(strstr(mls_table_csv(&arena, &table), "floor,\"4-gram\",1,1.669"));
}

static void a_failure_is_a_row(void **state)
{
    mls_table_trial t[6];
    mls_table table;
    mls_error e = { 0 };
    mls_value *settings = mls_value_map(&arena), *compare = mls_value_map(&arena);
    (void)state;
    make(t, &table);
    t[4].result = NULL;
    t[4].reason = "crashed: SIGSEGV in layer0.mix, step 41";
    mls_value_set(&arena, compare, "against", point("a"));
    mls_value_set(&arena, settings, "compare", compare);
    mls_table_make(&arena, settings, t, 6, &table, &e);
    assert_false(e.set);
    assert_int_equal(table.line[1].by.n, 2);
    assert_false(table.line[1].to.paired);
    assert_int_equal(table.line[2].kind, MLS_LINE_MISSING);
    assert_non_null(strstr(mls_table_text(&arena, &table),
                           "mode=b seed=2  crashed: SIGSEGV in layer0.mix, step 41"));
}

/* Modes a and b on folds 0, 1, 2 with two seeds each; a fold's own level is far greater
 * than what the modes differ by, so that only pairs by fold can tell them apart.         */
static void means_over_folds(void **state)
{
    static const double level[3] = { 1.0, 2.0, 4.0 }, less[3] = { 0.1, 0.2, 0.3 };
    mls_table_trial t[12];
    mls_table table;
    mls_error e = { 0 };
    mls_value *settings = mls_value_map(&arena), *compare = mls_value_map(&arena);
    (void)state;
    for (int i = 0; i < 12; i++) {
        const int fold = i % 6 / 2, b = i / 6, seed = i % 2;
        mls_value *p = point(b ? "b" : "a");
        mls_value_set(&arena, p, "fold", mls_value_int(&arena, fold));
        t[i] = (mls_table_trial){ .id = "0", .label = "one", .point = p, .variant = i / 2,
            .seed = 1 + seed, .parameters = b ? 200 : 100,
            .result = result(level[fold] - b * less[fold] + (seed ? 0.01 : -0.01)) };
    }
    mls_value_set(&arena, compare, "by", mls_value_string(&arena, "loss"));
    mls_value_set(&arena, compare, "over", mls_value_string(&arena, "fold"));
    mls_value_set(&arena, compare, "against", point("a"));
    mls_value_set(&arena, settings, "compare", compare);
    mls_table_make(&arena, settings, t, 12, &table, &e);
    assert_false(e.set);
    assert_int_equal(table.n_lines, 8);
    const mls_table_line *a = &table.line[6], *b = &table.line[7];
    assert_int_equal(a->kind, MLS_LINE_MEAN);
    assert_string_equal(b->label, "mode=b, mean over fold");
    assert_true(a->baseline && !b->baseline && isnan(a->to.value));
    assert_int_equal(b->by.n, 3);
    assert_true(fabs(a->by.mean - 7.0 / 3.0) < 1e-12);
    assert_true(fabs(a->by.sd - sqrt(7.0 / 3.0)) < 1e-12);
    assert_true(b->to.paired);
    assert_true(fabs(b->to.value + 0.2) < 1e-12);
    assert_true(fabs(b->to.low + 0.2 + 0.1 * 4.302653 / sqrt(3.0)) < 1e-6);
    assert_true(b->parameters == 200.0);
    assert_non_null(strstr(mls_table_text(&arena, &table), "mean over fold: n, sd"));
    assert_non_null(strstr(mls_table_csv(&arena, &table), "mean,\"mode=a, mean over fold\",3,"));

    /* a fold without any result leaves the pairs, and the row says Welch */
    t[8].result = t[9].result = NULL;
    mls_table_make(&arena, settings, t, 12, &table, &e);
    assert_false(e.set);
    assert_int_equal(table.line[7].by.n, 2);
    assert_false(table.line[7].to.paired);
}

static void files(void **state)
{
    mls_table_trial t[6];
    mls_table table;
    mls_error e = { 0 };
    struct stat s;
    (void)state;
    folder_make();
    make(t, &table);
    assert_true(mls_study_files(folder, &table, &e));
    assert_true(mls_study_files(folder, &table, &e));       /* and once more over it */
    assert_int_equal(stat(in_folder("table.csv"), &s), 0);
    assert_int_equal(stat(in_folder("study.h5"), &s), 0);
    assert_true(s.st_size > 1000);
    folder_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(compares_in_pairs),
        cmocka_unit_test(a_failure_is_a_row),
        cmocka_unit_test(means_over_folds), cmocka_unit_test(files) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_arena_free(&arena);
    return failed;
}
