/* Data of a task as batches, in the order in which mls train sees them. */
#include "lua/model.h"

#include "lua/convert.h"
#include "lua/sandbox.h"

#include <string.h>

const char mls_lua_data_name[] = "mls.data";

mls_lua_data *mls_lua_check_data(lua_State *L, int index)
{
    mls_lua_data *d = luaL_testudata(L, index, mls_lua_data_name);
    if (!d || !d->feed)
        mls_lua_raise(L, "expected data, as mls.open gives, found a %s value",
                      luaL_typename(L, index));
    return d;
}

static int collect(lua_State *L)
{
    mls_lua_data *d = lua_touserdata(L, 1);
    mls_stage_free(d->stage);
    if (d->owned) mls_feed_free(d->feed);
    mls_arena_free(&d->arena);
    *d = (mls_lua_data){ 0 };
    return 0;
}

/* open(task [, { seed = }]) */
static int open_task(lua_State *L)
{
    static const char *const names[] = { "seed", NULL };
    lua_settop(L, 2);
    if (!lua_istable(L, 1))
        return mls_lua_raise(L, "mls.open: expected what mls.task.<name> {...} gives, found "
                                "a %s value", luaL_typename(L, 1));
    lua_Integer seed = 1;
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        mls_lua_only(L, 2, names, "mls.open");
        lua_getfield(L, 2, "seed");
        seed = luaL_optinteger(L, -1, 1);
    }
    mls_lua_data *d = lua_newuserdatauv(L, sizeof *d, 1);
    memset(d, 0, sizeof *d);
    luaL_setmetatable(L, mls_lua_data_name);
    mls_error e = { 0 };
    d->spec = mls_lua_to_value(L, 1, &d->arena, "task", 0, &e);
    d->seed = (uint64_t)seed;
    d->owned = 1;
    if (!e.set) d->feed = mls_feed_open(mls_sandbox_of(L)->registry, d->spec, d->seed, &e);
    return e.set ? mls_lua_raise_error(L, &e, NULL) : 1;
}

/* ---- batches --------------------------------------------------------------------------------- */

static int split_of(lua_State *L, const char *word)
{
    static const char *const names[] = { "training", "validation", "test" };
    for (int i = 0; i < 3; i++)
        if (!strcmp(word, names[i])) return i;
    return mls_lua_raise(L, "there is no split '%s'; expected training, validation or test",
                         word);
}

static int64_t whole(lua_State *L, const char *name, int64_t def)
{
    int fits = 1;
    lua_getfield(L, 2, name);
    const int64_t v = lua_isnil(L, -1) ? def : lua_tointegerx(L, -1, &fits);
    if (!fits)
        mls_lua_raise(L, "data:batch: %s is a %s value, expected a whole number", name,
                      luaL_typename(L, -1));
    lua_pop(L, 1);
    return v;
}

static void stage_for(lua_State *L, mls_lua_data *d, int64_t batch)
{
    mls_error e = { 0 };
    if (d->stage && d->batch == batch) return;
    mls_stage_free(d->stage);
    d->stage = mls_stage_new(d->feed, batch, &e);
    d->batch = batch;
    if (e.set) mls_lua_raise(L, "data:batch: %s", e.text);
}

static void put_reals(lua_State *L, const char *name, const float *x, int64_t d0, int64_t d1,
                      int64_t d2)
{
    if (!x) return;
    float *to = mls_lua_push_free(L, d0, d1, d2);
    memcpy(to, x, (size_t)(d0 * d1 * d2) * sizeof *to);
    lua_setfield(L, -2, name);
}

static void put_ints(lua_State *L, const char *name, const int32_t *x, int64_t d0, int64_t d1)
{
    if (!x) return;
    float *to = mls_lua_push_free(L, d0, d1, 1);
    for (int64_t i = 0; i < d0 * d1; i++) to[i] = (float)x[i];
    lua_setfield(L, -2, name);
}

/* 64 bits each: a tensor could not hold them. */
static void put_keys(lua_State *L, const uint64_t *key, int64_t n)
{
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushinteger(L, (lua_Integer)key[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "key");
}

/* data:batch { index = i, batch = 8, split = "training", epoch =, carry = } with index from
 * 0; past the end of an epoch the next one begins, unless epoch is given.                 */
static int batch(lua_State *L)
{
    static const char *const names[] = { "index", "batch", "split", "epoch", "carry", NULL };
    mls_lua_data *d = mls_lua_check_data(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    mls_lua_only(L, 2, names, "data:batch");
    if (d->busy)
        return mls_lua_raise(L, "data:batch: a task cannot ask for batches of itself while it "
                                "makes one");
    lua_getfield(L, 2, "split");
    const int split = split_of(L, luaL_optstring(L, -1, "training"));
    lua_getfield(L, 2, "carry");
    const int carry = lua_toboolean(L, -1);
    int64_t index = whole(L, "index", 0), epoch = whole(L, "epoch", -1);
    const int64_t size = whole(L, "batch", 8);
    if (size < 1) return mls_lua_raise(L, "data:batch: a batch of %lld samples",
                                       (long long)size);
    stage_for(L, d, size);
    const int64_t all = mls_feed_batches(d->feed, split, size);
    if (split == MLS_TRAINING && epoch < 0 && all > 0 && index >= 0) {
        epoch = index / all;
        index %= all;
    }
    mls_error e = { 0 };
    d->busy = 1;
    const mls_batch *b = split == MLS_TRAINING
        ? mls_stage_train(d->stage, epoch < 0 ? 0 : epoch, index, carry, &e)
        : mls_stage_eval(d->stage, split, index, &e);
    d->busy = 0;
    if (!b) return mls_lua_raise(L, "%s", e.text);
    const mls_task_shape *s = mls_feed_shape(d->feed);
    const int64_t T = b->steps, B = b->batch, scored = s->per_step ? T : 1;
    lua_createtable(L, 0, 7);
    put_ints(L, "token", b->token, T, B);
    put_reals(L, "x", b->x, T, B, s->input);
    put_reals(L, "mask", b->mask, T, B, 1);
    put_reals(L, "dt", b->dt, T, B, 1);
    put_ints(L, "label", b->label, scored, B);
    put_reals(L, "target", b->target, scored, B, s->output);
    put_keys(L, b->key, B);
    return 1;
}

/* data:batches(split, batch): how many an epoch has */
static int batches(lua_State *L)
{
    const mls_lua_data *d = mls_lua_check_data(L, 1);
    const int split = split_of(L, luaL_optstring(L, 2, "training"));
    const lua_Integer size = luaL_optinteger(L, 3, 8);
    if (size < 1) return mls_lua_raise(L, "data:batches: a batch of %lld samples",
                                       (long long)size);
    lua_pushinteger(L, (lua_Integer)mls_feed_batches(d->feed, split, size));
    return 1;
}

static int shape(lua_State *L)
{
    const mls_lua_data *d = mls_lua_check_data(L, 1);
    mls_arena a = { 0 };
    mls_lua_push_value(L, mls_lua_shape_value(&a, mls_feed_shape(d->feed)));
    mls_arena_free(&a);
    return 1;
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* data:encode("text") -> { token, ... } */
static int encode(lua_State *L)
{
    const mls_lua_data *d = mls_lua_check_data(L, 1);
    const char *text = luaL_checkstring(L, 2);
    const void *self;
    const mls_task *task = mls_feed_task(d->feed, &self);
    if (!task->token) return mls_lua_raise(L, "data:encode: this task has no text");
    lua_newtable(L);
    for (lua_Integer i = 1; *text; i++) {
        int used = 0;
        const int32_t token = task->token(self, text, &used);
        if (token < 0 || used < 1)
            return mls_lua_raise(L, "data:encode: \"%.20s\" does not occur in the text",
                                 text);
        lua_pushinteger(L, token);
        lua_rawseti(L, -2, i);
        text += used;
    }
    return 1;
}

/* data:decode{ token, ... } -> text */
static int decode(lua_State *L)
{
    const mls_lua_data *d = mls_lua_check_data(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    const void *self;
    const mls_task *task = mls_feed_task(d->feed, &self);
    if (!task->spell) return mls_lua_raise(L, "data:decode: this task has no text");
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, 2); i++) {
        lua_rawgeti(L, 2, i);
        const lua_Integer token = lua_tointeger(L, -1);
        lua_pop(L, 1);
        const char *s = token >= 0 && token < mls_feed_shape(d->feed)->vocabulary
                            ? task->spell(self, (int32_t)token) : NULL;
        if (!s) return mls_lua_raise(L, "data:decode: %lld is no token",
                                     (long long)token);
        luaL_addstring(&b, s);
    }
    luaL_pushresult(&b);
    return 1;
}

void mls_lua_open_data(lua_State *L)
{
    static const luaL_Reg functions[] = { { "open", open_task }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "batch", batch }, { "batches", batches },
        { "shape", shape }, { "encode", encode }, { "decode", decode }, { NULL, NULL } };
    luaL_newmetatable(L, mls_lua_data_name);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, mls_lua_data_name);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
