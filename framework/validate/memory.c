/* memory.c - cases about what a component costs: no memory once warm, the same for
 * every step, nothing kept behind; and how fast it is.
 */
#include "kern/kern.h"
#include "validate/count.h"
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
size_t __sanitizer_get_current_allocated_bytes(void); /* not every gcc has its header */
#elif defined(__GLIBC__)
#include <malloc.h>
#endif

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#if __GLIBC_PREREQ(2, 33)
#define HAS_MALLINFO2 1
#endif
#endif

/* Bytes that were asked for and not given back; 0 where the system cannot tell. */
static int64_t in_use(void)
{
#if defined(HAS_MALLINFO2)
    const struct mallinfo2 m = mallinfo2();
    return (int64_t)(m.uordblks + m.hblkhd);
#elif defined(__SANITIZE_ADDRESS__)
    return (int64_t)__sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void forward(mls_rig *r, const mls_batch *b)
{
    if (!mls_run_forward(r->run, b, 0))
        mls_probe_fail(r->p, "%s: %s", r->v->title, mls_run_error(r->run)->text);
}

/* ---- No malloc ---------------------------------------------------------------------
 */

typedef struct tally {
    int64_t calls, plugin, bytes;
    const char *who;
} tally;

static tally take(void)
{
    tally t = {0};
    t.calls = mls_count_calls(&t.who, &t.plugin);
    t.bytes = in_use();
    return t;
}

static void judge(mls_rig *r, const tally *from, const char *doing)
{
    const tally to = take();
    if (to.plugin != from->plugin)
        mls_probe_fail(
            r->p,
            "%s: the plugin calls %s: %lld calls in %s, expected none once warm; a "
            "component gets its memory from alloc in setup, tensor in forward and "
            "scratch in an op",
            r->v->title, to.who, (long long)(to.plugin - from->plugin), doing);
    if (to.calls != from->calls)
        mls_probe_fail(
            r->p,
            "%s: %lld allocations in %s, expected none once warm: it asks for more "
            "tensors or scratch with every step",
            r->v->title, (long long)(to.calls - from->calls), doing);
    if (to.bytes > from->bytes)
        mls_probe_fail(r->p, "%s: %lld bytes more are in use after %s", r->v->title,
                       (long long)(to.bytes - from->bytes), doing);
}

static void streaming(mls_rig *r)
{
    mls_batch b;
    for (int64_t t = 0; t < 5; t++) {
        b = mls_rig_piece(r, t, 1);
        forward(r, &b);
    }
    const tally before = take();
    for (int64_t t = 0; t < 60; t++) {
        b = mls_rig_piece(r, t % r->T, 1);
        forward(r, &b);
    }
    judge(r, &before, "60 steps");
}

static void training(mls_rig *r)
{
    tally before = {0};
    for (int i = 0; i < 8; i++) {
        if (i == 3) before = take();
        mls_run_reset(r->run);
        forward(r, &r->batch);
        mls_run_backward_from(r->run, r->weight);
    }
    judge(r, &before, "5 training steps");
}

static void no_malloc_in_step(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    const int slots = mls_count_watch((const void *)(uintptr_t)p->c->forward);
    if (slots < 0)
        mls_probe_skip(p, "calls to malloc cannot be counted on this system");
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, 0, p->seed);
        streaming(&r);
        mls_rig_close(&r);
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_TRAIN, p->seed);
        training(&r);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
    mls_probe_note(p, "%d calls of the plugin's can ask for memory", slots);
}

/* ---- Step after step ----------------------------------------------------------------
 */

/* Bytes of memory that are resident; 0 where the system cannot tell. */
static int64_t resident(void)
{
    long long pages = 0, all = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    const int n = fscanf(f, "%lld %lld", &all, &pages);
    fclose(f);
    return n == 2 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

/* What one streaming step costs, in figures that hardly depend on the machine. */
typedef struct cost {
    double bytes, flops;
    size_t peak;
    int64_t heap, resident;
} cost;

static cost cost_of(mls_rig *r)
{
    const mls_tape *t = mls_run_tape(r->run);
    return (cost){t->bytes, t->flops, t->arena.peak + t->floats.peak, in_use(), resident()};
}

/* What may be in use beside: little, but a collector of garbage (Lua's) comes late, and
 * pages are touched when they are. */
static int64_t slack(const mls_rig *r, int64_t steps)
{
    return strstr(r->p->target->path ? r->p->target->path : "", ".lua") ? 2 << 20
                                                                        : 4 * steps;
}

static void same_cost(mls_rig *r, const cost *a, int64_t step)
{
    const cost b = cost_of(r);
    const char *what = NULL;
    double x = 0.0, y = 0.0;
    if (b.bytes != a->bytes) {
        what = "bytes of tensors", x = a->bytes, y = b.bytes;
    } else if (b.flops != a->flops) {
        what = "operations", x = a->flops, y = b.flops;
    } else if (b.peak != a->peak) {
        what = "bytes of memory for a step", x = (double)a->peak, y = (double)b.peak;
    } else if (b.heap > a->heap + slack(r, step)) {
        what = "bytes of memory in use", x = (double)a->heap, y = (double)b.heap;
    } else if (b.resident > a->resident + (16 << 20)) {
        what = "bytes of resident memory", x = (double)a->resident,
        y = (double)b.resident;
    }
    if (what)
        mls_probe_fail(
            r->p,
            "%s: step %lld costs more than step 10: %.0f %s, then %.0f; a step "
            "must not depend on how many came before",
            r->v->title, (long long)step, x, what, y);
}

/* Least time of a few bundles of steps: what disturbs a measurement makes it longer. */
static double best(mls_rig *r, int64_t steps, int64_t *at)
{
    double least = 1e30;
    for (int k = 0; k < 5; k++) {
        const double from = now();
        for (int64_t i = 0; i < steps / 5; i++, ++*at) {
            const mls_batch b = mls_rig_piece(r, *at % r->T, 1);
            forward(r, &b);
        }
        least = fmin(least, (now() - from) / (double)(steps / 5));
    }
    return least;
}

static void flat(mls_rig *r, int64_t last, double limit)
{
    int64_t at = 0;
    for (; at < 10; at++) {
        const mls_batch b = mls_rig_piece(r, at % r->T, 1);
        forward(r, &b);
    }
    const cost early = cost_of(r);
    const double start = now(), first = best(r, 500, &at);
    while (at < last - 500 && now() - start < limit) {
        const mls_batch b = mls_rig_piece(r, at++ % r->T, 1);
        forward(r, &b);
    }
    const double end = best(r, 500, &at);
    same_cost(r, &early, at);
    if (end > 3.0 * first && (end - first) * (double)at > 0.01)
        mls_probe_warn(r->p, "%s: step %lld took %.3g us, step 10 %.3g us", r->v->title,
                       (long long)at, 1e6 * end, 1e6 * first);
    if (!r->v->turned && !r->v->open)
        mls_probe_note(r->p, "%.2g us a step at the start, %.2g us at step %lld",
                       1e6 * first, 1e6 * end, (long long)at);
}

static void step_cost_flat(mls_probe *p)
{
    static const mls_rig_size small = {8, 1, 0};
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        const mls_mark mark = mls_arena_mark(&p->arena);
        mls_rig r;
        mls_rig_open(&r, p, &v[i], small, 0, p->seed);
        flat(&r, i ? 2000 : 100000, i ? 0.1 : 1.5);
        mls_rig_close(&r);
        mls_arena_release(&p->arena, mark);
    }
}

/* ---- Speed -------------------------------------------------------------------------
 */

enum { SPEED_T = 256, SPEED_B = 8, SPEED_WIDTH = 64, SIDE = 192 };
#define SLOW_SHARE 0.02     /* of what a product of matrices gives               */
#define SLOW_TOKENS 50000.0 /* a second                                          */

/* Operations a second of one core, in a product that fits a cache. */
static double gemm_rate(mls_probe *p)
{
    float *m = mls_values_room(p, 3 * SIDE * SIDE, sizeof *m);
    double least = 1e30;
    for (int k = 0; k < 8; k++) {
        const double from = now();
        mls_k_gemm(0, 0, SIDE, SIDE, SIDE, 1.0f, m, SIDE, m + SIDE * SIDE, SIDE, 0.0f,
                   m + 2 * SIDE * SIDE, SIDE);
        least = fmin(least, now() - from);
    }
    return 2.0 * SIDE * SIDE * SIDE / fmax(least, 1e-9);
}

static double training_time(mls_rig *r)
{
    double least = 1e30;
    const double start = now();
    for (int k = 0; k < 5 && (k < 2 || now() - start < 0.5); k++) {
        const double from = now();
        mls_run_reset(r->run);
        forward(r, &r->batch);
        mls_run_backward_from(r->run, r->weight);
        least = fmin(least, now() - from);
    }
    return least;
}

static void speed(mls_probe *p)
{
    static const mls_rig_size size = {SPEED_T, SPEED_B, SPEED_WIDTH};
    const mls_variant *v;
    mls_cost c;
    mls_error e = {0};
    mls_rig r;
    mls_probe_variants(p, &v);
    mls_rig_open(&r, p, v, size, MLS_TRAIN, p->seed);
    const double seconds = training_time(&r), peak = gemm_rate(p);
    const double tokens = SPEED_T * SPEED_B / seconds;
    mls_rig_close(&r);
    mls_rig_open(&r, p, v, size, MLS_TRAIN, p->seed);
    r.shape.per_step = 1;
    const int known = mls_net_cost(r.net, SPEED_T, SPEED_B, &c, &e);
    const double share = known ? c.flops / seconds / peak : 0.0;
    mls_rig_close(&r);
    mls_probe_note(p,
                   "%.0f tokens/s forward and backward at width %d, %d x %d; %.2g "
                   "Gflop/s, %.1f %% "
                   "of a matrix product",
                   tokens, SPEED_WIDTH, SPEED_T, SPEED_B,
                   known ? c.flops / seconds / 1e9 : 0.0, 100.0 * share);
    if (tokens < SLOW_TOKENS && share < SLOW_SHARE)
        mls_probe_warn(
            p,
            "%s: %.0f tokens/s forward and backward at width %d, with %.2g %% of the "
            "speed of a matrix product",
            v->title, tokens, SPEED_WIDTH, 100.0 * share);
}

/* ---- Leaks -------------------------------------------------------------------------
 */

enum { NETWORKS = 50, WARM = 20 };

static void life(mls_probe *p, const mls_variant *v)
{
    const mls_mark mark = mls_arena_mark(&p->arena);
    mls_rig r;
    mls_rig_open(&r, p, v, (mls_rig_size){.T = 5, .B = 2}, MLS_TRAIN, p->seed);
    mls_rig_backward(&r);
    mls_rig_close(&r);
    mls_arena_release(&p->arena, mark);
}

static void no_leak(mls_probe *p)
{
    const mls_variant *v;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; i < n; i++) {
        int64_t before = 0;
        for (int k = 0; k < NETWORKS; k++) {
            if (k == WARM) before = in_use();
            life(p, &v[i]);
        }
        const int64_t more = in_use() - before;
        if (more < (NETWORKS - WARM) * 16) continue;
        mls_probe_fail(
            p,
            "%s: after %d networks were built, run and freed %lld bytes more are in "
            "use, "
            "%lld a network: what setup or forward takes from malloc nobody frees",
            v[i].title, NETWORKS - WARM, (long long)more,
            (long long)(more / (NETWORKS - WARM)));
    }
}

const mls_case mls_cases_memory[] = {
    {"no-malloc-in-step", "Once warm, no step and no training step asks for memory",
     MLS_NETWORK_KINDS | MLS_FILES_ONLY, 20, no_malloc_in_step},
    {"step-cost-flat", "Step 100,000 costs what step 10 did", MLS_NETWORK_KINDS, 20,
     step_cost_flat},
    {"speed", "It is not far slower than its arithmetic (a warning only)",
     MLS_NETWORK_KINDS, 20, speed},
    {"no-leak", "50 networks built, run and freed leave no memory behind",
     MLS_NETWORK_KINDS | MLS_FILES_ONLY, 20, no_leak},
    {0}};
