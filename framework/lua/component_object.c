/* The `c` of a component's setup and forward: a node's options, what its setup set, and
 * the methods. */
#include "lua/part.h"

#include "lua/convert.h"

#include <stdlib.h>
#include <string.h>

static const char OBJECT[] = "mls.c", SETUP_ONLY[] =
    "operations belong in forward: in setup there are no values yet";

mls_lua_c *mls_lua_object(lua_State *L, const char *method, int when)
{
    mls_lua_c *o = luaL_testudata(L, 1, OBJECT);
    if (!o)
        mls_lua_raise(L, "c:%s: expected c before the colon, found a %s value", method,
                      luaL_typename(L, 1));
    if (!o->c)
        mls_lua_raise(L, "c:%s: this c belongs to a callback that has ended", method);
    if (when && o->part->c.task)
        mls_lua_raise(L, "c:%s is for components of networks; a task has no weights, states "
                      "or tensors", method);
    if (when && o->setup != (when == 1))
        mls_lua_raise(L, "c:%s belongs in %s, not in %s", method,
                      when == 1 ? "setup" : "forward", when == 1 ? "forward" : "setup");
    return o;
}

void mls_lua_object_check(lua_State *L, const mls_lua_c *o)
{
    if (o->c->error->set)
        mls_lua_raise(L, "%s", o->c->error->text);
}

/* ---- operations ---------------------------------------------------------------------------- */

/* A state of another network, perhaps one that is gone, must not reach an operation. */
static void check_state(lua_State *L, int index, const mls_lua_c *o)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !luaL_testudata(L, index, "mls.state"))
        return;
    const mls_state *s = mls_lua_check_state(L, index);
    for (int i = 0; i < o->n_states; i++)
        if (o->state[i] == s)
            return;
    mls_lua_raise(L, "this state belongs to another node: make it in setup with c:state and "
                  "keep it in c");
}

/* c:sigmoid(x): the step takes the place of c. */
static int operation(lua_State *L)
{
    const luaL_Reg *op = &mls_lua_ops[lua_tointeger(L, lua_upvalueindex(1))];
    const mls_lua_c *o = mls_lua_object(L, op->name, 2);
    for (int i = 2; i <= lua_gettop(L); i++)
        check_state(L, i, o);
    lua_getiuservalue(L, 1, MLS_C_STEP);
    lua_replace(L, 1);
    return op->func(L);
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* A name that is nearly a method is a slip; any other absent field is nil. */
static void slip(lua_State *L)
{
    enum { MOST = 128, LEAST = 4 };
    const char *names[MOST], *word = lua_tostring(L, 2);
    int n = 0;
    if (lua_type(L, 2) != LUA_TSTRING || strlen(word) < LEAST)
        return;
    for (lua_pushnil(L); n < MOST && lua_next(L, lua_upvalueindex(1)); lua_pop(L, 1))
        names[n++] = lua_tostring(L, -2);
    lua_settop(L, 2);
    const char *near = mls_error_nearest(word, names, n);
    if (near)
        mls_lua_raise(L, "c has no '%s'; did you mean '%s'?", word, near);
}

/* Pushes a field or an option of the name at 2, or nothing. */
static int own_field(lua_State *L)
{
    for (int i = MLS_C_FIELDS; i <= MLS_C_OPTIONS; i++) {
        lua_settop(L, 2);
        lua_getiuservalue(L, 1, i);
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL)
            return 1;
    }
    lua_settop(L, 2);
    return 0;
}

static int method(lua_State *L)
{
    lua_pushvalue(L, 2);
    return lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL;
}

/* An option called as an operation is (scale, dropout) is c.options.scale; in a task, which
 * has no operations, it is c.scale. */
static int index_object(lua_State *L)
{
    const mls_lua_c *o = luaL_checkudata(L, 1, OBJECT);
    lua_settop(L, 2);
    if (o->part->c.task ? own_field(L) || method(L) : method(L) || own_field(L))
        return 1;
    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "options") == 0) {
        lua_getiuservalue(L, 1, MLS_C_OPTIONS);
        return 1;
    }
    slip(L);
    lua_pushnil(L);
    return 1;
}

static int set_object(lua_State *L)
{
    const mls_lua_c *o = mls_lua_object(L, "field", 0);
    const char *name = luaL_tolstring(L, 2, NULL);
    lua_pop(L, 1);
    if ((!o->part->c.task && method(L)) || strcmp(name, "options") == 0)
        return mls_lua_raise(L, "c.%s cannot be set: c has a method or field of that name",
                             name);
    if (!o->setup)
        return mls_lua_raise(L, "c.%s can be set in setup only; what lasts from step to step "
                             "is a state (c:state)", name);
    lua_settop(L, 3);
    lua_getiuservalue(L, 1, MLS_C_FIELDS);
    lua_insert(L, 2);
    lua_rawset(L, 2);
    return 0;
}

static int text_object(lua_State *L)
{
    const mls_lua_c *o = luaL_checkudata(L, 1, OBJECT);
    lua_pushfstring(L, "%s.%s%s%s", o->part->c.kind, o->part->c.name, o->c ? " at " : "",
                    o->c ? o->c->path : "");
    return 1;
}

void mls_lua_object_open(lua_State *L)
{
    if (!luaL_newmetatable(L, OBJECT)) {
        lua_pop(L, 1);
        return;
    }
    mls_lua_tensor_open(L);
    lua_newtable(L);                             /* the methods */
    luaL_setfuncs(L, mls_lua_setup_methods, 0);
    luaL_setfuncs(L, mls_lua_forward_methods, 0);
    for (int i = 0; mls_lua_ops[i].name; i++) {
        lua_pushinteger(L, i);
        lua_pushcclosure(L, operation, 1);
        lua_setfield(L, -2, mls_lua_ops[i].name);
    }
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, index_object, 1);
    lua_setfield(L, -3, "__index");
    lua_pushcclosure(L, set_object, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, text_object);
    lua_setfield(L, -2, "__tostring");
    lua_pushstring(L, OBJECT);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

/* ---- making ------------------------------------------------------------------------------------ */

static void push_options(lua_State *L, const mls_lua_part *p, const void *self)
{
    lua_createtable(L, 0, p->n_options);
    for (int i = 0; i < p->n_options; i++) {
        const mls_option *o = &p->c.options[i];
        const void *at = (const char *)self + o->offset;
        const char *s = o->choices;
        switch (o->type) {
        case MLS_REAL: lua_pushnumber(L, *(const double *)at); break;
        case MLS_INT:  lua_pushinteger(L, *(const int64_t *)at); break;
        case MLS_BOOL: lua_pushboolean(L, *(const int *)at); break;
        case MLS_CHOICE:
            for (int k = *(const int *)at; k > 0 && strchr(s, '|'); k--)
                s = strchr(s, '|') + 1;
            lua_pushlstring(L, s, strcspn(s, "|"));
            break;
        case MLS_STRING:
            s = *(const char *const *)at;
            lua_pushstring(L, s ? s : "");
            break;
        default: lua_pushnil(L); break;          /* no declaration in Lua makes one */
        }
        lua_setfield(L, -2, o->name);
    }
}

/* When the network goes, so does the object. */
static void leave(void *arg)
{
    mls_lua_node *n = arg;
    if (!n->part)
        return;
    luaL_unref(n->part->box->L, LUA_REGISTRYINDEX, n->ref);
    *n->link = n->next;
    if (n->next)
        n->next->link = n->link;
}

static int enlist(mls_ctx *c, mls_lua_part *p, void *self, mls_lua_c *o, int ref)
{
    mls_lua_node *n = mls_arena_zalloc(c->network, sizeof *n);
    if (!n || !mls_arena_at_free(c->network, leave, n))
        return 0;
    *n = (mls_lua_node){ p, ref, o, p->node, &p->node };
    if (p->node)
        p->node->link = &n->next;
    p->node = n;
    *mls_lua_node_of(p, self) = n;
    return 1;
}

mls_lua_c *mls_lua_object_new(lua_State *L, mls_ctx *c, mls_lua_part *p, void *self)
{
    mls_lua_object_open(L);
    mls_lua_c *o = lua_newuserdatauv(L, sizeof *o, 3);
    memset(o, 0, sizeof *o);
    *o = (mls_lua_c){ .c = c, .part = p, .self = self, .setup = 1 };
    o->step = mls_lua_step_push(L);
    lua_setiuservalue(L, -2, MLS_C_STEP);
    lua_newtable(L);
    lua_setiuservalue(L, -2, MLS_C_FIELDS);
    push_options(L, p, self);
    lua_setiuservalue(L, -2, MLS_C_OPTIONS);
    luaL_setmetatable(L, OBJECT);
    mls_lua_step_begin(o->step, c);
    o->step->closed = SETUP_ONLY;
    lua_pushvalue(L, -1);
    const int ref = luaL_ref(L, LUA_REGISTRYINDEX);
    if (!enlist(c, p, self, o, ref)) {
        luaL_unref(L, LUA_REGISTRYINDEX, ref);
        luaL_error(L, "no memory");
    }
    return o;
}

/* An operation's error has the node's path in the middle, after the line: once is enough. */
static void without_path(char *text, const char *path)
{
    const size_t n = strlen(path);
    for (char *at = text; n && (at = strstr(at, path)); at++)
        if (strncmp(at + n, ": ", 2) == 0) {
            memmove(at, at + n + 2, strlen(at + n + 2) + 1);
            return;
        }
}

int mls_lua_protected(mls_ctx *c, mls_lua_part *p, lua_CFunction f, void *arg)
{
    lua_State *L = p->box->work;
    mls_error e;
    e.set = 0;
    if (c->error->set)
        return 0;
    if (!lua_checkstack(L, LUA_MINSTACK)) {
        mls_error_set(c->error, "%s: no memory for a call of Lua", c->path);
        return 0;
    }
    lua_pushcfunction(L, f);
    lua_pushlightuserdata(L, arg);
    if (mls_sandbox_call_on(p->box, L, 1, 0, &e))
        return 1;
    without_path(e.text, c->path);
    c->error->set = 0;                           /* what an operation said is in e, placed */
    mls_error_set(c->error, "%s: %s", c->path, e.text);
    return 0;
}
