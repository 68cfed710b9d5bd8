/* The table for a terminal and as CSV. */
#include "study/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 16, CELL = 120 };

typedef struct grid { char (*cell)[COLUMNS][CELL]; int rows, columns; } grid;

static void put(char *cell, const char *format, double x)
{
    if (isnan(x))
        *cell = 0;
    else
        snprintf(cell, CELL, format, x);
}

/* 198,312 */
static void put_count(char *cell, double x)
{
    char digits[32];
    *cell = 0;
    if (isnan(x) || x < 0.0 || x > 1e15)
        return;
    const int n = snprintf(digits, sizeof digits, "%.0f", x);
    int k = 0;
    for (int i = 0; i < n && k < CELL - 2; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            cell[k++] = ',';
        cell[k++] = digits[i];
    }
    cell[k] = 0;
}

static int measures(const mls_table *t) { return t->n_measures < 5 ? t->n_measures : 5; }

static void fill(const mls_table *t, grid *g)
{
    static const char *const heads[] = { "n", NULL, "sd", "difference", "95 % interval",
                                         "parameters", "tokens/s", "MiB", "spike rate" };
    for (int c = 0; c < 9; c++)
        snprintf(g->cell[0][c + 1], CELL, "%s", heads[c] ? heads[c] : t->by);
    snprintf(g->cell[0][0], CELL, "%s", t->study);
    for (int m = 0; m < measures(t); m++)
        snprintf(g->cell[0][10 + m], CELL, "%s", t->measure[m]);
    for (int i = 0; i < t->n_lines; i++) {
        const mls_table_line *l = &t->line[i];
        char (*c)[CELL] = g->cell[i + 1];
        snprintf(c[0], CELL, "%s", l->label);
        if (l->kind == MLS_LINE_MISSING)
            continue;
        if (l->kind == MLS_LINE_VARIANT || l->kind == MLS_LINE_MEAN)
            snprintf(c[1], CELL, "%d", l->by.n);
        put(c[2], "%.4f", l->by.mean);
        put(c[3], "%.4f", l->by.sd);
        put(c[4], "%+.4f", l->to.value);
        if (l->baseline)
            snprintf(c[4], CELL, "baseline");
        if (!isnan(l->to.low))
            snprintf(c[5], CELL, "[%+.4f, %+.4f]%s", l->to.low, l->to.high,
                     l->to.paired ? "" : " W");
        put_count(c[6], l->parameters);
        put_count(c[7], l->tokens_per_second);
        put(c[8], "%.1f", l->memory / 1048576.0);
        put(c[9], "%.4f", l->spike_rate);
        for (int m = 0; l->measure && m < measures(t); m++)
            put(c[10 + m], "%.4g", l->measure[m]);
    }
}

/* Columns that say nothing are left out; the reason of a missing trial runs on. */
char *mls_table_text(mls_arena *a, const mls_table *t)
{
    grid g = { NULL, t->n_lines + 1, 10 + measures(t) };
    const mls_mark mark = mls_arena_mark(a);
    g.cell = mls_arena_zalloc(a, (size_t)g.rows * sizeof *g.cell);
    const size_t room = (size_t)g.rows * COLUMNS * (CELL + 4) + 2000;
    char *text = g.cell ? mls_arena_alloc(a, room) : NULL;
    if (!text) {
        mls_arena_release(a, mark);
        return NULL;
    }
    int width[COLUMNS] = { 0 }, used[COLUMNS] = { 1 };
    size_t n = 0;
    fill(t, &g);
    for (int c = 0; c < g.columns; c++)
        for (int r = 0; r < g.rows; r++) {
            const int w = (int)strlen(g.cell[r][c]);
            width[c] = w > width[c] ? w : width[c];
            used[c] |= r > 0 && w > 0;
        }
    for (int r = 0; r < g.rows; r++) {
        n += (size_t)snprintf(text + n, room - n, "%-*s", width[0], g.cell[r][0]);
        if (r > 0 && t->line[r - 1].kind == MLS_LINE_MISSING) {
            n += (size_t)snprintf(text + n, room - n, "  %.600s\n", t->line[r - 1].reason);
            continue;
        }
        for (int c = 1; c < g.columns; c++)
            if (used[c])
                n += (size_t)snprintf(text + n, room - n, "  %*s", width[c],
                                      g.cell[r][c]);
        n += (size_t)snprintf(text + n, room - n, "\n");
    }
    if (t->compared)
        n += (size_t)snprintf(text + n, room - n, "intervals: Student's t, %s\n", t->paired
                 ? "differences paired by seed (W: Welch, not paired)"
                 : "Welch, not paired");
    if (t->over)
        snprintf(text + n, room - n, "mean over %s: n, sd and interval are over its values, "
                 "each by its mean over seeds\n", t->over);
    return text;
}

static char *quoted(mls_arena *a, const char *s)
{
    char *out = mls_arena_alloc(a, 2 * strlen(s) + 3), *p = out;
    if (!out)
        return (char *)"";
    *p++ = '"';
    for (; *s; s++) {
        if (*s == '"')
            *p++ = '"';
        *p++ = *s;
    }
    *p++ = '"';
    *p = 0;
    return out;
}

static char *real(mls_arena *a, double x)
{
    return isnan(x) ? (char *)"" : mls_arena_printf(a, "%.10g", x);
}

char *mls_table_csv(mls_arena *a, const mls_table *t)
{
    char *head = mls_arena_printf(a, "kind,variant,n,%s,sd,difference,low,high,method,"
                                  "parameters,tokens_per_second,memory_bytes,spike_rate",
                                  t->by);
    for (int m = 0; m < t->n_measures; m++)
        head = mls_arena_printf(a, "%s,%s", head, t->measure[m]);
    const size_t room = strlen(head) + 100 + (size_t)t->n_lines * (8000 + 32
                        * (size_t)t->n_measures);
    char *text = mls_arena_alloc(a, room);
    if (!text)
        return NULL;
    size_t n = (size_t)snprintf(text, room, "%s,reason\n", head);
    for (int i = 0; i < t->n_lines; i++) {
        const mls_table_line *l = &t->line[i];
        const char *method = isnan(l->to.value) ? "" : l->to.paired ? "paired" : "welch";
        n += (size_t)snprintf(text + n, room - n,
            "%s,%.4000s,%d,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s", mls_table_kind(l->kind),
            quoted(a, l->label), l->kind == MLS_LINE_MISSING ? 0 : l->by.n,
            real(a, l->by.mean), real(a, l->by.sd), real(a, l->to.value),
            real(a, l->to.low), real(a, l->to.high), method, real(a, l->parameters),
            real(a, l->tokens_per_second), real(a, l->memory), real(a, l->spike_rate));
        for (int m = 0; m < t->n_measures; m++)
            n += (size_t)snprintf(text + n, room - n, ",%s",
                                  l->measure ? real(a, l->measure[m]) : "");
        n += (size_t)snprintf(text + n, room - n, ",%.2000s\n",
                              l->reason ? quoted(a, l->reason) : "");
    }
    return text;
}
