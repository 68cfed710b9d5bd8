/* convert.h - between Lua values and trees of settings, with the places where the
 * constructors were called.                                                            */
#ifndef MLS_LUA_CONVERT_H
#define MLS_LUA_CONVERT_H

#include "base/value.h"

#include <lua.h>

/* The value at index as a tree.  Keys of maps are sorted (Lua has no order).  A table
 * without a place of its own takes that of the table around it.  name: for messages, as
 * "vary".  NULL and e on functions, cycles, mixed tables.  skip: functions at the top
 * level are left out rather than refused.                                              */
mls_value *mls_lua_to_value(lua_State *L, int index, mls_arena *a, const char *name,
                            int skip, mls_error *e);
/* Pushes v. */
void mls_lua_push_value(lua_State *L, const mls_value *v);

/* Notes for the table at index where the study file is now (the innermost line that is
 * the user's), or the place of another table.                                          */
void mls_lua_place(lua_State *L, int index);
void mls_lua_place_like(lua_State *L, int index, int other);
/* Pushes "file.lua:12" of the table, or of the running line when index is 0; "" if
 * unknown.                                                                             */
const char *mls_lua_push_place(lua_State *L, int index);

#endif
