/* A trial runs in a process of its own, later and perhaps elsewhere: its folder keeps the
 * Lua files that declare its components, whole, and lua/main, which says which one is the
 * study and where it lay. */
#include "lua/component.h"

#include "conf/conf.h"
#include "lua/part.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int uses(const mls_sandbox *s, const mls_value *v)
{
    const mls_value *name = mls_value_get(v, "component");
    mls_error ignored = { 0 };
    const mls_component *c = name && name->kind == MLS_V_STRING
        ? mls_registry_find(s->registry, name->string, NULL, &ignored) : NULL;
    for (const mls_lua_part *p = s->part; c && p; p = p->next)
        if (c == &p->c)
            return 1;
    for (int i = 0; v && i < v->n; i++)
        if (uses(s, v->item[i]))
            return 1;
    return 0;
}

mls_value *mls_lua_trial_sources(const mls_sandbox *s, const mls_value *config, mls_arena *a,
                                 mls_error *e)
{
    if (!s->part || !uses(s, config))
        return NULL;
    mls_value *map = mls_value_map(a), *index = mls_value_map(a);
    const mls_source *f = s->source;
    for (; f && map; f = f->next) {
        mls_value_set(a, map, mls_arena_printf(a, "lua/%s", f->path),
                      mls_value_string(a, f->text));
        if (!f->next) {
            mls_value_set(a, index, "file", mls_value_string(a, f->path));
            mls_value_set(a, index, "folder", mls_value_string(a, s->here));
        }
    }
    const char *text = map && index ? mls_value_to_yaml(a, index) : NULL;
    if (text)
        mls_value_set(a, map, "lua/main", mls_value_string(a, text));
    else
        mls_error_set(e, "no memory for the Lua files of a trial");
    return map;
}

int mls_lua_trial_load(mls_registry *r, const char *dir, mls_lua_file **f, mls_error *e)
{
    mls_arena a = { 0 };
    const char *path = mls_arena_printf(&a, "%s/lua/main", dir);
    *f = NULL;
    if (path && access(path, F_OK) == 0) {
        const mls_value *index = mls_yaml_read(&a, path, e);
        const char *name = mls_value_get_string(index, "file", "", e);
        const char *here = mls_value_get_string(index, "folder", "", e);
        if (!e->set && (!*name || strstr(name, "..") || *name == '/'))
            mls_error_set(e, "%s: file is \"%s\"; expected a file beside it", path, name);
        if (!e->set)
            *f = mls_lua_file_copy(r, mls_arena_printf(&a, "%s/lua", dir), name, here, e);
    }
    mls_arena_free(&a);
    return !e->set;
}

/* 1 when every component of the tree is in the registry. */
static int known(const mls_registry *r, const mls_value *v)
{
    mls_error ignored = { 0 };
    const mls_value *name = mls_value_get(v, "component");
    if (name && name->kind == MLS_V_STRING
        && !mls_registry_find(r, name->string, NULL, &ignored))
        return 0;
    for (int i = 0; v && i < v->n; i++)
        if (!known(r, v->item[i]))
            return 0;
    return 1;
}

int mls_lua_trial_open(mls_sandbox *s, const char *dir, mls_error *e)
{
    mls_arena a = { 0 };
    mls_error none = { 0 };
    mls_lua_file *f = NULL;
    const char *path = mls_arena_printf(&a, "%s/config.yaml", dir);
    const mls_value *config = path && access(path, R_OK) == 0 ? mls_yaml_read(&a, path, &none)
        : NULL;
    const int ok = !config || known(s->registry, config)
        || mls_lua_trial_load(s->registry, dir, &f, e);
    if (f)
        mls_lua_file_keep(s, f);
    mls_arena_free(&a);
    return ok;
}
