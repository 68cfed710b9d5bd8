/* cost.h - what a step costs at the least, op by op, and how long each op took.
 *
 * A tally watches a tape (grad/tape.h).  Of each op it finds, from the shapes alone,
 *   products   with their shapes: linear's three, those inside of cfc.scan, attention
 *   flops      of the products, and what the op itself counts for the rest
 *   exps       E N a step for mamba.scan, forward and again in backward; one for each
 *              score, synapse, sigmoid ...; those of backward where it takes them again
 *   vector     multiply-adds outside of products
 *   bytes      of large arrays that are read or written once; near: where all those of
 *              the call fit a cache.  Copies (slice, concat, join) count as nothing.
 * cost.c has the formula of every op it knows; another counts as its arrays' bytes and
 * the flops it declares. */
#ifndef MLS_BENCH_COST_H
#define MLS_BENCH_COST_H

#include "bench/rates.h"
#include "grad/tape.h"

enum { MLS_COST_PRODUCTS = 96, MLS_TALLY_OPS = 64, MLS_TALLY_DEPTH = 8 };

typedef struct mls_bench_cost {
    struct {
        mls_bench_shape shape;
        double count;
    } product[MLS_COST_PRODUCTS];
    int n;
    double flops, exps, vector, bytes, near; /* near: part of bytes */
} mls_bench_cost;

typedef struct mls_bench_op {
    const char *name;
    int64_t calls;
    double forward, backward; /* seconds of processor time */
    mls_bench_cost cost;
} mls_bench_op;

typedef struct mls_bench_tally {
    mls_bench_op *op; /* [MLS_TALLY_OPS] */
    int n, depth;     /* depth: ops within ops, as under remat */
    double began[MLS_TALLY_DEPTH];
    const char *only;     /* NULL, or the path of a node: ops elsewhere are
                             left out, and their time is in outside */
    double outside[2];    /* seconds forward, backward */
    double outside_bytes; /* of what they gave */
    mls_tape_watch watch; /* to hang into a tape */
} mls_bench_tally;

/* Memory from a. 0: there is none. */
int mls_bench_tally_open(mls_bench_tally *t, mls_arena *a);
void mls_bench_tally_reset(mls_bench_tally *t);
/* The first op whose name has this in it; NULL when none ran. */
const mls_bench_op *mls_bench_tally_find(const mls_bench_tally *t, const char *name);

/* What one call costs forward or backward. */
mls_bench_cost mls_bench_cost_of_call(const mls_op *op, const mls_call *k,
                                      int backward);
void mls_bench_cost_add(mls_bench_cost *to, const mls_bench_cost *more);
void mls_bench_cost_product(mls_bench_cost *c, mls_bench_shape s, double count);
mls_bench_cost mls_bench_cost_of_tally(const mls_bench_tally *t);
/* Seconds that it takes at the measured rates, one after the other: flops by the rates
 * of products, those outside of products by that of 512 x 512 x 512; exps; bytes. */
double mls_bench_limit(const mls_bench_cost *c, mls_bench_rates_of *r);

#endif
