/* A component's option table: every kind, its defaults, and what is refused how. */
#include "rig.h"
#include "options.h"

static mls_registry r;
static const mls_component *c;
static mls_arena arena;
static mls_error e;
static plug_options self;

/* Applies { key: v }; the message, "" when it was taken. */
static const char *apply(const char *key, mls_value *v)
{
    memset(&e, 0, sizeof e);
    memset(&self, 0x5a, sizeof self);
    mls_value *map = mls_value_map(&arena);
    if (key) mls_value_set(&arena, map, key, v);
    mls_option_apply(&r, c, map, NULL, &self, &arena, &e);
    assert_int_equal(e.set, *e.text != 0);
    return e.text;
}

static mls_value *real(double x) { return mls_value_real(&arena, x); }
static mls_value *whole(int64_t x) { return mls_value_int(&arena, x); }
static mls_value *truth(int x) { return mls_value_bool(&arena, x); }
static mls_value *text(const char *s) { return mls_value_string(&arena, s); }

static void defaults(void **state)
{
    (void)state;
    assert_string_equal(apply(NULL, NULL), "");
    assert_true(self.rate == 0.5 && self.gain == -2.0);
    assert_int_equal(self.units, 8);
    assert_int_equal(self.big, 0);
    assert_int_equal(self.gated, 1);
    assert_int_equal(self.reset, 0);
    assert_null(self.path);
    assert_string_equal(self.label, "here");
}

static void taken(void **state)
{
    (void)state;
    assert_string_equal(apply("rate", real(1.0)), "");
    assert_true(self.rate == 1.0);
    assert_string_equal(apply("rate", whole(0)), "");
    assert_true(self.rate == 0.0);
    assert_string_equal(apply("gain", real(-1e30)), "");
    assert_true(self.gain == -1e30);
    assert_string_equal(apply("units", whole(64)), "");
    assert_int_equal(self.units, 64);
    assert_string_equal(apply("units", real(3.0)), "");
    assert_int_equal(self.units, 3);
    assert_string_equal(apply("big", whole(INT64_MAX)), "");
    assert_true(self.big == INT64_MAX);
    assert_string_equal(apply("big", whole(((int64_t)1 << 53) + 1)), "");
    assert_true(self.big == ((int64_t)1 << 53) + 1);
    assert_string_equal(apply("gated", truth(0)), "");
    assert_int_equal(self.gated, 0);
    assert_string_equal(apply("reset", text("none")), "");
    assert_int_equal(self.reset, 2);
    char word[] = "some/path";
    assert_string_equal(apply("path", text(word)), "");
    memset(word, 'x', 4);
    assert_string_equal(self.path, "some/path");
}

static void out_of_range(void **state)
{
    (void)state;
    has(apply("rate", real(1.5)), "mixer.options: rate = 1.5 lies outside 0 to 1 1/ms");
    has(apply("rate", real(-1e-9)), "lies outside 0 to 1");
    has(apply("units", whole(0)), "mixer.options: units = 0 lies outside 1 to 64");
    has(apply("units", whole(65)), "units = 65 lies outside 1 to 64");
    has(apply("rate", real(0.0 / 0.0 * 1.0)), "expected a finite number");
    has(apply("gain", real(1e308 * 10.0)), "mixer.options: gain is inf, expected a finite");
}

static void wrong_type(void **state)
{
    (void)state;
    has(apply("rate", text("fast")),
        "mixer.options: rate is \"fast\", expected a finite number");
    has(apply("units", real(2.5)), "mixer.options: units is 2.5, expected an integer");
    has(apply("units", truth(1)), "expected an integer");
    has(apply("big", real(1e300)), "big is 1e+300, expected an integer");
    has(apply("gated", whole(1)), "mixer.options: gated is 1, expected true or false");
    has(apply("reset", whole(1)),
        "mixer.options: reset is 1, expected one of the choices: soft|hard|none");
    has(apply("reset", text("har")),
        "mixer.options: reset = \"har\" is not one of soft|hard|none");
    has(apply("reset", text("soft|hard")), "is not one of");
    has(apply("reset", text("")), "is not one of");
    has(apply("label", whole(4)), "mixer.options: label is 4, expected a string");
    has(apply("rate", mls_value_list(&arena)), "expected a finite number");
    has(apply("rate", mls_value_null(&arena)), "expected a finite number");
}

static void unknown(void **state)
{
    (void)state;
    has(apply("unist", whole(3)),
        "mixer.options has no option \"unist\"; did you mean \"units\"?");
    has(e.text, "(it has rate, gain, units, big, gated, reset, path, label)");
    has(apply("zzzzzzzz", whole(3)), "has no option \"zzzzzzzz\" (it has rate");
    static const char *const also[] = { "unist", NULL };
    mls_value *map = mls_value_map(&arena);
    mls_value_set(&arena, map, "unist", whole(3));
    memset(&e, 0, sizeof e);
    mls_option_apply(&r, c, map, also, &self, &arena, &e);
    assert_false(e.set);
}

static void position(void **state)
{
    (void)state;
    mls_value *v = whole(99);
    v->file = "study.yaml";
    v->line = 7;
    v->column = 12;
    has(apply("units", v), "study.yaml:7:12: mixer.options: units = 99");
}

/* What is printed back is what was given, and gives the same again. */
static void dump(void **state)
{
    (void)state;
    mls_value *map = mls_value_map(&arena);
    mls_value_set(&arena, map, "reset", text("hard"));
    mls_value_set(&arena, map, "big", whole(INT64_MAX - 1));
    mls_value_set(&arena, map, "gated", truth(0));
    mls_value_set(&arena, map, "path", text("p"));
    memset(&e, 0, sizeof e);
    mls_option_apply(&r, c, map, NULL, &self, &arena, &e);
    assert_false(e.set);
    const mls_value *out = mls_option_dump(&r, c, &self, &arena);
    assert_string_equal(mls_value_to_json(&arena, out, 0),
        "{\"component\": \"mixer.options\", \"rate\": 0.5, \"gain\": -2.0, "
        "\"units\": 8, \"big\": 9223372036854775806, \"gated\": false, "
        "\"reset\": \"hard\", \"path\": \"p\", \"label\": \"here\"}");
    static const char *const also[] = { "component", NULL };
    plug_options again;
    mls_option_apply(&r, c, out, also, &again, &arena, &e);
    assert_false(e.set);
    assert_true(mls_value_equal(out, mls_option_dump(&r, c, &again, &arena)));
    const char *help = mls_plug_describe(&r, c, &arena);
    has(help, "0.5 1/ms (0 to 1)");
    has(help, "soft (soft|hard|none)");
    has(help, "a string without a default");
}

static int start(void **state)
{
    (void)state;
    if (!mls_registry_load(&r, plugin_of("options"), &e)) {
        print_error("%s\n", e.text);
        return -1;
    }
    return (c = mls_registry_find(&r, "mixer.options", NULL, &e)) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    mls_arena_free(&arena);
    mls_registry_free(&r);
    return 0;
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(taken), cmocka_unit_test(out_of_range),
        cmocka_unit_test(wrong_type), cmocka_unit_test(unknown), cmocka_unit_test(position),
        cmocka_unit_test(dump)
    };
    return cmocka_run_group_tests(tests, start, end);
}
