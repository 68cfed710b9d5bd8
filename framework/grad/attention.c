/* attention.c - multi-head attention over time, as one differentiable op.
 *
 * Each (sample, head) is gathered into contiguous arrays, without the masked steps and
 * behind the keys that the state carries, given to kern/attention, and scattered back.
 * Rotary positions (Su et al. 2021, pairs i and i + d/2) are applied on the way in;
 * cached keys are kept rotated, so a chunk only rotates its own steps.
 *
 * State: rows [window][K of all heads | V of all heads], oldest first and aligned to the
 * end, then the number of real steps since the reset in two floats, n mod 2^24 and
 * n / 2^24: one float would stop counting at 2^24.  The fill is min(n, window).        */
#include "base/parfor.h"
#include "grad/ops.h"
#include "grad/tape.h"
#include "kern/attention.h"

#include <math.h>
#include <string.h>

static const int64_t LOW = 1 << 24;

typedef struct attr { mls_attention a; int64_t d; } attr;

typedef struct plan {
    const mls_call *k;
    mls_attention a;
    int64_t  T, B, D, d;        /* D = heads * d                                      */
    int32_t *step;              /* [B][T]: the real steps of each sample              */
    int64_t *real, *before;     /* [B]: how many there are; how many came before      */
    int64_t  most;              /* largest fill of a sample                           */
    float   *turn;              /* [tables][T][d]: cos | sin; NULL without rotary     */
    int64_t  tables;            /* 1 when all samples are at the same step, else B    */
    float   *work;
    int64_t  slots, room;       /* floats of work in each of the slots                */
    const float *q, *kv;        /* rows [T][B] of them, qs and kvs floats apart       */
    float   *gq, *gkv;          /* their gradients; NULL: nobody wants them           */
    int64_t  qs, kvs;
    int      add[2];            /* to gq and gkv                                      */
} plan;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t fill_of(const plan *p, int64_t b)
{
    return p->a.bidirectional ? 0 : least(p->before[b], p->a.window);
}

/* Any bits a state can hold give a count that is safe to use. */
static int64_t count_of(const float *at)
{
    const float low = at[0] > 0.0f ? at[0] : 0.0f, high = at[1] > 0.0f ? at[1] : 0.0f;
    const int64_t n = low < 16777215.0f ? (int64_t)(low + 0.5f) : LOW - 1;
    return n + LOW * (high < 1048576.0f ? (int64_t)(high + 0.5f) : 1048576);
}

static void fill_turns(int64_t table, void *arg)
{
    const plan *p = arg;
    const int64_t half = p->d / 2;
    for (int64_t i = 0; i < half; i++) {
        const double speed = pow(10000.0, -2.0 * (double)i / (double)p->d);
        for (int64_t t = 0; t < p->T; t++) {
            const double angle = speed * (double)(p->before[table] + t);
            float *at = p->turn + (table * p->T + t) * p->d;
            at[i] = (float)cos(angle);
            at[half + i] = (float)sin(angle);
        }
    }
}

/* 0 when memory ran out (the context then says so). */
static int make_plan(plan *p, const mls_call *k, int backward)
{
    const attr *r = k->attr;
    const mls_t q = k->in[0], past = k->in[2], mask = k->in[3];
    *p = (plan){ .k = k, .a = r->a, .T = q->dim[0], .B = q->dim[1], .D = r->a.width,
                 .d = r->d, .tables = 1 };
    const int64_t T = p->T, B = p->B, d = p->d;
    const mls_t kv = k->in[1] ? k->in[1] : q;       /* or q | k | v in one */
    const int64_t at = k->in[1] ? 0 : p->D;
    p->q = q->data, p->qs = q->dim[2], p->gq = q->grad;
    p->kv = kv->data ? kv->data + at : NULL, p->kvs = kv->dim[2];
    p->gkv = kv->grad ? kv->grad + at : NULL;
    p->step = mls_tape_scratch(k, (size_t)(T * B) * sizeof *p->step);
    p->real = mls_tape_scratch(k, (size_t)B * sizeof *p->real);
    p->before = mls_tape_scratch(k, (size_t)B * sizeof *p->before);
    if (!p->step || !p->real || !p->before) return 0;
    for (int64_t b = 0; b < B; b++) {
        int64_t n = 0;
        for (int64_t t = 0; t < T; t++)
            if (!mask || mask->data[t * B + b] != 0.0f) p->step[b * T + n++] = (int32_t)t;
        p->real[b] = n;
        p->before[b] = past ? count_of(past->data + (b + 1) * past->dim[2] - 2) : 0;
        if (p->before[b] != p->before[0]) p->tables = B;
        if (fill_of(p, b) > p->most) p->most = fill_of(p, b);
    }
    if (p->a.rotary) {
        p->turn = mls_tape_scratch(k, (size_t)(p->tables * T * d) * sizeof *p->turn);
        if (!p->turn) return 0;
        mls_parfor(p->tables, fill_turns, p);
    }
    const int64_t n = p->most + T;
    int64_t work = 0;
    for (int64_t b = 0; b < B; b++) {
        const int64_t m = p->real[b], own = mls_k_attention_work(m, fill_of(p, b) + m, d);
        if (own > work) work = own;
    }
    p->room = (backward ? 4 : 2) * (n + T) * d + T + work;
    p->room = (p->room + 15) / 16 * 16;
    p->slots = least(B * p->a.heads, mls_parfor_count());
    if (p->slots < 1) p->slots = 1;
    p->work = mls_tape_scratch(k, (size_t)(p->slots * p->room) * sizeof *p->work);
    return p->work != NULL;
}

/* Rotates x [real][d] by the positions of sample b's steps; back = -1 undoes it. */
static void rotate(const plan *p, int64_t b, float *x, float back)
{
    if (!p->turn) return;
    const int64_t half = p->d / 2, table = p->tables > 1 ? b : 0;
    const float *turn = p->turn + table * p->T * p->d;
    for (int64_t r = 0; r < p->real[b]; r++, x += p->d, turn += p->d)
        for (int64_t i = 0; i < half; i++) {
            const float c = turn[i], s = back * turn[half + i];
            const float x0 = x[i], x1 = x[half + i];
            x[i] = x0 * c - x1 * s;
            x[half + i] = x0 * s + x1 * c;
        }
}

/* Heads are short and lie whole pages apart, where no hardware looks ahead. */
enum { AHEAD = 16 };
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

static inline void move(float *to, const float *from, int64_t n)
{
    int64_t e = 0;
    for (; e + 4 <= n; e += 4) *(four *)(to + e) = *(const four *)(from + e);
    for (; e < n; e++) to[e] = from[e];
}

static inline void move_add(float *to, const float *from, int64_t n)
{
    int64_t e = 0;
    for (; e + 4 <= n; e += 4) *(four *)(to + e) += *(const four *)(from + e);
    for (; e < n; e++) to[e] += from[e];
}

static inline void ahead(const float *row, int64_t d, int write)
{
    for (int64_t e = 0; e < d; e += 16) {
        if (write) __builtin_prefetch(row + e, 1);
        else __builtin_prefetch(row + e, 0);
    }
}

/* The real steps of columns [from, from + d) of a sequence [T][B][width], as [real][d]. */
static void gather(const plan *p, int64_t b, const float *x, int64_t width, int64_t from,
                   float *to)
{
    const int32_t *step = p->step + b * p->T;
    if (!x) {
        memset(to, 0, (size_t)(p->real[b] * p->d) * sizeof *to);
        return;
    }
    for (int64_t r = 0; r < p->real[b]; r++, to += p->d) {
        const int64_t next = step[r + AHEAD < p->real[b] ? r + AHEAD : r];
        ahead(x + (next * p->B + b) * width + from, p->d, 0);
        move(to, x + (step[r] * p->B + b) * width + from, p->d);
    }
}

/* Adds to the gradient x, or writes it where nothing is there yet. */
static void scatter(const plan *p, int64_t b, const float *from, float *x, int64_t width,
                    int64_t at, int add)
{
    const int32_t *step = p->step + b * p->T;
    for (int64_t r = 0; r < p->real[b]; r++, from += p->d) {
        const int64_t next = step[r + AHEAD < p->real[b] ? r + AHEAD : r];
        float *to = x + (step[r] * p->B + b) * width + at;
        ahead(x + (next * p->B + b) * width + at, p->d, 1);
        if (add) move_add(to, from, p->d);
        else move(to, from, p->d);
    }
}

/* Row r of sample b's state, for head h: K; V lies D further. */
static int64_t row_at(const plan *p, int64_t b, int64_t r, int64_t h)
{
    return b * MLS_ATTENTION_WIDTH(&p->a) + r * 2 * p->D + h * p->d;
}

/* The arrays of one (b, h) in slot `slot`, with q, k, v gathered and rotated. */
static mls_k_attention open_head(const plan *p, int64_t b, int64_t h, int64_t slot)
{
    const mls_t past = p->k->in[2];
    const int64_t D = p->D, d = p->d, m = p->real[b], f = fill_of(p, b), n = f + m;
    float *at = p->work + slot * p->room, *gq = at, *gk = gq + m * d, *gv = gk + n * d;
    for (int64_t r = 0; r < f; r++) {
        const float *row = past->data + row_at(p, b, p->a.window - f + r, h);
        move(gk + r * d, row, d);
        move(gv + r * d, row + D, d);
    }
    gather(p, b, p->q, p->qs, h * d, gq);
    gather(p, b, p->kv, p->kvs, h * d, gk + f * d);
    gather(p, b, p->kv, p->kvs, D + h * d, gv + f * d);
    rotate(p, b, gq, 1.0f);
    rotate(p, b, gk + f * d, 1.0f);
    return (mls_k_attention){
        .m = m, .n = n, .d = d, .first = f, .window = p->a.window,
        .bidirectional = p->a.bidirectional,
        .rows = (p->k->flags & MLS_EXACT) || m < 8,
        .scale = (float)(1.0 / sqrt((double)d)),
        .q = gq, .k = gk, .v = gv, .o = gv + n * d, .lse = gv + (n + m) * d };
}

/* ---- forward ------------------------------------------------------------------------ */

/* The state moves on by sample b's real steps; all rows count, filled or not, so a
 * sample without a real step keeps its bits.                                            */
static void shift_state(const plan *p, int64_t b)
{
    const int64_t width = MLS_ATTENTION_WIDTH(&p->a), row = 2 * p->D;
    const int64_t keep = p->a.window > p->real[b] ? p->a.window - p->real[b] : 0;
    const float *from = p->k->in[2]->data + b * width;
    float *to = p->k->out[2]->data + b * width;
    memcpy(to, from + (p->a.window - keep) * row, (size_t)(keep * row) * sizeof *to);
    if (p->real[b] == 0) {
        memcpy(to + width - 2, from + width - 2, 2 * sizeof *to);
        return;
    }
    const int64_t n = p->before[b] + p->real[b];
    to[width - 2] = (float)(n % LOW);
    to[width - 1] = (float)(n / LOW);
}

static void forward_head(const plan *p, int64_t b, int64_t h, int64_t slot)
{
    const int64_t D = p->D, d = p->d, T = p->T, B = p->B, H = p->a.heads;
    float *out = p->k->out[0]->data, *lse = p->k->out[1]->data;
    mls_k_attention a = open_head(p, b, h, slot);
    a.work = a.lse + a.m;
    if (a.m) mls_k_attention_forward(&a);

    int64_t r = 0;
    for (int64_t t = 0; t < T; t++) {
        float *to = out + (t * B + b) * D + h * d;
        const int real = r < a.m && p->step[b * T + r] == t;
        if (t + AHEAD < T) ahead(to + AHEAD * B * D, d, 1);
        if (real) move(to, a.o + r * d, d);
        else memset(to, 0, (size_t)d * sizeof *to);
        lse[(t * B + b) * H + h] = real ? a.lse[r] : 0.0f;
        r += real;
    }
    if (!p->k->out[2]) return;
    if (h == 0) shift_state(p, b);
    const int64_t fresh = least(a.m, p->a.window);
    for (int64_t i = 1; i <= fresh; i++) {
        float *row = p->k->out[2]->data + row_at(p, b, p->a.window - i, h);
        move(row, a.k + (a.n - i) * d, d);
        move(row + D, a.v + (a.n - i) * d, d);
    }
}

/* Item `slot` takes every slots-th (sample, head): the workspace is one per thread. */
static void forward_slot(int64_t slot, void *arg)
{
    const plan *p = arg;
    for (int64_t i = slot; i < p->B * p->a.heads; i += p->slots)
        forward_head(p, i / p->a.heads, i % p->a.heads, slot);
}

static void attention_forward(const mls_call *k)
{
    plan p;
    if (make_plan(&p, k, 0)) mls_parfor(p.slots, forward_slot, &p);
}

/* ---- backward ----------------------------------------------------------------------- */

/* What the new state's gradient gives to row r of the old one and to the keys. */
static void state_gradient(const plan *p, int64_t b, int64_t h, const mls_k_attention *a)
{
    const mls_t past = p->k->in[2], next = p->k->out[2];
    const int64_t D = p->D, d = p->d, W = p->a.window, f = a->first;
    for (int64_t r = 0; r < W; r++) {
        const float *g = next->grad + row_at(p, b, r, h);
        const int64_t key = r - W + a->n, old = r + a->m;
        if (key >= f) {
            move(a->dk + key * d, g, d);
            move(a->dv + key * d, g + D, d);
        } else if (past->grad) {
            float *to = past->grad + row_at(p, b, old, h);
            move_add(to, g, d);
            move_add(to + D, g + D, d);
        }
    }
}

static void backward_head(const plan *p, int64_t b, int64_t h, int64_t slot)
{
    const mls_t past = p->k->in[2], out = p->k->out[0], lse = p->k->out[1];
    const int64_t D = p->D, d = p->d, H = p->a.heads;
    mls_k_attention a = open_head(p, b, h, slot);
    float *g = a.lse + a.m;
    a.d_o = g;
    a.dq = g + a.m * d;
    a.dk = a.dq + a.m * d;
    a.dv = a.dk + a.n * d;
    a.work = a.dv + a.n * d;
    memset(a.dq, 0, (size_t)((a.m + 2 * a.n) * d) * sizeof *g);
    gather(p, b, out->data, D, h * d, a.o);
    gather(p, b, out->grad, D, h * d, g);
    for (int64_t r = 0; r < a.m; r++)
        a.lse[r] = lse->data[(p->step[b * p->T + r] * p->B + b) * H + h];
    if (p->k->out[2] && p->k->out[2]->grad) state_gradient(p, b, h, &a);
    if (a.m) mls_k_attention_backward(&a);

    if (past && past->grad)
        for (int64_t r = 0; r < a.first; r++) {
            float *to = past->grad + row_at(p, b, p->a.window - a.first + r, h);
            move_add(to, a.dk + r * d, d);
            move_add(to + D, a.dv + r * d, d);
        }
    if (p->gkv) {
        rotate(p, b, a.dk + a.first * d, -1.0f);
        scatter(p, b, a.dk + a.first * d, p->gkv, p->kvs, h * d, p->add[1]);
        scatter(p, b, a.dv + a.first * d, p->gkv, p->kvs, D + h * d, p->add[1]);
    }
    if (p->gq) {
        rotate(p, b, a.dq, -1.0f);
        scatter(p, b, a.dq, p->gq, p->qs, h * d, p->add[0]);
    }
}

static void backward_slot(int64_t slot, void *arg)
{
    const plan *p = arg;
    for (int64_t i = slot; i < p->B * p->a.heads; i += p->slots)
        backward_head(p, i / p->a.heads, i % p->a.heads, slot);
}

static void attention_backward(const mls_call *k)
{
    plan p;
    if (!make_plan(&p, k, 1)) return;
    for (int i = 0; i < 4; i++) {
        /* every head has columns of its own, but masked steps are nobody's */
        const int fresh = k->fresh >> i & 1, whole = i < 2 && !k->in[3];
        if (i < 2) p.add[i] = !(fresh && whole);
        if (fresh && !whole && k->in[i])
            memset(k->in[i]->grad, 0, (size_t)k->in[i]->count * sizeof(float));
    }
    if (!k->in[1]) p.add[1] = p.add[0];
    mls_parfor(p.slots, backward_slot, &p);
}

/* Two products per query and key it sees; the fill of the state is not a shape. */
static double attention_flops(const mls_call *k)
{
    const attr *r = k->attr;
    const double T = (double)k->in[0]->dim[0], B = (double)k->in[0]->dim[1];
    const double W = (double)r->a.window;
    double keys = T * T;
    if (!r->a.bidirectional) keys = T <= W ? T * (T + 1) / 2 : W * (W + 1) / 2 + (T - W) * W;
    return B * keys * (4.0 * (double)r->a.width + 5.0 * (double)r->a.heads);
}

static const mls_op attention = { sizeof attention, "attention", attention_forward,
                                  attention_backward, attention_flops };

/* ---- the call ------------------------------------------------------------------------ */

static int fits(mls_ctx *c, mls_t q, mls_t kv, const mls_attention *a, mls_state *past)
{
    if (a->heads < 1 || a->width < 1 || a->width % a->heads)
        mls->fail(c, "attention: %lld heads do not divide the width %lld",
                  (long long)a->heads, (long long)a->width);
    else if (a->rotary && a->width / a->heads % 2)
        mls->fail(c, "attention: rotary positions need heads of even size; width %lld over "
                  "%lld heads gives %lld", (long long)a->width, (long long)a->heads,
                  (long long)(a->width / a->heads));
    else if (!a->bidirectional && a->window < 1)
        mls->fail(c, "attention: window is %lld, expected at least 1", (long long)a->window);
    else if (!a->bidirectional && !past)
        mls->fail(c, "attention: causal attention needs a state for its past");
    else if (!kv && q->dim[2] != 3 * a->width)
        mls->fail(c, "attention: q | k | v is %lld wide, expected %lld",
                  (long long)q->dim[2], (long long)(3 * a->width));
    else if (kv && (q->dim[2] != a->width || kv->dim[2] != 2 * a->width))
        mls->fail(c, "attention: q and kv are %lld and %lld wide, expected %lld and %lld",
                  (long long)q->dim[2], (long long)kv->dim[2], (long long)a->width,
                  (long long)(2 * a->width));
    else if (kv && (q->dim[0] != kv->dim[0] || q->dim[1] != kv->dim[1]))
        mls->fail(c, "attention: q is [%lld][%lld] steps and samples, kv [%lld][%lld]",
                  (long long)q->dim[0], (long long)q->dim[1], (long long)kv->dim[0],
                  (long long)kv->dim[1]);
    return !c->error->set;
}

/* Of backward, which has more of it, in a sequence that begins. */
static size_t scratch_of(const attr *r, int64_t T, int64_t B)
{
    const int64_t slots = least(B * r->a.heads, mls_parfor_count());
    const int64_t room = 8 * T * r->d + T + mls_k_attention_work(T, T, r->d);
    return (size_t)(slots * room + (r->a.rotary ? T * r->d : 0) + T * B) * sizeof(float);
}

mls_t mls_grad_attention(mls_ctx *c, mls_t q, mls_t kv, const mls_attention *a,
                         mls_state *past, mls_t mask)
{
    const int64_t T = q->dim[0], B = q->dim[1];
    mls_t out = mls_tape_tensor(c, T, B, a->width);
    if (c->error->set || !fits(c, q, kv, a, past)) return out;
    attr *r = mls_arena_zalloc(&c->tape->arena, sizeof *r);
    if (!r) {
        mls->fail(c, "attention: out of memory");
        return out;
    }
    *r = (attr){ *a, a->width / a->heads };
    mls_t lse = mls_tape_tensor(c, T, B, a->heads);
    mls_t before = NULL, after = NULL;
    if (!a->bidirectional) {
        before = mls->load(c, past);
        if (c->error->set) return out;
        if (before->dim[1] != B || before->dim[2] != MLS_ATTENTION_WIDTH(a)) {
            mls->fail(c, "attention: the state is %lld wide for %lld samples, expected %lld "
                      "for %lld", (long long)before->dim[2], (long long)before->dim[1],
                      (long long)MLS_ATTENTION_WIDTH(a), (long long)B);
            return out;
        }
        if (c->tape->ends != T) after = mls_tape_tensor(c, 1, B, MLS_ATTENTION_WIDTH(a));
    }
    const mls_t in[] = { q, kv, before, mask }, made[] = { out, lse, after };
    c->tape->expects[0] = c->tape->expects[1] = scratch_of(r, T, B);
    mls_tape_apply_as(c, MLS_WRITES | MLS_OMITS | MLS_TAPE_DENSE, &attention, r, in, 4,
                      made, 3);
    if (after) mls->store(c, past, after);
    return out;
}
