/* resume.c - the whole state of a training loop as a bundle, and what broke in it. */
#include "train/inner.h"

#include "kern/kern.h"

#include <math.h>

/* Not in it: what follows from the step alone (the epoch, the place in it, the learning
 * rate, every random stream), and times, so that a resumed run's bytes are the same.
 * States are carried between batches only with `carry`; processor time only counts with
 * `minutes`. */
void mls_loop_bundle(mls_loop *l, mls_bundle *b)
{
    const int64_t one = 1;
    for (int i = 0; i < mls_net_weights(l->net); i++) {
        const mls_weight *w = mls_net_weight(l->net, i);
        mls_bundle_add(b, mls_arena_printf(b->arena, "weight/%s", w->name), MLS_B_F32,
                       w->data, 2, (int64_t[]){w->rows, w->cols});
    }
    mls_optimiser_bundle(&l->optimiser, b);
    if (l->plan.carry) mls_run_bundle(l->run, b);
    mls_bundle_add(b, "train/step", MLS_B_I64, &l->step, 1, &one);
    mls_bundle_add(b, "train/tokens", MLS_B_I64, &l->tokens, 1, &one);
    mls_bundle_add(b, "train/clipped", MLS_B_I64, &l->clipped, 1, &one);
    mls_bundle_add(b, "train/waited", MLS_B_I64, &l->waited, 1, &one);
    mls_bundle_add(b, "train/best", MLS_B_F64, &l->best, 1, &one);
    mls_bundle_add(b, "train/loss_sum", MLS_B_F64, &l->sum, 1, &one);
    mls_bundle_add(b, "train/loss_steps", MLS_B_I64, &l->summed, 1, &one);
    if (l->plan.minutes > 0.0)
        mls_bundle_add(b, "train/seconds", MLS_B_F64, &l->seconds, 1, &one);
}

/* The evaluation after this step, if one was due, came before the checkpoint. */
void mls_loop_resumed(mls_loop *l)
{
    const int64_t every = l->plan.evaluate_every;
    l->kept = l->step;
    if (l->step >= l->plan.steps || (every && l->step > 0 && l->step % every == 0))
        l->seen = l->step;
}

/* ---- NaN and Inf */

static const char *name_of(float x)
{
    return isnan(x) ? "NaN" : x > 0.0f ? "Inf" : "-Inf";
}

static int bad_weight(mls_loop *l, int64_t step, const char *what, int gradient)
{
    for (int i = 0; i < mls_net_weights(l->net); i++) {
        const mls_weight *w = mls_net_weight(l->net, i);
        const float *x = gradient ? w->grad : w->data;
        const int64_t at = mls_k_first_bad(x, w->rows * w->cols);
        if (at < 0) continue;
        mls_error_set(l->error, "step %lld: %s: %s%s of node %s is %s at [%lld][%lld]",
                      (long long)step, what,
                      gradient ? "the gradient of " : "weight ", w->name,
                      *w->node ? w->node : "network", name_of(x[at]),
                      (long long)(at / w->cols), (long long)(at % w->cols));
        return 1;
    }
    return 0;
}

static int bad_state(mls_loop *l, mls_run *run, int64_t step, const char *what)
{
    for (int i = 0; i < mls_run_states(run); i++) {
        float *x;
        int64_t width;
        const char *name = mls_run_state(run, i, &x, &width, NULL);
        const int64_t at = mls_k_first_bad(x, l->plan.batch * width);
        if (at < 0) continue;
        mls_error_set(l->error,
                      "step %lld: %s: state %s is %s in sample %lld, unit %lld",
                      (long long)step, what, name, name_of(x[at]),
                      (long long)(at / width), (long long)(at % width));
        return 1;
    }
    return 0;
}

/* The op where it began: what came later only spread it. */
static int bad_value(mls_loop *l, mls_run *run, int64_t step, const char *what)
{
    mls_tape_bad b;
    if (!mls_tape_first_bad(mls_run_tape(run), &b)) return 0;
    mls_error_set(l->error,
                  "step %lld: %s: output %d of op %s in node %s is %s at time step %lld, "
                  "sample %lld, unit %lld",
                  (long long)step, what, b.out, b.op, b.path, name_of(b.value),
                  (long long)b.t, (long long)b.b, (long long)b.n);
    return 1;
}

void mls_loop_diagnose(mls_loop *l, mls_run *run, int64_t step, const char *what)
{
    if (bad_weight(l, step, what, 0) || bad_value(l, run, step, what) ||
        bad_state(l, run, step, what) || bad_weight(l, step, what, 1))
        return;
    mls_error_set(
        l->error,
        "step %lld: %s, while weights, states and gradients are finite: look at "
        "the output of head",
        (long long)step, what);
}
