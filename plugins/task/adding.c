/* adding.c - the sum of the two numbers that were marked.
 *
 *   x[t] = (v_t, m_t)     v_t uniform in (0, 1); m_t is 1 at one step of the first half
 *                         and at one of the second, else 0
 *   target[length - 1] = v_i + v_j, i and j the marked steps; no other step is scored
 *
 * The first half is the first length / 2 steps, rounded down.  Always to say 1 gives a
 * mean squared error of 1/6 = 0.1667; to know one of the two numbers gives 1/12 =
 * 0.0833.
 *
 * References: S. Hochreiter and J. Schmidhuber, Long Short-Term Memory, 1997,
 * experiment 4, with values in (-1, 1) and marks of its own; in this form M. Arjovsky,
 * A. Shah and Y. Bengio, Unitary Evolution Recurrent Neural Networks, 2016, section
 * 4.2.
 */
#include "draw.h"

typedef struct adding {
    TASK_SPLITS;
    int64_t length;
} adding;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const adding *p = self;
    (void)c;
    *shape = (mls_task_shape){
        .steps = p->length, .input = 2, .output = 1, .loss = MLS_MSE, .per_step = 1};
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    (void)split;
    (void)index;
    const adding *p = self;
    const int64_t half = p->length / 2;
    draw d = draw_from(key);
    const int64_t i = draw_below(&d, half), j = half + draw_below(&d, p->length - half);
    for (int64_t t = 0; t < p->length; t++) {
        s->x[2 * t] = (float)draw_unit(&d);
        s->x[2 * t + 1] = t == i || t == j ? 1.0f : 0.0f;
    }
    s->target[p->length - 1] = s->x[2 * i] + s->x[2 * j];
}

static const mls_option options[] = {
    MLS_OPT(adding, length, MLS_INT, 100, 2, 16777216, "steps", "length of a sample"),
    TASK_SPLIT_OPTIONS(adding), MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, task_count, fill, NULL, NULL};

static const mls_component component = {
    sizeof component,
    "task",
    "adding",
    0,
    "Add the two numbers that were marked in a long sequence of numbers.\n"
    "Two channels, a number and a mark; the sum is asked at the last step. A network "
    "that "
    "remembers nothing reaches a mean squared error of 1/6 = 0.1667.",
    ports,
    options,
    sizeof(adding),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("adding", "1.0", "Apache-2.0", &component);
