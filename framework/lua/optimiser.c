/* The optimiser of a net in a script: clip, schedule and step number as train/loop.c has
 * them, so that a loop written by hand comes to the same bits.                           */
#include "lua/optimiser.h"

#include "kern/kern.h"
#include "lua/convert.h"
#include "lua/model.h"
#include "train/plan.h"

#include <math.h>
#include <string.h>

static const char OPTIMISER[] = "mls.optimiser";

/* User value 1: the net. */
struct mls_lua_optimiser {
    mls_arena     arena;
    mls_net      *net;
    mls_plan      plan;
    mls_optimiser o;
    int64_t       step;
};

struct mls_lua_optimiser *mls_lua_test_optimiser(lua_State *L, int index)
{
    return luaL_testudata(L, index, OPTIMISER);
}

static struct mls_lua_optimiser *check(lua_State *L)
{
    struct mls_lua_optimiser *o = mls_lua_test_optimiser(L, 1);
    if (!o)
        mls_lua_raise(L, "expected an optimiser, as net:optimiser gives, found a %s value",
                      luaL_typename(L, 1));
    lua_getiuservalue(L, 1, 1);
    mls_lua_check_net(L, -1);                    /* a finalizer may come after the net's  */
    lua_pop(L, 1);
    return o;
}

void mls_lua_optimiser_bundle(struct mls_lua_optimiser *o, mls_bundle *b)
{
    const int64_t one = 1;
    mls_optimiser_bundle(&o->o, b);
    mls_bundle_add(b, "train/step", MLS_B_I64, &o->step, 1, &one);
}

mls_net *mls_lua_optimiser_net(const struct mls_lua_optimiser *o) { return o->net; }

static int collect(lua_State *L)
{
    struct mls_lua_optimiser *o = lua_touserdata(L, 1);
    mls_arena_free(&o->arena);
    return 0;
}

/* Without an end there is nothing for a schedule to fall towards. */
static void endless(mls_arena *a, mls_value *v)
{
    if (mls_value_get(v, "steps") || mls_value_get(v, "epochs") ||
        mls_value_get(v, "tokens"))
        return;
    if (!mls_value_get(v, "schedule"))
        mls_value_set(a, v, "schedule", mls_value_string(a, "constant"));
    if (!mls_value_get(v, "warmup_fraction"))
        mls_value_set(a, v, "warmup_fraction", mls_value_real(a, 0.0));
}

/* net:optimiser(settings): a flat map, by mls.lua */
static int optimiser(lua_State *L)
{
    static const char *const names[] = { "optimiser", "learning_rate", "beta1", "beta2",
        "epsilon", "weight_decay", "momentum", "schedule", "final_rate", "warmup_steps",
        "warmup_fraction", "clip", "accumulate", "batch", "steps", "epochs", "tokens",
        NULL };
    lua_settop(L, 2);
    mls_lua_net *n = mls_lua_check_net(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    mls_lua_only(L, 2, names, "net:optimiser");
    lua_getiuservalue(L, 1, 2);
    const mls_lua_data *d = luaL_testudata(L, -1, mls_lua_data_name);
    const mls_feed *feed = n->m.feed ? n->m.feed : d ? d->feed : NULL;
    struct mls_lua_optimiser *o = lua_newuserdatauv(L, sizeof *o, 1);
    memset(o, 0, sizeof *o);
    luaL_setmetatable(L, OPTIMISER);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    mls_error e = { 0 };
    mls_value *v = mls_lua_to_value(L, 2, &o->arena, "train", 0, &e);
    if (!e.set && v->kind != MLS_V_MAP) v = mls_value_map(&o->arena);
    if (!e.set) endless(&o->arena, v);
    if (!e.set && !feed && (mls_value_get(v, "epochs") || mls_value_get(v, "tokens")))
        mls_error_set(&e, "net:optimiser: epochs and tokens need the net's data, and it was "
                          "built from a shape: give steps");
    if (!e.set) mls_plan_read(&o->plan, v, feed, &e);
    o->net = n->net;
    o->o = o->plan.optimiser;
    if (!e.set && !mls_optimiser_open(&o->o, n->net, &o->arena))
        mls_error_set(&e, "out of memory for the optimiser");
    return e.set ? mls_lua_raise_error(L, &e, NULL) : 1;
}

static int not_finite(lua_State *L, const struct mls_lua_optimiser *o)
{
    for (int i = 0; i < mls_net_weights(o->net); i++) {
        const mls_weight *w = mls_net_weight(o->net, i);
        const int64_t at = mls_k_first_bad(w->grad, w->rows * w->cols);
        if (at >= 0)
            return mls_lua_raise(L, "opt:step: the gradient of %s is %g at [%lld][%lld]; "
                                    "step %lld was not taken", w->name, (double)w->grad[at],
                                 (long long)(at / w->cols), (long long)(at % w->cols),
                                 (long long)o->step + 1);
    }
    return mls_lua_raise(L, "opt:step: the norm of the gradient overflows; step %lld was not "
                            "taken", (long long)o->step + 1);
}

/* opt:step() -> learning rate, norm of the gradient before it was clipped.  The gradients
 * are used up: they are zero afterwards.                                                 */
static int step(lua_State *L)
{
    struct mls_lua_optimiser *o = check(L);
    const double norm = mls_optimiser_clip(o->net, o->plan.clip);
    if (!isfinite(norm)) return not_finite(L, o);
    o->step++;
    const double rate = mls_schedule_rate(&o->plan.schedule, o->step);
    mls_optimiser_step(&o->o, o->net, rate, o->step);
    mls_net_zero_grad(o->net);
    lua_pushnumber(L, rate);
    lua_pushnumber(L, norm);
    return 2;
}

static int steps(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L)->step);
    return 1;
}

void mls_lua_open_optimiser(lua_State *L)
{
    static const luaL_Reg methods[] = { { "step", step }, { "steps", steps },
                                        { NULL, NULL } };
    luaL_newmetatable(L, OPTIMISER);
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, OPTIMISER);
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, optimiser);
    lua_setfield(L, -2, "optimiser");
}
