/* What c can do in a component's forward, and the call of it. */
#include "lua/part.h"

#include "base/error.h"

#include <stdint.h>
#include <string.h>

static const mls_host *host(void) { return mls_plug_host(); }

/* ---- states ------------------------------------------------------------------------------- */

static mls_state *own_state(lua_State *L, const mls_lua_c *o)
{
    mls_state *s = mls_lua_check_state(L, 2);
    for (int i = 0; i < o->n_states; i++)
        if (o->state[i] == s)
            return s;
    mls_lua_raise(L, "this state belongs to another node: make it in setup with c:state and "
                  "keep it in c");
    return NULL;
}

static int load(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "load", 2);
    mls_t t = host()->load(o->c, own_state(L, o));
    lua_getiuservalue(L, 1, MLS_C_STEP);
    mls_lua_push_tensor(L, -1, t);
    return 1;
}

static int store(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "store", 2);
    mls_state *s = own_state(L, o);
    host()->store(o->c, s, mls_lua_step_tensor(L, 3, o->step, "c:store: value"));
    mls_lua_object_check(L, o);
    return 0;
}

/* ---- observing ------------------------------------------------------------------------------ */

/* The string at index, for as long as the sandbox: recorders keep what they are given. */
static const char *lasting(lua_State *L, int index, const char *what)
{
    if (lua_isnoneornil(L, index))
        return NULL;
    if (lua_type(L, index) != LUA_TSTRING)
        mls_lua_raise(L, "%s: expected a string, found a %s value", what,
                      luaL_typename(L, index));
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "mls.names");
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pushvalue(L, index);
        lua_pushvalue(L, index);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
    return lua_tostring(L, index);
}

static int tap(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "tap", 2);
    const char *name = lasting(L, 2, "c:tap: name");
    if (!name)
        mls_lua_raise(L, "c:tap wants a name, a tensor, and if you like a unit and help");
    mls_t t = mls_lua_step_tensor(L, 3, o->step, "c:tap: value");
    const char *unit = lasting(L, 4, "c:tap: unit"), *help = lasting(L, 5, "c:tap: help");
    host()->tap(o->c, name, t, unit, help);
    mls_lua_object_check(L, o);
    return 0;
}

static int penalty(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "penalty", 2);
    const char *name = lasting(L, 2, "c:penalty: name");
    if (!name || !lua_isnumber(L, 4))
        mls_lua_raise(L, "c:penalty wants a name, a tensor and a number, its weight");
    mls_t x = mls_lua_step_tensor(L, 3, o->step, "c:penalty: value");
    host()->penalty(o->c, name, x, lua_tonumber(L, 4));
    mls_lua_object_check(L, o);
    return 0;
}

static int wanted(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "wanted", 2);
    const char *name = lasting(L, 2, "c:wanted: name");
    lua_pushboolean(L, name && host()->wanted(o->c, name));
    return 1;
}

/* ---- both callbacks -------------------------------------------------------------------------- */

static int fail(lua_State *L)
{
    mls_lua_object(L, "fail", 0);
    return mls_lua_raise(L, "%s", luaL_tolstring(L, 2, NULL));
}

static int say(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "log", 0);
    host()->log(o->c, MLS_INFO, "%s", luaL_tolstring(L, 2, NULL));
    return 0;
}

static int zeros(lua_State *L)
{
    mls_lua_object(L, "zeros", 0);
    mls_lua_push_free(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3),
                      luaL_checkinteger(L, 4));
    return 1;
}

/* ---- the callback ------------------------------------------------------------------------------ */

typedef struct call {
    mls_ctx      *c;
    mls_lua_part *part;
    mls_lua_c    *o;
    const mls_t  *in;
    mls_t        *out;
} call;

/* What is wrong after forward has returned has no running line: its own is told. */
static int refuse(lua_State *L, const mls_lua_part *p, const char *text)
{
    lua_pushfstring(L, "%s: forward of %s.%s %s", p->where, p->c.kind, p->c.name, text);
    return lua_error(L);
}

static void take_output(lua_State *L, const call *k, int i, int index)
{
    const mls_lua_part *p = k->part;
    const mls_port *port = p->out[i];
    const char *type = luaL_typename(L, index);
    if (lua_isnil(L, index) && port->flags & MLS_MAYBE)
        return;
    if (!luaL_testudata(L, index, "mls.tensor")) {
        lua_pushfstring(L, "returned a %s value as output '%s'; expected a tensor", type,
                        port->name);
        refuse(L, p, lua_tostring(L, -1));
    }
    mls_t t = mls_lua_step_tensor(L, index, k->o->step, port->name);
    const mls_t first = k->in[0];
    int64_t want[3] = { *port->shape == '1' ? 1 : first ? first->dim[0] : t->dim[0],
                        first ? first->dim[1] : t->dim[1],
                        host()->width(k->c, port->name) };
    if (want[2] == 0)
        want[2] = t->dim[2];
    if (memcmp(t->dim, want, sizeof want) == 0) {
        k->out[i] = t;
        return;
    }
    lua_pushfstring(L, "returned output '%s' as [%I][%I][%I]; its port says [%I][%I][%I]",
                    port->name, (LUAI_UACINT)t->dim[0], (LUAI_UACINT)t->dim[1],
                    (LUAI_UACINT)t->dim[2], (LUAI_UACINT)want[0], (LUAI_UACINT)want[1],
                    (LUAI_UACINT)want[2]);
    refuse(L, p, lua_tostring(L, -1));
}

static int run_forward(lua_State *L)
{
    const call *k = lua_touserdata(L, 1);
    const mls_lua_part *p = k->part;
    luaL_checkstack(L, 2 * MLS_PART_PORTS + 8, NULL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, (*mls_lua_node_of(p, k->o->self))->ref);
    lua_getiuservalue(L, 2, MLS_C_STEP);
    lua_rawgeti(L, LUA_REGISTRYINDEX, p->forward);
    lua_pushvalue(L, 2);
    for (int i = 0; i < p->n_in; i++)
        if (k->in[i])
            mls_lua_push_tensor(L, 3, k->in[i]);
        else
            lua_pushnil(L);
    lua_call(L, p->n_in + 1, LUA_MULTRET);
    const int got = lua_gettop(L) - 3;
    int least = p->n_out;                        /* trailing optional outputs may be left */
    while (least > 0 && p->out[least - 1]->flags & MLS_MAYBE)
        least--;
    if (got < least || got > p->n_out) {
        lua_pushfstring(L, "returned %d values; it has %d output%s (%s%s)", got, p->n_out,
                        p->n_out == 1 ? "" : "s", p->out[0]->name,
                        p->n_out > 1 ? ", ..." : "");
        refuse(L, p, lua_tostring(L, -1));
    }
    for (int i = 0; i < got; i++)
        take_output(L, k, i, 4 + i);
    return 0;
}

void mls_lua_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    mls_lua_part *p = (mls_lua_part *)(void *)(uintptr_t)c->component;
    const mls_lua_node *n = *mls_lua_node_of(p, self);
    if (!n || c->error->set)
        return;
    call k = { c, p, n->object, in, out };
    k.o->c = c;
    mls_lua_step_begin(k.o->step, c);
    mls_lua_protected(c, p, run_forward, &k);
    mls_lua_step_end(k.o->step);
    k.o->c = NULL;
}

const luaL_Reg mls_lua_forward_methods[] = {
    { "load", load }, { "store", store }, { "tap", tap }, { "wanted", wanted },
    { "penalty", penalty },
    { "fail", fail }, { "log", say }, { "zeros", zeros }, { NULL, NULL }
};
