#include "base/memory.h"
#include "bench/bench.h"

#include "base/parfor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct runner {
    mls_bench *b;
    mls_bench_work work;
    mls_bench_result *result;
    double *wall, *cpu, *forward, *backward; /* [repeats] */
    int n;
} runner;

static mls_bench_size size_of(const mls_bench_row *row, mls_bench_size s)
{
    if (!s.T) s.T = row->T ? row->T : 1024;
    if (!s.B) s.B = 8;
    if (!s.D) s.D = row->D ? row->D : 128;
    return s;
}

double mls_bench_seconds(const mls_bench_result *r)
{
    return r->threads == 1 ? r->cpu.median : r->wall.median;
}

static void say(const mls_bench *b, const char *what, const char *row)
{
    if (b->progress) fprintf(b->progress, "\r\033[K%s%s%s", what, *row ? " " : "", row);
    if (b->progress) fflush(b->progress);
}

static int stopped(const mls_bench *b) { return b->stop && *b->stop; }

int mls_bench_rates(mls_bench *b, mls_error *e)
{
    say(b, "rates of this machine", "");
    mls_parfor_threads(b->threads);
    if (mls_bench_measure_rates(&b->rates)) return 1;
    mls_error_set(e, "out of memory for the rates of the machine");
    return 0;
}

/* ---- one row --------------------------------------------------------------------- */

static int once(runner *r, mls_bench_once *took, int watched, mls_error *e)
{
    mls_bench_result *out = r->result;
    *took = (mls_bench_once){0};
    /* what stands around a component is not its own time */
    watched |= r->work.only != NULL;
    out->ops.only = r->work.only;
    if (watched) mls_bench_tally_reset(&out->ops);
    if (r->work.tape) r->work.tape->watch = watched ? &out->ops.watch : NULL;
    const int ok = r->work.once(&r->work, took, e);
    if (e->set) mls_error_prefix(e, "%s", out->row->name);
    took->forward.wall -= out->ops.outside[0];
    took->forward.cpu -= out->ops.outside[0];
    took->backward.wall -= out->ops.outside[1];
    took->backward.cpu -= out->ops.outside[1];
    return ok;
}

/* Warms up, and learns what a repeat costs. */
static int prepare(runner *r, mls_error *e)
{
    mls_bench_result *out = r->result;
    mls_bench_once took;
    const int64_t before = mls_memory();
    mls_memory_reset();
    if (!once(r, &took, 0, e)) return 0;
    out->peak = mls_memory_peak() - before;
    if (!once(r, &took, 1, e)) return 0;
    out->saved = r->work.saved - out->ops.outside_bytes;
    out->cost = r->work.tape ? mls_bench_cost_of_tally(&out->ops) : r->work.cost;
    const mls_bench_op *op =
        out->row->op ? mls_bench_tally_find(&out->ops, out->row->op) : NULL;
    if (out->row->op && !op) {
        mls_error_set(e, "%s: no op \"%s\" runs in %s", out->row->name, out->row->op,
                      out->row->spec);
        return 0;
    }
    if (op) {
        out->cost = op->cost;
        out->saved = 0.0;
        out->peak = 0;
    }
    return 1;
}

static int repeat(runner *r, mls_error *e)
{
    mls_bench_result *out = r->result;
    mls_bench_once took;
    /* a turn finds the caches full of another row's, or of a peer's: it begins with a run
     * that does not count, there as here */
    if (!once(r, &took, 0, e)) return 0;
    if (!once(r, &took, out->row->op != NULL, e)) return 0;
    const mls_bench_op *op =
        out->row->op ? mls_bench_tally_find(&out->ops, out->row->op) : NULL;
    if (op) {
        took.forward = (mls_bench_time){op->forward, op->forward};
        took.backward = (mls_bench_time){op->backward, op->backward};
    }
    const mls_bench_time all = mls_bench_plus(took.forward, took.backward);
    const int one = out->threads == 1;
    r->wall[r->n] = all.wall;
    r->cpu[r->n] = all.cpu;
    r->forward[r->n] = one ? took.forward.cpu : took.forward.wall;
    r->backward[r->n++] = one ? took.backward.cpu : took.backward.wall;
    return 1;
}

static void finish(runner *r)
{
    mls_bench_result *out = r->result;
    out->repeats = r->n;
    out->wall = mls_bench_spread(r->wall, r->n);
    out->cpu = mls_bench_spread(r->cpu, r->n);
    if (r->work.parts) {
        out->forward = mls_bench_spread(r->forward, r->n).median;
        out->backward = mls_bench_spread(r->backward, r->n).median;
    }
    out->tokens = (double)r->work.tokens;
    out->limit = mls_bench_limit(&out->cost, &r->b->rates);
}

/* ---- peers ----------------------------------------------------------------------- */

static void meet(runner *r, mls_error *e)
{
    mls_bench *b = r->b;
    mls_bench_result *out = r->result;
    const mls_bench_row *row = out->row;
    if (!b->n_peers || !r->work.write || (row->op && !row->peers)) return;
    mls_arena a = {0};
    const char *path = mls_arena_printf(&a, "%s/%s.h5", b->peers[0].folder, row->name);
    const double tolerance = row->tolerance > 0.0 ? row->tolerance : 1e-4;
    say(b, "comparing", row->name);
    r->work.write(&r->work, path, e);
    for (int i = 0; i < b->n_peers && !e->set; i++) {
        const int n =
            mls_bench_peers_open(&b->peers[i], row->name, path, tolerance, b->repeats,
                                 &out->rival[out->rivals], e);
        if (n > 0) out->rivals += n;
    }
    unlink(path);
    if (e->set) mls_error_prefix(e, "%s", row->name);
    mls_arena_free(&a);
}

static void rivals(runner *r, mls_error *e)
{
    for (int i = 0; i < r->result->rivals && !e->set && !stopped(r->b); i++)
        mls_bench_peers_run(r->result->row->name, &r->result->rival[i], e);
}

/* ---- all rows -------------------------------------------------------------------- */

static mls_bench_result *add_result(mls_bench *b, const mls_bench_row *row,
                                    mls_bench_size size)
{
    if (b->n == b->room) {
        const int room = b->room ? 2 * b->room : 64;
        mls_bench_result *more = realloc(b->result, (size_t)room * sizeof *more);
        if (!more) return NULL;
        b->result = more;
        b->room = room;
    }
    mls_bench_result *r = &b->result[b->n];
    memset(r, 0, sizeof *r);
    r->row = row;
    r->size = size_of(row, size);
    r->threads = b->threads;
    if (!mls_bench_tally_open(&r->ops, &b->arena)) return NULL;
    b->n++;
    return r;
}

static int open_all(mls_bench *b, runner *all, const mls_bench_row *const *row, int n,
                    mls_bench_size size, mls_error *e)
{
    const int first = b->n;
    for (int i = 0; i < n; i++)
        if (!add_result(b, row[i], size))
            mls_error_set(e, "out of memory for the results");
    for (int i = 0; i < n && !e->set && !stopped(b); i++) {
        runner *r = &all[i];
        r->b = b;
        r->result = &b->result[first + i];
        r->result->ops.watch.arg = &r->result->ops;
        r->wall = mls_arena_alloc(&b->arena, 4 * (size_t)b->repeats * sizeof *r->wall);
        if (!r->wall) {
            mls_error_set(e, "out of memory for the results");
            break;
        }
        r->cpu = r->wall + b->repeats;
        r->forward = r->cpu + b->repeats;
        r->backward = r->forward + b->repeats;
        say(b, "opening", row[i]->name);
        if (!row[i]->open(&r->work, row[i], r->result->size, b->registry, e)) {
            if (!e->set) mls_error_set(e, "it cannot be opened");
            mls_error_prefix(e, "%s", row[i]->name);
        } else if (prepare(r, e)) {
            meet(r, e);
        }
        /* now the rates of its products are asked for, to be measured along the way */
        r->result->limit = mls_bench_limit(&r->result->cost, &b->rates);
    }
    return !e->set;
}

int mls_bench_rows(mls_bench *b, const mls_bench_row *const *row, int n,
                   mls_bench_size size, mls_error *e)
{
    runner *all = calloc((size_t)n + 1, sizeof *all);
    const int first = b->n;
    if (!all) {
        mls_error_set(e, "out of memory for the rows");
        return 0;
    }
    mls_parfor_threads(b->threads);
    open_all(b, all, row, n, size, e);
    for (int k = 0; k < b->repeats && !e->set && !stopped(b); k++) {
        mls_bench_rates(b, e);
        for (int i = 0; i < n && !e->set && !stopped(b); i++) {
            say(b, "measuring", row[i]->name);
            if (repeat(&all[i], e)) rivals(&all[i], e);
        }
    }
    say(b, "", "");
    for (int i = 0; i < n && !e->set; i++) {
        mls_bench_result *out = &b->result[first + i];
        if (all[i].n) finish(&all[i]);
        mls_bench_peers_finish(out->row->name, out->rival, out->rivals);
    }
    for (int i = 0; i < n; i++)
        if (all[i].work.self) all[i].work.close(&all[i].work);
    free(all);
    if (e->set) b->n = first;
    return !e->set;
}

void mls_bench_free(mls_bench *b)
{
    free(b->result);
    mls_arena_free(&b->arena);
}
