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
 *
 * Indices of operations (slice, steps, get) count from 0, as in plugin.h; the tables that
 * totable gives and that tensors are made of are Lua's, from 1.
 */
#ifndef MLS_LUA_TENSOR_H
#define MLS_LUA_TENSOR_H

#include "grad/ctx.h"

#include <lauxlib.h>
#include <lua.h>

/* A stretch of time in which step tensors are valid; a userdata that they keep alive. */
typedef struct mls_lua_step {
    mls_ctx    *c;                /* NULL: none is running                              */
    uint64_t    serial;
    const char *closed;           /* NULL, or why its tensors can only be read any more */
    int         over;             /* what its views look into is gone                   */
} mls_lua_step;

void          mls_lua_tensor_open(lua_State *L);        /* once a state: the metatables  */
/* Its user value 1 is free for what the steps belong to. */
mls_lua_step *mls_lua_step_push(lua_State *L);
/* Step tensors made before are dead from now on. */
void          mls_lua_step_begin(mls_lua_step *s, mls_ctx *c);
void          mls_lua_step_end(mls_lua_step *s);
/* step: index of the userdata. */
void          mls_lua_push_tensor(lua_State *L, int step, mls_t t);
/* A tensor of network lifetime (a weight): alive whenever that step runs. */
void          mls_lua_push_weight(lua_State *L, int step, mls_t t);
/* A step tensor, living, of any step or of s; *step (may be NULL) is its step.          */
mls_t         mls_lua_check_tensor(lua_State *L, int index, mls_lua_step **step);
/* As check, of the running step s; a free tensor becomes a constant of it.  what: for the
 * message, as "output 'y'".                                                             */
mls_t         mls_lua_step_tensor(lua_State *L, int index, mls_lua_step *s,
                                  const char *what);
/* A free tensor: pushes it, zeroed; its numbers.                                        */
float        *mls_lua_push_free(lua_State *L, int64_t d0, int64_t d1, int64_t d2);
/* A view of numbers that the value at `owner` keeps alive: read and written in place.  In
 * an operation of step (index of its userdata) its gradient is added to grad, if not NULL. */
void          mls_lua_push_view(lua_State *L, int owner, int step, float *data, float *grad,
                                int64_t d0, int64_t d1, int64_t d2);
/* Any tensor whose numbers can be read now (free, view or step); NULL: it is no tensor.
 * A dead or a dry one is a Lua error.                                                   */
mls_t         mls_lua_readable(lua_State *L, int index);
/* A free tensor or view, for writing; NULL when it is something else. */
mls_t         mls_lua_writable(lua_State *L, int index);
/* The running step that the tensor at index belongs to, and pushes its userdata; NULL and
 * nothing pushed: no tensor, or a free one.  A dead tensor is a Lua error.               */
mls_lua_step *mls_lua_push_step_of(lua_State *L, int index);
/* Raises "file.lua:12: text" at the innermost line that is the user's.                  */
int           mls_lua_raise(lua_State *L, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A state of a component: what conv, attention and scan take.  Valid as long as the
 * network.                                                                              */
void          mls_lua_push_state(lua_State *L, mls_state *s);
mls_state    *mls_lua_check_state(lua_State *L, int index);

/* The operations, first argument a tensor: linear(x, w [, bias]), sigmoid(x) ...; the same
 * functions are methods of a tensor and of the `c` of a component (c:sigmoid(x)).  Before
 * the tensor an mls_lua_step userdata may stand: the step that the result belongs to, even
 * if all arguments are free tensors; without one free tensors give a free tensor.  NULL name
 * at the end.                                                                           */
extern const luaL_Reg mls_lua_ops[];
/* Adds the arithmetic metamethods to the metatable on top of the stack. */
void          mls_lua_ops_meta(lua_State *L);

#endif
