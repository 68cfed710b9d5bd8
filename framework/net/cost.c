/* cost.c - what a training step takes, without making one. */
#include "grad/reuse.h"
#include "net/inner.h"

#include <math.h>

/* Shapes only: nobody reads the data behind these pointers. */
static mls_batch batch_of(const mls_net *net, int64_t steps, int64_t batch)
{
    static const int32_t token;
    static const float x;
    const mls_task_shape *s = &net->shape;
    return (mls_batch){ steps, batch, s->vocabulary ? &token : NULL, s->vocabulary ? NULL : &x,
                        s->has_mask ? &x : NULL, s->has_dt ? &x : NULL, &token, &x, NULL };
}

int mls_net_cost(mls_net *net, int64_t steps, int64_t batch, mls_cost *out, mls_error *e)
{
    mls_run *r = mls_run_new(net, batch, MLS_TRAIN, e);
    if (!r) return 0;
    r->tape.dry = 1;
    const mls_batch b = batch_of(net, steps, batch);
    *out = (mls_cost){ .parameters = net->count };
    mls_run_loss(r, &b, 0, NULL);
    if (r->error.set) mls_error_set(e, "%s", r->error.text);
    out->flops = 3.0 * r->tape.flops;         /* backward does each product twice */
    out->bytes = r->tape.bytes;
    for (int i = 0; i < net->n_states; i++)
        out->state_bytes += (double)(batch * net->state[i]->width) * sizeof(float);
    mls_run_free(r);
    return !e->set;
}

/* A dry net has no gradients, which are not the tape's: something in their place, which nobody
 * writes. */
static void lend_gradients(mls_net *net, int on)
{
    static float nothing;
    for (int i = 0; i < net->n_weights; i++)
        if (!net->grad && !(net->weight[i].flags & MLS_FROZEN))
            net->tensor[i]->grad = on ? &nothing : NULL;
}

/* A step of `r` in which memory comes and goes, and nobody reads or writes it. */
static void rehearse(mls_run *r, const mls_batch *b)
{
    r->tape.rehearses = 1;
    r->tape.arena.bare = r->tape.floats.bare = r->remat_arena.bare = r->remat_floats.bare = 1;
    mls_reuse_arena(r->tape.reuse)->bare = 1;
    lend_gradients(r->net, 1);
    mls_run_loss(r, b, 0, NULL);
    mls_run_backward(r, 1.0);
    lend_gradients(r->net, 0);
}

/* Bytes of a step that is rehearsed, its floats at their places if it has any; NaN if it
 * fails. */
static double bytes_of(mls_net *net, const mls_batch *b, unsigned flags, int half, int carry,
                       mls_places *p)
{
    mls_error e = { 0 };
    mls_run *r = mls_run_new(net, b->batch, MLS_TRAIN | flags, &e);
    double bytes = NAN;
    if (r && mls_run_reuse(r, half)) {
        mls_run_blocks(r, 1);
        mls_run_transient(r, !carry);
        r->tape.places = p;
        rehearse(r, b);
        if (!r->error.set) bytes = mls_run_memory(r);
    }
    mls_run_free(r);
    return bytes;
}

double mls_net_memory(mls_net *net, int64_t steps, int64_t batch, unsigned flags, int half,
                      int carry)
{
    const mls_batch b = batch_of(net, steps, batch);
    mls_places *p = mls_places_new(1);
    if (p) bytes_of(net, &b, flags, half, carry, p);
    const int placed = p && mls_places_settle(p);
    const double bytes = bytes_of(net, &b, flags, half, carry, placed ? p : NULL);
    mls_places_free(p);
    return bytes;
}

mls_places *mls_net_places(const mls_run *like, const mls_batch *b, uint64_t key)
{
    mls_error e = { 0 };
    mls_run *r = mls_run_new(like->net, like->batch, like->flags, &e);
    mls_places *p = NULL;
    if (r && mls_run_reuse(r, mls_reuse_halves(like->tape.reuse))) {
        r->blocks = like->blocks;
        r->transient = like->transient;
        r->track = like->track;
        r->tape.steady = like->tape.steady;
        r->tape.events = like->tape.events;
        p = r->tape.places = mls_places_new(key);
        if (p) rehearse(r, b);
        if (p) mls_places_settle(p);
    }
    mls_run_free(r);
    return p;
}
