/* component_long.c - a component longer than the minor version that it claims. */
#include "tiny.h"

TINY_SIZED(tiny, sizeof(mls_component) + 8, "component_long", NULL, 0);
TINY_INFO(sizeof(mls_plugin_info), MLS_ABI_MAJOR, MLS_ABI_MINOR, &tiny);
