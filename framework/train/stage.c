/* stage.c - where samples become a time-major batch. */
#include "train/inner.h"

#include "base/philox.h"
#include "kern/kern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mls_stage {
    mls_arena arena;
    const mls_feed *feed;
    int64_t batch;
    /* one sample as the task writes it */
    int32_t *token, *label;
    float *x, *dt, *target;
    /* the batch; room for the longest sample */
    int32_t *all_token, *all_label;
    float *all_x, *all_mask, *all_dt, *all_target;
    int64_t *length; /* of each row's sample */
    uint64_t *key;   /* and of its noise */
    mls_batch out;
};

static int32_t *ints(mls_stage *s, int64_t n)
{
    return mls_arena_zalloc(&s->arena, (size_t)n * sizeof(int32_t));
}

static float *reals(mls_stage *s, int64_t n)
{
    return mls_arena_zalloc(&s->arena, (size_t)n * sizeof(float));
}

mls_stage *mls_stage_new(const mls_feed *f, int64_t batch, mls_error *e)
{
    const mls_task_shape *h = &f->shape;
    const int64_t T = h->steps, scored = h->per_step ? T : 1;
    const int labels = h->loss == MLS_CROSS_ENTROPY;
    const int64_t width = (h->input > h->output ? h->input : h->output) + 8;
    if (batch < 1 || batch > INT64_MAX / 64 / width / T) {
        mls_error_set(e, "a batch of %lld samples of %lld steps cannot be laid out",
                      (long long)batch, (long long)T);
        return NULL;
    }
    mls_stage *s = calloc(1, sizeof *s);
    int ok = s != NULL;
    if (ok) {
        *s = (mls_stage){.feed = f, .batch = batch};
        ok = (s->length = mls_arena_zalloc(&s->arena,
                                           (size_t)batch * sizeof *s->length)) &&
             (s->key = mls_arena_zalloc(&s->arena, (size_t)batch * sizeof *s->key));
        if (h->vocabulary)
            ok = ok && (s->token = ints(s, T)) && (s->all_token = ints(s, T * batch));
        else
            ok = ok && (s->x = reals(s, T * h->input)) &&
                 (s->all_x = reals(s, T * batch * h->input));
        ok = ok && (s->dt = reals(s, T)) && (s->label = ints(s, scored));
        ok = ok && (s->target = reals(s, labels ? 1 : scored * h->output));
        if (h->has_mask) ok = ok && (s->all_mask = reals(s, T * batch));
        if (h->has_dt) ok = ok && (s->all_dt = reals(s, T * batch));
        if (labels)
            ok = ok && (s->all_label = ints(s, scored * batch));
        else
            ok = ok && (s->all_target = reals(s, scored * batch * h->output));
    }
    if (ok) return s;
    mls_error_set(e, "out of memory for a batch of %lld samples of %lld steps",
                  (long long)batch, (long long)T);
    mls_stage_free(s);
    return NULL;
}

void mls_stage_free(mls_stage *s)
{
    if (!s) return;
    mls_arena_free(&s->arena);
    free(s);
}

/* ---- one sample */

static void preset(mls_stage *s)
{
    const mls_task_shape *h = &s->feed->shape;
    const int64_t T = h->steps, scored = h->per_step ? T : 1;
    if (s->token) memset(s->token, 0, (size_t)T * sizeof *s->token);
    if (s->x) memset(s->x, 0, (size_t)(T * h->input) * sizeof *s->x);
    for (int64_t t = 0; t < T; t++) s->dt[t] = 1.0f;
    for (int64_t t = 0; t < scored; t++) s->label[t] = -1;
    for (int64_t i = 0; s->all_target && i < scored * h->output; i++)
        s->target[i] = NAN;
}

static void check(const mls_stage *s, int64_t steps, int split, int64_t index,
                  mls_error *e)
{
    static const char *const part[] = {"training", "validation", "test"};
    const mls_feed *f = s->feed;
    const mls_task_shape *h = &f->shape;
    if (steps < 1 || steps > h->steps) {
        mls_error_set(e, "%s: %s sample %lld has %lld steps, expected 1 to %lld",
                      f->name, part[split], (long long)index, (long long)steps,
                      (long long)h->steps);
        return;
    }
    if (steps < h->steps && !h->has_mask) {
        mls_error_set(
            e,
            "%s: %s sample %lld has %lld of %lld steps, but the task does not "
            "declare has_mask",
            f->name, part[split], (long long)index, (long long)steps,
            (long long)h->steps);
        return;
    }
    int64_t bad = s->x ? mls_k_first_bad(s->x, steps * h->input) : -1;
    if (bad >= 0)
        mls_error_set(e, "%s: input of %s sample %lld is %g at step %lld, feature %lld",
                      f->name, part[split], (long long)index, (double)s->x[bad],
                      (long long)(bad / h->input), (long long)(bad % h->input));
    bad = h->has_dt ? mls_k_first_bad(s->dt, steps) : -1;
    if (bad >= 0)
        mls_error_set(e, "%s: the length of step %lld of %s sample %lld is %g", f->name,
                      (long long)bad, part[split], (long long)index,
                      (double)s->dt[bad]);
}

/* Writes the sample at hand as row b of the batch: steps beyond its end are padding. */
static void lay(mls_stage *s, int64_t b, int64_t steps, int scored)
{
    const mls_task_shape *h = &s->feed->shape;
    const int64_t T = h->steps, B = s->batch, I = h->input, O = h->output;
    for (int64_t t = 0; t < T; t++) {
        const int64_t r = t * B + b;
        const int real = t < steps;
        if (s->token)
            s->all_token[r] = real ? s->token[t] : 0;
        else if (real)
            memcpy(s->all_x + r * I, s->x + t * I, (size_t)I * sizeof(float));
        else
            memset(s->all_x + r * I, 0, (size_t)I * sizeof(float));
        if (s->all_mask) s->all_mask[r] = real ? 1.0f : 0.0f;
        if (s->all_dt) s->all_dt[r] = real ? s->dt[t] : 1.0f;
    }
    const int64_t n = h->per_step ? T : 1;
    for (int64_t t = 0; t < n; t++) {
        const int64_t r = t * B + b;
        const int real = scored && (!h->per_step || t < steps);
        if (s->all_label) s->all_label[r] = real ? s->label[t] : -1;
        for (int64_t o = 0; s->all_target && o < O; o++)
            s->all_target[r * O + o] = real ? s->target[t * O + o] : NAN;
    }
    s->length[b] = steps;
}

/* A stream of each draw's own: neither the batch size nor the order changes it. */
static uint64_t key_of(const mls_feed *f, const char *purpose, int split, int64_t epoch,
                       int64_t index)
{
    uint64_t key = mls_philox_key(f->seed, "feed", purpose);
    key = mls_philox_mix(key, (uint64_t)split);
    key = mls_philox_mix(key, (uint64_t)epoch);
    return mls_philox_mix(key, (uint64_t)index);
}

static void row(mls_stage *s, int64_t b, int split, int64_t epoch, int64_t index,
                int scored, mls_error *e)
{
    const mls_feed *f = s->feed;
    const uint64_t key = key_of(f, "sample", split, epoch, index);
    s->key[b] = key_of(f, "noise", split, epoch, index);
    mls_ctx c = {e, f->name, NULL, &s->arena, f->seed, NULL, f->component};
    mls_sample one = {f->shape.steps, s->token, s->x, s->dt, s->label, s->target};
    preset(s);
    f->component->task->fill(&c, f->self, split, index, key, &one);
    if (!e->set) check(s, one.steps, split, index, e);
    if (!e->set) lay(s, b, one.steps, scored);
}

/* As long as its longest sample. */
static const mls_batch *finish(mls_stage *s, const mls_error *e)
{
    if (e->set) return NULL;
    int64_t steps = 1;
    for (int64_t b = 0; b < s->batch; b++)
        if (s->length[b] > steps) steps = s->length[b];
    s->out = (mls_batch){steps,       s->batch,  s->all_token, s->all_x,
                         s->all_mask, s->all_dt, s->all_label, s->all_target, s->key};
    return &s->out;
}

const mls_batch *mls_stage_train(mls_stage *s, int64_t epoch, int64_t index, int carry,
                                 mls_error *e)
{
    const mls_feed *f = s->feed;
    const int64_t n = mls_feed_count(f, MLS_TRAINING), B = s->batch;
    const int64_t batches = mls_feed_batches(f, MLS_TRAINING, B);
    if (e->set) return NULL;
    if (index < 0 || index >= batches) {
        mls_error_set(
            e, "%s: training batch %lld was asked for; there are %lld of %lld samples",
            f->name, (long long)index, (long long)batches, (long long)B);
        return NULL;
    }
    const uint64_t order =
        mls_philox_mix(mls_philox_key(f->seed, "feed", "order"), (uint64_t)epoch);
    for (int64_t b = 0; b < B && !e->set; b++) {
        const int64_t at = carry ? b * batches + index : index * B + b;
        row(s, b, MLS_TRAINING, epoch,
            carry ? at % n : mls_feed_shuffled(order, n, at % n), 1, e);
    }
    return finish(s, e);
}

const mls_batch *mls_stage_eval(mls_stage *s, int split, int64_t index, mls_error *e)
{
    const mls_feed *f = s->feed;
    const int64_t n = mls_feed_count(f, split), B = s->batch;
    if (e->set) return NULL;
    if (index < 0 || index * B >= n) {
        mls_error_set(e,
                      "%s: batch %lld of split %d was asked for; it has %lld samples",
                      f->name, (long long)index, split, (long long)n);
        return NULL;
    }
    for (int64_t b = 0; b < B && !e->set; b++) {
        const int64_t at = index * B + b;
        /* Beyond the end the first row stands again, unscored: finite and never odd. */
        row(s, b, split, 0, at < n ? at : index * B, at < n, e);
    }
    return finish(s, e);
}
