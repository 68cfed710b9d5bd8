/* sandbox.h - a Lua state for study files: text chunks only, a short list of names, a
 * limit on memory and on instructions, `require` rooted in the study's folder.
 *
 * What it stops: endless loops (also in coroutines and under pcall), memory hunger,
 * reading or writing anything.  What it does not: a pattern that backtracks for ever
 * inside string.find; a study file is code that its user chose to run.                 */
#ifndef MLS_LUA_SANDBOX_H
#define MLS_LUA_SANDBOX_H

#include "plug/plug.h"

#include <lua.h>

typedef struct mls_sandbox {
    lua_State          *L;
    mls_registry *registry;
    mls_arena           arena;
    char                dir[4096];      /* of the study file, absolute                 */
    size_t              used, most;     /* bytes                                       */
    int64_t             ticks, limit;   /* instructions of this call, in thousands     */
    int                 missing;        /* mls.data did not find a file                */
} mls_sandbox;

enum { MLS_SANDBOX_MEGABYTES = 256, MLS_SANDBOX_TICKS = 200000 };

/* dir: the folder that `require` reads and mls.here names.  NULL and e on failure. */
mls_sandbox *mls_sandbox_new(mls_registry *r, const char *dir, mls_error *e);
void         mls_sandbox_free(mls_sandbox *s);

/* Runs a file and leaves its first result on the stack. 0 and e on failure. */
int mls_sandbox_run(mls_sandbox *s, const char *path, mls_error *e);
/* Calls what lies on the stack under n_args arguments, with a fresh allowance of
 * instructions; results as for lua_call.  0 and e: file.lua:12: what went wrong.       */
int mls_sandbox_call(mls_sandbox *s, int n_args, int n_results, mls_error *e);

/* The sandbox that L belongs to. */
mls_sandbox *mls_sandbox_of(lua_State *L);

#endif
