/* component_size.c - a component shorter than ABI 1 had it. */
#include "tiny.h"

TINY_SIZED(tiny, sizeof(mls_component) - 8, "component_size", NULL, 0);
TINY_INFO(sizeof(mls_plugin_info), MLS_ABI_MAJOR, 0, &tiny);
