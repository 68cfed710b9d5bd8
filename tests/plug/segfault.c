/* segfault.c - writes through NULL from call `from` on. */
#define TITLE "segfault"
#include "broken.h"

static float *volatile nowhere;

#if defined(__GNUC__)
__attribute__((no_sanitize("undefined"), no_sanitize("address")))
#endif
static void breaks(float *out, int64_t n)
{
    nowhere[n > 0 ? 0 : 1] = out[0];
}
