/* major.c - built for the next ABI. */
#include "tiny.h"

TINY(tiny, "major");
TINY_INFO(sizeof(mls_plugin_info), MLS_ABI_MAJOR + 1, 0, &tiny);
