/* Its tokens begin at 1, as in Lua. */
#include "right_task.h"

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    right_fill(c, self, split, index, key, s);
    for (int64_t t = 0; t < s->steps; t++) s->token[t]++;
}
BROKEN_TASK(from_one, right_open, right_count, fill, NULL, NULL);
