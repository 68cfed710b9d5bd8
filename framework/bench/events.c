/* events.c - products with spikes at several rates: of whole matrices, of events alone. */
#include "bench/bench.h"

#include "base/parfor.h"
#include "base/philox.h"
#include "grad/events.h"
#include "grad/ops.h"

#include <math.h>
#include <string.h>

enum { CASES = 2, RATES = 8, WAYS = 2, FORWARD = 0, BACKWARD = 1, MOST_REPEATS = 64 };

static const double rate_of[RATES] = { 0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.30, 0.50 };

typedef struct bench_case {
    const char *name;
    int64_t     k, n;
    float      *x, *w, *dw, *gy;
    float      *y[WAYS], *got[WAYS];  /* outputs and weight gradients of each way      */
    double      took[WAYS][2][MOST_REPEATS];
} bench_case;

static float *numbers(mls_arena *a, int64_t n)
{
    return mls_arena_zalloc(a, (size_t)n * sizeof(float));
}

static int open_case(bench_case *c, mls_arena *a, int64_t rows, uint64_t key)
{
    c->x = numbers(a, rows * c->k);
    c->w = mls_bench_noise(a, c->n * c->k, key);
    c->gy = mls_bench_noise(a, rows * c->n, key + 1);
    c->dw = numbers(a, c->n * c->k);
    int ok = c->x && c->w && c->gy && c->dw;
    for (int i = 0; i < WAYS; i++) {
        c->y[i] = numbers(a, rows * c->n);
        c->got[i] = numbers(a, c->n * c->k);
        ok &= c->y[i] && c->got[i];
    }
    return ok;
}

static void spikes(bench_case *c, int64_t rows, double rate)
{
    for (int64_t i = 0; i < rows * c->k; i += 4) {
        uint32_t u[4];
        mls_philox(91, (uint64_t)i, u);
        for (int64_t j = i; j < i + 4 && j < rows * c->k; j++)
            c->x[j] = (double)u[j - i] < rate * 4294967296.0 ? 1.0f : 0.0f;
    }
}

/* linear forward and backward, with no gradient of the input: it is dense either way. */
static int run_case(bench_case *c, mls_tape *t, mls_bench_size s, int way, int repeat, mls_error *e)
{
    mls_ctx ctx = { e, c->name, t, NULL, 1, NULL, NULL };
    mls_tape_reset(t);
    t->events = way ? MLS_EVENTS_ALWAYS : MLS_EVENTS_NEVER;
    memset(c->dw, 0, (size_t)(c->n * c->k) * sizeof *c->dw);
    mls_t x = mls_tape_wrap(&ctx, c->x, NULL, 0, s.T, s.B, c->k);
    mls_t w = mls_tape_wrap(&ctx, c->w, c->dw, 0, 1, c->n, c->k);
    mls_tape_mark_spikes(x);
    mls_bench_time begin = mls_bench_now();
    mls_t y = mls_grad_linear(&ctx, x, w, NULL);
    c->took[way][FORWARD][repeat] = mls_bench_since(begin).cpu;
    float *g = mls_tape_grad(&ctx, y);
    if (e->set) return 0;
    memcpy(c->y[way], y->data, (size_t)y->count * sizeof(float));
    memcpy(g, c->gy, (size_t)y->count * sizeof(float));
    begin = mls_bench_now();
    mls_tape_backward(&ctx);
    c->took[way][BACKWARD][repeat] = mls_bench_since(begin).cpu;
    memcpy(c->got[way], c->dw, (size_t)(c->n * c->k) * sizeof(float));
    return !e->set;
}

/* The largest difference of a and b over the largest of a. */
static double off(const float *a, const float *b, int64_t n)
{
    double far = 0.0, size = 0.0;
    for (int64_t i = 0; i < n; i++) {
        far = fmax(far, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)a[i]));
    }
    return size > 0.0 ? far / size : far;
}

static void set(mls_bench *b, mls_value *row, const char *key, double x)
{
    mls_value_set(&b->arena, row, key, mls_value_real(&b->arena, x));
}

static void tell(mls_bench *b, mls_value *list, bench_case *c, int64_t rows, double rate,
                 int repeats)
{
    double ms[WAYS][2];
    mls_value *row = mls_value_map(&b->arena);
    for (int way = 0; way < WAYS; way++)
        for (int part = 0; part < 2; part++)
            ms[way][part] = 1e3 * mls_bench_spread(c->took[way][part], repeats).median;
    mls_value_set(&b->arena, row, "product", mls_value_string(&b->arena, c->name));
    set(b, row, "rate %", 100.0 * rate);
    set(b, row, "forward ms", ms[0][FORWARD]);
    set(b, row, "of events", ms[1][FORWARD]);
    set(b, row, "ratio", ms[0][FORWARD] / ms[1][FORWARD]);
    set(b, row, "weight ms", ms[0][BACKWARD]);
    set(b, row, "of its events", ms[1][BACKWARD]);
    set(b, row, "its ratio", ms[0][BACKWARD] / ms[1][BACKWARD]);
    const double far = fmax(off(c->y[0], c->y[1], rows * c->n),
                            off(c->got[0], c->got[1], c->n * c->k));
    mls_value_set(&b->arena, row, "differ by",
                  mls_value_string(&b->arena, mls_arena_printf(&b->arena, "%.0e", far)));
    mls_value_push(&b->arena, list, row);
}

int mls_bench_events(mls_bench *b, mls_bench_size s, mls_error *e)
{
    if (!s.T) s.T = 1024;
    if (!s.B) s.B = 8;
    if (!s.D) s.D = 128;
    bench_case c[CASES] = { { .name = "encoder -> liquid", .k = s.D, .n = 128 },
                            { .name = "adapter -> mixer", .k = s.D, .n = 4 * s.D } };
    const int repeats = b->repeats < MOST_REPEATS ? b->repeats : MOST_REPEATS;
    mls_tape tape = { .flags = MLS_TRAIN };
    for (int i = 0; i < CASES && !e->set; i++)
        if (!open_case(&c[i], &b->arena, s.T * s.B, 10 * (uint64_t)i + 1))
            mls_error_set(e, "out of memory for %s", c[i].name);
    mls_value *list = mls_value_list(&b->arena);
    b->table[b->n_tables].name = "events";
    b->table[b->n_tables].title = "Products with spikes, of the whole matrix and of events";
    b->table[b->n_tables++].list = list;
    mls_parfor_threads(b->threads);
    for (int r = 0; r < RATES; r++)
        for (int i = 0; i < CASES && !e->set; i++) {
            spikes(&c[i], s.T * s.B, rate_of[r]);
            for (int repeat = -1; repeat < repeats && !e->set; repeat++)  /* one warms up */
                for (int way = 0; way < WAYS; way++)
                    if (!run_case(&c[i], &tape, s, way, repeat < 0 ? 0 : repeat, e)) break;
            if (!e->set) tell(b, list, &c[i], s.T * s.B, rate_of[r], repeats);
            if (b->stop && *b->stop) r = RATES;
        }
    mls_tape_free(&tape);
    return !e->set;
}
