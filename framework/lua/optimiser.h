/* optimiser.h - the optimiser of a net in a script, for the files that save it. */
#ifndef MLS_LUA_OPTIMISER_H
#define MLS_LUA_OPTIMISER_H

#include "base/bundle.h"
#include "net/net.h"

#include <lua.h>

struct mls_lua_optimiser;

/* NULL: the value at index is none. */
struct mls_lua_optimiser *mls_lua_test_optimiser(lua_State *L, int index);
mls_net *mls_lua_optimiser_net(const struct mls_lua_optimiser *o);
/* Its moments and its step number, as train/ keeps them in a checkpoint. */
void mls_lua_optimiser_bundle(struct mls_lua_optimiser *o, mls_bundle *b);

#endif
