/* Has nothing to give and does not say why. */
#include "right_task.h"

static void open_nothing(mls_ctx *c, void *self, mls_task_shape *shape)
{
    (void)c, (void)self, (void)shape;
}
BROKEN_TASK(silent_task, open_nothing, right_count, right_fill, NULL, NULL);
