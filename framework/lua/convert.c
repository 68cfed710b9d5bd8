#include "lua/convert.h"

#include "lua/bindings.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* ---- places -------------------------------------------------------------------------- */

/* Table -> "file.lua:12", with weak keys: the tables themselves stay plain. */
static void push_places(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, "mls.places") == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.places");
}

static void push_line(lua_State *L)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline > 0 && ar.source[0] == '@') {
            lua_pushfstring(L, "%s:%d", ar.short_src, ar.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

const char *mls_lua_push_place(lua_State *L, int index)
{
    if (index == 0) {
        push_line(L);
        return lua_tostring(L, -1);
    }
    index = lua_absindex(L, index);
    push_places(L);
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushliteral(L, "");
    }
    lua_remove(L, -2);
    return lua_tostring(L, -1);
}

void mls_lua_place(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    push_places(L);
    lua_pushvalue(L, index);
    push_line(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

void mls_lua_place_like(lua_State *L, int index, int other)
{
    index = lua_absindex(L, index);
    other = lua_absindex(L, other);
    push_places(L);
    lua_pushvalue(L, index);
    mls_lua_push_place(L, other);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* ---- to trees ------------------------------------------------------------------------------ */

typedef struct walk {
    lua_State  *L;
    mls_arena  *a;
    mls_error  *e;
    const char *file;
    int         line, depth, skip;
} walk;

static mls_value *convert(walk *w, int index, const char *name);

static mls_value *located(const walk *w, mls_value *v)
{
    if (v) {
        v->file = w->file;
        v->line = w->line;
    }
    return v;
}

/* The table's own place, if it has one, for itself and what is in it. */
static void enter(walk *w, int index)
{
    const char *place = mls_lua_push_place(w->L, index);
    const char *colon = strrchr(place, ':');
    if (colon) {
        w->file = mls_arena_printf(w->a, "%.*s", (int)(colon - place), place);
        w->line = atoi(colon + 1);
    }
    lua_pop(w->L, 1);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static mls_value *convert_map(walk *w, int index, const char *name, int n)
{
    lua_State *L = w->L;
    const char **key = mls_arena_alloc(w->a, (size_t)(n + 1) * sizeof *key);
    mls_value *map = located(w, mls_value_map(w->a));
    int k = 0;
    for (lua_pushnil(L); key && lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) {
            mls_error_set(w->e, "%s%s has names and numbers as keys: a list or a map, not "
                          "both", mls_value_where(w->a, map), name);
            lua_pop(L, 2);
            return NULL;
        }
        if (!(w->skip && w->depth == 1 && lua_isfunction(L, -1)))
            key[k++] = mls_arena_strdup(w->a, lua_tostring(L, -2));
    }
    if (!key) {
        mls_error_set(w->e, "no memory for %s", name);
        return NULL;
    }
    qsort(key, (size_t)k, sizeof *key, by_text);
    for (int i = 0; i < k && !w->e->set; i++) {
        lua_getfield(L, index, key[i]);
        mls_value *v = convert(w, lua_gettop(L),
                               mls_arena_printf(w->a, "%s.%s", name, key[i]));
        lua_pop(L, 1);
        if (v)
            mls_value_set(w->a, map, key[i], v);
    }
    return map;
}

static mls_value *convert_table(walk *w, int index, const char *name)
{
    lua_State *L = w->L;
    const walk around = *w;
    int n = 0;
    mls_value *out;
    if (++w->depth > 64) {
        mls_error_set(w->e, "%s is nested more than 64 deep: a table that holds itself?",
                      name);
        return NULL;
    }
    luaL_checkstack(L, 8, NULL);
    enter(w, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        n++;
    const lua_Integer length = (lua_Integer)lua_rawlen(L, index);
    if (length > 0 && length == n) {
        out = located(w, mls_value_list(w->a));
        for (lua_Integer i = 1; i <= length && !w->e->set; i++) {
            lua_rawgeti(L, index, i);
            mls_value *v = convert(w, lua_gettop(L),
                                   mls_arena_printf(w->a, "%s[%d]", name, (int)i));
            lua_pop(L, 1);
            if (v)
                mls_value_push(w->a, out, v);
        }
    } else {
        out = convert_map(w, index, name, n);
    }
    w->depth = around.depth;
    w->file = around.file;
    w->line = around.line;
    return out;
}

static mls_value *convert(walk *w, int index, const char *name)
{
    lua_State *L = w->L;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return located(w, mls_value_null(w->a));
    case LUA_TBOOLEAN:
        return located(w, mls_value_bool(w->a, lua_toboolean(L, index)));
    case LUA_TNUMBER:
        return located(w, lua_isinteger(L, index)
                       ? mls_value_int(w->a, lua_tointeger(L, index))
                       : mls_value_real(w->a, lua_tonumber(L, index)));
    case LUA_TSTRING:
        return located(w, mls_value_string(w->a, mls_arena_strdup(
                       w->a, lua_tostring(L, index))));
    case LUA_TTABLE:
        return convert_table(w, index, name);
    default: {
        mls_value here = { .file = w->file, .line = w->line };
        mls_error_set(w->e, "%s%s is a %s; expected a number, text, true, false or a table",
                      mls_value_where(w->a, &here), name, luaL_typename(L, index));
        return NULL;
    }
    }
}

mls_value *mls_lua_to_value(lua_State *L, int index, mls_arena *a, const char *name,
                            int skip, mls_error *e)
{
    walk w = { .L = L, .a = a, .e = e, .skip = skip };
    const int top = lua_gettop(L);
    mls_value *v = convert(&w, lua_absindex(L, index), name);
    lua_settop(L, top);
    return e->set ? NULL : v;
}

/* ---- from trees ------------------------------------------------------------------------------ */

void mls_lua_push_value(lua_State *L, const mls_value *v)
{
    luaL_checkstack(L, 8, NULL);
    switch (v ? v->kind : MLS_V_NULL) {
    case MLS_V_NULL:   lua_pushnil(L); return;
    case MLS_V_BOOL:   lua_pushboolean(L, v->boolean); return;
    case MLS_V_INT:    lua_pushinteger(L, v->integer); return;
    case MLS_V_REAL:   lua_pushnumber(L, v->real); return;
    case MLS_V_STRING: lua_pushstring(L, v->string); return;
    default: break;
    }
    lua_createtable(L, v->kind == MLS_V_LIST ? v->n : 0, v->kind == MLS_V_MAP ? v->n : 0);
    for (int i = 0; i < v->n; i++) {
        mls_lua_push_value(L, v->item[i]);
        if (v->kind == MLS_V_LIST)
            lua_rawseti(L, -2, i + 1);
        else
            lua_setfield(L, -2, v->key[i]);
    }
    if (v->file && v->line > 0) {
        push_places(L);
        lua_pushvalue(L, -2);
        lua_pushfstring(L, "%s:%d", v->file, v->line);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
}
