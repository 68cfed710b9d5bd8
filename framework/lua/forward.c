/* net:forward: a batch and states in, the output and the new states out. */
#include "lua/model.h"

#include "base/philox.h"

#include <stdio.h>
#include <string.h>

/* ---- the batch ------------------------------------------------------------------------------- */

static const int32_t *tokens(lua_State *L, mls_lua_net *n, const float *x, int64_t count)
{
    int32_t *t = mls_arena_alloc(&n->input, (size_t)(count + 1) * sizeof *t);
    if (!t) mls_lua_raise(L, "out of memory for a batch");
    for (int64_t i = 0; i < count; i++) {
        if (!(x[i] >= 0.0f && x[i] < 16777216.0f) || x[i] != (float)(int32_t)x[i])
            mls_lua_raise(L, "x: token %g is no whole number from 0 to %lld", (double)x[i],
                          (long long)mls_net_shape(n->net)->vocabulary - 1);
        t[i] = (int32_t)x[i];
    }
    return t;
}

static void read_input(lua_State *L, mls_lua_net *n, int index)
{
    const mls_task_shape *s = mls_net_shape(n->net);
    mls_batch *b = &n->batch;
    int64_t dim[3];
    int rank;
    const float *x = mls_lua_numbers(L, index, "x", &n->input, dim, &rank);
    const int64_t width = s->vocabulary ? 1 : s->input;
    int fits = rank == 3 && dim[2] == width;
    if (rank == 2 && s->vocabulary) fits = 1;                     /* [T][B]  */
    if (rank == 2 && !s->vocabulary && dim[1] == width) {         /* [T][features] */
        dim[1] = 1;
        fits = 1;
    }
    if (rank == 1 && width == 1) fits = 1;                        /* [T]     */
    if (!fits || dim[0] < 1 || dim[1] < 1) {
        char found[80], want[80] = " of tokens";
        snprintf(found, sizeof found, rank == 3 ? "[%lld][%lld][%lld]" : rank == 2
                 ? "[%lld][%lld]" : "[%lld]", (long long)dim[0], (long long)dim[1],
                 (long long)dim[2]);
        if (!s->vocabulary) snprintf(want, sizeof want, "[%lld]", (long long)s->input);
        mls_lua_raise(L, "x is %s; this network wants [steps][samples]%s", found, want);
    }
    *b = (mls_batch){ .steps = dim[0], .batch = dim[1] };
    if (s->vocabulary) b->token = tokens(L, n, x, dim[0] * dim[1]);
    else b->x = x;
}

/* Without metamethods: they could run this very net in between. */
static int field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    return lua_rawget(L, index);
}

/* mask and dt: [T][B], in the table at index; or NULL. */
static const float *service(lua_State *L, mls_lua_net *n, int index, const char *name)
{
    if (!lua_istable(L, index)) return NULL;
    int64_t dim[3];
    const float *x = NULL;
    if (field(L, index, name) != LUA_TNIL) {
        x = mls_lua_numbers(L, -1, name, &n->input, dim, NULL);
        if (dim[0] * dim[1] * dim[2] != n->batch.steps * n->batch.batch ||
            dim[0] != n->batch.steps)
            mls_lua_raise(L, "%s is [%lld][%lld][%lld], expected [%lld][%lld] as x", name,
                          (long long)dim[0], (long long)dim[1], (long long)dim[2],
                          (long long)n->batch.steps, (long long)n->batch.batch);
    }
    lua_pop(L, 1);
    return x;
}

/* key: the keys of the samples' noise, in the table at index; or NULL. */
static const uint64_t *keys(lua_State *L, mls_lua_net *n, int index)
{
    if (!lua_istable(L, index)) return NULL;
    const int64_t B = n->batch.batch;
    uint64_t *key = NULL;
    if (field(L, index, "key") != LUA_TNIL) {
        if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != B)
            mls_lua_raise(L, "key is a %s value of %lld, expected a list of %lld whole numbers, "
                          "one a sample", luaL_typename(L, -1), (long long)lua_rawlen(L, -1),
                          (long long)B);
        key = mls_arena_alloc(&n->input, (size_t)B * sizeof *key);
        if (!key) mls_lua_raise(L, "out of memory for a batch");
        for (int64_t i = 0; i < B; i++) {
            int fits;
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            key[i] = (uint64_t)lua_tointegerx(L, -1, &fits);
            if (!fits)
                mls_lua_raise(L, "key[%lld] is a %s value, expected a whole number",
                              (long long)i + 1, luaL_typename(L, -1));
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    return key;
}

static int option(lua_State *L, const char *name, int def)
{
    if (lua_isnil(L, 4)) return def;
    const int type = field(L, 4, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        mls_lua_raise(L, "net:forward: %s is a %s value, expected true or false", name,
                      luaL_typename(L, -1));
    const int on = type == LUA_TNIL ? def : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

mls_run *mls_lua_run_for(lua_State *L, mls_lua_net *n, int64_t batch, unsigned flags)
{
    mls_error e = { 0 };
    mls_lua_run r = { batch, flags, NULL };
    int at = 0;
    while (at < n->n_runs && (n->run[at].batch != batch || n->run[at].flags != flags)) at++;
    if (at < n->n_runs) {
        r = n->run[at];
    } else {
        r.run = mls_run_new(n->net, batch, flags, &e);
        if (!r.run) mls_lua_raise(L, "%s", e.text);
        if (n->n_runs < MLS_LUA_RUNS) n->n_runs++;
        else mls_run_free(n->run[--at].run);
    }
    memmove(n->run + 1, n->run, (size_t)at * sizeof *n->run);
    n->run[0] = r;
    return r.run;
}

/* ---- states ------------------------------------------------------------------------------------ */

static int no_state(lua_State *L)
{
    enum { MOST = 512 };
    const char *names[MOST], *word = luaL_tolstring(L, 2, NULL);
    int n = 0;
    for (lua_pushnil(L); n < MOST && lua_next(L, 1); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING) names[n++] = lua_tostring(L, -2);
    const char *near = mls_error_nearest(word, names, n);
    return mls_lua_raise(L, "there is no state '%s'%s%s%s", word,
                         near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void push_states(lua_State *L, mls_run *run, int64_t batch)
{
    const int n = mls_run_states(run);
    lua_createtable(L, 0, n);
    for (int i = 0; i < n; i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(run, i, &value, &width, NULL);
        float *to = mls_lua_push_free(L, 1, batch, width);
        memcpy(to, value, (size_t)(batch * width) * sizeof *to);
        lua_setfield(L, -2, name);
    }
    luaL_setmetatable(L, "mls.states");
}

static void check_states(lua_State *L, mls_run *run, int index)
{
    const int n = mls_run_states(run);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[1]";
        const char *names[512];
        int known = 0, k = 0;
        for (int i = 0; i < n; i++) {
            const char *name = mls_run_state(run, i, NULL, NULL, NULL);
            known |= !strcmp(name, key);
            if (k < 512) names[k++] = name;
        }
        const char *near = known ? NULL : mls_error_nearest(key, names, k);
        if (!known)
            mls_lua_raise(L, "the network has no state '%s'%s%s%s", key,
                          near ? "; did you mean '" : "", near ? near : "",
                          near ? "'?" : "");
    }
}

/* A state that is not in the table begins at its reset value. */
static void take_states(lua_State *L, mls_lua_net *n, mls_run *run, int index)
{
    if (lua_isnil(L, index)) return;
    if (!lua_istable(L, index))
        mls_lua_raise(L, "net:forward: the states are a %s value, expected the table that "
                         "an earlier forward gave, or nil", luaL_typename(L, index));
    check_states(L, run, index);
    for (int i = 0; i < mls_run_states(run); i++) {
        float *value;
        int64_t width, dim[3];
        const char *name = mls_run_state(run, i, &value, &width, NULL);
        lua_pushstring(L, name);
        if (lua_rawget(L, index) != LUA_TNIL) {
            const float *x = mls_lua_numbers(L, -1, name, &n->input, dim, NULL);
            const int64_t want = n->batch.batch * width;
            if (dim[0] * dim[1] * dim[2] != want)
                mls_lua_raise(L, "state '%s' is [%lld][%lld][%lld], expected [1][%lld][%lld]",
                              name, (long long)dim[0], (long long)dim[1], (long long)dim[2],
                              (long long)n->batch.batch, (long long)width);
            memcpy(value, x, (size_t)want * sizeof *value);
        }
        lua_pop(L, 1);
    }
}

/* ---- forward ----------------------------------------------------------------------------------- */

static uint64_t number_of(lua_State *L, mls_lua_net *n, int train)
{
    const uint64_t noise = mls_philox_key(n->seed, "loop", "step") >> 1;
    if (!lua_isnil(L, 4) && field(L, 4, "step") != LUA_TNIL) {
        int fits;
        const lua_Integer k = lua_tointegerx(L, -1, &fits);
        if (!fits) mls_lua_raise(L, "net:forward: step is no whole number");
        return noise + (uint64_t)k;
    }
    return noise + (uint64_t)(train ? n->forwards++ : n->forwards);
}

/* Of a batch as data:batch gives, the input stands in its place; its mask, dt and keys hold
 * unless the options name others.                                                        */
static int unpack(lua_State *L)
{
    if (!lua_istable(L, 2)) return 0;
    field(L, 2, "token");
    if (lua_isnil(L, -1)) field(L, 2, "x");
    if (lua_isnil(L, -1)) return 0;
    lua_pushvalue(L, 2);
    lua_replace(L, 5);
    lua_replace(L, 2);
    return 1;
}

/* net:forward(x [, states [, options]]) -> y, states [, recorded] */
static int forward(lua_State *L)
{
    static const char *const names[] = { "train", "exact", "mask", "dt", "key", "step",
                                         NULL };
    lua_settop(L, 4);
    lua_pushnil(L);                              /* 5: the batch that x came in */
    mls_lua_net *n = mls_lua_check_net(L, 1);
    mls_lua_idle(L, n, "net:forward");
    if (!lua_isnil(L, 4)) {
        luaL_checktype(L, 4, LUA_TTABLE);
        mls_lua_only(L, 4, names, "net:forward");
    }
    const int train = option(L, "train", 1);
    const unsigned flags = (train ? MLS_TRAIN : 0) | (option(L, "exact", 0) ? MLS_EXACT : 0);
    const int batched = unpack(L);
    mls_lua_step_end(n->step);
    n->now = NULL;
    mls_arena_reset(&n->input);
    mls_arena_reset(&n->tap_arena);
    n->tap = NULL;
    read_input(L, n, 2);
    n->batch.mask = service(L, n, 4, "mask");
    n->batch.dt = service(L, n, 4, "dt");
    if (batched && !n->batch.mask) n->batch.mask = service(L, n, 5, "mask");
    if (batched && !n->batch.dt) n->batch.dt = service(L, n, 5, "dt");
    n->batch.key = keys(L, n, 4);
    if (batched && !n->batch.key) n->batch.key = keys(L, n, 5);
    mls_run *run = mls_lua_run_for(L, n, n->batch.batch, flags);
    mls_run_reset(run);
    take_states(L, n, run, 3);
    const mls_observer o = mls_lua_observer(n);
    mls_run_observe(run, n->record ? &o : NULL);
    const uint64_t number = number_of(L, n, train);
    n->busy = 1;
    mls_t y = mls_run_forward(run, &n->batch, number);
    n->busy = 0;
    mls_error *e = mls_run_error(run);
    if (!y || e->set) {
        lua_pushstring(L, e->set ? e->text : "the network gave no output");
        *e = (mls_error){ 0 };
        return mls_lua_raise(L, "%s", lua_tostring(L, -1));
    }
    n->now = run;
    mls_lua_step_begin(n->step, mls_run_ctx(run));
    lua_getiuservalue(L, 1, 1);
    const int step = lua_gettop(L);
    mls_lua_push_tensor(L, step, y);
    push_states(L, run, n->batch.batch);
    if (!n->record) return 2;
    mls_lua_push_taps(L, n);
    return 3;
}

void mls_lua_open_forward(lua_State *L)
{
    luaL_newmetatable(L, "mls.states");
    lua_pushcfunction(L, no_state);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_getmetatable(L, mls_lua_net_name);
    lua_getfield(L, -1, "__index");
    lua_pushcfunction(L, forward);
    lua_setfield(L, -2, "forward");
    lua_pop(L, 2);
}
