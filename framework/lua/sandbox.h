/* sandbox.h - a Lua state for study files: text chunks only, a short list of names, a
 * limit on memory and on instructions, `require` rooted in the study's folder.
 *
 * What it stops: endless loops (also in coroutines and under pcall), memory hunger,
 * reading or writing anything.  What it does not: a pattern that backtracks for ever
 * inside string.find; a study file is code that its user chose to run.                 */
#ifndef MLS_LUA_SANDBOX_H
#define MLS_LUA_SANDBOX_H

#include "lua/slab.h"
#include "plug/plug.h"

#include <lua.h>

/* A file that was run: what a trial's folder keeps of a study. */
typedef struct mls_source {
    const char        *path;            /* "study.lua", "parts/cells.lua": below dir   */
    const char        *name;            /* "cells.lua": as in messages                 */
    const char        *text;
    struct mls_source *next;
} mls_source;

typedef struct mls_sandbox {
    lua_State          *L;
    lua_State          *work;           /* a thread for components: they may run while L
                                           runs a script                               */
    mls_registry *registry;
    mls_arena           arena;
    mls_arena           kept;           /* sources and components: as long as the sandbox */
    mls_source         *source;         /* newest first; the file itself is the last   */
    struct mls_lua_part *part;          /* components declared here (lua/part.h)       */
    struct mls_lua_file *opened;        /* of trials that a script opened              */
    int                 sealed;         /* 1: its file has run, nothing more is declared */
    char                dir[4096];      /* of the study file, absolute                 */
    char                here[4096];     /* where that was when a trial's copy is run   */
    int                 copy;           /* 1: it is such a copy                        */
    mls_slab            slab;
    size_t              used, most;     /* bytes                                       */
    int64_t             ticks, limit;   /* instructions of this call, in thousands     */
    int                 missing;        /* mls.data did not find a file                */
} mls_sandbox;

enum { MLS_SANDBOX_MEGABYTES = 256, MLS_SANDBOX_TICKS = 200000 };

/* dir: the folder that `require` reads and mls.here names.  NULL and e on failure. */
mls_sandbox *mls_sandbox_new(mls_registry *r, const char *dir, mls_error *e);
/* As new, for the files of a study that once lay in `here`: mls.here and mls.data speak of
 * that folder, and data that are absent by now are no error.                            */
mls_sandbox *mls_sandbox_copy(mls_registry *r, const char *dir, const char *here,
                              mls_error *e);
void         mls_sandbox_free(mls_sandbox *s);

/* Runs a file and leaves its first result on the stack. 0 and e on failure. */
int mls_sandbox_run(mls_sandbox *s, const char *path, mls_error *e);
/* Calls what lies on the stack under n_args arguments, with a fresh allowance of
 * instructions; results as for lua_call.  0 and e: file.lua:12: what went wrong.       */
int mls_sandbox_call(mls_sandbox *s, int n_args, int n_results, mls_error *e);
/* As call, on another thread of the state; a call in progress keeps its own allowance. */
int mls_sandbox_call_on(mls_sandbox *s, lua_State *L, int n_args, int n_results,
                        mls_error *e);

/* The sandbox that L belongs to. */
mls_sandbox *mls_sandbox_of(lua_State *L);

#endif
