/* Nets: building them and running batches forward. */
#include "lua/model.h"

#include "conf/conf.h"
#include "lua/convert.h"
#include "lua/sandbox.h"
#include "train/metrics.h"

#include <string.h>

const char mls_lua_net_name[] = "mls.net";

mls_lua_net *mls_lua_check_net(lua_State *L, int index)
{
    mls_lua_net *n = luaL_testudata(L, index, mls_lua_net_name);
    if (n && !n->net) mls_lua_raise(L, "this net has been collected");
    if (!n)
        mls_lua_raise(L, "expected a net, as mls.build gives, found a %s value",
                      luaL_typename(L, index));
    return n;
}

void mls_lua_idle(lua_State *L, const mls_lua_net *n, const char *what)
{
    if (n->busy)
        mls_lua_raise(L, "%s: this net is running; a component of it cannot run it again",
                      what);
}

mls_lua_net *mls_lua_push_net(lua_State *L)
{
    mls_lua_net *n = lua_newuserdatauv(L, sizeof *n, 2);
    memset(n, 0, sizeof *n);
    luaL_setmetatable(L, mls_lua_net_name);
    n->step = mls_lua_step_push(L);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, 1);
    lua_setiuservalue(L, -2, 1);
    return n;
}

static int collect(lua_State *L)
{
    mls_lua_net *n = lua_touserdata(L, 1);
    if (n->step) mls_lua_step_end(n->step);
    if (n->step) n->step->over = 1;              /* a finalizer may still have its weights */
    for (int i = 0; i < n->n_runs; i++) mls_run_free(n->run[i].run);
    n->n_runs = 0;
    mls_model_close(&n->m);
    n->net = NULL;
    mls_arena_free(&n->input);
    mls_arena_free(&n->tap_arena);
    return 0;
}

int mls_lua_raise_error(lua_State *L, const mls_error *e, mls_arena *a)
{
    lua_pushstring(L, e->text);
    if (a) mls_arena_free(a);
    return mls_lua_raise(L, "%s", lua_tostring(L, -1));
}

void mls_lua_only(lua_State *L, int index, const char *const *names, const char *what)
{
    int n = 0;
    index = lua_absindex(L, index);
    while (names[n]) n++;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "[1]";
        int known = 0;
        for (int i = 0; i < n; i++) known |= !strcmp(key, names[i]);
        if (known) continue;
        const char *near = mls_error_nearest(key, names, n);
        mls_lua_raise(L, "%s has no '%s'%s%s%s", what, key, near ? "; did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
    }
}

/* ---- shapes of tasks --------------------------------------------------------------------- */

mls_value *mls_lua_shape_value(mls_arena *a, const mls_task_shape *s)
{
    mls_value *v = mls_value_map(a);
    mls_value_set(a, v, "steps", mls_value_int(a, s->steps));
    mls_value_set(a, v, "vocabulary", mls_value_int(a, s->vocabulary));
    mls_value_set(a, v, "input", mls_value_int(a, s->input));
    mls_value_set(a, v, "output", mls_value_int(a, s->output));
    mls_value_set(a, v, "loss",
                  mls_value_string(a, mls_loss_names[s->loss]));
    mls_value_set(a, v, "per_step", mls_value_bool(a, s->per_step));
    mls_value_set(a, v, "mask", mls_value_bool(a, s->has_mask));
    mls_value_set(a, v, "dt", mls_value_bool(a, s->has_dt));
    mls_value_set(a, v, "text", mls_value_bool(a, s->is_text));
    return v;
}

int mls_lua_shape_read(mls_task_shape *s, const mls_value *v, mls_error *e)
{
    static const char *const names[] = { "steps", "vocabulary", "input", "output", "loss",
                                         "per_step", "mask", "dt", "text", "has_mask",
                                         "has_dt", NULL };
    mls_value_only(v, names, "the shape of a task", e);
    *s = (mls_task_shape){
        .steps = mls_value_get_int(v, "steps", 1, e),
        .vocabulary = mls_value_get_int(v, "vocabulary", 0, e),
        .input = mls_value_get_int(v, "input", 0, e),
        .output = mls_value_get_int(v, "output", 0, e),
        .per_step = mls_value_get_bool(v, "per_step", 1, e),
        .has_mask = mls_value_get_bool(v, "mask", 0, e) | mls_value_get_bool(v, "has_mask", 0, e),
        .has_dt = mls_value_get_bool(v, "dt", 0, e) | mls_value_get_bool(v, "has_dt", 0, e),
        .is_text = mls_value_get_bool(v, "text", 0, e) };
    const char *loss = mls_value_get_string(v, "loss", "cross_entropy", e);
    s->loss = mls_loss_find(loss);
    if (s->loss < 0)
        mls_error_set(e, "the shape's loss is \"%.60s\"; expected cross_entropy, mse, mae or "
                         "binary", loss);
    const int64_t most = INT64_C(1) << 31;
    if (s->steps < 1 || s->output < 1 || s->vocabulary < 0 || s->input < 0 ||
        s->steps > most || s->output > most || s->vocabulary > most || s->input > most ||
        (s->vocabulary > 0) == (s->input > 0))
        mls_error_set(e, "the shape is %lld steps, vocabulary %lld, input %lld, output %lld; "
                         "expected at least one step and output, and either a vocabulary "
                         "or an input", (long long)s->steps, (long long)s->vocabulary,
                      (long long)s->input, (long long)s->output);
    return !e->set;
}

/* ---- building ------------------------------------------------------------------------------ */

/* The network's part of an experiment, with defaults, as mls train resolves it. */
static const mls_value *resolve(mls_lua_net *n, const mls_value *spec, const mls_value *task,
                                mls_error *e)
{
    mls_arena *a = &n->m.arena;
    mls_value *config = mls_value_map(a), *none = mls_value_map(a);
    mls_value_set(a, none, "component", mls_value_string(a, "task.none"));
    mls_value_set(a, config, "network", mls_value_copy(a, spec));
    mls_value_set(a, config, "task", task ? mls_value_copy(a, task) : none);
    n->m.config = mls_conf_resolve(a, config, e);
    return mls_value_get(n->m.config, "network");
}

/* build(specification, data or shape [, seed]) -> net */
static int build(lua_State *L)
{
    lua_settop(L, 3);
    const mls_sandbox *box = mls_sandbox_of(L);
    mls_lua_data *data = luaL_testudata(L, 2, mls_lua_data_name);
    mls_error e = { 0 };
    mls_task_shape shape = { 0 };
    mls_lua_net *n = mls_lua_push_net(L);
    mls_arena *a = &n->m.arena;
    const mls_value *spec = mls_lua_to_value(L, 1, a, "network", 0, &e);
    if (data) {
        shape = *mls_feed_shape(data->feed);
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, -2, 2);
    } else if (lua_istable(L, 2)) {
        const mls_value *v = mls_lua_to_value(L, 2, a, "shape", 0, &e);
        if (!e.set) mls_lua_shape_read(&shape, v, &e);
    } else {
        mls_error_set(&e, "mls.build(network, task): expected what mls.open or mls.task "
                          "gives, or a shape { steps =, input or vocabulary =, output = }; "
                          "found a %s value", luaL_typename(L, 2));
    }
    n->seed = (uint64_t)luaL_optinteger(L, 3, data ? (lua_Integer)data->seed : 1);
    spec = e.set ? NULL : resolve(n, spec, data ? data->spec : NULL, &e);
    const mls_net_config c = { box->registry, spec, &shape, n->seed, 0 };
    if (!e.set) n->m.net = mls_net_build(&c, &e);
    if (e.set) return mls_lua_raise_error(L, &e, NULL);
    n->net = n->m.net;
    return 1;
}

/* ---- numbers out of tables ----------------------------------------------------------------- */

typedef struct reading {
    lua_State  *L;
    const char *what;
    int64_t    *dim;
    int         rank;
    float      *at;
} reading;

static void measure(reading *r, int index)
{
    lua_State *L = r->L;
    lua_pushvalue(L, index);
    for (r->rank = 0; lua_istable(L, -1); r->rank++) {
        if (r->rank == 3)
            mls_lua_raise(L, "%s is nested more than three deep", r->what);
        r->dim[r->rank] = (int64_t)lua_rawlen(L, -1);
        if (!r->dim[r->rank]) mls_lua_raise(L, "%s is empty", r->what);
        lua_rawgeti(L, -1, 1);
        lua_remove(L, -2);
    }
    lua_pop(L, 1);
}

static void fill(reading *r, int level)
{
    lua_State *L = r->L;
    luaL_checkstack(L, 4, NULL);
    if (level < r->rank && lua_istable(L, -1)) {
        if ((int64_t)lua_rawlen(L, -1) != r->dim[level])
            mls_lua_raise(L, "%s is ragged: a list of %lld where others have %lld", r->what,
                          (long long)lua_rawlen(L, -1), (long long)r->dim[level]);
        for (lua_Integer i = 1; i <= r->dim[level]; i++) {
            lua_rawgeti(L, -1, i);
            fill(r, level + 1);
            lua_pop(L, 1);
        }
        return;
    }
    if (level != r->rank || lua_type(L, -1) != LUA_TNUMBER)
        mls_lua_raise(L, "%s holds a %s value where a %s is expected", r->what,
                      luaL_typename(L, -1), level < r->rank ? "list" : "number");
    *r->at++ = (float)lua_tonumber(L, -1);
}

float *mls_lua_numbers(lua_State *L, int index, const char *what, mls_arena *a,
                       int64_t dim[3], int *rank)
{
    index = lua_absindex(L, index);
    mls_t t = mls_lua_readable(L, index);
    dim[0] = dim[1] = dim[2] = 1;
    reading r = { L, what, dim, 3, NULL };
    if (t) memcpy(dim, t->dim, 3 * sizeof *dim);
    else if (lua_istable(L, index)) measure(&r, index);
    else
        mls_lua_raise(L, "%s: expected a tensor or a table of numbers, found a %s value",
                      what, luaL_typename(L, index));
    if (rank) *rank = r.rank;
    int64_t count;
    if (__builtin_mul_overflow(dim[0], dim[1], &count) ||
        __builtin_mul_overflow(count, dim[2], &count) || count > INT64_MAX / 8)
        mls_lua_raise(L, "%s is [%lld][%lld][%lld]: too large", what, (long long)dim[0],
                      (long long)dim[1], (long long)dim[2]);
    float *out = r.at = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *out);
    if (!out) mls_lua_raise(L, "%s: out of memory", what);
    if (t) memcpy(out, t->data, (size_t)count * sizeof *out);
    else {
        lua_pushvalue(L, index);
        fill(&r, 0);
        lua_pop(L, 1);
    }
    return out;
}

void mls_lua_open_net(lua_State *L)
{
    static const luaL_Reg functions[] = { { "build", build }, { NULL, NULL } };
    luaL_newmetatable(L, mls_lua_net_name);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, mls_lua_net_name);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
    mls_lua_open_forward(L);
    mls_lua_open_record(L);
}
