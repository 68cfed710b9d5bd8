/* alive.c - cases about gradients that need no differences: they add, none is nought,
 * and some come through spikes.
 */
#include "validate/rewire.h"
#include "validate/slopes.h"
#include "validate/values.h"

#include <string.h>

void mls_slopes_open(mls_rig *r, mls_probe *p, const mls_variant *v, int64_t T,
                     int64_t B, unsigned flags, uint64_t seed)
{
    const uint64_t own = p->seed;
    p->seed = seed;
    mls_rig_open(r, p, v, (mls_rig_size){.T = T, .B = B}, flags, seed);
    p->seed = own;
}

/* ---- Adding ------------------------------------------------------------------------
 */

static void twice(mls_rig *r)
{
    int64_t count;
    mls_rig_backward(r);
    const float *once = mls_values_grad(r, &count);
    float *want = mls_values_keep(r->p, once, count), *grad = mls_net_grad(r->net);
    /* a whole number and few of its bits: what is added keeps most of its own */
    for (int64_t k = 0; k < count; k++) {
        grad[k] = 0.5f - (float)(k % 2);
        want[k] += grad[k];
    }
    mls_rig_fresh(r, NULL);
    mls_run_backward_from(r->run, r->weight);
    mls_values_grads(r, "when they held something before", want, 1e-5);
    mls_rig_backward(r);
    mls_rig_fresh(r, NULL);
    mls_run_backward_from(r->run, r->weight);
    for (int64_t k = 0; k < count; k++) want[k] = 2.0f * once[k];
    mls_values_grads(r, "after a second backward, against twice the first", want, 1e-5);
}

void mls_slopes_accumulate(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_TRAIN, p->seed);
        twice(&r);
        /* a twin of a random component has noise of its own */
        if (!(p->c->flags & MLS_RANDOM)) mls_rewire_shared(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Alive -------------------------------------------------------------------------
 */

enum { MOST = 4096 }; /* weights of a rig */

/* Marks the component's own weights that got a gradient; returns how many did not yet.
 */
static int look(mls_rig *r, char *alive, const char **dead)
{
    const char *node = mls_rewire_node(r);
    int left = 0;
    for (int i = 0; i < mls_net_weights(r->net) && i < MOST; i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        if (strcmp(w->node, node) || (w->flags & MLS_FROZEN)) continue;
        for (int64_t k = 0; k < w->rows * w->cols && !alive[i]; k++)
            alive[i] = w->grad[k] != 0.0f;
        if (alive[i]) continue;
        left++;
        *dead = mls_arena_strdup(&r->p->arena, w->name);
    }
    return left;
}

void mls_slopes_alive(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        char *alive = mls_values_room(p, MOST, 1);
        const char *dead = NULL;
        int left = 1;
        for (int k = 0; k < 8 && left; k++) {
            mls_rig r;
            mls_slopes_open(&r, p, &v[i], 12, 0, MLS_TRAIN, p->seed + (uint64_t)k);
            for (int64_t j = 0; k > 3 && j < r.T * r.B * r.in; j++) r.x[j] *= 3.0f;
            mls_rig_backward(&r);
            left = look(&r, alive, &dead);
            mls_rig_close(&r);
        }
        if (left)
            mls_probe_fail(
                p,
                "%s: no element of %s gets a gradient, with 8 seeds: it would never "
                "learn; use it, leave it out, or make it MLS_FROZEN",
                v[i].title, dead);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Surrogates --------------------------------------------------------------------
 */

/* Of what is before the port of spikes alone: other outputs may have a path of their
 * own. That it is the surrogate's slope is for the case gradients, in smooth mode. */
static int through_spikes(mls_rig *r, const char *port)
{
    int64_t count;
    const int64_t spikes = mls_rewire_width(r, mls_rewire_node(r), port);
    for (int64_t i = 0; i < r->out_steps * r->B * r->out; i++)
        if (i % r->out >= spikes) r->weight[i] = 0.0f;
    mls_rig_backward(r);
    mls_net_data(r->net, &count);
    const float *g = mls_net_grad(r->net);
    mls_probe_finite(r->p, r->v, "gradient through spikes", g, count, 1, count);
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        for (int64_t k = 0; !strncmp(w->name, "input.", 6) && k < w->rows * w->cols;
             k++)
            if (w->grad[k] != 0.0f) return 1;
    }
    return 0;
}

void mls_slopes_spikes(mls_probe *p)
{
    const mls_variant *v;
    const mls_port *port = NULL, *out;
    for (int i = 0; !port && (out = mls_plug_port(p->registry, p->c, i)); i++)
        if (out->flags & MLS_OUT) port = out;
    if (!port || !(port->flags & MLS_SPIKES))
        mls_probe_skip(p, "its first output is no port of spikes");
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        int passes = 0;
        for (int k = 0; k < 8 && !passes; k++) {
            const mls_mark mark = mls_arena_mark(&p->arena);
            mls_rig r;
            mls_slopes_open(&r, p, &v[i], 20, 0, MLS_TRAIN, p->seed + (uint64_t)k);
            for (int64_t j = 0; k > 3 && j < r.T * r.B * r.in; j++) r.x[j] *= 3.0f;
            passes = through_spikes(&r, port->name);
            mls_rig_close(&r);
            mls_arena_release(&p->arena, mark);
        }
        if (!passes)
            mls_probe_fail(
                p,
                "%s: no gradient reaches the input through the spikes of \"%s\", with "
                "8 "
                "seeds: backward needs a surrogate where the step has no slope",
                v[i].title, port->name);
    }
}
