#include "grad/ops-inner.h"

#include "grad/events.h"
#include "kern/kern.h"

/* ---- sums over rows -------------------------------------------------------------- */

enum { TILE = 64, RUN = 128 };    /* columns of an item; rows of a partial sum        */
enum { QUICK = 32 };              /* inputs of a map that is made again in backward   */

typedef struct columns {
    float       *out;
    const float *x, *y, *by_row;
    int64_t      rows, width;
} columns;

MLS_INLINE void tile_sum(const columns *p, int64_t from, int64_t n)
{
    float total[TILE] = { 0 };
    for (int64_t r0 = 0; r0 < p->rows; r0 += RUN) {
        const int64_t end = r0 + RUN < p->rows ? r0 + RUN : p->rows;
        float part[TILE] = { 0 };
        for (int64_t r = r0; r < end; r++) {
            const float *restrict x = p->x + r * p->width + from;
            const float s = p->by_row ? p->by_row[r] : 1.0f;
            if (p->y) {
                const float *restrict y = p->y + r * p->width + from;
                for (int64_t j = 0; j < n; j++) part[j] += x[j] * y[j] * s;
            } else {
                for (int64_t j = 0; j < n; j++) part[j] += x[j] * s;
            }
        }
        for (int64_t j = 0; j < n; j++) total[j] += part[j];
    }
    for (int64_t j = 0; j < n; j++) p->out[from + j] += total[j];
}

MLS_INLINE void columns_body(int64_t i, void *arg)
{
    const columns *p = arg;
    const int64_t from = i * TILE, left = p->width - from;
    if (left >= TILE) tile_sum(p, from, TILE);
    else tile_sum(p, from, left);
}
MLS_KERNEL_BODY(sum_columns, columns_body)

void mls_grad_column_sums(float *out, const float *x, const float *y,
                          const float *by_row, int64_t rows, int64_t width)
{
    columns p = { out, x, y, by_row, rows, width };
    const int64_t items = (width + TILE - 1) / TILE;
    if (rows * width < MLS_ROWS_SHARE)
        for (int64_t i = 0; i < items; i++) sum_columns(i, &p);
    else
        mls_parfor(items, sum_columns, &p);
}

double mls_grad_flops_each(const mls_call *k) { return (double)k->out[0]->count; }

/* ---- y = x w^T + bias ------------------------------------------------------------ */

/* Padding and rows beyond the samples that count have no spikes. */
static void count_spikes(mls_synapses *s, mls_t x, int64_t out)
{
    const int64_t B = x->dim[1], N = x->dim[2], T = x->dim[0];
    const int64_t inner = s->steps > 0 && T % s->steps == 0 ? T / s->steps : 0;
    s->maps++;
    for (int64_t r = 0; r < T * B; r++) {
        if (r % B >= s->samples) continue;
        if (s->mask && inner && s->mask[r / B / inner * B + r % B] == 0.0f) continue;
        int64_t n = 0;
        for (int64_t j = 0; j < N; j++) n += x->data[r * N + j] != 0.0f;
        s->operations += (double)n * (double)out;
    }
}

static void linear_forward(const mls_call *k)
{
    mls_synapses *s = k->ctx->tape->synapses;
    if (s && mls_tape_spikes(k->in[0])) count_spikes(s, k->in[0], k->out[0]->dim[2]);
    const mls_t x = k->in[0], w = k->in[1], bias = k->in[2], y = k->out[0];
    const int64_t in = x->dim[2], out = y->dim[2], rows = mls_rows_of(x);
    const float *b = bias ? bias->data : NULL;
    const mls_int8 *q = mls_tape_int8(w);
    if (rows <= MLS_K_FEW && !(k->flags & (MLS_TRAIN | MLS_EXACT))) {
        if (q) mls_k_linear_int8(rows, out, in, x->data, q, b, y->data);
        else mls_k_linear_few(rows, out, in, x->data, w->data, b, y->data);
        return;
    }
    if (mls_grad_events_product(k, x, out, w->data, in, bias ? bias->data : NULL, 0, y->data))
        return;
    mls_k_linear(k->flags & MLS_EXACT, x->dim[1], rows, out, in, x->data, w->data, b,
                 y->data);
}

/* dx = dy w,  dw = dy^T x over all steps at once,  db = column sums of dy. */
static void linear_backward(const mls_call *k)
{
    const mls_t x = k->in[0], w = k->in[1], bias = k->in[2], y = k->out[0];
    const int64_t in = x->dim[2], out = y->dim[2], rows = mls_rows_of(x);
    if (x->grad)
        mls_k_gemm_rows(k->flags & MLS_EXACT, x->dim[1], 0, 0, rows, in, out, 1.0f,
                        y->grad, out, w->data, in, mls_grad_keep(k, 0), x->grad, in);
    mls_grad_clear(k, 1);
    if (bias) mls_grad_clear(k, 2);
    if (w->grad && !mls_grad_events_weight(k, x, y->grad, out, w->grad, in))
        mls_k_gemm_rows(0, 0, 1, 0, out, in, rows, 1.0f, y->grad, out, x->data, in,
                        1.0f, w->grad, in);
    if (bias && bias->grad)
        mls_grad_column_sums(bias->grad, y->grad, NULL, NULL, rows, out);
}

static double linear_flops(const mls_call *k)
{
    const double y = (double)k->out[0]->count;
    return 2.0 * y * (double)k->in[0]->dim[2] + (k->in[2] ? y : 0.0);
}

static const mls_op linear = { sizeof linear, "linear", linear_forward, linear_backward,
                               linear_flops };

mls_t mls_grad_linear(mls_ctx *c, mls_t x, mls_t w, mls_t bias)
{
    if (c->error->set) return mls_grad_empty(c);
    const int64_t out = w->dim[1], in = w->dim[2];
    if (x->dim[2] != in || w->dim[0] != 1 || (bias && bias->count != out)) {
        mls_error_set(c->error,
                      "%s: linear: x has %lld features, the weight is [%lld][%lld]"
                      " and the bias has %lld values",
                      c->path, (long long)x->dim[2], (long long)out, (long long)in,
                      (long long)(bias ? bias->count : out));
        return mls_grad_empty(c);
    }
    const double macs = (double)mls_rows_of(x) * (double)in * (double)out;
    c->tape->macs += macs;
    if (mls_tape_spikes(x)) c->tape->spike_macs += macs;
    const unsigned can = MLS_WRITES | (in <= QUICK ? MLS_REPEATS : MLS_FORGETS);
    const mls_t ins[] = { x, w, bias };
    if (c->tape->puts_off && !mls_tape_spikes(x) && !mls_tape_int8(w))
        return mls_tape_put_off(c, can, &linear, ins, x->dim[0], x->dim[1], out);
    const mls_t y = mls_tape_tensor(c, x->dim[0], x->dim[1], out);
    mls_tape_apply_as(c, can, &linear, NULL, ins, 3, &y, 1);
    return y;
}
