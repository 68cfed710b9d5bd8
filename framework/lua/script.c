/* A Lua state for programs, its errors and its interruption. */
#include "lua/script.h"

#include "lua/bindings.h"
#include "lua/model.h"
#include "lua/sandbox.h"

#include <lualib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern const char mls_lua_script[];

enum { HOOK_EVERY = 200, INTERRUPTED = 130 };

typedef struct script {
    mls_sandbox        *box;
    volatile int       *stop;
    int                 loops;       /* of mls.progress that are running               */
    int                 interrupted;
} script;

static script *script_of(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.script");
    script *s = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return s;
}

/* ---- what script.lua asks for ------------------------------------------------------------- */

static int clock_now(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    lua_pushnumber(L, (double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
    return 1;
}

static int terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(2));
    return 1;
}

static int say(lua_State *L)
{
    fputs(luaL_checkstring(L, 1), stderr);
    fflush(stderr);
    return 0;
}

static int enter(lua_State *L)
{
    script_of(L)->loops++;
    return 0;
}

static int leave(lua_State *L)
{
    script *s = script_of(L);
    if (s->loops > 0) s->loops--;
    return 0;
}

/* strict_methods(index of nets, index of data): wrong names are errors with a suggestion. */
static int strict_methods(lua_State *L)
{
    luaL_getmetatable(L, mls_lua_net_name);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "__index");
    luaL_getmetatable(L, mls_lua_data_name);
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "__index");
    return 0;
}

/* Once: from here on the script goes on as if nothing had been, but for its status. */
static int interrupted(lua_State *L)
{
    script *s = script_of(L);
    const int now = *s->stop;
    if (now) {
        s->interrupted = 1;
        *s->stop = 0;
    }
    lua_pushboolean(L, now);
    return 1;
}

static void watch(lua_State *L, lua_Debug *ar)
{
    script *s = script_of(L);
    (void)ar;
    if (!*s->stop || s->loops) return;
    s->interrupted = 1;
    mls_lua_raise(L, "interrupted");
}

/* ---- errors -------------------------------------------------------------------------------- */

/* The user's lines only: frames of C and of our own scripts are left out.  A single one
 * that the message names already says nothing new.                                      */
static void add_frames(lua_State *L, const char *text, luaL_Buffer *b)
{
    enum { MOST = 24, WIDTH = 200 };
    char line[MOST][WIDTH];
    lua_Debug ar;
    int n = 0;
    for (int level = 1; n < MOST && lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Snl", &ar);
        if (ar.source[0] != '@' || ar.currentline <= 0) continue;
        snprintf(line[n++], WIDTH, "%s:%d: in %.80s", ar.short_src, ar.currentline,
                 !strcmp(ar.what, "main") ? "the script" : ar.name ? ar.name : "a function");
    }
    if (n == 1 && !strncmp(text, line[0], strcspn(line[0], " "))) return;
    if (n) luaL_addstring(b, "\ncalled from");
    for (int i = 0; i < n; i++) {
        luaL_addstring(b, "\n  ");
        luaL_addstring(b, line[i]);
    }
}

static int traceback(lua_State *L)
{
    luaL_Buffer b;
    if (lua_type(L, 1) != LUA_TSTRING && luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL)
        lua_pushfstring(L, "the error is no text but a %s value", luaL_typename(L, 1));
    else
        luaL_tolstring(L, 1, NULL);
    const int text = lua_gettop(L);
    luaL_buffinit(L, &b);
    lua_pushvalue(L, text);
    luaL_addvalue(&b);
    add_frames(L, lua_tostring(L, text), &b);
    luaL_pushresult(&b);
    return 1;
}

/* Calls the function under n arguments; 0 and e on an error. */
static int call(script *s, int n, int results, mls_error *e)
{
    lua_State *L = s->box->L;
    const int base = lua_gettop(L) - n;
    lua_pushcfunction(L, traceback);
    lua_insert(L, base);
    lua_sethook(L, watch, LUA_MASKCOUNT, HOOK_EVERY);
    const int status = lua_pcall(L, n, results, base);
    lua_sethook(L, NULL, 0, 0);
    lua_remove(L, base);
    if (status == LUA_OK) return 1;
    const char *text = lua_tostring(L, -1);
    mls_error_set(e, "%s", text ? text : "an error without text");
    lua_pop(L, 1);
    return 0;
}

/* ---- the state ----------------------------------------------------------------------------- */

static int set_up(lua_State *L)
{
    static const luaL_Reg own[] = { { "clock", clock_now }, { "terminal", terminal },
        { "say", say }, { "enter", enter }, { "leave", leave },
        { "interrupted", interrupted }, { "strict_methods", strict_methods },
        { NULL, NULL } };
    luaL_openlibs(L);
    mls_lua_tensor_open(L);
    luaL_newlib(L, own);
    mls_lua_open_net(L);
    mls_lua_open_weights(L);
    mls_lua_open_loss(L);
    mls_lua_open_data(L);
    mls_lua_open_optimiser(L);
    mls_lua_open_files(L);
    luaL_getmetatable(L, mls_lua_net_name);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -3, "net_methods");
    luaL_getmetatable(L, mls_lua_data_name);
    lua_getfield(L, -1, "__index");
    lua_setfield(L, -4, "data_methods");
    lua_pop(L, 2);                               /* core */
    if (luaL_loadbufferx(L, mls_lua_script, strlen(mls_lua_script), MLS_LUA_OWN, "t"))
        return lua_error(L);
    lua_insert(L, -2);                           /* chunk core */
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.modules");
    lua_getfield(L, -1, "mls");
    lua_remove(L, -2);
    lua_insert(L, -2);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.native");
    lua_insert(L, -2);                           /* chunk mls native core */
    lua_call(L, 3, 0);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.modules");
    lua_getfield(L, -1, "mls");
    lua_setfield(L, -3, "mls");
    return 0;
}

static void close_script(script *s) { mls_sandbox_free(s->box); }

/* Modules beside the script are found wherever it is started from. */
static void search_path(lua_State *L, const char *dir)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", dir, dir, lua_tostring(L, -1));
    lua_setfield(L, -3, "path");
    lua_pop(L, 2);
}

static int open_script(script *s, const char *dir, const mls_script_options *o, mls_error *e)
{
    *s = (script){ .box = mls_sandbox_new(o->registry, dir, e), .stop = o->stop };
    if (!s->box) return 0;
    lua_State *L = s->box->L;
    s->box->most = SIZE_MAX;
    s->box->limit = INT64_MAX;
    lua_pushlightuserdata(L, s);
    lua_setfield(L, LUA_REGISTRYINDEX, "mls.script");
    lua_pushcfunction(L, set_up);
    if (!call(s, 0, 0, e)) {
        close_script(s);
        return 0;
    }
    search_path(L, dir);
    return 1;
}

static void set_arg(lua_State *L, const char *path, const mls_script_options *o)
{
    lua_createtable(L, o->argc, 1);
    lua_pushstring(L, path);
    lua_rawseti(L, -2, 0);
    for (int i = 0; i < o->argc; i++) {
        lua_pushstring(L, o->argv[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setglobal(L, "arg");
}

int mls_script_run(const char *path, const mls_script_options *o, mls_error *e)
{
    char dir[4096] = ".";
    const char *slash = strrchr(path, '/');
    script s;
    if (slash) snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (access(path, R_OK)) {
        mls_error_set(e, "%s: cannot be read", path);
        return 1;
    }
    if (!open_script(&s, dir, o, e)) return 1;
    lua_State *L = s.box->L;
    set_arg(L, path, o);
    if (luaL_loadfilex(L, path, "t") != LUA_OK) {
        mls_error_set(e, "%s", lua_tostring(L, -1));
    } else {
        luaL_checkstack(L, o->argc + 4, NULL);
        for (int i = 0; i < o->argc; i++) lua_pushstring(L, o->argv[i]);
        call(&s, o->argc, 0, e);
    }
    const int status = s.interrupted ? INTERRUPTED : e->set ? 1 : 0;
    close_script(&s);
    return status;
}

/* ---- lines typed in -------------------------------------------------------------------------- */

/* 1: a function is on the stack; 0: nothing is, e is set; -1: the text goes on. */
static int compile(lua_State *L, const char *text, mls_error *e)
{
    const char *expression = *text == '=' ? text + 1 : text;
    const char *with = lua_pushfstring(L, "return %s", expression);
    const int ok = luaL_loadbufferx(L, with, strlen(with), "@repl", "t") == LUA_OK;
    lua_remove(L, -2);
    if (ok) return 1;
    lua_pop(L, 1);
    if (luaL_loadbufferx(L, text, strlen(text), "@repl", "t") == LUA_OK) return 1;
    size_t n;
    const char *why = lua_tolstring(L, -1, &n);
    const int more = n >= 5 && !strcmp(why + n - 5, "<eof>");
    if (!more) mls_error_set(e, "%s", why);
    lua_pop(L, 1);
    return more ? -1 : 0;
}

static int show(lua_State *L)
{
    const int n = lua_gettop(L);
    for (int i = 1; i <= n; i++) {
        fputs(luaL_tolstring(L, i, NULL), stdout);
        fputc(i < n ? '\t' : '\n', stdout);
        lua_pop(L, 1);
    }
    fflush(stdout);
    return 0;
}

static void evaluate(script *s, mls_error *e)
{
    lua_State *L = s->box->L;
    const int base = lua_gettop(L) - 1;
    if (!call(s, 0, LUA_MULTRET, e)) return;
    const int n = lua_gettop(L) - base;
    if (n > 0) {
        lua_pushcfunction(L, show);
        lua_insert(L, base + 1);
        call(s, n, 0, e);
    }
    lua_settop(L, base);
}

static void prompt(int terminal_in, const char *text)
{
    if (!terminal_in) return;
    fputs(text, stdout);
    fflush(stdout);
}

int mls_script_repl(const mls_script_options *o, mls_error *e)
{
    script s;
    char *text = NULL, *line = NULL;
    size_t room = 0;
    const int asks = isatty(0);
    if (!open_script(&s, ".", o, e)) return 1;
    lua_State *L = s.box->L;
    set_arg(L, "repl", o);
    lua_getglobal(L, "require");                 /* mls is there without asking */
    lua_pushliteral(L, "mls");
    if (call(&s, 1, 1, e)) lua_setglobal(L, "mls");
    if (asks) fputs("mls: lines of Lua; Ctrl-D ends\n", stdout);
    while (!e->set) {
        prompt(asks, text ? ">> " : "> ");
        const ssize_t n = getline(&line, &room, stdin);
        *o->stop = 0;
        s.interrupted = s.loops = 0;
        if (n < 0) break;
        const size_t had = text ? strlen(text) : 0;
        char *longer = realloc(text, had + (size_t)n + 1);
        if (!longer) {
            mls_error_set(e, "out of memory for a line");
            break;
        }
        text = longer;
        memcpy(text + had, line, (size_t)n + 1);
        mls_error own = { 0 };
        const int whole = compile(L, text, &own);
        if (whole < 0) continue;
        if (whole) evaluate(&s, &own);
        if (own.set) fprintf(stderr, "%s\n", own.text);
        free(text);
        text = NULL;
    }
    if (asks) fputc('\n', stdout);
    free(text);
    free(line);
    close_script(&s);
    return e->set;
}
