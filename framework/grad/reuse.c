/* reuse.c - which floats of a step are read again, and by whom.
 *
 * A tensor's values go once the last op of the forward has read them: away, when no noted
 * op reads them in backward, else (if it is so wanted) into float16 until then; whatever
 * computes has floats.  In backward they go once no note is left that reads them, and the
 * 16 bits once there are floats again.  Which use is the last is found by a dry run of the
 * same forward just before: the n-th tensor and the n-th op are the same in both.  So forward
 * gives the bits that it gives without, and only with float16 does backward see rounded
 * values.                                                                                 */
#include "grad/reuse.h"

#include "grad/tape-inner.h"

#include <stdlib.h>
#include <string.h>

/* Values that are worth it.  One step is a state, which stays as it is unless it is large: a
 * window of keys and values.                                                             */
enum { LEAST = 1024, LARGE = 1 << 16 };

struct mls_reuse {
    int      half, planning;
    int32_t  tensors, ops;     /* made, applied, since the reset                          */
    int32_t  planned, planned_ops;    /* of the plan; 0: there is none                    */
    int32_t  room, room_ops;
    int32_t *last;             /* [tensor]: the op that uses it last; NEVER               */
    int32_t *next;             /* [tensor]: with the same last op, or 0                   */
    int32_t *first;            /* [op]: the first of them, or 0                           */
    tensor **made;             /* [tensor]                                                */
    uint64_t key, seen;        /* of the plan; of what came since the last op             */
    uint64_t *sign;            /* [op]: of it and of what came before it; and of the end  */
    int      checks, stale;    /* this forward is compared with the plan; it differs      */
    int      ended;
    mls_arena arena;           /* values in 16 bits: their own, since they outlast the floats
                                  around them, between which they would leave holes     */
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
    free(h->sign);
    mls_arena_free(&h->arena);
    free(h);
}

int mls_reuse_halves(const mls_reuse *h) { return h->half; }

mls_arena *mls_reuse_arena(mls_reuse *h) { return &h->arena; }

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

void mls_reuse_reset(mls_reuse *h)
{
    h->tensors = h->ops = 0;
    h->seen = 0;
    h->ended = 0;
    mls_arena_reset(&h->arena);
}

void mls_reuse_plan(mls_tape *t, uint64_t key)
{
    mls_reuse *h = t->reuse;
    mls_reuse_reset(h);
    h->planning = 1;
    h->planned = h->planned_ops = 0;
    h->checks = h->stale = 0;
    h->key = key;
    t->dry = 1;
}

int mls_reuse_ready(mls_tape *t, uint64_t key)
{
    mls_reuse *h = t->reuse;
    return h->checks = key && h->key == key && h->planned;
}

int mls_reuse_stale(mls_tape *t)
{
    const int stale = t->reuse->stale;
    if (stale) t->reuse->key = 0;
    t->reuse->stale = 0;
    return stale;
}

/* ---- the same ops again ----------------------------------------------------------------- */

static void mix(uint64_t *h, uint64_t x)
{
    *h = (*h ^ x) * 0x9e3779b97f4a7c15u;
    *h ^= *h >> 29;
}

static void mix_tensor(mls_reuse *h, mls_t x)
{
    mix(&h->seen, x ? (uint64_t)(uint32_t)mls_tape_root(x)->number + 2 : 1);
    if (x) mix(&h->seen, (uint64_t)x->count);
}

/* 0: the forward does not go on as it was planned. */
static int agrees(mls_ctx *c)
{
    mls_reuse *h = c->tape->reuse;
    const uint64_t seen = h->seen;
    h->seen = 0;
    if (h->planning) {
        if (h->ops + 1 > h->room_ops) {
            const int32_t room = h->room_ops ? 2 * h->room_ops : 1024;
            if (!grow((void **)&h->sign, room, sizeof *h->sign)) h->key = 0;
            else if (!grow((void **)&h->first, room, sizeof *h->first)) h->key = 0;
            else h->room_ops = room;
        }
        if (h->ops < h->room_ops) h->sign[h->ops] = seen;
        return 1;
    }
    if (h->ops <= h->planned_ops && h->sign[h->ops] == seen) return 1;
    h->stale = 1;
    mls_error_set(c->error, "%s: other ops than in the forward before", c->path);
    return 0;
}

int mls_reuse_begins(mls_ctx *c, const mls_op *op, const mls_t *in, int n_in, const mls_t *out,
                     int n_out)
{
    mls_reuse *h = c->tape->reuse;
    if (!h) return 1;
    mix(&h->seen, (uint64_t)(uintptr_t)op);
    mix(&h->seen, (uint64_t)n_in);
    for (int i = 0; i < n_in; i++) mix_tensor(h, in[i]);
    for (int i = 0; i < n_out; i++) mix_tensor(h, out[i]);
    return h->planning || (h->checks && !h->ended) ? agrees(c) : 1;
}

void mls_reuse_end(mls_ctx *c)
{
    mls_reuse *h = c->tape->reuse;
    if (!h || c->error->set) return;
    mix(&h->seen, ~(uint64_t)h->ops);
    if (h->planning || h->checks) agrees(c);
    h->ended = 1;
}

void mls_reuse_planned(mls_tape *t)
{
    mls_reuse *h = t->reuse;
    h->planning = 0;
    t->dry = 0;
    if (h->ops + 1 > h->room_ops) return;                   /* no memory: no plan */
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
    if (t->reuse) mix_tensor(t->reuse, x);
    if (mls_reuse_planning(t)) use(t->reuse, x, t->reuse->ops);
}

void mls_reuse_hold(mls_tape *t, mls_t x)
{
    if (t->reuse) mix_tensor(t->reuse, x);
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
    return x->t.count >= (x->t.dim[0] > 1 ? LEAST : LARGE) && x->t.data && x->t.grad != x->t.data;
}

/* The floats that hold n values of 16 bits. */
static int64_t room_of_halves(int64_t n) { return (n + 1) / 2; }

static void expire(mls_ctx *c, tensor *x)
{
    mls_tape *t = c->tape;
    const int waits = x->kept || x->asked;
    if (!worth(x) || (waits && !t->reuse->half && (x->kept || !x->maker))) return;
    if (waits && x->t.dim[0] <= 1) return;
    if (waits && !x->half && !x->maker) {
        const int64_t room = room_of_halves(x->t.count);
        x->half = t->places ? (void *)mls_tape_take(t, room)
                            : mls_arena_alloc(&t->reuse->arena, mls_tape_bytes(room));
        if (!x->half) return;                               /* then the floats stay */
        if (!t->rehearses) mls_k_half_pack(x->t.data, x->half, x->t.count);
    }
    mls_tape_give(t, x->t.data, x->t.count);
    x->t.data = NULL;
}

/* Runs the forward of x's maker once more, for x alone: what else it gives is as it was. */
static void make_again(mls_ctx *c, tensor *x)
{
    enum { MOST = 8 };
    const mls_note *n = x->maker;
    const mls_mark m = mls_arena_mark(&c->tape->arena);
    tensor aside[MOST];
    mls_t out[MOST] = { &x->t };
    for (int i = 1; i < n->n_out; i++) {
        if (!n->out[i]) continue;
        aside[i] = *mls_tape_inner(n->out[i]);
        aside[i].t.data = mls_arena_alloc(&c->tape->arena, (size_t)aside[i].t.count * sizeof(float));
        if (!aside[i].t.data) mls_error_set(c->error, "%s: out of memory", c->path);
        out[i] = &aside[i].t;
    }
    const mls_call k = { n->attr, n->in, out, n->n_in, n->n_out, n->flags, c, 0 };
    if (!c->error->set) n->op->forward(&k);
    mls_tape_drop_scratch(c->tape, m);
}

/* Their memory is for floats then. */
static void release_half(mls_tape *t, tensor *x)
{
    if (x->half) mls_tape_give(t, x->half, room_of_halves(x->t.count));
    x->half = NULL;
}

static int restore(mls_ctx *c, mls_t y)
{
    tensor *v = mls_tape_inner(y), *x = mls_tape_root(y);
    if (x->number && !x->t.data && x->t.count) {
        if (!x->half && !x->maker) {
            mls_error_set(c->error, "%s: reads a value of [%lld][%lld][%lld] that nobody "
                          "was to read any more: a dry run of the same forward ran other ops; "
                          "which ops run may depend on shapes and options alone", c->path,
                          (long long)y->dim[0], (long long)y->dim[1], (long long)y->dim[2]);
            return 0;
        }
        if (!x->half && !mls_reuse_need(c, x->maker->in, x->maker->n_in, NULL, 0)) return 0;
        x->t.data = mls_tape_take(c->tape, x->t.count);
        if (!x->t.data) {
            mls_error_set(c->error, "%s: out of memory", c->path);
            return 0;
        }
        if (!c->tape->rehearses && x->half)
            mls_k_half_unpack(x->half, x->t.data, x->t.count);
        else if (!c->tape->rehearses)
            make_again(c, x);
        release_half(c->tape, x);       /* the floats stay until all is done that reads them */
    }
    if (v->parent) v->t.data = x->t.data ? x->t.data + v->offset : NULL;
    return !c->error->set;
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

static void use_all(mls_reuse *h, const mls_t *x, int n)
{
    for (int i = 0; i < n; i++) use(h, x[i], h->ops);
}

/* What a note says of its input i, if that is no view. */
static int bears(unsigned can, int i, mls_t x)
{
    return i < 8 && can & MLS_OVER(i) && !mls_tape_inner(x)->parent;
}

static void keep_in(const mls_note *n)
{
    for (int i = 0; i < n->n_in; i++) {
        tensor *x = n->in[i] ? mls_tape_root(n->in[i]) : NULL;
        if (!x || !x->number) continue;
        if (n->can & MLS_TAPE_AGAIN) x->asked++;
        else x->kept++;
        x->over += bears(n->can, i, n->in[i]);
    }
}

static void keep_out(const mls_note *n)
{
    for (int i = mls_tape_unread(n->can, n->n_out); i < n->n_out; i++)
        if (n->out[i] && mls_tape_root(n->out[i])->number) mls_tape_root(n->out[i])->kept++;
}

/* What the gradient took the place of is not to be read, whoever wanted to. */
static int held(const mls_reuse *h, const tensor *x)
{
    return x->number && x->number <= h->planned && h->last[x->number] == NEVER &&
           x->t.grad != x->t.data;
}

/* Its first output need not wait if it can be made again of what waits anyway. */
static void will_be_made(const mls_note *n)
{
    enum { MOST = 8 };
    tensor *x = mls_tape_inner(n->out[0]);
    int fits = n->can & MLS_REPEATS && !(n->can & MLS_TAPE_FORGETS_IN) && n->n_out <= MOST;
    for (int i = 1; i < n->n_out; i++) fits &= !n->out[i] || n->out[i]->dim[0] <= 1;
    if (fits && !x->parent) x->maker = n;
}

int mls_reuse_over(const mls_tape *t, const tensor *x)
{
    if (!t->reuse || !x->number || x->number > t->reuse->planned || held(t->reuse, x)) return 0;
    return x->over > 0 && x->over == x->kept + x->asked;
}

void mls_reuse_applied(mls_ctx *c, const mls_note *noted, const mls_t *in, int n_in,
                       const mls_t *out, int n_out)
{
    mls_reuse *h = c->tape->reuse;
    if (!h) return;
    if (h->planning) {
        use_all(h, in, n_in);
        use_all(h, out, n_out);
    } else if (noted) {
        if (!(noted->can & MLS_TAPE_FORGETS_IN)) keep_in(noted);
        keep_out(noted);
        if (n_out > 0 && out[0]) will_be_made(noted);
    }
    if (!h->planning && h->ops < h->planned_ops)
        for (int32_t n = h->first[h->ops]; n; n = h->next[n])
            if (n <= h->tensors) expire(c, h->made[n]);
    h->ops++;
}

static void release(mls_tape *t, tensor *x)
{
    if (x->t.grad && x->t.grad == x->t.data && !x->owned) x->t.grad = NULL;
    if (!x->number || !worth(x)) return;
    mls_tape_give(t, x->t.data, x->t.count);
    x->t.data = NULL;
}

static void let_go(mls_tape *t, tensor *x)
{
    if (held(t->reuse, x)) return;
    release(t, x);
    release_half(t, x);
}

/* What no backward reads any more is let go, though its own is still to come. */
static void read_once(mls_tape *t, tensor *x)
{
    const int gradient = x->t.grad && x->t.grad == x->t.data;         /* in its place */
    if (!x->kept && !x->asked && !gradient) let_go(t, x);
}

/* The reverse of keep_in and keep_out. */
static void done_with_in(mls_tape *t, const mls_note *n)
{
    for (int i = 0; i < n->n_in; i++) {
        tensor *x = n->in[i] ? mls_tape_root(n->in[i]) : NULL;
        if (!x || !x->number) continue;
        if (n->can & MLS_TAPE_AGAIN) x->asked--;
        else x->kept--;
        x->over -= bears(n->can, i, n->in[i]);
        read_once(t, x);
    }
}

static void done_with_out(mls_tape *t, const mls_note *n)
{
    for (int i = mls_tape_unread(n->can, n->n_out); i < n->n_out; i++) {
        tensor *x = n->out[i] ? mls_tape_root(n->out[i]) : NULL;
        if (!x || !x->number) continue;
        x->kept--;
        read_once(t, x);
    }
}

void mls_reuse_undone(mls_tape *t, const mls_note *n)
{
    if (!t->reuse) return;
    if (!(n->can & MLS_TAPE_FORGETS_IN)) done_with_in(t, n);
    done_with_out(t, n);
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i] && !mls_tape_inner(n->out[i])->parent) let_go(t, mls_tape_inner(n->out[i]));
}
