#include "grad/ops-inner.h"

#include "base/philox.h"

/* y = x keep / (1 - p), keep in {0, 1} drawn by Philox from the step's key, the number
 * of this dropout in the step, and the value's place.  Backward draws the same again:
 * nothing is saved (Srivastava et al. 2014, "inverted" scaling).                     */

enum { LANES = 64, TILE = 4 * LANES };

typedef struct dropout {
    mls_rows     rows;            /* a row is one tile                                */
    const float *x, *gy;
    float       *to;
    int64_t      n;
    uint64_t     key;
    uint32_t     below;           /* dropped when the draw is smaller                 */
    float        scale;
} dropout;

typedef struct dropout_attr { uint64_t key; uint32_t below; float scale; } dropout_attr;

/* mls_philox at counters first .. first + LANES - 1, lane by lane so that it
 * vectorises; the four words of a counter go to four values in a row. */
MLS_INLINE void draw(const dropout *p, int64_t tile, float *restrict factor)
{
    uint32_t x0[LANES], x1[LANES], x2[LANES] = { 0 }, x3[LANES] = { 0 };
    const uint64_t first = (uint64_t)tile * LANES;
    uint32_t k0 = (uint32_t)p->key, k1 = (uint32_t)(p->key >> 32);
    for (int l = 0; l < LANES; l++) {
        x0[l] = (uint32_t)(first + (uint64_t)l);
        x1[l] = (uint32_t)((first + (uint64_t)l) >> 32);
    }
    for (int i = 0; i < MLS_PHILOX_ROUNDS; i++) {
        for (int l = 0; l < LANES; l++) {
            const uint64_t a = (uint64_t)MLS_PHILOX_M0 * x0[l];
            const uint64_t b = (uint64_t)MLS_PHILOX_M1 * x2[l];
            x0[l] = (uint32_t)(b >> 32) ^ x1[l] ^ k0;
            x1[l] = (uint32_t)b;
            x2[l] = (uint32_t)(a >> 32) ^ x3[l] ^ k1;
            x3[l] = (uint32_t)a;
        }
        k0 += MLS_PHILOX_W0;
        k1 += MLS_PHILOX_W1;
    }
    for (int l = 0; l < LANES; l++) {
        factor[4 * l + 0] = x0[l] < p->below ? 0.0f : p->scale;
        factor[4 * l + 1] = x1[l] < p->below ? 0.0f : p->scale;
        factor[4 * l + 2] = x2[l] < p->below ? 0.0f : p->scale;
        factor[4 * l + 3] = x3[l] < p->below ? 0.0f : p->scale;
    }
}

MLS_INLINE void body(int64_t i, void *arg)
{
    const dropout *p = arg;
    const int64_t end = mls_rows_end(&p->rows, i);
    for (int64_t t = mls_rows_first(&p->rows, i); t < end; t++) {
        float factor[TILE];
        draw(p, t, factor);
        const int64_t from = t * TILE, n = p->n - from < TILE ? p->n - from : TILE;
        float *restrict to = p->to + from;
        if (p->gy)
            for (int64_t j = 0; j < n; j++) to[j] += p->gy[from + j] * factor[j];
        else
            for (int64_t j = 0; j < n; j++) to[j] = p->x[from + j] * factor[j];
    }
}
MLS_KERNEL_BODY(tiles, body)

static void run(const mls_call *k, const float *x, const float *gy, float *to)
{
    const dropout_attr *a = k->attr;
    dropout p = { .x = x, .gy = gy, .to = to, .n = k->in[0]->count, .key = a->key,
                  .below = a->below, .scale = a->scale };
    mls_rows_run((p.n + TILE - 1) / TILE, TILE, tiles, &p);
}

static void forward(const mls_call *k)
{
    run(k, k->in[0]->data, NULL, k->out[0]->data);
}

static void backward(const mls_call *k)
{
    if (k->in[0]->grad) run(k, NULL, k->out[0]->grad, k->in[0]->grad);
}

static const mls_op op = { sizeof op, "dropout", forward, backward,
                           mls_grad_flops_each };

mls_t mls_grad_dropout(mls_ctx *c, mls_t x, double p)
{
    if (c->error->set) return mls_grad_empty(c);
    if (!(p >= 0.0 && p < 1.0)) {
        mls_error_set(c->error, "%s: dropout: p is %g, expected 0 <= p < 1", c->path,
                      p);
        return mls_grad_empty(c);
    }
    if (p == 0.0 || !(c->tape->flags & MLS_TRAIN) || c->tape->steady) return x;
    const uint64_t number = (uint64_t)c->tape->dropouts++;
    const dropout_attr a = { mls_philox_mix(c->tape->dropout, number),
                            (uint32_t)(p * 0x1p32), (float)(1.0 / (1.0 - p)) };
    const void *attr = mls_grad_attr(c, &a, sizeof a);
    if (!attr) return mls_grad_empty(c);
    const mls_t y = mls_grad_like(c, x);
    mls_tape_apply_as(c, MLS_TAPE_FORGETS, &op, attr, &x, 1, &y, 1);
    return y;
}
