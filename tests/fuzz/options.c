/* options.c - fuzz target: a map of options in YAML, then, after a line "%%", the words of
 * a command line.  Whatever comes, there is a message or a value within its range; and
 * what is dumped reads back as what it was.                                             */
#include "fuzz.h"

#include "../plug/options.h"
#include "../plug/tiny.h"
#include "cli/cli.h"
#include "conf/conf.h"

#include <math.h>
#include <stdio.h>

static const mls_option options[] = {
    MLS_OPT(plug_options, rate, MLS_REAL, 0.5, 0.0, 1.0, "1/ms", "a bounded real"),
    MLS_OPT(plug_options, gain, MLS_REAL, -2.0, 0.0, 0.0, NULL, "an unbounded real"),
    MLS_OPT(plug_options, units, MLS_INT, 8, 1, 64, NULL, "a bounded integer"),
    MLS_OPT(plug_options, big, MLS_INT, 0, 0, 0, NULL, "an unbounded integer"),
    MLS_OPT(plug_options, gated, MLS_BOOL, 1, 0, 0, NULL, "a truth"),
    MLS_OPT_CHOICE(plug_options, reset, "soft|hard|none", "a choice"),
    MLS_OPT_STRING(plug_options, path, NULL, "a string without a default"),
    MLS_OPT_STRING(plug_options, label, "here", "a string with one"),
    MLS_OPT_END };
TINY_SIZED(tiny, sizeof(mls_component), "options", options, sizeof(plug_options));
static const mls_host *host;
static const mls_component *const list[] = { &tiny, NULL };
static const mls_plugin_info info = { sizeof info, MLS_ABI_MAJOR, MLS_ABI_MINOR,
                                      sizeof(mls_port), sizeof(mls_option), "options", "1",
                                      "Apache-2.0", list, &host };

static mls_registry registry;

static void check(const plug_options *o)
{
    FUZZ_HOLDS(o->rate >= 0.0 && o->rate <= 1.0 && isfinite(o->gain));
    FUZZ_HOLDS(o->units >= 1 && o->units <= 64);
    FUZZ_HOLDS((o->gated == 0 || o->gated == 1) && o->reset >= 0 && o->reset <= 2);
    FUZZ_HOLDS(o->label);
}

static void options_of(mls_arena *a, const mls_value *map)
{
    static const char *const also[] = { "component", NULL };
    plug_options self = { 0 }, again = { 0 };
    mls_error e = { 0 };
    mls_option_apply(&registry, &tiny, map, NULL, &self, a, &e);
    if (e.set) {
        FUZZ_HOLDS(*e.text);
        return;
    }
    check(&self);
    const mls_value *out = mls_option_dump(&registry, &tiny, &self, a);
    const char *yaml = mls_value_to_yaml(a, out);
    const mls_value *back = mls_yaml_parse(a, yaml, strlen(yaml), "dump.yaml", &e);
    if (!back) fprintf(stderr, "%s\n%s\n", e.text, yaml);
    FUZZ_HOLDS(back);
    mls_option_apply(&registry, &tiny, back, also, &again, a, &e);
    FUZZ_HOLDS(!e.set);
    FUZZ_HOLDS(mls_value_equal(out, mls_option_dump(&registry, &tiny, &again, a)));
}

static void words_of(mls_arena *a, char *text)
{
    enum { WORDS = 64 };
    char *argv[WORDS + 1] = { "mls" }, *save = NULL;
    int argc = 1;
    for (char *w = strtok_r(text, "\n", &save); w && argc < WORDS;
         w = strtok_r(NULL, "\n", &save))
        argv[argc++] = w;
    mls_error e = { 0 };
    mls_args args;
    if (!mls_args_parse(&args, a, argc, argv, mls_cli_train_flags(a), &e)) {
        FUZZ_HOLDS(e.set && *e.text);
        return;
    }
    FUZZ_HOLDS(args.n + args.n_words < argc);
    mls_args_int(&args, "--steps", 1, 0, 1000, &e);
    mls_args_real(&args, "--learning-rate", 0.1, 0.0, 1.0, &e);
    e = (mls_error){ 0 };
    args.n_words = 0;                       /* no file is opened */
    mls_value *config = mls_cli_configuration(a, &args, &e);
    FUZZ_HOLDS((config == NULL) == e.set);
    if (config) mls_conf_resolve(a, config, &e);
}

static void start(void)
{
    mls_error e = { 0 };
    if (registry.file) return;
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere) stderr = nowhere;          /* notes about settings; a sanitizer has fd 2 */
    registry = fuzz_registry();
    FUZZ_HOLDS(mls_registry_add(&registry, &info, "options", "0", &e));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mls_arena a;
    start();
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *cut = strstr(text, "%%\n");
    const size_t n = cut ? (size_t)(cut - text) : size;
    mls_error e = { 0 };
    mls_value *map = mls_yaml_parse(&a, text, n, "fuzz.yaml", &e);
    FUZZ_HOLDS((map == NULL) == e.set);
    if (map) options_of(&a, map);
    if (map && map->kind == MLS_V_MAP) mls_conf_resolve(&a, map, &e);
    if (cut) words_of(&a, cut + 3);
    mls_arena_reset(&a);
    free(text);
    return 0;
}
