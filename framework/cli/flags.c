#include "cli/cli.h"
#include "conf/conf.h"

#include <stdio.h>
#include <string.h>

enum { MOST_FLAGS = 200 };

static const mls_flag own[] = {
    { "--set", MLS_FLAG_VALUE, "PATH=VALUE", "any setting, as network.nodes.enc.units=64" },
    { "--out", MLS_FLAG_VALUE, "DIR", "where files go (results/NAME)" },
    { "--task", MLS_FLAG_VALUE, "NAME", "task component: text (or llm), ..." },
    { "--data", MLS_FLAG_VALUE, "PATH", "the task's file: task.path" },
    { "--dry-run", MLS_FLAG_NONE, NULL, "print the whole configuration and its cost, and end" },
    { "--quiet", MLS_FLAG_NONE, NULL, "no progress" },
};

static int add(mls_flag *table, int n, const char *name, mls_flag_kind kind,
               const char *value, const char *help)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(table[i].name, name)) return n;
    if (n >= MOST_FLAGS - 1) return n;
    table[n] = (mls_flag){ name, kind, value, help };
    return n + 1;
}

/* "mamba_d_state" -> "--mamba-d-state" */
static const char *alias_flag(mls_arena *a, const char *field)
{
    char *s = mls_arena_printf(a, "--%s", field);
    for (char *p = s; p && *p; p++)
        if (*p == '_') *p = '-';
    return s;
}

const mls_flag *mls_cli_train_flags(mls_arena *a)
{
    mls_flag *table = mls_arena_zalloc(a, MOST_FLAGS * sizeof *table);
    int n = 0;
    if (!table) return own;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) table[n++] = own[i];
    for (const mls_setting *s = mls_settings; s->path; s++)
        if (s->flag)
            n = add(table, n, s->flag,
                    strcmp(s->type, "bool") ? MLS_FLAG_VALUE : MLS_FLAG_MAYBE,
                    s->choices                ? s->choices
                    : !strcmp(s->type, "int") ? "N"
                                              : "X",
                    s->help);
    for (const mls_alias *x = mls_aliases; x->name; x++)
        n = add(table, n, alias_flag(a, x->name),
                strncmp(x->name, "use_", 4) ? MLS_FLAG_VALUE : MLS_FLAG_MAYBE, "VALUE",
                x->help);
    return table;
}

static const mls_setting *setting_of(const char *flag)
{
    for (const mls_setting *s = mls_settings; s->path; s++)
        if (s->flag && !strcmp(s->flag, flag)) return s;
    return NULL;
}

static const mls_alias *alias_of(mls_arena *a, const char *flag)
{
    for (const mls_alias *x = mls_aliases; x->name; x++)
        if (!strcmp(alias_flag(a, x->name), flag)) return x;
    return NULL;
}

static mls_value *word_value(mls_arena *a, const char *text, const char *where,
                             mls_error *e)
{
    mls_value *v = mls_yaml_parse(a, text, strlen(text), where, e);
    if (v) {
        v->file = where;
        v->line = v->column = 0;
    }
    return v;
}

/* --task NAME keeps the options in the file only when they are of the same component. */
static void set_task(mls_arena *a, mls_value *config, const char *name, mls_error *e)
{
    const char *full = !strcmp(name, "llm") ? "task.text" : strchr(name, '.') ? name
                       : mls_arena_printf(a, "task.%s", name);
    const mls_value *old = mls_value_get_path(config, "task.component");
    if (old && old->kind == MLS_V_STRING && !strcmp(old->string, full)) return;
    mls_value *task = mls_value_map(a);
    mls_value_set(a, task, "component", mls_value_string(a, full));
    mls_value_set_path(a, config, "task", task, e);
}

static const char *base_name(mls_arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path;
    const char *dot = strrchr(from, '.');
    return mls_arena_printf(
        a, "%.*s", dot && dot > from ? (int)(dot - from) : (int)strlen(from), from);
}

mls_value *mls_cli_configuration(mls_arena *a, const mls_args *args, mls_error *e)
{
    const char *file = args->n_words ? mls_args_word(args, "CONFIG.yaml", e) : NULL;
    mls_value *config = file ? mls_yaml_read(a, file, e) : mls_value_map(a);
    mls_value *over = mls_value_map(a);
    if (e->set) return NULL;
    if (config->kind != MLS_V_MAP) {
        mls_error_set(e,
                      "%sa configuration is a map with task, network and train, not %s",
                      mls_value_where(a, config), mls_value_kind_name(config));
        return NULL;
    }
    if (file && !mls_value_get(config, "name"))
        mls_value_set(a, config, "name", mls_value_string(a, base_name(a, file)));
    if (mls_args_has(args, "--task"))
        set_task(a, config, mls_args_get(args, "--task", ""), e);
    /* A field of the overview given by --set is a flag of that name. */
    for (int i = 0; i < args->n && !e->set; i++) {
        const char *name = args->name[i], *value = args->value[i];
        if (!strcmp(name, "--set") && strchr(value, '=')) {
            const char *path =
                mls_arena_printf(a, "%.*s", (int)strcspn(value, "="), value);
            name = alias_flag(a, path);
            value = strchr(value, '=') + 1;
        }
        const mls_alias *alias = setting_of(name) ? NULL : alias_of(a, name);
        if (alias)
            mls_value_set(a, over, alias->name, word_value(a, value, name, e));
    }
    const char *notes = e->set ? "" : mls_conf_overview(a, config, over, e);
    if (*notes) fprintf(stderr, "%s", notes);
    if (mls_args_has(args, "--data") && !e->set) {
        mls_value *path = mls_value_string(a, mls_args_get(args, "--data", ""));
        mls_value_set_path(a, config, "task.path", path, e);
    }
    for (int i = 0; i < args->n && !e->set; i++) {
        const mls_setting *s = setting_of(args->name[i]);
        if (s)
            mls_value_set_path(a, config, s->path,
                               word_value(a, args->value[i], args->name[i], e), e);
    }
    for (int i = 0; i < args->n && !e->set; i++)
        if (!strcmp(args->name[i], "--set") &&
            !mls_value_get(over, mls_arena_printf(a, "%.*s",
                                                  (int)strcspn(args->value[i], "="),
                                                  args->value[i])))
            mls_conf_set(a, config, args->value[i], e);
    const char *unused = e->set ? "" : mls_conf_unused(a, config);
    if (*unused) fprintf(stderr, "%s", unused);
    return e->set ? NULL : config;
}
