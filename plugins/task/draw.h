/* draw.h - for tasks that make their samples up: random numbers of one key, and how
 * many samples each split has.
 *
 * A task's struct begins with TASK_SPLITS; its options end with TASK_SPLIT_OPTIONS.
 */
#ifndef PLUGINS_TASK_DRAW_H
#define PLUGINS_TASK_DRAW_H

#include <mls/plugin.h>

/* Words of the key's Philox stream, one after the other. */
typedef struct draw {
    uint64_t key, used;
    uint32_t u[4];
} draw;

static inline draw draw_from(uint64_t key)
{
    const draw d = {key, 0, {0}};
    return d;
}

static inline uint32_t draw_word(draw *d)
{
    if (d->used % 4 == 0) mls->philox(d->key, d->used / 4, d->u);
    return d->u[d->used++ % 4];
}

/* Uniform in 0..n-1 for n up to 2^32; no value is likelier than another by n / 2^32. */
static inline int64_t draw_below(draw *d, int64_t n)
{
    return (int64_t)((uint64_t)draw_word(d) * (uint64_t)n >> 32);
}

/* Uniform in (0, 1): never 0, so that it has a logarithm. */
static inline double draw_unit(draw *d)
{
    return ((double)draw_word(d) + 0.5) / 4294967296.0;
}

#define TASK_SPLITS int64_t training, validation, test

typedef struct task_splits {
    TASK_SPLITS;
} task_splits;

static inline int64_t task_count(const void *self, int split)
{
    const task_splits *p = self;
    return split == MLS_TRAINING     ? p->training
           : split == MLS_VALIDATION ? p->validation
                                     : p->test;
}

#define TASK_SPLIT_OPTIONS(S)                                                          \
    MLS_OPT(S, training, MLS_INT, 10000, 1, 1000000000, NULL,                          \
            "training samples an epoch"),                                              \
        MLS_OPT(S, validation, MLS_INT, 512, 1, 1000000000, NULL,                      \
                "validation samples"),                                                 \
        MLS_OPT(S, test, MLS_INT, 512, 0, 1000000000, NULL, "test samples")

#endif
