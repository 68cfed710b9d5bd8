/* Reads another token than it writes. */
#include "right_task.h"

static const char *spell(const void *self, int32_t token)
{
    static const char digit[10][2] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
    const right *p = self;
    return token >= 0 && token < 10 && token < p->symbols ? digit[token] : NULL;
}

static int32_t read(const void *self, const char *text, int *used)
{
    (void)self;
    *used = 1;
    return *text >= '0' && *text <= '9' ? '9' - *text : -1;
}
BROKEN_TASK(mirror, right_open, right_count, right_fill, spell, read);
