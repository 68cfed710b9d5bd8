#include "lua/constructor.h"

#include "lua/convert.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <string.h>

typedef struct question { mls_arena *a; mls_value *answer; mls_error *e; } question;

static int convert(lua_State *L)
{
    question *q = lua_touserdata(L, 2);
    q->answer = mls_lua_to_value(L, 1, q->a, "the component", 0, q->e);
    return 0;
}

/* "local mixer = mls.mixer ..." for what stands inside: mixer.moe{experts={liquid.cfc{}}}. */
static const char *kinds(const mls_registry *r, mls_arena *a)
{
    const char *text = "";
    for (int i = 0; i < r->n_components; i++) {
        const char *kind = r->component[i]->kind;
        if (!kind[strspn(kind, "abcdefghijklmnopqrstuvwxyz_")] &&
            (!i || strcmp(kind, r->component[i - 1]->kind)))
            text = mls_arena_printf(a, "%slocal %s = mls['%s'] ", text, kind, kind);
    }
    return text;
}

static void evaluate(mls_sandbox *s, const char *text, question *q)
{
    lua_State *L = s->L;
    if (!strncmp(text, "mls.", 4)) text += 4;
    const char *chunk = mls_arena_printf(q->a, "local mls = require 'mls'; %s return mls.%s%s",
                                         kinds(s->registry, q->a), text,
                                         strpbrk(text, "{(\"'") ? "" : "{}");
    if (!chunk || luaL_loadbufferx(L, chunk, strlen(chunk), "=constructor", "t") != LUA_OK) {
        mls_error_set(q->e, "\"%.200s\" is no constructor such as liquid.cfc{units=4}: %s", text,
                      chunk ? lua_tostring(L, -1) : "no memory");
        return;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.env");
    lua_setupvalue(L, -2, 1);
    if (!mls_sandbox_call(s, 0, 1, q->e)) return;
    if (!lua_istable(L, -1)) {
        mls_error_set(q->e, "\"%.200s\" is a %s, expected a component such as "
                      "liquid.cfc{units=4}", text, luaL_typename(L, -1));
        return;
    }
    lua_pushcfunction(L, convert);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, q);
    mls_sandbox_call(s, 2, 0, q->e);
}

mls_value *mls_lua_constructor(mls_registry *r, const char *text, mls_arena *a, mls_error *e)
{
    question q = { a, NULL, e };
    mls_sandbox *s = mls_sandbox_new(r, ".", e);
    if (!s) return NULL;
    evaluate(s, text, &q);
    mls_sandbox_free(s);
    if (!e->set && (!q.answer || !mls_value_get(q.answer, "component")))
        mls_error_set(e, "\"%.200s\" is no component such as liquid.cfc{units=4}", text);
    return e->set ? NULL : q.answer;
}
