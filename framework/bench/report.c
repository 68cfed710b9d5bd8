#include "bench/bench.h"
#include "bench/table.h"

#include "kern/kern.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static const char *const heads[] = {
    "row",      "T",       "B",      "D",    "ms",       "quartiles", "wall ms",
    "tokens/s", "GFLOP/s", "Gexp/s", "GB/s", "limit ms", "of limit",  "at best",
    "saved B/token", "peak MiB"};

static void fill(mls_bench_text *t, const mls_bench_result *r, mls_arena *a)
{
    const double s = mls_bench_seconds(r);
    const mls_bench_middle m = r->threads == 1 ? r->cpu : r->wall;
    const int differ = fabs(r->cpu.median - r->wall.median) > 0.05 * r->wall.median;
    const char **c = mls_bench_text_line(t);
    c[0] = r->row->name;
    c[1] = r->row->fixed ? "" : mls_bench_whole(a, r->size.T);
    c[2] = r->row->fixed ? "" : mls_bench_whole(a, r->size.B);
    c[3] = r->row->fixed ? "" : mls_bench_whole(a, r->size.D);
    c[4] = mls_bench_short(a, 1e3 * s);
    c[5] = mls_arena_printf(a, "%s..%s", mls_bench_short(a, 1e3 * m.low),
                            mls_bench_short(a, 1e3 * m.high));
    c[6] = differ ? mls_bench_short(a, 1e3 * r->wall.median) : "";
    c[7] = mls_bench_grouped(a, mls_bench_ratio(r->tokens, s));
    c[8] = mls_bench_short(a, 1e-9 * mls_bench_ratio(r->cost.flops, s));
    c[9] = mls_bench_short(a, 1e-9 * mls_bench_ratio(r->cost.exps, s));
    c[10] = mls_bench_short(a, 1e-9 * mls_bench_ratio(r->cost.bytes, s));
    c[11] = mls_bench_short(a, 1e3 * r->limit);
    c[12] = r->limit > 0.0 && s > 0.0
                ? mls_arena_printf(a, "%.0f %%", 100.0 * r->limit / s)
                : "";
    c[13] = r->limit > 0.0 && m.least > 0.0
                ? mls_arena_printf(a, "%.0f %%", 100.0 * r->limit / m.least)
                : "";
    c[14] = mls_bench_grouped(a, mls_bench_ratio(r->saved, r->tokens));
    c[15] = mls_bench_short(a, (double)r->peak / 1048576.0);
}

/* "model name : AMD EPYC" of /proc/cpuinfo. */
static const char *processor(mls_arena *a)
{
    char line[300];
    const char *name = NULL;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !name && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        line[strcspn(line, "\n")] = '\0';
        name = mls_arena_strdup(a, colon + 1 + (colon[1] == ' '));
    }
    if (f) fclose(f);
    return name ? name : "a processor without a name";
}

void mls_bench_print(const mls_bench *b, FILE *f, int markdown)
{
    mls_arena a = {0};
    mls_bench_text *t =
        mls_bench_text_new(&a, heads, (int)(sizeof heads / sizeof *heads));
    const mls_bench_rates_of *r = &b->rates;
    fprintf(
        f,
        "%s, %ld cores, %s, OpenBLAS %s; %d thread%s: gemm %.1f GFLOP/s, exp2 %.2f/ns, "
        "triad %.1f GB/s in cache, %.1f beyond\n%s",
        processor(&a), sysconf(_SC_NPROCESSORS_ONLN), mls_k_isa_name(mls_k_init()),
        mls_k_blas_family(), b->threads, b->threads == 1 ? "" : "s", r->square, r->exp,
        r->near, r->far, markdown ? "\n" : "");
    if (t) {
        for (int i = 0; i < b->n; i++)
            if (b->result[i].repeats) fill(t, &b->result[i], &a);
        mls_bench_text_print(t, f, markdown);
    }
    mls_arena_free(&a);
}

void mls_bench_print_ops(const mls_bench *b, FILE *f, int markdown)
{
    static const char *const names[] = {"row",        "op",          "calls",
                                        "forward ms", "backward ms", "limit ms"};
    mls_arena a = {0};
    mls_bench_text *t = mls_bench_text_new(&a, names, 6);
    mls_bench_rates_of rates = b->rates;
    for (int i = 0; t && i < b->n; i++) {
        const mls_bench_result *r = &b->result[i];
        for (int j = 0; j < r->ops.n; j++) {
            const mls_bench_op *o = &r->ops.op[j];
            if (r->row->op && !strstr(o->name, r->row->op)) continue;
            const char **c = mls_bench_text_line(t);
            c[0] = r->row->name;
            c[1] = o->name;
            c[2] = mls_bench_whole(&a, o->calls);
            c[3] = mls_bench_short(&a, 1e3 * o->forward);
            c[4] = mls_bench_short(&a, 1e3 * o->backward);
            c[5] = mls_bench_short(&a, 1e3 * mls_bench_limit(&o->cost, &rates));
        }
    }
    if (t) mls_bench_text_print(t, f, markdown);
    mls_arena_free(&a);
}

/* ---- against an earlier value ---------------------------------------------------- */

static const mls_value *same_row(const mls_value *rows, const mls_bench_result *r,
                                 mls_error *e)
{
    for (int i = 0; i < rows->n; i++) {
        const mls_value *v = rows->item[i];
        const char *name = mls_value_get_string(v, "row", "", e);
        if (!strcmp(name, r->row->name) &&
            mls_value_get_int(v, "steps", 0, e) == r->size.T &&
            mls_value_get_int(v, "batch", 0, e) == r->size.B &&
            mls_value_get_int(v, "width", 0, e) == r->size.D &&
            mls_value_get_int(v, "threads", 0, e) == r->threads)
            return v;
    }
    return NULL;
}

int mls_bench_compare(const mls_bench *b, const mls_value *old, FILE *f, int markdown,
                      mls_error *e)
{
    static const char *const names[] = {
        "row",    "T",      "B",         "D",
        "old ms", "new ms", "old / new", "saved bytes, old / new"};
    const mls_value *rows = mls_value_get(old, "rows");
    mls_arena a = {0};
    mls_bench_text *t = mls_bench_text_new(&a, names, 8);
    if (!rows || rows->kind != MLS_V_LIST)
        mls_error_set(e, "%sno rows of an mls bench --json are here",
                      mls_value_where(&a, old));
    for (int i = 0; t && !e->set && i < b->n; i++) {
        const mls_bench_result *r = &b->result[i];
        const mls_value *was = r->repeats ? same_row(rows, r, e) : NULL;
        if (!was || e->set) continue;
        const double s = mls_value_get_real(was, "seconds", NAN, e),
                     now = mls_bench_seconds(r);
        const mls_value *v = mls_value_get(was, "saved_bytes_per_token");
        const double saved = v && v->kind != MLS_V_NULL ? v->real : NAN;
        const char **c = mls_bench_text_line(t);
        c[0] = r->row->name;
        c[1] = mls_bench_whole(&a, r->size.T);
        c[2] = mls_bench_whole(&a, r->size.B);
        c[3] = mls_bench_whole(&a, r->size.D);
        c[4] = mls_bench_short(&a, 1e3 * s);
        c[5] = mls_bench_short(&a, 1e3 * now);
        c[6] = mls_bench_short(&a, mls_bench_ratio(s, now));
        c[7] = mls_bench_short(
            &a, mls_bench_ratio(saved, mls_bench_ratio(r->saved, r->tokens)));
    }
    if (t && !e->set && t->lines > 1)
        mls_bench_text_print(t, f, markdown);
    else if (!e->set)
        fputs("no row of the same sizes and threads is in both\n", f);
    mls_arena_free(&a);
    return !e->set;
}
