/* newer.c - a plugin of a later minor version: its structs and rows have grown at their
 * ends, and this mls must read it by the strides that it gives.                        */
#include "tiny.h"

typedef struct later_port { mls_port now; const char *colour; } later_port;
typedef struct later_option { mls_option now; double step; } later_option;
typedef struct later_component { mls_component now; void (*more)(void); } later_component;
typedef struct later_info { mls_plugin_info now; const char *url; } later_info;
typedef struct small { int64_t units; double rate; } small;

static const later_port ports[] = { { { "in", MLS_IN, "T B n", "values" }, "red" },
                                    { { "out", MLS_OUT, "T B n", "values" }, "blue" },
                                    { MLS_PORT_END, NULL } };
static const later_option options[] = {
    { MLS_OPT(small, units, MLS_INT, 4, 1, 8, NULL, "a count"), 1.0 },
    { MLS_OPT(small, rate, MLS_REAL, 0.25, 0, 1, NULL, "a rate"), 0.125 },
    { MLS_OPT_END, 0.0 } };
static const later_component newer = {
    { sizeof newer, "mixer", "newer", MLS_CAUSAL, "From the future.", &ports[0].now,
      &options[0].now, sizeof(small), tiny_setup, tiny_forward, NULL }, NULL };
const mls_host *mls;
static const mls_component *const list[] = { &newer.now, NULL };
/* One exported symbol of a longer type under the name that is looked for. */
MLS_EXPORT const later_info later_plugin __asm__("mls_plugin") = {
    { sizeof(later_info), MLS_ABI_MAJOR, MLS_ABI_MINOR + 1, sizeof(later_port),
      sizeof(later_option), "newer", "2", "Apache-2.0", list, &mls },
    "https://example.org" };
