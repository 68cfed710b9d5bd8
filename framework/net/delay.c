/* delay.c - the memory of a late wire: what a node saw is K steps old, however the
 * sequence is cut.  The queue holds, for each sample, the last K real steps, oldest
 * first: [B][K][N].  Masked steps neither take from it nor add to it.                   */
#include "net/inner.h"

#include <string.h>

typedef struct delay { int64_t k; } delay;

static int real(const mls_tensor *mask, int64_t t, int64_t b, int64_t B)
{
    return !mask || mask->data[t * B + b] != 0.0f;
}

static void read_forward(const mls_call *k)
{
    const int64_t K = ((const delay *)k->attr)->k;
    mls_t q = k->in[0], mask = k->in[1], y = k->out[0];
    const int64_t T = y->dim[0], B = y->dim[1], N = y->dim[2];
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0, r = 0; t < T; t++) {
            float *to = y->data + (t * B + b) * N;
            if (real(mask, t, b, B) && r < K)
                memcpy(to, q->data + (b * K + r++) * N, (size_t)N * sizeof(float));
            else
                memset(to, 0, (size_t)N * sizeof(float));
        }
}

static void read_backward(const mls_call *k)
{
    const int64_t K = ((const delay *)k->attr)->k;
    mls_t q = k->in[0], mask = k->in[1], y = k->out[0];
    const int64_t T = y->dim[0], B = y->dim[1], N = y->dim[2];
    if (!q->grad) return;
    for (int64_t b = 0; b < B; b++)
        for (int64_t t = 0, r = 0; t < T; t++) {
            if (!real(mask, t, b, B) || r >= K) continue;
            float *to = q->grad + (b * K + r++) * N;
            const float *from = y->grad + (t * B + b) * N;
            for (int64_t i = 0; i < N; i++) to[i] += from[i];
        }
}

static int64_t count_real(const mls_tensor *mask, int64_t T, int64_t b, int64_t B)
{
    int64_t n = 0;
    for (int64_t t = 0; t < T; t++) n += real(mask, t, b, B);
    return n;
}

/* The new queue is the old one without its first n rows, then x's n real rows (the last
 * K of them all).                                                                        */
static void push_forward(const mls_call *k)
{
    const int64_t K = ((const delay *)k->attr)->k;
    mls_t q = k->in[0], x = k->in[1], mask = k->in[2], y = k->out[0];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        const int64_t n = count_real(mask, T, b, B), kept = n < K ? K - n : 0;
        float *to = y->data + b * K * N;
        memcpy(to, q->data + (b * K + K - kept) * N, (size_t)(kept * N) * sizeof(float));
        int64_t row = kept - (n > K ? n - K : 0);         /* negative: too old, dropped */
        for (int64_t t = 0; t < T; t++)
            if (real(mask, t, b, B)) {
                if (row >= 0)
                    memcpy(to + row * N, x->data + (t * B + b) * N, (size_t)N * sizeof(float));
                row++;
            }
    }
}

static void push_backward(const mls_call *k)
{
    const int64_t K = ((const delay *)k->attr)->k;
    mls_t q = k->in[0], x = k->in[1], mask = k->in[2], y = k->out[0];
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        const int64_t n = count_real(mask, T, b, B), kept = n < K ? K - n : 0;
        const float *from = y->grad + b * K * N;
        if (q->grad) {
            float *to = q->grad + (b * K + K - kept) * N;
            for (int64_t i = 0; i < kept * N; i++) to[i] += from[i];
        }
        int64_t row = kept - (n > K ? n - K : 0);
        for (int64_t t = 0; x->grad && t < T; t++)
            if (real(mask, t, b, B)) {
                float *to = x->grad + (t * B + b) * N;
                for (int64_t i = 0; row >= 0 && i < N; i++) to[i] += from[row * N + i];
                row++;
            }
    }
}

static const mls_op read_op = { sizeof read_op, "net.delay_read", read_forward, read_backward, NULL };
static const mls_op push_op = { sizeof push_op, "net.delay_push", push_forward, push_backward, NULL };

static const delay *attr(mls_ctx *c, int64_t k)
{
    delay *d = mls_arena_alloc(&c->tape->arena, sizeof *d);
    if (!d) mls_error_set(c->error, "%s: out of memory", c->path);
    else d->k = k;
    return d;
}

mls_t mls_net_delay_read(mls_ctx *c, mls_t fifo, int64_t k, int64_t steps, int64_t width, mls_t mask)
{
    mls_t y = mls_tape_tensor(c, steps, fifo->dim[1], width);
    const mls_t in[] = { fifo, mask };
    mls_tape_apply_as(c, MLS_TAPE_FORGETS_OUT, &read_op, attr(c, k), in, 2, &y, 1);
    return y;
}

mls_t mls_net_delay_push(mls_ctx *c, mls_t fifo, int64_t k, mls_t x, mls_t mask)
{
    mls_t y = mls_tape_tensor(c, 1, fifo->dim[1], fifo->dim[2]);
    const mls_t in[] = { fifo, x, mask };
    mls_tape_apply_as(c, MLS_TAPE_FORGETS_OUT, &push_op, attr(c, k), in, 3, &y, 1);
    return y;
}
