#include "lua/bindings.h"

#include "conf/conf.h"
#include "lua/convert.h"
#include "lua/part.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Raises text, after "file.lua:12: " of the table at `at`, or of the running line. */
static int raise_at(lua_State *L, const char *text, int at)
{
    const char *place = mls_lua_push_place(L, at);
    if (at && !*place)
        place = mls_lua_push_place(L, 0);
    lua_pushfstring(L, "%s%s%s", place, *place ? ": " : "", text);
    return lua_error(L);
}

static int fail(lua_State *L)
{
    return raise_at(L, luaL_checkstring(L, 1), lua_istable(L, 2) ? 2 : 0);
}

static int place(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_istable(L, 2))
        mls_lua_place_like(L, 1, 2);
    else
        mls_lua_place(L, 1);
    return 0;
}

static int wrapped(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcclosure(L, wrapped, 1);
    return 1;
}

static int study(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.study");
    return 0;
}

static int nearest(lua_State *L)
{
    enum { MOST = 512 };
    const char *word = luaL_checkstring(L, 1), *names[MOST];
    luaL_checktype(L, 2, LUA_TTABLE);
    int n = 0;
    for (lua_Integer i = 1; n < MOST && lua_rawgeti(L, 2, i) == LUA_TSTRING; i++) {
        names[n++] = lua_tostring(L, -1);        /* the list keeps it alive */
        lua_pop(L, 1);
    }
    const char *near = mls_error_nearest(word, names, n);
    if (near)
        lua_pushstring(L, near);
    else
        lua_pushnil(L);
    return 1;
}

/* ---- components -------------------------------------------------------------------------- */

static const mls_component *find(lua_State *L, const char *kind, const char *name)
{
    mls_sandbox *s = mls_sandbox_of(L);
    mls_error e = { 0 };
    lua_pushfstring(L, "%s.%s", kind, name);
    const mls_component *c = mls_registry_find(s->registry, lua_tostring(L, -1), NULL, &e);
    if (!c)
        raise_at(L, e.text, 0);
    lua_pop(L, 1);
    return c;
}

static int check(lua_State *L)
{
    find(L, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
    return 0;
}

static int component(lua_State *L)
{
    static const char *const also[] = { "component", NULL };
    mls_sandbox *s = mls_sandbox_of(L);
    const char *kind = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
    const mls_component *c = find(L, kind, name);
    lua_settop(L, 3);
    if (!lua_istable(L, 3) && !lua_isnil(L, 3)) {
        lua_pushfstring(L, "mls.%s.%s wants a table of options, found a %s value", kind,
                        name, luaL_typename(L, 3));
        return raise_at(L, lua_tostring(L, -1), 0);
    }
    lua_newtable(L);                             /* a copy: the user's table stays his */
    if (lua_istable(L, 3))
        for (lua_pushnil(L); lua_next(L, 3);) {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, 4);
        }
    lua_pushfstring(L, "%s.%s", kind, name);
    lua_setfield(L, 4, "component");
    mls_lua_place(L, 4);
    const mls_mark mark = mls_arena_mark(&s->arena);
    mls_error e = { 0 };
    const mls_value *map = mls_lua_to_value(L, 4, &s->arena, name, 0, &e);
    void *self = mls_arena_zalloc(&s->arena, c->self_size + 64);
    if (!self)
        mls_error_set(&e, "no memory for mls.%s.%s", kind, name);
    if (!e.set)
        mls_option_apply(s->registry, c, map, also, self, &s->arena, &e);
    mls_arena_release(&s->arena, mark);
    if (e.set) {
        lua_pushstring(L, e.text);               /* it has its place already */
        return lua_error(L);
    }
    return 1;
}

static int mode(lua_State *L)
{
    mls_sandbox *s = mls_sandbox_of(L);
    const char *name = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    const mls_mark mark = mls_arena_mark(&s->arena);
    mls_error e = { 0 };
    const mls_value *parts = mls_lua_to_value(L, 2, &s->arena, "components", 0, &e);
    const mls_value *spec = e.set ? NULL : mls_conf_mode(&s->arena, name, parts, &e);
    if (!e.set)
        mls_lua_push_value(L, spec);
    mls_arena_release(&s->arena, mark);
    if (e.set)
        return raise_at(L, e.text, 0);
    return 1;
}

/* ---- data ----------------------------------------------------------------------------------- */

/* $MLS_DATA, or shared/data beside the repository that the study lies in. */
static int data(lua_State *L)
{
    mls_sandbox *s = mls_sandbox_of(L);
    const char *name = luaL_checkstring(L, 1), *root = getenv("MLS_DATA");
    char real[PATH_MAX];
    if (root && *root)
        lua_pushfstring(L, "%s/%s", root, name);
    else
        lua_pushfstring(L, "%s/../../shared/data/%s", s->here, name);
    const char *path = lua_tostring(L, -1);
    if (realpath(path, real) && access(real, R_OK) == 0) {
        lua_pushstring(L, real);
        return 1;
    }
    if (s->copy)                                 /* the trial's settings have their own */
        return 1;
    s->missing = 1;
    lua_pushfstring(L, "the data are absent: wanted %s (set MLS_DATA to the folder that "
                    "holds %s)", path, name);
    return raise_at(L, lua_tostring(L, -1), 0);
}

/* ---- the table ------------------------------------------------------------------------------ */

/* The kinds that there are, and those that every study may name. */
static void push_kinds(lua_State *L, mls_registry *r)
{
    static const char *const always[] = { "encoder", "adapter", "liquid", "mixer", "fusion",
                                          "head", "task" };
    lua_Integer n = 0;
    lua_newtable(L);
    for (int i = 0; i < 7; i++) {
        lua_pushstring(L, always[i]);
        lua_rawseti(L, -2, ++n);
    }
    for (int i = 0; r && i < r->n_components; i++) {
        int known = i > 0 && strcmp(r->component[i]->kind, r->component[i - 1]->kind) == 0;
        for (int k = 0; k < 7; k++)
            known |= strcmp(r->component[i]->kind, always[k]) == 0;
        if (known)
            continue;
        lua_pushstring(L, r->component[i]->kind);
        lua_rawseti(L, -2, ++n);
    }
}

void mls_lua_native(lua_State *L)
{
    static const luaL_Reg functions[] = { { "fail", fail }, { "place", place },
        { "study", study }, { "nearest", nearest }, { "check", check },
        { "wrap", wrap },
        { "component", component }, { "mode", mode }, { "data", data },
        { "declare", mls_lua_declare }, { NULL, NULL } };
    mls_sandbox *s = mls_sandbox_of(L);
    luaL_newlib(L, functions);
    lua_pushstring(L, s->here);
    lua_setfield(L, -2, "here");
    lua_pushliteral(L, "1");
    lua_setfield(L, -2, "version");
    push_kinds(L, s->registry);
    lua_setfield(L, -2, "kinds");
    lua_newtable(L);
    for (int i = 0; mls_conf_modes[i]; i++) {
        lua_pushstring(L, mls_conf_modes[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "modes");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.native");
}
