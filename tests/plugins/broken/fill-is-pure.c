/* Counts its calls: the same sample is another one the second time. */
#include "right_task.h"

static uint64_t calls;

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    right_fill(c, self, split, index, key + calls++, s);
}
BROKEN_TASK(moody, right_open, right_count, fill, NULL, NULL);
