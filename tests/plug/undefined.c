/* undefined.c - a plugin that needs a function nobody has. */
#include "tiny.h"

void mls_test_nobody_has_this(void);

static void setup(mls_ctx *c, void *self)
{
    (void)c;
    (void)self;
    mls_test_nobody_has_this();
}

static const mls_component tiny = { sizeof tiny, "mixer", "undefined", 0, "A test.",
                                    tiny_ports, NULL, 0, setup, tiny_forward, NULL };
MLS_PLUGIN("undefined", "1", "Apache-2.0", &tiny);
