/* twin_a.c - one of two files that bring the same component. */
#include "tiny.h"

TINY(tiny, "twin");
MLS_PLUGIN("twin-a", "1", "Apache-2.0", &tiny);
