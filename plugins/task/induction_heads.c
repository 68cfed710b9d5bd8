/* induction_heads.c - what followed the mark the last time?
 *
 *   token   4 1 7 | 5 2 6 1 3 |      (| the mark)
 *   label   - - - - - - - - - 5      (- not scored)
 *
 * `length` tokens are drawn evenly from 0 .. vocabulary - 2; the mark, vocabulary - 1,
 * stands at one place, even over all that leave a token between the marks, and at the
 * last step. There the token after the first mark is asked for.  Nothing but that pair
 * tells it: the chance level is 1 / (vocabulary - 1).
 *
 * References: C. Olsson et al., In-context Learning and Induction Heads, 2022; A. Gu
 * and T. Dao, Mamba, 2023, section 4.1.2: trained at length 256 with 16 tokens, tested
 * at lengths of 2^6 to 2^20.
 */
#include "draw.h"

typedef struct induction {
    TASK_SPLITS;
    int64_t length, vocabulary;
} induction;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const induction *p = self;
    (void)c;
    *shape = (mls_task_shape){.steps = p->length,
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
    const induction *p = self;
    const int32_t mark = (int32_t)p->vocabulary - 1;
    draw d = draw_from(key);
    const int64_t at = draw_below(&d, p->length - 2);
    for (int64_t t = 0; t < p->length; t++) {
        s->token[t] = (int32_t)draw_below(&d, p->vocabulary - 1);
        s->label[t] = -1;
    }
    s->token[at] = s->token[p->length - 1] = mark;
    s->label[p->length - 1] = s->token[at + 1];
}

static const mls_option options[] = {MLS_OPT(induction, length, MLS_INT, 256, 3,
                                             16777216, "steps", "length of a sample"),
                                     MLS_OPT(induction, vocabulary, MLS_INT, 16, 3,
                                             65536, NULL,
                                             "tokens in all, with the mark"),
                                     TASK_SPLIT_OPTIONS(induction), MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, task_count, fill, NULL, NULL};

static const mls_component component = {
    sizeof component,
    "task",
    "induction_heads",
    0,
    "Say what followed a mark that stood once among random tokens.\n"
    "Only the last step is scored. The chance level of accuracy is 1 / (vocabulary - "
    "1).",
    ports,
    options,
    sizeof(induction),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("induction_heads", "1.0", "Apache-2.0", &component);
