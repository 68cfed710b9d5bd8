/* api.h - the table that documents the Lua API (api.lua). */
#ifndef MLS_LUA_API_H
#define MLS_LUA_API_H

#include "base/value.h"

/* The rows of api.lua, as it describes them; NULL and e on failure. */
const mls_value *mls_lua_api(mls_arena *a, mls_error *e);

#endif
