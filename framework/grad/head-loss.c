/* head-loss.c - a linear map and the cross-entropy of its outputs, a block of rows at a time:
 *
 *   y = x w^T + b,  loss = mean over scored rows of log sum e^y - y[label]
 *
 * The [T][B][n] logits are never whole.  In training a block's gradient is made of it at
 * once, for a loss of gradient 1, and goes into dx, dw and db: so no product is made twice.
 * Backward multiplies them by the gradient that the loss turns out to have.  dx can lie
 * where x was.  Rows have the bits that whole logits have; dw and db sum the blocks, and are
 * off by roundings.                                                                      */
#include "grad/entropy.h"

#include "kern/kern.h"
#include "grad/tape-inner.h"

#include <string.h>

enum { VALUES = 1 << 18, LEAST_ROWS = MLS_K_PANEL, MOST_ROWS = 1 << 12 };
enum { PER = 32, SHARE = 1 << 16 };    /* rows of an item; values worth waking a thread */

typedef struct head_attr {
    const int32_t  *label;
    mls_loss_stats *stats;
    mls_t           dx, dw, db;   /* dx NULL: in x's place; dw NULL: no gradient        */
} head_attr;

int64_t mls_grad_head_rows(int64_t n, int64_t samples, int exact)
{
    int64_t rows = VALUES / (n > 0 ? n : 1) / LEAST_ROWS * LEAST_ROWS;
    rows = rows < LEAST_ROWS ? LEAST_ROWS : rows > MOST_ROWS ? MOST_ROWS : rows;
    if (!exact || samples < 1) return rows;
    return rows < samples ? samples : rows / samples * samples;
}

static void each_row(mls_entropy *p, int64_t rows, void (*body)(int64_t i, void *arg))
{
    const int64_t items = (rows + PER - 1) / PER;
    p->rows = (mls_rows){ rows, PER };
    if (rows * p->n >= SHARE) mls_parfor(items, body, p);
    else for (int64_t i = 0; i < items; i++) body(i, p);
}

/* Of `rows` rows whose gradients are g: what they add to dw and db, and their part of dx. */
static void block_gradient(const mls_call *k, const head_attr *a, int64_t rows, const float *g,
                           const float *x, float *dx)
{
    const mls_t w = k->in[1];
    const int64_t n = w->dim[1], in = w->dim[2];
    mls_k_gemm_rows(0, 0, 1, 0, n, in, rows, 1.0f, g, n, x, in, 1.0f, a->dw->data, in);
    if (a->db) mls_grad_column_sums(a->db->data, g, NULL, NULL, rows, n);
    if (dx)
        mls_k_gemm_rows(k->flags & MLS_EXACT, k->in[0]->dim[1], 0, 0, rows, in, n, 1.0f, g, n,
                        w->data, in, 0.0f, dx, in);
}

static void zero(mls_t x)
{
    if (x) memset(x->data, 0, (size_t)x->count * sizeof(float));
}

static void forward(const mls_call *k)
{
    const head_attr *a = k->attr;
    const mls_t x = k->in[0], w = k->in[1], bias = k->in[2];
    const int64_t rows = mls_rows_of(x), n = w->dim[1], in = w->dim[2];
    const int exact = (k->flags & MLS_EXACT) != 0;
    const int64_t most = mls_grad_head_rows(n, x->dim[1], exact);
    int64_t scored = 0;
    if (!mls_entropy_fits(k, a->label, rows, n)) return;
    for (int64_t r = 0; r < rows; r++) scored += a->label[r] >= 0;
    float *y = mls_tape_scratch(k, (size_t)(most * n) * sizeof *y);
    float *log_sum = mls_tape_scratch(k, 2 * (size_t)most * sizeof *log_sum);
    if (!y || !log_sum) return;
    float *dx = !a->dw || !mls_tape_tracks(x) ? NULL : a->dx ? a->dx->data : x->data;
    zero(a->dw);
    zero(a->db);
    mls_entropy p = { .x = y, .gx = y, .log_sum = log_sum, .nats = log_sum + most, .n = n,
                      .weight = scored ? (float)(1.0 / (double)scored) : 0.0f };
    mls_loss_stats s = { 0 };
    for (int64_t r = 0; r < rows; r += most) {
        const int64_t some = rows - r < most ? rows - r : most;
        p.label = a->label + r;
        mls_k_linear(exact, x->dim[1], some, n, in, x->data + r * in, w->data,
                     bias ? bias->data : NULL, y);
        each_row(&p, some, mls_entropy_forward);
        for (int64_t i = 0; i < some; i++)
            mls_entropy_add(&s, y + i * n, n, p.label[i], p.nats[i]);
        if (!a->dw) continue;
        each_row(&p, some, mls_entropy_replace);
        block_gradient(k, a, some, y, x->data + r * in, dx ? dx + r * in : NULL);
    }
    if (a->stats) *a->stats = s;
    k->out[0]->data[0] = s.count > 0.0 ? (float)(s.sum / s.count) : 0.0f;
}

/* ---- backward ---------------------------------------------------------------------- */

typedef struct scaled {
    mls_rows     rows;
    float       *to;
    const float *from;
    int64_t      n;
    float        keep, by;        /* to = keep * to + by * from                         */
} scaled;

MLS_INLINE void scaled_body(int64_t i, void *arg)
{
    const scaled *p = arg;
    const int64_t end = mls_rows_end(&p->rows, i) * p->n;
    const float by = p->by;
    float *to = p->to;
    const float *from = p->from;
    if (p->keep > 0.0f)
        for (int64_t j = mls_rows_first(&p->rows, i) * p->n; j < end; j++) to[j] += by * from[j];
    else
        for (int64_t j = mls_rows_first(&p->rows, i) * p->n; j < end; j++) to[j] = by * from[j];
}
MLS_KERNEL_BODY(scaled_rows, scaled_body)

static void give(mls_t x, float keep, float by, mls_t from)
{
    if (!x || !x->grad || !from) return;
    scaled p = { .to = x->grad, .from = from->data, .n = x->dim[2], .keep = keep, .by = by };
    mls_rows_run(mls_rows_of(x), p.n, scaled_rows, &p);
}

static void backward(const mls_call *k)
{
    const head_attr *a = k->attr;
    const mls_t x = k->in[0];
    const float by = k->out[0]->grad[0];
    if (x->grad && a->dx) {
        give(x, mls_grad_keep(k, 0), by, a->dx);
    } else if (x->grad && (by < 1.0f || by > 1.0f)) {
        scaled p = { .to = x->grad, .from = x->grad, .n = x->dim[2], .by = by };
        mls_rows_run(mls_rows_of(x), p.n, scaled_rows, &p);
    }
    give(k->in[1], mls_grad_keep(k, 1), by, a->dw);
    give(k->in[2], mls_grad_keep(k, 2), by, a->db);
}

/* Of the products of the map and of the loss, as if they were two ops. */
static double flops(const mls_call *k)
{
    const double y = (double)mls_rows_of(k->in[0]) * (double)k->in[1]->dim[1];
    return y * (2.0 * (double)k->in[0]->dim[2] + (k->in[2] ? 1.0 : 0.0) + 4.0);
}

static const mls_op head_loss = { sizeof head_loss, "head_loss", forward, backward, flops };

mls_t mls_grad_head_loss(mls_ctx *c, const mls_later *y, const int32_t *label,
                         mls_loss_stats *stats, int replace)
{
    if (stats) *stats = (mls_loss_stats){ 0 };
    if (c->error->set) return mls_grad_empty(c);
    const mls_t x = y->in[0], w = y->in[1], bias = y->in[2];
    head_attr a = { .label = label, .stats = stats };
    int tracks = 0;
    for (int i = 0; i < 3; i++) tracks |= mls_tape_tracks(y->in[i]);
    if (tracks && c->tape->flags & MLS_TRAIN) {
        a.dw = mls_tape_tensor(c, 1, w->dim[1], w->dim[2]);
        a.db = bias ? mls_tape_tensor(c, 1, 1, w->dim[1]) : NULL;
        if (mls_tape_tracks(x) && !(replace && mls_tape_overwrite(c, x, NULL)))
            a.dx = mls_grad_like(c, x);
    }
    const void *attr = mls_grad_attr(c, &a, sizeof a);
    if (!attr) return mls_grad_empty(c);
    const mls_t loss = mls_tape_tensor(c, 1, 1, 1);
    const int64_t n = w->dim[1], exact = (c->tape->flags & MLS_EXACT) != 0;
    c->tape->expects[0] = (size_t)(mls_grad_head_rows(n, x->dim[1], (int)exact) * (n + 2)) *
                          sizeof(float);
    mls_tape_apply_as(c, MLS_WRITES | MLS_TAPE_FORGETS, &head_loss, attr, y->in, 3, &loss, 1);
    return loss;
}
