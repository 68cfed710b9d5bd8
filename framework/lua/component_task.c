/* Tasks written in Lua: where samples come from.
 *
 *   setup = function (c) return { steps =, vocabulary = | input =, output =, loss =, ... } end
 *   count = function (c, split) return samples of "training", "validation", "test" end
 *   fill  = function (c, split, index, random) return { token =, x =, dt =, label =, target = }
 *
 * c has the options and what setup set in it.  A sample is a pure function of split, index
 * and random, which draws from the sample's own stream. */
#include "lua/part.h"

#include "base/philox.h"
#include "train/metrics.h"

#include <math.h>
#include <string.h>

static const char *const splits[] = { "training", "validation", "test" };

/* ---- open --------------------------------------------------------------------------------- */

typedef struct opening {
    mls_ctx        *c;
    mls_lua_part   *part;
    void           *self;
    mls_task_shape *shape;
    mls_lua_c      *made;
    mls_lua_counts *counts;
} opening;

static const char *const shape_names[] = { "steps", "vocabulary", "input", "output", "loss",
                                           "per_step", "has_mask", "has_dt" };
enum { SHAPE_NAMES = sizeof shape_names / sizeof *shape_names };

static int64_t whole(lua_State *L, const mls_lua_part *p, const char *name)
{
    int is = 1;
    const int type = lua_getfield(L, -1, name);
    const lua_Integer x = type == LUA_TNIL ? 0 : lua_tointegerx(L, -1, &is);
    if (!is || (type != LUA_TNIL && type != LUA_TNUMBER))
        luaL_error(L, "%s: the shape that setup returned: %s is %s, expected a whole number",
                   p->place, name, luaL_tolstring(L, -1, NULL));
    lua_pop(L, 1);
    return x;
}

static int flag(lua_State *L, const char *name)
{
    lua_getfield(L, -1, name);
    const int on = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

/* The shape, which lies on top of the stack. */
static void read_shape(lua_State *L, const mls_lua_part *p, mls_task_shape *s)
{
    if (!lua_istable(L, -1))
        luaL_error(L, "%s: setup of a task returns its shape, as { steps = 20, vocabulary = 8, "
                   "output = 8, per_step = true }; found a %s value", p->place,
                   luaL_typename(L, -1));
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        int known = 0;
        for (int i = 0; i < SHAPE_NAMES; i++)
            known |= strcmp(key, shape_names[i]) == 0;
        const char *near = known ? NULL : mls_error_nearest(key, shape_names, SHAPE_NAMES);
        if (!known)
            luaL_error(L, "%s: the shape that setup returned has a field '%s'%s%s%s", p->place,
                       key, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    *s = (mls_task_shape){ .steps = whole(L, p, "steps"),
                           .vocabulary = whole(L, p, "vocabulary"),
                           .input = whole(L, p, "input"), .output = whole(L, p, "output"),
                           .per_step = flag(L, "per_step"), .has_mask = flag(L, "has_mask"),
                           .has_dt = flag(L, "has_dt") };
    lua_getfield(L, -1, "loss");
    const char *loss = lua_isnil(L, -1) ? "cross_entropy" : luaL_tolstring(L, -1, NULL);
    s->loss = mls_loss_find(loss);
    if (s->loss < 0)
        luaL_error(L, "%s: the shape that setup returned: loss is '%s', expected "
                   "'cross_entropy', 'mse', 'mae' or 'binary'", p->place, loss);
}

static int run_open(lua_State *L)
{
    opening *k = lua_touserdata(L, 1);
    mls_lua_part *p = k->part;
    k->made = mls_lua_object_new(L, k->c, p, k->self);
    lua_rawgeti(L, LUA_REGISTRYINDEX, p->setup);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    read_shape(L, p, k->shape);
    for (int i = 0; i < 3; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, p->count);
        lua_pushvalue(L, 2);
        lua_pushstring(L, splits[i]);
        lua_call(L, 2, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0)
            luaL_error(L, "%s: count of task.%s returned %s for '%s'; expected a whole number",
                       p->place, p->c.name, luaL_tolstring(L, -1, NULL), splits[i]);
        k->counts->n[i] = lua_tointeger(L, -1);
    }
    return 0;
}

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    mls_lua_part *p = (mls_lua_part *)(void *)(uintptr_t)c->component;
    opening k = { c, p, self, shape, NULL, self };
    mls_lua_protected(c, p, run_open, &k);
    if (!k.made)
        return;
    mls_lua_step_end(k.made->step);
    k.made->c = NULL;
    k.made->setup = 0;
    k.made->shape = *shape;
}

/* ---- random numbers --------------------------------------------------------------------- */

/* Upvalues: key, how many were drawn.  random(): [0, 1); random(n): 1 to n; random(m, n);
 * random "normal": N(0, 1). */
static int draw(lua_State *L)
{
    const uint64_t key = (uint64_t)lua_tointeger(L, lua_upvalueindex(1));
    const lua_Integer n = lua_tointeger(L, lua_upvalueindex(2));
    uint32_t u[4];
    lua_pushinteger(L, n + 1);
    lua_replace(L, lua_upvalueindex(2));
    mls_plug_host()->philox(key, (uint64_t)n, u);
    const uint64_t bits = (uint64_t)u[0] << 32 | u[1];
    if (lua_type(L, 1) == LUA_TSTRING) {
        if (strcmp(lua_tostring(L, 1), "normal"))
            mls_lua_raise(L, "random(\"%s\"): there is only \"normal\"", lua_tostring(L, 1));
        const double r = sqrt(-2.0 * log(mls_philox_unit(u[2])));
        lua_pushnumber(L, r * cos(6.283185307179586 * mls_philox_unit(u[3])));
        return 1;
    }
    if (lua_isnone(L, 1)) {
        lua_pushnumber(L, (double)(bits >> 11) * 0x1p-53);
        return 1;
    }
    const lua_Integer low = lua_isnone(L, 2) ? 1 : luaL_checkinteger(L, 1);
    const lua_Integer high = luaL_checkinteger(L, lua_isnone(L, 2) ? 1 : 2);
    if (low > high || (lua_Unsigned)high - (lua_Unsigned)low >= UINT32_MAX)
        mls_lua_raise(L, "random: there is no whole number from %lld to %lld to draw",
                      (long long)low, (long long)high);
    const uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    lua_pushinteger(L, low + (lua_Integer)((bits >> 32) * span >> 32));
    return 1;
}

/* ---- fill --------------------------------------------------------------------------------- */

typedef struct filling {
    mls_ctx      *c;
    mls_lua_part *part;
    mls_lua_c    *o;
    int           split;
    int64_t       index;
    uint64_t      key;
    mls_sample   *s;
} filling;

/* Where the numbers of a field go: one of the two is not NULL. */
typedef struct sink { const char *name; float *real; int32_t *whole; int64_t room, n; } sink;

static void wrong(lua_State *L, const filling *k, const char *text)
{
    lua_pushfstring(L, "%s: fill: sample %I of %s: %s", k->part->where,
                    (LUAI_UACINT)k->index, splits[k->split], text);
    lua_error(L);
}

static void put(lua_State *L, const filling *k, sink *to, int index)
{
    int is = 1;
    if (to->n >= to->room)
        wrong(L, k, lua_pushfstring(L, "'%s' holds more than %I numbers", to->name,
                                    (LUAI_UACINT)to->room));
    if (to->whole)
        to->whole[to->n++] = (int32_t)lua_tointegerx(L, index, &is);
    else
        to->real[to->n++] = (float)lua_tonumber(L, index);
    if (!is)
        wrong(L, k, lua_pushfstring(L, "'%s' holds %s, expected whole numbers", to->name,
                                    luaL_tolstring(L, index, NULL)));
}

/* Numbers of tables nested anyhow, in order; or one number. */
static void gather(lua_State *L, const filling *k, sink *to, int index, int depth)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    const int type = lua_type(L, index);
    if (type == LUA_TNUMBER) {
        put(L, k, to, index);
    } else if (type == LUA_TTABLE && depth < 4) {
        const lua_Integer n = (lua_Integer)lua_rawlen(L, index);
        for (lua_Integer i = 1; i <= n; i++) {
            lua_rawgeti(L, index, i);
            gather(L, k, to, lua_gettop(L), depth + 1);
            lua_pop(L, 1);
        }
    } else {
        wrong(L, k, lua_pushfstring(L, "'%s' holds a %s value, expected numbers", to->name,
                                    luaL_typename(L, index)));
    }
}

/* Field of the table at 5; returns how many numbers it had. */
static int64_t take(lua_State *L, const filling *k, sink to, int needed)
{
    if (lua_getfield(L, 5, to.name) == LUA_TNIL) {
        if (needed)
            wrong(L, k, lua_pushfstring(L, "there is no field '%s'", to.name));
        return 0;
    }
    gather(L, k, &to, lua_gettop(L), 0);
    lua_pop(L, 1);
    return to.n;
}

static void exactly(lua_State *L, const filling *k, const char *name, int64_t got,
                    int64_t want)
{
    if (got != want)
        wrong(L, k, lua_pushfstring(L, "'%s' holds %I numbers, expected %I", name,
                                    (LUAI_UACINT)got, (LUAI_UACINT)want));
}

static void within(lua_State *L, const filling *k, const char *name, const int32_t *x,
                   int64_t n, int64_t least, int64_t most)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] < least || x[i] > most)
            wrong(L, k, lua_pushfstring(L, "'%s' holds %d; expected %I to %I", name,
                                        (int)x[i], (LUAI_UACINT)least, (LUAI_UACINT)most));
}

static void check_fields(lua_State *L, const filling *k)
{
    static const char *const names[] = { "token", "x", "dt", "label", "target" };
    for (lua_pushnil(L); lua_next(L, 5); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        int known = 0;
        for (int i = 0; i < 5; i++)
            known |= strcmp(key, names[i]) == 0;
        if (!known)
            wrong(L, k, lua_pushfstring(L, "there is no field '%s' (there are token, x, dt, "
                                        "label, target)", key));
    }
}

static int run_fill(lua_State *L)
{
    const filling *k = lua_touserdata(L, 1);
    const mls_task_shape *h = &k->o->shape;
    lua_rawgeti(L, LUA_REGISTRYINDEX, k->part->fill);
    lua_rawgeti(L, LUA_REGISTRYINDEX, (*mls_lua_node_of(k->part, k->o->self))->ref);
    lua_pushstring(L, splits[k->split]);
    lua_pushinteger(L, k->index);
    lua_pushinteger(L, (lua_Integer)k->key);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, draw, 2);
    lua_call(L, 4, 1);
    lua_settop(L, 2);
    lua_insert(L, 1);                            /* the sample comes to 5 */
    lua_settop(L, 4);
    lua_pushvalue(L, 1);
    if (!lua_istable(L, 5))
        wrong(L, k, lua_pushfstring(L, "returned a %s value, expected a table",
                                    luaL_typename(L, 5)));
    check_fields(L, k);
    const int tokens = h->vocabulary > 0;
    const sink in = { tokens ? "token" : "x", tokens ? NULL : k->s->x,
                      tokens ? k->s->token : NULL, tokens ? h->steps : h->steps * h->input, 0 };
    const int64_t got = take(L, k, in, 1), wide = tokens ? 1 : h->input;
    if (got % wide)
        wrong(L, k, lua_pushfstring(L, "'x' holds %I numbers, no multiple of %I",
                                    (LUAI_UACINT)got, (LUAI_UACINT)wide));
    k->s->steps = got / wide;
    if (tokens)
        within(L, k, "token", k->s->token, got, 0, h->vocabulary - 1);
    if (h->has_dt)
        exactly(L, k, "dt", take(L, k, (sink){ "dt", k->s->dt, NULL, h->steps, 0 }, 1),
                k->s->steps);
    const int64_t scored = h->per_step ? k->s->steps : 1;
    if (h->loss == MLS_CROSS_ENTROPY) {
        exactly(L, k, "label", take(L, k, (sink){ "label", NULL, k->s->label, scored, 0 }, 1),
                scored);
        within(L, k, "label", k->s->label, scored, -1, h->output - 1);
    } else {
        exactly(L, k, "target", take(L, k, (sink){ "target", k->s->target, NULL,
                                                   scored * h->output, 0 }, 1),
                scored * h->output);
    }
    return 0;
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    mls_lua_part *p = (mls_lua_part *)(void *)(uintptr_t)c->component;
    const mls_lua_node *n = *mls_lua_node_of(p, self);
    if (!n || !n->object)
        return;
    filling k = { c, p, n->object, split, index, key, s };
    k.o->c = c;
    mls_lua_protected(c, p, run_fill, &k);
    k.o->c = NULL;
}

/* No context comes with it: the counts are the first thing in self. */
static int64_t count(const void *self, int split)
{
    return ((const mls_lua_counts *)self)->n[split];
}

void mls_lua_task(mls_task *t)
{
    *t = (mls_task){ .size = sizeof *t, .open = open_task, .count = count, .fill = fill };
}
