/* default.c - an option whose default its own range forbids. */
#include "tiny.h"

typedef struct small { int64_t units; } small;

static const mls_option options[] = {
    MLS_OPT(small, units, MLS_INT, 9, 1, 8, NULL, "the default is outside"), MLS_OPT_END };

TINY_SIZED(tiny, sizeof(mls_component), "default", options, sizeof(small));
MLS_PLUGIN("default", "1", "Apache-2.0", &tiny);
