/* constructor.h - one component as a study would write it: liquid.cfc{units=4}. */
#ifndef MLS_LUA_CONSTRUCTOR_H
#define MLS_LUA_CONSTRUCTOR_H

#include "base/value.h"
#include "plug/plug.h"

/* Evaluates the text in a sandbox; "mls." in front and {} behind may be left out.  The map
 * { component = "liquid.cfc", ... } in a; NULL and e if it is anything else.            */
mls_value *mls_lua_constructor(mls_registry *r, const char *text, mls_arena *a, mls_error *e);

#endif
