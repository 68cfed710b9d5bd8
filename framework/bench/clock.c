#include "bench/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t)) return 0.0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

mls_bench_time mls_bench_now(void)
{
    return (mls_bench_time){seconds(CLOCK_MONOTONIC),
                            seconds(CLOCK_PROCESS_CPUTIME_ID)};
}

mls_bench_time mls_bench_since(mls_bench_time begin)
{
    const mls_bench_time now = mls_bench_now();
    return (mls_bench_time){now.wall - begin.wall, now.cpu - begin.cpu};
}

mls_bench_time mls_bench_plus(mls_bench_time a, mls_bench_time b)
{
    return (mls_bench_time){a.wall + b.wall, a.cpu + b.cpu};
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at(const double *x, int n, double part)
{
    const double place = part * (n - 1);
    const int i = (int)place;
    return i + 1 < n ? x[i] + (place - i) * (x[i + 1] - x[i]) : x[n - 1];
}

mls_bench_middle mls_bench_spread(double *x, int n)
{
    if (n < 1) return (mls_bench_middle){NAN, NAN, NAN, NAN};
    qsort(x, (size_t)n, sizeof *x, rising);
    return (mls_bench_middle){at(x, n, 0.5), at(x, n, 0.25), at(x, n, 0.75), x[0]};
}
