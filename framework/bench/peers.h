/* peers.h - the same rows in PyTorch and its packages, by a Python process of its own
 * that answers requests over a pipe (scripts/bench/peers.py).  It takes its turn
 * between our repeats.  What does not give our outputs and gradients is told, and not
 * timed. */
#ifndef MLS_BENCH_PEERS_H
#define MLS_BENCH_PEERS_H

#include "base/value.h"
#include "bench/clock.h"

#include <stdio.h>

enum { MLS_BENCH_RIVALS = 4, MLS_BENCH_PEERS = 3 }; /* variants of a row; Pythons */

typedef struct mls_bench_peers {
    int pid, threads;
    FILE *to, *from;
    char *line;
    size_t room;
    char *folder;         /* for the files that go over */
    const char *versions; /* "torch 1.13.0, ncps 1.0.1" */
    const char *torch;    /* "1.13.0" */
    const char *absent;   /* "ncps, mambapy"; "" when all are there */
    mls_arena arena;
} mls_bench_peers;

/* A variant of a row, as it was measured. */
typedef struct mls_bench_rival {
    const char *name, *label; /* "best", "scaled_dot_product_attention" */
    mls_bench_peers *peers;   /* whose it is */
    const char *why;          /* NULL, or why it was not measured */
    const char *worst;        /* the tensor that is farthest from ours */
    double error;             /* and how far: size of the difference over size */
    double saved;             /* bytes kept for backward */
    int n;                    /* measurements */
    double *sample[4];        /* wall, cpu, forward, backward */
    mls_bench_middle wall, cpu;
    double forward, backward, spent;
} mls_bench_rival;

/* Starts it. 0 and e on failure; stop anyway. */
int mls_bench_peers_start(mls_bench_peers *p, const char *python, const char *script,
                          int threads, mls_error *e);
void mls_bench_peers_stop(mls_bench_peers *p);
/* The script if none is given: of the source tree that this program was built in, or of
 * the folder of work.  NULL and e. */
const char *mls_bench_peers_script(mls_arena *a, const char *given, mls_error *e);
/* Opens a row from the file, which may go afterwards, and compares each variant with
 * ours: fills out, returns how many.  repeats: room for measurements.  -1 and e on
 * failure. */
int mls_bench_peers_open(mls_bench_peers *p, const char *row, const char *file,
                         double tolerance, int repeats, mls_bench_rival *out,
                         mls_error *e);
/* One measurement.  0 and e on failure. */
int mls_bench_peers_run(const char *row, mls_bench_rival *r, mls_error *e);
/* Medians; the row is closed. */
void mls_bench_peers_finish(const char *row, mls_bench_rival *r, int n);

#endif
