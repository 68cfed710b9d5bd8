/* ops-scan.c - h[t] = a[t] h[t-1] + b[t], element by element, with a carried h.
 *
 * Features are independent, so an item is a tile of one sample's features over all steps:
 * each gradient has one writer, and a value's bits depend neither on the threads nor on
 * where a sequence was cut.                                                            */
#include "grad/ops-inner.h"

#include <string.h>

enum { TILE = 256 };

typedef struct plan {
    const float *a, *b, *mask, *old, *h, *gh;
    float       *to, *ga, *gb, *gold;      /* to: h in forward; gradients may be NULL    */
    int64_t      T, B, N, tiles;           /* tiles in a sample's features               */
} plan;

/* Without a mask all samples take the same steps: they are features like any other. */
static plan plan_of(const mls_call *k)
{
    const mls_t a = k->in[0], b = k->in[1], old = k->in[2], mask = k->in[3];
    const mls_t h = k->out[0];
    plan p = { .a = a->data, .b = b->data, .mask = mask ? mask->data : NULL,
               .old = old ? old->data : NULL, .h = h->data, .gh = h->grad, .to = h->data,
               .ga = a->grad, .gb = b->grad, .gold = old ? old->grad : NULL,
               .T = a->dim[0], .B = a->dim[1], .N = a->dim[2] };
    if (!mask) p.N *= p.B, p.B = 1;
    p.tiles = (p.N + TILE - 1) / TILE;
    return p;
}

static void run(plan *p, int64_t count, void (*body)(int64_t i, void *arg))
{
    const int64_t items = p->B * p->tiles;
    if (count < MLS_ROWS_SHARE)
        for (int64_t i = 0; i < items; i++) body(i, p);
    else
        mls_parfor(items, body, p);
}

MLS_INLINE int real(const plan *p, int64_t t, int64_t b)
{
    return !p->mask || p->mask[t * p->B + b] != 0.0f;
}

MLS_INLINE void forward_body(int64_t i, void *arg)
{
    const plan *p = arg;
    const int64_t s = i / p->tiles, from = i % p->tiles * TILE, row = p->B * p->N;
    const int64_t n = p->N - from < TILE ? p->N - from : TILE;
    float now[TILE] = { 0 };
    if (p->old) memcpy(now, p->old + s * p->N + from, (size_t)n * sizeof *now);
    for (int64_t t = 0, at = s * p->N + from; t < p->T; t++, at += row) {
        float *restrict to = p->to + at;
        const float *restrict a = p->a + at, *restrict b = p->b + at;
        if (real(p, t, s))
            for (int64_t j = 0; j < n; j++) to[j] = now[j] = a[j] * now[j] + b[j];
        else
            memcpy(to, now, (size_t)n * sizeof *to);
    }
}
MLS_KERNEL_BODY(forward_tile, forward_body)

/* d: the gradient that reaches h[t], from its own output and from the steps after it. */
MLS_INLINE void backward_body(int64_t i, void *arg)
{
    const plan *p = arg;
    const int64_t s = i / p->tiles, from = i % p->tiles * TILE, row = p->B * p->N;
    const int64_t n = p->N - from < TILE ? p->N - from : TILE, first = s * p->N + from;
    const float zero[TILE] = { 0 };
    float d[TILE] = { 0 };
    for (int64_t t = p->T - 1, at = first + t * row; t >= 0; t--, at -= row) {
        const float *restrict gh = p->gh + at, *restrict a = p->a + at;
        const float *restrict before = t        ? p->h + at - row
                                       : p->old ? p->old + first
                                                : zero;
        for (int64_t j = 0; j < n; j++) d[j] += gh[j];
        if (!real(p, t, s)) continue;
        if (p->ga) {
            float *restrict ga = p->ga + at;
            for (int64_t j = 0; j < n; j++) ga[j] += d[j] * before[j];
        }
        if (p->gb) {
            float *restrict gb = p->gb + at;
            for (int64_t j = 0; j < n; j++) gb[j] += d[j];
        }
        for (int64_t j = 0; j < n; j++) d[j] *= a[j];
    }
    for (int64_t j = 0; p->gold && j < n; j++) p->gold[first + j] += d[j];
}
MLS_KERNEL_BODY(backward_tile, backward_body)

static void forward(const mls_call *k)
{
    plan p = plan_of(k);
    run(&p, k->in[0]->count, forward_tile);
}

static void backward(const mls_call *k)
{
    plan p = plan_of(k);
    run(&p, k->in[0]->count, backward_tile);
}

static double flops(const mls_call *k) { return 2.0 * (double)k->out[0]->count; }

static const mls_op op = { sizeof op, "scan", forward, backward, flops };

static int fits(mls_ctx *c, mls_t a, mls_t b, mls_t mask)
{
    int same = 1;
    for (int i = 0; i < 3; i++) same &= a->dim[i] == b->dim[i];
    if (!same)
        mls_error_set(c->error,
                      "%s: scan: a is [%lld][%lld][%lld] and b [%lld][%lld][%lld]; both"
                      " must have the same shape", c->path, (long long)a->dim[0],
                      (long long)a->dim[1], (long long)a->dim[2], (long long)b->dim[0],
                      (long long)b->dim[1], (long long)b->dim[2]);
    else if (mask && mask->count != mls_rows_of(a))
        mls_error_set(c->error,
                      "%s: scan: the mask has %lld values for %lld steps of %lld samples",
                      c->path, (long long)mask->count, (long long)a->dim[0],
                      (long long)a->dim[1]);
    return !c->error->set;
}

mls_t mls_grad_scan(mls_ctx *c, mls_t a, mls_t b, mls_state *h, mls_t mask)
{
    if (c->error->set || !fits(c, a, b, mask)) return mls_grad_empty(c);
    const int64_t T = a->dim[0], B = a->dim[1], N = a->dim[2];
    const mls_t old = h ? mls->load(c, h) : NULL;
    if (c->error->set) return mls_grad_empty(c);
    if (old && (old->dim[1] != B || old->dim[2] != N)) {
        mls_error_set(c->error,
                      "%s: scan: the state is %lld wide for %lld samples, expected %lld"
                      " for %lld", c->path, (long long)old->dim[2], (long long)old->dim[1],
                      (long long)N, (long long)B);
        return mls_grad_empty(c);
    }
    const mls_t y = mls_grad_like(c, a), in[] = { a, b, old, mask };
    mls_tape_apply(c, &op, NULL, in, 4, &y, 1);
    if (h && T > 0) mls->store(c, h, mls_tape_steps(c, y, T - 1, 1));
    return y;
}
