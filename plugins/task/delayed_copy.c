/* delayed_copy.c - say the token of `delay` steps ago, at every step.
 *
 *   label[t] = token[t - delay],   not scored while t < delay
 *
 * Tokens are uniform and independent: nothing but memory of exactly `delay` steps
 * helps, and accuracy is 1 / symbols without it.
 */
#include <mls/plugin.h>

typedef struct copy {
    int64_t length, symbols, delay, training, validation, test;
} copy;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const copy *p = self;
    if (p->delay >= p->length) {
        mls->fail(c, "delay = %lld leaves nothing to score in length = %lld steps",
                  (long long)p->delay, (long long)p->length);
        return;
    }
    *shape = (mls_task_shape){ .steps = p->length,
                               .vocabulary = p->symbols,
                               .output = p->symbols,
                               .loss = MLS_CROSS_ENTROPY,
                               .per_step = 1 };
}

static int64_t count(const void *self, int split)
{
    const copy *p = self;
    return split == MLS_TRAINING     ? p->training
           : split == MLS_VALIDATION ? p->validation
                                     : p->test;
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    (void)split;
    (void)index;
    const copy *p = self;
    uint32_t u[4] = { 0 };
    for (int64_t t = 0; t < p->length; t++) {
        if (t % 4 == 0) mls->philox(key, (uint64_t)t / 4, u);
        s->token[t] = (int32_t)((uint64_t)u[t % 4] * (uint64_t)p->symbols >> 32);
        s->label[t] = t < p->delay ? -1 : s->token[t - p->delay];
    }
}

static const mls_option options[] = {
    MLS_OPT(copy, length, MLS_INT, 256, 2, 16777216, "steps", "length of a sample"),
    MLS_OPT(copy, symbols, MLS_INT, 8, 2, 65536, NULL, "different tokens"),
    MLS_OPT(copy, delay, MLS_INT, 16, 0, 16777215, "steps",
            "how far back the answer lies"),
    MLS_OPT(copy, training, MLS_INT, 10000, 1, 1000000000, NULL,
            "training samples an epoch"),
    MLS_OPT(copy, validation, MLS_INT, 512, 1, 1000000000, NULL, "validation samples"),
    MLS_OPT(copy, test, MLS_INT, 512, 0, 1000000000, NULL, "test samples"),
    MLS_OPT_END
};

static const mls_port ports[] = { MLS_PORT_END };

static const mls_task task = { sizeof task, open_task, count, fill, NULL, NULL };

static const mls_component component = { sizeof component,
                                         "task",
                                         "delayed_copy",
                                         0,
                                         "Repeat the token of some steps ago.",
                                         ports,
                                         options,
                                         sizeof(copy),
                                         NULL,
                                         NULL,
                                         &task };

MLS_PLUGIN("delayed_copy", "1.0", "Apache-2.0", &component);
