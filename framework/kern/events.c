/* events.c - the products of events.h.
 *
 * Forward: the matrix is turned once, to [features][outputs]; a row's events are listed,
 * and the matrix' rows that they name are summed in registers, 64 outputs at a time.
 * Weight gradient: the same the other way round.  For BLOCK rows of x the events are
 * listed by feature, so that the sum of dy's rows that one feature saw stays in registers
 * as well.                                                                              */
#include "kern/events.h"

#include "base/parfor.h"
#include <mls/product.h>
#include <stdatomic.h>

enum { LANES = 8, WIDE = 64, BLOCK = 256, SPAN = 1024, ROWS = 64 };

/* Less work than this is not worth waking a thread for. */
#define WORTH_SHARING 2e7

typedef int32_t eight __attribute__((vector_size(32), aligned(4), may_alias));

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static void share(int64_t items, double work, void (*body)(int64_t i, void *arg), void *arg)
{
    if (work < WORTH_SHARING)
        for (int64_t i = 0; i < items; i++) body(i, arg);
    else
        mls_parfor(items, body, arg);
}

/* ---- finding events ------------------------------------------------------------------- */

typedef struct tally { const float *x; int64_t n, count; } tally;

MLS_INLINE void count_body(const mls_call *k)
{
    tally *p = (tally *)(uintptr_t)k->attr;
    const float *restrict x = p->x;
    int32_t count = 0;
    for (int64_t i = 0; i < p->n; i++) count += x[i] != 0.0f;
    p->count += count;
}
MLS_KERNEL(count_some, count_body)

int64_t mls_k_events_count(const float *x, int64_t n)
{
    enum { RUN = 1 << 20 }; /* fits an int32_t */
    tally p = { x, 0, 0 };
    for (int64_t i = 0; i < n; i += RUN) {
        p.x = x + i;
        p.n = n - i < RUN ? n - i : RUN;
        count_some(&(mls_call){ .attr = &p });
    }
    return p.count;
}

#if defined(__x86_64__)
/* The places of the ones of every byte, in order; made once. */
static int32_t places[256][LANES];
static atomic_int placed;

static void make_places(void)
{
    if (atomic_load(&placed)) return;
    for (int byte = 0; byte < 256; byte++)
        for (int bit = 0, n = 0; bit < LANES; bit++)
            if (byte >> bit & 1) places[byte][n++] = bit;
    atomic_store(&placed, 1);
}

/* Without a branch that depends on x: eight places are written, as many count as there
 * are.  So `to` needs room for LANES more than n. */
MLS_AVX2 static int64_t list_avx2(const float *x, int64_t n, int32_t *to)
{
    int64_t count = 0, i = 0;
    for (; i + LANES <= n; i += LANES) {
        const unsigned found = (unsigned)__builtin_ia32_movmskps256(
            (mls_v8)(*(const mls_v8 *)(x + i) != (mls_v8){ 0 }));
        *(eight *)(to + count) = *(const eight *)places[found] + (int32_t)i;
        count += __builtin_popcount(found);
    }
    for (; i < n; i++)
        if (x[i] != 0.0f) to[count++] = (int32_t)i;
    return count;
}
#else
static void make_places(void) {}
#endif

/* to[0..] = where x[n] is not zero, in order; how many. */
static int64_t list(const float *x, int64_t n, int32_t *to)
{
#if defined(__x86_64__)
    if (mls->isa != MLS_ISA_PLAIN) return list_avx2(x, n, to);
#endif
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        to[count] = (int32_t)i;
        count += x[i] != 0.0f;
    }
    return count;
}

/* ---- y = bias + x w^T ------------------------------------------------------------------- */

typedef struct forward {
    const float *x, *bias, *turned; /* turned: [k][ld] */
    float       *y;
    int64_t      rows, n, k, ld;
    int          add;
} forward;

/* V vectors of y at column j: those of `from` and what the events bring. */
#define SUM_EVENTS(V)                                                                  \
    MLS_INLINE void sum_events_##V(const forward *p, const float *x, const int32_t *at, \
                                   int64_t events, int64_t from, int64_t j, float *y)  \
    {                                                                                  \
        mls_v8 sum[V];                                                                 \
        for (int v = 0; v < V; v++) sum[v] = ((const mls_v8 *)y)[v];                   \
        for (int64_t e = 0; e < events; e++) {                                         \
            const int64_t i = from + at[e];                                            \
            const mls_v8 *w = (const mls_v8 *)(p->turned + i * p->ld + j);             \
            const float by = x[i];                                                     \
            for (int v = 0; v < V; v++) sum[v] += by * w[v];                           \
        }                                                                              \
        for (int v = 0; v < V; v++) ((mls_v8 *)y)[v] = sum[v];                         \
    }
SUM_EVENTS(8)
SUM_EVENTS(4)
SUM_EVENTS(1)

MLS_INLINE void forward_row(const forward *p, const float *x, float *y)
{
    int32_t at[SPAN + LANES];
    const int64_t n = p->n;
    if (!p->add && p->bias) memcpy(y, p->bias, (size_t)n * sizeof *y);
    if (!p->add && !p->bias) memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t from = 0; from < p->k; from += SPAN) {
        const int64_t span = p->k - from < SPAN ? p->k - from : SPAN;
        const int64_t events = list(x + from, span, at);
        int64_t j = 0;
        for (; j + WIDE <= n; j += WIDE) sum_events_8(p, x, at, events, from, j, y + j);
        for (; j + WIDE / 2 <= n; j += WIDE / 2)
            sum_events_4(p, x, at, events, from, j, y + j);
        for (; j + LANES <= n; j += LANES) sum_events_1(p, x, at, events, from, j, y + j);
        if (j == n) continue;
        float edge[LANES] = { 0 };
        memcpy(edge, y + j, (size_t)(n - j) * sizeof *y);
        sum_events_1(p, x, at, events, from, j, edge);
        memcpy(y + j, edge, (size_t)(n - j) * sizeof *y);
    }
}

MLS_INLINE void forward_body(int64_t item, void *arg)
{
    const forward *p = arg;
    const int64_t end = (item + 1) * ROWS < p->rows ? (item + 1) * ROWS : p->rows;
    for (int64_t r = item * ROWS; r < end; r++)
        forward_row(p, p->x + r * p->k, p->y + r * p->n);
}
MLS_KERNEL_BODY(forward_rows, forward_body)

int64_t mls_k_events_room(int64_t k, int64_t n) { return k * up(n, LANES); }

void mls_k_events_linear(int64_t rows, int64_t n, int64_t k, int64_t events, const float *x,
                         const float *w, int64_t ldw, const float *bias, int add, float *y,
                         float *room)
{
    make_places();
    const forward p = { x, bias, room, y, rows, n, k, up(n, LANES), add };
    for (int64_t j = 0; j < p.ld; j++)
        for (int64_t i = 0; i < k; i++) room[i * p.ld + j] = j < n ? w[j * ldw + i] : 0.0f;
    share((rows + ROWS - 1) / ROWS, 2.0 * (double)events * (double)n, forward_rows,
          (void *)(uintptr_t)&p);
}

/* ---- dw += dy^T x ----------------------------------------------------------------------- */

typedef struct weight {
    const float *dy;
    float       *sum;       /* [k][ld]                                            */
    int32_t     *start;     /* [blocks][k + 1]: where a feature's events begin    */
    float       *value;     /* [events]                                           */
    uint8_t     *row;       /* [events]: of its block                             */
    int64_t      blocks, n, k, ld;
} weight;

/* V vectors of the sum of one feature in one block, from column j on. */
#define SUM_ROWS(V)                                                                    \
    MLS_INLINE void sum_rows_##V(const weight *p, const float *dy, int64_t from,       \
                                 int64_t to, float *at)                                \
    {                                                                                  \
        mls_v8 sum[V];                                                                 \
        for (int v = 0; v < V; v++) sum[v] = ((const mls_v8 *)at)[v];                  \
        for (int64_t e = from; e < to; e++) {                                          \
            const mls_v8 *g = (const mls_v8 *)(dy + p->row[e] * p->n);                 \
            const float by = p->value[e];                                              \
            for (int v = 0; v < V; v++) sum[v] += by * g[v];                           \
        }                                                                              \
        for (int v = 0; v < V; v++) ((mls_v8 *)at)[v] = sum[v];                        \
    }
SUM_ROWS(8)
SUM_ROWS(1)

/* An item is WIDE columns of dy: nobody else writes their sums. */
MLS_INLINE void weight_body(int64_t item, void *arg)
{
    const weight *p = arg;
    const int64_t first = item * WIDE, end = first + WIDE < p->n ? first + WIDE : p->n;
    for (int64_t b = 0; b < p->blocks; b++) {
        const float *dy = p->dy + b * BLOCK * p->n;
        const int32_t *start = p->start + b * (p->k + 1);
        for (int64_t i = 0; i < p->k; i++) {
            const int64_t from = start[i], to = start[i + 1];
            float *sum = p->sum + i * p->ld;
            int64_t j = first;
            if (from == to) continue;
            if (j + WIDE <= end) {
                sum_rows_8(p, dy + j, from, to, sum + j);
                continue;
            }
            for (; j + LANES <= end; j += LANES) sum_rows_1(p, dy + j, from, to, sum + j);
            for (int64_t e = from; j < end && e < to; e++)
                for (int64_t c = j; c < end; c++)
                    sum[c] += p->value[e] * dy[p->row[e] * p->n + c];
        }
    }
}
MLS_KERNEL_BODY(weight_columns, weight_body)

/* Lists the events of each block by feature, then by row.  found: [BLOCK][k + LANES] of room. */
static void by_feature(weight *p, int64_t rows, const float *x, int32_t *found)
{
    const int64_t k = p->k, wide = k + LANES;
    int64_t many[BLOCK];
    int32_t done = 0;
    for (int64_t b = 0; b < p->blocks; b++) {
        const int64_t n = rows - b * BLOCK < BLOCK ? rows - b * BLOCK : BLOCK;
        int32_t *start = p->start + b * (k + 1);
        memset(start, 0, (size_t)(k + 1) * sizeof *start);
        for (int64_t r = 0; r < n; r++) {
            many[r] = list(x + (b * BLOCK + r) * k, k, found + r * wide);
            for (int64_t e = 0; e < many[r]; e++) start[found[r * wide + e] + 1]++;
        }
        const int32_t first = done;
        start[0] = first;
        for (int64_t i = 0; i < k; i++) start[i + 1] += start[i];
        done = start[k];
        for (int64_t r = 0; r < n; r++)
            for (int64_t e = 0; e < many[r]; e++) {
                const int32_t i = found[r * wide + e], at = start[i]++;
                p->row[at] = (uint8_t)r;
                p->value[at] = x[(b * BLOCK + r) * k + i];
            }
        for (int64_t i = k; i > 0; i--) start[i] = start[i - 1]; /* as they were */
        start[0] = first;
    }
}

int64_t mls_k_events_weight_room(int64_t rows, int64_t n, int64_t k, int64_t events)
{
    const int64_t blocks = (rows + BLOCK - 1) / BLOCK;
    return k * up(n, LANES) + blocks * (k + 1) + BLOCK * (k + LANES) + events + events / 4 + 16;
}

void mls_k_events_weight(int64_t rows, int64_t n, int64_t k, int64_t events, const float *x,
                         const float *dy, float *dw, int64_t lddw, float *room)
{
    make_places();
    weight p = { .dy = dy, .sum = room, .blocks = (rows + BLOCK - 1) / BLOCK, .n = n, .k = k,
                 .ld = up(n, LANES) };
    p.start = (int32_t *)(void *)(p.sum + k * p.ld);
    int32_t *found = p.start + p.blocks * (k + 1);
    p.value = (float *)(void *)(found + BLOCK * (k + LANES));
    p.row = (uint8_t *)(void *)(p.value + events);
    memset(p.sum, 0, (size_t)(k * p.ld) * sizeof *p.sum);
    by_feature(&p, rows, x, found);
    share((n + WIDE - 1) / WIDE, 2.0 * (double)events * (double)n, weight_columns, &p);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < k; i++) dw[j * lddw + i] += p.sum[i * p.ld + j];
}
