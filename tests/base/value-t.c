#include "base/value.h"
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static mls_arena a;
static mls_error e;

static int clean(void **state)
{
    (void)state;
    mls_arena_free(&a);
    a = (mls_arena){ 0 };
    e = (mls_error){ 0 };
    return 0;
}

static mls_value *read_text(const char *text)
{
    mls_value *v = mls_yaml_parse(&a, text, strlen(text), "t", &e);
    assert_string_equal(e.text, "");
    return v;
}

/* What must come back from text as it went in. */
static mls_value *everything(void)
{
    static const char *const strings[] = {"",
                                          " ",
                                          "true",
                                          "no",
                                          "1",
                                          "1e3",
                                          "0x1f",
                                          ".5",
                                          "~",
                                          "null",
                                          "- a",
                                          "a: b",
                                          "a #b",
                                          "# a",
                                          "\"q\"",
                                          "'s'",
                                          "a\nb\tc\r",
                                          "\x01\x7f",
                                          "caf\xc3\xa9",
                                          "\xe2\x80\xa8",
                                          "\xc2\x85",
                                          "\xf0\x9f\x98\x80",
                                          "a ",
                                          "x:",
                                          "*a",
                                          "&a",
                                          "!t",
                                          "%",
                                          "@",
                                          "`",
                                          "{",
                                          "[",
                                          "a, b",
                                          "input -> enc -> liq; mix ~> liq.mod_tau",
                                          ".nan",
                                          "-",
                                          "---",
                                          "...",
                                          "?",
                                          "|",
                                          ">",
                                          "0o17",
                                          "+1",
                                          "<<",
                                          "C:\\x"};
    static const double reals[] = {
        0.1,     -0.0,   1.0,       20.0,       1e-8,
        1e300,   5e-324, 1.0 / 3.0, 12345678.9, 9007199254740993.0,
        -2.5e-7, 30720.0};
    mls_value *map = mls_value_map(&a), *list = mls_value_list(&a);
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        mls_value_push(&a, list, mls_value_string(&a, strings[i]));
        if (*strings[i] && strcmp(strings[i], "<<"))
            mls_value_set(&a, map, strings[i], mls_value_int(&a, (int64_t)i));
    }
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        mls_value_push(&a, list, mls_value_real(&a, reals[i]));
    mls_value_push(&a, list, mls_value_int(&a, INT64_MIN));
    mls_value_push(&a, list, mls_value_int(&a, INT64_MAX));
    mls_value_push(&a, list, mls_value_bool(&a, 1));
    mls_value_push(&a, list, mls_value_null(&a));
    mls_value_push(&a, list, mls_value_map(&a));
    mls_value_push(&a, list, mls_value_list(&a));
    mls_value *nested = mls_value_list(&a), *inner = mls_value_map(&a);
    mls_value_set(&a, inner, "deep", mls_value_copy(&a, list));
    mls_value_set(&a, inner, "next", mls_value_string(&a, "x"));
    mls_value_push(&a, nested, inner);
    mls_value_push(&a, nested, mls_value_copy(&a, nested));
    mls_value_set(&a, map, "list", list);
    mls_value_set(&a, map, "nested", nested);
    return map;
}

static void same_kinds(const mls_value *x, const mls_value *y)
{
    assert_int_equal(x->kind, y->kind);
    assert_int_equal(x->n, y->n);
    for (int i = 0; i < x->n; i++) same_kinds(x->item[i], y->item[i]);
}

static void test_yaml_reads_back(void **state)
{
    (void)state;
    mls_value *v = everything(), *back = read_text(mls_value_to_yaml(&a, v));
    assert_true(mls_value_equal(v, back));
    same_kinds(v, back);
    char x[65], y[65];
    mls_value_hash(v, x);
    mls_value_hash(back, y);
    assert_string_equal(x, y);
}

static void test_json_reads_back(void **state)
{
    (void)state;
    mls_value *v = everything();
    assert_true(mls_value_equal(v, read_text(mls_value_to_json(&a, v, 0))));
    assert_true(
        mls_value_equal(v, read_text(mls_value_to_json(&a, mls_value_copy(&a, v), 0))));
}

static void test_canonical(void **state)
{
    (void)state;
    const mls_value *x = read_text("{b: 1.0, a: [true, x, 0.5], c: null}");
    const mls_value *y = read_text("{c: null, a: [true, 'x', 5e-1], b: 1}");
    assert_string_equal(mls_value_to_json(&a, x, 1),
                        "{\"a\":[true,\"x\",0.5],\"b\":1,\"c\":null}");
    assert_string_equal(mls_value_to_json(&a, y, 1), mls_value_to_json(&a, x, 1));
    assert_true(mls_value_equal(x, y));
    char hash[65];
    mls_value_hash(read_text("{}"), hash);
    assert_string_equal(
        hash, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

static void test_not_equal(void **state)
{
    (void)state;
    static const char *const different[] = {
        "{a: 1}", "{a: 2}", "{a: 1, b: 1}", "{b: 1}", "[1]",     "[1, 2]",
        "'1'",    "1",      "true",         "null",   "{a: [1]}"};
    for (size_t i = 0; i < 11; i++)
        for (size_t k = 0; k < 11; k++)
            assert_int_equal(
                mls_value_equal(read_text(different[i]), read_text(different[k])),
                i == k);
}

static void test_paths(void **state)
{
    (void)state;
    mls_value *v = read_text("{a: {b: [1, {c: 2}]}}");
    assert_int_equal(mls_value_get_path(v, "a.b.1.c")->integer, 2);
    assert_null(mls_value_get_path(v, "a.b.2"));
    assert_null(mls_value_get_path(v, "a.x.c"));
    assert_null(mls_value_get_path(v, "a..b"));
    mls_value_set_path(&a, v, "n.m.o", mls_value_int(&a, 7), &e);
    mls_value_set_path(&a, v, "a.b.2", mls_value_int(&a, 8), &e);
    mls_value_set_path(&a, v, "a.b.1.c", mls_value_int(&a, 9), &e);
    assert_false(e.set);
    assert_string_equal(mls_value_to_json(&a, v, 1),
                        "{\"a\":{\"b\":[1,{\"c\":9},8]},\"n\":{\"m\":{\"o\":7}}}");
    mls_value_set_path(&a, v, "n.m.o.p", mls_value_int(&a, 1), &e);
    assert_string_equal(
        e.text, "cannot set \"n.m.o.p\": what stands above \"p\" is 7, not a map");
    e.set = 0;
    mls_value_set_path(&a, v, "a.b.9", mls_value_int(&a, 1), &e);
    assert_true(e.set);
    mls_value_remove(v, "a");
    assert_null(mls_value_get(v, "a"));
    assert_int_equal(v->n, 1);
}

static void message(const char *want)
{
    assert_true(e.set);
    assert_string_equal(e.text, want);
    e = (mls_error){ 0 };
}

static void test_getters(void **state)
{
    (void)state;
    static const char *const names[] = { "steps", "rate", NULL };
    const mls_value *v = read_text("steps: 3.0\nrate: fast\non: 1\nx: null\nb: true\n");
    assert_int_equal(mls_value_get_int(v, "steps", 0, &e), 3);
    assert_int_equal(mls_value_get_int(v, "absent", 5, &e), 5);
    assert_int_equal(mls_value_get_int(v, "x", 6, &e), 6);
    assert_true(mls_value_get_bool(v, "b", 0, &e));
    assert_string_equal(mls_value_get_string(v, "rate", "", &e), "fast");
    assert_false(e.set);
    mls_value_get_real(v, "rate", 0, &e);
    message("t:2:7: \"rate\" is the string \"fast\"; expected a number");
    mls_value_get_bool(v, "on", 0, &e);
    message("t:3:5: \"on\" is 1; expected true or false");
    mls_value_get_string(v, "b", "", &e);
    message("t:5:4: \"b\" is true; expected a string");
    mls_value_get_int(read_text("{n: 2.5}"), "n", 0, &e);
    message("t:1:5: \"n\" is 2.5; expected a whole number");
    mls_value_only(read_text(" stpes: 2\n"), names, "train", &e);
    message("t:1:2: unknown key \"stpes\" in train; did you mean \"steps\"? (known: "
            "steps, rate)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_yaml_reads_back, clean),
        cmocka_unit_test_teardown(test_json_reads_back, clean),
        cmocka_unit_test_teardown(test_canonical, clean),
        cmocka_unit_test_teardown(test_not_equal, clean),
        cmocka_unit_test_teardown(test_paths, clean),
        cmocka_unit_test_teardown(test_getters, clean),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
