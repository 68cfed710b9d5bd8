/* slopes.c - cases about gradients: they are the slopes that differences measure, of
 * weights, inputs and states; they add; and none is nought.
 */
#include "validate/rewire.h"
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Settings under which differences can tell ------------------------------------- */

/* A choice with a kink: the slope jumps within the step of a difference. */
static int kinked(const char *choice) { return strstr(choice, "relu") || !strncmp(choice, "hard", 4); }

/* v with every option detach* off (it is meant to differ from differences) and a slope of
 * 2 (a steep surrogate bends too much within their step).  NULL: nothing to measure.     */
static const mls_variant *comparable(mls_probe *p, const mls_variant *v)
{
    const mls_option *o;
    mls_arena *a = &p->arena;
    mls_variant *w = mls_values_room(p, 1, sizeof *w);
    *w = *v;
    w->set = v->set ? mls_value_copy(a, v->set) : mls_value_map(a);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        const mls_value *x = mls_value_get(w->set, o->name);
        if (o->type == MLS_CHOICE && x && x->kind == MLS_V_STRING && kinked(x->string)) return NULL;
        if (o->type == MLS_BOOL && !strncmp(o->name, "detach", 6))
            mls_value_set(a, w->set, o->name, mls_value_bool(a, 0));
        else if (!strcmp(o->name, "slope") && (o->type == MLS_REAL || o->type == MLS_INT)
                 && (o->min == o->max || (o->min <= 2.0 && o->max >= 2.0)))
            mls_value_set(a, w->set, o->name, mls_value_int(a, 2));
    }
    return w;
}

/* ---- Differences ----------------------------------------------------------------- */

/* What is measured: sum(weight output), and with states also sum(seed final state), from
 * given initial states.                                                                  */
typedef struct measure {
    mls_rig *r;
    float   *start, *seed;       /* [state][B][width]; NULL: reset states, no seed         */
} measure;

static double value_of(const measure *m)
{
    mls_rig *r = m->r;
    int64_t states;
    double sum = 0.0;
    if (!m->start) return mls_rig_objective(r);
    const mls_mark mark = mls_arena_mark(&r->p->arena);
    mls_values_restore(r, m->start);
    const float *y = mls_rig_forward(r, NULL);
    for (int64_t i = 0; i < r->out_steps * r->B * r->out; i++)
        sum += (double)y[i] * (double)r->weight[i];
    const float *last = mls_rig_states(r, &states);
    for (int64_t i = 0; i < states; i++) sum += (double)last[i] * (double)m->seed[i];
    mls_arena_release(&r->p->arena, mark);
    return sum;
}

/* Of x[n] along d[n], by four points: exact up to the fifth derivative. */
static double slope(const measure *m, float *x, const float *d, int64_t n, double h)
{
    const mls_mark mark = mls_arena_mark(&m->r->p->arena);
    const float *keep = mls_values_keep(m->r->p, x, n);
    double f[4];
    for (int i = 0; i < 4; i++) {
        const double by = h * (i < 2 ? i - 2 : i - 1);
        for (int64_t k = 0; k < n; k++) x[k] = (float)((double)keep[k] + by * (double)d[k]);
        f[i] = value_of(m);
    }
    memcpy(x, keep, (size_t)n * sizeof *x);
    mls_arena_release(&m->r->p->arena, mark);
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * h);
}

/* By a wide step, which drowns rounding, or by a narrower one, where a derivative of the
 * function jumps.  Returns 1 when one of them agrees; *got: the last that was measured.  */
static int agrees(const measure *m, float *x, const float *d, int64_t n, double want,
                  double limit, double *got)
{
    static const double step[] = { 1.0 / 64, 1.0 / 256, 1.0 / 1024 };
    for (int i = 0; i < 3; i++) {
        *got = slope(m, x, d, n, step[i]);
        if (fabs(*got - want) <= limit) return 1;
    }
    return 0;
}

/* ---- One array against its gradient ------------------------------------------------ */

enum { ELEMENTS = 5 };

typedef struct array {
    const char  *what;           /* "layer0.n.w"                                          */
    float       *x;
    const float *grad;           /* NULL: nought                                          */
    int64_t      rows, cols;
    const char  *skip;           /* [n] 1: not measured; or NULL                          */
} array;

static int element(const measure *m, const array *a, int64_t k, double top, char *why, size_t room)
{
    static const float one = 1.0f;
    const double g = a->grad ? (double)a->grad[k] : 0.0;
    double d = 0.0;
    if (a->skip && a->skip[k]) return 0;
    if (agrees(m, a->x + k, &one, 1, g, 2e-3 * fmax(top, 0.1), &d)) return 0;
    snprintf(why, room, "gradient of %s[%lld][%lld] is %g by backward, %g by differences (largest "
             "of it %g)", a->what, (long long)(k / a->cols), (long long)(k % a->cols), g, d, top);
    return 1;
}

/* Some elements one by one, the rest along a direction; when that disagrees, the element
 * that is to blame.  Returns 1 and why.                                                  */
static int differs(const measure *m, const array *a, uint64_t seed, char *why, size_t room)
{
    mls_probe *p = m->r->p;
    const int64_t n = a->rows * a->cols;
    double top = 0.0, want = 0.0, length = 0.0, got;
    for (int64_t k = 0; a->grad && k < n; k++) {
        if (!isfinite(a->grad[k]))
            mls_probe_fail(p, "%s: gradient of %s[%lld][%lld] is %g", m->r->v->title, a->what,
                           (long long)(k / a->cols), (long long)(k % a->cols), (double)a->grad[k]);
        top = fmax(top, fabs((double)a->grad[k]));
    }
    for (int64_t i = 0; i < ELEMENTS && i < n; i++) {
        const int64_t k = n <= ELEMENTS ? i : (i * n / ELEMENTS + (int64_t)(seed % 7)) % n;
        if (element(m, a, k, top, why, room)) return 1;
    }
    if (n <= ELEMENTS) return 0;
    const mls_mark mark = mls_arena_mark(&p->arena);
    float *d = mls_values_room(p, n, sizeof *d);
    for (int64_t k = 0; k < n; k++) {
        d[k] = a->skip && a->skip[k] ? 0.0f : mls_probe_noise(seed + 3, (uint64_t)k);
        length += (double)d[k] * (double)d[k];
    }
    for (int64_t k = 0; k < n; k++) {
        d[k] = (float)((double)d[k] / sqrt(fmax(length, 1e-30)));
        want += (double)d[k] * (a->grad ? (double)a->grad[k] : 0.0);
    }
    int bad = !agrees(m, a->x, d, n, want, 2e-3 * fmax(top, 0.1), &got);
    mls_arena_release(&p->arena, mark);
    if (!bad) return 0;
    for (int64_t k = 0; k < n; k++)
        if (element(m, a, k, top, why, room)) return 1;
    snprintf(why, room, "gradient of %s [%lld][%lld] along a direction is %g by backward, %g by "
             "differences (largest of it %g)", a->what, (long long)a->rows, (long long)a->cols,
             want, got, top);
    return 1;
}

/* Chance may put a kink within every step: an array is wrong when it is with two of three
 * seeds, each with weights and inputs of its own.                                        */
typedef struct votes {
    mls_probe *p;
    const mls_variant *v;
    int  *against, mask;
    char  why[800];
} votes;

enum { SEEDS = 3, MOST = 4096 };

static void verdict(votes *s, int i)
{
    if (++s->against[i] >= 2) mls_probe_fail(s->p, "%s: %s", s->v->title, s->why);
}

/* A rig fills its inputs from the probe's seed. */
static void open_attempt(mls_rig *r, mls_probe *p, const mls_variant *v, int64_t T, int64_t B,
                         unsigned flags, uint64_t seed)
{
    const uint64_t own = p->seed;
    p->seed = seed;
    mls_rig_open(r, p, v, (mls_rig_size){ .T = T, .B = B }, flags, seed);
    p->seed = own;
}

/* ---- Weights and inputs ------------------------------------------------------------ */

/* The input: a weight of the projection that stands for the identity carries the gradient
 * of feature and step alike.                                                             */
static int weights(votes *s, int attempt)
{
    mls_rig r;
    int again = 0;
    open_attempt(&r, s->p, s->v, 7, 2, MLS_SMOOTH | MLS_TRAIN, s->p->seed + (uint64_t)attempt);
    if (s->mask) r.batch.mask = r.mask;
    mls_rig_backward(&r);
    int64_t count;
    const float *grad = mls_values_grad(&r, &count);
    const measure m = { &r, NULL, NULL };
    for (int i = 0; i < mls_net_weights(r.net) && i < MOST; i++) {
        const mls_weight *w = mls_net_weight(r.net, i);
        if ((w->flags & MLS_FROZEN) || (attempt && !s->against[i])) continue;
        const array a = { w->name, w->data, grad + (w->grad - mls_net_grad(r.net)), w->rows, w->cols,
                          NULL };
        if (!differs(&m, &a, s->p->seed + (uint64_t)attempt, s->why, sizeof s->why)) continue;
        verdict(s, i);
        again = 1;
    }
    mls_rig_close(&r);
    return again;
}

static void gradients(mls_probe *p)
{
    const mls_variant *list;
    const int n = mls_probe_variants(p, &list);
    int seen = 0;
    for (int i = 0; i < n; i++) {
        const mls_variant *v = comparable(p, &list[i]);
        if (!v) continue;
        seen++;
        for (int mask = 0; mask < (i ? 1 : 2); mask++) {
            const mls_mark mark = mls_arena_mark(&p->arena);
            votes s = { .p = p, .v = v, .mask = mask,
                        .against = mls_values_room(p, MOST, sizeof(int)) };
            for (int k = 0; k < SEEDS; k++)
                if (!weights(&s, k)) break;
            mls_arena_release(&p->arena, mark);
        }
    }
    if (!seen) mls_probe_skip(p, "every setting of it has a kink, across which differences tell nothing");
}

/* ---- States ------------------------------------------------------------------------ */

/* A state that a forward left.  Whole numbers are counts, or were never written: a step
 * aside from one has no meaning.                                                         */
static char *whole(mls_probe *p, const float *x, int64_t n)
{
    char *skip = mls_values_room(p, n, 1);
    for (int64_t i = 0; i < n; i++) skip[i] = x[i] == rintf(x[i]);
    return skip;
}

static float *state_grads(measure *m, int64_t states)
{
    mls_rig *r = m->r;
    float *g = mls_values_room(r->p, states, sizeof *g), *at = g;
    const float *seed = m->seed;
    mls_run_track(r->run, 1);
    mls_values_restore(r, m->start);
    mls_rig_forward(r, NULL);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        int64_t width;
        mls_run_state(r->run, i, NULL, &width, NULL);
        mls_run_seed_state(r->run, i, seed);
        seed += r->B * width;
    }
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, r->weight);
    for (int i = 0; i < mls_run_states(r->run); i++) {
        int64_t width;
        mls_run_state(r->run, i, NULL, &width, NULL);
        const float *got = mls_run_state_grad(r->run, i);
        if (got) memcpy(at, got, (size_t)(r->B * width) * sizeof *at);
        at += r->B * width;
        mls_run_seed_state(r->run, i, NULL);
    }
    mls_run_track(r->run, 0);
    return g;
}

static int states_of(votes *s, int attempt, int *measured)
{
    mls_rig r;
    int64_t states, at = 0;
    int again = 0;
    const uint64_t seed = s->p->seed + (uint64_t)attempt;
    open_attempt(&r, s->p, s->v, 7, 2, MLS_SMOOTH | MLS_TRAIN, seed);
    if (s->mask) r.batch.mask = r.mask;
    mls_rig_fresh(&r, NULL);
    measure m = { &r, mls_rig_states(&r, &states), NULL };
    m.seed = mls_values_room(s->p, states, sizeof *m.seed);
    for (int64_t i = 0; i < states; i++) m.seed[i] = mls_probe_noise(seed + 5, (uint64_t)i);
    const char *skip = whole(s->p, m.start, states);
    const float *grad = state_grads(&m, states);
    for (int i = 0; i < mls_run_states(r.run) && i < MOST; i++) {
        int64_t width;
        char what[200];
        const char *name = mls_run_state(r.run, i, NULL, &width, NULL);
        snprintf(what, sizeof what, "initial state %s", name);
        const array a = { what, m.start + at, grad + at, r.B, width, skip + at };
        at += r.B * width;
        if (attempt && !s->against[i]) continue;
        for (int64_t k = 0; k < a.rows * a.cols; k++) *measured += !a.skip[k];
        if (!differs(&m, &a, seed, s->why, sizeof s->why)) continue;
        verdict(s, i);
        again = 1;
    }
    mls_rig_close(&r);
    return again;
}

static void state_gradients(mls_probe *p)
{
    const mls_variant *list;
    const int n = mls_probe_variants(p, &list);
    int measured = 0;
    for (int i = 0; i < n; i++) {
        const mls_variant *v = comparable(p, &list[i]);
        if (!v) continue;
        const mls_mark mark = mls_arena_mark(&p->arena);
        votes s = { .p = p, .v = v, .mask = i == 1,
                    .against = mls_values_room(p, MOST, sizeof(int)) };
        for (int k = 0; k < SEEDS; k++)
            if (!states_of(&s, k, &measured)) break;
        mls_arena_release(&p->arena, mark);
    }
    if (!measured) mls_probe_skip(p, "it has no state with a slope");
}

/* ---- Adding ------------------------------------------------------------------------ */

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

static void gradients_accumulate(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){ 0 }, MLS_TRAIN, p->seed);
        twice(&r);
        mls_rewire_shared(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Alive ------------------------------------------------------------------------- */

/* Marks the component's own weights that got a gradient; returns how many did not yet. */
static int look(mls_rig *r, char *alive, const char **dead)
{
    const char *node = mls_rewire_node(r);
    int left = 0;
    for (int i = 0; i < mls_net_weights(r->net) && i < MOST; i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        if (strcmp(w->node, node) || (w->flags & MLS_FROZEN)) continue;
        for (int64_t k = 0; k < w->rows * w->cols && !alive[i]; k++) alive[i] = w->grad[k] != 0.0f;
        if (alive[i]) continue;
        left++;
        *dead = mls_arena_strdup(&r->p->arena, w->name);
    }
    return left;
}

static void parameters_alive(mls_probe *p)
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
            open_attempt(&r, p, &v[i], 12, 0, MLS_TRAIN, p->seed + (uint64_t)k);
            for (int64_t j = 0; k > 3 && j < r.T * r.B * r.in; j++) r.x[j] *= 3.0f;
            mls_rig_backward(&r);
            left = look(&r, alive, &dead);
            mls_rig_close(&r);
        }
        if (left)
            mls_probe_fail(p, "%s: no element of %s gets a gradient, with 8 seeds: it would never "
                           "learn; use it, leave it out, or make it MLS_FROZEN", v[i].title, dead);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Surrogates -------------------------------------------------------------------- */

/* From the same states and within one step, what a spike neuron reads does not depend on
 * how its spike is made.  So one step has the same gradient with the step function and with
 * the surrogate's primitive, unless spikes feed more neurons within the step.            */
static void surrogate_of(mls_rig *hard, mls_rig *smooth)
{
    int64_t states, count;
    mls_rig_fresh(hard, NULL);
    const float *start = mls_rig_states(hard, &states);
    mls_batch b = mls_rig_piece(hard, hard->T - 1, 1);
    mls_rig *of[] = { hard, smooth };
    const float *g[2];
    double top = 0.0;
    for (int i = 0; i < 2; i++) {
        mls_values_restore(of[i], start);
        mls_rig_forward(of[i], &b);
        mls_net_zero_grad(of[i]->net);
        mls_run_backward_from(of[i]->run, hard->weight);
        g[i] = mls_values_grad(of[i], &count);
    }
    for (int64_t k = 0; k < count; k++) {
        if (!isfinite(g[0][k]))
            mls_probe_fail(hard->p, "%s: a gradient through the step is %g", hard->v->title,
                           (double)g[0][k]);
        top = fmax(top, fabs((double)g[0][k]));
    }
    if (!(top > 0.0))
        mls_probe_fail(hard->p, "%s: no gradient comes through the spikes: backward needs a "
                       "surrogate", hard->v->title);
    for (int i = 0; i < mls_net_weights(hard->net); i++) {
        const mls_weight *w = mls_net_weight(hard->net, i);
        const int64_t from = w->grad - mls_net_grad(hard->net);
        for (int64_t k = 0; k < w->rows * w->cols; k++) {
            const double x = (double)g[0][from + k], y = (double)g[1][from + k];
            if (fabs(x - y) <= 1e-4 * fmax(1.0, top)) continue;
            mls_probe_warn(hard->p, "%s: within one step the gradient of %s[%lld][%lld] is %g, but %g "
                           "with MLS_SMOOTH, which alone is checked by differences", hard->v->title,
                           w->name, (long long)(k / w->cols), (long long)(k % w->cols), x, y);
            return;
        }
    }
}

static void spike_surrogate(mls_probe *p)
{
    const mls_variant *v;
    const mls_port *port = NULL, *out;
    for (int i = 0; !port && (out = mls_plug_port(p->registry, p->c, i)); i++)
        if (out->flags & MLS_OUT) port = out;
    if (!port || !(port->flags & MLS_SPIKES)) mls_probe_skip(p, "its first output is no port of spikes");
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig hard, smooth;
        mls_rig_open(&hard, p, &v[i], (mls_rig_size){ 0 }, MLS_TRAIN, p->seed);
        mls_rig_open(&smooth, p, &v[i], (mls_rig_size){ 0 }, MLS_TRAIN | MLS_SMOOTH, p->seed);
        surrogate_of(&hard, &smooth);
        mls_rig_close(&hard);
        mls_rig_close(&smooth);
        mls_arena_release(&p->arena, mark);
    }
}

const mls_case mls_cases_slopes[] = {
    { "gradients", "Gradients of weights and inputs are the slopes that differences measure",
      MLS_NETWORK_KINDS, 60, gradients },
    { "state-gradients", "Gradients of initial states are slopes, also from the final states",
      MLS_NETWORK_KINDS, 60, state_gradients },
    { "gradients-accumulate", "Backward adds to gradients and overwrites none", MLS_NETWORK_KINDS, 20,
      gradients_accumulate },
    { "parameters-alive", "Every weight that is not frozen gets a gradient", MLS_NETWORK_KINDS, 20,
      parameters_alive },
    { "spike-surrogate", "Through spikes comes the gradient that smooth mode checks",
      MLS_NETWORK_KINDS, 20, spike_surrogate },
    { 0 }
};
