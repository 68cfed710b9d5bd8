/* Gives the training samples again for validation and test. */
#include "right_task.h"

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)key;
    right_fill(c, self, split, index, (uint64_t)index, s);
}
BROKEN_TASK(leaking_split, right_open, right_count, fill, NULL, NULL);
