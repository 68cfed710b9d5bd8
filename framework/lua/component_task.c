/* Tasks written in Lua: where samples come from. */
#include "lua/part.h"

void mls_lua_task(mls_task *t)
{
    *t = (mls_task){ .size = sizeof *t };
}
