/* batch.c - cases about what stands beside a sample in its batch: other samples,
 * padding, threads, an earlier run.  None of it may be seen in its outputs, states or
 * gradients.
 */
#include "validate/values.h"

#include "base/parfor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Samples --------------------------------------------------------------------- */

typedef struct result {
    float *y, *last, *grad;
    float *change; /* what waits for the weights beside the gradient: a mean over samples */
    int64_t count, states, weights;
} result;

static result run_all(mls_rig *r, const mls_batch *b)
{
    result out;
    out.y = mls_values_output(r, b, &out.count);
    out.last = mls_rig_states(r, &out.states);
    mls_net_zero_grad(r->net);
    if (r->flags & MLS_TRAIN) mls_run_backward_from(r->run, r->weight);
    out.grad = mls_values_grad(r, &out.weights);
    out.change = mls_values_pending(r);
    return out;
}

/* Sample b of the shuffled batch is sample (b + 1) mod B. */
static void shuffle(float *x, int64_t T, int64_t B, int64_t N, float *spare)
{
    for (int64_t t = 0; t < T; t++, x += B * N) {
        memcpy(spare, x, (size_t)(B * N) * sizeof *x);
        memcpy(x, spare + N, (size_t)((B - 1) * N) * sizeof *x);
        memcpy(x + (B - 1) * N, spare, (size_t)N * sizeof *x);
    }
}

/* `one` holds what b gave alone, or first in another order. */
static void same_sample(mls_rig *r, const result *all, int64_t b, const float *y,
                        const float *last, const char *how, double tol, double *worst)
{
    float *want = mls_values_room(r->p, all->count + all->states, sizeof *want);
    char what[128];
    mls_values_pick(want, all->y, NULL, r->out_steps, r->B, r->out, b);
    snprintf(what, sizeof what, "output of sample %lld %s", (long long)b, how);
    *worst = fmax(*worst, mls_probe_near(r->p, r->v, what, y, want,
                                         r->out_steps * r->out, 1, r->out, tol));
    mls_values_pick_states(r, want, all->last, b);
    snprintf(what, sizeof what, "final states of sample %lld %s", (long long)b, how);
    *worst =
        fmax(*worst, mls_probe_near(r->p, r->v, what, last, want, all->states / r->B, 1,
                                    all->states / r->B ? all->states / r->B : 1, tol));
}

/* Dropout of the host goes by the place: left out of what is random. */
static void open_rig(mls_rig *r, mls_rig *like, mls_rig_size size)
{
    mls_rig_open(r, like->p, like->v, size, like->flags, like->p->seed);
    mls_run_tape(r->run)->steady = (like->p->c->flags & MLS_RANDOM) != 0;
}

static void in_another_order(mls_rig *r, const result *all, double *worst)
{
    mls_rig o;
    open_rig(&o, r, (mls_rig_size){r->T, r->B, 0});
    float *spare = mls_values_room(r->p, r->B * (r->in + r->out), sizeof *spare);
    shuffle(o.x, r->T, r->B, r->in, spare);
    shuffle(o.dt, r->T, r->B, 1, spare);
    shuffle(o.weight, r->out_steps, r->B, r->out, spare);
    for (int64_t b = 0; b < r->B; b++) o.key[b] = r->key[(b + 1) % r->B];
    const result got = run_all(&o, NULL);
    float *y = mls_values_room(r->p, got.count, sizeof *y);
    float *last = mls_values_room(r->p, got.states, sizeof *last);
    for (int64_t b = 0; b < r->B; b++) {
        const int64_t from = (b + r->B - 1) % r->B;
        mls_values_pick(y, got.y, NULL, r->out_steps, r->B, r->out, from);
        mls_values_pick_states(r, last, got.last, from);
        same_sample(r, all, b, y, last, "in a batch of another order", 1e-5, worst);
    }
    const char *how = "of the batch in another order";
    *worst = fmax(*worst, mls_values_grads(&o, how, all->grad, 1e-4));
    *worst = fmax(*worst, mls_values_changes(&o, how, all->change, 1e-4));
    mls_rig_close(&o);
}

static void alone(mls_rig *r, const result *all, double *worst)
{
    float *sum = mls_values_room(r->p, all->weights, sizeof *sum);
    float *change = mls_values_room(r->p, all->weights, sizeof *change);
    for (int64_t b = 0; b < r->B; b++) {
        mls_rig one;
        open_rig(&one, r, (mls_rig_size){r->T, 1, 0});
        mls_values_sample(&one, r, b, NULL);
        const result got = run_all(&one, NULL);
        same_sample(r, all, b, got.y, got.last, "alone, against in its batch", 1e-5,
                    worst);
        for (int64_t k = 0; k < all->weights; k++) {
            sum[k] += got.grad[k];
            change[k] += got.change[k] / (float)r->B;
        }
        mls_rig_close(&one);
    }
    memcpy(mls_net_grad(r->net), sum, (size_t)all->weights * sizeof *sum);
    *worst = fmax(
        *worst, mls_values_grads(r, "summed over the samples alone", all->grad, 1e-4));
    *worst = fmax(*worst, mls_values_changes(r, "against the mean of the samples alone",
                                             change, 1e-4));
}

static void batch_equivariant(mls_probe *p)
{
    const mls_variant *v;
    double worst = 0.0;
    const int n = mls_probe_variants(p, &v), random = (p->c->flags & MLS_RANDOM) != 0;
    for (int i = 0; i < n; i++)
        for (int hard = 0; hard <= random; hard++) { /* smooth, no spike is drawn */
            const unsigned flags = MLS_TRAIN | (hard ? MLS_EXACT : MLS_SMOOTH);
            mls_rig r, like = {.p = p, .v = &v[i], .flags = flags};
            open_rig(&r, &like, (mls_rig_size){.B = 4});
            const result all = run_all(&r, NULL);
            in_another_order(&r, &all, &worst);
            alone(&r, &all, &worst);
            mls_rig_close(&r);
        }
    mls_probe_note(p, "largest error %.1e", worst);
}

/* ---- Padding --------------------------------------------------------------------- */

static void spoil(mls_rig *r, const float *mask, float x, float dt)
{
    for (int64_t i = 0; i < r->T * r->B; i++) {
        if (mask[i] != 0.0f) continue;
        for (int64_t k = 0; k < r->in; k++) r->x[i * r->in + k] = k % 2 ? x : -x;
        r->dt[i] = dt;
    }
}

/* At a padded step an output may be anything finite, and no loss looks at it. */
static void blank(const mls_rig *r, float *y, const float *mask)
{
    for (int64_t i = 0; r->out_steps == r->T && i < r->T * r->B; i++)
        if (mask[i] == 0.0f) memset(y + i * r->out, 0, (size_t)r->out * sizeof *y);
}

static result padded(mls_rig *r, const float *mask, float x, float dt)
{
    mls_batch b = r->batch;
    b.mask = mask;
    spoil(r, mask, x, dt);
    result out = run_all(r, &b);
    mls_probe_finite(r->p, r->v, "output of a padded batch", out.y, out.count, r->B,
                     r->out);
    blank(r, out.y, mask);
    return out;
}

static void unseen(mls_rig *r, const result *a, const float *mask, const char *which)
{
    char what[128];
    const result b = padded(r, mask, 1.0f, 0.5f);
    snprintf(what, sizeof what,
             "output at real steps when only the padding (%s) changed", which);
    mls_probe_same(r->p, r->v, what, b.y, a->y, a->count, r->B, r->out);
    mls_values_restore(r, b.last);
    snprintf(what, sizeof what, "when only the padding (%s) changed", which);
    mls_values_states(r, what, a->last, 0.0);
    mls_values_grads(r, what, a->grad, 0.0);
    mls_values_changes(r, what, a->change, 0.0);
}

/* The final states of sample b, which has no real step at all. */
static void untouched(mls_rig *r, const result *all, int64_t b)
{
    mls_run_reset(r->run);
    int64_t states;
    const float *born = mls_rig_states(r, &states);
    float *want = mls_values_room(r->p, states, sizeof *want);
    float *got = mls_values_room(r->p, states, sizeof *got);
    mls_values_pick_states(r, want, born, b);
    mls_values_pick_states(r, got, all->last, b);
    if (states)
        mls_probe_same(r->p, r->v, "states of a sample that is all padding", got, want,
                       states / r->B, 1, states / r->B);
}

static void ragged(mls_rig *r, const float *mask, const char *which, double *worst)
{
    const result all = padded(r, mask, 50.0f, 7.0f);
    float *want = mls_values_room(r->p, all.count, sizeof *want);
    float *last = mls_values_room(r->p, all.states, sizeof *last);
    float *sum = mls_values_room(r->p, all.weights, sizeof *sum);
    float *change = mls_values_room(r->p, all.weights, sizeof *change);
    int whole = 1;
    for (int64_t b = 0; b < r->B; b++) {
        mls_rig one;
        char what[128];
        mls_rig_open(&one, r->p, r->v, (mls_rig_size){r->T, 1, 0}, r->flags,
                     r->p->seed);
        const int64_t n = mls_values_sample(&one, r, b, mask);
        if (n == 0) {
            untouched(r, &all, b);
            whole =
                r->out_steps == r->T; /* a pooled output of nothing is still scored */
            mls_rig_close(&one);
            continue;
        }
        const result got = run_all(&one, NULL);
        const int pooled = r->out_steps != r->T;
        const int64_t rows = mls_values_pick(want, all.y, pooled ? NULL : mask,
                                             r->out_steps, r->B, r->out, b);
        snprintf(what, sizeof what, "sample %lld without its padding (%s): output",
                 (long long)b, which);
        *worst = fmax(*worst, mls_probe_near(r->p, r->v, what, got.y, want,
                                             rows * r->out, 1, r->out, 1e-5));
        mls_values_pick_states(r, last, all.last, b);
        mls_values_restore(&one, got.last);
        snprintf(what, sizeof what, "of sample %lld without its padding (%s)",
                 (long long)b, which);
        *worst = fmax(*worst, mls_values_states(&one, what, last, 1e-5));
        for (int64_t k = 0; k < all.weights; k++) {
            sum[k] += got.grad[k];
            change[k] += got.change[k] / (float)r->B;
        }
        mls_rig_close(&one);
    }
    *worst = fmax(*worst, mls_values_changes(r, "against the mean without padding",
                                             change, 1e-4));
    if (whole) {
        memcpy(mls_net_grad(r->net), sum, (size_t)all.weights * sizeof *sum);
        *worst =
            fmax(*worst, mls_values_grads(r, "summed over the samples without padding",
                                          all.grad, 1e-4));
    }
    unseen(r, &all, mask, which);
}

static void masked(mls_rig *r, double *worst)
{
    const int64_t steps = r->T * r->B;
    float *holes = mls_values_room(r->p, steps, sizeof *holes);
    float *weight = mls_values_keep(r->p, r->weight, r->out_steps * r->B * r->out);
    for (int64_t i = 0; i < steps; i++) /* the last sample: nothing real at all */
        holes[i] = i % r->B + 1 < r->B && mls_probe_noise(5, (uint64_t)i) > -0.4f;
    blank(r, r->weight, r->mask);
    ragged(r, r->mask, "at the end", worst);
    memcpy(r->weight, weight, (size_t)(r->out_steps * r->B * r->out) * sizeof *weight);
    blank(r, r->weight, holes);
    ragged(r, holes, "anywhere", worst);
}

static void mask(mls_probe *p)
{
    const mls_variant *v;
    double worst = 0.0;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_SMOOTH | MLS_TRAIN, p->seed);
        masked(&r, &worst);
        mls_rig_close(&r);
    }
    mls_probe_note(p, "largest error %.1e", worst);
}

/* ---- Twice ----------------------------------------------------------------------- */

static void again(mls_rig *r, const result *want, const char *how)
{
    char what[96];
    const result got = run_all(r, NULL);
    snprintf(what, sizeof what, "output %s", how);
    mls_probe_same(r->p, r->v, what, got.y, want->y, got.count, r->B, r->out);
    mls_values_grads(r, how, want->grad, 0.0);
    mls_values_changes(r, how, want->change, 0.0);
    mls_values_restore(r, got.last);
    mls_values_states(r, how, want->last, 0.0);
}

/* Wide enough for two threads to have a share each. */
static void deterministic(mls_probe *p)
{
    static const mls_rig_size size = {40, 7, 0};
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v), threads = mls_parfor_count();
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_parfor_threads(1);
        mls_rig_open(&r, p, &v[i], size, MLS_TRAIN, p->seed);
        const result first = run_all(&r, NULL);
        again(&r, &first, "a second time");
        mls_parfor_threads(2);
        again(&r, &first, "with 2 threads");
        mls_rig_close(&r);
        mls_rig_open(&r, p, &v[i], size, MLS_TRAIN, p->seed);
        again(&r, &first, "of a new network of the same seed, with 2 threads");
        mls_parfor_threads(1);
        again(&r, &first, "of a new network of the same seed");
        mls_rig_close(&r);
    }
    mls_parfor_threads(threads);
}

const mls_case mls_cases_batch[] = {
    {"batch-equivariant", "A sample gives the same in any batch, at any place of it",
     MLS_NETWORK_KINDS, 20, batch_equivariant},
    {"mask", "Padding changes no real output, no state and no gradient",
     MLS_NETWORK_KINDS, 20, mask},
    {"deterministic",
     "The same bits twice, with 1 and 2 threads, and from a new network",
     MLS_NETWORK_KINDS, 20, deterministic},
    {0}};
