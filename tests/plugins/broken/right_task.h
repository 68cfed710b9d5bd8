/* right_task.h - a task that is right: say the sum of all tokens so far, modulo symbols;
 * each task file beside this one takes it and does one thing wrong.                     */
#ifndef TESTS_PLUGINS_BROKEN_RIGHT_TASK_H
#define TESTS_PLUGINS_BROKEN_RIGHT_TASK_H

#include <mls/plugin.h>

typedef struct right { int64_t length, symbols; } right;

static const mls_option right_options[] = {
    MLS_OPT(right, length, MLS_INT, 32, 1, 4096, "steps", "length of a sample"),
    MLS_OPT(right, symbols, MLS_INT, 8, 2, 256, NULL, "different tokens"), MLS_OPT_END };

static inline void right_open(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const right *p = self;
    (void)c;
    *shape = (mls_task_shape){ .steps = p->length, .vocabulary = p->symbols,
                               .output = p->symbols, .loss = MLS_CROSS_ENTROPY,
                               .per_step = 1 };
}

static inline int64_t right_count(const void *self, int split)
{
    (void)self;
    return split == MLS_TRAINING ? 1000 : 100;
}

static inline void right_fill(mls_ctx *c, const void *self, int split, int64_t index,
                              uint64_t key, mls_sample *s)
{
    const right *p = self;
    int32_t sum = 0;
    (void)c, (void)split, (void)index;
    for (int64_t t = 0; t < p->length; t++) {
        uint32_t u[4];
        mls->philox(key, (uint64_t)t, u);
        s->token[t] = (int32_t)(u[0] % (uint32_t)p->symbols);
        sum = (sum + s->token[t]) % (int32_t)p->symbols;
        s->label[t] = sum;
    }
}

static const mls_port right_ports[] = { MLS_PORT_END };

#define BROKEN_TASK(id, open, count, fill, spell, token) \
    static const mls_task task = { sizeof task, open, count, fill, spell, token }; \
    static const mls_component id = { sizeof id, "task", #id, 0, \
        "Broken on purpose: see the first line of its file", right_ports, right_options, \
        sizeof(right), NULL, NULL, &task }; \
    MLS_PLUGIN(#id, "1", "Apache-2.0", &id)

#endif
