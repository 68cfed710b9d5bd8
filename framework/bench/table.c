#include "bench/table.h"

#include <math.h>
#include <string.h>

mls_bench_text *mls_bench_text_new(mls_arena *a, const char *const *heads, int n)
{
    mls_bench_text *t = mls_arena_zalloc(a, sizeof *t);
    if (!t) return NULL;
    t->columns = n < MLS_BENCH_COLUMNS ? n : MLS_BENCH_COLUMNS;
    t->lines = 1;
    for (int i = 0; i < t->columns; i++) t->cell[0][i] = heads[i];
    return t;
}

const char **mls_bench_text_line(mls_bench_text *t)
{
    return t->cell[t->lines < MLS_BENCH_LINES ? t->lines++ : MLS_BENCH_LINES - 1];
}

static const char *text(const mls_bench_text *t, int i, int j)
{
    return t->cell[i][j] ? t->cell[i][j] : "";
}

void mls_bench_text_print(const mls_bench_text *t, FILE *f, int markdown)
{
    int width[MLS_BENCH_COLUMNS] = {0};
    for (int j = 0; j < t->columns; j++) {
        int used = 0, most = 0;
        for (int i = 0; i < t->lines; i++) {
            const int n = (int)strlen(text(t, i, j));
            if (n > most) most = n;
            used |= i > 0 && n > 0;
        }
        width[j] = used ? most : 0;
    }
    for (int i = 0; i < t->lines; i++) {
        const char *between = "";
        for (int j = 0; j < t->columns; j++) {
            if (!width[j]) continue;
            if (markdown)
                fprintf(f, "| %s ", text(t, i, j));
            else
                fprintf(f, *between ? "%s%*s" : "%s%-*s", between, width[j],
                        text(t, i, j));
            between = "  ";
        }
        fputs(markdown ? "|\n" : "\n", f);
        for (int j = 0; markdown && i == 0 && j < t->columns; j++)
            if (width[j]) fputs(j ? "|--:" : "|---", f);
        if (markdown && i == 0) fputs("|\n", f);
    }
}

/* ---- numbers --------------------------------------------------------------------- */

const char *mls_bench_short(mls_arena *a, double x)
{
    if (!isfinite(x) || x <= 0.0) return "";
    return mls_arena_printf(a, "%.*f", x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2, x);
}

const char *mls_bench_grouped(mls_arena *a, double x)
{
    if (!isfinite(x) || x < 0.5) return "";
    const char *s = mls_arena_printf(a, "%.0f", x);
    const int n = s ? (int)strlen(s) : 0;
    char *to = mls_arena_alloc(a, 2 * (size_t)n + 1), *p = to;
    for (int i = 0; to && i < n; i++) {
        if (i && (n - i) % 3 == 0) *p++ = ',';
        *p++ = s[i];
    }
    if (to) *p = '\0';
    return to ? to : "";
}

const char *mls_bench_whole(mls_arena *a, int64_t x)
{
    return mls_arena_printf(a, "%lld", (long long)x);
}

double mls_bench_ratio(double a, double b) { return b > 0.0 ? a / b : NAN; }

void mls_bench_text_maps(const mls_value *list, FILE *f, int markdown)
{
    mls_arena a = {0};
    mls_bench_text *t =
        list->n ? mls_bench_text_new(&a, list->item[0]->key, list->item[0]->n) : NULL;
    for (int i = 0; t && i < list->n; i++) {
        const mls_value *row = list->item[i];
        const char **c = mls_bench_text_line(t);
        for (int j = 0; j < row->n && j < t->columns; j++) {
            const mls_value *v = row->item[j];
            c[j] = v->kind == MLS_V_STRING ? v->string
                   : v->kind == MLS_V_INT  ? mls_bench_grouped(&a, (double)v->integer)
                   : v->kind == MLS_V_REAL
                       ? (v->real >= 999.5 ? mls_bench_grouped
                                           : mls_bench_short)(&a, v->real)
                       : "";
        }
    }
    if (t) mls_bench_text_print(t, f, markdown);
    mls_arena_free(&a);
}
