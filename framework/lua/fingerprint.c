/* What decides a component's results: the text of its functions and of those that they
 * call, the constants that they close over, its options and ports.  Editing anything else
 * in the file - seeds, another component, a comment between them - is no reason to run a
 * trial again. */
#include "base/hash.h"
#include "lua/part.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 60 };

/* Indices on the stack: list of texts; objects seen -> number; the module mls; the
 * environment. */
enum { LIST = 2, SEEN = 3, MODULE = 4, ENVIRONMENT = 5 };

typedef struct print { lua_State *L; mls_sandbox *s; lua_Integer n, objects; int depth; } print;

static void add(print *p)                        /* the text on top of the stack */
{
    lua_rawseti(p->L, LIST, ++p->n);
}

static void add_text(print *p, const char *text)
{
    lua_pushstring(p->L, text);
    add(p);
}

static void value(print *p, int index);

/* 1 when the object at index was met before; then its number is told. */
static int met(print *p, int index)
{
    lua_State *L = p->L;
    lua_pushvalue(L, index);
    const int known = lua_rawget(L, SEEN) == LUA_TNUMBER;
    if (known) {
        lua_pushfstring(L, "#%I", (LUAI_UACINT)lua_tointeger(L, -1));
        add(p);
    } else {
        lua_pushvalue(L, index);
        lua_pushinteger(L, ++p->objects);
        lua_rawset(L, SEEN);
    }
    lua_pop(L, 1);
    return known;
}

/* ---- tables ------------------------------------------------------------------------------ */

typedef struct entry { const char *label; lua_Integer at; } entry;

static int by_label(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->label, ((const entry *)b)->label);
}

/* Entries in the order of their keys' texts. */
static void table(print *p, int index)
{
    lua_State *L = p->L;
    lua_Integer n = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        n++;
    entry *list = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *list, 0);
    lua_newtable(L);                             /* keys and their texts */
    const int keys = lua_gettop(L);
    lua_Integer i = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const int type = lua_type(L, -2);
        if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
            continue;                            /* has no text that lasts */
        lua_pushvalue(L, -2);
        lua_rawseti(L, keys, 2 * i + 1);
        lua_pushvalue(L, -2);
        list[i].label = luaL_tolstring(L, -1, NULL);
        list[i].at = 2 * i + 1;
        lua_rawseti(L, keys, 2 * i + 2);
        lua_pop(L, 1);
        i++;
    }
    qsort(list, (size_t)i, sizeof *list, by_label);
    add_text(p, "{");
    for (lua_Integer k = 0; k < i; k++) {
        add_text(p, list[k].label);
        add_text(p, "=");
        lua_rawgeti(L, keys, list[k].at);
        lua_rawget(L, index);
        value(p, lua_gettop(L));
        lua_pop(L, 1);
    }
    add_text(p, "}");
    if (lua_getmetatable(L, index))
        value(p, lua_gettop(L));
}

/* ---- functions ----------------------------------------------------------------------------- */

static const char *line_start(const char *text, int line)
{
    for (int i = 1; i < line && text; i++)
        text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
    return text;
}

/* Lines first to last of every file of that name (there is one, as a rule). */
static void source(print *p, const char *name, int first, int last)
{
    for (const mls_source *f = p->s->source; f; f = f->next) {
        const char *from = strcmp(f->name, name) == 0 ? line_start(f->text, first) : NULL;
        if (!from)
            continue;
        const char *to = line_start(from, last - first + 2);
        lua_pushlstring(p->L, from, to ? (size_t)(to - from) : strlen(from));
        add(p);
    }
}

/* The globals that the function's text names. */
static void globals(print *p, const char *text)
{
    lua_State *L = p->L;
    char word[200];
    for (const char *c = text; *c;) {
        size_t n = 0;
        while (isalnum((unsigned char)c[n]) || c[n] == '_')
            n++;
        if (n && n < sizeof word) {
            memcpy(word, c, n);
            word[n] = 0;
            lua_pushstring(L, word);
            if (lua_rawget(L, ENVIRONMENT) != LUA_TNIL) {
                add_text(p, word);
                value(p, lua_gettop(L));
            }
            lua_pop(L, 1);
        }
        c += n ? n : 1;
    }
}

static void function(print *p, int index)
{
    lua_State *L = p->L;
    lua_Debug ar;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    if (*ar.source != '@') {                     /* of C, or of our own scripts */
        add_text(p, "function");
        return;
    }
    const lua_Integer before = p->n;
    source(p, ar.source + 1, ar.linedefined, ar.lastlinedefined);
    const lua_Integer after = p->n;
    for (int i = 1;; i++) {
        const char *name = lua_getupvalue(L, index, i);
        if (!name)
            break;
        const int top = lua_gettop(L);
        if (lua_rawequal(L, top, ENVIRONMENT)) {
            for (lua_Integer k = before + 1; k <= after; k++) {
                lua_rawgeti(L, LIST, k);
                globals(p, lua_tostring(L, -1));
                lua_pop(L, 1);
            }
        } else {
            add_text(p, name);
            value(p, top);
        }
        lua_settop(L, top - 1);
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static void value(print *p, int index)
{
    lua_State *L = p->L;
    const int top = lua_gettop(L), type = lua_type(L, index);
    luaL_checkstack(L, 20, NULL);
    if (type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN) {
        lua_pushstring(L, luaL_typename(L, index));
        add(p);
        luaL_tolstring(L, index, NULL);
        if (lua_type(L, index) == LUA_TNUMBER && !lua_isinteger(L, index)) {
            char exact[40];
            lua_Number x = lua_tonumber(L, index);
            snprintf(exact, sizeof exact, "%a", x);
            lua_pushstring(L, exact);
            lua_replace(L, -2);
        }
        add(p);
    } else if (type != LUA_TTABLE && type != LUA_TFUNCTION) {
        add_text(p, luaL_typename(L, index));
    } else if (lua_rawequal(L, index, MODULE) || lua_rawequal(L, index, ENVIRONMENT)) {
        add_text(p, "mls");
    } else if (!met(p, index) && p->depth < DEEPEST) {
        p->depth++;
        if (type == LUA_TTABLE)
            table(p, index);
        else
            function(p, index);
        p->depth--;
    }
    lua_settop(L, top);
}

int mls_lua_fingerprint(lua_State *L)
{
    const mls_lua_part *part = lua_touserdata(L, 1);
    print p = { .L = L, .s = part->box };
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.modules");
    lua_getfield(L, -1, "mls");
    lua_remove(L, -2);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.env");
    lua_rawgeti(L, LUA_REGISTRYINDEX, part->form);
    value(&p, lua_gettop(L));
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= p.n; i++) {
        lua_rawgeti(L, LIST, i);
        luaL_addvalue(&b);
        luaL_addchar(&b, '\0');
    }
    luaL_pushresult(&b);
    size_t size;
    char hash[65];
    const char *text = lua_tolstring(L, -1, &size);
    mls_hash_bytes(text, size, hash);
    lua_pushstring(L, hash);
    return 1;
}
