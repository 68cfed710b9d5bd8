/* start.c - cases of a component at its start: finite values, binary spikes, resets. */
#include "validate/values.h"

#include <stdio.h>
#include <string.h>

enum { SEEDS = 100, SEEDS_TURNED = 5 };

static void all_finite(mls_rig *r, uint64_t seed)
{
    char what[64];
    int64_t n;
    snprintf(what, sizeof what, "output, seed %llu", (unsigned long long)seed);
    mls_probe_finite(r->p, r->v, what, mls_rig_fresh(r, NULL),
                     r->out_steps * r->B * r->out, r->B, r->out);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(r->run, i, &value, &width, NULL);
        snprintf(what, sizeof what, "state %.30s, seed %llu", name,
                 (unsigned long long)seed);
        mls_probe_finite(r->p, r->v, what, value, r->B * width, r->B, width);
    }
    mls_rig_backward(r);
    mls_net_data(r->net, &n);
    snprintf(what, sizeof what, "gradients, seed %llu", (unsigned long long)seed);
    mls_probe_finite(r->p, r->v, what, mls_net_grad(r->net), n, 1, n);
}

static void finite_at_init(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++)
        for (uint64_t seed = 0; seed < (i ? SEEDS_TURNED : SEEDS); seed++) {
            const mls_mark mark = mls_arena_mark(&p->arena);
            mls_rig r;
            mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_TRAIN, p->seed + seed);
            all_finite(&r, p->seed + seed);
            mls_rig_close(&r);
            mls_arena_release(&p->arena, mark);
        }
}

/* ---- Spikes ---------------------------------------------------------------------- */

typedef struct eye {
    mls_rig *r;
    int64_t ones, all;
} eye;

static int any(void *arg, const char *node, const char *name)
{
    (void)arg, (void)node, (void)name;
    return 1;
}

static void look(void *arg, const mls_channel *ch, mls_t value, int64_t t0)
{
    eye *e = arg;
    if (!(ch->flags & MLS_SPIKES)) return;
    const int64_t B = value->dim[1], N = value->dim[2];
    for (int64_t i = 0; i < value->count; i++) {
        const float x = value->data[i];
        if (x != 0.0f && x != 1.0f)
            mls_probe_fail(e->r->p,
                           "%s: %s.%s[%lld][%lld][%lld] is %.9g, but a port of spikes "
                           "gives 0 or 1",
                           e->r->v->title, ch->node, ch->name,
                           (long long)(t0 + i / (B * N)), (long long)(i / N % B),
                           (long long)(i % N), (double)x);
        e->ones += x == 1.0f;
    }
    e->all += value->count;
}

static void spikes_are_binary(mls_probe *p)
{
    const mls_variant *v;
    const mls_port *port;
    const int n = mls_probe_variants(p, &v);
    int64_t ones = 0, all = 0;
    int flagged = 0;
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        flagged |= (port->flags & MLS_OUT) && (port->flags & MLS_SPIKES);
    if (!flagged) mls_probe_skip(p, "no port gives spikes");
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){.T = 40}, 0, p->seed);
        eye e = {.r = &r};
        mls_run_observe(r.run, &(mls_observer){&e, any, look});
        for (int64_t k = 0; k < r.T * r.B * r.in; k++) r.x[k] *= 3.0f;
        mls_rig_fresh(&r, NULL);
        ones += e.ones;
        all += e.all;
        mls_rig_close(&r);
    }
    if (!all) mls_probe_fail(p, "the port of spikes was never seen at work");
    mls_probe_note(p, "%lld of %lld values are spikes", (long long)ones,
                   (long long)all);
    if (!ones)
        mls_probe_warn(
            p, "not one spike, even at strong input: is the threshold reached?");
    if (ones == all) mls_probe_warn(p, "a spike at every step of every unit");
}

/* ---- Reset ----------------------------------------------------------------------- */

/* A second run of the network at work in between: what a component keeps outside its
 * states would cross over. */
static void interleaved(mls_rig *r, const float *want)
{
    const int64_t half = r->T / 2, wide = r->B * r->out;
    mls_error e = {0};
    mls_run *other = mls_run_new(r->net, r->B, r->flags, &e);
    if (!other) mls_probe_fail(r->p, "%s: %s", r->v->title, e.text);
    mls_batch first = mls_rig_piece(r, 0, half),
              rest = mls_rig_piece(r, half, r->T - half);
    mls_rig_fresh(r, &first);
    float *x = mls_values_keep(r->p, r->x, r->T * r->B * r->in);
    for (int64_t i = 0; i < r->T * r->B * r->in; i++) x[i] = 3.0f - 2.0f * x[i];
    mls_batch b = r->batch;
    b.x = x;
    if (!mls_run_forward(other, &b, 0))
        mls_probe_fail(r->p, "%s: %s", r->v->title, mls_run_error(other)->text);
    const float *y = mls_rig_forward(r, &rest);
    if (r->out_steps == r->T)
        mls_probe_same(r->p, r->v,
                       "output when another run of the network worked in between", y,
                       want + half * wide, (r->T - half) * wide, r->B, r->out);
    else
        mls_probe_same(r->p, r->v,
                       "output when another run of the network worked in between", y,
                       want, wide, r->B, r->out);
    mls_run_free(other);
}

static void reset_one(mls_rig *r)
{
    int64_t count, n_states;
    const float *born = mls_rig_states(r, &n_states);
    const float *y = mls_values_output(r, NULL, &count);
    const float *last = mls_rig_states(r, &n_states);
    float *x = mls_values_keep(r->p, r->x, r->T * r->B * r->in);
    for (int64_t i = 0; i < r->T * r->B * r->in; i++) r->x[i] = 3.0f - 2.0f * x[i];
    mls_rig_forward(r, NULL);
    memcpy(r->x, x, (size_t)(r->T * r->B * r->in) * sizeof *x);
    mls_run_reset(r->run);
    mls_values_states(r, "after a reset, against its creation", born, 0.0);
    mls_probe_same(r->p, r->v, "output of the second run after a reset",
                   mls_rig_forward(r, NULL), y, count, r->B, r->out);
    mls_values_states(r, "after the second run", last, 0.0);
    if (r->v->promises & MLS_STREAMS) {
        float *whole = mls_values_keep(r->p, y, count);
        const int64_t half = r->T / 2;
        mls_batch first = mls_rig_piece(r, 0, half),
                  rest = mls_rig_piece(r, half, r->T - half);
        mls_rig_fresh(r, &first);
        memcpy(whole + (r->out_steps == r->T ? half * r->B * r->out : 0),
               mls_rig_forward(r, &rest),
               (size_t)((r->out_steps == r->T ? r->T - half : 1) * r->B * r->out) *
                   sizeof *y);
        interleaved(r, whole);
    }
}

static void reset(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){.T = 12}, 0, p->seed);
        reset_one(&r);
        mls_rig_close(&r);
    }
}

const mls_case mls_cases_start[] = {
    {"finite-at-init",
     "A new network gives finite outputs, states and gradients for 100 seeds",
     MLS_NETWORK_KINDS, 20, finite_at_init},
    {"spikes-are-binary", "A port of spikes gives 0 and 1 and nothing else",
     MLS_NETWORK_KINDS, 10, spikes_are_binary},
    {"reset",
     "After a reset, and beside another run, a run gives the bits of the first",
     MLS_NETWORK_KINDS, 10, reset},
    {0}};
