/* right_task.c - nothing wrong: what every case of tasks must let pass. */
#include "right_task.h"

BROKEN_TASK(right_sum, right_open, right_count, right_fill, NULL, NULL);
