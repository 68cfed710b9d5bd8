/* component.h - components written in Lua: mls.component { kind =, name =, ... }. */
#ifndef MLS_LUA_COMPONENT_H
#define MLS_LUA_COMPONENT_H

#include "plug/plug.h"

typedef struct mls_lua_file mls_lua_file;

/* Runs a Lua file (a study, or a file of components only) and adds what it declares to r.
 * The Lua state lives until free, and r's entries with it.  NULL and e on failure.      */
mls_lua_file *mls_lua_file_load(mls_registry *r, const char *path, mls_error *e);
void          mls_lua_file_free(mls_lua_file *f);
/* The components that it declared. */
int           mls_lua_file_components(const mls_lua_file *f, const mls_component *const **list);

#endif
