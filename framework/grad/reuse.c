/* reuse.c - which floats of a step are read again, and by whom.
 *
 * A tensor's values go once the last op of the forward has read them: away, when no noted
 * op reads them in backward, else (if it is so wanted) into float16 until then; whatever
 * computes has floats.  Which use is the last is found by a dry run of the same forward just
 * before: the n-th tensor and the n-th op are the same in both.  So forward gives the bits
 * that it gives without, and only with float16 does backward see rounded values.          */
#include "grad/reuse.h"

#include "grad/tape-inner.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST = 1024 };         /* values; and one step is a state, which stays as it is   */

struct mls_reuse {
    int      half, planning;
    int32_t  tensors, ops;     /* made, applied, since the reset                          */
    int32_t  planned, planned_ops;    /* of the plan; 0: there is none                    */
    int32_t  room, room_ops;
    int32_t *last;             /* [tensor]: the op that uses it last; NEVER               */
    int32_t *next;             /* [tensor]: with the same last op, or 0                   */
    int32_t *first;            /* [op]: the first of them, or 0                           */
    tensor **made;             /* [tensor]                                                */
};
#define NEVER  INT32_MAX
#define UNSEEN -1              /* an op has it by its attribute, for all that we know     */

mls_reuse *mls_reuse_new(int half)
{
    mls_reuse *h = calloc(1, sizeof *h);
    if (h) h->half = half;
    return h;
}

void mls_reuse_free(mls_reuse *h)
{
    if (!h) return;
    free(h->last);
    free(h->next);
    free(h->first);
    free(h->made);
    free(h);
}

static int grow(void **p, int32_t room, size_t each)
{
    void *q = realloc(*p, (size_t)room * each);
    if (!q) return 0;
    *p = q;
    return 1;
}

/* Without memory there is no plan for what comes, and its floats stay. */
static int has_room(mls_reuse *h, int32_t number)
{
    if (number < h->room) return 1;
    const int32_t room = h->room ? 2 * h->room : 1024;
    if (!grow((void **)&h->last, room, sizeof *h->last) ||
        !grow((void **)&h->next, room, sizeof *h->next) ||
        !grow((void **)&h->made, room, sizeof(tensor *)))
        return 0;
    h->room = room;
    return 1;
}

/* ---- the plan ------------------------------------------------------------------------- */

void mls_reuse_reset(mls_reuse *h) { h->tensors = h->ops = 0; }

void mls_reuse_plan(mls_tape *t)
{
    mls_reuse_reset(t->reuse);
    t->reuse->planning = 1;
    t->reuse->planned = t->reuse->planned_ops = 0;
    t->dry = 1;
}

void mls_reuse_planned(mls_tape *t)
{
    mls_reuse *h = t->reuse;
    h->planning = 0;
    t->dry = 0;
    if (h->ops + 1 > h->room_ops) {
        if (!grow((void **)&h->first, h->ops + 1, sizeof *h->first)) return;
        h->room_ops = h->ops + 1;
    }
    memset(h->first, 0, (size_t)(h->ops + 1) * sizeof *h->first);
    for (int32_t i = 1; i <= h->tensors; i++) {
        if (h->last[i] == UNSEEN || h->last[i] >= h->ops) continue;
        h->next[i] = h->first[h->last[i]];
        h->first[h->last[i]] = i;
    }
    h->planned = h->tensors;
    h->planned_ops = h->ops;
}

int mls_reuse_planning(const mls_tape *t) { return t->reuse && t->reuse->planning; }

static void use(mls_reuse *h, mls_t x, int32_t op)
{
    const int32_t number = x ? mls_tape_root(x)->number : 0;
    if (number && (h->last[number] == UNSEEN || h->last[number] < op)) h->last[number] = op;
}

void mls_reuse_use(mls_tape *t, mls_t x)
{
    if (mls_reuse_planning(t)) use(t->reuse, x, t->reuse->ops);
}

void mls_reuse_hold(mls_tape *t, mls_t x)
{
    if (mls_reuse_planning(t)) use(t->reuse, x, NEVER);
}

void mls_reuse_made(mls_tape *t, tensor *x)
{
    mls_reuse *h = t->reuse;
    if (!h || !has_room(h, h->tensors + 1)) return;
    x->number = ++h->tensors;
    if (h->planning) h->last[x->number] = UNSEEN;
    else h->made[x->number] = x;
}

/* ---- floats to 16 bits and back --------------------------------------------------------- */

static int worth(const tensor *x)
{
    return x->t.dim[0] > 1 && x->t.count >= LEAST && x->t.data && x->t.grad != x->t.data;
}

static void expire(mls_ctx *c, tensor *x)
{
    mls_tape *t = c->tape;
    if (!worth(x) || (x->kept && !t->reuse->half)) return;
    if (x->kept && !x->half) {
        x->half = mls_arena_alloc(&t->arena, (size_t)x->t.count * sizeof *x->half);
        if (!x->half) return;                               /* then the floats stay */
        mls_k_half_pack(x->t.data, x->half, x->t.count);
    }
    mls_tape_give(t, x->t.data, x->t.count);
    x->t.data = NULL;
}

static int restore(mls_ctx *c, mls_t y)
{
    tensor *v = mls_tape_inner(y), *x = mls_tape_root(y);
    if (x->number && !x->t.data && x->t.count) {
        if (!x->half) {
            mls_error_set(c->error, "%s: reads a value of [%lld][%lld][%lld] that nobody "
                          "was to read any more: a dry run of the same forward ran other ops; "
                          "which ops run may depend on shapes and options alone", c->path,
                          (long long)y->dim[0], (long long)y->dim[1], (long long)y->dim[2]);
            return 0;
        }
        x->t.data = mls_tape_take(c->tape, x->t.count);
        if (!x->t.data) {
            mls_error_set(c->error, "%s: out of memory", c->path);
            return 0;
        }
        mls_k_half_unpack(x->half, x->t.data, x->t.count);
    }
    if (v->parent) v->t.data = x->t.data ? x->t.data + v->offset : NULL;
    return 1;
}

int mls_reuse_need(mls_ctx *c, const mls_t *in, int n_in, const mls_t *out, int n_out)
{
    if (!c->tape->reuse || c->tape->dry) return 1;
    for (int i = 0; i < n_in; i++)
        if (in[i] && !restore(c, in[i])) return 0;
    for (int i = 0; i < n_out; i++)
        if (out[i] && !restore(c, out[i])) return 0;
    return 1;
}

static void touch(mls_reuse *h, const mls_t *x, int n, int reads)
{
    for (int i = 0; i < n; i++)
        if (x[i] && h->planning) use(h, x[i], h->ops);
        else if (x[i] && reads) mls_tape_root(x[i])->kept = 1;
}

void mls_reuse_applied(mls_ctx *c, unsigned can, const mls_t *in, int n_in, const mls_t *out,
                       int n_out)
{
    mls_reuse *h = c->tape->reuse;
    if (!h) return;
    touch(h, in, n_in, !(can & MLS_TAPE_FORGETS_IN));
    touch(h, out, n_out, !(can & MLS_TAPE_FORGETS_OUT));
    if (!h->planning && h->ops < h->planned_ops)
        for (int32_t n = h->first[h->ops]; n; n = h->next[n])
            if (n <= h->tensors) expire(c, h->made[n]);
    h->ops++;
}

static void release(mls_tape *t, tensor *x)
{
    if (!x->number || !worth(x)) return;
    mls_tape_give(t, x->t.data, x->t.count);
    x->t.data = NULL;
}

static int held(const mls_reuse *h, const tensor *x)
{
    return x->number <= h->planned && h->last[x->number] == NEVER;
}

void mls_reuse_undone(mls_tape *t, const mls_t *in, int n_in, const mls_t *out, int n_out)
{
    if (!t->reuse) return;
    for (int i = 0; i < n_in; i++)
        if (in[i] && mls_tape_root(in[i])->half) release(t, mls_tape_root(in[i]));
    for (int i = 0; i < n_out; i++)
        if (out[i] && !mls_tape_inner(out[i])->parent && !held(t->reuse, mls_tape_inner(out[i])))
            release(t, mls_tape_inner(out[i]));
}
