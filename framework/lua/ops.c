/* The differentiable operations of the host table as functions of Lua. */
#include "lua/tensor.h"

#include "base/error.h"
#include "grad/tape.h"
#include "plug/plug.h"

#include <stdio.h>
#include <string.h>

enum { ARGUMENTS = 8, AT_STEP = ARGUMENTS + 1, MOST_PARTS = 4096 };

/* One operation in progress; arguments at 1 to ARGUMENTS, the step's userdata after them. */
typedef struct call {
    lua_State    *L;
    const char   *name;
    mls_lua_step *s;
    mls_ctx      *c;
    const mls_host *host;
    int           eager;          /* no step: the result becomes a free tensor           */
} call;

/* ---- operations outside of any step -------------------------------------------------- */

typedef struct eager { mls_ctx ctx; mls_tape tape; mls_error error; } eager;

static int free_eager(lua_State *L)
{
    mls_tape_free(&((eager *)lua_touserdata(L, 1))->tape);
    return 0;
}

/* Pushes a step over a tape of our own that lives for one operation. */
static mls_lua_step *push_eager(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, "mls.eager") == LUA_TUSERDATA) {
        mls_lua_step *s = lua_touserdata(L, -1);
        mls_tape_reset(s->c->tape);
        return s;
    }
    lua_pop(L, 1);
    eager *e = lua_newuserdatauv(L, sizeof *e, 0);
    memset(e, 0, sizeof *e);
    e->ctx = (mls_ctx){ .error = &e->error, .path = "tensor", .tape = &e->tape };
    lua_newtable(L);
    lua_pushcfunction(L, free_eager);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.eager.tape");
    mls_lua_step *s = mls_lua_step_push(L);
    mls_lua_step_begin(s, &e->ctx);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.eager");
    return s;
}

/* ---- arguments ------------------------------------------------------------------------- */

static mls_lua_step *push_step_of_list(lua_State *L, int index)
{
    for (lua_Integer i = 1; lua_rawgeti(L, index, i) != LUA_TNIL; i++) {
        mls_lua_step *s = mls_lua_push_step_of(L, -1);
        if (s) {
            lua_remove(L, -2);
            return s;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return NULL;
}

static call begin(lua_State *L, const char *name)
{
    call k = { .L = L, .name = name, .host = mls_plug_host() };
    k.s = luaL_testudata(L, 1, "mls.step");
    if (k.s) {
        lua_pushvalue(L, 1);
        lua_remove(L, 1);
    }
    const int n = lua_gettop(L) - (k.s != NULL);
    for (int i = 1; !k.s && i <= n; i++)
        k.s = lua_istable(L, i) ? push_step_of_list(L, i) : mls_lua_push_step_of(L, i);
    if (!k.s) {
        k.s = push_eager(L);
        k.eager = 1;
    }
    if (n > ARGUMENTS)
        mls_lua_raise(L, "%s: %d arguments, at most %d are used%s", name, n, (int)ARGUMENTS,
                      strcmp(name, "join") ? "" : "; for more give a list: c:join {a, b, ...}");
    if (!k.s->c) mls_lua_raise(L, "%s: no forward is in progress", name);
    if (k.s->closed) mls_lua_raise(L, "%s: %s", name, k.s->closed);
    while (lua_gettop(L) < AT_STEP) {            /* the step comes to AT_STEP */
        lua_pushnil(L);
        lua_insert(L, -2);
    }
    k.c = k.s->c;
    if (k.c->error->set) mls_lua_raise(L, "%s", k.c->error->text);
    return k;
}

static mls_t tensor_at(call *k, int index, const char *name)
{
    char what[120];
    snprintf(what, sizeof what, "%s: argument %d (%s)", k->name, index, name);
    return mls_lua_step_tensor(k->L, index, k->s, what);
}

static mls_t maybe_tensor(call *k, int index, const char *name)
{
    return lua_isnil(k->L, index) ? NULL : tensor_at(k, index, name);
}

static double number(call *k, int index, const char *name)
{
    if (lua_type(k->L, index) != LUA_TNUMBER)
        mls_lua_raise(k->L, "%s: argument %d (%s): expected a number, found a %s value",
                      k->name, index, name, luaL_typename(k->L, index));
    return lua_tonumber(k->L, index);
}

static int64_t whole(call *k, int index, const char *name)
{
    int fits;
    const lua_Integer i = lua_tointegerx(k->L, index, &fits);
    if (!fits)
        mls_lua_raise(k->L, "%s: argument %d (%s): expected a whole number, found %s",
                      k->name, index, name, luaL_tolstring(k->L, index, NULL));
    return i;
}

static mls_state *maybe_state(call *k, int index)
{
    if (lua_isnil(k->L, index)) return NULL;
    if (k->eager)
        mls_lua_raise(k->L, "%s: a state is read in the forward of its component only",
                      k->name);
    return mls_lua_check_state(k->L, index);
}

/* Masks are [T][B][1] of the sequence x. */
static mls_t maybe_mask(call *k, int index, mls_t x)
{
    mls_t m = maybe_tensor(k, index, "mask");
    if (m && (m->dim[0] != x->dim[0] || m->dim[1] != x->dim[1] || m->dim[2] != 1))
        mls_lua_raise(k->L, "%s: the mask is [%lld][%lld][%lld], expected [%lld][%lld][1]",
                      k->name, (long long)m->dim[0], (long long)m->dim[1],
                      (long long)m->dim[2], (long long)x->dim[0], (long long)x->dim[1]);
    return m;
}

/* 0: the first of names. */
static int choice(call *k, int index, const char *const *names)
{
    const char *word = lua_isnil(k->L, index) ? names[0] : lua_tostring(k->L, index);
    int n = 0;
    for (; names[n]; n++)
        if (word && !strcmp(word, names[n])) return n;
    const char *near = word ? mls_error_nearest(word, names, n) : NULL;
    mls_lua_raise(k->L, "%s: argument %d is %s%s%s%s; expected %s, %s or %s", k->name, index,
                  word ? word : luaL_typename(k->L, index), near ? ", did you mean " : "",
                  near ? near : "", near ? "?" : "", names[0], names[1], names[2]);
    return 0;
}

/* An error of the operation is the user's now, no longer the context's: whoever catches it
 * may go on.                                                                             */
static int result(call *k, mls_t t)
{
    lua_State *L = k->L;
    mls_error *e = k->c->error;
    if (e->set) {
        lua_pushstring(L, e->text);
        e->set = 0;
        e->text[0] = '\0';
        return mls_lua_raise(L, "%s", lua_tostring(L, -1));
    }
    if (!k->eager) {
        mls_lua_push_tensor(L, AT_STEP, t);
        return 1;
    }
    float *to = mls_lua_push_free(L, t->dim[0], t->dim[1], t->dim[2]);
    if (t->count) memcpy(to, t->data, (size_t)t->count * sizeof *to);
    mls_tape_reset(k->c->tape);
    return 1;
}

/* ---- one argument ------------------------------------------------------------------------ */

static int unary(lua_State *L, const char *name, mls_unary f)
{
    call k = begin(L, name);
    mls_t x = tensor_at(&k, 1, "x");
    return result(&k, k.host->unary(k.c, f, x));
}

#define UNARY(name, f) \
    static int op_##name(lua_State *L) { return unary(L, #name, f); }
UNARY(sigmoid, MLS_SIGMOID)
UNARY(tanh, MLS_TANH)
UNARY(silu, MLS_SILU)
UNARY(gelu, MLS_GELU)
UNARY(relu, MLS_RELU)
UNARY(softplus, MLS_SOFTPLUS)
UNARY(exp, MLS_EXP)
UNARY(lecun_tanh, MLS_LECUN_TANH)
UNARY(negate, MLS_NEGATE)
UNARY(square, MLS_SQUARE)
UNARY(log, MLS_LOG)
UNARY(sqrt, MLS_SQRT)
UNARY(abs, MLS_ABS)

static int op_scale(lua_State *L)
{
    call k = begin(L, "scale");
    mls_t x = tensor_at(&k, 1, "x");
    const double b = lua_isnil(L, 3) ? 0.0 : number(&k, 3, "b");
    return result(&k, k.host->scale(k.c, x, number(&k, 2, "a"), b));
}

static int op_softmax(lua_State *L)
{
    call k = begin(L, "softmax");
    mls_t x = tensor_at(&k, 1, "x");
    return result(&k, k.host->softmax(k.c, x));
}

static int op_dropout(lua_State *L)
{
    call k = begin(L, "dropout");
    mls_t x = tensor_at(&k, 1, "x");
    return result(&k, k.host->dropout(k.c, x, number(&k, 2, "p")));
}

static int op_sum(lua_State *L)
{
    call k = begin(L, "sum");
    mls_t x = tensor_at(&k, 1, "x");
    return result(&k, k.host->sum(k.c, x));
}

static int op_mean(lua_State *L)
{
    call k = begin(L, "mean");
    mls_t x = tensor_at(&k, 1, "x");
    if (x->dim[2] < 1) mls_lua_raise(L, "mean: x has no features");
    mls_t s = k.host->sum(k.c, x);
    if (!k.c->error->set) s = k.host->scale(k.c, s, 1.0 / (double)x->dim[2], 0.0);
    return result(&k, s);
}

/* ---- parts of a tensor -------------------------------------------------------------------- */

/* [from, from + n) of an axis; n absent: to the end. */
static void range(call *k, mls_t x, int axis, const char *what, int64_t *from, int64_t *n)
{
    const int64_t all = x->dim[axis];
    *from = whole(k, 2, "from");
    *n = lua_isnil(k->L, 3) ? all - *from : whole(k, 3, "n");
    if (*from < 0 || *from > all || *n < 0 || *n > all - *from)
        mls_lua_raise(k->L, "%s: %lld from %lld on of %lld %s (counted from 0)", k->name,
                      (long long)*n, (long long)*from, (long long)all, what);
}

static int op_slice(lua_State *L)
{
    call k = begin(L, "slice");
    mls_t x = tensor_at(&k, 1, "x");
    int64_t from, n;
    range(&k, x, 2, "features", &from, &n);
    return result(&k, k.host->slice(k.c, x, from, n));
}

static int op_steps(lua_State *L)
{
    call k = begin(L, "steps");
    mls_t x = tensor_at(&k, 1, "x");
    int64_t from, n;
    range(&k, x, 0, "steps", &from, &n);
    return result(&k, k.host->steps(k.c, x, from, n));
}

static int op_pool_as(lua_State *L, const char *name, int f, int at_mask)
{
    static const char *const names[] = { "last", "mean", "sum", NULL };
    call k = begin(L, name);
    mls_t x = tensor_at(&k, 1, "x");
    if (f < 0) f = choice(&k, 2, names);
    mls_t mask = maybe_mask(&k, at_mask, x);
    return result(&k, k.host->pool(k.c, x, (mls_pool)f, mask));
}

static int op_pool(lua_State *L) { return op_pool_as(L, "pool", -1, 3); }
static int op_last(lua_State *L) { return op_pool_as(L, "last", MLS_POOL_LAST, 2); }

static int op_reverse(lua_State *L)
{
    call k = begin(L, "reverse");
    mls_t x = tensor_at(&k, 1, "x");
    mls_t mask = maybe_mask(&k, 2, x);
    return result(&k, k.host->reverse(k.c, x, mask));
}

static int op_concat(lua_State *L)
{
    call k = begin(L, "concat");
    mls_t x = tensor_at(&k, 1, "first");
    if (lua_isnil(L, 2)) mls_lua_raise(L, "concat: two tensors or more are wanted");
    for (int i = 2; i <= ARGUMENTS && !lua_isnil(L, i) && !k.c->error->set; i++)
        x = k.host->concat(k.c, x, tensor_at(&k, i, "another"));
    return result(&k, x);
}

/* join{a, b, ...} or join(a, b, ...) */
static int op_join(lua_State *L)
{
    call k = begin(L, "join");
    const int list = lua_istable(L, 1);
    int64_t n = list ? (int64_t)lua_rawlen(L, 1) : 0;
    while (!list && n < ARGUMENTS && !lua_isnil(L, (int)n + 1)) n++;
    if (n < 1 || n > MOST_PARTS)
        mls_lua_raise(L, "join: %lld tensors, expected 1 to %d", (long long)n,
                      (int)MOST_PARTS);
    mls_t *part = lua_newuserdatauv(L, (size_t)n * sizeof *part, 0);
    for (int64_t i = 0; i < n; i++) {
        if (list) lua_rawgeti(L, 1, (lua_Integer)i + 1);
        part[i] = mls_lua_step_tensor(L, list ? -1 : (int)i + 1, k.s, "join");
        if (list) lua_pop(L, 1);
    }
    return result(&k, k.host->join(k.c, part, (int)n));
}

/* ---- layers -------------------------------------------------------------------------------- */

static int op_linear(lua_State *L)
{
    call k = begin(L, "linear");
    mls_t x = tensor_at(&k, 1, "x"), w = tensor_at(&k, 2, "w");
    mls_t bias = maybe_tensor(&k, 3, "bias");
    return result(&k, k.host->linear(k.c, x, w, bias));
}

static int op_rms_norm(lua_State *L)
{
    call k = begin(L, "rms_norm");
    mls_t x = tensor_at(&k, 1, "x"), gain = maybe_tensor(&k, 2, "gain");
    const double eps = lua_isnil(L, 3) ? 1e-5 : number(&k, 3, "eps");
    return result(&k, k.host->rms_norm(k.c, x, gain, eps));
}

static int op_layer_norm(lua_State *L)
{
    call k = begin(L, "layer_norm");
    mls_t x = tensor_at(&k, 1, "x"), gain = maybe_tensor(&k, 2, "gain");
    mls_t bias = maybe_tensor(&k, 3, "bias");
    const double eps = lua_isnil(L, 4) ? 1e-5 : number(&k, 4, "eps");
    return result(&k, k.host->layer_norm(k.c, x, gain, bias, eps));
}

static int op_conv(lua_State *L)
{
    call k = begin(L, "conv");
    mls_t x = tensor_at(&k, 1, "x"), w = tensor_at(&k, 2, "w");
    mls_t bias = maybe_tensor(&k, 3, "bias");
    mls_state *past = maybe_state(&k, 4);
    mls_t mask = maybe_mask(&k, 5, x);
    return result(&k, k.host->conv(k.c, x, w, bias, past, mask));
}

static int64_t entry(call *k, const char *key, int64_t def)
{
    int fits = 1;
    lua_getfield(k->L, 3, key);
    const int64_t v = lua_isnil(k->L, -1) ? def : lua_isboolean(k->L, -1)
                    ? lua_toboolean(k->L, -1) : lua_tointegerx(k->L, -1, &fits);
    if (!fits)
        mls_lua_raise(k->L, "attention: %s is a %s value, expected a whole number", key,
                      luaL_typename(k->L, -1));
    lua_pop(k->L, 1);
    return v;
}

/* attention(q, kv, { heads =, window =, rotary =, bidirectional = } [, past [, mask]]) */
static int op_attention(lua_State *L)
{
    static const char *const keys[] = { "heads", "width", "window", "rotary",
                                        "bidirectional" };
    call k = begin(L, "attention");
    mls_t q = tensor_at(&k, 1, "q"), kv = tensor_at(&k, 2, "kv");
    if (!lua_istable(L, 3))
        mls_lua_raise(L, "attention: argument 3: expected a table { heads =, window =, "
                         "rotary =, bidirectional = }, found a %s value",
                      luaL_typename(L, 3));
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        int known = 0;
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
        for (int i = 0; i < 5; i++) known |= !strcmp(key, keys[i]);
        const char *near = known ? NULL : mls_error_nearest(key, keys, 5);
        if (!known)
            mls_lua_raise(L, "attention: there is no setting '%s'%s%s%s", key,
                          near ? "; did you mean '" : "", near ? near : "",
                          near ? "'?" : "");
    }
    const mls_attention a = { .heads = entry(&k, "heads", 1),
        .width = entry(&k, "width", q->dim[2]), .window = entry(&k, "window", 64),
        .rotary = (int)entry(&k, "rotary", 0),
        .bidirectional = (int)entry(&k, "bidirectional", 0) };
    if (a.window > INT64_C(1) << 24 || a.width > INT64_C(1) << 24)
        mls_lua_raise(L, "attention: window and width are at most 16777216");
    mls_state *past = maybe_state(&k, 4);
    mls_t mask = maybe_mask(&k, 5, q);
    return result(&k, k.host->attention(k.c, q, kv, &a, past, mask));
}

/* scan(a, b [, h [, mask]]): h[t] = a[t] h[t-1] + b[t] */
static int op_scan(lua_State *L)
{
    call k = begin(L, "scan");
    mls_t a = tensor_at(&k, 1, "a"), b = tensor_at(&k, 2, "b");
    mls_state *h = maybe_state(&k, 3);
    mls_t mask = maybe_mask(&k, 4, b);
    return result(&k, k.host->scan(k.c, a, b, h, mask));
}

static int op_spike(lua_State *L)
{
    static const char *const names[] = { "fast_sigmoid", "atan", "logistic", NULL };
    call k = begin(L, "spike");
    mls_t v = tensor_at(&k, 1, "v");
    const int f = choice(&k, 2, names);
    const double slope = lua_isnil(L, 3) ? 0.0 : number(&k, 3, "slope");
    return result(&k, k.host->spike(k.c, v, (mls_surrogate)f, slope));
}

/* ---- arithmetic ---------------------------------------------------------------------------- */

static mls_t filled(call *k, mls_t like, double value)
{
    mls_tensor *t = mls_tape_tensor(k->c, like->dim[0], like->dim[1], like->dim[2]);
    for (int64_t i = 0; t->data && i < t->count; i++) t->data[i] = (float)value;
    return t;
}

static int spreads(mls_t small, mls_t large)
{
    for (int i = 0; i < 3; i++)
        if (small->dim[i] != large->dim[i] && small->dim[i] != 1) return 0;
    return 1;
}

/* a f b where either may be spread over the other; binary() spreads its second. */
static mls_t both(call *k, mls_binary f, mls_t a, mls_t b)
{
    const mls_host *h = k->host;
    if (spreads(b, a) || !spreads(a, b)) {
        if (!spreads(b, a))
            mls_lua_raise(k->L, "%s: [%lld][%lld][%lld] with [%lld][%lld][%lld]: every axis "
                                "of one must have the other's length, or 1", k->name,
                          (long long)a->dim[0], (long long)a->dim[1], (long long)a->dim[2],
                          (long long)b->dim[0], (long long)b->dim[1], (long long)b->dim[2]);
        return h->binary(k->c, f, a, b);
    }
    if (f == MLS_SUB) return h->scale(k->c, h->binary(k->c, f, b, a), -1.0, 0.0);
    if (f == MLS_DIV)
        return h->binary(k->c, f, h->binary(k->c, MLS_ADD, filled(k, b, 0.0), a), b);
    return h->binary(k->c, f, b, a);
}

static mls_t with_number(call *k, mls_binary f, mls_t x, double v)
{
    const mls_host *h = k->host;
    switch (f) {
    case MLS_ADD: return h->scale(k->c, x, 1.0, v);
    case MLS_SUB: return h->scale(k->c, x, 1.0, -v);
    case MLS_MUL: return h->scale(k->c, x, v, 0.0);
    case MLS_DIV: return h->scale(k->c, x, 1.0 / v, 0.0);
    default:      return h->binary(k->c, f, x, filled(k, x, v));
    }
}

static mls_t from_number(call *k, mls_binary f, double v, mls_t x)
{
    if (f == MLS_SUB) return k->host->scale(k->c, x, -1.0, v);
    if (f == MLS_DIV) return k->host->binary(k->c, f, filled(k, x, v), x);
    return with_number(k, f, x, v);
}

static int binary(lua_State *L, const char *name, mls_binary f)
{
    call k = begin(L, name);
    mls_t y;
    if (lua_type(L, 1) == LUA_TNUMBER)
        y = from_number(&k, f, lua_tonumber(L, 1), tensor_at(&k, 2, "b"));
    else if (lua_type(L, 2) == LUA_TNUMBER)
        y = with_number(&k, f, tensor_at(&k, 1, "a"), lua_tonumber(L, 2));
    else
        y = both(&k, f, tensor_at(&k, 1, "a"), tensor_at(&k, 2, "b"));
    return result(&k, y);
}

#define BINARY(name, f) \
    static int op_##name(lua_State *L) { return binary(L, #name, f); }
BINARY(add, MLS_ADD)
BINARY(sub, MLS_SUB)
BINARY(mul, MLS_MUL)
BINARY(div, MLS_DIV)
BINARY(max, MLS_MAX)

/* Lua gives the operand of a unary minus twice. */
static int minus(lua_State *L)
{
    lua_settop(L, 1);
    return op_negate(L);
}

void mls_lua_ops_meta(lua_State *L)
{
    static const luaL_Reg meta[] = { { "__add", op_add }, { "__sub", op_sub },
        { "__mul", op_mul }, { "__div", op_div }, { "__unm", minus }, { NULL, NULL } };
    luaL_setfuncs(L, meta, 0);
}

#define OP(name) { #name, op_##name }
const luaL_Reg mls_lua_ops[] = {
    OP(linear), OP(scale), OP(concat), OP(slice), OP(steps), OP(rms_norm), OP(layer_norm),
    OP(softmax), OP(dropout), OP(conv), OP(attention), OP(sigmoid), OP(tanh), OP(silu),
    OP(gelu), OP(relu), OP(softplus), OP(exp), OP(lecun_tanh), OP(negate), OP(square),
    OP(log), OP(sqrt), OP(abs), OP(add), OP(sub), OP(mul), OP(div), OP(max), OP(scan),
    OP(join), OP(sum), OP(mean), OP(pool), OP(last), OP(reverse), OP(spike), { NULL, NULL }
};
