/* report_peers.c - the peers beside ours: a line for each row, then one for each
 * variant. */
#include "bench/bench.h"
#include "bench/table.h"

#include <math.h>
#include <string.h>

double mls_bench_rival_seconds(const mls_bench_result *r, const mls_bench_rival *p)
{
    return !p->n ? NAN : r->threads == 1 ? p->cpu.median : p->wall.median;
}

/* The fastest of that name. */
static const mls_bench_rival *named(const mls_bench_result *r, const char *name)
{
    const mls_bench_rival *best = NULL;
    for (int i = 0; i < r->rivals; i++) {
        const mls_bench_rival *p = &r->rival[i];
        if (strcmp(p->name, name) || !p->n) continue;
        if (!best || mls_bench_rival_seconds(r, p) < mls_bench_rival_seconds(r, best))
            best = p;
    }
    return best;
}

static const char *several(mls_arena *a, const char *of)
{
    return *of ? mls_arena_printf(a, "%s x", of) : "";
}

/* Rows that have a peer, times in ms; of several Pythons the fastest in each place. */
static void glance(const mls_bench *b, FILE *f, int markdown)
{
    static const char *const names[] = {"row",
                                        "T",
                                        "D",
                                        "shipped",
                                        "package",
                                        "best",
                                        "mls",
                                        "shipped / mls",
                                        "package / mls",
                                        "best / mls",
                                        "limit",
                                        "of limit",
                                        "saved B/token: package",
                                        "best",
                                        "mls"};
    static const char *const variant[] = {"shipped", "package", "best"};
    mls_arena a = {0};
    mls_bench_text *t = mls_bench_text_new(&a, names, 15);
    for (int i = 0; t && i < b->n; i++) {
        const mls_bench_result *r = &b->result[i];
        const double own = mls_bench_seconds(r);
        if (!r->rivals || !r->repeats) continue;
        const char **c = mls_bench_text_line(t);
        c[0] = r->row->name;
        c[1] = mls_bench_whole(&a, r->size.T);
        c[2] = mls_bench_whole(&a, r->size.D);
        for (int j = 0; j < 3; j++) {
            const mls_bench_rival *p = named(r, variant[j]);
            const double s = p ? mls_bench_rival_seconds(r, p) : NAN;
            c[3 + j] = mls_bench_short(&a, 1e3 * s);
            c[7 + j] = several(&a, mls_bench_short(&a, mls_bench_ratio(s, own)));
            if (j)
                c[11 + j] = mls_bench_grouped(
                    &a, mls_bench_ratio(p ? p->saved : NAN, r->tokens));
        }
        c[6] = mls_bench_short(&a, 1e3 * own);
        c[10] = mls_bench_short(&a, 1e3 * r->limit);
        c[11] =
            own > 0.0 ? mls_arena_printf(&a, "%.0f %%", 100.0 * r->limit / own) : "";
        c[14] = mls_bench_grouped(&a, mls_bench_ratio(r->saved, r->tokens));
    }
    if (t && t->lines > 1) mls_bench_text_print(t, f, markdown);
    fputc('\n', f);
    mls_arena_free(&a);
}

void mls_bench_print_peers(const mls_bench *b, FILE *f, int markdown)
{
    static const char *const names[] = {
        "row",       "T",       "D",      "peer",       "torch",         "what", "ms",
        "quartiles", "wall ms", "mls ms", "peer / mls", "saved B/token", "mls",
        "largest error"};
    mls_arena a = {0};
    mls_bench_text *t = mls_bench_text_new(&a, names, 14);
    for (int i = 0; i < b->n_peers; i++) {
        const mls_bench_peers *p = &b->peers[i];
        fprintf(f, "%s%s%s\n%s", p->versions, *p->absent ? "; absent, and left out: " : "",
                p->absent, markdown ? "\n" : "");
    }
    glance(b, f, markdown);
    for (int i = 0; t && i < b->n; i++) {
        const mls_bench_result *r = &b->result[i];
        for (int j = 0; j < r->rivals; j++) {
            const mls_bench_rival *p = &r->rival[j];
            if (!p->n) continue;
            const double s = mls_bench_rival_seconds(r, p), own = mls_bench_seconds(r);
            const mls_bench_middle m = r->threads == 1 ? p->cpu : p->wall;
            const char **c = mls_bench_text_line(t);
            c[0] = r->row->name;
            c[1] = mls_bench_whole(&a, r->size.T);
            c[2] = mls_bench_whole(&a, r->size.D);
            c[3] = p->name;
            c[4] = p->peers->torch;
            c[5] = p->label;
            c[6] = mls_bench_short(&a, 1e3 * s);
            c[7] = mls_arena_printf(&a, "%s..%s", mls_bench_short(&a, 1e3 * m.low),
                                    mls_bench_short(&a, 1e3 * m.high));
            c[8] = fabs(p->cpu.median - p->wall.median) > 0.05 * p->wall.median
                       ? mls_bench_short(&a, 1e3 * p->wall.median)
                       : "";
            c[9] = mls_bench_short(&a, 1e3 * own);
            c[10] = mls_bench_short(&a, mls_bench_ratio(s, own));
            c[11] = mls_bench_grouped(&a, mls_bench_ratio(p->saved, r->tokens));
            c[12] = mls_bench_grouped(&a, mls_bench_ratio(r->saved, r->tokens));
            c[13] = mls_arena_printf(&a, "%.1e %s", p->error, p->worst);
        }
    }
    if (t && t->lines > 1) mls_bench_text_print(t, f, markdown);
    if (markdown) fputc('\n', f);
    for (int i = 0; i < b->n; i++)
        for (int j = 0; j < b->result[i].rivals; j++)
            if (b->result[i].rival[j].why)
                fprintf(f, "left out: %s, %s: %s\n", b->result[i].row->name,
                        b->result[i].rival[j].name, b->result[i].rival[j].why);
    mls_arena_free(&a);
}
