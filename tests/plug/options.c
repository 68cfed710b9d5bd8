/* options.c - an option of every kind. */
#include "tiny.h"

#include "options.h"

static const mls_option options[] = {
    MLS_OPT(plug_options, rate, MLS_REAL, 0.5, 0.0, 1.0, "1/ms", "a bounded real"),
    MLS_OPT(plug_options, gain, MLS_REAL, -2.0, 0.0, 0.0, NULL, "an unbounded real"),
    MLS_OPT(plug_options, units, MLS_INT, 8, 1, 64, NULL, "a bounded integer"),
    MLS_OPT(plug_options, big, MLS_INT, 0, 0, 0, NULL, "an unbounded integer"),
    MLS_OPT(plug_options, gated, MLS_BOOL, 1, 0, 0, NULL, "a truth"),
    MLS_OPT_CHOICE(plug_options, reset, "soft|hard|none", "a choice"),
    MLS_OPT_STRING(plug_options, path, NULL, "a string without a default"),
    MLS_OPT_STRING(plug_options, label, "here", "a string with one"),
    MLS_OPT_END };

TINY_SIZED(tiny, sizeof(mls_component), "options", options, sizeof(plug_options));
MLS_PLUGIN("options", "1", "Apache-2.0", &tiny);
