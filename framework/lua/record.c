/* net:record: values inside of a net, seen while it runs. */
#include "lua/model.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

struct mls_lua_tap {
    mls_lua_tap *next;
    const char  *name;            /* "layer0.enc.spikes"                                  */
    int64_t      rows, width;     /* steps told so far                                    */
    float       *data;            /* [T][B][width]                                        */
};

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

void mls_lua_push_taps(lua_State *L, const mls_lua_net *n)
{
    lua_newtable(L);
    for (const mls_lua_tap *t = n->tap; t; t = t->next) {
        if (!t->data) mls_lua_raise(L, "out of memory for the recording of %s", t->name);
        float *to = mls_lua_push_free(L, t->rows, n->batch.batch, t->width);
        memcpy(to, t->data, (size_t)(t->rows * n->batch.batch * t->width) * sizeof *to);
        lua_setfield(L, -2, t->name);
    }
}

mls_observer mls_lua_observer(mls_lua_net *n)
{
    return (mls_observer){ n, wanted, told };
}

/* ---- channels ------------------------------------------------------------------------------------ */

static int n_channels(lua_State *L, mls_lua_net *n, mls_channel **list, mls_arena *a)
{
    mls_lua_idle(L, n, "net:channels and net:record");
    mls_run *run = n->n_runs ? n->run[0].run : mls_lua_run_for(L, n, 1, 0);
    /* its dry run has tensors of its own, but the context that it shares is now another's */
    n->busy = 1;
    const int count = mls_run_channels(run, list, a);
    n->busy = 0;
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

void mls_lua_open_record(lua_State *L)
{
    static const luaL_Reg methods[] = { { "channels", channels }, { "record", record },
                                        { NULL, NULL } };
    luaL_getmetatable(L, mls_lua_net_name);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 2);
}
