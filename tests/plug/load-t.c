/* Plugins that are wrong are refused in words; none of them ends the process. */
#include "rig.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static mls_error e;

static const char *in_folder(const char *name)
{
    static char path[4][256];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

/* The first `most` bytes of a file, or all of it. */
static long copy(const char *from, const char *to, long most)
{
    static char bytes[1 << 20];
    FILE *f = fopen(from, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    assert_int_equal(fclose(f), 0);
    if (most >= 0 && (size_t)most < n) n = (size_t)most;
    f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return (long)n;
}

static const char *refusal(const char *path)
{
    memset(&e, 0, sizeof e);
    assert_null(mls_plug_open(path, &e));
    assert_true(e.set);
    has(e.text, path);
    return e.text;
}

static const char *load(const char *extra, mls_registry *r)
{
    memset(&e, 0, sizeof e);
    const int ok = mls_registry_load(r, extra, &e);
    assert_int_equal(ok, !e.set);
    return e.text;
}

static int has_component(const mls_registry *r, const char *name)
{
    mls_error own = { 0 };
    return mls_registry_find(r, name, NULL, &own) != NULL;
}

/* ---- one file ------------------------------------------------------------------------ */

static const char *printed(const char *format, size_t a, size_t b)
{
    static char text[200];
    snprintf(text, sizeof text, format, a, b);
    return text;
}

static void abi(void **state)
{
    (void)state;
    const size_t info = sizeof(mls_plugin_info), part = sizeof(mls_component);
    char versions[100];
    snprintf(versions, sizeof versions, "built for plugin ABI %d.0, this mls has %d.%d",
             MLS_ABI_MAJOR + 1, MLS_ABI_MAJOR, MLS_ABI_MINOR);
    has(refusal(plugin_of("major")), versions);
    has(refusal(plugin_of("info_size")),
        printed("mls_plugin is %zu bytes, expected %zu; rebuild it", info - 8, info));
    has(refusal(plugin_of("component_size")),
        printed("a component's size is %zu bytes, this mls (ABI 1.1) has %zu; rebuild",
                part - 8, part));
    has(refusal(plugin_of("component_long")),
        printed("a component's size is %zu bytes, this mls (ABI 1.1) has %zu; rebuild",
                part + 8, part));
}

static void tables(void **state)
{
    (void)state;
    has(refusal(plugin_of("offset")),
        "mixer.offset: option \"rate\" would be stored outside of self");
    has(refusal(plugin_of("default")),
        "mixer.default: option \"units\" has a default outside its own range");
}

static void no_plugin(void **state)
{
    (void)state;
    has(refusal(plugin_of("nosymbol")), "exports no symbol mls_plugin");
    has(refusal(plugin_of("undefined")), "cannot be loaded");
    has(e.text, "mls_test_nobody_has_this");
    has(refusal("/nowhere/at/all.so"), "cannot be read: No such file or directory");
    FILE *f = fopen(in_folder("text.so"), "w");
    assert_non_null(f);
    fputs("return mls.study {}\n", f);
    assert_int_equal(fclose(f), 0);
    has(refusal(in_folder("text.so")), "is not a shared object");
    copy(in_folder("text.so"), in_folder("empty.so"), 0);
    has(refusal(in_folder("empty.so")), "is not a shared object");
    assert_int_equal(mkdir(in_folder("folder.so"), 0700), 0);
    has(refusal(in_folder("folder.so")), "is not a file");
    assert_int_equal(mkfifo(in_folder("pipe.so"), 0600), 0);
    has(refusal(in_folder("pipe.so")), "is not a file");
}

/* The system's loader alone dies of SIGBUS at some of these lengths. */
static void cut_short(void **state)
{
    (void)state;
    const char *whole = plugin_of("options");
    const long size = copy(whole, in_folder("whole.so"), -1);
    const long at[] = { 5, 40, 64, 500, 4096, 4097, 8192, size / 2, size - 4096, size - 64,
                        size - 1 };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        copy(whole, in_folder("cut.so"), at[i]);
        has(refusal(in_folder("cut.so")), "is cut short");
    }
    for (long n = 1; n < size; n += size / 40 + 1) {
        copy(whole, in_folder("cut.so"), n);
        refusal(in_folder("cut.so"));
    }
    memset(&e, 0, sizeof e);
    assert_non_null(mls_plug_open(in_folder("whole.so"), &e));
    assert_false(e.set);
}

/* ---- the registry ---------------------------------------------------------------------- */

static void same_name(void **state)
{
    (void)state;
    mls_registry r;
    char both[8200];
    snprintf(both, sizeof both, "%s:%s", plugin_of("twin_a"), plugin_of("twin_b"));
    load(both, &r);
    has(e.text, "two components are called mixer.twin: one in /");
    has(e.text, "twin_a.so, one in /");
    has(e.text, "twin_b.so");
    mls_registry_free(&r);
    load(plugin_of("twice"), &r);
    has(e.text, "two components are called mixer.twice: one in /");
    has(e.text, "twice.so, one in /");
    mls_registry_free(&r);
    /* the same in a folder, where other faults are only warnings */
    copy(plugin_of("twin_a"), in_folder("folder.so/a.so"), -1);
    copy(plugin_of("twin_b"), in_folder("folder.so/b.so"), -1);
    load(in_folder("folder.so"), &r);
    has(e.text, "two components are called mixer.twin");
    has(e.text, in_folder("folder.so/a.so"));
    has(e.text, in_folder("folder.so/b.so"));
    mls_registry_free(&r);
    assert_int_equal(unlink(in_folder("folder.so/b.so")), 0);
    /* a copy and the same file by another way are no second component */
    copy(plugin_of("twin_a"), in_folder("folder.so/copy.so"), -1);
    assert_int_equal(symlink("a.so", in_folder("folder.so/link.so")), 0);
    assert_string_equal(load(in_folder("folder.so"), &r), "");
    assert_true(has_component(&r, "mixer.twin"));
    assert_string_equal(r.warnings, "");
    mls_registry_free(&r);
}

static void explicit_and_found(void **state)
{
    (void)state;
    mls_registry r;
    has(load(plugin_of("major"), &r), "built for plugin ABI 2.0");
    mls_registry_free(&r);
    has(load(in_folder("text.so"), &r), "is not a shared object");
    mls_registry_free(&r);
    has(load("/nowhere/plugins", &r), "plugin path /nowhere/plugins: no such file or folder");
    mls_registry_free(&r);
    /* in a folder the others are loaded, and each refused file is told of */
    copy(plugin_of("major"), in_folder("folder.so/major.so"), -1);
    copy(plugin_of("options"), in_folder("folder.so/cut.so"), 5000);
    copy(in_folder("text.so"), in_folder("folder.so/text.so"), -1);
    copy(in_folder("text.so"), in_folder("folder.so/notes.txt"), -1);
    assert_string_equal(load(in_folder("folder.so"), &r), "");
    assert_true(has_component(&r, "mixer.twin"));
    assert_true(has_component(&r, "mixer.identity"));
    assert_false(has_component(&r, "mixer.major"));
    has(r.warnings, "folder.so/major.so: built for plugin ABI");
    has(r.warnings, "folder.so/cut.so: is cut short");
    has(r.warnings, "folder.so/text.so: is not a shared object");
    assert_null(strstr(r.warnings, "notes.txt"));
    mls_registry_free(&r);
    /* MLS_PLUGIN_PATH may name what is not there */
    const char *old = getenv("MLS_PLUGIN_PATH");
    char *before = strdup(old ? old : "");
    char both[8200];
    snprintf(both, sizeof both, "/nowhere/plugins:%s", before);
    assert_int_equal(setenv("MLS_PLUGIN_PATH", both, 1), 0);
    assert_string_equal(load(NULL, &r), "");
    has(r.warnings, "MLS_PLUGIN_PATH: /nowhere/plugins does not exist");
    mls_registry_free(&r);
    assert_int_equal(setenv("MLS_PLUGIN_PATH", before, 1), 0);
    free(before);
}

/* A later minor version: longer structs, read by their own strides. */
static void later_minor(void **state)
{
    (void)state;
    mls_registry r;
    assert_string_equal(load(plugin_of("newer"), &r), "");
    const mls_component *c = mls_registry_find(&r, "mixer.newer", NULL, &e);
    assert_non_null(c);
    assert_string_equal(mls_plug_port(&r, c, 0)->name, "in");
    assert_string_equal(mls_plug_port(&r, c, 1)->name, "out");
    assert_null(mls_plug_port(&r, c, 2));
    assert_string_equal(mls_plug_option(&r, c, 1)->name, "rate");
    assert_null(mls_plug_option(&r, c, 2));
    struct { int64_t units; double rate; } self;
    mls_arena a = { 0 };
    mls_value *map = mls_value_map(&a);
    mls_value_set(&a, map, "rate", mls_value_real(&a, 0.75));
    mls_option_apply(&r, c, map, NULL, &self, &a, &e);
    assert_false(e.set);
    assert_int_equal(self.units, 4);
    assert_true(self.rate == 0.75);
    has(mls_plug_describe(&r, c, &a), "0.25 (0 to 1)");
    mls_arena_free(&a);
    mls_registry_free(&r);
}

static void nearest(void **state)
{
    (void)state;
    mls_registry r;
    assert_string_equal(load(plugin_of("twin_a"), &r), "");
    assert_null(mls_registry_find(&r, "mixer.twim", NULL, &e));
    has(e.text, "no component is called \"mixer.twim\"; did you mean \"mixer.twin\"?");
    memset(&e, 0, sizeof e);
    assert_null(mls_registry_find(&r, "twin", NULL, &e));
    has(e.text, "a component is named kind.name");
    mls_registry_free(&r);
}

static int make_folder(void **state)
{
    (void)state;
    mls_plug_init();
    snprintf(folder, sizeof folder, "/tmp/mls-load-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abi), cmocka_unit_test(tables), cmocka_unit_test(no_plugin),
        cmocka_unit_test(cut_short), cmocka_unit_test(same_name),
        cmocka_unit_test(explicit_and_found), cmocka_unit_test(later_minor),
        cmocka_unit_test(nearest)
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
