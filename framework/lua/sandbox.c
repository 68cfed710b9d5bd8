#include "lua/sandbox.h"

#include "lua/bindings.h"
#include "lua/component.h"
#include "lua/part.h"
#include "lua/scripts.h"

#include <ctype.h>
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

mls_sandbox *mls_sandbox_of(lua_State *L)
{
    return *(mls_sandbox **)lua_getextraspace(L);
}

/* ---- limits ---------------------------------------------------------------------------- */

static void *allocate(void *arg, void *old, size_t had, size_t want)
{
    mls_sandbox *s = arg;
    if (!old)
        had = 0;                                 /* then `had` is a kind of object */
    if (want > had && s->used + (want - had) > s->most)
        return NULL;
    void *now = mls_slab_resize(&s->slab, old, had, want);
    if (now || want == 0)
        s->used = s->used - had + want;
    return now;
}

/* After expiry the hook comes at every instruction, so that no pcall in a loop can live
 * on between two of its calls. */
static void tick(lua_State *L, lua_Debug *ar)
{
    mls_sandbox *s = mls_sandbox_of(L);
    (void)ar;
    if (++s->ticks <= s->limit)
        return;
    lua_sethook(L, tick, LUA_MASKCOUNT, 1);
    mls_lua_raise(L, "stopped after %d million instructions: an endless loop?",
                  (int)(s->limit / 1000));
}

/* ---- errors ------------------------------------------------------------------------------- */

/* Turns any error value into text, also one whose __tostring fails. */
static int handler(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        return 1;
    if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK && lua_type(L, -1) == LUA_TSTRING)
            return 1;
    }
    lua_pushfstring(L, "the error is no text but a %s value", luaL_typename(L, 1));
    return 1;
}

int mls_sandbox_call_on(mls_sandbox *s, lua_State *L, int n_args, int n_results,
                        mls_error *e)
{
    const int base = lua_gettop(L) - n_args, mask = lua_gethookmask(L);
    const int count = lua_gethookcount(L);
    const lua_Hook hook = lua_gethook(L);
    const int64_t ticks = s->ticks;
    lua_pushcfunction(L, handler);
    lua_insert(L, base);
    s->ticks = 0;
    lua_sethook(L, tick, LUA_MASKCOUNT, 1000);
    const int status = lua_pcall(L, n_args, n_results, base);
    lua_sethook(L, hook, mask, count);
    s->ticks = ticks;
    lua_remove(L, base);
    if (status == LUA_OK)
        return 1;
    const char *text = lua_tostring(L, -1);
    mls_error_set(e, "%s%s", text ? text : "an error without text",
                  status == LUA_ERRMEM ? " (a study file has 256 MiB)" : "");
    lua_pop(L, 1);
    return 0;
}

int mls_sandbox_call(mls_sandbox *s, int n_args, int n_results, mls_error *e)
{
    return mls_sandbox_call_on(s, s->L, n_args, n_results, e);
}

/* ---- files -------------------------------------------------------------------------------- */

/* What lies in the folder keeps its path there, anything else its name. */
static void keep_source(mls_sandbox *s, const char *path, const char *text)
{
    const size_t own = strlen(s->dir);
    const int inside = strncmp(path, s->dir, own) == 0 && path[own] == '/';
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    mls_source *f = mls_arena_alloc(&s->kept, sizeof *f);
    if (!f)
        return;
    *f = (mls_source){ mls_arena_strdup(&s->kept, inside ? path + own + 1 : name),
                       mls_arena_strdup(&s->kept, name), mls_arena_strdup(&s->kept, text),
                       s->source };
    if (f->path && f->name && f->text)
        s->source = f;
}

/* Pushes the chunk of a file, whose name in messages is its last part. */
static int load_file(mls_sandbox *s, const char *path, mls_error *e)
{
    enum { MOST = 1 << 22 };
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(MOST + 1) : NULL;
    const size_t n = text ? fread(text, 1, MOST + 1, f) : 0;
    char name[300];
    const char *slash = strrchr(path, '/');
    snprintf(name, sizeof name, "@%s", slash ? slash + 1 : path);
    if (!f || !text || ferror(f))
        mls_error_set(e, "cannot read %s: %s", path, strerror(errno));
    else if (n > MOST)
        mls_error_set(e, "%s is longer than 4 MiB", path);
    if (f)
        fclose(f);
    size_t skip = 0;
    while (text && skip < n && text[0] == '#' && text[skip] != '\n')
        skip++;                                  /* a line "#!/usr/bin/mls run" */
    /* "t": text only; bytecode can break the interpreter */
    if (!e->set && luaL_loadbufferx(s->L, text + skip, n - skip, name, "t") != LUA_OK) {
        mls_error_set(e, "%s", lua_tostring(s->L, -1));
        lua_pop(s->L, 1);
    }
    if (!e->set) {
        text[n] = 0;
        keep_source(s, path, text);
    }
    free(text);
    if (e->set)
        return 0;
    lua_getfield(s->L, LUA_REGISTRYINDEX, "mls.env");
    lua_setupvalue(s->L, -2, 1);
    return 1;
}

int mls_sandbox_run(mls_sandbox *s, const char *path, mls_error *e)
{
    return load_file(s, path, e) && mls_sandbox_call(s, 0, 1, e);
}

/* require "parts.cells" reads <dir>/parts/cells.lua, once; "mls" is built in. */
static int require(lua_State *L)
{
    mls_sandbox *s = mls_sandbox_of(L);
    const char *name = luaL_checkstring(L, 1);
    char path[8300], real[PATH_MAX];
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.modules");
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    size_t n = (size_t)snprintf(path, sizeof path, "%s/", s->dir);
    int word = 0;
    for (const char *p = name; *p && n < sizeof path - 8; p++) {
        const int dot = *p == '.' && word;
        if (!dot && !isalnum((unsigned char)*p) && *p != '_')
            return luaL_error(L, "require \"%s\": a module's name is words joined by dots",
                              name);
        word = !dot;
        path[n++] = dot ? '/' : *p;
    }
    snprintf(path + n, sizeof path - n, ".lua");
    if (!realpath(path, real))
        return luaL_error(L, "require \"%s\": cannot read %s: %s", name, path,
                          strerror(errno));
    const size_t own = strlen(s->dir);
    if (strncmp(real, s->dir, own) != 0 || real[own] != '/')
        return luaL_error(L, "require \"%s\": %s is outside of the study's folder", name,
                          real);
    mls_error e = { 0 };
    if (!load_file(s, real, &e)) {
        lua_pushstring(L, e.text);
        return lua_error(L);
    }
    if (L != s->L)                               /* called in a coroutine */
        lua_xmove(s->L, L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    return 1;
}

/* setmetatable without __gc: finalizers run where the hook does not. */
static int set_metatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const int type = lua_type(L, 2);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
        return luaL_error(L, "cannot change a protected metatable");
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "__gc is not allowed in a study file");
    }
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

/* ---- making ---------------------------------------------------------------------------------- */

/* Pushes the result of one of our own scripts given n arguments on the stack. */
static void own_script(lua_State *L, const char *text, int n_args)
{
    if (luaL_loadbufferx(L, text, strlen(text), MLS_LUA_OWN, "t") != LUA_OK)
        lua_error(L);
    lua_insert(L, -1 - n_args);
    lua_call(L, n_args, 1);
}

static int load_modes(lua_State *L)
{
    own_script(L, mls_lua_modes, lua_gettop(L));
    return 1;
}

static int load_component(lua_State *L)
{
    own_script(L, mls_lua_component, lua_gettop(L));
    return 1;
}

/* env: the names that a study file sees. */
static void environment(lua_State *L)
{
    static const char *const plain[] = { "assert", "error", "ipairs", "next", "pairs",
        "pcall", "xpcall", "select", "tonumber", "tostring", "type", "rawequal", "rawlen",
        "rawget", "rawset", "getmetatable", "string", "table", "math", "utf8", "coroutine" };
    lua_newtable(L);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        lua_getglobal(L, plain[i]);
        lua_setfield(L, -2, plain[i]);
    }
    lua_getfield(L, -1, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
    lua_pushcfunction(L, set_metatable);
    lua_setfield(L, -2, "setmetatable");
    lua_pushcfunction(L, require);
    lua_setfield(L, -2, "require");
    lua_pushliteral(L, LUA_VERSION);
    lua_setfield(L, -2, "_VERSION");
}

static int set_up(lua_State *L)
{
    mls_sandbox *s = mls_sandbox_of(L);
    s->work = lua_newthread(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.work");
    static const luaL_Reg libraries[] = { { LUA_GNAME, luaopen_base },
        { LUA_STRLIBNAME, luaopen_string }, { LUA_TABLIBNAME, luaopen_table },
        { LUA_MATHLIBNAME, luaopen_math }, { LUA_UTF8LIBNAME, luaopen_utf8 },
        { LUA_COLIBNAME, luaopen_coroutine }, { LUA_DBLIBNAME, luaopen_debug } };
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
        lua_pop(L, 1);
    }
    lua_getglobal(L, "math");                    /* 5.4 seeds itself by the clock */
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, 1);
    lua_call(L, 1, 0);
    lua_pop(L, 1);

    environment(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.env");
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.modules");

    mls_lua_native(L);                           /* env native */
    lua_pushcfunction(L, load_modes);
    lua_setfield(L, -2, "load_modes");
    lua_pushcfunction(L, load_component);
    lua_setfield(L, -2, "load_component");
    lua_pushvalue(L, -2);                        /* env native env */
    lua_getfield(L, -2, "nearest");
    lua_getglobal(L, "debug");
    lua_getfield(L, -1, "getinfo");
    lua_remove(L, -2);
    own_script(L, mls_lua_strict, 3);            /* env native env */
    lua_pop(L, 1);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_insert(L, -2);                           /* env native native env */
    own_script(L, mls_lua_mls, 2);               /* env native mls */
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.modules");
    lua_insert(L, -2);
    lua_setfield(L, -2, "mls");
    lua_pop(L, 2);
    lua_pop(L, 1);
    return 0;
}

mls_sandbox *mls_sandbox_new(mls_registry *r, const char *dir, mls_error *e)
{
    return mls_sandbox_copy(r, dir, NULL, e);
}

mls_sandbox *mls_sandbox_copy(mls_registry *r, const char *dir, const char *here,
                              mls_error *e)
{
    mls_sandbox *s = calloc(1, sizeof *s);
    char real[PATH_MAX];
    if (!s || !realpath(dir, real) || strlen(real) >= sizeof s->dir) {
        mls_error_set(e, "cannot use the folder %s: %s", dir, strerror(errno));
        free(s);
        return NULL;
    }
    strcpy(s->dir, real);
    snprintf(s->here, sizeof s->here, "%s", here ? here : real);
    s->copy = here != NULL;
    s->registry = r;
    s->most = (size_t)MLS_SANDBOX_MEGABYTES << 20;
    s->limit = MLS_SANDBOX_TICKS;
    s->L = lua_newstate(allocate, s);
    if (!s->L) {
        mls_error_set(e, "no memory for Lua");
        free(s);
        return NULL;
    }
    *(mls_sandbox **)lua_getextraspace(s->L) = s;
    lua_gc(s->L, LUA_GCINC, 150, 200, 0);
    lua_pushcfunction(s->L, set_up);
    if (!mls_sandbox_call(s, 0, 0, e)) {
        mls_sandbox_free(s);
        return NULL;
    }
    return s;
}

void mls_sandbox_free(mls_sandbox *s)
{
    if (!s)
        return;
    lua_close(s->L);
    mls_lua_files_free(s->opened);
    mls_lua_components_free(s);
    mls_slab_free(&s->slab);
    mls_arena_free(&s->arena);
    mls_arena_free(&s->kept);
    free(s);
}
