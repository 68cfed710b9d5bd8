/* bench.h - how fast mls is, and how far from what the machine could do.
 *
 * Rows (rows.c) are opened together and take turns, a repeat each, so that whatever
 * else the machine does in the meantime befalls all of them alike; medians and
 * quartiles of the repeats are told, after two repeats to warm up.  Rates are by
 * processor time with one thread, else by the wall.  Times are facts, never verdicts:
 * nothing here fails on one. */
#ifndef MLS_BENCH_BENCH_H
#define MLS_BENCH_BENCH_H

#include "base/value.h"
#include "bench/peers.h"
#include "bench/rates.h"
#include "bench/work.h"

#include <stdio.h>

typedef struct mls_bench {
    mls_registry *registry;
    int threads, repeats;
    const volatile int *stop; /* 1: enough; or NULL */
    mls_bench_peers peers[MLS_BENCH_PEERS];
    int n_peers;              /* who do the same work */
    FILE *progress;           /* a line that is written over; or NULL */
    mls_arena arena;          /* of the results */
    mls_bench_rates_of rates;
    struct mls_bench_result *result;
    int n, room;
    struct {
        const char *name, *title;
        mls_value *list;
    } table[8]; /* of long.c, events.c */
    int n_tables;
} mls_bench;

typedef struct mls_bench_result {
    const mls_bench_row *row;
    mls_bench_size size;
    int threads, repeats;
    mls_bench_middle wall, cpu; /* seconds of a repeat */
    double forward, backward;   /* medians; 0: not told apart */
    double tokens;
    mls_bench_cost cost;
    double limit;        /* seconds that the measured rates allow */
    double saved;        /* bytes kept for backward */
    int64_t peak;        /* bytes above the opened row */
    mls_bench_tally ops; /* of one repeat */
    mls_bench_rival rival[MLS_BENCH_PEERS * MLS_BENCH_RIVALS]; /* the peers' variants */
    int rivals;
} mls_bench_result;

/* Rates first, then rows: adds a result for each.  Sizes of 0 are the defaults (1,024
 * steps, 8 samples, 128 wide, or the row's own).  0 and e on failure. */
int mls_bench_rates(mls_bench *b, mls_error *e);
int mls_bench_rows(mls_bench *b, const mls_bench_row *const *row, int n,
                   mls_bench_size size, mls_error *e);
/* events.c: a table of linear products with spikes at several rates, forward and
 * gradient of the weight, made of whole matrices and of events, with how far they
 * differ. */
int mls_bench_events(mls_bench *b, mls_bench_size size, mls_error *e);
void mls_bench_free(mls_bench *b);
/* The time that rates are made of: of the processor with one thread, else on the
 * wall. */
double mls_bench_seconds(const mls_bench_result *r);

/* report.c, report_peers.c: the table; the time of each op; peers beside ours, and
 * which were left out; for a terminal or as Markdown. */
void mls_bench_print(const mls_bench *b, FILE *f, int markdown);
void mls_bench_print_ops(const mls_bench *b, FILE *f, int markdown);
void mls_bench_print_peers(const mls_bench *b, FILE *f, int markdown);
double mls_bench_rival_seconds(const mls_bench_result *r, const mls_bench_rival *p);
/* Ratios old / new of rows of equal sizes and threads in old, an earlier value.  0 and
 * e if old is none. */
int mls_bench_compare(const mls_bench *b, const mls_value *old, FILE *f, int markdown,
                      mls_error *e);
/* value.c: everything, for JSON. */
mls_value *mls_bench_value(const mls_bench *b, mls_arena *a, const char *command);

/* ---- tables of models (long.c): each adds one to b ------------------------------- */

/* Of the models among the rows (a row's spec is its mode): tokens a second one after
 * the other, with the bytes of its state, up to `tokens`. */
int mls_bench_generation(mls_bench *b, const mls_bench_row *const *row, int n,
                         int64_t tokens, mls_bench_size size, mls_error *e);
/* Memory and time of a training step from 512 steps up to `longest`, with and without
 * remat, each in a process of its own. */
int mls_bench_growth(mls_bench *b, const mls_bench_row *const *row, int n,
                     int64_t longest, mls_bench_size size, mls_error *e);
/* An evaluation over one sequence of `tokens`, 1,024 at a time: pace and memory at its
 * beginning and at its end. */
int mls_bench_million(mls_bench *b, const mls_bench_row *const *row, int n,
                      int64_t tokens, mls_bench_size size, mls_error *e);

#endif
