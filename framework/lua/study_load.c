#include "lua/study_load.h"

#include "lua/component.h"
#include "lua/convert.h"
#include "lua/part.h"
#include "lua/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mls_study {
    mls_sandbox    *box;
    mls_arena       arena;
    mls_plan_source source;
};

/* A call that converts must itself be protected: Lua may run out of memory anywhere. */
typedef struct question {
    mls_study       *s;
    const mls_value *point;
    mls_arena       *a;
    mls_value       *answer;
    int              keep;
    mls_error       *e;
} question;

static int ask_where(lua_State *L)
{
    question *q = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.study");
    if (lua_getfield(L, -1, "where") == LUA_TNIL) {
        q->keep = 1;
        return 0;
    }
    mls_lua_push_value(L, q->point);
    lua_call(L, 1, 1);
    q->keep = lua_toboolean(L, -1);
    return 0;
}

static int where(void *arg, const mls_value *point, mls_error *e)
{
    mls_study *s = arg;
    question q = { .s = s, .point = point };
    lua_pushcfunction(s->box->L, ask_where);
    lua_pushlightuserdata(s->box->L, &q);
    return mls_sandbox_call(s->box, 1, 0, e) ? q.keep : -1;
}

static int ask_config(lua_State *L)
{
    question *q = lua_touserdata(L, 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.native");
    lua_getfield(L, -1, "config");
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.study");
    mls_lua_push_value(L, q->point);
    lua_call(L, 2, 1);
    q->answer = mls_lua_to_value(L, -1, q->a, "the study", 0, q->e);
    return 0;
}

static mls_value *config(void *arg, mls_arena *a, const mls_value *point, mls_error *e)
{
    mls_study *s = arg;
    question q = { .s = s, .point = point, .a = a, .e = e };
    lua_pushcfunction(s->box->L, ask_config);
    lua_pushlightuserdata(s->box->L, &q);
    return mls_sandbox_call(s->box, 1, 0, e) ? q.answer : NULL;
}

/* All fields but those that config() asks for point by point. */
static int ask_settings(lua_State *L)
{
    static const char *const dynamic[] = { "network", "task", "train", "where" };
    question *q = lua_touserdata(L, 1);
    lua_newtable(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "mls.study");
    for (lua_pushnil(L); lua_next(L, -2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -5);
    }
    for (int i = 0; i < 4; i++) {
        lua_pushnil(L);
        lua_setfield(L, -3, dynamic[i]);
    }
    mls_lua_place_like(L, -2, -1);
    q->answer = mls_lua_to_value(L, -2, q->a, "study", 0, q->e);
    return 0;
}

static int read_settings(mls_study *s, mls_error *e)
{
    question q = { .s = s, .a = &s->arena, .e = e };
    lua_pushcfunction(s->box->L, ask_settings);
    lua_pushlightuserdata(s->box->L, &q);
    if (!mls_sandbox_call(s->box, 1, 0, e) || e->set)
        return 0;
    mls_value *floors = mls_value_get(q.answer, "floors"), *v;
    static const char *const columns[] = { "name", "value", NULL };
    for (int i = 0; floors && floors->kind == MLS_V_LIST && i < floors->n; i++)
        mls_value_only(floors->item[i], columns, "a floor", e);
    static const char *const compare[] = { "by", "against", "over", NULL };
    if ((v = mls_value_get(q.answer, "compare")))
        mls_value_only(v, compare, "compare", e);
    s->source = (mls_plan_source){ .registry = s->box->registry, .settings = q.answer,
                                   .where = where, .config = config, .arg = s };
    return !e->set;
}

mls_study *mls_study_load(const char *path, mls_registry *r, int *missing,
                          mls_error *e)
{
    char dir[4096];
    const char *slash = strrchr(path, '/');
    if (missing)
        *missing = 0;
    if (slash && (size_t)(slash - path) >= sizeof dir) {
        mls_error_set(e, "the path of the study is too long");
        return NULL;
    }
    snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : slash ? (int)(slash - path) : 1,
             slash ? path : ".");
    mls_study *s = calloc(1, sizeof *s);
    if (!s) {
        mls_error_set(e, "no memory for a study");
        return NULL;
    }
    s->box = mls_sandbox_new(r, dir, e);
    if (s->box && mls_sandbox_run(s->box, path, e)) {
        lua_State *L = s->box->L;
        mls_lua_components_seal(s->box);
        lua_getfield(L, LUA_REGISTRYINDEX, "mls.study");
        if (!lua_istable(L, -1) || !lua_rawequal(L, -1, -2))
            mls_error_set(e, "%s: a study file ends with `return mls.study {...}`; this one "
                          "returned a %s value", slash ? slash + 1 : path,
                          luaL_typename(L, -2));
        lua_pop(L, 2);
        if (!e->set)
            read_settings(s, e);
    }
    if (missing && s->box)
        *missing = s->box->missing;
    if (e->set) {
        mls_study_free(s);
        return NULL;
    }
    return s;
}

void mls_study_free(mls_study *s)
{
    if (!s)
        return;
    mls_sandbox_free(s->box);
    mls_arena_free(&s->arena);
    free(s);
}

const mls_plan_source *mls_study_source(const mls_study *s) { return &s->source; }

mls_value *mls_study_sources(const mls_study *s, const mls_value *config, mls_arena *a,
                           mls_error *e)
{
    return mls_lua_trial_sources(s->box, config, a, e);
}

int mls_study_missing(const mls_study *s) { return s->box->missing; }
