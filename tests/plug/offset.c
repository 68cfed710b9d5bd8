/* offset.c - an option that would be stored outside of self. */
#include "tiny.h"

typedef struct small { int64_t units; } small;

static const mls_option options[] = {
    MLS_OPT(small, units, MLS_INT, 4, 1, 8, NULL, "inside"),
    { "rate", MLS_REAL, sizeof(small), 0.5, 0, 1, NULL, NULL, "one past the end" },
    MLS_OPT_END };

TINY_SIZED(tiny, sizeof(mls_component), "offset", options, sizeof(small));
MLS_PLUGIN("offset", "1", "Apache-2.0", &tiny);
