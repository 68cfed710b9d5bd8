#include "train/loop.h"
#include "train/plan.h"

#include <math.h>
#include <string.h>

static int choice(const mls_value *v, const char *key, const char *const *names,
                  mls_error *e)
{
    const char *s = mls_value_get_string(v, key, names[0], e);
    for (int i = 0; names[i] && !e->set; i++)
        if (!strcmp(s, names[i])) return i;
    mls_arena a = {0};
    mls_error_set(e, "%strain.%s = \"%s\"; expected %s, %s%s%s",
                  mls_value_where(&a, mls_value_get(v, key)), key, s, names[0],
                  names[1], names[2] ? " or " : "", names[2] ? names[2] : "");
    mls_arena_free(&a);
    return 0;
}

static double real(const mls_value *v, const char *key, double def, double low,
                   double high, mls_error *e)
{
    const double x = mls_value_get_real(v, key, def, e);
    mls_arena a = {0};
    if (!(x >= low && x <= high))
        mls_error_set(e, "%strain.%s = %g; expected %g to %g",
                      mls_value_where(&a, mls_value_get(v, key)), key, x, low, high);
    mls_arena_free(&a);
    return x;
}

static int64_t whole(const mls_value *v, const char *key, int64_t def, int64_t low,
                     mls_error *e)
{
    const int64_t x = mls_value_get_int(v, key, def, e);
    mls_arena a = {0};
    if (x < low)
        mls_error_set(e, "%strain.%s = %lld; expected at least %lld",
                      mls_value_where(&a, mls_value_get(v, key)), key, (long long)x,
                      (long long)low);
    mls_arena_free(&a);
    return x;
}

static int64_t at_least(double x)
{
    return x >= 9e18 ? INT64_MAX : x < 1.0 ? 1 : (int64_t)ceil(x);
}

/* The least that any of steps, epochs and tokens asks for. */
static int64_t all_steps(const mls_plan *p, const mls_value *v, const mls_feed *feed,
                         mls_error *e)
{
    const double epochs = (double)whole(v, "epochs", 0, 0, e);
    const double tokens = (double)whole(v, "tokens", 0, 0, e);
    const int told = epochs > 0.0 || tokens > 0.0 || p->minutes > 0.0;
    int64_t n = whole(v, "steps", told ? 0 : 1000, 0, e), least = n > 0 ? n : INT64_MAX;
    const double length = feed ? (double)mls_feed_shape(feed)->steps : 1.0;
    const double per_step = length * (double)p->batch * (double)p->accumulate;
    if (epochs > 0.0) {
        n = at_least(epochs * (double)p->batches / (double)p->accumulate);
        if (n < least) least = n;
    }
    if (tokens > 0.0) {
        n = at_least(tokens / per_step);
        if (n < least) least = n;
    }
    if (least == INT64_MAX && !(p->minutes > 0.0))
        mls_error_set(e, "train: steps, epochs, tokens and minutes are all 0: nothing "
                         "says when to stop");
    return least;
}

int mls_plan_read(mls_plan *p, const mls_value *v, const mls_feed *feed, mls_error *e)
{
    static const char *const optimisers[] = {"adamw", "sgd", NULL};
    static const char *const schedules[] = {"constant", "cosine", "linear", NULL};
    static const char *const precisions[] = {"float32", "mixed", NULL};
    *p = (mls_plan){0};
    p->optimiser.kind = choice(v, "optimiser", optimisers, e) ? MLS_SGD : MLS_ADAMW;
    p->optimiser.beta1 = real(v, "beta1", 0.9, 0.0, 0.999999, e);
    p->optimiser.beta2 = real(v, "beta2", 0.999, 0.0, 0.999999999, e);
    p->optimiser.epsilon = real(v, "epsilon", 1e-8, 0.0, 1.0, e);
    p->optimiser.decay = real(v, "weight_decay", 0.01, 0.0, 100.0, e);
    p->optimiser.momentum = real(v, "momentum", 0.9, 0.0, 0.999999, e);
    p->clip = real(v, "clip", 1.0, 0.0, 1e300, e);
    p->minutes = real(v, "minutes", 0.0, 0.0, 1e9, e);
    p->batch = whole(v, "batch", 8, 1, e);
    p->accumulate = whole(v, "accumulate", 1, 1, e);
    p->evaluate_every = whole(v, "evaluate_every", 0, 0, e);
    p->evaluate_batches = whole(v, "evaluate_batches", 0, 0, e);
    p->patience = whole(v, "patience", 0, 0, e);
    p->checkpoint_every = whole(v, "checkpoint_every", 0, 0, e);
    p->carry = mls_value_get_bool(v, "carry", 0, e);
    p->mixed = choice(v, "precision", precisions, e);
    p->optimiser.mixed = p->mixed;
    p->exact = mls_value_get_bool(v, "exact", 0, e);
    if (e->set) return 0;
    p->batches = feed ? mls_feed_batches(feed, MLS_TRAINING, p->batch) : 1;
    if (p->batches < 1) mls_error_set(e, "the task has no training samples");
    p->steps = all_steps(p, v, feed, e);
    p->schedule.kind = mls_value_get(v, "schedule")
                           ? (mls_rate_kind)choice(v, "schedule", schedules, e)
                           : MLS_RATE_COSINE;
    p->schedule.peak = real(v, "learning_rate", 3e-3, 0.0, 1000.0, e);
    p->schedule.final_rate = real(v, "final_rate", 0.1, 0.0, 1.0, e);
    p->schedule.steps = p->steps;
    p->schedule.warmup = whole(v, "warmup_steps", 0, 0, e);
    const double part = real(v, "warmup_fraction", 0.05, 0.0, 1.0, e);
    if (!p->schedule.warmup && p->steps < INT64_MAX)
        p->schedule.warmup = (int64_t)(part * (double)p->steps);
    if (!p->evaluate_every && p->steps < INT64_MAX)
        p->evaluate_every = (p->steps + 9) / 10;
    return !e->set;
}

int64_t mls_loop_planned(const mls_value *train, const mls_feed *feed, mls_error *e)
{
    mls_plan p;
    return mls_plan_read(&p, train, feed, e) ? p.steps : 0;
}
