#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lua/study_load.h"
#include "rig.h"

static mls_arena arena;
static mls_error e;

#define HEAD "local mls = require 'mls'\n"
#define TAIL "  task = mls.task.text { units = 3 },\n" \
             "  network = function (p)\n" \
             "    local net = mls.network { width = p.width, enc = mls.encoder.lif {} }\n" \
             "    net:wire 'input -> enc'\n" \
             "    net:wire 'enc -> output'\n" \
             "    net:branch 'input -> output'\n" \
             "    return net\n" \
             "  end,\n"

static mls_study *load(const char *text)
{
    memset(&e, 0, sizeof e);
    return mls_study_load(put_file("study.lua", text), &registry, NULL, &e);
}

static void refused(const char *text, const char *words)
{
    mls_study *s = load(text);
    if (e.set && !strstr(e.text, words))
        print_error("%s\n", e.text);
    assert_null(s);
    assert_true(e.set);
    assert_non_null(strstr(e.text, words));
}

static mls_value *point(int64_t width)
{
    mls_value *p = mls_value_map(&arena);
    mls_value_set(&arena, p, "width", mls_value_int(&arena, width));
    return p;
}

static void makes_configurations(void **state)
{
    (void)state;
    mls_study *s = load(HEAD "return mls.study { name = 's1',\n" TAIL
        "  vary = { width = { 8, 16 } }, seeds = { 3, 5 },\n"
        "  train = { optimiser = mls.optimiser.sgd { lr = 0.5 }, steps = 7 },\n"
        "  record = { 'enc.spikes', { 'enc.*', every = 2, batch = 1 } },\n"
        "  where = function (p) return p.width < 10 end }");
    if (!s)
        print_error("%s\n", e.text);
    assert_non_null(s);
    const mls_plan_source *source = mls_study_source(s);
    const mls_value *set = source->settings;
    assert_string_equal(mls_value_get_string(set, "name", "", &e), "s1");
    assert_null(mls_value_get(set, "network"));
    assert_int_equal(mls_value_get_path(set, "vary.width")->n, 2);
    assert_string_equal(mls_value_get_path(set, "record.1.selector")->string, "enc.*");
    assert_int_equal(mls_value_get_path(set, "record.1.samples")->integer, 1);
    assert_int_equal(source->where(source->arg, point(8), &e), 1);
    assert_int_equal(source->where(source->arg, point(16), &e), 0);
    mls_value *c = source->config(source->arg, &arena, point(16), &e);
    assert_non_null(c);
    assert_int_equal(mls_value_get_path(c, "network.width")->integer, 16);
    assert_string_equal(mls_value_get_path(c, "network.wire.0")->string,
                        "input -> enc; enc -> output");
    assert_string_equal(mls_value_get_path(c, "network.wire.1")->string,
                        "input -> output");
    const mls_value *enc = mls_value_get_path(c, "network.nodes.enc");
    assert_string_equal(mls_value_get(enc, "component")->string, "encoder.lif");
    assert_string_equal(enc->file, "study.lua");
    assert_int_equal(enc->line, 5);
    assert_string_equal(mls_value_get_path(c, "train.optimiser")->string, "sgd");
    assert_true(mls_value_get_path(c, "train.learning_rate")->real == 0.5);
    assert_int_equal(mls_value_get_path(c, "task.units")->integer, 3);
    mls_study_free(s);
}

static void misspelt_points(void **state)
{
    (void)state;
    mls_study *s = load(HEAD "return mls.study { name = 's', \n" TAIL
                        "vary = { widht = { 8 } } }");
    assert_non_null(s);
    mls_value *p = mls_value_map(&arena);
    mls_value_set(&arena, p, "widht", mls_value_int(&arena, 8));
    const mls_plan_source *source = mls_study_source(s);
    assert_null(source->config(source->arg, &arena, p, &e));
    assert_non_null(strstr(e.text, "study.lua:5: p.width is not in `vary`"));
    assert_non_null(strstr(e.text, "did you mean 'widht'?"));
    mls_study_free(s);
}

static void refuses(void **state)
{
    (void)state;
    refused("return 1", "ends with `return mls.study {...}`");
    refused(HEAD "\nreturn mls.study { nmae = 1 }", "study.lua:3: a study has no 'nmae', did "
            "you mean 'name'?");
    refused(HEAD "return mls.study { name = 'x', network = 1 }", "needs the field 'task'");
    refused(HEAD "return mls.study { name = '../x', network = 1, task = 1 }", "letters");
    refused(HEAD "return mls.study { name = 'x', vary = { f = { print } } }", "'print'");
    refused(HEAD "return mls.study { name = 'x',\n" TAIL
            " vary = { f = { function () end } } }", "is a function");
    refused(HEAD "local t = {} t.t = t\nreturn mls.study { name = 'x',\n" TAIL
            " vary = t }", "a table that holds itself?");
    refused(HEAD "return mls.study { name = 'x',\n" TAIL " vary = { 1, a = 2 } }",
            "a list or a map, not both");
}

static void absent_data(void **state)
{
    int missing = 0;
    (void)state;
    memset(&e, 0, sizeof e);
    setenv("MLS_DATA", "/nowhere", 1);
    assert_null(mls_study_load(put_file("study.lua", HEAD "local x = mls.data 'a/b.txt'"),
                               &registry, &missing, &e));
    assert_int_equal(missing, 1);
    assert_non_null(strstr(e.text, "wanted /nowhere/a/b.txt"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)
    const struct CMUnitTest tests[] = { T(makes_configurations), T(misspelt_points),
        T(refuses), T(absent_data) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_arena_free(&arena);
    return failed;
}
