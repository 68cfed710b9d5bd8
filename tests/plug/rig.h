/* rig.h - the plugins of this folder, and a folder for copies of them. */
#ifndef TESTS_PLUG_RIG_H
#define TESTS_PLUG_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plug/plug.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tests/plug/<name>.so of the build tree. */
static inline const char *plugin_of(const char *name)
{
    static char path[4][4096];
    static int next;
    const char *build = getenv("MLS_BUILD");
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/tests/plug/%s.so", build ? build : ".", name);
    return p;
}

static inline void has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("\"%s\" is not in: %s", part, text);
}

#endif
