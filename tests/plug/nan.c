/* nan.c - gives one value that is not a number from call `from` on. */
#define TITLE "nan"
#include "broken.h"

#include <math.h>

static void breaks(float *out, int64_t n)
{
    out[n / 2] = NAN;
}
