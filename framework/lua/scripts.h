/* scripts.h - the Lua files of this folder as text; scripts.c is made by the build. */
#ifndef MLS_LUA_SCRIPTS_H
#define MLS_LUA_SCRIPTS_H

extern const char mls_lua_mls[], mls_lua_modes[], mls_lua_strict[], mls_lua_component[];

#endif
