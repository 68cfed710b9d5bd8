#include "base/temporary.h"

#include <stdlib.h>

char *mls_temporary(mls_arena *a, const char *stem)
{
    const char *dir = getenv("TMPDIR");
    return mls_arena_printf(a, "%s/%s-XXXXXX", dir && *dir ? dir : "/tmp", stem);
}
