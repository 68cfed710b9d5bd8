/* validate.c - mls validate: is this component right? */
#include "cli/cli.h"
#include "lua/component.h"
#include "validate/report.h"
#include "validate/validate.h"

#include <stdio.h>
#include <string.h>

const mls_flag mls_cli_validate_flags[] = {
    { "--case", MLS_FLAG_VALUE, "NAME", "only this case; may be repeated" },
    { "--seed", MLS_FLAG_VALUE, "N", "of weights, inputs and random options [1]" },
    { "--json", MLS_FLAG_NONE, NULL, "one JSON object a line instead of TAP" },
    { "--list", MLS_FLAG_NONE, NULL, "the cases, each with its sentence" },
    { "--time-limit", MLS_FLAG_VALUE, "S", "seconds of processor time for each case" },
    { "--verbose", MLS_FLAG_NONE, NULL, "figures and times of what passed too" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

enum { MOST = 4096 };

typedef struct targets {
    mls_registry *r;
    mls_arena    *a;
    mls_target   *list;
    int           n;
    double        seconds;        /* for opening a file                                  */
    mls_lua_file *lua[64];
    const char   *lua_path[64];
    int           n_lua;
} targets;

static void add(targets *t, const mls_component *c, const char *path, const char *spelling)
{
    const mls_plugin_file *f = mls_registry_file(t->r, c);
    const char *name = mls_arena_printf(t->a, "%s.%s", c->kind, c->name);
    for (int i = 0; i < t->n; i++)
        if (t->list[i].c == c) return;
    if (t->n == MOST) return;
    t->list[t->n++] = (mls_target){ .name = name, .path = path ? path : f ? f->path : NULL,
                                    .c = c, .spelling = spelling ? spelling : name };
}

static int ends_in(const char *s, const char *end)
{
    const size_t n = strlen(s), k = strlen(end);
    return n > k && !strcmp(s + n - k, end);
}

/* ---- a plugin file: only children open it ------------------------------------------------ */

static void name_components(void *path)
{
    mls_error e = { 0 };
    char name[200];
    const mls_plugin_info *info = mls_plug_open(path, &e);
    for (int i = 0; info && info->components[i]; i++) {
        snprintf(name, sizeof name, "%s.%s", info->components[i]->kind,
                 info->components[i]->name);
        mls_report_note(name);
    }
    mls_report_verdict(e.set, e.text);
}

static void add_file(targets *t, const char *path)
{
    const mls_verdict v = mls_report_of(name_components, (void *)path, t->seconds, 0, t->a);
    const char *slash = strrchr(path, '/'), *names = v.status ? "" : v.notes;
    if (!*names && t->n < MOST)
        t->list[t->n++] = (mls_target){ .name = slash && slash[1] ? slash + 1 : path,
                                        .path = path, .spelling = path };
    for (size_t n; *names && t->n < MOST; names += n + (names[n] == '\n')) {
        n = strcspn(names, "\n");
        const char *name = mls_arena_printf(t->a, "%.*s", (int)n, names);
        t->list[t->n++] = (mls_target){ .name = name, .path = path, .component = name,
                                        .spelling = path };
    }
}

/* ---- file.lua, file.lua:name --------------------------------------------------------------- */

/* Run once however often it is named: what it declares cannot be declared twice. */
static mls_lua_file *open_lua(targets *t, const char *path, mls_error *e)
{
    for (int i = 0; i < t->n_lua; i++)
        if (!strcmp(t->lua_path[i], path)) return t->lua[i];
    if (t->n_lua == 64) mls_error_set(e, "%s: more than 64 files of Lua", path);
    mls_lua_file *f = e->set ? NULL : mls_lua_file_load(t->r, path, e);
    if (!f) return NULL;
    t->lua_path[t->n_lua] = path;
    return t->lua[t->n_lua++] = f;
}

static void add_lua(targets *t, const char *word, mls_error *e)
{
    const char *colon = ends_in(word, ".lua") ? NULL : strrchr(word, ':');
    const char *name = colon && colon > word && !strchr(colon, '/') ? colon + 1 : NULL;
    const char *path = name ? mls_arena_printf(t->a, "%.*s", (int)(colon - word), word) : word;
    mls_lua_file *f = open_lua(t, path, e);
    const mls_component *const *list;
    if (!f) return;
    const int n = mls_lua_file_components(f, &list);
    const char *names[256];
    int found = 0;
    for (int i = 0; i < n; i++) {
        const char *full = mls_arena_printf(t->a, "%s.%s", list[i]->kind, list[i]->name);
        if (i < 256) names[i] = list[i]->name;
        if (name && strcmp(name, list[i]->name) && strcmp(name, full)) continue;
        add(t, list[i], path, word);
        found = 1;
    }
    if (found) return;
    const char *near = name ? mls_error_nearest(name, names, n < 256 ? n : 256) : NULL;
    if (!n) mls_error_set(e, "%s declares no component (mls.component {...})", path);
    else mls_error_set(e, "%s declares no component \"%s\"%s%s%s", path, name,
                       near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* ---- names ------------------------------------------------------------------------------------ */

static int add_kind(targets *t, const char *kind)
{
    const int before = t->n;
    for (int i = 0; i < t->r->n_components; i++)
        if (!kind || !strcmp(t->r->component[i]->kind, kind))
            add(t, t->r->component[i], NULL, NULL);
    return t->n > before;
}

static void add_word(targets *t, const char *word, mls_error *e)
{
    if (ends_in(word, ".so") || (strchr(word, '/') && !strstr(word, ".lua"))) {
        add_file(t, word);
    } else if (strstr(word, ".lua")) {
        add_lua(t, word, e);
    } else if (strchr(word, '.') || !add_kind(t, word)) {
        const mls_component *c = mls_registry_find(t->r, word, NULL, e);
        if (c) add(t, c, NULL, NULL);
    }
}

static int validate(targets *t, const mls_args *args, mls_error *e)
{
    const char **only = mls_arena_zalloc(t->a, (size_t)(args->n + 1) * sizeof *only);
    int n = 0;
    for (int i = 0; only && i < args->n; i++)
        if (!strcmp(args->name[i], "--case")) only[n++] = args->value[i];
    const mls_validate_options o = {
        .only = n ? only : NULL,
        .seed = (uint64_t)mls_args_int(args, "--seed", 1, 0, INT64_MAX, e),
        .json = mls_args_has(args, "--json"), .verbose = mls_args_has(args, "--verbose"),
        .seconds = mls_args_real(args, "--time-limit", 0.0, 0.01, 86400.0, e) };
    t->list = mls_arena_zalloc(t->a, MOST * sizeof *t->list);
    t->seconds = o.seconds > 0.0 ? o.seconds : 10.0;
    if (!only || !t->list) mls_error_set(e, "out of memory");
    if (e->set) return MLS_EXIT_USAGE;
    for (int i = 0; i < args->n_words && !e->set; i++) add_word(t, args->word[i], e);
    if (!args->n_words && !add_kind(t, NULL)) mls_error_set(e, "no plugin was found");
    if (e->set) return MLS_EXIT_USAGE;
    const int failed = mls_validate(t->r, t->list, t->n, &o, stdout, e);
    return failed < 0 ? MLS_EXIT_USAGE : failed ? MLS_EXIT_FAILED : MLS_EXIT_DONE;
}

int mls_verb_validate(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    targets t = { .r = r, .a = &a };
    int status = MLS_EXIT_USAGE;
    if (mls_args_parse(&args, &a, argc, argv, mls_cli_validate_flags, e)) {
        if (mls_args_has(&args, "--list")) {
            mls_validate_list(stdout);
            status = MLS_EXIT_DONE;
        } else {
            status = validate(&t, &args, e);
        }
    }
    for (int i = 0; i < t.n_lua; i++) mls_lua_file_free(t.lua[i]);
    mls_arena_free(&a);
    return status;
}
