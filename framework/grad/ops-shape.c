#include "grad/ops-inner.h"

#include <string.h>

/* Operations that only move values: concat, slice, join, embed. */

static double no_flops(const mls_call *k) { (void)k; return 0.0; }

/* ---- columns: a part of every row of one tensor to a part of every row of another */

typedef struct columns {
    mls_rows     rows;
    const float *from;
    float       *to;
    int64_t      n, from_width, to_width;
} columns;

static void copy(int64_t i, void *arg)
{
    const columns *c = arg;
    const int64_t end = mls_rows_end(&c->rows, i);
    for (int64_t r = mls_rows_first(&c->rows, i); r < end; r++)
        memcpy(c->to + r * c->to_width, c->from + r * c->from_width,
               (size_t)c->n * sizeof(float));
}

MLS_INLINE void add_body(int64_t i, void *arg)
{
    const columns *c = arg;
    const int64_t end = mls_rows_end(&c->rows, i), n = c->n;
    for (int64_t r = mls_rows_first(&c->rows, i); r < end; r++) {
        float *restrict to = c->to + r * c->to_width;
        const float *restrict from = c->from + r * c->from_width;
        for (int64_t j = 0; j < n; j++) to[j] += from[j];
    }
}
MLS_KERNEL_BODY(add, add_body)

static void move(void (*body)(int64_t i, void *arg), int64_t rows, int64_t n,
                 const float *from, int64_t from_width, float *to, int64_t to_width)
{
    columns c = { .from = from, .to = to, .n = n, .from_width = from_width,
                  .to_width = to_width };
    mls_rows_run(rows, n, body, &c);
}

static void concat_forward(const mls_call *k)
{
    const mls_t y = k->out[0];
    const int64_t rows = mls_rows_of(y), width = y->dim[2];
    for (int64_t i = 0, at = 0; i < 2; at += k->in[i++]->dim[2])
        move(copy, rows, k->in[i]->dim[2], k->in[i]->data, k->in[i]->dim[2],
             y->data + at, width);
}

static void concat_backward(const mls_call *k)
{
    const mls_t y = k->out[0];
    const int64_t rows = mls_rows_of(y), width = y->dim[2];
    for (int64_t i = 0, at = 0; i < 2; at += k->in[i++]->dim[2])
        if (k->in[i]->grad)
            move(k->fresh >> i & 1 ? copy : add, rows, k->in[i]->dim[2], y->grad + at,
                 width, k->in[i]->grad, k->in[i]->dim[2]);
}

static const mls_op concat = { sizeof concat, "concat", concat_forward, concat_backward,
                              no_flops };

mls_t mls_grad_concat(mls_ctx *c, mls_t a, mls_t b)
{
    if (c->error->set) return mls_grad_empty(c);
    if (a->dim[0] != b->dim[0] || a->dim[1] != b->dim[1]) {
        mls_error_set(c->error,
                      "%s: concat: [%lld][%lld] steps and samples with [%lld][%lld]",
                      c->path, (long long)a->dim[0], (long long)a->dim[1],
                      (long long)b->dim[0], (long long)b->dim[1]);
        return mls_grad_empty(c);
    }
    const mls_t y = mls_tape_tensor(c, a->dim[0], a->dim[1], a->dim[2] + b->dim[2]);
    const mls_t ins[] = { a, b };
    mls_tape_apply_as(c, MLS_WRITES | MLS_TAPE_FORGETS, &concat, NULL, ins, 2, &y, 1);
    if (mls_tape_spikes(a) && mls_tape_spikes(b)) mls_tape_mark_spikes(y);
    return y;
}

static void slice_forward(const mls_call *k)
{
    const mls_t x = k->in[0], y = k->out[0];
    move(copy, mls_rows_of(x), y->dim[2], x->data + *(const int64_t *)k->attr,
         x->dim[2], y->data, y->dim[2]);
}

static void slice_backward(const mls_call *k)
{
    const mls_t x = k->in[0], y = k->out[0];
    if (x->grad)
        move(add, mls_rows_of(x), y->dim[2], y->grad, y->dim[2],
             x->grad + *(const int64_t *)k->attr, x->dim[2]);
}

static const mls_op slice = { sizeof slice, "slice", slice_forward, slice_backward,
                             no_flops };

mls_t mls_grad_slice(mls_ctx *c, mls_t x, int64_t from, int64_t n)
{
    if (c->error->set) return mls_grad_empty(c);
    if (from < 0 || n < 0 || from > x->dim[2] - n) {
        mls_error_set(c->error, "%s: slice: features %lld..%lld of %lld", c->path,
                      (long long)from, (long long)(from + n), (long long)x->dim[2]);
        return mls_grad_empty(c);
    }
    const void *attr = mls_grad_attr(c, &from, sizeof from);
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, x->dim[0], x->dim[1], n);
    mls_tape_apply_as(c, MLS_TAPE_FORGETS, &slice, attr, &x, 1, &y, 1);
    return y;
}

/* ---- join along time ------------------------------------------------------------- */

static void join_forward(const mls_call *k)
{
    float *to = k->out[0]->data;
    for (int i = 0; i < k->n_in; to += k->in[i++]->count)
        if (k->in[i]->count)
            memcpy(to, k->in[i]->data, (size_t)k->in[i]->count * sizeof *to);
}

static void join_backward(const mls_call *k)
{
    const float *from = k->out[0]->grad;
    for (int i = 0; i < k->n_in; from += k->in[i++]->count) {
        const mls_t x = k->in[i];
        const int fresh = i < 64 && k->fresh >> i & 1;
        if (x->grad)
            move(fresh ? copy : add, mls_rows_of(x), x->dim[2], from, x->dim[2], x->grad,
                 x->dim[2]);
    }
}

static const mls_op join = { sizeof join, "join", join_forward, join_backward,
                             no_flops };

mls_t mls_grad_join(mls_ctx *c, const mls_t *part, int n)
{
    if (c->error->set || n < 1) return mls_grad_empty(c);
    if (n == 1) return part[0];
    int64_t steps = 0;
    for (int i = 0; i < n; i++) {
        steps += part[i]->dim[0];
        if (part[i]->dim[1] == part[0]->dim[1] && part[i]->dim[2] == part[0]->dim[2])
            continue;
        mls_error_set(
            c->error, "%s: join: part %d is [%lld][%lld] a step, part 0 [%lld][%lld]",
            c->path, i, (long long)part[i]->dim[1], (long long)part[i]->dim[2],
            (long long)part[0]->dim[1], (long long)part[0]->dim[2]);
        return mls_grad_empty(c);
    }
    const mls_t y = mls_tape_tensor(c, steps, part[0]->dim[1], part[0]->dim[2]);
    mls_tape_apply_as(c, MLS_WRITES | MLS_TAPE_FORGETS, &join, NULL, part, n, &y, 1);
    int spikes = 0;
    for (int i = 0; i < n; i++) spikes += mls_tape_spikes(part[i]);
    if (spikes == n) mls_tape_mark_spikes(y);
    return y;
}

/* ---- embedding ------------------------------------------------------------------- */

typedef struct embedding { const int32_t *token; } embedding;

static void embed_forward(const mls_call *k)
{
    const int32_t *token = ((const embedding *)k->attr)->token;
    const mls_t table = k->in[0], y = k->out[0];
    const int64_t rows = mls_rows_of(y), n = y->dim[2], words = table->dim[1];
    for (int64_t r = 0; r < rows; r++) {
        if (token[r] < 0 || token[r] >= words) {
            mls_error_set(k->ctx->error,
                          "%s: embed: token %d at step %lld of sample %lld; the"
                          " table has 0..%lld",
                          k->ctx->path, (int)token[r], (long long)(r / y->dim[1]),
                          (long long)(r % y->dim[1]), (long long)(words - 1));
            return;
        }
        memcpy(y->data + r * n, table->data + token[r] * n, (size_t)n * sizeof(float));
    }
}

/* Tokens repeat, so rows cannot be shared out; in order, each sum has one order. */
MLS_INLINE void scatter_body(const mls_call *k)
{
    const int32_t *token = ((const embedding *)k->attr)->token;
    const mls_t table = k->in[0], y = k->out[0];
    const int64_t rows = mls_rows_of(y), n = y->dim[2];
    for (int64_t r = 0; r < rows; r++) {
        float *restrict to = table->grad + token[r] * n;
        const float *restrict from = y->grad + r * n;
        for (int64_t j = 0; j < n; j++) to[j] += from[j];
    }
}
MLS_KERNEL(scatter, scatter_body)

static void embed_backward(const mls_call *k) { if (k->in[0]->grad) scatter(k); }

static const mls_op embed = { sizeof embed, "embed", embed_forward, embed_backward,
                             no_flops };

mls_t mls_grad_embed(mls_ctx *c, const int32_t *token, int64_t t, int64_t b,
                     mls_t table)
{
    const embedding e = { token };
    const void *attr = c->error->set ? NULL : mls_grad_attr(c, &e, sizeof e);
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_tape_tensor(c, t, b, table->dim[2]);
    mls_tape_apply_as(c, MLS_REPEATS, &embed, attr, &table, 1, &y, 1);
    return y;
}
