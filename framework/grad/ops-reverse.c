/* ops-reverse.c - the real steps of every sample in the opposite order. */
#include "grad/ops-inner.h"

#include <string.h>

/* y[t_i] = x[t_(n-1-i)] over the real steps t_0 < ... < t_(n-1) of a sample; y[t] = x[t] at
 * the others.  It is its own inverse, and so is its transpose.                            */
typedef struct turn {
    const float *from, *mask;            /* mask [T][B] or NULL                           */
    float       *to;
    int64_t      T, B, N;
    int          add;
} turn;

static int is_real(const turn *r, int64_t t, int64_t b)
{
    return !r->mask || r->mask[t * r->B + b] != 0.0f;
}

static void row(const turn *r, int64_t to, int64_t from, int64_t b)
{
    const float *restrict x = r->from + (from * r->B + b) * r->N;
    float *restrict y = r->to + (to * r->B + b) * r->N;
    if (!r->add) memcpy(y, x, (size_t)r->N * sizeof *y);
    else for (int64_t j = 0; j < r->N; j++) y[j] += x[j];
}

static void sample(int64_t b, void *arg)
{
    const turn *r = arg;
    int64_t back = r->T;
    for (int64_t t = 0; t < r->T; t++) {
        if (!is_real(r, t, b)) {
            row(r, t, t, b);
            continue;
        }
        do back--;                       /* there are as many real steps from either end */
        while (!is_real(r, back, b));
        row(r, t, back, b);
    }
}

static void run(const mls_call *k, const float *from, float *to, int add)
{
    const mls_t x = k->in[0], mask = k->in[1];
    turn r = { from, mask ? mask->data : NULL, to, x->dim[0], x->dim[1], x->dim[2], add };
    if (x->count < MLS_ROWS_SHARE)
        for (int64_t b = 0; b < r.B; b++) sample(b, &r);
    else
        mls_parfor(r.B, sample, &r);
}

static void forward(const mls_call *k) { run(k, k->in[0]->data, k->out[0]->data, 0); }

static void backward(const mls_call *k)
{
    if (k->in[0]->grad) run(k, k->out[0]->grad, k->in[0]->grad, 1);
}

static double no_flops(const mls_call *k) { (void)k; return 0.0; }

static const mls_op reverse = { sizeof reverse, "reverse", forward, backward, no_flops };

mls_t mls_grad_reverse(mls_ctx *c, mls_t x, mls_t mask)
{
    if (c->error->set) return mls_grad_empty(c);
    if (mask && (mask->dim[0] != x->dim[0] || mask->dim[1] != x->dim[1] || mask->dim[2] != 1)) {
        mls_error_set(c->error, "%s: reverse: a mask of [%lld][%lld][%lld] for [%lld][%lld][%lld]",
                      c->path, (long long)mask->dim[0], (long long)mask->dim[1],
                      (long long)mask->dim[2], (long long)x->dim[0], (long long)x->dim[1],
                      (long long)x->dim[2]);
        return mls_grad_empty(c);
    }
    const mls_t in[] = { x, mask };
    const mls_t y = mls_grad_like(c, x);
    if (mls_tape_spikes(x)) mls_tape_mark_spikes(y);
    mls_tape_apply_as(c, mask ? MLS_TAPE_FORGETS_OUT : MLS_TAPE_FORGETS, &reverse, NULL, in, 2,
                      &y, 1);
    return y;
}
