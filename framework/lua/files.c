/* Nets and tensors in files. */
#include "conf/conf.h"
#include "lua/component.h"
#include "lua/convert.h"
#include "lua/model.h"
#include "lua/optimiser.h"
#include "lua/sandbox.h"
#include "rec/array_write.h"
#include "rec/record.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void add_weights(mls_bundle *b, const mls_net *net)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        mls_bundle_add(b, mls_arena_printf(b->arena, "weight/%s", w->name), MLS_B_F32,
                       w->data, 2, (int64_t[]){ w->rows, w->cols });
    }
}

/* ---- saving -------------------------------------------------------------------------------- */

static const char *note_of(const mls_lua_net *n, int64_t *forwards, mls_arena *a)
{
    mls_value *v = mls_value_map(a), *model = mls_value_map(a);
    mls_value_set(a, model, "network", mls_net_resolved(n->net, a));
    mls_value_set(a, model, "shape", mls_lua_shape_value(a, mls_net_shape(n->net)));
    mls_value_set(a, model, "seed", mls_value_int(a, (int64_t)n->seed));
    mls_value_set(a, model, "forwards", mls_value_int(a, *forwards));
    mls_value_set(a, v, "model", model);
    return mls_value_to_json(a, v, 0);
}

/* net:save(path [, optimiser]) */
static int save(lua_State *L)
{
    lua_settop(L, 3);
    mls_lua_net *n = mls_lua_check_net(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct mls_lua_optimiser *o = mls_lua_test_optimiser(L, 3);
    if (!lua_isnil(L, 3) && (!o || mls_lua_optimiser_net(o) != n->net))
        return mls_lua_raise(L, "net:save: the optimiser is %s", o ? "that of another net"
                                                                   : luaL_typename(L, 3));
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    mls_error e = { 0 };
    add_weights(&b, n->net);
    if (o) mls_lua_optimiser_bundle(o, &b);
    if (!mls_checkpoint_save(path, &b, note_of(n, &n->forwards, &a), &e))
        return mls_lua_raise_error(L, &e, &a);
    mls_arena_free(&a);
    return 0;
}

/* ---- loading ------------------------------------------------------------------------------- */

/* The note of a checkpoint of ours as { network, shape, seed, forwards }; NULL: of a
 * trial.  e: it cannot be read.                                                          */
static mls_value *read_note(mls_arena *a, const char *path, mls_error *e)
{
    char *text = mls_checkpoint_note(path, a, e);
    mls_value *v = text && *text ? mls_yaml_parse(a, text, strlen(text), path, e) : NULL;
    return e->set ? NULL : mls_value_get(v, "model");
}

static void build(mls_lua_net *n, const mls_registry *r, const mls_value *model,
                  const char *path, mls_error *e)
{
    mls_task_shape shape;
    mls_arena *a = &n->m.arena;
    n->seed = (uint64_t)mls_value_get_int(model, "seed", 1, e);
    n->forwards = mls_value_get_int(model, "forwards", 0, e);
    if (!mls_lua_shape_read(&shape, mls_value_get(model, "shape"), e)) return;
    const mls_net_config c = { r, mls_value_get(model, "network"), &shape, n->seed, 0 };
    n->m.net = mls_net_build(&c, e);
    if (!n->m.net) return;
    mls_bundle b = { .arena = a };
    add_weights(&b, n->m.net);
    mls_checkpoint_load_part(path, &b, a, e);
}

/* A checkpoint that mls train wrote is read through its folder's config.yaml. */
static void of_trial(mls_lua_net *n, mls_sandbox *s, const char *path, int folder,
                     mls_error *e)
{
    mls_arena *a = &n->input;
    const mls_registry *r = s->registry;
    const char *slash = strrchr(path, '/');
    const char *dir = folder ? path : mls_arena_printf(a, "%.*s",
                                                       slash ? (int)(slash - path) : 1,
                                                       slash ? path : ".");
    if (!mls_lua_trial_open(s, dir, e)) return;
    if (folder) {
        mls_model_load(&n->m, r, path, NULL, e);
    } else {
        const char *config = mls_arena_printf(a, "%s/config.yaml", dir);
        const mls_value *v = access(config, R_OK) ? NULL : mls_yaml_read(a, config, e);
        if (!v)
            mls_error_set(e, "%s: was written by mls train, and %s, which describes its "
                             "network, cannot be read", path, config);
        if (!e->set && mls_model_open(&n->m, r, v, NULL, e))
            mls_model_read(&n->m, path, NULL, e);
    }
    n->seed = n->m.seed;
}

/* load(path of a checkpoint, or folder of a trial) -> net */
static int load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_settop(L, 1);
    const mls_registry *r = mls_sandbox_of(L)->registry;
    struct stat st;
    mls_error e = { 0 };
    mls_lua_net *n = mls_lua_push_net(L);
    const int folder = !stat(path, &st) && S_ISDIR(st.st_mode);
    const mls_value *model = folder ? NULL : read_note(&n->m.arena, path, &e);
    if (!e.set && model) {
        build(n, r, model, path, &e);
    } else if (!e.set) {
        mls_arena_free(&n->m.arena);
        of_trial(n, mls_sandbox_of(L), path, folder, &e);
    }
    if (e.set) return mls_lua_raise_error(L, &e, NULL);
    n->net = n->m.net;
    return 1;
}

/* net:restore(path [, optimiser]): the numbers of a checkpoint into a net of its shape. */
static int restore(lua_State *L)
{
    lua_settop(L, 3);
    mls_lua_net *n = mls_lua_check_net(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct mls_lua_optimiser *o = mls_lua_test_optimiser(L, 3);
    if (!lua_isnil(L, 3) && (!o || mls_lua_optimiser_net(o) != n->net))
        return mls_lua_raise(L, "net:restore: the optimiser is %s",
                             o ? "that of another net" : luaL_typename(L, 3));
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    mls_error e = { 0 };
    const mls_value *model = read_note(&a, path, &e);
    add_weights(&b, n->net);
    if (o) mls_lua_optimiser_bundle(o, &b);
    if (e.set || !mls_checkpoint_load_part(path, &b, &a, &e))
        return mls_lua_raise_error(L, &e, &a);
    n->forwards = mls_value_get_int(model, "forwards", n->forwards, &e);
    mls_arena_free(&a);
    return 0;
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* tensor.read(path [, data set]) -> free tensor; up to three axes */
static int read_tensor(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1), *set = luaL_optstring(L, 2, "");
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_ctx c = { .error = &e, .path = "tensor", .network = &a };
    mls_array x;
    if (mls_rec_array_file.read(&c, path, set, 0, &x) && x.rank > 3)
        mls_error_set(&e, "%s: \"%s\" has %d axes; a tensor has three", path, set, x.rank);
    if (e.set) return mls_lua_raise_error(L, &e, &a);
    int64_t dim[3] = { 1, 1, 1 };                /* missing axes are the first ones */
    for (int i = 0; i < x.rank; i++) dim[3 - x.rank + i] = x.dim[i];
    float *to = mls_lua_push_free(L, dim[0], dim[1], dim[2]);
    memcpy(to, x.data, (size_t)(dim[0] * dim[1] * dim[2]) * sizeof *to);
    mls_arena_free(&a);
    return 1;
}

/* x:write(path, data set): into a new file, or beside what the file holds already */
static int write_tensor(lua_State *L)
{
    mls_t t = mls_lua_readable(L, 1);
    const char *path = luaL_checkstring(L, 2), *set = luaL_checkstring(L, 3);
    mls_error e = { 0 };
    if (!t) return mls_lua_raise(L, "tensor:write: found a %s value", luaL_typename(L, 1));
    if (!mls_array_write(path, set, t->data, 3, t->dim, &e))
        return mls_lua_raise_error(L, &e, NULL);
    return 0;
}

/* tensor{...}, tensor(t, b, n): a free tensor from a table, or of zeros */
static int new_tensor(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TNUMBER) {
        mls_lua_push_free(L, luaL_checkinteger(L, 1), luaL_optinteger(L, 2, 1),
                          luaL_optinteger(L, 3, 1));
        return 1;
    }
    mls_arena *a = &mls_sandbox_of(L)->arena;
    const mls_mark mark = mls_arena_mark(a);
    int64_t dim[3];
    lua_settop(L, 1);
    const float *x = mls_lua_numbers(L, 1, "mls.tensor", a, dim, NULL);
    float *to = mls_lua_push_free(L, dim[0], dim[1], dim[2]);
    memcpy(to, x, (size_t)(dim[0] * dim[1] * dim[2]) * sizeof *to);
    mls_arena_release(a, mark);
    return 1;
}

void mls_lua_open_files(lua_State *L)
{
    static const luaL_Reg functions[] = { { "load", load }, { "tensor_new", new_tensor },
        { "tensor_read", read_tensor }, { NULL, NULL } };
    static const luaL_Reg methods[] = { { "save", save }, { "restore", restore },
                                        { NULL, NULL } };
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.tensor.methods");
    lua_pushcfunction(L, write_tensor);
    lua_setfield(L, -2, "write");
    lua_pop(L, 1);
    luaL_getmetatable(L, mls_lua_net_name);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 2);
    luaL_setfuncs(L, functions, 0);
}
