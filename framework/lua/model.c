/* Nets: building them and running batches forward. */
#include "lua/model.h"

#include "base/philox.h"
#include "conf/conf.h"
#include "lua/convert.h"
#include "lua/sandbox.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

const char mls_lua_net_name[] = "mls.net";

struct mls_lua_tap {
    mls_lua_tap *next;
    const char  *name;            /* "layer0.enc.spikes"                                  */
    int64_t      rows, width;     /* steps told so far                                    */
    float       *data;            /* [T][B][width]                                        */
};

mls_lua_net *mls_lua_check_net(lua_State *L, int index)
{
    mls_lua_net *n = luaL_testudata(L, index, mls_lua_net_name);
    if (!n || !n->net)
        mls_lua_raise(L, "expected a net, as mls.build gives, found a %s value",
                      luaL_typename(L, index));
    return n;
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
                  mls_value_string(a, s->loss == MLS_MSE ? "mse" : "cross_entropy"));
    mls_value_set(a, v, "per_step", mls_value_bool(a, s->per_step));
    mls_value_set(a, v, "mask", mls_value_bool(a, s->has_mask));
    mls_value_set(a, v, "dt", mls_value_bool(a, s->has_dt));
    mls_value_set(a, v, "text", mls_value_bool(a, s->is_text));
    return v;
}

int mls_lua_shape_read(mls_task_shape *s, const mls_value *v, mls_error *e)
{
    static const char *const names[] = { "steps", "vocabulary", "input", "output", "loss",
                                         "per_step", "mask", "dt", "text", NULL };
    mls_value_only(v, names, "the shape of a task", e);
    *s = (mls_task_shape){
        .steps = mls_value_get_int(v, "steps", 1, e),
        .vocabulary = mls_value_get_int(v, "vocabulary", 0, e),
        .input = mls_value_get_int(v, "input", 0, e),
        .output = mls_value_get_int(v, "output", 0, e),
        .per_step = mls_value_get_bool(v, "per_step", 1, e),
        .has_mask = mls_value_get_bool(v, "mask", 0, e),
        .has_dt = mls_value_get_bool(v, "dt", 0, e),
        .is_text = mls_value_get_bool(v, "text", 0, e) };
    const char *loss = mls_value_get_string(v, "loss", "cross_entropy", e);
    s->loss = strcmp(loss, "mse") ? MLS_CROSS_ENTROPY : MLS_MSE;
    if (strcmp(loss, "mse") && strcmp(loss, "cross_entropy"))
        mls_error_set(e, "the shape's loss is \"%.60s\"; expected cross_entropy or mse", loss);
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
    const int64_t count = dim[0] * dim[1] * dim[2];
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

/* mask and dt: [T][B], in the table at index; or NULL. */
static const float *service(lua_State *L, mls_lua_net *n, int index, const char *name)
{
    if (!lua_istable(L, index)) return NULL;
    int64_t dim[3];
    const float *x = NULL;
    if (lua_getfield(L, index, name) != LUA_TNIL) {
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

static int option(lua_State *L, const char *name, int def)
{
    if (lua_isnil(L, 4)) return def;
    const int type = lua_getfield(L, 4, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        mls_lua_raise(L, "net:forward: %s is a %s value, expected true or false", name,
                      luaL_typename(L, -1));
    const int on = type == LUA_TNIL ? def : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return on;
}

static mls_run *run_for(lua_State *L, mls_lua_net *n, int64_t batch, unsigned flags)
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

/* ---- recording --------------------------------------------------------------------------------- */

/* "liq.h" stands for it in every layer. */
static int matches(const char *pattern, const char *name)
{
    const char *dot = strncmp(name, "layer", 5) ? NULL : strchr(name, '.');
    return !fnmatch(pattern, name, 0) || (dot && !fnmatch(pattern, dot + 1, 0));
}

static int wanted(void *arg, const char *node, const char *name)
{
    const mls_lua_net *n = arg;
    char full[512];
    snprintf(full, sizeof full, "%s%s%s", node, *node ? "." : "", name);
    for (char **p = n->record; p && *p; p++)
        if (matches(*p, full)) return 1;
    return 0;
}

static void told(void *arg, const mls_channel *ch, mls_t value, int64_t t0)
{
    mls_lua_net *n = arg;
    mls_arena *a = &n->tap_arena;
    const char *name = mls_arena_printf(a, "%s%s%s", ch->node, *ch->node ? "." : "", ch->name);
    const int64_t T = n->batch.steps, B = n->batch.batch, W = value->dim[2];
    mls_lua_tap *t = n->tap;
    while (t && name && strcmp(t->name, name)) t = t->next;
    if (!t && name) {
        t = mls_arena_zalloc(a, sizeof *t);
        if (t) *t = (mls_lua_tap){ n->tap, name, 0, W,
                                   mls_arena_zalloc(a, (size_t)(T * B * W) * sizeof(float)) };
        if (t) n->tap = t;
    }
    if (!t || !t->data || t->width != W || value->dim[1] != B || t0 + value->dim[0] > T) return;
    memcpy(t->data + t0 * B * W, value->data, (size_t)value->count * sizeof(float));
    if (t0 + value->dim[0] > t->rows) t->rows = t0 + value->dim[0];
}

static void push_taps(lua_State *L, const mls_lua_net *n)
{
    lua_newtable(L);
    for (const mls_lua_tap *t = n->tap; t; t = t->next) {
        if (!t->data) mls_lua_raise(L, "out of memory for the recording of %s", t->name);
        float *to = mls_lua_push_free(L, t->rows, n->batch.batch, t->width);
        memcpy(to, t->data, (size_t)(t->rows * n->batch.batch * t->width) * sizeof *to);
        lua_setfield(L, -2, t->name);
    }
}

/* ---- forward ----------------------------------------------------------------------------------- */

static uint64_t number_of(lua_State *L, mls_lua_net *n, int train)
{
    const uint64_t noise = mls_philox_key(n->seed, "loop", "step") >> 1;
    if (!lua_isnil(L, 4) && lua_getfield(L, 4, "step") != LUA_TNIL) {
        int fits;
        const lua_Integer k = lua_tointegerx(L, -1, &fits);
        if (!fits) mls_lua_raise(L, "net:forward: step is no whole number");
        return noise + (uint64_t)k;
    }
    return noise + (uint64_t)(train ? n->forwards++ : n->forwards);
}

/* Of a batch as data:batch gives, the input stands in its place; its mask and dt hold
 * unless the options name others.                                                        */
static int unpack(lua_State *L)
{
    if (!lua_istable(L, 2)) return 0;
    lua_getfield(L, 2, "token");
    if (lua_isnil(L, -1)) lua_getfield(L, 2, "x");
    if (lua_isnil(L, -1)) return 0;
    lua_pushvalue(L, 2);
    lua_replace(L, 5);
    lua_replace(L, 2);
    return 1;
}

/* net:forward(x [, states [, options]]) -> y, states [, recorded] */
static int forward(lua_State *L)
{
    static const char *const names[] = { "train", "exact", "mask", "dt", "step", NULL };
    lua_settop(L, 4);
    lua_pushnil(L);                              /* 5: the batch that x came in */
    mls_lua_net *n = mls_lua_check_net(L, 1);
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
    mls_run *run = run_for(L, n, n->batch.batch, flags);
    mls_run_reset(run);
    take_states(L, n, run, 3);
    const mls_observer o = { n, wanted, told };
    mls_run_observe(run, n->record ? &o : NULL);
    mls_t y = mls_run_forward(run, &n->batch, number_of(L, n, train));
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
    push_taps(L, n);
    return 3;
}

/* ---- channels ------------------------------------------------------------------------------------ */

static int n_channels(lua_State *L, mls_lua_net *n, mls_channel **list, mls_arena *a)
{
    mls_run *run = n->n_runs ? n->run[0].run : run_for(L, n, 1, 0);
    /* its dry run has tensors of its own, but the context that it shares is now another's */
    const int count = mls_run_channels(run, list, a);
    mls_lua_step_end(n->step);
    n->now = NULL;
    return count;
}

static int channels(lua_State *L)
{
    mls_lua_net *n = mls_lua_check_net(L, 1);
    mls_arena a = { 0 };
    mls_channel *list;
    const int count = n_channels(L, n, &list, &a);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_createtable(L, 0, 5);
        lua_pushfstring(L, "%s%s%s", list[i].node, *list[i].node ? "." : "", list[i].name);
        lua_setfield(L, -2, "name");
        lua_pushinteger(L, (lua_Integer)list[i].width);
        lua_setfield(L, -2, "width");
        lua_pushstring(L, list[i].unit);
        lua_setfield(L, -2, "unit");
        lua_pushstring(L, list[i].help);
        lua_setfield(L, -2, "help");
        lua_pushboolean(L, (list[i].flags & MLS_SPIKES) != 0);
        lua_setfield(L, -2, "spikes");
        lua_rawseti(L, -2, i + 1);
    }
    mls_arena_free(&a);
    return 1;
}

static void check_pattern(lua_State *L, const mls_channel *list, int count,
                          const char *pattern)
{
    enum { MOST = 512 };
    const char *names[MOST];
    int n = 0;
    for (int i = 0; i < count; i++) {
        const char *full = lua_pushfstring(L, "%s%s%s", list[i].node,
                                           *list[i].node ? "." : "", list[i].name);
        luaL_checkstack(L, 2, NULL);
        if (matches(pattern, full)) {
            lua_pop(L, n + 1);
            return;
        }
        if (n < MOST) names[n++] = full;
        else lua_pop(L, 1);
    }
    const char *near = mls_error_nearest(pattern, names, n);
    mls_lua_raise(L, "net:record: nothing is called '%s'%s%s%s (see net:channels())",
                  pattern, near ? "; did you mean '" : "", near ? near : "",
                  near ? "'?" : "");
}

/* net:record{"enc.spikes", ...} or net:record(nil) */
static int record(lua_State *L)
{
    lua_settop(L, 2);
    mls_lua_net *n = mls_lua_check_net(L, 1);
    if (lua_isnil(L, 2)) {
        n->record = NULL;
        return 0;
    }
    luaL_checktype(L, 2, LUA_TTABLE);
    const lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
    mls_channel *list;
    mls_arena *a = &n->m.arena;
    const int have = n_channels(L, n, &list, a);
    char **patterns = mls_arena_zalloc(a, (size_t)(count + 1) * sizeof *patterns);
    for (lua_Integer i = 0; patterns && i < count; i++) {
        if (lua_rawgeti(L, 2, i + 1) != LUA_TSTRING)
            mls_lua_raise(L, "net:record wants a list of names, found a %s value in it",
                          luaL_typename(L, -1));
        check_pattern(L, list, have, lua_tostring(L, -1));
        patterns[i] = mls_arena_strdup(a, lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    n->record = count ? patterns : NULL;
    return 0;
}

void mls_lua_open_net(lua_State *L)
{
    static const luaL_Reg functions[] = { { "build", build }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "forward", forward }, { "channels", channels },
                                        { "record", record }, { NULL, NULL } };
    luaL_newmetatable(L, "mls.states");
    lua_pushcfunction(L, no_state);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newmetatable(L, mls_lua_net_name);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, mls_lua_net_name);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
