/* What c can do in a component's setup: sizes, weights, states. */
#include "lua/part.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static const mls_host *host(void) { return mls_plug_host(); }

static const char *string_at(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TSTRING)
        mls_lua_raise(L, "%s: expected a string, found a %s value", what,
                      luaL_typename(L, index));
    return lua_tostring(L, index);
}

static int64_t whole_at(lua_State *L, int index, const char *what)
{
    int is;
    const lua_Integer x = lua_tointegerx(L, index, &is);
    if (!is || lua_type(L, index) != LUA_TNUMBER)
        mls_lua_raise(L, "%s: expected a whole number, found %s", what,
                      luaL_tolstring(L, index, NULL));
    return x;
}

/* A string that lives as long as the network. */
static const char *keep(lua_State *L, mls_lua_c *o, int index)
{
    const char *s = lua_tostring(L, index);
    if (!s)
        return NULL;
    s = mls_arena_strdup(o->c->network, s);
    if (!s)
        mls_lua_raise(L, "no memory");
    return s;
}

/* ---- sizes -------------------------------------------------------------------------------- */

static int width(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "width", 1);
    lua_pushinteger(L, host()->width(o->c, string_at(L, 2, "c:width")));
    mls_lua_object_check(L, o);
    return 1;
}

static int connected(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "connected", 1);
    const char *names[MLS_PART_PORTS], *name = string_at(L, 2, "c:connected");
    int known = 0;
    for (int i = 0; i < o->part->n_in; i++) {
        names[i] = o->part->in[i]->name;
        known |= strcmp(names[i], name) == 0;
    }
    const char *near = known ? NULL : mls_error_nearest(name, names, o->part->n_in);
    if (!known)
        mls_lua_raise(L, "c:connected: there is no input '%s'%s%s%s", name,
                      near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    lua_pushboolean(L, host()->connected(o->c, name));
    return 1;
}

static int length(lua_State *L)
{
    lua_pushinteger(L, host()->length(mls_lua_object(L, "length", 1)->c));
    return 1;
}

/* ---- weights -------------------------------------------------------------------------------- */

static const struct {
    const char   *name;
    mls_init_kind kind;
    int           numbers;            /* that it wants                                   */
    double        a;
    unsigned      flags;
} inits[] = {
    { "linear", MLS_FAN_IN, 0, 1.0, 0 },
    { "zeros", MLS_CONSTANT, 0, 0.0, MLS_NO_DECAY },
    { "ones", MLS_CONSTANT, 0, 1.0, MLS_NO_DECAY },
    { "constant", MLS_CONSTANT, 1, 0.0, 0 },
    { "uniform", MLS_UNIFORM, 1, 0.0, 0 },
    { "normal", MLS_NORMAL, 1, 0.0, 0 },
    { "xavier", MLS_XAVIER, 0, 1.0, 0 },
    { "range", MLS_RANGE, 2, 0.0, 0 },
};
enum { INITS = sizeof inits / sizeof *inits };

static int find_init(lua_State *L, int index)
{
    const char *names[INITS], *word = string_at(L, index, "c:weight: init");
    for (int i = 0; i < INITS; i++) {
        names[i] = inits[i].name;
        if (strcmp(word, names[i]) == 0)
            return i;
    }
    const char *near = mls_error_nearest(word, names, INITS);
    return mls_lua_raise(L, "c:weight: there is no init '%s'%s%s%s (there are linear, zeros, "
                         "ones, constant, uniform, normal, xavier and range)", word,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void only(lua_State *L, int index, const char *const *names, int n, const char *what)
{
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        int known = lua_type(L, -2) == LUA_TNUMBER;
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        for (int i = 0; i < n; i++)
            known |= strcmp(key, names[i]) == 0;
        const char *near = known ? NULL : mls_error_nearest(key, names, n);
        if (!known)
            mls_lua_raise(L, "%s has no '%s'%s%s%s", what, key, near ? "; did you mean '" : "",
                          near ? near : "", near ? "'?" : "");
    }
}

static unsigned flag(lua_State *L, int index, const char *name, unsigned bit)
{
    lua_getfield(L, index, name);
    const unsigned on = lua_toboolean(L, -1) ? bit : 0;
    lua_pop(L, 1);
    return on;
}

/* "zeros", { "normal", 0.02, frozen = true }, nothing: linear. */
static mls_init init_at(lua_State *L, int index)
{
    static const char *const names[] = { "no_decay", "frozen" };
    if (lua_isnoneornil(L, index))
        return MLS_LINEAR;
    if (!lua_istable(L, index)) {
        const int i = find_init(L, index);
        if (inits[i].numbers)
            mls_lua_raise(L, "c:weight: the init '%s' wants %s, as { \"%s\", %s }",
                          inits[i].name, inits[i].numbers == 2 ? "two numbers" : "a number",
                          inits[i].name, inits[i].numbers == 2 ? "-1.0, 1.0" : "0.02");
        return mls_init_of(inits[i].kind, inits[i].a, inits[i].flags);
    }
    only(L, index, names, 2, "an init");
    lua_rawgeti(L, index, 1);
    const int i = find_init(L, lua_gettop(L));
    mls_init out = mls_init_of(inits[i].kind, inits[i].a, inits[i].flags);
    double x[2] = { inits[i].a, 0.0 };
    for (int k = 0; k < inits[i].numbers; k++)
        if (lua_rawgeti(L, index, k + 2) == LUA_TNUMBER)
            x[k] = lua_tonumber(L, -1);
        else
            mls_lua_raise(L, "c:weight: field %d of the init '%s' is a %s value, expected a "
                          "number", k + 2, inits[i].name, luaL_typename(L, -1));
    out.a = x[0];
    out.b = x[1];
    out.flags |= flag(L, index, "no_decay", MLS_NO_DECAY)
        | flag(L, index, "frozen", MLS_FROZEN);
    return out;
}

static int weight(lua_State *L)
{
    mls_lua_c *o = mls_lua_object(L, "weight", 1);
    string_at(L, 2, "c:weight: name");
    const int64_t rows = whole_at(L, 3, "c:weight: rows");
    const int64_t cols = whole_at(L, 4, "c:weight: columns");
    const mls_init init = init_at(L, 5);
    mls_t w = host()->weight(o->c, keep(L, o, 2), rows, cols, init);
    mls_lua_object_check(L, o);
    lua_getiuservalue(L, 1, MLS_C_STEP);
    mls_lua_push_weight(L, -1, w);
    return 1;
}

/* ---- states ---------------------------------------------------------------------------------- */

static int state(lua_State *L)
{
    static const char *const names[] = { "reset", "unit", "help" };
    enum { MOST = sizeof ((mls_lua_c *)0)->state / sizeof *((mls_lua_c *)0)->state };
    mls_lua_c *o = mls_lua_object(L, "state", 1);
    const char *name = (string_at(L, 2, "c:state: name"), keep(L, o, 2));
    const char *unit = NULL, *help = NULL;
    const int64_t wide = whole_at(L, 3, "c:state: width");
    double reset = 0.0;
    lua_settop(L, 4);
    if (lua_istable(L, 4)) {
        only(L, 4, names, 3, "a state");
        if (lua_getfield(L, 4, "reset") != LUA_TNIL && lua_type(L, -1) != LUA_TNUMBER)
            mls_lua_raise(L, "c:state: reset is a %s value, expected a number",
                          luaL_typename(L, -1));
        reset = lua_tonumber(L, -1);
        lua_getfield(L, 4, "unit");
        unit = keep(L, o, -1);
        lua_getfield(L, 4, "help");
        help = keep(L, o, -1);
    } else if (!lua_isnil(L, 4)) {
        mls_lua_raise(L, "c:state: expected a table { reset =, unit =, help = }, found a %s "
                      "value", luaL_typename(L, 4));
    }
    if (o->n_states == MOST)
        mls_lua_raise(L, "c:state: more than %d states", (int)MOST);
    mls_state *s = host()->state(o->c, name, wide, reset, unit, help);
    mls_lua_object_check(L, o);
    o->state[o->n_states++] = s;
    mls_lua_push_state(L, s);
    return 1;
}

/* ---- the callback ------------------------------------------------------------------------------ */

typedef struct call { mls_ctx *c; void *self; mls_lua_part *part; mls_lua_c *made; } call;

/* The fields of the table that setup returned, set as if by c.name = value. */
static void take_fields(lua_State *L, int object, const mls_lua_part *p)
{
    if (lua_isnil(L, -1))
        return;
    if (!lua_istable(L, -1)) {
        lua_pushfstring(L, "%s: setup returned a %s value; expected a table of fields for c, "
                        "or nothing", p->place, luaL_typename(L, -1));
        lua_error(L);
    }
    const int from = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, from); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_settable(L, object);
    }
}

static int run_setup(lua_State *L)
{
    call *k = lua_touserdata(L, 1);
    k->made = mls_lua_object_new(L, k->c, k->part, k->self);
    const int object = lua_gettop(L);
    if (k->part->setup != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, k->part->setup);
        lua_pushvalue(L, object);
        lua_call(L, 1, 1);
        take_fields(L, object, k->part);
    }
    return 0;
}

void mls_lua_setup(mls_ctx *c, void *self)
{
    mls_lua_part *p = (mls_lua_part *)(void *)(uintptr_t)c->component;
    call k = { c, self, p, NULL };
    mls_lua_protected(c, p, run_setup, &k);
    if (!k.made)
        return;
    mls_lua_step_end(k.made->step);
    k.made->c = NULL;
    k.made->setup = 0;
}

const luaL_Reg mls_lua_setup_methods[] = {
    { "width", width }, { "connected", connected }, { "length", length },
    { "weight", weight }, { "state", state }, { NULL, NULL }
};
