/* rates.h - what this machine can do, measured in the same run as the rows: the roof
 * that a row's time is held against.
 *
 *   product   GFLOP/s for one shape: the better of OpenBLAS in one call and of mls's
 *             own product of many rows; with more threads that alone
 *   exp       2^x by the polynomial of mls/kernel.h, no ranges checked, over an array
 *             in the first cache, per ns
 *   near, far a = b + s c over arrays of 6 MiB and of 96 MiB together, bytes per ns:
 *             three arrays counted, though writing one also reads it
 *
 * A rate is the best of all tries in a run, since others may be using the machine. */
#ifndef MLS_BENCH_RATES_H
#define MLS_BENCH_RATES_H

#include <stdint.h>

/* C [m][n] = op(A) op(B) with the sum over k. */
typedef struct mls_bench_shape {
    int trans_a, trans_b;
    int64_t m, n, k;
} mls_bench_shape;

enum { MLS_SHAPES = 256 };

typedef struct mls_bench_rates_of {
    int threads;
    double exp, near, far; /* per ns: G/s */
    double square;         /* GFLOP/s of 512 x 512 x 512 */
    struct {
        mls_bench_shape shape;
        double rate;
    } product[MLS_SHAPES]; /* GFLOP/s */
    int n;
} mls_bench_rates_of;

/* Measures with the threads that parfor now has: all but products, and those products
 * that were asked for already; called again it keeps what is best.  0: no memory. */
int mls_bench_measure_rates(mls_bench_rates_of *r);
/* GFLOP/s of a shape; measures one that is new. */
double mls_bench_product_rate(mls_bench_rates_of *r, mls_bench_shape s);

#endif
