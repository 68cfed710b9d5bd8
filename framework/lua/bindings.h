/* bindings.h - what C does for mls.lua. */
#ifndef MLS_LUA_BINDINGS_H
#define MLS_LUA_BINDINGS_H

#include <lua.h>

#define MLS_LUA_OWN "=[mls]"     /* chunk name of our scripts: never a user's line      */

/* Pushes the table `native`:
 *   here, version, kinds, modes            text and lists
 *   check(kind, name)                      fails on a component that does not exist
 *   component(kind, name, options)         a plain table, checked against the options
 *   mode(name, components)                 { nodes, wire, chunk } by conf/modes.c
 *   data(path)                             where a data file lies
 *   place(t [, like]), study(t)            notes a table's place; the study itself
 *   wrap(f)                                f behind a C function: keeps tail calls' lines
 *   fail(text [, t]), nearest(word, list)  errors at the user's line, suggestions      */
void mls_lua_native(lua_State *L);

#endif
