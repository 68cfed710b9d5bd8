#include "grad/events.h"

#include "grad/ctx.h"
#include "kern/events.h"

/* AUTO: the share of values that are not zero up to which events pay, measured (docs/
 * performance.md); and rows below which turning the matrix costs more than it saves.     */
#define FORWARD_RATE 0.35
#define WEIGHT_RATE 0.25
enum { FEW_ROWS = 64 };

/* How many events x holds if a product is to be made of them, else -1. */
static int64_t events_of(const mls_call *k, mls_t x, double rate, int whole)
{
    const int way = k->ctx->tape->events;
    const int64_t rows = x->dim[0] * x->dim[1];
    if (way == MLS_EVENTS_NEVER || !mls_tape_spikes(x) || !x->data || !x->count) return -1;
    if (way == MLS_EVENTS_AUTO && !whole && rows < FEW_ROWS) return -1;
    const int64_t events = mls_k_events_count(x->data, x->count);
    if (events > INT32_MAX) return -1;
    if (way == MLS_EVENTS_ALWAYS || whole) return events;
    return (double)events <= rate * (double)x->count ? events : -1;
}

int mls_grad_events_product(const mls_call *k, mls_t x, int64_t n, const float *w, int64_t ldw,
                            const float *bias, int add, float *y)
{
    const int64_t events = events_of(k, x, FORWARD_RATE, (k->flags & MLS_EXACT) != 0);
    const int64_t in = x->dim[2];
    if (events < 0) return 0;
    float *room = mls_tape_scratch(k, (size_t)mls_k_events_room(in, n) * sizeof *room);
    if (room)
        mls_k_events_linear(x->dim[0] * x->dim[1], n, in, events, x->data, w, ldw, bias, add, y,
                            room);
    return 1;
}

int mls_grad_events_weight(const mls_call *k, mls_t x, const float *dy, int64_t n, float *dw,
                           int64_t lddw)
{
    const int64_t events = events_of(k, x, WEIGHT_RATE, 0);
    const int64_t in = x->dim[2], rows = x->dim[0] * x->dim[1];
    if (events < 0) return 0;
    const int64_t floats = mls_k_events_weight_room(rows, n, in, events);
    float *room = mls_tape_scratch(k, (size_t)floats * sizeof *room);
    if (room) mls_k_events_weight(rows, n, in, events, x->data, dy, dw, lddw, room);
    return 1;
}
