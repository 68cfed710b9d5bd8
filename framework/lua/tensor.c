/* Tensors as values of Lua: what they are made of, their fields and their life.  The
 * arithmetic is in ops.c.                                                             */
#include "lua/tensor.h"

#include "base/error.h"
#include "grad/tape.h"
#include "lua/convert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char STEP[] = "mls.step", TENSOR[] = "mls.tensor", STATE[] = "mls.state";

typedef enum { STEP_TENSOR, FREE, VIEW } life;

/* User values: 1 the step (step tensors, views), 2 the owner (views). */
typedef struct tensor {
    mls_t         t;
    life          life;
    mls_lua_step *step;
    uint64_t      serial;
    mls_tensor    own;            /* of free tensors and views: what t points to         */
} tensor;

int mls_lua_raise(lua_State *L, const char *fmt, ...)
{
    char text[4000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *place = mls_lua_push_place(L, 0);
    const size_t n = strlen(place);              /* what is told may be placed already    */
    const int placed = n && !strncmp(text, place, n) && text[n] == ':';
    if (placed) lua_pushstring(L, text);
    else lua_pushfstring(L, "%s%s%s", place, n ? ": " : "", text);
    return lua_error(L);
}

/* ---- steps ------------------------------------------------------------------------------ */

mls_lua_step *mls_lua_step_push(lua_State *L)
{
    mls_lua_step *s = lua_newuserdatauv(L, sizeof *s, 1);
    *s = (mls_lua_step){ 0 };
    luaL_setmetatable(L, STEP);
    return s;
}

void mls_lua_step_begin(mls_lua_step *s, mls_ctx *c)
{
    *s = (mls_lua_step){ c, s->serial + 1, NULL, 0 };
}

void mls_lua_step_end(mls_lua_step *s) { mls_lua_step_begin(s, NULL); }

/* ---- making ------------------------------------------------------------------------------ */

void mls_lua_push_tensor(lua_State *L, int step, mls_t t)
{
    step = lua_absindex(L, step);
    mls_lua_step *s = luaL_checkudata(L, step, STEP);
    tensor *x = lua_newuserdatauv(L, sizeof *x, 1);
    *x = (tensor){ .t = t, .life = STEP_TENSOR, .step = s, .serial = s->serial };
    lua_pushvalue(L, step);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, TENSOR);
}

void mls_lua_push_weight(lua_State *L, int step, mls_t t)
{
    mls_lua_push_tensor(L, step, t);
    ((tensor *)lua_touserdata(L, -1))->serial = 0;
}

float *mls_lua_push_free(lua_State *L, int64_t d0, int64_t d1, int64_t d2)
{
    enum { ALIGN = 64 };
    int64_t n = 0;
    if (d0 < 0 || d1 < 0 || d2 < 0 || __builtin_mul_overflow(d0, d1, &n) ||
        __builtin_mul_overflow(n, d2, &n) || n > INT64_MAX / 8)
        mls_lua_raise(L, "a tensor of shape [%lld][%lld][%lld] cannot be made",
                      (long long)d0, (long long)d1, (long long)d2);
    const size_t bytes = (size_t)n * sizeof(float);
    tensor *x = lua_newuserdatauv(L, sizeof *x + ALIGN + bytes, 1);
    const uintptr_t at = ((uintptr_t)(x + 1) + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    *x = (tensor){ .life = FREE, .own = { (float *)at, NULL, { d0, d1, d2, 1 }, n } };
    x->t = &x->own;
    memset(x->own.data, 0, bytes);
    luaL_setmetatable(L, TENSOR);
    return x->own.data;
}

void mls_lua_push_view(lua_State *L, int owner, int step, float *data, float *grad,
                       int64_t d0, int64_t d1, int64_t d2)
{
    owner = lua_absindex(L, owner);
    step = lua_absindex(L, step);
    mls_lua_step *s = luaL_checkudata(L, step, STEP);
    tensor *x = lua_newuserdatauv(L, sizeof *x, 2);
    *x = (tensor){ .life = VIEW, .step = s,
                   .own = { data, grad, { d0, d1, d2, 1 }, d0 * d1 * d2 } };
    x->t = &x->own;
    lua_pushvalue(L, step);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, owner);
    lua_setiuservalue(L, -2, 2);
    luaL_setmetatable(L, TENSOR);
}

/* ---- checking ---------------------------------------------------------------------------- */

/* Serials of steps begin at 1; a weight has 0. */
static int gone(const tensor *x)
{
    if (x->life != STEP_TENSOR)
        return x->life == VIEW && x->step->over;
    return (x->serial && x->serial != x->step->serial) || !x->step->c;
}

static void alive(lua_State *L, const tensor *x)
{
    if (gone(x) && x->life == VIEW)
        mls_lua_raise(L, "this tensor is gone with its net");
    if (gone(x))
        mls_lua_raise(L, "this tensor is gone: it belonged to a step that has ended (a "
                         "forward replaces the one before it; x:copy() keeps numbers)");
}

mls_t mls_lua_check_tensor(lua_State *L, int index, mls_lua_step **step)
{
    const tensor *x = luaL_testudata(L, index, TENSOR);
    if (!x || x->life != STEP_TENSOR)
        mls_lua_raise(L, "expected a tensor of the step in progress, found a %s",
                      x ? "free tensor" : luaL_typename(L, index));
    alive(L, x);
    if (step) *step = x->step;
    return x->t;
}

/* The numbers are copied: those of the free tensor may change or go before backward. */
static mls_t constant(const tensor *x, mls_ctx *c)
{
    mls_tensor *t = mls_tape_tensor(c, x->t->dim[0], x->t->dim[1], x->t->dim[2]);
    if (t->data && x->t->data)
        memcpy(t->data, x->t->data, (size_t)t->count * sizeof(float));
    return t;
}

mls_t mls_lua_step_tensor(lua_State *L, int index, mls_lua_step *s, const char *what)
{
    const tensor *x = luaL_testudata(L, index, TENSOR);
    if (!x)
        mls_lua_raise(L, "%s: expected a tensor, found a %s value", what,
                      luaL_typename(L, index));
    alive(L, x);
    if (x->life == STEP_TENSOR && x->step != s)
        mls_lua_raise(L, "%s: this tensor belongs to the forward of another network; "
                         "x:copy() makes a constant of it", what);
    if (x->life == STEP_TENSOR) return x->t;
    if (x->life == VIEW && x->step == s && x->own.grad)
        return mls_tape_wrap(s->c, x->own.data, x->own.grad, 0, x->t->dim[0],
                             x->t->dim[1], x->t->dim[2]);
    return constant(x, s->c);
}

mls_t mls_lua_readable(lua_State *L, int index)
{
    const tensor *x = luaL_testudata(L, index, TENSOR);
    if (!x) return NULL;
    alive(L, x);
    if (x->t->count && !x->t->data)
        mls_lua_raise(L, "this tensor has a shape but no numbers: only shapes are being "
                         "worked out");
    if (x->life == STEP_TENSOR && x->t->grad && x->t->grad == x->t->data)
        mls_lua_raise(L, "the numbers of this tensor are gone: backward put their "
                         "gradient in their place; read them before");
    return x->t;
}

mls_t mls_lua_writable(lua_State *L, int index)
{
    const tensor *x = luaL_testudata(L, index, TENSOR);
    if (!x || x->life == STEP_TENSOR) return NULL;
    alive(L, x);
    return x->t->data || !x->t->count ? x->t : NULL;
}

mls_lua_step *mls_lua_push_step_of(lua_State *L, int index)
{
    const tensor *x = luaL_testudata(L, index, TENSOR);
    if (!x || x->life == FREE || (x->life == VIEW && !x->step->c)) return NULL;
    alive(L, x);
    lua_getiuservalue(L, index, 1);
    return x->step;
}

/* ---- reading ----------------------------------------------------------------------------- */

static mls_t self(lua_State *L)
{
    mls_t t = mls_lua_readable(L, 1);
    if (!t)
        mls_lua_raise(L, "expected a tensor before the colon, found a %s value",
                      luaL_typename(L, 1));
    return t;
}

static void push_level(lua_State *L, mls_t t, int level, const float **at)
{
    if (level == 3) {
        lua_pushnumber(L, (lua_Number) * (*at)++);
        return;
    }
    const int64_t n = t->dim[level];
    luaL_checkstack(L, 4, NULL);
    lua_createtable(L, n < 1 << 24 ? (int)n : 0, 0);
    for (int64_t i = 0; i < n; i++) {
        push_level(L, t, level + 1, at);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static int to_table(lua_State *L)
{
    mls_t t = self(L);
    const float *at = t->data;
    push_level(L, t, 0, &at);
    return 1;
}

static int item(lua_State *L)
{
    mls_t t = self(L);
    if (t->count != 1)
        mls_lua_raise(L, "item() is for a tensor of one number; this one is "
                         "[%lld][%lld][%lld]", (long long)t->dim[0], (long long)t->dim[1],
                      (long long)t->dim[2]);
    lua_pushnumber(L, (lua_Number)t->data[0]);
    return 1;
}

static int64_t offset(lua_State *L, mls_t t)
{
    static const char *const axis[] = { "step", "sample", "feature" };
    int64_t at = 0;
    for (int i = 0; i < 3; i++) {
        const int64_t k = luaL_checkinteger(L, i + 2);
        if (k < 0 || k >= t->dim[i])
            mls_lua_raise(L, "%s %lld of a tensor [%lld][%lld][%lld] (indices count from 0)",
                          axis[i], (long long)k, (long long)t->dim[0],
                          (long long)t->dim[1], (long long)t->dim[2]);
        at = at * t->dim[i] + k;
    }
    return at;
}

static int get(lua_State *L)
{
    mls_t t = self(L);
    lua_pushnumber(L, (lua_Number)t->data[offset(L, t)]);
    return 1;
}

static int copy(lua_State *L)
{
    mls_t t = self(L);
    float *to = mls_lua_push_free(L, t->dim[0], t->dim[1], t->dim[2]);
    if (t->count) memcpy(to, t->data, (size_t)t->count * sizeof *to);
    return 1;
}

static int text(lua_State *L)
{
    enum { SHOWN = 6 };
    const tensor *x = luaL_checkudata(L, 1, TENSOR);
    luaL_Buffer b;
    char part[80];
    if (gone(x)) {
        lua_pushliteral(L, "tensor (gone with its step)");
        return 1;
    }
    luaL_buffinit(L, &b);
    snprintf(part, sizeof part, "tensor [%lld][%lld][%lld]", (long long)x->t->dim[0],
             (long long)x->t->dim[1], (long long)x->t->dim[2]);
    luaL_addstring(&b, part);
    const int shown = x->t->data && x->t->data != x->t->grad;
    for (int64_t i = 0; shown && i < x->t->count && i < SHOWN; i++) {
        snprintf(part, sizeof part, " %.6g", (double)x->t->data[i]);
        luaL_addstring(&b, part);
    }
    if (shown && x->t->count > SHOWN) luaL_addstring(&b, " ...");
    luaL_pushresult(&b);
    return 1;
}

static int length(lua_State *L)
{
    const tensor *x = luaL_checkudata(L, 1, TENSOR);
    alive(L, x);
    lua_pushinteger(L, (lua_Integer)x->t->dim[0]);
    return 1;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Numbers of a table nested anyhow, in order. */
static int64_t gather(lua_State *L, int index, float *to, int64_t room, int64_t n, int depth)
{
    index = lua_absindex(L, index);
    if (depth > 8) mls_lua_raise(L, "the table of numbers is nested more than 8 deep");
    luaL_checkstack(L, 4, NULL);
    const lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= count; i++) {
        const int type = lua_rawgeti(L, index, i);
        if (type == LUA_TTABLE) {
            n = gather(L, -1, to, room, n, depth + 1);
        } else if (type == LUA_TNUMBER) {
            if (n < room) to[n] = (float)lua_tonumber(L, -1);
            n++;
        } else {
            mls_lua_raise(L, "a table of numbers holds a %s value", luaL_typename(L, -1));
        }
        lua_pop(L, 1);
    }
    return n;
}

/* x:set(number), x:set(tensor of the same shape), x:set{...} as many numbers. */
static int set(lua_State *L)
{
    mls_t t = mls_lua_writable(L, 1);
    if (!t)
        mls_lua_raise(L, "set() is for free tensors and weights; what a forward has made "
                         "cannot be written");
    if (lua_type(L, 2) == LUA_TNUMBER) {
        for (int64_t i = 0; i < t->count; i++) t->data[i] = (float)lua_tonumber(L, 2);
    } else if (lua_istable(L, 2)) {
        float *new = mls_lua_push_free(L, t->dim[0], t->dim[1], t->dim[2]);
        const int64_t n = gather(L, 2, new, t->count, 0, 0);
        if (n != t->count)
            mls_lua_raise(L, "set(): the table holds %lld numbers, the tensor "
                             "[%lld][%lld][%lld] wants %lld", (long long)n,
                          (long long)t->dim[0], (long long)t->dim[1],
                          (long long)t->dim[2], (long long)t->count);
        if (n) memcpy(t->data, new, (size_t)n * sizeof *new);
    } else {
        mls_t from = mls_lua_readable(L, 2);
        if (!from)
            mls_lua_raise(L, "set(): expected a number, a table or a tensor, found a %s "
                             "value", luaL_typename(L, 2));
        if (memcmp(from->dim, t->dim, sizeof t->dim))
            mls_lua_raise(L, "set(): the tensor is [%lld][%lld][%lld], the values are "
                             "[%lld][%lld][%lld]", (long long)t->dim[0],
                          (long long)t->dim[1], (long long)t->dim[2],
                          (long long)from->dim[0], (long long)from->dim[1],
                          (long long)from->dim[2]);
        if (t->count) memmove(t->data, from->data, (size_t)t->count * sizeof(float));
    }
    lua_settop(L, 1);
    return 1;
}

/* ---- fields ------------------------------------------------------------------------------ */

static void no_field(lua_State *L)
{
    enum { MOST = 128 };
    const char *names[MOST] = { "shape" }, *word = luaL_tolstring(L, 2, NULL);
    int n = 1;
    for (lua_pushnil(L); n < MOST && lua_next(L, lua_upvalueindex(1)); lua_pop(L, 1))
        names[n++] = lua_tostring(L, -2);        /* the table keeps them alive */
    const char *near = mls_error_nearest(word, names, n);
    mls_lua_raise(L, "a tensor has no '%s'%s%s%s", word, near ? "; did you mean '" : "",
                  near ? near : "", near ? "'?" : "");
}

static int field(lua_State *L)
{
    const tensor *x = luaL_checkudata(L, 1, TENSOR);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "shape") != 0) no_field(L);
    alive(L, x);
    lua_createtable(L, 3, 0);
    for (int i = 0; i < 3; i++) {
        lua_pushinteger(L, (lua_Integer)x->t->dim[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int closed_index(lua_State *L)
{
    return mls_lua_raise(L, "this value is passed on as it is; it has no fields");
}

/* ---- states of components ------------------------------------------------------------------ */

void mls_lua_push_state(lua_State *L, mls_state *s)
{
    mls_state **p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = s;
    luaL_setmetatable(L, STATE);
}

mls_state *mls_lua_check_state(lua_State *L, int index)
{
    mls_state **p = luaL_testudata(L, index, STATE);
    if (!p)
        mls_lua_raise(L, "expected a state, as c:state(...) gives, found a %s value",
                      luaL_typename(L, index));
    return *p;
}

/* ---- the metatables ------------------------------------------------------------------------ */

static void protect(lua_State *L, const char *name)
{
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
}

void mls_lua_tensor_open(lua_State *L)
{
    static const luaL_Reg methods[] = { { "totable", to_table }, { "item", item },
        { "get", get }, { "copy", copy }, { "set", set }, { NULL, NULL } };
    static const luaL_Reg meta[] = { { "__tostring", text }, { "__len", length },
                                     { NULL, NULL } };
    static const char *const opaque[] = { STEP, STATE };
    for (int i = 0; i < 2; i++) {
        if (luaL_newmetatable(L, opaque[i])) {
            protect(L, opaque[i]);
            lua_pushcfunction(L, closed_index);
            lua_setfield(L, -2, "__index");
        }
        lua_pop(L, 1);
    }
    if (luaL_newmetatable(L, TENSOR)) {
        luaL_setfuncs(L, meta, 0);
        mls_lua_ops_meta(L);
        protect(L, TENSOR);
        lua_newtable(L);
        luaL_setfuncs(L, mls_lua_ops, 0);
        luaL_setfuncs(L, methods, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, "mls.tensor.methods");
        lua_pushcclosure(L, field, 1);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}
