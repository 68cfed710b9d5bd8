/* clock.h - time and the middle of several measurements. */
#ifndef MLS_BENCH_CLOCK_H
#define MLS_BENCH_CLOCK_H

#include <stdint.h>

/* Seconds on the wall, and of processor time of all threads of this process. */
typedef struct mls_bench_time {
    double wall, cpu;
} mls_bench_time;

mls_bench_time mls_bench_now(void);
mls_bench_time mls_bench_since(mls_bench_time begin);
mls_bench_time mls_bench_plus(mls_bench_time a, mls_bench_time b);

/* Of n values: median and quartiles, by linear interpolation.  Sorts x. */
typedef struct mls_bench_middle {
    double median, low, high, least;
} mls_bench_middle;
mls_bench_middle mls_bench_spread(double *x, int n);

#endif
