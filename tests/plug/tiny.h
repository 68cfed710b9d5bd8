/* tiny.h - the smallest mixer, for plugins that are wrong in one thing only. */
#ifndef TESTS_PLUG_TINY_H
#define TESTS_PLUG_TINY_H

#include <mls/plugin.h>

static inline void tiny_setup(mls_ctx *c, void *self)
{
    (void)c;
    (void)self;
}

static inline void tiny_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c;
    (void)self;
    out[0] = in[0];
}

static const mls_port tiny_ports[] __attribute__((unused)) = {
    { "in", MLS_IN, "T B n", "values" },
    { "out", MLS_OUT, "T B n", "the values" },
    MLS_PORT_END };

/* A mixer called `title` with the given size and option table. */
#define TINY_SIZED(id, bytes, title, table, self) \
    static const mls_component id = { bytes, "mixer", title, MLS_CAUSAL, "A test.", \
                                      tiny_ports, table, self, tiny_setup, tiny_forward, \
                                      NULL }
#define TINY(id, title) TINY_SIZED(id, sizeof(mls_component), title, NULL, 0)

/* MLS_PLUGIN with its first three fields free. */
#define TINY_INFO(bytes, major, minor, ...) \
    const mls_host *mls; \
    static const mls_component *const list[] = { __VA_ARGS__, NULL }; \
    const mls_plugin_info mls_plugin = { bytes, major, minor, sizeof(mls_port), \
                                         sizeof(mls_option), "tiny", "1", "Apache-2.0", \
                                         list, &mls }

#endif
