/* options.h - where options.c stores, so that the test can look. */
#ifndef TESTS_PLUG_OPTIONS_H
#define TESTS_PLUG_OPTIONS_H

#include <stdint.h>

typedef struct plug_options {
    double      rate, gain;
    int64_t     units, big;
    int         gated, reset;
    const char *path, *label;
} plug_options;

#endif
