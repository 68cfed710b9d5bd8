/* slopes.c - cases about gradients: they are the slopes that differences measure, of
 * weights, inputs and states.
 */
#include "validate/slopes.h"
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Settings under which differences can tell -------------------------------------
 */

/* A choice with a kink: the slope jumps within the step of a difference. */
static int kinked(const char *choice)
{
    return strstr(choice, "relu") || !strncmp(choice, "hard", 4);
}

/* v with every option detach* off (it is meant to differ from differences) and a slope
 * of 2 (a steep surrogate bends too much within their step).  NULL: nothing to measure.
 */
static const mls_variant *comparable(mls_probe *p, const mls_variant *v)
{
    const mls_option *o;
    mls_arena *a = &p->arena;
    mls_variant *w = mls_values_room(p, 1, sizeof *w);
    *w = *v;
    w->set = v->set ? mls_value_copy(a, v->set) : mls_value_map(a);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        const mls_value *x = mls_value_get(w->set, o->name);
        if (o->type == MLS_CHOICE && x && x->kind == MLS_V_STRING && kinked(x->string))
            return NULL;
        if (o->type == MLS_BOOL && !strncmp(o->name, "detach", 6))
            mls_value_set(a, w->set, o->name, mls_value_bool(a, 0));
        else if (!strcmp(o->name, "slope") &&
                 (o->type == MLS_REAL || o->type == MLS_INT) &&
                 (o->min == o->max || (o->min <= 2.0 && o->max >= 2.0)))
            mls_value_set(a, w->set, o->name, mls_value_int(a, 2));
    }
    return w;
}

/* ---- Differences ----------------------------------------------------------------- */

/* What is measured: sum(weight output), and with states also sum(seed final state),
 * from given initial states. */
typedef struct measure {
    mls_rig *r;
    float *start, *seed; /* [state][B][width]; NULL: reset states, no seed         */
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
        for (int64_t k = 0; k < n; k++)
            x[k] = (float)((double)keep[k] + by * (double)d[k]);
        f[i] = value_of(m);
    }
    memcpy(x, keep, (size_t)n * sizeof *x);
    mls_arena_release(&m->r->p->arena, mark);
    return (f[0] - 8.0 * f[1] + 8.0 * f[2] - f[3]) / (12.0 * h);
}

/* By a wide step, which drowns rounding, or by a narrower one, where a derivative of
 * the function jumps.  Returns 1 when one of them agrees; *got: the last that was
 * measured.  */
static int agrees(const measure *m, float *x, const float *d, int64_t n, double want,
                  double limit, double *got)
{
    static const double step[] = {1.0 / 64, 1.0 / 256, 1.0 / 1024};
    for (int i = 0; i < 3; i++) {
        *got = slope(m, x, d, n, step[i]);
        if (fabs(*got - want) <= limit + 1e-6 / step[i]) return 1;
    }
    return 0;
}

/* ---- One array against its gradient ------------------------------------------------
 */

enum { ELEMENTS = 24 };

typedef struct array {
    const char *what; /* "layer0.n.w"                                          */
    float *x;
    const float *grad; /* NULL: nought                                          */
    int64_t rows, cols;
    const char *skip; /* [n] 1: not measured; or NULL                          */
} array;

/* What rounding and curvature may leave: of the gradient, or of the largest of its
 * array. */
static double limit_of(double g, double top)
{
    return 2e-3 * fmax(fmax(fabs(g), 0.25 * top), 0.1);
}

static int element(const measure *m, const array *a, int64_t k, double top, char *why,
                   size_t room)
{
    static const float one = 1.0f;
    const double g = a->grad ? (double)a->grad[k] : 0.0;
    double d = 0.0;
    if (a->skip && a->skip[k]) return 0;
    if (agrees(m, a->x + k, &one, 1, g, limit_of(g, top), &d)) return 0;
    snprintf(why, room,
             "gradient of %s[%lld][%lld] is %g by backward, %g by differences (largest "
             "of it %g)",
             a->what, (long long)(k / a->cols), (long long)(k % a->cols), g, d, top);
    return 1;
}

/* Along a direction in which every element takes part.  Returns 1 and why if it
 * differs. */
static int direction(const measure *m, const array *a, uint64_t seed, double top,
                     char *why, size_t room)
{
    mls_probe *p = m->r->p;
    const int64_t n = a->rows * a->cols;
    const mls_mark mark = mls_arena_mark(&p->arena);
    float *d = mls_values_room(p, n, sizeof *d);
    double want = 0.0, length = 0.0, got;
    for (int64_t k = 0; k < n; k++) {
        d[k] = a->skip && a->skip[k] ? 0.0f : mls_probe_noise(seed + 3, (uint64_t)k);
        length += (double)d[k] * (double)d[k];
    }
    for (int64_t k = 0; k < n; k++) {
        d[k] = (float)((double)d[k] / sqrt(fmax(length, 1e-30)));
        want += (double)d[k] * (a->grad ? (double)a->grad[k] : 0.0);
    }
    const int same = agrees(m, a->x, d, n, want, limit_of(want, top), &got);
    mls_arena_release(&p->arena, mark);
    if (!same)
        snprintf(why, room,
                 "gradient of %s [%lld][%lld] along a direction is %g by backward, %g "
                 "by differences (largest of it %g)",
                 a->what, (long long)a->rows, (long long)a->cols, want, got, top);
    return !same;
}

static double largest(mls_rig *r, const array *a)
{
    double top = 0.0;
    for (int64_t k = 0; a->grad && k < a->rows * a->cols; k++) {
        if (!isfinite(a->grad[k]))
            mls_probe_fail(r->p, "%s: gradient of %s[%lld][%lld] is %g", r->v->title,
                           a->what, (long long)(k / a->cols), (long long)(k % a->cols),
                           (double)a->grad[k]);
        top = fmax(top, fabs((double)a->grad[k]));
    }
    return top;
}

/* ---- Suspects -------------------------------------------------------------------- */

/* Chance may put a kink within every step.  An element that differs is asked again with
 * other weights and inputs, and is wrong when it differs with all of them. */
enum { SEEDS = 3, MANY = 64, ALONG = -1 };

typedef struct suspect {
    int array;
    int64_t k;
} suspect; /* k: element, or ALONG     */

typedef struct trial {
    mls_probe *p;
    const mls_variant *v;
    int mask, attempt, n;
    uint64_t seed;
    suspect list[MANY];
    char why[800];
} trial;

static void suspected(trial *s, int i, int64_t k)
{
    if (s->n < MANY) s->list[s->n++] = (suspect){i, k};
}

/* Some elements one by one, the rest along a direction; when only that disagrees, the
 * elements that are to blame. */
static void search(trial *s, const measure *m, const array *a, int i)
{
    const int64_t n = a->rows * a->cols;
    const double top = largest(m->r, a);
    const int before = s->n;
    for (int64_t j = 0; j < ELEMENTS && j < n; j++) {
        const int64_t k =
            n <= ELEMENTS ? j : (j * n / ELEMENTS + (int64_t)(s->seed % 7)) % n;
        if (element(m, a, k, top, s->why, sizeof s->why)) suspected(s, i, k);
    }
    if (n <= ELEMENTS || s->n > before) return;
    if (!direction(m, a, s->seed, top, s->why, sizeof s->why)) return;
    for (int64_t k = 0; k < n; k++)
        if (element(m, a, k, top, s->why, sizeof s->why)) suspected(s, i, k);
    if (s->n == before) suspected(s, i, ALONG);
}

static void ask_again(trial *s, const measure *m, const array *a, int i)
{
    const double top = largest(m->r, a);
    int left = 0;
    for (int j = 0; j < s->n; j++) {
        const suspect x = s->list[j];
        if (x.array != i ||
            (x.k == ALONG ? direction(m, a, s->seed, top, s->why, sizeof s->why)
                          : element(m, a, x.k, top, s->why, sizeof s->why)))
            s->list[left++] = x;
    }
    s->n = left;
}

static void compare(trial *s, const measure *m, const array *a, int i)
{
    if (s->attempt)
        ask_again(s, m, a, i);
    else
        search(s, m, a, i);
}

/* once: opens a rig for s->attempt and compares its arrays. */
static void judge(mls_probe *p, const mls_variant *v, int mask, void (*once)(trial *s))
{
    const mls_mark mark = mls_arena_mark(&p->arena);
    trial s = {.p = p, .v = v, .mask = mask};
    for (; s.attempt < SEEDS && (!s.attempt || s.n); s.attempt++) {
        s.seed = p->seed + (uint64_t)s.attempt;
        once(&s);
    }
    if (s.n) mls_probe_fail(p, "%s: %s", v->title, s.why);
    mls_arena_release(&p->arena, mark);
}

/* ---- Weights and inputs ------------------------------------------------------------
 */

/* The input: a weight of the projection that stands for the identity carries the
 * gradient of feature and step alike. */
static void weights_once(trial *s)
{
    mls_rig r;
    int64_t count;
    mls_slopes_open(&r, s->p, s->v, 7, 2, MLS_SMOOTH | MLS_TRAIN, s->seed);
    if (s->mask) r.batch.mask = r.mask;
    mls_rig_backward(&r);
    const float *grad = mls_values_grad(&r, &count);
    const measure m = {&r, NULL, NULL};
    for (int i = 0; i < mls_net_weights(r.net); i++) {
        const mls_weight *w = mls_net_weight(r.net, i);
        if (w->flags & MLS_FROZEN) continue;
        const array a = {w->name, w->data, grad + (w->grad - mls_net_grad(r.net)),
                         w->rows, w->cols, NULL};
        compare(s, &m, &a, i);
    }
    mls_rig_close(&r);
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
        judge(p, v, 0, weights_once);
        if (i == 0) judge(p, v, 1, weights_once);
    }
    if (!seen)
        mls_probe_skip(
            p, "every setting of it has a kink, across which differences tell nothing");
}

/* ---- States ------------------------------------------------------------------------
 */

/* A state that a forward left.  Whole numbers are counts, or were never written: a step
 * aside from one has no meaning. */
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

static void states_once(trial *s)
{
    mls_rig r;
    int64_t states, at = 0;
    mls_slopes_open(&r, s->p, s->v, 7, 2, MLS_SMOOTH | MLS_TRAIN, s->seed);
    if (s->mask) r.batch.mask = r.mask;
    mls_rig_fresh(&r, NULL);
    measure m = {&r, mls_rig_states(&r, &states), NULL};
    m.seed = mls_values_room(s->p, states, sizeof *m.seed);
    for (int64_t i = 0; i < states; i++)
        m.seed[i] = mls_probe_noise(s->seed + 5, (uint64_t)i);
    const char *skip = whole(s->p, m.start, states);
    const float *grad = state_grads(&m, states);
    for (int i = 0; i < mls_run_states(r.run); i++) {
        int64_t width;
        char what[200];
        const char *name = mls_run_state(r.run, i, NULL, &width, NULL);
        snprintf(what, sizeof what, "initial state %s", name);
        const array a = {what, m.start + at, grad + at, r.B, width, skip + at};
        compare(s, &m, &a, i);
        at += r.B * width;
    }
    mls_rig_close(&r);
}

/* Is there a state with a value that is no whole number? */
static int has_slopes(mls_probe *p, const mls_variant *v)
{
    mls_rig r;
    int64_t states, found = 0;
    mls_rig_open(&r, p, v, (mls_rig_size){0}, MLS_SMOOTH, p->seed);
    mls_rig_fresh(&r, NULL);
    const float *x = mls_rig_states(&r, &states);
    const char *skip = whole(p, x, states);
    for (int64_t i = 0; i < states; i++) found += !skip[i];
    mls_rig_close(&r);
    return found > 0;
}

static void state_gradients(mls_probe *p)
{
    const mls_variant *list;
    const int n = mls_probe_variants(p, &list);
    int seen = 0;
    for (int i = 0; i < n; i++) {
        const mls_variant *v = comparable(p, &list[i]);
        if (!v || !has_slopes(p, v)) continue;
        seen++;
        judge(p, v, 0, states_once);
        if (i == 0) judge(p, v, 1, states_once);
    }
    if (!seen) mls_probe_skip(p, "it has no state with a slope");
}

const mls_case mls_cases_slopes[] = {
    {"gradients",
     "Gradients of weights and inputs are the slopes that differences measure",
     MLS_NETWORK_KINDS, 60, gradients},
    {"state-gradients",
     "Gradients of initial states are slopes, also from the final states",
     MLS_NETWORK_KINDS, 60, state_gradients},
    {"gradients-accumulate", "Backward adds to gradients and overwrites none",
     MLS_NETWORK_KINDS, 20, mls_slopes_accumulate},
    {"parameters-alive", "Every weight that is not frozen gets a gradient",
     MLS_NETWORK_KINDS, 20, mls_slopes_alive},
    {"spike-surrogate", "A finite gradient that is not nought comes through spikes",
     MLS_NETWORK_KINDS, 20, mls_slopes_spikes},
    {0}};
