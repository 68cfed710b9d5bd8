#include "lua/component.h"

mls_lua_file *mls_lua_file_load(mls_registry *r, const char *path, mls_error *e)
{
    (void)r;
    mls_error_set(e, "%s: components in Lua cannot be loaded", path);
    return NULL;
}

void mls_lua_file_free(mls_lua_file *f) { (void)f; }

int mls_lua_file_components(const mls_lua_file *f, const mls_component *const **list)
{
    (void)f;
    *list = NULL;
    return 0;
}
