/* component.h - components written in Lua: mls.component { kind =, name =, ... }. */
#ifndef MLS_LUA_COMPONENT_H
#define MLS_LUA_COMPONENT_H

#include "base/value.h"
#include "plug/plug.h"

typedef struct mls_lua_file mls_lua_file;

/* Runs a Lua file (a study, or a file of components only) and adds what it declares to r.
 * The Lua state lives until free, and r's entries with it.  NULL and e on failure.      */
mls_lua_file *mls_lua_file_load(mls_registry *r, const char *path, mls_error *e);
void          mls_lua_file_free(mls_lua_file *f);
/* The components that it declared. */
int           mls_lua_file_components(const mls_lua_file *f, const mls_component *const **list);

/* ---- A trial's own copy of the files (trial_files.c) ----------------------------------- */

struct mls_sandbox;
/* What a trial of this configuration must keep, as a map of path below its folder ("lua/...")
 * to text; NULL when it uses no component written in Lua (or e: no memory).            */
mls_value    *mls_lua_trial_sources(const struct mls_sandbox *s, const mls_value *config,
                                    mls_arena *a, mls_error *e);
/* Loads what lies in dir/lua, if anything does; *f, to be freed after r's last use, is NULL
 * then.  0 and e on failure.                                                             */
int           mls_lua_trial_load(mls_registry *r, const char *dir, mls_lua_file **f,
                                 mls_error *e);
/* For a script that opens a trial: as load, kept as long as s; nothing is loaded when every
 * component of dir/config.yaml is known, as when the script declares it itself.          */
int           mls_lua_trial_open(struct mls_sandbox *s, const char *dir, mls_error *e);
void          mls_lua_files_free(mls_lua_file *f);       /* and those after it           */

#endif
