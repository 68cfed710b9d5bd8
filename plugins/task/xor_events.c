/* xor_events.c - the parity of a stream of bits of which only the changes are seen.
 *
 *   bits     1 1 1 0 0 1 1 1      n of them, 2 <= n <= length - 1
 *   events   1     0   1   1      the first bit of each run of equal bits; after the
 *   elapsed  1     3   2   2      last run an event with what is left of it
 *   label    - - - 0              at the last event: the sum of all bits, modulo 2
 *
 * x[k] is the bit of event k and dt[k] the bits since the event before it, itself
 * included, times `step`.  The number of ones lies in the times alone, so that a
 * network that does not know them is at chance, 0.5.  n is even over its range, bits
 * are even and independent. events = false gives a step for each bit instead, with
 * equal times.  Samples are shorter than the shape and masked.
 *
 * References: M. Lechner and R. Hasani, Learning Long-Term Dependencies in
 * Irregularly-Sampled Time Series, 2020, and R. Hasani et al., Closed-form
 * Continuous-time Neural Networks, 2022: the XOR task of both (length 24 gives up to
 * 23 bits, times divided by 24).
 */
#include "draw.h"

typedef struct events {
    TASK_SPLITS;
    int64_t length;
    double step;
    int events, elapsed_input;
} events;

static void open_task(mls_ctx *c, void *self, mls_task_shape *shape)
{
    const events *p = self;
    (void)c;
    *shape = (mls_task_shape){.steps = p->length,
                              .input = 1 + p->elapsed_input,
                              .output = 2,
                              .loss = MLS_CROSS_ENTROPY,
                              .per_step = 1,
                              .has_mask = 1,
                              .has_dt = 1};
}

static void add_event(const events *p, mls_sample *s, int64_t bit, int64_t elapsed)
{
    const int64_t k = s->steps++, width = 1 + p->elapsed_input;
    const double step = p->step > 0.0 ? p->step : 1.0 / (double)p->length;
    s->dt[k] = (float)(step * (double)elapsed);
    s->x[k * width] = (float)bit;
    if (p->elapsed_input) s->x[k * width + 1] = s->dt[k];
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *s)
{
    (void)c;
    (void)split;
    (void)index;
    const events *p = self;
    draw d = draw_from(key);
    const int64_t n = 2 + draw_below(&d, p->length - 2);
    int64_t last = -1, bit = 0, elapsed = 0, ones = 0;
    s->steps = 0;
    for (int64_t i = 0; i < n; i++) {
        bit = (int64_t)(draw_word(&d) >> 31);
        ones += bit;
        elapsed++;
        if (p->events && bit == last) continue;
        add_event(p, s, bit, elapsed);
        elapsed = 0;
        last = bit;
    }
    if (elapsed) add_event(p, s, bit, elapsed);
    for (int64_t k = 0; k < s->steps; k++) s->label[k] = -1;
    s->label[s->steps - 1] = (int32_t)(ones % 2);
}

static const mls_option options[] = {
    MLS_OPT(events, length, MLS_INT, 24, 3, 16777216, "steps",
            "steps that a sample has room for; it has up to one bit less"),
    MLS_OPT(events, step, MLS_REAL, 0, 0, 1000000, NULL,
            "length of a bit in dt; 0 is 1 / length"),
    MLS_OPT(events, events, MLS_BOOL, 1, 0, 0, NULL,
            "a step for each change of the bit; else a step for each bit"),
    MLS_OPT(events, elapsed_input, MLS_BOOL, 0, 0, 0, NULL,
            "dt is a second channel of the input, for networks that do not use dt"),
    TASK_SPLIT_OPTIONS(events),
    MLS_OPT_END};

static const mls_port ports[] = {MLS_PORT_END};

static const mls_task task = {sizeof task, open_task, task_count, fill, NULL, NULL};

static const mls_component component = {
    sizeof component,
    "task",
    "xor_events",
    0,
    "Parity of a stream of bits of which only the changes and their times are seen.\n"
    "Irregular in time: how many ones there were lies in dt alone. Chance is 0.5.",
    ports,
    options,
    sizeof(events),
    NULL,
    NULL,
    &task};

MLS_PLUGIN("xor_events", "1.0", "Apache-2.0", &component);
