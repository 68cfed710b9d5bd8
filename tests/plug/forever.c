/* forever.c - never comes back from call `from`. */
#define TITLE "forever"
#include "broken.h"

static volatile int running = 1;

static void breaks(float *out, int64_t n)
{
    while (running) out[n - 1] += 0.0f;
}
