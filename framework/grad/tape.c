#include "grad/reuse.h"
#include "grad/tape-inner.h"

#include <string.h>

const char *volatile mls_run_current, *volatile mls_run_op, *volatile mls_run_phase;
volatile int64_t mls_run_step;

static tensor *inner(mls_t x) { return mls_tape_inner(x); }

static mls_tensor *fail_memory(mls_ctx *c, size_t bytes)
{
    static tensor empty;
    mls_error_set(c->error, "%s: out of memory (%zu bytes asked for)", c->path, bytes);
    empty = (tensor){ 0 };
    return &empty.t;
}

static tensor *new_tensor(mls_ctx *c, int64_t d0, int64_t d1, int64_t d2)
{
    tensor *x = mls_arena_zalloc(&c->tape->arena, sizeof *x);
    if (!x) return NULL;
    x->t = (mls_tensor){ NULL, NULL, { d0, d1, d2, 1 }, d0 * d1 * d2 };
    return x;
}

/* Its size in bytes, and twice that, can be told. */
static int is_shape(int64_t d0, int64_t d1, int64_t d2)
{
    int64_t n;
    return d0 >= 0 && d1 >= 0 && d2 >= 0 && !__builtin_mul_overflow(d0, d1, &n) &&
           !__builtin_mul_overflow(n, d2, &n) && n <= INT64_MAX / 8;
}

static int has_floats(mls_ctx *c, tensor *x)
{
    const size_t bytes = (size_t)x->t.count * sizeof(float);
    c->tape->bytes += (double)bytes;
    mls_reuse_made(c->tape, x);
    if (c->tape->dry) return 1;
    x->t.data = c->tape->reuse ? mls_tape_take(c->tape, x->t.count)
                               : mls_arena_alloc(&c->tape->arena, bytes);
    if (!x->t.data) return 0;
#ifdef MLS_HOSTILE      /* a kernel that leaves a value unwritten shows up as NaN */
    memset(x->t.data, 0xff, bytes);
#endif
    return 1;
}

mls_tensor *mls_tape_tensor(mls_ctx *c, int64_t d0, int64_t d1, int64_t d2)
{
    if (!is_shape(d0, d1, d2)) {
        mls_error_set(c->error, "%s: a tensor of shape [%lld][%lld][%lld] was asked for",
                      c->path, (long long)d0, (long long)d1, (long long)d2);
        d0 = d1 = d2 = 0;
    }
    tensor *x = new_tensor(c, d0, d1, d2);
    if (!x) return fail_memory(c, sizeof *x);
    return has_floats(c, x) ? &x->t : fail_memory(c, (size_t)x->t.count * sizeof(float));
}

mls_tensor *mls_tape_wrap(mls_ctx *c, float *data, float *grad, int leaf, int64_t d0,
                          int64_t d1, int64_t d2)
{
    tensor *x = new_tensor(c, d0, d1, d2);
    if (!x) return fail_memory(c, sizeof *x);
    x->t.data = data;
    x->t.grad = grad;
    x->tracks = leaf || grad != NULL;
    return &x->t;
}

mls_tensor *mls_tape_leaf(mls_arena *a, int tracks, int64_t d0, int64_t d1, int64_t d2)
{
    tensor *x = mls_arena_zalloc(a, sizeof *x);
    if (!x) return NULL;
    x->t = (mls_tensor){ NULL, NULL, { d0, d1, d2, 1 }, d0 * d1 * d2 };
    x->tracks = tracks;
    return &x->t;
}

mls_t mls_tape_steps(mls_ctx *c, mls_t x, int64_t from, int64_t n)
{
    if (from == 0 && n == x->dim[0]) return x;
    if (from < 0 || n < 0 || from + n > x->dim[0]) {
        mls_error_set(c->error, "%s: steps %lld..%lld of a sequence of %lld", c->path,
                      (long long)from, (long long)(from + n), (long long)x->dim[0]);
        return x;
    }
    mls_tape_now(c, x);
    tensor *v = new_tensor(c, n, x->dim[1], x->dim[2]);
    if (!v) return fail_memory(c, sizeof *v);
    tensor *p = inner(x);
    v->offset = from * x->dim[1] * x->dim[2];
    if (p->parent) {                                   /* a view of a view */
        v->offset += p->offset;
        p = p->parent;
    }
    v->parent = p;
    v->t.data = p->t.data ? p->t.data + v->offset : NULL;
    v->tracks = p->tracks;
    return &v->t;
}

mls_t mls_tape_detach(mls_ctx *c, mls_t x)
{
    mls_tape_now(c, x);
    mls_reuse_hold(c->tape, x);                 /* nobody knows who reads y: x's floats */
    mls_tensor *y = mls_tape_wrap(c, x->data, NULL, 0, x->dim[0], x->dim[1], x->dim[2]);
    if (mls_tape_spikes(x)) mls_tape_mark_spikes(y);
    return y;
}

void mls_tape_mark_spikes(mls_t x) { inner(x)->spikes = 1; }

int mls_tape_spikes(mls_t x)
{
    return x && (inner(x)->spikes || (inner(x)->parent && inner(x)->parent->spikes));
}

void mls_tape_set_int8(mls_t w, const mls_int8 *q) { inner(w)->int8 = q; }
const mls_int8 *mls_tape_int8(mls_t w) { return inner(w)->int8; }

int mls_tape_tracks(mls_t x) { return x && inner(x)->tracks; }

/* ---- gradients ------------------------------------------------------------------- */

float *mls_tape_grad(mls_ctx *c, mls_t t)
{
    tensor *x = inner(t);
    if (x->t.grad) return x->t.grad;
    if (x->parent) {
        float *g = mls_tape_grad(c, &x->parent->t);
        return x->t.grad = g ? g + x->offset : NULL;
    }
    float *g = mls_tape_take(c->tape, x->t.count);
    if (!g) {
        fail_memory(c, (size_t)x->t.count * sizeof(float));
        return NULL;
    }
    if (!c->tape->rehearses) memset(g, 0, (size_t)x->t.count * sizeof(float));
    x->owned = 1;
    return x->t.grad = g;
}

int mls_tape_overwrite(mls_ctx *c, mls_t t, const char *producer)
{
    const mls_note *n = c->tape->last;
    tensor *x = inner(t);
    if (!n || n->n_out < 1 || n->out[0] != t || x->parent || x->t.grad) return 0;
    if (producer ? strcmp(n->op->name, producer) : !mls_tape_unread(n->can, 1)) return 0;
    x->t.grad = x->t.data;
    return 1;
}

/* The producer of x has run backward: nobody reads its gradient again.  Views share
 * their parent's buffer, which lives until the parent's own producer is done.           */
static void drop_grad(mls_tape *t, tensor *x)
{
    if (x->parent || !x->owned) return;
    mls_tape_give(t, x->t.grad, x->t.count);
    x->t.grad = NULL;
    x->owned = 0;
}

/* A view that was made before its parent had a gradient learns of it here. */
static int has_grad(tensor *x)
{
    if (x->parent && x->parent->t.grad) x->t.grad = x->parent->t.grad + x->offset;
    return x->t.grad != NULL;
}

/* ---- values that are not finite ----------------------------------------------------- */

static int look(const char *path, const mls_op *op, const mls_t *out, int n_out,
                mls_tape_bad *bad)
{
    for (int i = 0; i < n_out; i++) {
        if (!out[i] || !out[i]->data) continue;
        const int64_t at = mls_k_first_bad(out[i]->data, out[i]->count);
        if (at < 0) continue;
        const int64_t B = out[i]->dim[1], N = out[i]->dim[2];
        *bad = (mls_tape_bad){ path, op->name, i, out[i]->data[at], at / N / B, at / N % B,
                               at % N };
        return 1;
    }
    return 0;
}

static void tell(const mls_tape *t, const mls_op *op, const mls_call *k, int backward,
                 int after)
{
    if (t->watch) t->watch->tell(t->watch->arg, op, k, backward, after);
}

/* ---- what was put off --------------------------------------------------------------- */

mls_t mls_tape_put_off(mls_ctx *c, unsigned can, const mls_op *op, const mls_t in[3],
                       int64_t d0, int64_t d1, int64_t d2)
{
    tensor *y = new_tensor(c, d0, d1, d2);
    mls_later *l = y ? mls_arena_alloc(&c->tape->arena, sizeof *l) : NULL;
    if (!l) return fail_memory(c, sizeof *y);
    *l = (mls_later){ op, can, { in[0], in[1], in[2] } };
    y->later = l;
    for (int i = 0; i < 3; i++) y->tracks |= mls_tape_tracks(in[i]);
    return &y->t;
}

const mls_later *mls_tape_later(mls_t y) { return y ? inner(y)->later : NULL; }

void mls_tape_now(mls_ctx *c, mls_t y)
{
    const mls_later *l = mls_tape_later(y);
    if (!l || c->error->set) return;
    inner(y)->later = NULL;
    if (has_floats(c, inner(y))) mls_tape_apply_as(c, l->can, l->op, NULL, l->in, 3, &y, 1);
    else fail_memory(c, (size_t)y->count * sizeof(float));
}

/* ---- scratch ------------------------------------------------------------------------ */

/* Large scratch is of free floats where there are any; else it ends the arena. */
struct mls_lent {
    struct mls_lent *next;
    float           *floats;
    int64_t          count;
};

static float *lend(mls_tape *t, size_t bytes)
{
    enum { LARGE = 1 << 14 };
    if (!t->reuse || bytes < LARGE) return NULL;
    struct mls_lent *l = mls_arena_alloc(&t->arena, sizeof *l);
    if (!l) return NULL;
    *l = (struct mls_lent){ t->lent, NULL, (int64_t)((bytes + 3) / 4) };
    l->floats = mls_tape_take_free(t, l->count);
    if (l->floats) t->lent = l;
    return l->floats;
}

/* The op has returned. */
void mls_tape_drop_scratch(mls_tape *t, mls_mark m)
{
    for (struct mls_lent *l = t->lent; l; l = l->next) mls_tape_give(t, l->floats, l->count);
    t->lent = NULL;
    mls_arena_release(&t->arena, m);
}

void *mls_tape_scratch(const mls_call *k, size_t bytes)
{
    void *p = lend(k->ctx->tape, bytes);
    if (!p) p = mls_arena_alloc(&k->ctx->tape->arena, bytes);
    if (!p) fail_memory(k->ctx, bytes);
    return p;
}

/* So much scratch, in a rehearsal. */
static void rehearse_scratch(const mls_call *k, size_t bytes)
{
    mls_places *p = k->ctx->tape->places;
    if (bytes && mls_places_notes(p)) mls_places_brief(p, bytes);
    else if (bytes) mls_tape_scratch(k, bytes);
}

/* ---- applying -------------------------------------------------------------------- */

static int note(mls_ctx *c, unsigned can, size_t expects, const mls_op *op, const void *attr,
                const mls_t *in, int n_in, const mls_t *out, int n_out)
{
    mls_tape *t = c->tape;
    const size_t rows = (size_t)(n_in + n_out) * sizeof(mls_t);
    mls_note *n = mls_arena_alloc(&t->arena, sizeof *n + rows);
    if (!n) {
        fail_memory(c, sizeof *n + rows);
        return 0;
    }
    mls_t *at = (mls_t *)(n + 1);
    memcpy(at, in, (size_t)n_in * sizeof *at);
    memcpy(at + n_in, out, (size_t)n_out * sizeof *at);
    *n = (mls_note){ t->last, op, attr, c->path, at, at + n_in, n_in, n_out, expects,
                     t->flags, can };
    t->last = n;
    return 1;
}

void mls_tape_apply(mls_ctx *c, const mls_op *op, const void *attr, const mls_t *in,
                    int n_in, const mls_t *out, int n_out)
{
    mls_tape_apply_as(c, 0, op, attr, in, n_in, out, n_out);
}

void mls_tape_apply_dense(mls_ctx *c, const mls_op *op, const void *attr, const mls_t *in,
                          int n_in, const mls_t *out, int n_out)
{
    mls_tape_apply_as(c, MLS_TAPE_DENSE, op, attr, in, n_in, out, n_out);
}

void mls_tape_apply_as(mls_ctx *c, unsigned can, const mls_op *op, const void *attr,
                       const mls_t *in, int n_in, const mls_t *out, int n_out)
{
    const size_t now = c->tape->expects[0], later = c->tape->expects[1];
    c->tape->expects[0] = c->tape->expects[1] = 0;
    if (c->error->set) return;
    /* fields after flops came later: MLS_HAS(op, field) before one is read */
    if (!MLS_HAS(op, flops)) {
        mls_error_set(c->error, "%s: an op is %u bytes long, expected %zu", c->path,
                      op->size, sizeof *op);
        return;
    }
    mls_tape *t = c->tape;
    int tracks = 0;
    for (int i = 0; i < n_in; i++) mls_tape_now(c, in[i]);
    if (c->error->set) return;
    for (int i = 0; i < n_in; i++) tracks |= mls_tape_tracks(in[i]);
    const mls_call k = { attr, in, out, n_in, n_out, t->flags, c, 0 };
    if (!mls_reuse_begins(c, op, in, n_in, out, n_out)) return;
    if (!mls_reuse_need(c, in, n_in, out, n_out)) return;
    const double flops = op->flops ? op->flops(&k) : 0.0;
    t->flops += flops;
    if (can & MLS_TAPE_DENSE) t->macs += 0.5 * flops;
    if (tracks && op->backward)
        for (int i = 0; i < n_out; i++)
            if (out[i]) inner(out[i])->tracks = 1;
    if (t->dry) {
        mls_reuse_applied(c, NULL, in, n_in, out, n_out);
        return;
    }
    const mls_mark m = mls_arena_mark(&t->arena);
    mls_run_op = op->name;
    tell(t, op, &k, 0, 0);
    if (!t->rehearses || can & MLS_TAPE_RUNS) op->forward(&k);
    else rehearse_scratch(&k, now);
    tell(t, op, &k, 0, 1);
    mls_tape_drop_scratch(t, m);
    if (t->check && !t->bad.path) look(c->path, op, out, n_out, &t->bad);
    if (c->error->set) return;
    const int noted = tracks && op->backward && t->flags & MLS_TRAIN;
    if (noted && !note(c, can, later, op, attr, in, n_in, out, n_out)) return;
    mls_reuse_applied(c, noted ? t->last : NULL, in, n_in, out, n_out);
}

/* Of input i: whether nobody has added to its gradient and it is the only input of its
 * kind. */
static int is_alone(const mls_note *n, int i)
{
    const tensor *x = inner(n->in[i]);
    if (i >= 64 || x->t.grad || x->parent) return 0;
    for (int j = 0; j < n->n_in; j++) {
        const tensor *other = n->in[j] ? inner(n->in[j]) : NULL;
        if (other && j != i && (other == x || other->parent == x)) return 0;
    }
    return 1;
}

/* Its gradient comes to lie where its values are. */
static int lies_over(const mls_tape *t, const mls_note *n, int i)
{
    tensor *x = inner(n->in[i]);
    if (i >= 8 || !(n->can & MLS_OVER(i)) || !mls_reuse_over(t, x)) return 0;
    x->t.grad = x->t.data;
    return x->t.data != NULL;
}

/* Input i gets the memory of the first output's gradient, which is this op's to write. */
static int is_passed(const mls_note *n, int i)
{
    tensor *x = inner(n->in[i]), *y = inner(n->out[0]);
    if (i >= 8 || !(n->can & MLS_PASSES(i)) || !y) return 0;
    if (!y->owned || y->parent || y->t.count != x->t.count) return 0;
    x->t.grad = y->t.grad;
    return x->owned = 1;
}

/* A buffer that still holds what another tensor left in it. */
static int takes(mls_ctx *c, tensor *x)
{
    x->t.grad = mls_tape_take(c->tape, x->t.count);
    if (!x->t.grad) {
        fail_memory(c, (size_t)x->t.count * sizeof(float));
        return 0;
    }
#ifdef MLS_HOSTILE      /* a gradient that backward leaves unwritten shows up as NaN */
    const int spoils = 1;
#else
    const int spoils = c->tape->spoils;
#endif
    if (spoils && !c->tape->rehearses)
        memset(x->t.grad, 0xff, (size_t)x->t.count * sizeof(float));
    x->owned = 1;
    return 1;
}

static void undo(mls_ctx *c, mls_note *n)
{
    uint64_t fresh = 0;
    int wanted = 0, passed = 0;
    for (int i = 0; i < n->n_out; i++)
        wanted |= n->out[i] && has_grad(inner(n->out[i]));
    if (!wanted) return;
    for (int i = 0; i < n->n_out && !(n->can & MLS_OMITS); i++)
        if (n->out[i]) mls_tape_grad(c, n->out[i]);
    const int reads_in = !(n->can & MLS_TAPE_FORGETS_IN);
    const int unread = mls_tape_unread(n->can, n->n_out);
    if (c->error->set || !mls_reuse_need(c, n->in, reads_in ? n->n_in : 0, n->out + unread,
                                         n->n_out - unread))
        return;
    for (int i = 0; i < n->n_in && !c->error->set; i++) {
        if (!mls_tape_tracks(n->in[i])) continue;
        const uint64_t bit = UINT64_C(1) << (i & 63);
        if (!(n->can & MLS_WRITES) || !is_alone(n, i)) mls_tape_grad(c, n->in[i]);
        else if (lies_over(c->tape, n, i)) fresh |= bit;
        else if (!passed && is_passed(n, i)) passed = 1, fresh |= bit;
        else if (takes(c, inner(n->in[i]))) fresh |= bit;
    }
    if (c->error->set) return;
    const mls_call k = { n->attr, n->in, n->out, n->n_in, n->n_out, n->flags, c, fresh };
    const mls_mark m = mls_arena_mark(&c->tape->arena);
    mls_run_current = n->path;
    mls_run_op = n->op->name;
    tell(c->tape, n->op, &k, 1, 0);
    if (!c->tape->rehearses || n->can & MLS_TAPE_RUNS) n->op->backward(&k);
    else rehearse_scratch(&k, n->expects);
    tell(c->tape, n->op, &k, 1, 1);
    mls_tape_drop_scratch(c->tape, m);
    if (passed) inner(n->out[0])->t.grad = NULL, inner(n->out[0])->owned = 0;
    for (int i = 0; i < n->n_out; i++)
        if (n->out[i]) drop_grad(c->tape, inner(n->out[i]));
    mls_reuse_undone(c->tape, n);
}

void mls_tape_backward(mls_ctx *c)
{
    const char *path = c->path;
    mls_run_phase = "backward";
    for (mls_note *n = c->tape->last; n && !c->error->set; n = n->before) {
        c->path = n->path;
        undo(c, n);
    }
    c->path = path;
    c->tape->last = NULL;
    mls_run_current = mls_run_op = mls_run_phase = NULL;
}

int mls_tape_first_bad(const mls_tape *t, mls_tape_bad *bad)
{
    int found = t->bad.path != NULL;
    if (found) *bad = t->bad;
    for (const mls_note *n = found ? NULL : t->last; n; n = n->before)
        found |= look(n->path, n->op, n->out, n->n_out, bad);  /* an older one may come yet */
    return found;
}

void mls_tape_reset(mls_tape *t)
{
    mls_arena_reset(&t->arena);
    mls_arena_reset(&t->floats);
    t->last = NULL;
    t->bad.path = NULL;
    t->spare = (mls_spare){ { NULL, NULL } };
    t->ground = NULL;
    t->lent = NULL;
    t->flops = t->macs = t->spike_macs = t->bytes = 0.0;
    t->dropouts = 0;
    if (t->reuse) mls_reuse_reset(t->reuse);
}

void mls_tape_free(mls_tape *t)
{
    mls_arena_free(&t->arena);
    mls_arena_free(&t->floats);
    mls_reuse_free(t->reuse);
    *t = (mls_tape){ 0 };
}
