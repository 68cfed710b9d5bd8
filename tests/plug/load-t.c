/* Plugins that are wrong are refused in words; none of them ends the process. */
#include "rig.h"

#include <math.h>
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
        printed("a component's size is %zu bytes, this mls (ABI 1.2) has %zu; rebuild",
                part - 8, part));
    has(refusal(plugin_of("component_long")),
        printed("a component's size is %zu bytes, this mls (ABI 1.2) has %zu; rebuild",
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

/* A good plugin with two bytes of its ELF header overwritten. */
static const char *patched(long at, unsigned value)
{
    copy(plugin_of("options"), in_folder("patched.so"), -1);
    FILE *f = fopen(in_folder("patched.so"), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    fputc((int)(value & 255), f);
    if (at >= 16) fputc((int)(value >> 8), f);         /* before: single bytes */
    assert_int_equal(fclose(f), 0);
    return refusal(in_folder("patched.so"));
}

/* The system's loader says of some of these that there is no such file. */
static void another_machine(void **state)
{
    (void)state;
    if (sizeof(void *) == 8)
        has(patched(4, 1), "is built for a machine of 32 bits, and this mls for one of 64");
    has(patched(4, 7), "is built for a machine of neither 32 nor 64 bits");
    const int little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    has(patched(5, little ? 2 : 1), "is built for a machine with the other byte order");
    if (!little) return;
#if defined(__x86_64__)
    has(patched(18, 183), "is built for aarch64, and this mls for x86-64");
    has(patched(18, 0x1234), "is built for a machine that ELF numbers 4660, and this mls for "
                             "x86-64");
#endif
    has(patched(16, 1), "is an object file that is not linked yet (-shared), expected a shared "
                        "object");
    has(patched(16, 2), "is a program, expected a shared object");
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

/* ---- descriptors without a file --------------------------------------------------------- */

static void fine_setup(mls_ctx *c, void *self) { (void)c, (void)self; }
static void fine_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c, (void)self;
    out[0] = in[0];
}

typedef struct pair { double rate; int64_t units; int on; } pair;

static const mls_host *given;
static mls_port ports[3];
static mls_option options[4];
static mls_component part, second;
static const mls_component *list[3];
static mls_plugin_info info;
static const mls_task no_functions = { .size = sizeof(mls_task) };

static void make_good(void)
{
    static const mls_port in_out[] = { { "in", MLS_IN, "T B n", "values" },
                                       { "out", MLS_OUT, "T B n", "values" }, MLS_PORT_END };
    static const mls_option three[] = {
        MLS_OPT(pair, rate, MLS_REAL, 0.5, 0, 1, NULL, "a rate"),
        MLS_OPT(pair, units, MLS_INT, 4, 0, 8, NULL, "a count"),
        MLS_OPT(pair, on, MLS_BOOL, 1, 0, 0, NULL, "a switch"), MLS_OPT_END };
    memcpy(ports, in_out, sizeof ports);
    memcpy(options, three, sizeof options);
    part = (mls_component){ sizeof part, "mixer", "made", MLS_CAUSAL, "Made.", ports, options,
                            sizeof(pair), fine_setup, fine_forward, NULL };
    second = part;
    second.name = "other";
    list[0] = &part;
    list[1] = &second;
    list[2] = NULL;
    info = (mls_plugin_info){ sizeof info, MLS_ABI_MAJOR, MLS_ABI_MINOR, sizeof(mls_port),
                              sizeof(mls_option), "made", "1", "Apache-2.0", list, &given };
}

/* One change to a good descriptor, and what is said of it. */
#define REFUSES(change, words) \
    do { \
        make_good(); \
        change; \
        memset(&e, 0, sizeof e); \
        assert_false(mls_registry_add(&r, &info, "made.so", "0", &e)); \
        has(e.text, "made.so: "); \
        has(e.text, words); \
        assert_int_equal(r.n_components, before); \
        assert_int_equal(r.n_files, files); \
    } while (0)

static void descriptors(void **state)
{
    (void)state;
    mls_registry r;
    load(NULL, &r);
    const int before = r.n_components, files = r.n_files;
    REFUSES(info.abi_major++, "built for plugin ABI 2.2");
    REFUSES(info.size = 48, "mls_plugin is 48 bytes");
    REFUSES(info.size = 5000, "mls_plugin is 5000 bytes");
    REFUSES(info.port_size = 24, "mls_plugin has rows of 24 and 72 bytes");
    REFUSES(info.option_size = 75, "mls_plugin has rows of 32 and 75 bytes");
    REFUSES(info.name = NULL, "mls_plugin is incomplete: it has no name");
    REFUSES(info.version = NULL, "it has no version");
    REFUSES(info.licence = NULL, "it has no licence");
    REFUSES(info.components = NULL, "it has no list of components");
    REFUSES(info.host = NULL, "it has no place for the host's table");
    REFUSES(list[0] = NULL, "mls_plugin has no component");
    REFUSES(part.size = 3, "a component's size is 3 bytes");
    REFUSES(part.kind = NULL, "a component has no kind or no name");
    REFUSES(part.name = "", "a component has no kind or no name");
    REFUSES(part.name = "a.b", "\"mixer.a.b\"; kind and name consist of letters, digits");
    REFUSES(part.setup = NULL, "mixer.made lacks one of ports, setup and forward");
    REFUSES(part.task = &no_functions, "mixer.made has a task, which only the kind");
    REFUSES(part.kind = "task", "task.made lacks one of the task functions");
    REFUSES((part.kind = "task", part.task = &no_functions), "lacks one of the task functions");
    REFUSES(part.self_size = SIZE_MAX, "mixer.made: self_size is");
    REFUSES(ports[0].flags = 0, "port \"in\" is neither MLS_IN nor MLS_OUT");
    REFUSES(ports[0].shape = "B T n", "port \"in\" has no shape of the form");
    REFUSES(ports[1] = ports[0], "port \"in\" is there twice");
    REFUSES(options[1].name = "rate", "option \"rate\" is there twice");
    REFUSES(options[0].type = (mls_type)9, "option \"rate\" has a type that this mls does not");
    REFUSES(options[1].offset = 0, "option \"units\" would be stored over another one");
    REFUSES(options[1].offset = 12, "option \"units\" would be stored at an odd place");
    REFUSES(options[1].offset = SIZE_MAX - 7, "option \"units\" would be stored outside of self");
    REFUSES(options[1].def = 0.5, "option \"units\" has a default that is no integer");
    REFUSES((options[1].max = 0, options[1].def = 1e300), "has a default that is no integer");
    REFUSES(options[1].min = (double)NAN, "option \"units\" has a range that is no number");
    REFUSES(options[1].min = 9, "option \"units\" has its least value above its greatest");
    REFUSES(options[2].def = 2, "option \"on\" has a default that is neither 0 nor 1");
    REFUSES((options[2].type = MLS_CHOICE, options[2].choices = "a||b"), "has no choices");
    REFUSES(options[2].help = NULL, "option \"on\" has no help text");
    make_good();
    second.name = "made";                    /* the first one must go again */
    memset(&e, 0, sizeof e);
    assert_false(mls_registry_add(&r, &info, "made.so", "0", &e));
    has(e.text, "two components are called mixer.made: one in made.so, one in made.so");
    assert_int_equal(r.n_components, before);
    make_good();
    memset(&e, 0, sizeof e);
    assert_true(mls_registry_add(&r, &info, "made.so", "0", &e));
    assert_int_equal(r.n_components, before + 2);
    assert_ptr_equal(mls_registry_find(&r, "mixer.other", NULL, &e), &second);
    assert_string_equal(mls_registry_file(&r, &second)->path, "made.so");
    assert_ptr_equal(given, mls_plug_host());
    mls_registry_free(&r);
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

/* XDG_DATA_HOME, else HOME, tells where a user's own plugins are. */
static void user_folder(void **state)
{
    (void)state;
    mls_registry r;
    const char *old = getenv("XDG_DATA_HOME"), *old_home = getenv("HOME");
    char *data = old ? strdup(old) : NULL, *home = old_home ? strdup(old_home) : NULL;
    static const char *const made[] = { "user", "user/.local", "user/.local/share",
                                        "user/.local/share/mls", "user/mls",
                                        "user/.local/share/mls/plugins", "user/mls/plugins" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        assert_int_equal(mkdir(in_folder(made[i]), 0700), 0);
    copy(plugin_of("twin_a"), in_folder("user/mls/plugins/a.so"), -1);
    copy(plugin_of("options"), in_folder("user/.local/share/mls/plugins/o.so"), -1);
    setenv("XDG_DATA_HOME", in_folder("user"), 1);
    setenv("HOME", in_folder("user"), 1);
    assert_string_equal(load(NULL, &r), "");
    assert_true(has_component(&r, "mixer.twin") && !has_component(&r, "mixer.options"));
    mls_registry_free(&r);
    load(plugin_of("twin_b"), &r);
    has(e.text, "two components are called mixer.twin: one in /");
    has(e.text, "twin_b.so, one in /");
    has(e.text, in_folder("user/mls/plugins/a.so"));
    mls_registry_free(&r);
    setenv("XDG_DATA_HOME", "user", 1);                /* not absolute: ignored */
    assert_string_equal(load(NULL, &r), "");
    assert_true(!has_component(&r, "mixer.twin") && has_component(&r, "mixer.options"));
    mls_registry_free(&r);
    unsetenv("XDG_DATA_HOME");
    assert_string_equal(load(NULL, &r), "");
    assert_true(!has_component(&r, "mixer.twin") && has_component(&r, "mixer.options"));
    mls_registry_free(&r);
    unsetenv("HOME");
    assert_string_equal(load(NULL, &r), "");
    assert_true(!has_component(&r, "mixer.twin") && !has_component(&r, "mixer.options"));
    mls_registry_free(&r);
    if (home) setenv("HOME", home, 1);
    if (data) setenv("XDG_DATA_HOME", data, 1);
    free(home), free(data);
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
        cmocka_unit_test(another_machine), cmocka_unit_test(cut_short),
        cmocka_unit_test(descriptors), cmocka_unit_test(same_name),
        cmocka_unit_test(explicit_and_found), cmocka_unit_test(user_folder),
        cmocka_unit_test(later_minor),
        cmocka_unit_test(nearest)
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
