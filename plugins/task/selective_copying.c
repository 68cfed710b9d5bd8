/* selective_copying.c - remember the data among the noise, in order.
 *
 *   token   . . 5 . 2 . . 7 . | # # #       (. noise, # answer now)
 *   label   - - - - - - - - - | 5 2 7       (- not scored)
 *
 * `symbols` data tokens stand at random places among noise in `length` steps; `symbols`
 * answer slots follow.  The spacing is random, so the answer needs input-dependent
 * memory, not a fixed delay.  Token 0 is noise, vocabulary - 1 asks for an answer, the
 * others are data.
 *
 * Reference: Gu and Dao 2023, Mamba, section 4.1.1 (length 4096, 16 data tokens).
 */
#include <mls/plugin.h>

typedef struct copying {
    int64_t length, symbols, vocabulary, training, validation, test;
} copying;

/* Random words of one key, by position. */
typedef struct words {
    uint64_t key, block;
    uint32_t u[4];
} words;

static uint32_t word(words *w, uint64_t i)
{
    if (i / 4 != w->block) {
        w->block = i / 4;
        mls->philox(w->key, w->block, w->u);
    }
    return w->u[i % 4];
}

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const copying *p = self;
    if (p->symbols > p->length) {
        mls->fail(c, "symbols = %lld do not fit into length = %lld steps",
                  (long long)p->symbols, (long long)p->length);
        return;
    }
    *shape = (mls_task_shape){ .steps = p->length + p->symbols,
                               .vocabulary = p->vocabulary,
                               .output = p->vocabulary,
                               .loss = MLS_CROSS_ENTROPY,
                               .per_step = 1 };
}

static int64_t count(const void *self, int split)
{
    const copying *p = self;
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
    const copying *p = self;
    words w = { key, UINT64_MAX, { 0 } };
    int64_t placed = 0;
    /* Selection sampling (Knuth 3.4.2 S): each set of places is equally likely. */
    for (int64_t t = 0; t < p->length; t++) {
        const uint64_t left = (uint64_t)(p->length - t),
                       need = (uint64_t)(p->symbols - placed);
        const uint64_t u = word(&w, 2 * (uint64_t)t);
        s->token[t] = 0;
        s->label[t] = -1;
        if (u * left >= need << 32) continue;
        const uint64_t v = word(&w, 2 * (uint64_t)t + 1),
                       kinds = (uint64_t)p->vocabulary - 2;
        const int32_t x = 1 + (int32_t)(v * kinds >> 32);
        s->token[t] = x;
        s->label[p->length + placed++] = x;
    }
    for (int64_t i = 0; i < p->symbols; i++)
        s->token[p->length + i] = (int32_t)p->vocabulary - 1;
}

static const mls_option options[] = {
    MLS_OPT(copying, length, MLS_INT, 256, 1, 16777216, "steps",
            "steps before the answer"),
    MLS_OPT(copying, symbols, MLS_INT, 16, 1, 65536, NULL, "data tokens to remember"),
    MLS_OPT(copying, vocabulary, MLS_INT, 16, 3, 65536, NULL,
            "tokens in all: noise, answer mark and vocabulary - 2 data tokens"),
    MLS_OPT(copying, training, MLS_INT, 10000, 1, 1000000000, NULL,
            "training samples an epoch"),
    MLS_OPT(copying, validation, MLS_INT, 512, 1, 1000000000, NULL,
            "validation samples"),
    MLS_OPT(copying, test, MLS_INT, 512, 0, 1000000000, NULL, "test samples"),
    MLS_OPT_END
};

static const mls_port ports[] = { MLS_PORT_END };

static const mls_task task = { sizeof task, open_task, count, fill, NULL, NULL };

static const mls_component component = {
    sizeof component,
    "task",
    "selective_copying",
    0,
    "Repeat the data tokens that stood at random places among noise.",
    ports,
    options,
    sizeof(copying),
    NULL,
    NULL,
    &task
};

MLS_PLUGIN("selective_copying", "1.0", "Apache-2.0", &component);
