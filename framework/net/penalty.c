/* penalty.c - what components add to the training loss: weight * mean of x over real
 * entries.
 *
 * Calls of one node under one name share one mean, so that a sequence run in pieces costs
 * what it costs in one.  The mean is known when the forward ends; until then an op keeps
 * the sum of each call, and backward seeds its gradient with weight / count.  A node under
 * remat sums in its first forward, and asks for the gradient in the one of backward.     */
#include "net/inner.h"

#include "base/parfor.h"
#include "grad/reuse.h"

#include <math.h>
#include <string.h>

struct penalty {
    penalty    *next;
    const node *node;
    const char *name;
    double      weight, sum, count;
    int         called;           /* in this forward                                   */
};

/* Something to seed: the sum of a call, or (with no penalty) an output that makes a node
 * under remat run again though nothing else may ask for its gradient.                    */
struct penalty_call {
    penalty_call  *next;
    const penalty *of;
    mls_t          x;
};

typedef struct sums {
    const float *mask;            /* [T][B] or NULL                                    */
    int64_t      inner;           /* rows of x to a step of the mask                   */
    double      *row, sum, count; /* row: [T] of x                                     */
} sums;

/* ---- the op ------------------------------------------------------------------------ */

typedef struct job { const sums *s; mls_t x; float seed; } job;

static int is_real(const sums *s, mls_t x, int64_t t, int64_t b)
{
    return !s->mask || s->mask[t / s->inner * x->dim[1] + b] != 0.0f;
}

static void sum_step(int64_t t, void *arg)
{
    enum { LANES = 8 };
    const job *j = arg;
    const int64_t B = j->x->dim[1], N = j->x->dim[2];
    double all = 0.0;
    for (int64_t b = 0; b < B; b++) {
        if (!is_real(j->s, j->x, t, b)) continue;
        const float *x = j->x->data + (t * B + b) * N;
        float part[LANES] = { 0 };
        int64_t n = 0;
        for (; n + LANES <= N; n += LANES)
            for (int l = 0; l < LANES; l++) part[l] += x[n + l];
        for (; n < N; n++) part[0] += x[n];
        for (int l = 0; l < LANES; l++) all += (double)part[l];
    }
    j->s->row[t] = all;
}

static void sum_forward(const mls_call *k)
{
    sums *s = (sums *)(uintptr_t)k->attr;
    mls_t x = k->in[0];
    s->row = mls_tape_scratch(k, (size_t)(x->dim[0] + 1) * sizeof *s->row);
    if (!s->row) return;
    mls_parfor(x->dim[0], sum_step, &(job){ s, x, 0.0f });
    for (int64_t t = 0; t < x->dim[0]; t++) {
        s->sum += s->row[t];
        for (int64_t b = 0; b < x->dim[1]; b++)
            if (is_real(s, x, t, b)) s->count += (double)x->dim[2];
    }
    k->out[0]->data[0] = (float)s->sum;
}

static void spread_step(int64_t t, void *arg)
{
    const job *j = arg;
    const int64_t B = j->x->dim[1], N = j->x->dim[2];
    for (int64_t b = 0; b < B; b++) {
        float *g = j->x->grad + (t * B + b) * N;
        if (is_real(j->s, j->x, t, b))
            for (int64_t n = 0; n < N; n++) g[n] += j->seed;
    }
}

static void sum_backward(const mls_call *k)
{
    mls_t x = k->in[0];
    if (x->grad)
        mls_parfor(x->dim[0], spread_step, &(job){ k->attr, x, k->out[0]->grad[0] });
}

static double sum_flops(const mls_call *k) { return (double)k->in[0]->count; }

static const mls_op op = { sizeof op, "net.penalty", sum_forward, sum_backward, sum_flops };

/* ---- the service -------------------------------------------------------------------- */

static penalty *find(mls_run *run, const node *n, const char *name)
{
    penalty *p = run->penalty;
    while (p && (p->node != n || strcmp(p->name, name))) p = p->next;
    if (p) return p;
    p = mls_arena_zalloc(&run->penalty_arena, sizeof *p);
    if (p) *p = (penalty){ .next = run->penalty, .node = n,
                           .name = mls_arena_strdup(&run->penalty_arena, name) };
    if (p && p->name) return run->penalty = p;
    mls_error_set(&run->error, "%s: out of memory", n->path);
    return NULL;
}

static void seed_call(mls_run *run, mls_ctx *c, const penalty *p, mls_t x)
{
    if (!mls_tape_tracks(x)) return;
    float *g = mls_tape_grad(c, x);
    if (g && !c->tape->rehearses && p && p->count > 0.0)
        g[0] += (float)(run->penalty_scale * p->weight / p->count);
}

static void remember(mls_run *run, const penalty *p, mls_t x)
{
    penalty_call *k = mls_arena_alloc(&run->tape.arena, sizeof *k);
    if (!k) {
        mls_error_set(&run->error, "out of memory for a penalty");
        return;
    }
    *k = (penalty_call){ run->penalty_call, p, x };
    run->penalty_call = k;
}

/* The sum over x as a tensor; *s is where its count will be found. */
static mls_t sum_of(mls_run *run, node *n, mls_t x, sums **s)
{
    mls_ctx *c = &n->ctx;
    *s = mls_arena_zalloc(&run->tape.arena, sizeof **s);
    if (!*s) {
        mls_error_set(&run->error, "%s: out of memory", n->path);
        return NULL;
    }
    const int sequence = n->steps > 0 && x->dim[0] % n->steps == 0 &&
                         x->dim[1] == run->batch;
    (*s)->inner = sequence ? x->dim[0] / n->steps : 1;
    const mls_t mask = n->owner ? n->mask : run->mask;        /* a part's: of its steps alone */
    mls_reuse_hold(&run->tape, mask);                        /* its values are kept here  */
    if (sequence && mask && mask->data)
        (*s)->mask = mask->data + (n->owner ? 0 : n->t0 * run->batch);
    mls_t y = mls_tape_tensor(c, 1, 1, 1);
    mls_tape_apply_as(c, MLS_TAPE_FORGETS, &op, *s, &x, 1, &y, 1);
    return y;
}

void mls_net_penalty(mls_run *run, node *n, const char *name, mls_t x, double weight)
{
    mls_ctx *c = &n->ctx;
    if (run->error.set) return;
    if (!x || !isfinite(weight)) {
        mls_error_set(&run->error, "%s: penalty %s of weight %g %s", n->path, name, weight,
                      x ? "(expected a finite one)" : "has no tensor");
        return;
    }
    if (x->dim[0] == n->steps && x->dim[1] == run->batch && mls_net_wanted(run, n, name))
        mls_net_observe(run, n, name, NULL, "what a penalty of the training loss averages",
                        0, x, n->t0);
    if (!(run->flags & MLS_TRAIN) || !(fabs(weight) > 0.0)) return;
    penalty *p = find(run, n, name);
    sums *s;
    mls_t y = p ? sum_of(run, n, x, &s) : NULL;
    if (!y || run->error.set || run->tape.dry) return;
    if (run->again == MLS_AGAIN) {
        seed_call(run, c, p, y);
        return;
    }
    if (p->called && fabs(p->weight - weight) > 0.0) {
        mls_error_set(&run->error, "%s: penalty %s has weight %g and %g in one forward",
                      n->path, name, p->weight, weight);
        return;
    }
    p->called = 1;
    p->weight = weight;
    p->sum += s->sum;
    p->count += s->count;
    if (run->again == MLS_AT_ONCE) remember(run, p, y);
}

/* ---- of a run ----------------------------------------------------------------------- */

void mls_net_penalty_begin(mls_run *run)
{
    run->penalty_call = NULL;
    for (penalty *p = run->penalty; p; p = p->next) {
        p->sum = p->count = 0.0;
        p->called = 0;
    }
}

void mls_net_penalty_wake(mls_run *run, const node *n, mls_t out)
{
    for (const penalty *p = run->penalty; p; p = p->next)
        if (p->called && mls_net_within(p->node, n)) {
            remember(run, NULL, out);
            return;
        }
}

void mls_net_penalty_seed(mls_run *run, mls_ctx *c, double scale)
{
    run->penalty_scale = scale;
    for (const penalty_call *k = run->penalty_call; k && !run->error.set; k = k->next)
        seed_call(run, c, k->of, k->x);
}

double mls_run_penalty(const mls_run *run, int *n)
{
    double sum = 0.0;
    int many = 0;
    for (const penalty *p = run->penalty; p; p = p->next) {
        if (!p->called) continue;
        many++;
        if (p->count > 0.0) sum += p->weight * p->sum / p->count;
    }
    if (n) *n = many;
    return sum;
}
