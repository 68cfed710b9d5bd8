/* Has a length that it declares and never reads: samples are of 32 steps. */
#include "right_task.h"

static void open_fixed(mls_ctx *c, void *self, mls_task_shape *shape)
{
    right_open(c, self, shape);
    shape->steps = 32;
}

static void fill_fixed(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                       mls_sample *s)
{
    const right fixed = { 32, ((const right *)self)->symbols };
    right_fill(c, &fixed, split, index, key, s);
}
BROKEN_TASK(deaf, open_fixed, right_count, fill_fixed, NULL, NULL);
