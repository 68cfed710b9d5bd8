/* twice.c - one file with the same component twice. */
#include "tiny.h"

TINY(first, "twice");
TINY(second, "twice");
MLS_PLUGIN("twice", "1", "Apache-2.0", &first, &second);
