/* info_size.c - a descriptor shorter than ABI 1 had it. */
#include "tiny.h"

TINY(tiny, "info_size");
TINY_INFO(sizeof(mls_plugin_info) - 8, MLS_ABI_MAJOR, 0, &tiny);
