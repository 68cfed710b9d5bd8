#include "train/inner.h"
#include "train/metrics.h"

#include "base/philox.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t)) return 0.0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int is_binary(const mls_loop *l)
{
    const mls_task_shape *h = mls_feed_shape(l->feed);
    return h->loss == MLS_CROSS_ENTROPY && h->output == 2;
}

mls_loop *mls_loop_new(mls_net *net, const mls_feed *feed, const mls_value *train,
                       uint64_t seed, const mls_sink *sink, mls_error *e)
{
    mls_loop *l = calloc(1, sizeof *l);
    if (!l) {
        mls_error_set(e, "out of memory for training");
        return NULL;
    }
    l->net = net;
    l->feed = feed;
    l->error = e;
    l->best = INFINITY;
    l->kept = l->seen = -1;
    l->noise = mls_philox_key(seed, "loop", "step") >> 1;
    if (sink) l->sink = *sink;
    if (mls_plan_read(&l->plan, train, feed, e)) {
        const unsigned exact = l->plan.exact ? MLS_EXACT : 0;
        l->run = mls_run_new(net, l->plan.batch, MLS_TRAIN | exact, e);
        l->evaluation = l->run ? mls_run_new(net, l->plan.batch, exact, e) : NULL;
        l->stage = mls_stage_new(feed, l->plan.batch, e);
        if (l->evaluation &&
            !(mls_run_reuse(l->run, l->plan.mixed) && mls_run_reuse(l->evaluation, 0)))
            mls_error_set(e, "out of memory for a plan of what is read when");
        if (!e->set) {
            mls_run_blocks(l->run, 1);
            mls_run_transient(l->run, !l->plan.carry);
            mls_run_blocks(l->evaluation, !is_binary(l));    /* whose scores are gathered */
        }
        l->optimiser = l->plan.optimiser;
        l->optimiser.key = mls_philox_key(seed, "loop", "round");
        if (!e->set && !mls_optimiser_open(&l->optimiser, net, &l->arena))
            mls_error_set(e, "out of memory for the optimiser of %lld weights",
                          (long long)mls_net_parameters(net));
    }
    if (!e->set) return l;
    mls_loop_free(l);
    return NULL;
}

void mls_loop_free(mls_loop *l)
{
    if (!l) return;
    mls_run_free(l->run);
    mls_run_free(l->evaluation);
    mls_stage_free(l->stage);
    mls_arena_free(&l->arena);
    free(l);
}

mls_run *mls_loop_run_of(mls_loop *l) { return l->run; }
mls_run *mls_loop_evaluation_run(mls_loop *l) { return l->evaluation; }
int64_t mls_loop_steps(const mls_loop *l) { return l->plan.steps; }

/* ---- one step */

static int64_t real_steps(const mls_batch *b)
{
    int64_t n = b->steps * b->batch;
    for (int64_t i = 0; b->mask && i < b->steps * b->batch; i++)
        n -= b->mask[i] == 0.0f;
    return n;
}

/* The forward once more, with an eye on every op: what they gave is gone, or in 16 bits. */
static void find_bad(mls_loop *l, const mls_batch *b, int64_t at, const char *what)
{
    mls_run_tape(l->run)->check = 1;
    mls_run_forget(l->run);
    mls_run_loss(l->run, b, l->noise + (uint64_t)at, NULL);
    mls_run_tape(l->run)->check = 0;
    mls_loop_diagnose(l, l->run, l->step + 1, what);
}

/* Forward and backward of micro-batch `part` of the step; its loss, or NaN. */
static double micro_batch(mls_loop *l, int64_t part)
{
    const mls_plan *p = &l->plan;
    const int64_t at = l->step * p->accumulate + part;
    const int64_t epoch = at / p->batches, index = at % p->batches;
    const mls_batch *b = mls_stage_train(l->stage, epoch, index, p->carry, l->error);
    if (!b) return NAN;
    if (!p->carry || index == 0) mls_run_reset(l->run);
    const double loss = mls_run_loss(l->run, b, l->noise + (uint64_t)at, NULL);
    mls_error *e = mls_run_error(l->run);
    if (!e->set && isfinite(loss))
        mls_run_backward(l->run, 1.0 / (double)p->accumulate);
    if (e->set)
        mls_error_set(l->error, "step %lld: %s", (long long)l->step + 1, e->text);
    else if (!isfinite(loss))
        find_bad(l, b, at, isnan(loss) ? "the loss is NaN" : "the loss is infinite");
    l->tokens += real_steps(b);
    l->penalty += mls_run_penalty(l->run, &l->penalties) / (double)p->accumulate;
    return loss;
}

static int one_step(mls_loop *l)
{
    const mls_plan *p = &l->plan;
    const double begin = seconds(CLOCK_MONOTONIC);
    const int64_t before = l->tokens;
    double loss = 0.0;
    l->penalty = 0.0;
    mls_run_step = l->step + 1;
    mls_net_zero_grad(l->net);
    for (int64_t i = 0; i < p->accumulate && !l->error->set; i++)
        loss += micro_batch(l, i) / (double)p->accumulate;
    if (l->error->set) return 0;
    const double norm = mls_optimiser_clip(l->net, p->clip);
    if (!isfinite(norm)) {
        mls_loop_diagnose(l, l->run, l->step + 1, "a gradient is not finite");
        return 0;
    }
    l->step++;
    const double rate = mls_schedule_rate(&p->schedule, l->step);
    mls_optimiser_step(&l->optimiser, l->net, rate, l->step);
    l->clipped += p->clip > 0.0 && norm > p->clip;
    l->sum += loss;
    l->summed++;
    const double took = seconds(CLOCK_MONOTONIC) - begin;
    mls_metric m[] = {
        {"loss", loss},
        {"learning_rate", rate},
        {"gradient_norm", norm},
        {"clipped", (double)l->clipped / (double)l->step},
        {"tokens", (double)l->tokens},
        {"tokens_per_second", took > 0.0 ? (double)(l->tokens - before) / took : 0.0},
        {"", 0.0},
        {"", 0.0}};
    int n = (int)(sizeof m / sizeof *m) - 2, plastic;
    const double moved = mls_net_adapted(l->net, &plastic);
    if (l->penalties) m[n++] = (mls_metric){"penalty", l->penalty};
    if (plastic) m[n++] = (mls_metric){"plasticity", moved};
    if (l->sink.step)
        l->sink.step(l->sink.arg, l->step, m, n);
    return 1;
}

/* ---- evaluation */

/* most: batches at most; 0: the whole split.  scores: NULL, or where those of a binary task
 * are gathered. */
static int evaluate_batches(mls_loop *l, int split, int64_t most, mls_scores *scores,
                            mls_metric *out, int room)
{
    int64_t n = mls_feed_batches(l->feed, split, l->plan.batch);
    if (most > 0 && n > most) n = most;
    mls_loss_stats sum = {0};
    mls_error *e = mls_run_error(l->evaluation);
    for (int64_t i = 0; i < n && !l->error->set; i++) {
        const mls_batch *b = mls_stage_eval(l->stage, split, i, l->error);
        if (!b) return 0;
        mls_loss_stats s = {0};
        const int64_t left = mls_feed_count(l->feed, split) - i * l->plan.batch;
        mls_run_synapses_of(l->evaluation, left);
        mls_run_reset(l->evaluation);
        const double loss = mls_run_loss(l->evaluation, b, 0, &s);
        if (!e->set && s.count > 0 && !isfinite(loss)) {
            /* once more, with an eye on every op: an evaluation keeps no notes */
            mls_run_tape(l->evaluation)->check = 1;
            mls_run_reset(l->evaluation);
            mls_run_loss(l->evaluation, b, 0, &s);
            mls_run_tape(l->evaluation)->check = 0;
            if (!e->set)
                mls_loop_diagnose(l, l->evaluation, l->step,
                                  "the loss of an evaluation is not finite");
        }
        if (e->set)
            mls_error_set(l->error, "evaluation after step %lld: %s",
                          (long long)l->step, e->text);
        if (!e->set && scores &&
            !mls_scores_add(scores, mls_run_decision(l->evaluation), b->label))
            mls_error_set(l->error, "out of memory for the scores of an evaluation");
        sum.sum += s.sum;
        sum.count += s.count;
        sum.correct += s.correct;
        sum.decided += s.decided;
    }
    return l->error->set ? 0 : mls_metrics_of(mls_feed_shape(l->feed), &sum, out, room);
}

static int evaluate_part(mls_loop *l, int split, int64_t most, mls_metric *out, int room)
{
    const int binary = is_binary(l);
    mls_scores scores = {0};
    int n = evaluate_batches(l, split, most, binary ? &scores : NULL, out, room);
    const double auc = n > 0 && n < room && binary ? mls_scores_auc(&scores) : NAN;
    if (!isnan(auc)) out[n++] = (mls_metric){"auc", auc};
    mls_scores_free(&scores);
    return n;
}

int mls_loop_evaluate(mls_loop *l, int split, mls_metric *out, int room)
{
    return evaluate_part(l, split, 0, out, room);
}

/* Returns 1 if it is the best so far. */
static int evaluate(mls_loop *l)
{
    mls_metric m[MLS_METRICS + 1];
    int n = evaluate_part(l, MLS_VALIDATION, l->plan.evaluate_batches, m, MLS_METRICS);
    if (n == 0) return 0; /* an error, or nothing to score */
    const int best = m[0].value < l->best;
    if (best) l->best = m[0].value;
    l->waited = best ? 0 : l->waited + 1;
    if (l->summed) m[n++] = (mls_metric){"training_loss", l->sum / (double)l->summed};
    l->sum = 0.0;
    l->summed = 0;
    if (l->sink.evaluation)
        l->sink.evaluation(l->sink.arg, l->step, MLS_VALIDATION, m, n, best);
    return best;
}

/* ---- the loop */

static int checkpoint(mls_loop *l, int best)
{
    if (l->error->set) return 0;
    l->kept = l->step;
    if (!l->sink.checkpoint || l->sink.checkpoint(l->sink.arg, l->step, best)) return 1;
    mls_error_set(l->error, "no checkpoint could be written after step %lld",
                  (long long)l->step);
    return 0;
}

/* Adds the processor time since the last call, of all threads. */
static void tick(mls_loop *l)
{
    const double now = seconds(CLOCK_PROCESS_CPUTIME_ID);
    l->seconds += now - l->clock;
    l->clock = now;
}

/* What is due after a step; last: no step follows. */
static void after(mls_loop *l, int last)
{
    const mls_plan *p = &l->plan;
    const int due = last || (p->evaluate_every && l->step % p->evaluate_every == 0);
    int best = 0;
    if (due && l->seen != l->step) {
        l->seen = l->step;
        best = evaluate(l);
    }
    tick(l);
    const int early = p->patience > 0 && l->waited >= p->patience;
    const int keep = p->checkpoint_every ? l->step % p->checkpoint_every == 0 : due;
    if (best || last || early || keep) checkpoint(l, best);
}

mls_outcome mls_loop_go(mls_loop *l)
{
    const mls_plan *p = &l->plan;
    l->clock = seconds(CLOCK_PROCESS_CPUTIME_ID);
    while (!l->error->set) {
        const int late = p->minutes > 0.0 && l->seconds >= 60.0 * p->minutes;
        if (l->step >= p->steps || late) {
            if (l->kept != l->step || l->seen != l->step) after(l, 1);
            break;
        }
        if (p->patience > 0 && l->waited >= p->patience) return MLS_EARLY;
        if (l->sink.stop && l->sink.stop(l->sink.arg)) {
            if (l->kept == l->step || checkpoint(l, 0)) return MLS_STOPPED;
            break;
        }
        if (one_step(l)) after(l, l->step >= p->steps);
    }
    return l->error->set ? MLS_FAILED : MLS_DONE;
}
