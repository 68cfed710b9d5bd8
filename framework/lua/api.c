#include "lua/api.h"

#include "lua/bindings.h"
#include "lua/convert.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

extern const char mls_lua_api_text[];      /* api.lua; made by the build */

typedef struct question { mls_arena *a; mls_error *e; const mls_value *answer; } question;

static int read_table(lua_State *L)
{
    question *q = lua_touserdata(L, 1);
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    if (luaL_loadbufferx(L, mls_lua_api_text, strlen(mls_lua_api_text), MLS_LUA_OWN, "t")
        != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    q->answer = mls_lua_to_value(L, -1, q->a, "api", 0, q->e);
    return 0;
}

const mls_value *mls_lua_api(mls_arena *a, mls_error *e)
{
    question q = { a, e, NULL };
    lua_State *L = luaL_newstate();
    if (!L) {
        mls_error_set(e, "no memory for Lua");
        return NULL;
    }
    lua_pushcfunction(L, read_table);
    lua_pushlightuserdata(L, &q);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        mls_error_set(e, "api.lua: %s", lua_tostring(L, -1));
    lua_close(L);
    return e->set ? NULL : q.answer;
}
