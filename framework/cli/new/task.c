/* @NAME@.c - keep count: the sum of all tokens so far, modulo their number.
 *
 *   label[t] = (token[0] + ... + token[t]) mod symbols       at every step
 *
 * symbols = 2 is parity.  A token is 0, which changes nothing, with probability `idle`,
 * otherwise uniform.  Knowing only the last tokens helps with nothing: accuracy is about
 * 1 / symbols without a state that follows the whole sequence.  With shortest > 0 samples
 * have between `shortest` and `length` steps, and batches a mask.
 *
 * References: Merrill, Petty, Sabharwal 2024, "The Illusion of State in State-Space
 * Models"; Grazzi et al. 2024, "Unlocking State-Tracking in Linear RNNs Through Negative
 * Eigenvalues".
 *
 * What to change first: fill(), and the shape in open_task() that says what it fills.
 * A sample is a pure function of its key: `make check` says whether it is.
 */
#include <mls/plugin.h>

typedef struct @NAME@_self {
    int64_t length, shortest, symbols, training, validation, test;
    double idle;
} @NAME@_self;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const @NAME@_self *p = self;
    if (p->shortest > p->length) {
        mls->fail(c, "shortest = %lld is more than length = %lld", (long long)p->shortest,
                  (long long)p->length);
        return;
    }
    *shape = (mls_task_shape){ .steps = p->length,
                               .vocabulary = p->symbols,
                               .output = p->symbols,
                               .loss = MLS_CROSS_ENTROPY,
                               .per_step = 1,
                               .has_mask = p->shortest && p->shortest < p->length };
}

static int64_t count(const void *self, int split)
{
    const @NAME@_self *p = self;
    return split == MLS_TRAINING     ? p->training
           : split == MLS_VALIDATION ? p->validation
                                     : p->test;
}

/* 0 to n - 1 from 32 random bits. */
static int64_t below(uint32_t u, int64_t n) { return (int64_t)((uint64_t)u * (uint64_t)n >> 32); }

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c, (void)split, (void)index;
    const @NAME@_self *p = self;
    uint32_t u[4];
    int64_t sum = 0;
    mls->philox(key, 0, u);
    if (p->shortest) s->steps = p->shortest + below(u[0], p->length - p->shortest + 1);
    for (int64_t t = 0; t < s->steps; t++) {
        mls->philox(key, (uint64_t)t + 1, u);
        const int idle = (double)u[0] < p->idle * 4294967296.0;
        const int64_t token = idle ? 0 : below(u[1], p->symbols);
        sum = (sum + token) % p->symbols;
        s->token[t] = (int32_t)token;
        s->label[t] = (int32_t)sum;
    }
}

/* Samples are shown as digits where there are no more than ten symbols. */
static const char *spell(const void *self, int32_t token)
{
    static const char *const digit[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };
    const @NAME@_self *p = self;
    return token >= 0 && token < p->symbols && token < 10 ? digit[token] : NULL;
}

static int32_t token_of(const void *self, const char *text, int *used)
{
    const @NAME@_self *p = self;
    const int32_t x = *text - '0';
    *used = 1;
    return x >= 0 && x < 10 && x < p->symbols ? x : -1;
}

static const mls_option options[] = {
    MLS_OPT(@NAME@_self, length, MLS_INT, 32, 1, 16777216, "steps", "length of a sample"),
    MLS_OPT(@NAME@_self, shortest, MLS_INT, 0, 0, 16777216, "steps",
            "length of the shortest sample; 0: all have the same"),
    MLS_OPT(@NAME@_self, symbols, MLS_INT, 2, 2, 65536, NULL, "tokens, and the modulus"),
    MLS_OPT(@NAME@_self, idle, MLS_REAL, 0, 0, 1, NULL,
            "probability of a token that changes nothing"),
    MLS_OPT(@NAME@_self, training, MLS_INT, 10000, 1, 1000000000, NULL,
            "training samples an epoch"),
    MLS_OPT(@NAME@_self, validation, MLS_INT, 512, 1, 1000000000, NULL, "validation samples"),
    MLS_OPT(@NAME@_self, test, MLS_INT, 512, 0, 1000000000, NULL, "test samples"),
    MLS_OPT_END
};

static const mls_port ports[] = { MLS_PORT_END };

static const mls_task task = { sizeof task, open_task, count, fill, spell, token_of };

static const mls_component component = {
    sizeof component, "task", "@NAME@", 0, "Keep the sum of all tokens, modulo their number.",
    ports, options, sizeof(@NAME@_self), NULL, NULL, &task
};

MLS_PLUGIN("@NAME@", "0.1", "Apache-2.0", &component);
