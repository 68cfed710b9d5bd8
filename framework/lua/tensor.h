/* tensor.h - tensors in Lua, and the operations on them.
 *
 * A step tensor is an mls_t of a forward in progress: it is made by operations, has a
 * history for gradients, and dies with its step.  A free tensor owns its numbers, [d0][d1]
 * [d2] as in C; an operation takes one together with step tensors as a constant.  A dead
 * tensor, a wrong shape and an op's own error are Lua errors at the user's line.
 *
 *   a + b   a - b   a * b   a / b   -a      tensor or number on either side
 *   x:sigmoid()  x:slice(from, n) ...       every operation of the table below
 *   #x, x.shape (steps, batch, features), x:totable(), tostring(x)
 */
#ifndef MLS_LUA_TENSOR_H
#define MLS_LUA_TENSOR_H

#include "grad/ctx.h"

#include <lauxlib.h>
#include <lua.h>

/* A stretch of time in which step tensors are valid; a userdata that they keep alive. */
typedef struct mls_lua_step {
    mls_ctx *c;                   /* NULL: none is running                              */
    uint64_t serial;
} mls_lua_step;

void          mls_lua_tensor_open(lua_State *L);        /* once a state: the metatables  */
mls_lua_step *mls_lua_step_push(lua_State *L);
/* Step tensors made before are dead from now on. */
void          mls_lua_step_begin(mls_lua_step *s, mls_ctx *c);
void          mls_lua_step_end(mls_lua_step *s);
/* step: index of the userdata. */
void          mls_lua_push_tensor(lua_State *L, int step, mls_t t);
/* A step tensor, living, of any step or of s; *step (may be NULL) is its step.          */
mls_t         mls_lua_check_tensor(lua_State *L, int index, mls_lua_step **step);
/* A free tensor: pushes it, zeroed; its numbers.                                        */
float        *mls_lua_push_free(lua_State *L, int64_t d0, int64_t d1, int64_t d2);

/* The operations, first argument a tensor: linear(x, w [, bias]), sigmoid(x) ...; the same
 * functions are methods of a tensor and of the `c` of a component (c:sigmoid(x)).
 * NULL name at the end.                                                                 */
extern const luaL_Reg mls_lua_ops[];

#endif
