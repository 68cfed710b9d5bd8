/* quantize.c - mls quantize: a network's weights in 8 bits, and what that costs and gives. */
#include "cli/cli.h"
#include "lua/component.h"
#include "study/quantize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { MOST_METRICS = 32, ROUNDS = 9 };

const mls_flag mls_cli_quantize_flags[] = {
    { "-o", MLS_FLAG_VALUE, "FILE.h5", "what is written" },
    { "--keep", MLS_FLAG_VALUE, "PATTERN",
      "matrices that stay floats, as \"head.*\"; may be given several times (none)" },
    { "--split", MLS_FLAG_VALUE, "training|validation|test",
      "which samples tell the loss before and after (test if any)" },
    { NULL, MLS_FLAG_NONE, NULL, NULL }
};

static const char *const *patterns(const mls_args *args, mls_arena *a)
{
    const char **keep = mls_arena_zalloc(a, (size_t)(args->n + 1) * sizeof *keep);
    int n = 0;
    for (int i = 0; keep && i < args->n; i++)
        if (!strcmp(args->name[i], "--keep")) keep[n++] = args->value[i];
    return keep;
}

/* ---- speed: one sample, step by step, as mls generate runs ------------------------------ */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double walk(mls_run *run, const mls_batch *b, int64_t input)
{
    const double t0 = seconds();
    for (int64_t t = 0; t < b->steps; t++) {
        const mls_batch one = { .steps = 1, .batch = 1,
                                .token = b->token ? b->token + t : NULL,
                                .x = b->x ? b->x + t * input : NULL,
                                .dt = b->dt ? b->dt + t : NULL };
        mls_run_forward(run, &one, (uint64_t)t);
    }
    return (seconds() - t0) / (double)b->steps;
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct speed { double floats, int8; } speed;   /* steps a second                  */

static void set_int8(mls_net *net, const mls_quantized *q, int on)
{
    for (int i = 0; i < mls_net_weights(net); i++)
        mls_net_set_int8(net, i, on && q->weight[i].q ? &q->weight[i] : NULL);
}

/* Medians of rounds in turn, of processor time. */
static speed measure(mls_model *m, const mls_quantized *q, int split, mls_error *e)
{
    const int64_t input = mls_feed_shape(m->feed)->input;
    double taken[2][ROUNDS];
    mls_stage *stage = mls_stage_new(m->feed, 1, e);
    const mls_batch *b = stage ? mls_stage_eval(stage, split, 0, e) : NULL;
    mls_run *run = b ? mls_run_new(m->net, 1, 0, e) : NULL;
    if (run) walk(run, b, input);
    for (int r = 0; run && r < ROUNDS; r++)
        for (int on = 0; on < 2; on++) {
            set_int8(m->net, q, on);
            taken[on][r] = walk(run, b, input);
        }
    if (run && mls_run_error(run)->set) mls_error_set(e, "%s", mls_run_error(run)->text);
    if (run)
        for (int on = 0; on < 2; on++) qsort(taken[on], ROUNDS, sizeof(double), rising);
    mls_run_free(run);
    mls_stage_free(stage);
    return run && !e->set ? (speed){ 1.0 / taken[0][ROUNDS / 2], 1.0 / taken[1][ROUNDS / 2] }
                          : (speed){ NAN, NAN };
}

/* ---- the verb ------------------------------------------------------------------------- */

static double kilobytes(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 ? (double)s.st_size / 1e3 : NAN;
}

static int evaluate(mls_model *m, int split, mls_metric *out, mls_error *e)
{
    mls_run *run = mls_loop_evaluation_run(m->loop);
    const int n = mls_loop_evaluate(m->loop, split, out, MOST_METRICS);
    if (run && mls_run_error(run)->set) mls_error_set(e, "%s", mls_run_error(run)->text);
    return n;
}

static void tell(const mls_model *m, const mls_quantized *q, const char *from,
                 const char *to)
{
    int64_t all;
    mls_net_data(m->net, &all);
    fprintf(stdout, "%s, of %s\n", to, from);
    fprintf(stdout, "matrices of 8 bits: %d, with %lld of %lld weights\n", q->n,
            (long long)q->rounded, (long long)all);
    fprintf(stdout, "weights: %.1f kB -> %.1f kB; files: %.1f kB -> %.1f kB\n",
            4e-3 * (double)all, q->bytes / 1e3, kilobytes(from), kilobytes(to));
}

static void quantize(mls_model *m, const mls_args *args, const char *from, mls_error *e)
{
    mls_arena *a = &m->arena;
    mls_metric before[MOST_METRICS], after[MOST_METRICS];
    mls_quantized q;
    const char *to = mls_args_get(args, "-o", NULL);
    const int split = mls_cli_split(args, m->feed, e);
    if (e->set || !mls_quantize(m->net, patterns(args, a), &q, a, e)) return;
    const int scored = mls_feed_count(m->feed, split) > 0;
    const int n = scored ? evaluate(m, split, before, e) : 0;
    if (e->set || !mls_quantize_save(to, m, &q, e)) return;
    tell(m, &q, from, to);
    if (!scored) return;
    mls_quantize_use(m->net, &q);
    const int again = evaluate(m, split, after, e);
    for (int i = 0; i < n && i < again && !e->set; i++)
        fprintf(stdout, "%s: %.6g -> %.6g (%+.2g)\n", before[i].name, before[i].value,
                after[i].value, after[i].value - before[i].value);
    const speed s = e->set ? (speed){ 0, 0 } : measure(m, &q, split, e);
    if (!e->set)
        fprintf(stdout, "steps a second, one sample step by step: %.0f -> %.0f\n", s.floats,
                s.int8);
}

int mls_verb_quantize(int argc, char **argv, mls_registry *r, mls_error *e)
{
    mls_arena a = { 0 };
    mls_args args;
    mls_model m = { 0 };
    mls_lua_file *lua = NULL;
    const char *from = "", *dir =
        mls_args_parse(&args, &a, argc, argv, mls_cli_quantize_flags, e)
            ? mls_args_word(&args, "DIR (a folder that mls train made)", e) : NULL;
    if (dir && !mls_args_has(&args, "-o"))
        mls_error_set(e, "mls quantize: -o FILE.h5 says what is written");
    const int usage = !dir || e->set;
    if (!usage && mls_lua_trial_load(r, dir, &lua, e) && mls_model_load(&m, r, dir, &from, e))
        quantize(&m, &args, from, e);
    mls_model_close(&m);
    mls_lua_file_free(lua);
    mls_arena_free(&a);
    return usage ? MLS_EXIT_USAGE : e->set ? MLS_EXIT_FAILED : MLS_EXIT_DONE;
}
