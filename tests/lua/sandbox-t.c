#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lua/sandbox.h"
#include "rig.h"

/* The message of a file that must fail, or NULL when it runs. */
static const char *run(const char *text)
{
    static mls_error e;
    memset(&e, 0, sizeof e);
    const char *path = put_file("try.lua", text);
    mls_sandbox *s = mls_sandbox_new(&registry, folder, &e);
    assert_non_null(s);
    s->limit = 3000;                             /* 3 million instructions */
    const int ok = mls_sandbox_run(s, path, &e);
    mls_sandbox_free(s);
    assert_int_equal(ok, !e.set);
    return ok ? NULL : e.text;
}

static void fails_with(const char *text, const char *words)
{
    const char *said = run(text);
    if (!said || !strstr(said, words))
        print_error("%s\n  said: %s\n", text, said ? said : "nothing");
    assert_non_null(said);
    assert_non_null(strstr(said, words));
}

static void globals_are_strict(void **state)
{
    (void)state;
    assert_null(run("local x = 1; y = 2; return x + y"));
    fails_with("\nlocal width = 1\nreturn pritn(1)", "try.lua:3: undefined variable 'pritn'");
    fails_with("return strin.format('x')", "did you mean 'string'?");
    fails_with("local function f() z = 1 end f()", "undeclared global 'z'");
}

static void the_machine_is_out_of_reach(void **state)
{
    static const char *const names[] = { "io", "os", "debug", "load", "loadstring",
        "loadfile", "dofile", "collectgarbage", "package", "print" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char text[100];
        snprintf(text, sizeof text, "return %s", names[i]);
        fails_with(text, "undefined variable");
    }
    fails_with("return string.dump(function () end)", "dump");
    fails_with("return ('x').dump(function () end)", "dump");
    fails_with("setmetatable({}, { __gc = function () end })", "__gc is not allowed");
    fails_with("\33Lua is bytecode", "attempt to load a binary chunk");
}

static void loops_end(void **state)
{
    (void)state;
    fails_with("while true do end", "an endless loop?");
    fails_with("while true do pcall(function () while true do end end) end",
               "an endless loop?");
    fails_with("local function f() return f() end f()", "an endless loop?");
    fails_with("coroutine.wrap(function () while true do end end)()", "an endless loop?");
}

static void memory_ends(void **state)
{
    (void)state;
    fails_with("return ('x'):rep(1 << 30)", "not enough memory");
    fails_with("local t = {} for i = 1, 40 do t[i] = ('x'):rep(1 << 24) .. i end",
               "not enough memory");
}

static void errors_of_any_kind(void **state)
{
    (void)state;
    fails_with("error({})", "a table value");
    fails_with("error()", "a nil value");
    fails_with("error(setmetatable({}, { __tostring = function () error 'x' end }))",
               "a table value");
    fails_with("error(setmetatable({}, { __tostring = function () return 'mine' end }))",
               "mine");
    fails_with("\n\nlocal x = nil + 1", "try.lua:3:");
    fails_with("return {", "try.lua:1:");
}

static void requires_stay_inside(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/parts", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    put_file("parts/cells.lua", "return { n = 7 }");
    put_file("bad.lua", "return undefined_name");
    assert_null(run("local c = require 'parts.cells' assert(c.n == 7)\n"
                    "assert(c == require 'parts.cells')"));
    fails_with("require '../x'", "words joined by dots");
    fails_with("require '/etc/passwd'", "words joined by dots");
    fails_with("require 'nothing'", "cannot read");
    fails_with("require 'bad'", "bad.lua:1:");
    snprintf(path, sizeof path, "%s/link.lua", folder);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    fails_with("require 'link'", "outside of the study's folder");
}

static void components_are_checked(void **state)
{
    (void)state;
    assert_null(run("local mls = require 'mls'\n"
                    "local e = mls.encoder.lif { beta = 0.5 }\n"
                    "assert(e.component == 'encoder.lif' and e.beta == 0.5)\n"
                    "assert(getmetatable(e) == nil)"));
    fails_with("local mls = require 'mls'\n\nreturn mls.encoder.lif { beat = 1 }",
               "try.lua:3");
    fails_with("return require 'mls'.encoder.lif { beat = 1 }", "beta");
    fails_with("return require 'mls'.encoder.lif { beta = 2 }", "beta");
    fails_with("return require 'mls'.encoder.lift {}", "lif");
    fails_with("return require 'mls'.encodr", "did you mean 'encoder'?");
    fails_with("return require 'mls'.optimiser.adamw { lrr = 1 }", "try.lua:1:");
    fails_with("return require 'mls'.modes.paralel {}", "did you mean 'parallel'?");
}

/* The draws of a study are the same each time. */
static void random_is_fixed(void **state)
{
    (void)state;
    assert_null(run("local a = math.random(1 << 40) math.randomseed(1)\n"
                    "assert(a == math.random(1 << 40))"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_up, rig_down)
    const struct CMUnitTest tests[] = { T(globals_are_strict),
        T(the_machine_is_out_of_reach), T(loops_end), T(memory_ends), T(errors_of_any_kind),
        T(requires_stay_inside), T(components_are_checked), T(random_is_fixed) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
