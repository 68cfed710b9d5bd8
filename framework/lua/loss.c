/* Losses of a net's output, and backward from what was made of them. */
#include "lua/model.h"

#include "grad/ops.h"
#include "grad/tape.h"

#include <math.h>
#include <string.h>

/* ---- the mean of all values ------------------------------------------------------------- */

static void mean_forward(const mls_call *k)
{
    double sum = 0.0;
    for (int64_t i = 0; i < k->in[0]->count; i++) sum += (double)k->in[0]->data[i];
    k->out[0]->data[0] = (float)(sum / (double)k->in[0]->count);
}

static void mean_backward(const mls_call *k)
{
    float *g = k->in[0]->grad;
    const float by = k->out[0]->grad[0] / (float)k->in[0]->count;
    for (int64_t i = 0; g && i < k->in[0]->count; i++) g[i] += by;
}

static double mean_flops(const mls_call *k) { return (double)k->in[0]->count; }

static const mls_op mean_op = { sizeof mean_op, "mean", mean_forward, mean_backward,
                                mean_flops };

/* ---- arguments ---------------------------------------------------------------------------- */

static mls_lua_step *running(lua_State *L, const char *name)
{
    mls_lua_step *s = mls_lua_push_step_of(L, 1);
    if (!s)
        mls_lua_raise(L, "mls.loss.%s: expected the output of a forward, found a %s", name,
                      lua_isuserdata(L, 1) ? "free tensor" : luaL_typename(L, 1));
    if (s->closed) mls_lua_raise(L, "mls.loss.%s: %s", name, s->closed);
    if (s->c->error->set) mls_lua_raise(L, "%s", s->c->error->text);
    return s;
}

/* A batch stands for its labels or targets. */
static void take_field(lua_State *L, int index, const char *name)
{
    if (!lua_istable(L, index) || lua_getfield(L, index, name) == LUA_TNIL) return;
    lua_replace(L, index);
}

static int finish(lua_State *L, mls_lua_step *s, mls_t loss)
{
    mls_error *e = s->c->error;
    if (e->set) {
        lua_pushstring(L, e->text);
        *e = (mls_error){ 0 };
        return mls_lua_raise(L, "%s", lua_tostring(L, -1));
    }
    mls_lua_push_tensor(L, 4, loss);
    return 1;
}

static void shape_error(lua_State *L, const char *what, const int64_t dim[3], mls_t y,
                        int64_t width)
{
    mls_lua_raise(L, "%s is [%lld][%lld][%lld], but the output is [%lld][%lld][%lld]: "
                     "expected [%lld][%lld][%lld]", what, (long long)dim[0],
                  (long long)dim[1], (long long)dim[2], (long long)y->dim[0],
                  (long long)y->dim[1], (long long)y->dim[2], (long long)y->dim[0],
                  (long long)y->dim[1], (long long)width);
}

/* The host's cross-entropy would put its gradient where y is; here y may be used again. */
static void keep(mls_ctx *c, mls_t y)
{
    if (!c->tape->dry && (c->tape->flags & MLS_TRAIN) && mls_tape_tracks(y))
        mls_tape_grad(c, y);
}

/* ---- losses -------------------------------------------------------------------------------- */

/* cross_entropy(y, labels [, mask]) */
static int cross_entropy(lua_State *L)
{
    lua_settop(L, 3);
    mls_lua_step *s = running(L, "cross_entropy");         /* 4 */
    mls_t y = mls_lua_check_tensor(L, 1, NULL);
    mls_arena *a = &s->c->tape->arena;
    int64_t dim[3], mdim[3];
    take_field(L, 2, "label");
    const float *label = mls_lua_numbers(L, 2, "the labels", a, dim, NULL);
    const int64_t n = y->dim[0] * y->dim[1];
    if (dim[0] * dim[1] * dim[2] != n || (dim[0] != y->dim[0] && y->dim[0] != 1))
        shape_error(L, "the table of labels", dim, y, 1);
    const float *mask = lua_isnil(L, 3) ? NULL
                      : mls_lua_numbers(L, 3, "the mask", a, mdim, NULL);
    if (mask && mdim[0] * mdim[1] * mdim[2] != n)
        shape_error(L, "the mask", mdim, y, 1);
    int32_t *own = mls_arena_alloc(a, (size_t)(n + 1) * sizeof *own);
    if (!own) return mls_lua_raise(L, "out of memory for labels");
    for (int64_t i = 0; i < n; i++) {
        const int out = mask && mask[i] == 0.0f;
        if (!out && !(label[i] >= -1.0f && label[i] < (float)y->dim[2] &&
                      label[i] == floorf(label[i])))
            return mls_lua_raise(L, "label %g at step %lld of sample %lld; the output has "
                                    "classes 0 to %lld (-1: not scored)", (double)label[i],
                                 (long long)(i / y->dim[1]), (long long)(i % y->dim[1]),
                                 (long long)y->dim[2] - 1);
        own[i] = out ? -1 : (int32_t)label[i];
    }
    keep(s->c, y);
    return finish(L, s, mls_grad_cross_entropy(s->c, y, own, NULL));
}

/* mse(y, target), mae(y, target), binary(y, target): NaN is not scored */
static int of_errors(lua_State *L, const char *name,
                     mls_t (*loss)(mls_ctx *c, mls_t x, const float *target,
                                   mls_loss_stats *stats))
{
    lua_settop(L, 3);
    mls_lua_step *s = running(L, name);
    mls_t y = mls_lua_check_tensor(L, 1, NULL);
    int64_t dim[3];
    take_field(L, 2, "target");
    const float *target = mls_lua_numbers(L, 2, "the target", &s->c->tape->arena, dim, NULL);
    if (dim[0] * dim[1] * dim[2] != y->count || (dim[0] != y->dim[0] && y->dim[0] != 1))
        shape_error(L, "the target", dim, y, y->dim[2]);
    return finish(L, s, loss(s->c, y, target, NULL));
}

static int mse(lua_State *L) { return of_errors(L, "mse", mls_grad_mse); }
static int mae(lua_State *L) { return of_errors(L, "mae", mls_grad_mae); }
static int binary(lua_State *L) { return of_errors(L, "binary", mls_grad_binary_nll); }

/* mean(x): of all values, as a loss */
static int mean(lua_State *L)
{
    lua_settop(L, 3);
    mls_lua_step *s = running(L, "mean");
    mls_t x = mls_lua_step_tensor(L, 1, s, "mls.loss.mean"), y;
    if (x->count < 1) return mls_lua_raise(L, "mls.loss.mean: the tensor has no values");
    y = mls_tape_tensor(s->c, 1, 1, 1);
    mls_tape_apply(s->c, &mean_op, NULL, &x, 1, &y, 1);
    return finish(L, s, y);
}

/* ---- backward ------------------------------------------------------------------------------ */

static const char done[] = "backward has been run for this forward; only reading is left "
                           "(net:forward begins the next)";

/* loss:backward([scale]): adds scale * d loss / d weight to the gradients */
static int backward(lua_State *L)
{
    mls_lua_step *s = NULL;
    mls_t loss = mls_lua_check_tensor(L, 1, &s);
    const double scale = luaL_optnumber(L, 2, 1.0);
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, -1, 1);
    mls_lua_net *n = luaL_testudata(L, -1, mls_lua_net_name);
    if (!n)
        return mls_lua_raise(L, "backward() is for losses of a net in a script; gradients "
                                "of components are worked out by the framework");
    if (s->closed)
        return mls_lua_raise(L, "backward() a second time: %s", s->closed);
    if (loss->count != 1)
        return mls_lua_raise(L, "backward() wants a loss of one number; this tensor is "
                                "[%lld][%lld][%lld] (mls.loss.mean makes one of it)",
                             (long long)loss->dim[0], (long long)loss->dim[1],
                             (long long)loss->dim[2]);
    if (!(mls_run_tape(n->now)->flags & MLS_TRAIN))
        return mls_lua_raise(L, "backward() after a forward with train = false: nothing was "
                                "kept for it");
    if (!mls_tape_tracks(loss))
        return mls_lua_raise(L, "backward(): no weight has a part in this number");
    n->busy = 1;                                 /* what is not kept is computed again    */
    mls_run_backward_of(n->now, loss, scale);
    n->busy = 0;
    s->closed = done;
    mls_error *e = mls_run_error(n->now);
    if (!e->set) return 0;
    lua_pushstring(L, e->text);
    *e = (mls_error){ 0 };
    return mls_lua_raise(L, "%s", lua_tostring(L, -1));
}

void mls_lua_open_loss(lua_State *L)
{
    static const luaL_Reg losses[] = { { "cross_entropy", cross_entropy }, { "mse", mse },
                                       { "mae", mae }, { "binary", binary },
                                       { "mean", mean }, { NULL, NULL } };
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.tensor.methods");
    lua_pushcfunction(L, backward);
    lua_setfield(L, -2, "backward");
    lua_pop(L, 1);
    luaL_newlib(L, losses);
    lua_setfield(L, -2, "loss");
}
