#define _GNU_SOURCE 1
#include "study/trial.h"

#include "base/memory.h"
#include "base/parfor.h"
#include "conf/conf.h"
#include "rec/record.h"
#include "study/files.h"
#include "study/metrics.h"
#include "study/model.h"
#include "study/provenance.h"
#include "study/watch.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_METRICS = 32, MOST_CHECKPOINTS = 256, KEEP = 2, UNKNOWN_STEPS = 100000 };
static const int64_t record_limit = (int64_t)2 << 30;

/* All that is ever told: the recorder must know the names before the first step. */
static const char *const metric_names[] = {
    "loss", "learning_rate", "gradient_norm", "clipped", "tokens", "penalty", "plasticity",
    "validation_loss", "validation_accuracy", "validation_nats", "validation_bits",
    "validation_perplexity", "validation_mse", "validation_mae", "validation_training_loss",
    "validation_spike_rate", "test_loss", "test_accuracy", "test_nats", "test_bits",
    "test_perplexity", "test_mse", "test_mae", "test_spike_rate", "validation_auc",
    "validation_sparsity", "test_auc", "test_sparsity", "validation_nll", "test_nll",
    "validation_synops", "test_synops"
};

typedef struct trial {
    const mls_trial_options *o;
    const char   *dir;
    mls_model     model;
    mls_arena     arena;
    mls_metrics   metrics;
    mls_recorder *recorder;
    mls_watch     training, evaluating;
    FILE         *log;
    mls_error    *e;
    int           threads;
    /* what a checkpoint notes */
    int64_t       step, saved;          /* last step done; last checkpoint            */
    int64_t       metric_bytes;         /* of metrics.jsonl at that checkpoint        */
    double        seconds, train_seconds;  /* of earlier processes and this one       */
    double        mark, rate;
    int64_t       tokens_per_step;
    mls_value    *last, *evaluation, *best;
} trial;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

__attribute__((format(printf, 2, 3))) static void say(trial *t, const char *fmt, ...)
{
    char when[40];
    const time_t clock = time(NULL);
    struct tm tm;
    va_list ap;
    if (!t->log) return;
    if (!gmtime_r(&clock, &tm) ||
        !strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm))
        when[0] = '\0';
    fprintf(t->log, "%s ", when);
    va_start(ap, fmt);
    vfprintf(t->log, fmt, ap);
    va_end(ap);
    fputc('\n', t->log);
    fflush(t->log);
}

static mls_value *metric_map(mls_arena *a, const mls_metric *m, int n)
{
    mls_value *map = mls_value_map(a);
    for (int i = 0; i < n; i++)
        mls_value_set(a, map, m[i].name, mls_value_real(a, m[i].value));
    return map;
}

/* Only what the seed decides is kept: times would differ from run to run. */
static void record(trial *t, int64_t step, const char *split, const mls_metric *all,
                   int n_all)
{
    char name[120];
    mls_metric m[MOST_METRICS] = { { NULL, 0.0 } };
    int n = 0;
    for (int i = 0; i < n_all && n < MOST_METRICS; i++)
        if (strcmp(all[i].name, "tokens_per_second")) m[n++] = all[i];
    mls_metrics_line(&t->metrics, step, split, m, n);
    for (int i = 0; t->recorder && i < n; i++) {
        snprintf(name, sizeof name, "%s%s%s", split ? split : "", split ? "_" : "",
                 m[i].name);
        mls_recorder_metric(t->recorder, name, step, m[i].value);
    }
}

/* 0: by the clock alone. */
static int64_t planned(const trial *t)
{
    const int64_t n = mls_loop_steps(t->model.loop);
    return n < INT64_MAX ? n : 0;
}

static void tell(trial *t)
{
    mls_progress p = { .step = t->step, .steps = planned(t),
                       .rate = t->rate, .evaluation = t->evaluation };
    const mls_value *loss = mls_value_get(t->last, "loss");
    p.loss = loss ? loss->real : NAN;
    if (t->o->progress) t->o->progress(t->o->arg, &p);
}

/* ---- What the loop tells -------------------------------------------------------------- */

static void on_step(void *arg, int64_t step, const mls_metric *m, int n)
{
    trial *t = arg;
    const double dt = now() - t->mark;
    t->train_seconds += dt;
    const double rate = dt > 0.0 ? (double)t->tokens_per_step / dt : t->rate;
    t->rate = t->rate > 0.0 ? 0.9 * t->rate + 0.1 * rate : rate;
    t->step = step;
    record(t, step, NULL, m, n);
    /* The last values are written over, so that a long run needs no more memory. */
    for (int i = 0; i < n; i++) {
        mls_value *v = mls_value_get(t->last, m[i].name);
        if (v) v->real = m[i].value;
        else
            mls_value_set(&t->arena, t->last, m[i].name,
                          mls_value_real(&t->arena, m[i].value));
    }
    t->training.step = step + 1;
    t->evaluating.step = step;
    tell(t);
    t->mark = now();
}

static const char *split_name(int split)
{
    return split == MLS_TEST         ? "test"
           : split == MLS_VALIDATION ? "validation"
                                     : "training";
}

/* The metrics of an evaluation, and what the spikes of it were. */
static int with_rate(trial *t, const mls_metric *m, int n, mls_metric all[MOST_METRICS])
{
    const double rate = mls_watch_rate(&t->evaluating);
    const double synops = mls_watch_synops(&t->evaluating);
    if (n > MOST_METRICS - 3) n = MOST_METRICS - 3;
    memcpy(all, m, (size_t)n * sizeof *m);
    if (!isnan(rate)) {
        all[n++] = (mls_metric){ "spike_rate", rate };
        all[n++] = (mls_metric){ "sparsity", 1.0 - rate };
    }
    if (!isnan(synops)) all[n++] = (mls_metric){ "synops", synops };
    mls_watch_clear(&t->evaluating);
    return n;
}

static void on_evaluation(void *arg, int64_t step, int split, const mls_metric *m,
                          int n, int best)
{
    trial *t = arg;
    mls_metric all[MOST_METRICS];
    n = with_rate(t, m, n, all);
    record(t, step, split_name(split), all, n);
    mls_value *map = metric_map(&t->arena, all, n);
    if (split == MLS_VALIDATION) {
        t->evaluation = map;
        if (best) {
            t->best = mls_value_copy(&t->arena, map);
            mls_value_set(&t->arena, t->best, "step", mls_value_int(&t->arena, step));
        }
    }
    say(t, "step %lld %s %s%s", (long long)step, split_name(split),
        mls_value_to_json(&t->arena, map, 0), best ? " best" : "");
    tell(t);
    t->mark = now();
}

static const char *note_of(trial *t, mls_arena *a)
{
    mls_value *v = mls_value_map(a);
    mls_value_set(a, v, "step", mls_value_int(a, t->step));
    mls_value_set(a, v, "identity", mls_value_string(a, t->model.identity));
    mls_value_set(a, v, "metrics_bytes",
                  mls_value_int(a, mls_metrics_bytes(&t->metrics)));
    mls_value_set(a, v, "seconds", mls_value_real(a, t->seconds + now()));
    mls_value_set(a, v, "train_seconds", mls_value_real(a, t->train_seconds));
    mls_value_set(a, v, "last", t->last);
    if (t->evaluation) mls_value_set(a, v, "validation", t->evaluation);
    if (t->best) mls_value_set(a, v, "best", t->best);
    return mls_value_to_json(a, v, 0);
}

/* The newest KEEP checkpoints stay. */
static void prune(trial *t)
{
    int64_t step[MOST_CHECKPOINTS];
    char path[4200];
    const int n = mls_model_checkpoints(t->dir, step, MOST_CHECKPOINTS);
    for (int i = KEEP; i < n; i++) {
        snprintf(path, sizeof path, "%s/checkpoint-%lld.h5", t->dir,
                 (long long)step[i]);
        unlink(path);
    }
}

/* The best one is a second name of the same file, where the file system can do that. */
static int save_best(trial *t, const char *path, const mls_bundle *b, const char *note)
{
    char best[4200], fresh[4300];
    snprintf(best, sizeof best, "%s/checkpoint-best.h5", t->dir);
    snprintf(fresh, sizeof fresh, "%s.new", best);
    unlink(fresh);
    const int named = link(path, fresh) == 0 && rename(fresh, best) == 0;
    unlink(fresh);              /* rename leaves it where both were one file already     */
    return named || mls_checkpoint_save(best, b, note, t->e);
}

static int on_checkpoint(void *arg, int64_t step, int best)
{
    trial *t = arg;
    char path[4200];
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    t->step = step;
    /* What the record and the metrics hold is on disk before the checkpoint says so. */
    int ok = mls_metrics_sync(&t->metrics);
    if (!ok)
        mls_error_set(t->e, "%s: cannot be written: %s", t->metrics.path,
                      strerror(errno));
    if (ok && t->recorder && !mls_recorder_flush(t->recorder)) {
        mls_error_set(t->e, "%s", mls_recorder_error(t->recorder)->text);
        ok = 0;
    }
    if (ok) {
        mls_loop_bundle(t->model.loop, &b);
        const char *note = note_of(t, &a);
        snprintf(path, sizeof path, "%s/checkpoint-%lld.h5", t->dir, (long long)step);
        ok = mls_checkpoint_save(path, &b, note, t->e) &&
             (!best || save_best(t, path, &b, note));
        if (ok) {
            t->saved = step;
            prune(t);
        }
    }
    mls_arena_free(&a);
    t->mark = now();
    return ok;
}

static int on_stop(void *arg)
{
    trial *t = arg;
    return (t->o->stop && *t->o->stop) || t->e->set ||
           (t->recorder && mls_recorder_error(t->recorder)->set);
}

/* ---- Resuming --------------------------------------------------------------------------- */

static mls_value *kept(trial *t, const mls_value *note, const char *key)
{
    return mls_value_copy(&t->arena, mls_value_get(note, key));
}

/* A checkpoint gets its own name before it gets that of the best: killed in between, or
 * with a full disk, the older best would stay.                                           */
static int best_again(trial *t, const char *path, const mls_value *note)
{
    mls_arena a = { 0 };
    mls_bundle b = { .arena = &a };
    const mls_value *step = mls_value_get(t->best, "step");
    int ok = 1;
    if (step && step->integer == t->step) {
        mls_loop_bundle(t->model.loop, &b);
        ok = save_best(t, path, &b, mls_value_to_json(&a, note, 0));
    }
    mls_arena_free(&a);
    return ok;
}

/* 1: continues after t->step; 0: from the start; -1 and e. */
static int resume(trial *t, const mls_registry *r, const mls_value *config,
                  const mls_sink *sink)
{
    int64_t step[MOST_CHECKPOINTS];
    char path[4200];
    const int n = mls_model_checkpoints(t->dir, step, MOST_CHECKPOINTS);
    for (int i = 0; i < n; i++) {
        mls_error why = { 0 };
        mls_value *note = NULL;
        snprintf(path, sizeof path, "%s/checkpoint-%lld.h5", t->dir,
                 (long long)step[i]);
        if (!mls_model_read(&t->model, path, &note, &why)) {
            say(t, "%s; trying an older one", why.text);
            continue;
        }
        const char *identity = mls_value_get_string(note, "identity", "", &why);
        if (strcmp(identity, t->model.identity)) {
            mls_error_set(t->e,
                          "%s belongs to another configuration, or its components were "
                          "built anew since; use another folder, or remove this one",
                          path);
            return -1;
        }
        t->step = t->saved = mls_value_get_int(note, "step", step[i], &why);
        t->metric_bytes = mls_value_get_int(note, "metrics_bytes", 0, &why);
        t->seconds += mls_value_get_real(note, "seconds", 0, &why);
        t->train_seconds = mls_value_get_real(note, "train_seconds", 0, &why);
        t->evaluation = kept(t, note, "validation");
        t->best = kept(t, note, "best");
        mls_value *last = kept(t, note, "last");
        if (last && last->kind == MLS_V_MAP) t->last = last;
        if (!best_again(t, path, note)) return -1;
        say(t, "continues after step %lld", (long long)t->step);
        return 1;
    }
    if (!n) return 0;
    /* None was whole; the last one read may have left its bytes behind. */
    mls_model_close(&t->model);
    return mls_model_open(&t->model, r, config, sink, t->e) ? 0 : -1;
}

/* ---- The whole ------------------------------------------------------------------- */

static int open_recorder(trial *t)
{
    mls_model *m = &t->model;
    mls_arena *a = &t->arena;
    mls_request *requests = NULL;
    mls_channel *channels = NULL;
    int n = 0;
    if (!mls_request_parse(mls_value_get(m->config, "record"), &requests, &n, a,
                           t->e) &&
        t->e->set)
        return 0;
    mls_run *run = mls_loop_run_of(m->loop);
    const int n_channels = run ? mls_run_channels(run, &channels, a) : 0;
    const int64_t T = mls_feed_shape(m->feed)->steps;
    if (n)
        mls_request_bytes(requests, n, channels, n_channels, T, m->batch,
                          planned(t) ? planned(t) : UNKNOWN_STEPS, record_limit, t->e);
    if (t->e->set) return 0;
    const mls_provenance p =
        mls_provenance_make(a, t->o->registry, t->o->command_line, t->threads, m->seed);
    const mls_recorder_config c = {
        .dir = t->dir,
        .request = requests,
        .n_requests = n,
        .channel = channels,
        .n_channels = n_channels,
        .T = T,
        .B = m->batch,
        .step_ms = mls_value_get_real(m->config, "step_ms", 1.0, t->e),
        .config_yaml = mls_value_to_yaml(a, m->config),
        .provenance = (const char *const(*)[2])p.fact,
        .n_provenance = p.n,
        .resume_step = t->step,
        .metric = metric_names,
        .n_metrics = (int)(sizeof metric_names / sizeof *metric_names)};
    t->recorder = mls_recorder_open(&c, t->e);
    if (!t->recorder) return 0;
    if (mls_recorder_warning(t->recorder))
        say(t, "%s", mls_recorder_warning(t->recorder));
    mls_watch_attach(&t->training, run, n ? t->recorder : NULL, 0, a);
    mls_watch_attach(&t->evaluating, mls_loop_evaluation_run(m->loop),
                     n ? t->recorder : NULL, 1, a);
    t->training.step = t->step + 1;
    t->evaluating.step = t->step;
    return 1;
}

static void test(trial *t, mls_value *result)
{
    mls_metric m[MOST_METRICS], all[MOST_METRICS];
    if (mls_feed_count(t->model.feed, MLS_TEST) <= 0) return;
    mls_watch_clear(&t->evaluating);
    int n = mls_loop_evaluate(t->model.loop, MLS_TEST, m, MOST_METRICS - 1);
    if (n <= 0 || t->e->set) return;
    n = with_rate(t, m, n, all);
    record(t, t->step, "test", all, n);
    mls_value_set(&t->arena, result, "test", metric_map(&t->arena, all, n));
}

static int finish(trial *t, mls_outcome outcome)
{
    mls_arena *a = &t->arena;
    mls_value *r = mls_value_map(a);
    if (t->saved != t->step && !on_checkpoint(t, t->step, 0)) return 0;
    mls_value_set(a, r, "outcome",
                  mls_value_string(a, outcome == MLS_EARLY ? "early" : "done"));
    mls_value_set(a, r, "steps", mls_value_int(a, t->step));
    mls_value_set(a, r, "parameters",
                  mls_value_int(a, mls_net_parameters(t->model.net)));
    mls_work work;
    if (!mls_net_work(t->model.net, mls_feed_shape(t->model.feed)->steps, &work, t->e)) return 0;
    mls_value_set(a, r, "macs", mls_value_real(a, work.macs));
    mls_value_set(a, r, "dense_macs", mls_value_real(a, work.dense));
    test(t, r);
    if (t->e->set) return 0;
    if (t->evaluation) mls_value_set(a, r, "validation", t->evaluation);
    if (t->best) mls_value_set(a, r, "best", t->best);
    mls_value_set(a, r, "train", t->last);
    const mls_value *rate = mls_value_get_path(r, "test.spike_rate");
    if (!rate) rate = mls_value_get(t->evaluation, "spike_rate");
    if (rate) mls_value_set(a, r, "spike_rate", mls_value_real(a, rate->real));
    const int closed = mls_metrics_close(&t->metrics);
    if (!closed) mls_error_set(t->e, "%s: cannot be written", t->metrics.path);
    mls_recorder *recorder = t->recorder;
    t->recorder = NULL;
    if (!closed || (recorder && !mls_recorder_close(recorder, t->e))) return 0;
    const double tokens = (double)t->tokens_per_step * (double)t->step;
    mls_value_set(a, r, "seconds", mls_value_real(a, t->seconds + now()));
    mls_value_set(
        a, r, "tokens_per_second",
        mls_value_real(a, t->train_seconds > 0 ? tokens / t->train_seconds : 0));
    if (mls_memory_peak() > 0)
        mls_value_set(a, r, "peak_memory", mls_value_int(a, mls_memory_peak()));
    mls_value_set(a, r, "identity", mls_value_string(a, t->model.identity));
    return mls_files_write(t->dir, "result.yaml", mls_value_to_yaml(a, r), t->e);
}

/* 1 when dir already holds the result of this configuration; -1 and e for another's. */
static int complete(trial *t)
{
    const char *path = mls_arena_printf(&t->arena, "%s/result.yaml", t->dir);
    if (access(path, F_OK) != 0) return 0;
    const mls_value *v = mls_yaml_read(&t->arena, path, t->e);
    const char *identity = mls_value_get_string(v, "identity", "", t->e);
    if (t->e->set) return -1;
    if (!strcmp(identity, t->model.identity)) return 1;
    mls_error_set(t->e,
                  "%s is the result of another configuration, or its components were "
                  "built anew since; use another folder, or remove this one",
                  path);
    return -1;
}

/* 0 done, 1 stopped, -1 e. */
static int run(trial *t, const mls_value *config, const mls_sink *sink)
{
    mls_model *m = &t->model;
    if (!mls_files_folder(t->dir, t->e) ||
        !mls_model_open(m, t->o->registry, config, sink, t->e))
        return -1;
    const int has = complete(t);
    if (has) return has > 0 ? 0 : -1;
    mls_files_sweep(t->dir);
    t->threads = t->o->threads > 0
                     ? t->o->threads
                     : (int)mls_value_get_int(m->config, "threads", 0, t->e);
    if (t->threads < 1) t->threads = 1;
    mls_parfor_threads(t->threads);
    t->log = fopen(mls_arena_printf(&t->arena, "%s/log.txt", t->dir), "ae");
    if (resume(t, t->o->registry, config, sink) < 0 ||
        !mls_files_write(t->dir, "config.yaml", mls_value_to_yaml(&t->arena, m->config),
                         t->e) ||
        !mls_metrics_open(&t->metrics, t->dir, t->step, t->metric_bytes, t->e) ||
        !open_recorder(t))
        return -1;
    t->tokens_per_step = m->batch * mls_feed_shape(m->feed)->steps *
                         mls_value_get_int(m->train, "accumulate", 1, t->e);
    say(t, "%lld parameters, %lld steps, seed %llu, %d thread%s",
        (long long)mls_net_parameters(m->net), (long long)planned(t),
        (unsigned long long)m->seed, t->threads, t->threads == 1 ? "" : "s");
    t->mark = now();
    const mls_outcome outcome = mls_loop_go(m->loop);
    if (t->recorder && mls_recorder_error(t->recorder)->set)
        mls_error_set(t->e, "%s", mls_recorder_error(t->recorder)->text);
    if (outcome == MLS_FAILED)
        mls_error_set(t->e, "training failed after step %lld without saying why",
                      (long long)t->step);
    if (t->e->set) return -1;
    if (outcome == MLS_STOPPED) {
        say(t, "stopped after step %lld", (long long)t->step);
        return 1;
    }
    return finish(t, outcome) ? 0 : -1;
}

int mls_trial_run(const mls_value *config, const char *dir, const mls_trial_options *o,
                  mls_error *e)
{
    trial t = { .o = o, .dir = dir, .e = e, .seconds = -now() };
    const mls_sink sink = { &t, on_step, on_evaluation, on_checkpoint, on_stop };
    t.last = mls_value_map(&t.arena);
    const int end = run(&t, config, &sink);
    if (end < 0) say(&t, "failed: %s", e->text);
    else if (end == 0) say(&t, "done");
    mls_recorder_abandon(t.recorder);
    mls_metrics_close(&t.metrics);
    mls_model_close(&t.model);
    if (t.log && fclose(t.log) != 0)
        mls_error_set(e, "%s/log.txt: %s", dir, strerror(errno));
    mls_arena_free(&t.arena);
    return end;
}
