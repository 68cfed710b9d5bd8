/* Mistakes about the table are found before the first trial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "study/settings.h"

static void expect(const char *yaml, const char *part)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_grid grid;
    const mls_value *s = mls_yaml_parse(&a, yaml, strlen(yaml), "s.yaml", &e);
    mls_grid_expand(&a, mls_value_get(s, "vary"), NULL, NULL, &grid, &e);
    assert_string_equal(e.text, "");
    mls_study_settings_check(s, &grid, &e);
    if (*part ? !strstr(e.text, part) : e.set)
        fail_msg("%s\ngave \"%s\", expected \"%s\"", yaml, e.text, part);
    mls_arena_free(&a);
}

#define VARY "vary: { mode: [a, b], n: [1, 2] }\n"

static void good(void **state)
{
    (void)state;
    expect(VARY, "");
    expect(VARY "compare: { by: test.loss, against: { mode: a, n: 2 } }\n"
           "measure: [nats, validation.bits, spike_rate]\n"
           "floors: [{ name: chance, value: 1 }]\ntimeout: 600", "");
    expect(VARY "compare: { by: loss, against: { mode: a }, over: n }", "");
    expect("measure: {}\nfloors: {}", "");          /* what Lua makes of an empty table */
}

static void bad(void **state)
{
    (void)state;
    expect(VARY "compare: { by: lose }", "did you mean \"loss\"?");
    expect(VARY "compare: { by: 3 }", "found an integer");
    expect(VARY "compare: { by: loss, against: { mode: c } }", "no variant has mode=c");
    expect(VARY "compare: { by: loss, against: { mod: a } }", "no variant has mod=a");
    expect(VARY "compare: { by: loss, against: a }", "is a map of values");
    expect(VARY "compare: { by: loss, over: m }", "found \"m\", did you mean n");
    expect(VARY "compare: { by: loss, over: [n] }", "found a list");
    expect(VARY "compare: { by: loss, against: { n: 1 }, over: n }", "is in `against` too");
    expect(VARY "measure: loss", "`measure` is a list of names");
    expect(VARY "measure: [1]", "found an integer");
    expect(VARY "measure: [acuracy]", "did you mean \"accuracy\"?");
    expect(VARY "floors: [3]", "`floors` is a list of");
    expect(VARY "floors: [{ name: x, value: y }]", "`floors` is a list of");
    expect(VARY "floors: { name: x, value: 1 }", "`floors` is a list of");
    expect(VARY "timeout: -1", "`timeout` is -1");
    expect(VARY "timeout: soon", "expected a number");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
