#include "grad/ops-inner.h"

#include <string.h>

/* b's dimensions are a's or 1.  A row is one (t, b) of a; b's row for it is found by
 * the strides below, which are 0 along the dimensions that b does not have. */
typedef struct pair {
    mls_rows     rows;
    const float *a, *b, *gy;
    float       *to;             /* y, the gradient of a, or the gradient of b        */
    int64_t      T, B, N;        /* of a; as one row [1][1][count] when shapes agree  */
    int64_t      st, sb, sn;     /* strides of b in values                            */
    int64_t      tiles;          /* of a row of b, in the gradient of b               */
} pair;

MLS_INLINE int64_t row_of_b(const pair *p, int64_t r)
{
    return r / p->B * p->st + r % p->B * p->sb;
}

enum { TILE = 64, RUN = 128 };

/* A stretch of a row; sn is 0 when all of it meets the same value of b. */
typedef struct line {
    float       *to;
    const float *a, *b, *gy;
    int64_t      sn, n;
} line;

/* Same shapes are one long line cut in blocks; else a block is rows of a. */
MLS_INLINE void over_rows(int64_t i, void *arg, void (*each)(const line *l))
{
    const pair *p = arg;
    const int64_t from = mls_rows_first(&p->rows, i), end = mls_rows_end(&p->rows, i);
    const float *gy = p->gy ? p->gy : p->a;              /* forward: not read */
    if (p->T == 0) {
        const line l = { p->to + from, p->a + from, p->b + from, gy + from, 1,
                         end - from };
        each(&l);
        return;
    }
    for (int64_t r = from; r < end; r++) {
        const int64_t at = r * p->N;
        const line l = { p->to + at, p->a + at, p->b + row_of_b(p, r), gy + at, p->sn,
                         p->N };
        each(&l);
    }
}

/* total[0..n) += the gradients, in columns from.., of all rows of a that row q of b
 * meets: in order, with partial sums over RUN rows, so that long sums stay exact.    */
MLS_INLINE void sum_tile(const pair *p, int64_t q, int64_t from, int64_t n,
                         float *restrict total, void (*each)(const line *l))
{
    const int64_t own = p->sb ? p->B : 1;
    const int64_t t0 = p->st ? q / own : 0, t1 = p->st ? t0 + 1 : p->T;
    const int64_t b0 = p->sb ? q % own : 0, b1 = p->sb ? b0 + 1 : p->B;
    float part[TILE] = { 0 };
    int64_t done = 0;
    for (int64_t t = t0; t < t1; t++)
        for (int64_t b = b0; b < b1; b++) {
            const int64_t r = t * p->B + b, at = r * p->N + from;
            const float *b_row = p->b + row_of_b(p, r) + (p->sn ? from : 0);
            const line l = { part, p->a + at, b_row, p->gy + at, p->sn, n };
            each(&l);
            if (++done % RUN) continue;
            for (int64_t j = 0; j < n; j++) {
                total[j] += part[j];
                part[j] = 0.0f;
            }
        }
    for (int64_t j = 0; j < n; j++) total[j] += part[j];
}

/* An item is one tile of one row of b, or the one value of b in a row. */
MLS_INLINE void over_rows_of_b(int64_t i, void *arg, void (*each)(const line *l))
{
    const pair *p = arg;
    const int64_t end = mls_rows_end(&p->rows, i);
    for (int64_t item = mls_rows_first(&p->rows, i); item < end; item++) {
        const int64_t q = item / p->tiles, first = item % p->tiles * TILE;
        float total[TILE] = { 0 };
        if (p->sn) {
            const int64_t n = p->N - first < TILE ? p->N - first : TILE;
            sum_tile(p, q, first, n, total, each);
            for (int64_t j = 0; j < n; j++) p->to[q * p->N + first + j] += total[j];
        } else {
            float sum;
            for (int64_t from = 0; from < p->N; from += TILE) {
                const int64_t n = p->N - from < TILE ? p->N - from : TILE;
                sum_tile(p, q, from, n, total, each);
            }
            MLS_SUM_OVER(sum, j, TILE, total[j]);
            p->to[q] += sum;
        }
    }
}

/* The value, and the slopes along a and along b, of one function of a and b. */
#define BINARY(name, value, slope_a, slope_b) \
    MLS_INLINE void name##_line(const line *l) \
    { \
        const float *restrict as = l->a, *restrict bs = l->b; \
        float *restrict to = l->to; \
        const int64_t n = l->n; \
        if (l->sn) \
            for (int64_t j = 0; j < n; j++) { \
                const float a = as[j], b = bs[j]; \
                to[j] = (value); \
            } \
        else { \
            const float b = bs[0]; \
            for (int64_t j = 0; j < n; j++) { \
                const float a = as[j]; \
                to[j] = (value); \
            } \
        } \
    } \
    MLS_INLINE void name##_line_a(const line *l) \
    { \
        const float *restrict as = l->a, *restrict bs = l->b, *restrict gy = l->gy; \
        float *restrict to = l->to; \
        const int64_t n = l->n; \
        if (l->sn) \
            for (int64_t j = 0; j < n; j++) { \
                const float a = as[j], b = bs[j]; \
                (void)a, (void)b; \
                to[j] += gy[j] * (slope_a); \
            } \
        else { \
            const float b = bs[0]; \
            for (int64_t j = 0; j < n; j++) { \
                const float a = as[j]; \
                (void)a, (void)b; \
                to[j] += gy[j] * (slope_a); \
            } \
        } \
    } \
    MLS_INLINE void name##_line_b(const line *l) \
    { \
        const float *restrict as = l->a, *restrict bs = l->b, *restrict gy = l->gy; \
        float *restrict to = l->to; \
        const int64_t n = l->n, sn = l->sn; \
        for (int64_t j = 0; j < n; j++) { \
            const float a = as[j], b = bs[sn ? j : 0]; \
            (void)a, (void)b; \
            to[j] += gy[j] * (slope_b); \
        } \
    } \
    MLS_INLINE void name##_value(int64_t i, void *arg) \
    { \
        over_rows(i, arg, name##_line); \
    } \
    MLS_INLINE void name##_slope_a(int64_t i, void *arg) \
    { \
        over_rows(i, arg, name##_line_a); \
    } \
    MLS_INLINE void name##_slope_b(int64_t i, void *arg) \
    { \
        const pair *p = arg; \
        if (p->T == 0) over_rows(i, arg, name##_line_b); \
        else over_rows_of_b(i, arg, name##_line_b); \
    } \
    MLS_KERNEL_BODY(name##_forward, name##_value) \
    MLS_KERNEL_BODY(name##_to_a, name##_slope_a) \
    MLS_KERNEL_BODY(name##_to_b, name##_slope_b)

BINARY(add, a + b, 1.0f, 1.0f)
BINARY(sub, a - b, 1.0f, -1.0f)
BINARY(mul, a * b, b, a)
BINARY(div, a / b, 1.0f / b, -(a / b) / b)
/* where both are equal each gets half */
BINARY(max, a > b ? a : b,
       a > b   ? 1.0f
       : a < b ? 0.0f
               : 0.5f,
       a<b ? 1.0f : a> b ? 0.0f : 0.5f)

typedef struct function {
    mls_op op;
    void (*forward)(int64_t i, void *arg), (*to_a)(int64_t i, void *arg);
    void (*to_b)(int64_t i, void *arg);
    unsigned forgets;                               /* MLS_TAPE_FORGETS_*               */
} function;

static pair pair_of(const mls_call *k)
{
    const mls_t a = k->in[0], b = k->in[1];
    pair p = { .a = a->data, .b = b->data, .gy = k->out[0]->grad };
    if (a->count == b->count) return p;              /* T == 0: one line */
    p.T = a->dim[0], p.B = a->dim[1], p.N = a->dim[2];
    p.sn = b->dim[2] == p.N;
    p.sb = b->dim[1] == 1 ? 0 : b->dim[2];
    p.st = b->dim[0] == 1 ? 0 : b->dim[1] * b->dim[2];
    p.tiles = p.sn ? (p.N + TILE - 1) / TILE : 1;
    return p;
}

static void over_a(const mls_call *k, pair *p, void (*body)(int64_t i, void *arg))
{
    if (p->T == 0) mls_rows_run(k->in[0]->count, 1, body, p);
    else mls_rows_run(mls_rows_of(k->in[0]), p->N, body, p);
}

static void forward(const mls_call *k)
{
    const function *f = k->attr;
    pair p = pair_of(k);
    p.to = k->out[0]->data;
    over_a(k, &p, f->forward);
}

static void copy_body(int64_t i, void *arg)
{
    const pair *p = arg;
    const int64_t from = mls_rows_first(&p->rows, i), end = mls_rows_end(&p->rows, i);
    memcpy(p->to + from, p->gy + from, (size_t)(end - from) * sizeof *p->to);
}

static int is_sum(const function *f);

/* The gradient of an input that a sum passes through as it is: copied, if it is the first
 * to come and does not lie there.  0: it must be added.                                */
static int pass_on(const mls_call *k, pair *p, int i)
{
    if (!(k->fresh >> i & 1)) return 0;
    if (is_sum(k->attr) && k->in[i]->count == k->in[0]->count) {
        p->to = k->in[i]->grad;
        if (p->to != k->out[0]->grad) mls_rows_run(k->in[0]->count, 1, copy_body, p);
        return 1;
    }
    mls_grad_clear(k, i);
    return 0;
}

static void backward(const mls_call *k)
{
    const function *f = k->attr;
    pair p = pair_of(k);
    if (f->forgets == MLS_TAPE_FORGETS) p.a = p.b = p.gy;     /* any floats: nobody looks */
    if (k->in[0]->grad && !pass_on(k, &p, 0)) {
        p.to = k->in[0]->grad;
        over_a(k, &p, f->to_a);
    }
    if (!k->in[1]->grad || pass_on(k, &p, 1)) return;
    p.to = k->in[1]->grad;
    if (p.T == 0) {
        over_a(k, &p, f->to_b);
        return;
    }
    const int64_t items = mls_rows_of(k->in[1]) * p.tiles;
    mls_rows_run(items, items ? k->in[0]->count / items : 1, f->to_b, &p);
}

#define ROW(name, forgets) \
    { { sizeof(mls_op), #name, forward, backward, mls_grad_flops_each }, \
      name##_forward, name##_to_a, name##_to_b, forgets }

static const function functions[] = {
    [MLS_ADD] = ROW(add, MLS_TAPE_FORGETS),     [MLS_SUB] = ROW(sub, MLS_TAPE_FORGETS),
    [MLS_MUL] = ROW(mul, MLS_REPEATS), [MLS_MAX] = ROW(max, MLS_REPEATS),
    [MLS_DIV] = ROW(div, MLS_REPEATS),
};

static int is_sum(const function *f) { return f == &functions[MLS_ADD]; }

mls_t mls_grad_binary(mls_ctx *c, mls_binary f, mls_t a, mls_t b)
{
    if (c->error->set) return mls_grad_empty(c);
    int fits = (unsigned)f < sizeof functions / sizeof *functions;
    for (int i = 0; i < 3; i++) fits &= b->dim[i] == a->dim[i] || b->dim[i] == 1;
    if (!fits) {
        mls_error_set(c->error,
                      "%s: binary %d: [%lld][%lld][%lld] with [%lld][%lld][%lld]: the"
                      " second must have the first's shape or 1 along a dimension",
                      c->path, (int)f, (long long)a->dim[0], (long long)a->dim[1],
                      (long long)a->dim[2], (long long)b->dim[0], (long long)b->dim[1],
                      (long long)b->dim[2]);
        return mls_grad_empty(c);
    }
    const mls_t y = mls_grad_like(c, a), ins[] = { a, b };
    const unsigned passes = f == MLS_ADD ? MLS_PASSES(0) | MLS_PASSES(1) : 0;
    mls_tape_apply_as(c, MLS_WRITES | passes | functions[f].forgets, &functions[f].op,
                      &functions[f], ins, 2, &y, 1);
    return y;
}
