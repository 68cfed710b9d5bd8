/* ops-time.c - sums: over the features of every step, and over the steps of a sample. */
#include "grad/ops-inner.h"

#include <string.h>

static double flops_of_input(const mls_call *k) { return (double)k->in[0]->count; }

/* ---- sum over features ------------------------------------------------------------- */

typedef struct sums { mls_rows rows; const float *from; float *to; int64_t n; } sums;

MLS_INLINE void sum_body(int64_t i, void *arg)
{
    const sums *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        const float *restrict x = p->from + r * n;
        MLS_SUM_OVER(p->to[r], j, n, x[j]);
    }
}
MLS_KERNEL_BODY(sum_rows, sum_body)

MLS_INLINE void spread_body(int64_t i, void *arg)
{
    const sums *p = arg;
    const int64_t n = p->n, end = mls_rows_end(&p->rows, i);
    for (int64_t r = mls_rows_first(&p->rows, i); r < end; r++) {
        float *restrict to = p->to + r * n;
        const float g = p->from[r];
        for (int64_t j = 0; j < n; j++) to[j] += g;
    }
}
MLS_KERNEL_BODY(spread_rows, spread_body)

static void sum_forward(const mls_call *k)
{
    sums p = { .from = k->in[0]->data, .to = k->out[0]->data, .n = k->in[0]->dim[2] };
    mls_rows_run(mls_rows_of(k->in[0]), p.n, sum_rows, &p);
}

static void sum_backward(const mls_call *k)
{
    sums p = { .from = k->out[0]->grad, .to = k->in[0]->grad, .n = k->in[0]->dim[2] };
    if (p.to) mls_rows_run(mls_rows_of(k->in[0]), p.n, spread_rows, &p);
}

static const mls_op sum = { sizeof sum, "sum", sum_forward, sum_backward,
                            flops_of_input };

mls_t mls_grad_sum(mls_ctx *c, mls_t x)
{
    if (c->error->set) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, x->dim[0], x->dim[1], 1);
    mls_tape_apply_as(c, MLS_TAPE_FORGETS, &sum, NULL, &x, 1, &y, 1);
    return y;
}

/* ---- pool over time ---------------------------------------------------------------- */

enum { TILE = 64, RUN = 128 };   /* features of an item; steps of a partial sum         */

typedef struct pool {
    const mls_call *k;
    mls_pool        kind;
    int64_t         T, B, N, tiles;
    const float    *mask;
    int64_t        *last, *real;         /* [B]: the last real step or -1, and how many  */
} pool;

static int make_pool(pool *p, const mls_call *k)
{
    const mls_t x = k->in[0], mask = k->in[1];
    *p = (pool){ .k = k, .kind = *(const mls_pool *)k->attr, .T = x->dim[0],
                 .B = x->dim[1], .N = x->dim[2], .mask = mask ? mask->data : NULL };
    p->tiles = (p->N + TILE - 1) / TILE;
    p->last = mls_tape_scratch(k, (size_t)(2 * p->B) * sizeof *p->last);
    if (!p->last) return 0;
    p->real = p->last + p->B;
    for (int64_t b = 0; b < p->B; b++) {
        p->last[b] = -1;
        p->real[b] = 0;
        for (int64_t t = 0; t < p->T; t++)
            if (!p->mask || p->mask[t * p->B + b] != 0.0f) p->last[b] = t, p->real[b]++;
    }
    return 1;
}

static void run_pool(pool *p, void (*body)(int64_t i, void *arg))
{
    const int64_t items = p->B * p->tiles;
    if (p->k->in[0]->count < MLS_ROWS_SHARE)
        for (int64_t i = 0; i < items; i++) body(i, p);
    else
        mls_parfor(items, body, p);
}

MLS_INLINE int real(const pool *p, int64_t t, int64_t b)
{
    return !p->mask || p->mask[t * p->B + b] != 0.0f;
}

/* total[0..n) = the sum over real steps: in order, with partial sums over RUN steps. */
MLS_INLINE void sum_steps(const pool *p, int64_t b, int64_t from, int64_t n,
                          float *restrict total)
{
    for (int64_t t0 = 0; t0 < p->T; t0 += RUN) {
        float part[TILE] = { 0 };
        const int64_t end = t0 + RUN < p->T ? t0 + RUN : p->T;
        for (int64_t t = t0; t < end; t++) {
            if (!real(p, t, b)) continue;
            const float *restrict x = p->k->in[0]->data + (t * p->B + b) * p->N + from;
            for (int64_t j = 0; j < n; j++) part[j] += x[j];
        }
        for (int64_t j = 0; j < n; j++) total[j] += part[j];
    }
}

MLS_INLINE float share(const pool *p, int64_t b)
{
    return p->kind == MLS_POOL_MEAN && p->real[b] ? 1.0f / (float)p->real[b] : 1.0f;
}

MLS_INLINE void pool_body(int64_t i, void *arg)
{
    const pool *p = arg;
    const int64_t b = i / p->tiles, from = i % p->tiles * TILE;
    const int64_t n = p->N - from < TILE ? p->N - from : TILE;
    float *restrict y = p->k->out[0]->data + b * p->N + from, total[TILE] = { 0 };
    const float over = share(p, b);
    if (p->kind != MLS_POOL_LAST)
        sum_steps(p, b, from, n, total);
    else if (p->last[b] >= 0)
        memcpy(total, p->k->in[0]->data + (p->last[b] * p->B + b) * p->N + from,
               (size_t)n * sizeof *total);
    for (int64_t j = 0; j < n; j++) y[j] = total[j] * over;
}
MLS_KERNEL_BODY(pool_tile, pool_body)

MLS_INLINE void pool_back_body(int64_t i, void *arg)
{
    const pool *p = arg;
    const int64_t b = i / p->tiles, from = i % p->tiles * TILE;
    const int64_t n = p->N - from < TILE ? p->N - from : TILE;
    const float *restrict gy = p->k->out[0]->grad + b * p->N + from;
    const float over = share(p, b);
    for (int64_t t = p->kind == MLS_POOL_LAST ? p->last[b] : 0; t >= 0 && t <= p->last[b];
         t++) {
        if (!real(p, t, b)) continue;
        float *restrict gx = p->k->in[0]->grad + (t * p->B + b) * p->N + from;
        for (int64_t j = 0; j < n; j++) gx[j] += gy[j] * over;
    }
}
MLS_KERNEL_BODY(pool_back_tile, pool_back_body)

static void pool_forward(const mls_call *k)
{
    pool p;
    if (make_pool(&p, k)) run_pool(&p, pool_tile);
}

static void pool_backward(const mls_call *k)
{
    pool p;
    if (k->in[0]->grad && make_pool(&p, k)) run_pool(&p, pool_back_tile);
}

static const mls_op pool_op = { sizeof pool_op, "pool", pool_forward, pool_backward,
                                flops_of_input };

mls_t mls_grad_pool(mls_ctx *c, mls_t x, mls_pool f, mls_t mask)
{
    if (c->error->set) return mls_grad_empty(c);
    if ((unsigned)f > MLS_POOL_SUM)
        mls_error_set(c->error, "%s: pool: there is no kind number %d", c->path, (int)f);
    else if (mask && mask->count != mls_rows_of(x))
        mls_error_set(c->error,
                      "%s: pool: the mask has %lld values for %lld steps of %lld samples",
                      c->path, (long long)mask->count, (long long)x->dim[0],
                      (long long)x->dim[1]);
    const void *attr = c->error->set ? NULL : mls_grad_attr(c, &f, sizeof f);
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, 1, x->dim[1], x->dim[2]), in[] = { x, mask };
    mls_tape_apply_as(c, mask ? MLS_TAPE_FORGETS_OUT : MLS_TAPE_FORGETS, &pool_op, attr, in, 2,
                      &y, 1);
    return y;
}
