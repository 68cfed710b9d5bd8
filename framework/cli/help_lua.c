/* help_lua.c - mls help lua: the rows of framework/lua/api.lua as text. */
#include "cli/facts.h"
#include "lua/api.h"

#include <stdio.h>
#include <string.h>

static const char *text(const mls_value *v, const char *key)
{
    const mls_value *s = mls_value_get(v, key);
    return s && s->kind == MLS_V_STRING ? s->string : "";
}

static const char *word(const mls_value *list, int i)
{
    return list && i < list->n && list->item[i]->kind == MLS_V_STRING ? list->item[i]->string
                                                                      : "";
}

/* "mls.Network:wire" -> "net:wire", by the row of the class. */
static const char *spoken(const mls_value *api, const char *name, mls_arena *a)
{
    const char *colon = strchr(name, ':');
    for (int i = 0; colon && i < api->n; i++) {
        const char *class = text(api->item[i], "class"), *var = text(api->item[i], "var");
        if (*var && strlen(class) == (size_t)(colon - name) &&
            !strncmp(class, name, strlen(class)))
            return mls_arena_printf(a, "%s%s", var, colon);
    }
    return name;
}

const char *mls_lua_signature(const mls_value *api, const mls_value *row, mls_arena *a)
{
    const char *name = text(row, "name"), *s = "", *open = "";
    const mls_value *params = mls_value_get(row, "params");
    if (!*name) return "";
    name = spoken(api, name, a);
    if (*text(row, "type")) return name;
    for (int i = 0; params && i < params->n; i++) {
        const char *p = word(params->item[i], 0);
        const size_t n = strcspn(p, "?");
        s = mls_arena_printf(a, "%s%s%s%.*s", s, p[n] ? " [" : "", *s || i ? ", " : "",
                             (int)n, p);
        if (p[n]) open = mls_arena_printf(a, "%s]", open);
    }
    return mls_arena_printf(a, "%s (%s%s)", name, *s == ' ' ? s + 1 : s, open);
}

static void show_list(const char *title, const mls_value *list)
{
    if (!list || !list->n) return;
    fprintf(stdout, "\n%s\n", title);
    for (int i = 0; i < list->n; i++) {
        const mls_value *f = list->item[i];
        if (strcmp(title, "returns"))
            fprintf(stdout, "  %-14s %-24s %s\n", word(f, 0), word(f, 1), word(f, 2));
        else
            fprintf(stdout, "  %-14s %s\n", word(f, 0), word(f, 1));
    }
}

static void show_row(const mls_value *api, const mls_value *row, mls_arena *a)
{
    const char *class = text(row, "class"), *type = text(row, "type");
    fprintf(stdout, "%s%s%s%s%s\n\n%s.\n", *class ? class : mls_lua_signature(api, row, a),
            *class && *text(row, "var") ? ", below as " : "", text(row, "var"),
            *type ? ": " : "", type, text(row, "help"));
    show_list("fields", mls_value_get(row, "fields"));
    show_list("parameters", mls_value_get(row, "params"));
    show_list("returns", mls_value_get(row, "returns"));
    for (int i = 0; *class && i < api->n; i++) {
        const char *name = text(api->item[i], "name");
        if (!strncmp(name, class, strlen(class)) && name[strlen(class)] == ':')
            fprintf(stdout, "\n%s\n  %s.\n", mls_lua_signature(api, api->item[i], a),
                    text(api->item[i], "help"));
    }
}

/* How a user may write the name of a row: whole, without "mls.", the last word. */
static int is_called(const mls_value *api, const mls_value *row, const char *name,
                     mls_arena *a)
{
    const char *class = text(row, "class"), *full = *class ? class : text(row, "name");
    const char *last = strrchr(full, ':') ? strrchr(full, ':') : strrchr(full, '.');
    if (!*full) return 0;                         /* a heading */
    return !strcmp(full, name) || !strcmp(spoken(api, full, a), name) ||
           (!strncmp(full, "mls.", 4) && !strcmp(full + 4, name)) ||
           (last && !strcmp(last + 1, name));
}

static int unknown(const mls_value *api, const char *name, mls_arena *a, mls_error *e)
{
    const char **names = mls_arena_alloc(a, (size_t)(2 * api->n + 1) * sizeof *names);
    int n = 0;
    for (int i = 0; names && i < api->n; i++) {
        const char *class = text(api->item[i], "class");
        const char *full = *class ? class : text(api->item[i], "name");
        const char *last = strrchr(full, ':') ? strrchr(full, ':') : strrchr(full, '.');
        if (!*full) continue;
        names[n++] = !strncmp(full, "mls.", 4) ? full + 4 : full;
        if (last) names[n++] = last + 1;
    }
    const char *near = mls_error_nearest(name, names, n);
    mls_error_set(e, "the Lua API has no \"%.60s\"%s%s%s (mls help lua lists it)", name,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return 0;
}

int mls_help_lua(const char *name, mls_arena *a, mls_error *e)
{
    const mls_value *api = mls_lua_api(a, e);
    int shown = 0;
    if (!api) return 0;
    for (int i = 0; i < api->n; i++) {
        const mls_value *row = api->item[i];
        if (!name && *text(row, "section"))
            fprintf(stdout, "%s%s\n", i ? "\n" : "", text(row, "section"));
        if (!name && *text(row, "name") && !mls_value_get(row, "quiet")) {
            fprintf(stdout, "  %-42s %s\n", mls_lua_signature(api, row, a),
                    text(row, "help"));
        } else if (name && is_called(api, row, name, a)) {
            if (shown++) fputc('\n', stdout);
            show_row(api, row, a);
        }
    }
    if (!name)
        fputs("\nmls.KIND.NAME {options} makes each component of mls list.  mls help "
              "lua.NAME says more of\na function or class.\n", stdout);
    return name && !shown ? unknown(api, name, a, e) : 1;
}
