/* associative_recall.c - which value stood after this key?
 *
 *   token   c 9 k 8 j 3 f 1 ? c j        pairs of key and value, ?, queries
 *   label   - - - - - - - - - 9 3        (- not scored)
 *
 * `pairs` different keys, every choice and order of them equally likely, each with a
 * value that is even over all values.  `queries` keys follow the mark, drawn evenly
 * from those shown, with repetition; each asks for the value at its own step.  Tokens:
 * the keys are 0 .. keys - 1, the values follow them, the last token is the mark.
 * Chance is 1 / values.
 *
 * References: J. Ba et al., Using Fast Weights to Attend to the Recent Past, 2016,
 * section 4.1; with several queries as in S. Arora et al., Zoology: Measuring and
 * Improving Recall in Efficient Language Models, 2023, where the queries stand among
 * other tokens.
 */
#include "draw.h"

typedef struct recall {
    TASK_SPLITS;
    int64_t pairs, keys, values, queries;
} recall;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const recall *p = self;
    if (p->pairs > p->keys) {
        mls->fail(c, "pairs = %lld need as many different keys, but keys = %lld",
                  (long long)p->pairs, (long long)p->keys);
        return;
    }
    *shape = (mls_task_shape){.steps = 2 * p->pairs + 1 + p->queries,
                              .vocabulary = p->keys + p->values + 1,
                              .output = p->keys + p->values + 1,
                              .loss = MLS_CROSS_ENTROPY,
                              .per_step = 1};
}

/* Keys in token[0], token[2], ...: a set by selection sampling (Knuth 3.4.2 S), then
 * shuffled. */
static void draw_keys(const recall *p, draw *d, int32_t *token)
{
    int64_t n = 0;
    for (int64_t key = 0; n < p->pairs; key++)
        if (draw_below(d, p->keys - key) < p->pairs - n) token[2 * n++] = (int32_t)key;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = draw_below(d, i + 1);
        const int32_t key = token[2 * i];
        token[2 * i] = token[2 * j];
        token[2 * j] = key;
    }
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    (void)split;
    (void)index;
    const recall *p = self;
    const int64_t mark = 2 * p->pairs;
    draw d = draw_from(key);
    draw_keys(p, &d, s->token);
    for (int64_t i = 0; i < p->pairs; i++)
        s->token[2 * i + 1] = (int32_t)(p->keys + draw_below(&d, p->values));
    s->token[mark] = (int32_t)(p->keys + p->values);
    for (int64_t t = 0; t <= mark; t++) s->label[t] = -1;
    for (int64_t i = 1; i <= p->queries; i++) {
        const int64_t asked = 2 * draw_below(&d, p->pairs);
        s->token[mark + i] = s->token[asked];
        s->label[mark + i] = s->token[asked + 1];
    }
}

static const mls_option options[] = {
    MLS_OPT(recall, pairs, MLS_INT, 8, 1, 65536, NULL, "pairs of a key and a value"),
    MLS_OPT(recall, keys, MLS_INT, 26, 1, 65536, NULL,
            "different keys, at least pairs"),
    MLS_OPT(recall, values, MLS_INT, 10, 2, 65536, NULL, "different values"),
    MLS_OPT(recall, queries, MLS_INT, 1, 1, 65536, NULL, "keys that are asked for"),
    TASK_SPLIT_OPTIONS(recall),
    MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, task_count, fill, NULL, NULL};

static const mls_component component = {
    sizeof component,
    "task",
    "associative_recall",
    0,
    "Say which value stood after a key in a list of pairs.\n"
    "Keys differ within a sample, and their values are drawn anew for each: only what "
    "the "
    "sample shows can tell. The chance level of accuracy is 1 / values.",
    ports,
    options,
    sizeof(recall),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("associative_recall", "1.0", "Apache-2.0", &component);
