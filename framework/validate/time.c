/* time.c - cases about time: no output knows the future, and where a sequence is cut
 * does not matter; neither does it how long it is, or whose steps are how long.
 */
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Causal ---------------------------------------------------------------------- */

/* Adds `by` to feature f (-1: all) of step s and looks at the steps before. */
static void impulse(mls_rig *r, const float *want, int64_t s, int64_t f, float by)
{
    char what[128];
    float *row = r->x + s * r->B * r->in;
    float *kept = mls_values_keep(r->p, row, r->B * r->in);
    for (int64_t i = 0; i < r->B * r->in; i++)
        if (f < 0 || i % r->in == f) row[i] += by;
    snprintf(what, sizeof what,
             f < 0 ? "output when the input of step %lld changes"
                   : "output when the input of step %lld changes in feature %lld",
             (long long)s, (long long)f);
    mls_probe_same(r->p, r->v, what, mls_rig_fresh(r, NULL), want, s * r->B * r->out,
                   r->B, r->out);
    memcpy(row, kept, (size_t)(r->B * r->in) * sizeof *row);
}

static void impulses(mls_rig *r, int features)
{
    int64_t count;
    const float *want = mls_values_output(r, NULL, &count);
    for (int64_t s = 1; s < r->T; s++) {
        const mls_mark mark = mls_arena_mark(&r->p->arena);
        impulse(r, want, s, -1, 3.0f);
        impulse(r, want, s, -1, -3.0f);
        for (int64_t f = 0; features && f < r->in; f++) impulse(r, want, s, f, 2.0f);
        mls_arena_release(&r->p->arena, mark);
    }
}

static const mls_weight *in_projection(const mls_rig *r)
{
    for (int i = 0; i < mls_net_weights(r->net); i++)
        if (!strcmp(mls_net_weight(r->net, i)->name, "input.weight"))
            return mls_net_weight(r->net, i);
    return NULL;
}

/* Backward too: seen from step t, a later input has no gradient.  The gradient of x
 * itself is not to be had, but that of the input projection is sum_s g[s] x[s]': with
 * feature f of x at 0 up to t, column f sums what came from later steps. */
static void gradients_from(mls_rig *r, int64_t t, int64_t f)
{
    const int64_t wide = r->B * r->out;
    const mls_weight *w = in_projection(r);
    float *seed = mls_values_room(r->p, r->T * wide, sizeof *seed);
    float *x = mls_values_keep(r->p, r->x, r->T * r->B * r->in);
    if (!w) return;
    memcpy(seed + t * wide, r->weight + t * wide, (size_t)wide * sizeof *seed);
    for (int64_t i = 0; i < (t + 1) * r->B; i++) r->x[i * r->in + f] = 0.0f;
    mls_rig_fresh(r, NULL);
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, seed);
    for (int64_t i = 0; i < w->rows; i++)
        if (w->grad[i * w->cols + f] != 0.0f)
            mls_probe_fail(
                r->p,
                "%s: backward from step %lld alone gives the inputs of later "
                "steps a gradient (unit %lld of the input: %g, expected 0)",
                r->v->title, (long long)t, (long long)i,
                (double)w->grad[i * w->cols + f]);
    memcpy(r->x, x, (size_t)(r->T * r->B * r->in) * sizeof *x);
}

static void causal(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    int seen = 0;
    for (int i = 0; i < n; i++) {
        if (!(v[i].promises & MLS_CAUSAL)) continue;
        const unsigned modes[] = {0, MLS_SMOOTH}; /* smooth: no step hides a leak */
        for (int m = 0; m < 2; m++) {
            mls_rig r;
            mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, modes[m], p->seed);
            if (r.out_steps == r.T) {
                impulses(&r, m);
                seen++;
            }
            mls_rig_close(&r);
        }
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_TRAIN, p->seed);
        for (int64_t t = 0; r.out_steps == r.T && t + 1 < r.T; t++) {
            gradients_from(&r, t, t % r.in);
            gradients_from(&r, t, (t + r.in / 2) % r.in);
        }
        mls_rig_close(&r);
    }
    if (!seen)
        mls_probe_skip(p, p->c->flags & MLS_CAUSAL
                              ? "it gives one output a sequence"
                              : "it does not promise to be causal");
}

/* ---- Streams --------------------------------------------------------------------- */

/* Pieces of `each` steps; each 0: two pieces, the first of `first` steps. */
typedef struct cut {
    int64_t each, first;
} cut;

typedef struct run_of { /* what one way of cutting gives; the whole: no cut      */
    float *y, *last, *grad, *grad0; /* output, final states, gradients of weights
                                       and of the initial states                     */
} run_of;

static int64_t next(const mls_rig *r, cut c, int64_t from)
{
    const int64_t n = c.each ? c.each : from ? r->T : c.first;
    return n < r->T - from ? n : r->T - from;
}

static void name_cut(char *out, size_t room, cut c, int64_t T, int mask)
{
    if (c.each)
        snprintf(out, room, "in pieces of %lld step%s%s", (long long)c.each,
                 c.each == 1 ? "" : "s", mask ? ", with a mask" : "");
    else
        snprintf(out, room, "in pieces of %lld and %lld steps%s", (long long)c.first,
                 (long long)(T - c.first), mask ? ", with a mask" : "");
}

static mls_batch piece(const mls_rig *r, int64_t from, int64_t n, int mask)
{
    mls_batch b = mls_rig_piece(r, from, n);
    b.mask = mask ? r->mask + from * r->B : NULL;
    return b;
}

/* At a padded step an output may be anything. */
static void blank(const mls_rig *r, float *y, int mask)
{
    for (int64_t i = 0; mask && r->out_steps == r->T && i < r->T * r->B; i++)
        if (r->mask[i] == 0.0f) memset(y + i * r->out, 0, (size_t)r->out * sizeof *y);
}

static float *outputs(mls_rig *r, cut c, int mask, float **start, int64_t *pieces)
{
    const int64_t wide = r->B * r->out, per_step = r->out_steps == r->T;
    float *y = mls_values_room(r->p, r->out_steps * wide, sizeof *y);
    int64_t states, k = 0;
    mls_run_reset(r->run);
    for (int64_t t = 0, n; t < r->T; t += n, k++) {
        n = next(r, c, t);
        start[k] = mls_rig_states(r, &states);
        mls_batch b = piece(r, t, n, mask);
        const float *got = mls_rig_forward(r, &b);
        memcpy(y + per_step * t * wide, got,
               (size_t)((per_step ? n : 1) * wide) * sizeof *y);
    }
    *pieces = k;
    blank(r, y, mask);
    return y;
}

static void seed_states(mls_rig *r, const float *seed)
{
    for (int i = 0; i < mls_run_states(r->run); i++) {
        int64_t width;
        mls_run_state(r->run, i, NULL, &width, NULL);
        mls_run_seed_state(r->run, i, seed);
        if (seed) seed += r->B * width;
    }
}

static void take_state_grads(mls_rig *r, float *out)
{
    for (int i = 0; i < mls_run_states(r->run); i++) {
        int64_t width;
        mls_run_state(r->run, i, NULL, &width, NULL);
        const float *g = mls_run_state_grad(r->run, i);
        if (g)
            memcpy(out, g, (size_t)(r->B * width) * sizeof *out);
        else
            memset(out, 0, (size_t)(r->B * width) * sizeof *out);
        out += r->B * width;
    }
}

/* The pieces last to first: each is run again from where it started, and what its
 * initial states have as a gradient is the gradient of the final states of the piece
 * before.     */
static void backwards(mls_rig *r, cut c, int mask, float **start, int64_t pieces,
                      run_of *out)
{
    const int64_t wide = r->B * r->out, per_step = r->out_steps == r->T;
    int64_t states, at[64], t = 0;
    mls_rig_states(r, &states);
    float *carry = mls_values_room(r->p, states, sizeof *carry);
    for (int64_t i = 0; i < states; i++) carry[i] = mls_probe_noise(77, (uint64_t)i);
    for (int64_t k = 0; k < pieces; k++) {
        at[k] = t;
        t += next(r, c, t);
    }
    mls_net_zero_grad(r->net);
    for (int64_t k = pieces - 1; k >= 0; k--) {
        mls_batch b = piece(r, at[k], next(r, c, at[k]), mask);
        mls_values_restore(r, start[k]);
        mls_rig_forward(r, &b);
        seed_states(r, carry);
        mls_run_backward_from(r->run, per_step          ? r->weight + at[k] * wide
                                      : k == pieces - 1 ? r->weight
                                                        : NULL);
        take_state_grads(r, carry);
    }
    seed_states(r, NULL);
    out->grad = mls_values_grad(r, NULL);
    out->grad0 = carry;
}

static run_of run_cut(mls_rig *r, cut c, int mask)
{
    run_of out = {0};
    float *start[64];
    int64_t pieces, states;
    out.y = outputs(r, c, mask, start, &pieces);
    out.last = mls_rig_states(r, &states);
    if (r->flags & MLS_TRAIN) backwards(r, c, mask, start, pieces, &out);
    return out;
}

static void compare(mls_rig *r, cut c, int mask, const run_of *whole, double worst[2])
{
    const mls_mark mark = mls_arena_mark(&r->p->arena);
    const int exact = (r->flags & MLS_EXACT) != 0;
    const int64_t count = r->out_steps * r->B * r->out;
    char how[96], what[128];
    name_cut(how, sizeof how, c, r->T, mask);
    const run_of got = run_cut(r, c, mask);
    snprintf(what, sizeof what, "output %s", how);
    if (exact)
        mls_probe_same(r->p, r->v, what, got.y, whole->y, count, r->B, r->out);
    else
        worst[0] = fmax(worst[0], mls_probe_near(r->p, r->v, what, got.y, whole->y,
                                                 count, r->B, r->out, 1e-5));
    /* backward left the states of the first piece */
    if (r->flags & MLS_TRAIN) mls_values_restore(r, got.last);
    snprintf(what, sizeof what, "at the end, %s", how);
    worst[0] =
        fmax(worst[0], mls_values_states(r, what, whole->last, exact ? 0.0 : 1e-5));
    if (r->flags & MLS_TRAIN) {
        snprintf(what, sizeof what, "summed over the sequence %s", how);
        worst[1] = fmax(worst[1], mls_values_grads(r, what, whole->grad, 1e-4));
        mls_values_restore(r, got.grad0);
        snprintf(what, sizeof what, "its gradient at the start, %s", how);
        worst[1] = fmax(worst[1], mls_values_states(r, what, whole->grad0, 1e-4));
    }
    mls_arena_release(&r->p->arena, mark);
}

static void cuts(mls_rig *r, double worst[2])
{
    float *weight = mls_values_keep(r->p, r->weight, r->out_steps * r->B * r->out);
    for (int mask = 0; mask < 2; mask++) {
        memcpy(r->weight, weight,
               (size_t)(r->out_steps * r->B * r->out) * sizeof *weight);
        blank(r, r->weight, mask);
        const run_of whole = run_cut(r, (cut){.first = r->T}, mask);
        compare(r, (cut){.each = 1}, mask, &whole, worst);
        compare(r, (cut){.each = 3}, mask, &whole, worst);
        for (int64_t k = 1; k < r->T; k++)
            compare(r, (cut){.first = k}, mask, &whole, worst);
    }
}

static void streams_under(mls_probe *p, unsigned flags)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    double worst[2] = {0.0, 0.0};
    int seen = 0;
    for (int i = 0; i < n; i++) {
        if (!(v[i].promises & MLS_STREAMS)) continue;
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, flags, p->seed);
        if (flags & MLS_TRAIN) mls_run_track(r.run, 1);
        cuts(&r, worst);
        mls_rig_close(&r);
        seen++;
    }
    if (!seen) mls_probe_skip(p, "it does not promise to stream");
    if (flags & MLS_TRAIN)
        mls_probe_note(p, "largest error %.1e of outputs and states, %.1e of gradients",
                       worst[0], worst[1]);
}

static void streams(mls_probe *p) { streams_under(p, MLS_SMOOTH | MLS_TRAIN); }
static void streams_exact(mls_probe *p) { streams_under(p, MLS_EXACT); }

/* ---- Lengths --------------------------------------------------------------------- */

static void one_step(mls_rig *r, int64_t t, const char *what)
{
    mls_batch b = mls_rig_piece(r, t, 1);
    mls_probe_finite(r->p, r->v, what, mls_rig_forward(r, &b), r->B * r->out, r->B,
                     r->out);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(r->run, i, &value, &width, NULL);
        mls_probe_finite(r->p, r->v, name, value, r->B * width, r->B, width);
    }
}

static void length_one(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        mls_rig r;
        int64_t count;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, 0, p->seed);
        /* what streams goes on past the length it was built for */
        const int64_t steps = v[i].promises & MLS_STREAMS ? 3 * r.T : r.T;
        for (int64_t t = 0; t < steps; t++)
            one_step(&r, t % r.T, "output of a single step");
        mls_rig_close(&r);
        mls_rig_open(&r, p, &v[i], (mls_rig_size){.T = 1, .B = 1}, MLS_TRAIN, p->seed);
        one_step(&r, 0, "output of a sequence of one step");
        mls_rig_fresh(&r, NULL);
        mls_rig_backward(&r);
        mls_net_data(r.net, &count);
        mls_probe_finite(p, &v[i], "gradients of a sequence of one step",
                         mls_net_grad(r.net), count, 1, count);
        mls_rig_close(&r);
    }
}

/* ---- Step lengths ---------------------------------------------------------------- */

static void alone_with_dt(mls_rig *r, double *worst)
{
    int64_t count, states;
    float *y = mls_values_output(r, NULL, &count), *last = mls_rig_states(r, &states);
    float *part = mls_values_room(r->p, count, sizeof *part);
    float *state = mls_values_room(r->p, states, sizeof *state);
    for (int64_t b = 0; b < r->B; b++) {
        mls_rig one;
        char what[96];
        mls_rig_open(&one, r->p, r->v, (mls_rig_size){r->T, 1, 0}, r->flags,
                     r->p->seed);
        mls_values_sample(&one, r, b, NULL);
        mls_values_pick(part, y, NULL, r->out_steps, r->B, r->out, b);
        snprintf(what, sizeof what, "output of sample %lld alone with its own dt",
                 (long long)b);
        *worst =
            fmax(*worst, mls_probe_near(r->p, r->v, what, mls_rig_fresh(&one, NULL),
                                        part, r->out_steps * r->out, 1, r->out, 1e-5));
        mls_values_pick_states(r, state, last, b);
        snprintf(what, sizeof what, "of sample %lld alone with its own dt",
                 (long long)b);
        *worst = fmax(*worst, mls_values_states(&one, what, state, 1e-5));
        mls_rig_close(&one);
    }
}

/* Not to the bit: without dt a component may join what is else multiplied by it. */
static void no_dt_is_one(mls_rig *r, double *worst)
{
    int64_t count, states;
    mls_batch b = r->batch;
    b.dt = NULL;
    const float *y = mls_values_output(r, &b, &count),
                *last = mls_rig_states(r, &states);
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, r->weight);
    const float *grad = mls_values_grad(r, NULL);
    float *ones = mls_values_room(r->p, r->T * r->B, sizeof *ones);
    for (int64_t i = 0; i < r->T * r->B; i++) ones[i] = 1.0f;
    b.dt = ones;
    *worst = fmax(*worst,
                  mls_probe_near(r->p, r->v, "output with dt = 1, against none",
                                 mls_rig_fresh(r, &b), y, count, r->B, r->out, 1e-5));
    *worst =
        fmax(*worst, mls_values_states(r, "with dt = 1, against none", last, 1e-5));
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, r->weight);
    *worst = fmax(*worst, mls_values_grads(r, "with dt = 1, against none", grad, 1e-4));
}

/* Whether states stay where no time passes is the model's affair: said, not judged. */
static int stands_still(mls_rig *r)
{
    int64_t n;
    mls_batch b = mls_rig_piece(r, 0, r->T - 1), last = mls_rig_piece(r, r->T - 1, 1);
    float *zero = mls_values_room(r->p, r->B, sizeof *zero);
    mls_rig_fresh(r, &b);
    const float *before = mls_rig_states(r, &n);
    last.dt = zero;
    mls_rig_forward(r, &last);
    return n && !memcmp(before, mls_rig_states(r, &n), (size_t)n * sizeof *before);
}

static void per_sample_dt(mls_probe *p)
{
    const mls_variant *v;
    double worst = 0.0;
    int still = 0, stateful = 0;
    if (!mls_values_port(p, "dt")) mls_probe_skip(p, "it has no port dt");
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_SMOOTH | MLS_TRAIN, p->seed);
        alone_with_dt(&r, &worst);
        no_dt_is_one(&r, &worst);
        stateful += mls_run_states(r.run) > 0;
        still += stands_still(&r);
        mls_rig_close(&r);
    }
    mls_probe_note(p, "largest error %.1e", worst);
    if (stateful)
        mls_probe_note(p, "with dt = 0 the states stand still in %d of %d variants",
                       still, stateful);
}

const mls_case mls_cases_time[] = {
    {"causal", "An output, and its gradient, never depends on a later input",
     MLS_NETWORK_KINDS, 20, causal},
    {"streams",
     "A sequence in pieces gives the whole one's outputs, states and gradients",
     MLS_NETWORK_KINDS, 20, streams},
    {"streams-exact",
     "Under --exact, a sequence in pieces gives the bits of the whole one",
     MLS_NETWORK_KINDS, 20, streams_exact},
    {"length-one", "A sequence may have one step, from any state", MLS_NETWORK_KINDS,
     10, length_one},
    {"per-sample-dt",
     "Samples with step lengths of their own do not disturb each other",
     MLS_NETWORK_KINDS, 10, per_sample_dt},
    {0}};
