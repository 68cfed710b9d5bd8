/* What a net is made of: its weights and their gradients, in place; its data; in words. */
#include "lua/model.h"

#include <stdio.h>
#include <string.h>

static const mls_weight *find(lua_State *L, const mls_lua_net *n, const char *name)
{
    enum { MOST = 1024 };
    const char *names[MOST];
    const int count = mls_net_weights(n->net);
    for (int i = 0; i < count; i++) {
        const mls_weight *w = mls_net_weight(n->net, i);
        if (!strcmp(w->name, name)) return w;
        if (i < MOST) names[i] = w->name;
    }
    const char *near = mls_error_nearest(name, names, count < MOST ? count : MOST);
    mls_lua_raise(L, "the network has no weight '%s'%s%s%s", name,
                  near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

static void push(lua_State *L, const mls_weight *w, int gradient)
{
    lua_getiuservalue(L, 1, 1);
    mls_lua_push_view(L, 1, -1, gradient ? w->grad : w->data,
                      gradient || (w->flags & MLS_FROZEN) ? NULL : w->grad, 1, w->rows,
                      w->cols);
    lua_remove(L, -2);
}

/* net:weight(name) -> [1][rows][cols], written with :set{...}; in a loss its gradient
 * arrives at the weight.                                                                 */
static int weight(lua_State *L)
{
    mls_lua_net *n = mls_lua_check_net(L, 1);
    push(L, find(L, n, luaL_checkstring(L, 2)), 0);
    return 1;
}

static int grad(lua_State *L)
{
    mls_lua_net *n = mls_lua_check_net(L, 1);
    push(L, find(L, n, luaL_checkstring(L, 2)), 1);
    return 1;
}

static int parameters(lua_State *L)
{
    mls_lua_net *n = mls_lua_check_net(L, 1);
    lua_createtable(L, 0, mls_net_weights(n->net));
    for (int i = 0; i < mls_net_weights(n->net); i++) {
        const mls_weight *w = mls_net_weight(n->net, i);
        push(L, w, 0);
        lua_setfield(L, -2, w->name);
    }
    return 1;
}

static int count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)mls_net_parameters(mls_lua_check_net(L, 1)->net));
    return 1;
}

static int zero_grad(lua_State *L)
{
    mls_net_zero_grad(mls_lua_check_net(L, 1)->net);
    return 0;
}

static int summary(lua_State *L)
{
    mls_lua_net *n = mls_lua_check_net(L, 1);
    mls_arena a = { 0 };
    lua_pushstring(L, mls_net_summary(n->net, &a));
    mls_arena_free(&a);
    return 1;
}

static int text(lua_State *L)
{
    const mls_lua_net *n = mls_lua_check_net(L, 1);
    lua_pushfstring(L, "net of %I parameters",
                    (LUAI_UACINT)mls_net_parameters(n->net));
    return 1;
}

static int data(lua_State *L)
{
    mls_lua_net *n = mls_lua_check_net(L, 1);
    if (lua_getiuservalue(L, 1, 2) != LUA_TNIL) return 1;
    if (!n->m.feed)
        return mls_lua_raise(L, "this net was built from a shape, or loaded by its file: it "
                                "has no data; mls.open(task) opens some");
    mls_lua_data *d = lua_newuserdatauv(L, sizeof *d, 1);
    memset(d, 0, sizeof *d);
    luaL_setmetatable(L, mls_lua_data_name);
    d->feed = n->m.feed;
    d->seed = n->seed;
    d->spec = mls_value_copy(&d->arena, mls_value_get(n->m.config, "task"));
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

void mls_lua_open_weights(lua_State *L)
{
    static const luaL_Reg methods[] = { { "weight", weight }, { "grad", grad },
        { "parameters", parameters }, { "count", count }, { "zero_grad", zero_grad },
        { "summary", summary }, { "data", data }, { NULL, NULL } };
    luaL_getmetatable(L, mls_lua_net_name);
    lua_pushcfunction(L, text);
    lua_setfield(L, -2, "__tostring");
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 2);
}
