/* copying.c - the copying memory problem.
 *
 *   token   3 1 5 . . . . | . . .        . blank, | the delimiter: say it now
 *   label   . . . . . . . . 3 1 5
 *
 * `symbols` data tokens, `delay` - 1 blanks, the delimiter, `symbols` blanks: delay +
 * 2 symbols steps.  Data tokens are even and independent.  Blank is token 0, the
 * delimiter vocabulary - 1.  With score = all the blanks of the label count, as in the
 * reference: then a network without memory reaches symbols ln(vocabulary - 2) / (delay
 * + 2 symbols) nats; with score = answers the floor is ln(vocabulary - 2), accuracy 1
 * / (vocabulary - 2).
 *
 * References: S. Hochreiter and J. Schmidhuber, Long Short-Term Memory, 1997; in this
 * form M. Arjovsky, A. Shah and Y. Bengio, Unitary Evolution Recurrent Neural
 * Networks, 2016, section 4.1 (10 tokens, 10 symbols, delays of 100 to 500).
 */
#include "draw.h"

typedef struct copying {
    TASK_SPLITS;
    int64_t symbols, delay, vocabulary;
    int score;
} copying;

enum { ALL, ANSWERS };

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const copying *p = self;
    (void)c;
    *shape = (mls_task_shape){.steps = p->delay + 2 * p->symbols,
                              .vocabulary = p->vocabulary,
                              .output = p->vocabulary,
                              .loss = MLS_CROSS_ENTROPY,
                              .per_step = 1};
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    (void)split;
    (void)index;
    const copying *p = self;
    const int64_t answers = p->symbols + p->delay;
    draw d = draw_from(key);
    for (int64_t t = 0; t < answers; t++) {
        s->token[t] =
            t < p->symbols ? 1 + (int32_t)draw_below(&d, p->vocabulary - 2) : 0;
        s->label[t] = p->score == ALL ? 0 : -1;
    }
    s->token[answers - 1] = (int32_t)p->vocabulary - 1;
    for (int64_t i = 0; i < p->symbols; i++) {
        s->token[answers + i] = 0;
        s->label[answers + i] = s->token[i];
    }
}

static const mls_option options[] = {
    MLS_OPT(copying, symbols, MLS_INT, 10, 1, 65536, NULL, "data tokens to remember"),
    MLS_OPT(copying, delay, MLS_INT, 100, 1, 16777216, "steps",
            "from the last data token to the delimiter"),
    MLS_OPT(copying, vocabulary, MLS_INT, 10, 3, 65536, NULL,
            "tokens in all: blank, delimiter and vocabulary - 2 data tokens"),
    MLS_OPT_CHOICE(copying, score, "all|answers",
                   "every step, of which most have to say blank, or the answers alone"),
    TASK_SPLIT_OPTIONS(copying),
    MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, task_count, fill, NULL, NULL};

static const mls_component component = {
    sizeof component,
    "task",
    "copying",
    0,
    "Repeat a few tokens after a long stretch of blanks: the copying memory problem.\n"
    "A network without memory reaches `symbols * ln(vocabulary - 2) / (delay + 2 * "
    "symbols)` "
    "nats a step when all steps are scored.",
    ports,
    options,
    sizeof(copying),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("copying", "1.0", "Apache-2.0", &component);
