#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

static mls_value *parse(const char *text)
{
    return mls_yaml_parse(&a, text, strlen(text), "f.yaml", &e);
}

static void test_scalars(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mls_value_kind kind;
        double real;
    } rows[] = {{"true", MLS_V_BOOL, 0},       {"false", MLS_V_BOOL, 0},
                {"yes", MLS_V_STRING, 0},      {"True", MLS_V_STRING, 0},
                {"on", MLS_V_STRING, 0},       {"null", MLS_V_NULL, 0},
                {"~", MLS_V_NULL, 0},          {"12", MLS_V_INT, 12},
                {"-3", MLS_V_INT, -3},         {"+3", MLS_V_INT, 3},
                {"007", MLS_V_INT, 7},         {"0x1F", MLS_V_INT, 31},
                {"0o17", MLS_V_INT, 15},       {"1_000", MLS_V_STRING, 0},
                {"1.5", MLS_V_REAL, 1.5},      {".5", MLS_V_REAL, .5},
                {"5.", MLS_V_REAL, 5},         {"5e-5", MLS_V_REAL, 5e-5},
                {"1e3", MLS_V_REAL, 1000},     {"1e", MLS_V_STRING, 0},
                {".", MLS_V_STRING, 0},        {"1:30", MLS_V_STRING, 0},
                {"0x", MLS_V_STRING, 0},       {"1.2.3", MLS_V_STRING, 0},
                {"'12'", MLS_V_STRING, 0},     {"\"true\"", MLS_V_STRING, 0},
                {"''", MLS_V_STRING, 0},       {"nan", MLS_V_STRING, 0},
                {"infinity", MLS_V_STRING, 0}, {"-", MLS_V_LIST, 0},
                {"", MLS_V_NULL, 0},           {"1e-310", MLS_V_REAL, 1e-310}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const mls_value *v = parse(rows[i].text);
        assert_string_equal(e.text, "");
        assert_int_equal(v->kind, rows[i].kind);
        if (v->kind == MLS_V_INT || v->kind == MLS_V_REAL)
            assert_true(v->real == rows[i].real);
    }
}

static void test_messages(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a: 1\nb: 2\na: 3\n",
         "f.yaml:3:1: the key \"a\" stands here twice (first on line 1)\n"
         "  a: 3\n  ^"},
        {"x: .nan", "f.yaml:1:4: a setting cannot be infinite or not a number\n"
                    "  x: .nan\n     ^"},
        {"x: -.inf", "f.yaml:1:4: a setting cannot be infinite or not a number\n"
                     "  x: -.inf\n     ^"},
        {"x: 1e999",
         "f.yaml:1:4: this number is too large for a double\n  x: 1e999\n     ^"},
        {"x: 1e-999", "f.yaml:1:4: this number is too small for a double\n"
                      "  x: 1e-999\n     ^"},
        {"x: 9223372036854775808", "f.yaml:1:4: this integer does not fit 64 bits\n"
                                   "  x: 9223372036854775808\n     ^"},
        {"a: &x 1\n",
         "f.yaml:1:4: anchors and aliases are not supported; write the value "
         "out\n  a: &x 1\n     ^"},
        {"a: *x\n",
         "f.yaml:1:4: anchors and aliases are not supported; write the value out\n"
         "  a: *x\n     ^"},
        {"a: !!python/object x\n", "f.yaml:1:4: tags (!...) are not supported\n"
                                   "  a: !!python/object x\n     ^"},
        {"<<: 1\n",
         "f.yaml:1:1: merge keys (<<) are not supported; write the settings out\n"
         "  <<: 1\n  ^"},
        {"? [a]\n: 1\n", "f.yaml:1:3: a key must be a word, not a list or a map\n"
                         "  ? [a]\n    ^"},
        {"a: 1\n---\nb: 2\n",
         "f.yaml:2:1: a second document begins here; one file holds one\n"
         "  ---\n  ^"},
        {"a: [1, 2\nb: 3\n",
         "f.yaml:2:2: did not find expected ',' or ']' while parsing a flow "
         "sequence (line 1)\n  b: 3\n   ^"},
        {"a:\n\tb: 1\n",
         "f.yaml:2:1: found character that cannot start any token while "
         "scanning for the next token (line 2)\n  \tb: 1\n  ^"},
        {"a: \"\\0\"\n",
         "f.yaml:1:4: a string cannot hold a zero byte\n  a: \"\\0\"\n     ^"},
        {"ok: 1\nbad: \xff\n",
         "f.yaml:2:6: invalid leading UTF-8 octet\n  bad: \xff\n       ^"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        e = (mls_error){ 0 };
        assert_null(parse(rows[i][0]));
        assert_string_equal(e.text, rows[i][1]);
    }
}

static void test_positions(void **state)
{
    (void)state;
    const mls_value *v = parse("a: 1\nb:\n  c: [x, y]\n");
    const mls_value *y = mls_value_get_path(v, "b.c.1");
    assert_int_equal(y->line, 3);
    assert_int_equal(y->column, 10);
    assert_int_equal(mls_value_get_path(v, "b.c")->key_line, 3);
    assert_int_equal(mls_value_get_path(v, "b.c")->key_column, 3);
    assert_string_equal(mls_value_where(&a, y), "f.yaml:3:10: ");
}

static void test_depth(void **state)
{
    (void)state;
    char text[200001];
    for (int n = 63; n <= 66; n++) {
        e = (mls_error){ 0 };
        memset(text, '[', (size_t)n);
        memset(text + n, ']', (size_t)n);
        mls_yaml_parse(&a, text, (size_t)(2 * n), "f.yaml", &e);
        assert_int_equal(e.set, n > 64);
    }
    e = (mls_error){ 0 };
    memset(text, '[', 200000);                   /* must end soon, not in minutes */
    assert_null(mls_yaml_parse(&a, text, 200000, "f.yaml", &e));
    assert_non_null(strstr(e.text, "nested deeper than 64 levels"));
}

static void test_size(void **state)
{
    (void)state;
    const size_t size = (4u << 20) + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    assert_null(mls_yaml_parse(&a, text, size, "f.yaml", &e));
    assert_string_equal(e.text, "f.yaml: 4194305 bytes are more than the 4 MiB that a "
                        "configuration may have");
    e = (mls_error){ 0 };
    text[0] = '[';
    for (size_t i = 1; i + 1 < 220000; i += 2) memcpy(text + i, "1,", 2);
    assert_null(mls_yaml_parse(&a, text, 220000, "f.yaml", &e));
    assert_non_null(strstr(e.text, "more than 100000 values in one file"));
    free(text);
}

/* Every beginning of a file, and every file with one byte changed: an answer, no crash. */
static void test_damage(void **state)
{
    (void)state;
    static const char text[] =
        "name: x\nnetwork: {width: 8, nodes: {enc: \"a\\u00e9\"}}\n"
        "list:\n  - 1.5e3\n  - 'q''s'\n  - |\n    block\n  - [a, {b: c}]\n";
    char copy[sizeof text];
    for (size_t n = 0; n < sizeof text; n++) {
        e = (mls_error){ 0 };
        mls_yaml_parse(&a, text, n, "f", &e);
        for (int x = 0; x < 256; x += 5) {
            memcpy(copy, text, sizeof text);
            copy[n] = (char)x;
            e = (mls_error){ 0 };
            const mls_value *v = mls_yaml_parse(&a, copy, sizeof text - 1, "f", &e);
            assert_true(e.set ? v == NULL && !strncmp(e.text, "f:", 2) : v != NULL);
        }
        clean(NULL);
    }
}

static void test_file(void **state)
{
    (void)state;
    assert_null(mls_yaml_read(&a, "/nowhere/x.yaml", &e));
    assert_string_equal(e.text,
                        "/nowhere/x.yaml: cannot be opened: No such file or directory");
    e = (mls_error){ 0 };
    assert_null(mls_yaml_read(&a, "/", &e));
    assert_string_equal(e.text, "/: cannot be read: Is a directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_scalars, clean),
        cmocka_unit_test_teardown(test_messages, clean),
        cmocka_unit_test_teardown(test_positions, clean),
        cmocka_unit_test_teardown(test_depth, clean),
        cmocka_unit_test_teardown(test_size, clean),
        cmocka_unit_test_teardown(test_damage, clean),
        cmocka_unit_test_teardown(test_file, clean),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
