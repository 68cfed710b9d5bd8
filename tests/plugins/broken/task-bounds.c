/* Draws from ten symbols however few there are. */
#include "right_task.h"

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    const right *p = self;
    right_fill(c, self, split, index, key, s);
    for (int64_t t = 0; t < p->length && p->symbols < 8; t++) s->token[t] = (int32_t)(t % 10);
}
BROKEN_TASK(generous, right_open, right_count, fill, NULL, NULL);
