/* luacats.c - annotations for editors (docs/lua/mls.lua): the rows of api.lua and the
 * option tables of the components.                                                       */
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
    return i < list->n && list->item[i]->kind == MLS_V_STRING ? list->item[i]->string : "";
}

static const char *last(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static void class(const mls_value *row)
{
    const char *name = text(row, "class");
    const mls_value *fields = mls_value_get(row, "fields");
    const mls_value *operators = mls_value_get(row, "operators");
    fprintf(stdout, "\n--- %s.\n---@class %s\n", text(row, "help"), name);
    for (int i = 0; fields && i < fields->n; i++)
        fprintf(stdout, "---@field %s %s %s\n", word(fields->item[i], 0),
                word(fields->item[i], 1), word(fields->item[i], 2));
    for (int i = 0; operators && i < operators->n; i++) {
        const char *type = word(operators->item[i], 1);
        fprintf(stdout, "---@operator %s%s%s%s: %s\n", word(operators->item[i], 0),
                *type ? "(" : "", type, *type ? ")" : "", name);
    }
    fprintf(stdout, "local %s = {}\n", last(name));
}

static void function(const mls_value *row)
{
    const char *name = text(row, "name"), *names = "", *type = text(row, "type");
    const mls_value *params = mls_value_get(row, "params");
    const mls_value *returns = mls_value_get(row, "returns");
    mls_arena a = { 0 };
    fprintf(stdout, "\n--- %s.\n", text(row, "help"));
    if (*type) {
        fprintf(stdout, "---@type %s\n%s = nil\n", type, name);
        return;
    }
    for (int i = 0; params && i < params->n; i++) {
        const mls_value *p = params->item[i];
        fprintf(stdout, "---@param %s %s %s\n", word(p, 0), word(p, 1), word(p, 2));
        names = mls_arena_printf(&a, "%s%s%.*s", names, i ? ", " : "",
                                 (int)strcspn(word(p, 0), "?"), word(p, 0));
    }
    for (int i = 0; returns && i < returns->n; i++)
        fprintf(stdout, "---@return %s%s%s\n", word(returns->item[i], 0),
                *word(returns->item[i], 1) ? " # " : "", word(returns->item[i], 1));
    fprintf(stdout, "function %s(%s) end\n", strchr(name, ':') ? last(name) : name, names);
    mls_arena_free(&a);
}

/* "mls.modes.mamba" wants mls.modes = {} before it. */
static void tables(const mls_value *api)
{
    const char *before = "";
    size_t had = 0;
    for (int i = 0; i < api->n; i++) {
        const char *name = text(api->item[i], "name"), *dot = strrchr(name, '.');
        const size_t n = dot ? (size_t)(dot - name) : 0;
        if (strchr(name, ':') || n <= 3 || (n == had && !strncmp(name, before, n))) continue;
        fprintf(stdout, "\n%.*s = {}\n", (int)n, name);
        before = name;
        had = n;
    }
}

static const char *lua_type(const mls_option *o, mls_arena *a)
{
    static const char *const names[] = { "number", "integer", "boolean", "", "string",
                                        "mls.Component", "mls.Component[]" };
    const char *s = "";
    if (o->type != MLS_CHOICE) return names[o->type];
    for (const char *p = o->choices; *p; p += strcspn(p, "|"), p += *p == '|')
        s = mls_arena_printf(a, "%s%s\"%.*s\"", s, *s ? "|" : "", (int)strcspn(p, "|"), p);
    return s;
}

static void component(const mls_pages *p, const mls_component *c)
{
    const mls_option *o;
    fprintf(stdout, "\n---@class mls.%s.%s.Options\n", c->kind, c->name);
    for (int i = 0; (o = mls_plug_option(p->r, c, i)); i++) {
        const char *range = mls_fact_range(o, p->a);
        fprintf(stdout, "---@field %s? %s %s (default %s%s%s)\n", o->name,
                lua_type(o, p->a), o->help, mls_fact_default(o, p->a),
                *range && o->type != MLS_CHOICE ? "; " : "",
                o->type != MLS_CHOICE ? range : "");
    }
    fprintf(stdout, "\n--- %s.\n---@param options? mls.%s.%s.Options\n"
            "---@return mls.Component\nfunction mls.%s.%s(options) end\n",
            mls_fact_summary(c, p->a), c->kind, c->name, c->kind, c->name);
}

void mls_luacats(const mls_pages *p)
{
    int n;
    const mls_value *api = mls_lua_api(p->a, p->e);
    const mls_kind *kinds = mls_kinds_of(p->r, &n, p->a);
    if (!api) return;
    fputs("---@meta mls\n-- Made by `mls help --luacats` (make docs); changes are lost.\n\n"
          "---@class mls\nlocal mls = {}\n", stdout);
    for (int i = 0; i < api->n; i++)
        if (*text(api->item[i], "class")) class(api->item[i]);
    tables(api);
    for (int i = 0; i < api->n; i++)
        if (*text(api->item[i], "name")) function(api->item[i]);
    for (int k = 0; k < n; k++) {
        fprintf(stdout, "\n");
        if (*kinds[k].help) fprintf(stdout, "--- %s\n", kinds[k].help);
        fprintf(stdout, "mls.%s = {}\n", kinds[k].name);
        for (int i = 0; i < p->r->n_components; i++)
            if (!strcmp(p->r->component[i]->kind, kinds[k].name))
                component(p, p->r->component[i]);
    }
    fputs("\nreturn mls\n", stdout);
}
