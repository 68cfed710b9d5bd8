#include "bench/bench.h"

#include "kern/kern.h"

#include <math.h>
#include <string.h>

/* ---- numbers --------------------------------------------------------------------------------- */

static const char *short_number(mls_arena *a, double x)
{
    if (!isfinite(x) || x <= 0.0) return "";
    const int digits = x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
    return mls_arena_printf(a, "%.*f", digits, x);
}

/* 12345678 as 12,345,678 */
static const char *grouped(mls_arena *a, double x)
{
    if (!isfinite(x) || x < 0.5) return "";
    char *s = mls_arena_printf(a, "%.0f", x);
    const int n = (int)strlen(s);
    char *to = mls_arena_alloc(a, 2 * (size_t)n + 1), *p = to;
    for (int i = 0; to && i < n; i++) {
        if (i && (n - i) % 3 == 0) *p++ = ',';
        *p++ = s[i];
    }
    if (to) *p = '\0';
    return to ? to : s;
}

static double ratio(double a, double b) { return b > 0.0 ? a / b : NAN; }

/* ---- tables ------------------------------------------------------------------------------------ */

enum { COLUMNS = 16 };

typedef struct table { const char *cell[256][COLUMNS]; int rows, columns; } table;

static void print_table(const table *t, FILE *f)
{
    int width[COLUMNS] = { 0 };
    for (int i = 0; i < t->rows; i++)
        for (int j = 0; j < t->columns; j++) {
            const int n = (int)strlen(t->cell[i][j]);
            if (n > width[j]) width[j] = n;
        }
    for (int i = 0; i < t->rows; i++) {
        for (int j = 0; j < t->columns; j++)
            if (width[j])
                fprintf(f, j ? "  %*s" : "%-*s", width[j], t->cell[i][j]);
        fputc('\n', f);
    }
}

static const char *const heads[] = { "row", "T", "B", "D", "ms", "quartiles", "wall ms", "tokens/s",
                                     "GFLOP/s", "Gexp/s", "GB/s", "limit ms", "of limit",
                                     "saved B/token", "peak MiB" };

static void fill(table *t, const mls_bench_result *r, mls_arena *a)
{
    const double s = mls_bench_seconds(r);
    const mls_bench_spread_of m = r->threads == 1 ? r->cpu : r->wall;
    const int differ = fabs(r->cpu.median - r->wall.median) > 0.05 * r->wall.median;
    const char **c = t->cell[t->rows++];
    c[0] = r->row->name;
    c[1] = r->row->fixed ? "" : mls_arena_printf(a, "%lld", (long long)r->size.T);
    c[2] = r->row->fixed ? "" : mls_arena_printf(a, "%lld", (long long)r->size.B);
    c[3] = r->row->fixed ? "" : mls_arena_printf(a, "%lld", (long long)r->size.D);
    c[4] = short_number(a, 1e3 * s);
    c[5] = mls_arena_printf(a, "%s..%s", short_number(a, 1e3 * m.low),
                            short_number(a, 1e3 * m.high));
    c[6] = differ ? short_number(a, 1e3 * r->wall.median) : "";
    c[7] = grouped(a, ratio(r->tokens, s));
    c[8] = short_number(a, 1e-9 * ratio(r->cost.flops, s));
    c[9] = short_number(a, 1e-9 * ratio(r->cost.exps, s));
    c[10] = short_number(a, 1e-9 * ratio(r->cost.bytes, s));
    c[11] = short_number(a, 1e3 * r->limit);
    c[12] = r->limit > 0.0 && s > 0.0 ? mls_arena_printf(a, "%.0f %%", 100.0 * r->limit / s) : "";
    c[13] = grouped(a, ratio(r->saved, r->tokens));
    c[14] = short_number(a, (double)r->peak / 1048576.0);
}

void mls_bench_print(const mls_bench *b, FILE *f)
{
    mls_arena a = { 0 };
    table *t = mls_arena_zalloc(&a, sizeof *t);
    const mls_bench_rate_table *r = &b->rates;
    fprintf(f, "%s, %s %s, %d thread%s: gemm %.1f GFLOP/s, exp2 %.2f/ns, triad %.1f GB/s "
            "in cache, %.1f beyond\n", mls_k_isa_name(mls_k_init()), "OpenBLAS",
            mls_k_blas_family(), b->threads, b->threads == 1 ? "" : "s", r->square, r->exp,
            r->near, r->far);
    if (t) {
        t->columns = (int)(sizeof heads / sizeof *heads);
        for (int i = 0; i < t->columns; i++) t->cell[0][i] = heads[i];
        t->rows = 1;
        for (int i = 0; i < b->n && t->rows < 256; i++)
            if (b->result[i].repeats) fill(t, &b->result[i], &a);
        print_table(t, f);
    }
    mls_arena_free(&a);
}

void mls_bench_print_ops(const mls_bench *b, FILE *f)
{
    static const char *const names[] = { "row", "op", "calls", "forward ms", "backward ms",
                                         "limit ms" };
    mls_arena a = { 0 };
    table *t = mls_arena_zalloc(&a, sizeof *t);
    if (t) {
        t->columns = 6;
        for (int i = 0; i < 6; i++) t->cell[0][i] = names[i];
        t->rows = 1;
    }
    mls_bench_rate_table rates = b->rates;
    for (int i = 0; t && i < b->n; i++) {
        const mls_bench_result *r = &b->result[i];
        for (int j = 0; j < r->ops.n && t->rows < 256; j++) {
            const mls_bench_op *o = &r->ops.op[j];
            if (r->row->op && strcmp(r->row->op, o->name)) continue;
            const char **c = t->cell[t->rows++];
            c[0] = r->row->name;
            c[1] = o->name;
            c[2] = mls_arena_printf(&a, "%lld", (long long)o->calls);
            c[3] = short_number(&a, 1e3 * o->forward);
            c[4] = short_number(&a, 1e3 * o->backward);
            c[5] = short_number(&a, 1e3 * mls_bench_limit(&o->cost, &rates));
        }
    }
    if (t) print_table(t, f);
    mls_arena_free(&a);
}

/* ---- peers ------------------------------------------------------------------------------- */

static double rival_seconds(const mls_bench_result *r, const mls_bench_rival *p)
{
    return r->threads == 1 ? p->cpu.median : p->wall.median;
}

void mls_bench_print_peers(const mls_bench *b, FILE *f)
{
    static const char *const names[] = { "row", "T", "D", "peer", "what", "ms", "quartiles",
                                         "wall ms", "mls ms", "peer / mls", "saved B/token",
                                         "mls", "largest error" };
    mls_arena a = { 0 };
    table *t = mls_arena_zalloc(&a, sizeof *t);
    if (t) {
        t->columns = 13;
        for (int i = 0; i < 13; i++) t->cell[0][i] = names[i];
        t->rows = 1;
    }
    for (int i = 0; t && i < b->n; i++) {
        const mls_bench_result *r = &b->result[i];
        for (int j = 0; j < r->rivals && t->rows < 256; j++) {
            const mls_bench_rival *p = &r->rival[j];
            if (!p->n) continue;
            const double s = rival_seconds(r, p), own = mls_bench_seconds(r);
            const mls_bench_spread_of m = r->threads == 1 ? p->cpu : p->wall;
            const char **c = t->cell[t->rows++];
            c[0] = r->row->name;
            c[1] = mls_arena_printf(&a, "%lld", (long long)r->size.T);
            c[2] = mls_arena_printf(&a, "%lld", (long long)r->size.D);
            c[3] = p->name;
            c[4] = p->label;
            c[5] = short_number(&a, 1e3 * s);
            c[6] = mls_arena_printf(&a, "%s..%s", short_number(&a, 1e3 * m.low),
                                    short_number(&a, 1e3 * m.high));
            c[7] = fabs(p->cpu.median - p->wall.median) > 0.05 * p->wall.median
                       ? short_number(&a, 1e3 * p->wall.median) : "";
            c[8] = short_number(&a, 1e3 * own);
            c[9] = short_number(&a, ratio(s, own));
            c[10] = grouped(&a, ratio(p->saved, r->tokens));
            c[11] = grouped(&a, ratio(r->saved, r->tokens));
            c[12] = mls_arena_printf(&a, "%.1e %s", p->error, p->worst);
        }
    }
    if (b->peers) {
        fprintf(f, "%s\n", b->peers->versions);
        if (*b->peers->absent) fprintf(f, "absent, and left out: %s\n", b->peers->absent);
    }
    if (t && t->rows > 1) print_table(t, f);
    for (int i = 0; i < b->n; i++)
        for (int j = 0; j < b->result[i].rivals; j++)
            if (b->result[i].rival[j].why)
                fprintf(f, "left out: %s, %s: %s\n", b->result[i].row->name,
                        b->result[i].rival[j].name, b->result[i].rival[j].why);
    mls_arena_free(&a);
}

/* ---- as a value ---------------------------------------------------------------------------------- */

static void real(mls_arena *a, mls_value *map, const char *key, double x)
{
    mls_value_set(a, map, key, isfinite(x) ? mls_value_real(a, x) : mls_value_null(a));
}

static void integer(mls_arena *a, mls_value *map, const char *key, int64_t x)
{
    mls_value_set(a, map, key, mls_value_int(a, x));
}

static mls_value *spread(mls_arena *a, const mls_bench_spread_of *s)
{
    mls_value *v = mls_value_map(a);
    real(a, v, "median", s->median);
    real(a, v, "low", s->low);
    real(a, v, "high", s->high);
    real(a, v, "least", s->least);
    return v;
}

static mls_value *result(mls_arena *a, const mls_bench_result *r)
{
    mls_value *v = mls_value_map(a), *ops = mls_value_list(a), *peers = mls_value_list(a);
    const double s = mls_bench_seconds(r);
    mls_value_set(a, v, "row", mls_value_string(a, r->row->name));
    mls_value_set(a, v, "group", mls_value_string(a, r->row->group));
    integer(a, v, "steps", r->size.T);
    integer(a, v, "batch", r->size.B);
    integer(a, v, "width", r->size.D);
    integer(a, v, "threads", r->threads);
    integer(a, v, "repeats", r->repeats);
    real(a, v, "seconds", s);
    mls_value_set(a, v, "wall", spread(a, &r->wall));
    mls_value_set(a, v, "cpu", spread(a, &r->cpu));
    real(a, v, "forward", r->forward);
    real(a, v, "backward", r->backward);
    real(a, v, "tokens", r->tokens);
    real(a, v, "tokens_per_second", ratio(r->tokens, s));
    real(a, v, "flops", r->cost.flops);
    real(a, v, "exps", r->cost.exps);
    real(a, v, "bytes", r->cost.bytes);
    real(a, v, "limit", r->limit);
    real(a, v, "saved_bytes_per_token", ratio(r->saved, r->tokens));
    integer(a, v, "peak_bytes", r->peak);
    for (int i = 0; i < r->ops.n; i++) {
        mls_value *o = mls_value_map(a);
        mls_value_set(a, o, "op", mls_value_string(a, r->ops.op[i].name));
        integer(a, o, "calls", r->ops.op[i].calls);
        real(a, o, "forward", r->ops.op[i].forward);
        real(a, o, "backward", r->ops.op[i].backward);
        mls_value_push(a, ops, o);
    }
    mls_value_set(a, v, "ops", ops);
    for (int i = 0; i < r->rivals; i++) {
        const mls_bench_rival *p = &r->rival[i];
        mls_value *o = mls_value_map(a);
        mls_value_set(a, o, "peer", mls_value_string(a, p->name));
        mls_value_set(a, o, "what", mls_value_string(a, p->label));
        if (p->why) mls_value_set(a, o, "left_out", mls_value_string(a, p->why));
        real(a, o, "seconds", p->n ? rival_seconds(r, p) : NAN);
        integer(a, o, "repeats", p->n);
        mls_value_set(a, o, "wall", spread(a, &p->wall));
        mls_value_set(a, o, "cpu", spread(a, &p->cpu));
        real(a, o, "forward", p->forward);
        real(a, o, "backward", p->backward);
        real(a, o, "saved_bytes_per_token", ratio(p->saved, r->tokens));
        real(a, o, "error", p->error);
        mls_value_set(a, o, "worst", mls_value_string(a, p->worst ? p->worst : ""));
        mls_value_push(a, peers, o);
    }
    mls_value_set(a, v, "peers", peers);
    return v;
}

mls_value *mls_bench_value(const mls_bench *b, mls_arena *a, const char *command)
{
    mls_value *v = mls_value_map(a), *rates = mls_value_map(a), *rows = mls_value_list(a);
    mls_value_set(a, v, "command", mls_value_string(a, command));
    mls_value_set(a, v, "isa", mls_value_string(a, mls_k_isa_name(mls_k_init())));
    mls_value_set(a, v, "blas", mls_value_string(a, mls_k_blas_version()));
    real(a, rates, "gemm", b->rates.square);
    real(a, rates, "exp", b->rates.exp);
    real(a, rates, "near", b->rates.near);
    real(a, rates, "far", b->rates.far);
    mls_value_set(a, v, "rates", rates);
    for (int i = 0; i < b->n; i++)
        if (b->result[i].repeats) mls_value_push(a, rows, result(a, &b->result[i]));
    mls_value_set(a, v, "rows", rows);
    return v;
}

/* ---- against an earlier value ---------------------------------------------------------------------- */

static const mls_value *same_row(const mls_value *rows, const mls_bench_result *r, mls_error *e)
{
    for (int i = 0; i < rows->n; i++) {
        const mls_value *v = rows->item[i];
        const char *name = mls_value_get_string(v, "row", "", e);
        if (!strcmp(name, r->row->name) && mls_value_get_int(v, "steps", 0, e) == r->size.T &&
            mls_value_get_int(v, "batch", 0, e) == r->size.B &&
            mls_value_get_int(v, "width", 0, e) == r->size.D &&
            mls_value_get_int(v, "threads", 0, e) == r->threads)
            return v;
    }
    return NULL;
}

int mls_bench_compare(const mls_bench *b, const mls_value *old, FILE *f, mls_error *e)
{
    static const char *const names[] = { "row", "T", "B", "D", "old ms", "new ms", "old / new",
                                         "saved bytes, old / new" };
    const mls_value *rows = mls_value_get(old, "rows");
    mls_arena a = { 0 };
    table *t = mls_arena_zalloc(&a, sizeof *t);
    if (!rows || rows->kind != MLS_V_LIST)
        mls_error_set(e, "%sno rows of an mls bench --json are here", mls_value_where(&a, old));
    if (t) {
        t->columns = 8;
        for (int i = 0; i < 8; i++) t->cell[0][i] = names[i];
        t->rows = 1;
    }
    for (int i = 0; t && !e->set && i < b->n && t->rows < 256; i++) {
        const mls_bench_result *r = &b->result[i];
        const mls_value *was = r->repeats ? same_row(rows, r, e) : NULL;
        if (!was || e->set) continue;
        const double s = mls_value_get_real(was, "seconds", NAN, e), now = mls_bench_seconds(r);
        const mls_value *v = mls_value_get(was, "saved_bytes_per_token");
        const double saved = v && v->kind != MLS_V_NULL ? v->real : NAN;
        const char **c = t->cell[t->rows++];
        c[0] = r->row->name;
        c[1] = mls_arena_printf(&a, "%lld", (long long)r->size.T);
        c[2] = mls_arena_printf(&a, "%lld", (long long)r->size.B);
        c[3] = mls_arena_printf(&a, "%lld", (long long)r->size.D);
        c[4] = short_number(&a, 1e3 * s);
        c[5] = short_number(&a, 1e3 * now);
        c[6] = short_number(&a, ratio(s, now));
        c[7] = short_number(&a, ratio(saved, ratio(r->saved, r->tokens)));
    }
    if (t && !e->set && t->rows > 1) print_table(t, f);
    else if (!e->set) fputs("no row of the same sizes and threads is in both\n", f);
    mls_arena_free(&a);
    return !e->set;
}
