#include "import/series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct mls_series {
    mls_import  *m;
    mls_samples *part[MLS_PARTS];
    int64_t      window, stride, columns, targets;
    const char  *target;
    uint8_t     *is_target;          /* [columns] of the first file, which all have      */
};

mls_series *mls_series_open(mls_import *m)
{
    mls_series *s = mls_arena_zalloc(m->a, sizeof *s);
    if (!s) {
        mls_error_set(m->e, "no memory");
        return NULL;
    }
    s->m = m;
    s->window = mls_import_int(m, "window", 0, 0, 1 << 24);
    s->stride = mls_import_int(m, "stride", s->window ? s->window : 1, 1, 1 << 24);
    s->target = mls_import_get(m, "target", NULL);
    return m->e->set ? NULL : s;
}

/* Number of a column by its name or number, or -1 and an error. */
static int64_t find(mls_series *s, const mls_table *t, const char *word, size_t n)
{
    const char *text = mls_arena_printf(s->m->a, "%.*s", (int)n, word);
    for (int64_t i = 0; t->name && text && i < t->columns; i++)
        if (!strcmp(t->name[i], text)) return i;
    char *end;
    const long long k = strtoll(text, &end, 10);
    if (end > text && !*end && k >= 0 && k < t->columns) return k;
    const char *near = t->name ? mls_error_nearest(text, t->name, (int)t->columns) : NULL;
    mls_error_set(s->m->e, "--target: %s has no column \"%.60s\"%s%s%s", t->path, text,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return -1;
}

static void choose_targets(mls_series *s, const mls_table *t)
{
    s->columns = t->columns;
    s->is_target = mls_arena_zalloc(s->m->a, (size_t)t->columns + 1);
    for (const char *p = s->target; p && *p && s->is_target;) {
        const size_t n = strcspn(p, ",");
        const int64_t k = find(s, t, p, n);
        if (k < 0) return;
        if (!s->is_target[k]) s->targets++;
        s->is_target[k] = 1;
        p += n + (p[n] == ',');
    }
    if (s->targets == s->columns)
        mls_error_set(s->m->e, "--target takes all %lld columns of %s and leaves none for x",
                      (long long)s->columns, t->path);
}

/* Rows [from, from + n) as one sample. */
static void put(mls_series *s, mls_samples *out, const mls_table *t, int64_t from, int64_t n)
{
    const int64_t F = s->columns - s->targets;
    const mls_mark mark = mls_arena_mark(s->m->a);
    float *x = mls_arena_alloc(s->m->a, (size_t)(n * F + 1) * sizeof *x);
    float *y = mls_arena_alloc(s->m->a, (size_t)(n * s->targets + 1) * sizeof *y);
    if (!x || !y) {
        mls_error_set(s->m->e, "%s: no memory for %lld rows", t->path, (long long)n);
        return;
    }
    float *to_x = x, *to_y = y;
    for (int64_t r = from; r < from + n; r++)
        for (int64_t k = 0; k < t->columns; k++) {
            const float v = t->value[r * t->columns + k];
            if (s->is_target[k]) *to_y++ = v;
            else *to_x++ = v;
        }
    const mls_samples_row row = { .steps = s->window ? 1 : n, .x = x, .target = y };
    mls_samples_add(out, &row);
    mls_arena_release(s->m->a, mark);
}

int mls_series_add(mls_series *s, int part, const mls_table *t)
{
    mls_import *m = s->m;
    if (!s->columns) choose_targets(s, t);
    if (t->columns != s->columns)
        mls_error_set(m->e, "%s: has %lld columns, where the files before have %lld", t->path,
                      (long long)t->columns, (long long)s->columns);
    if (t->rows < 1 || t->rows < s->window)
        mls_error_set(m->e, "%s: has %lld rows; expected at least %lld", t->path,
                      (long long)t->rows, (long long)(s->window ? s->window : 1));
    for (int64_t i = 0; i < t->rows * t->columns && !m->e->set; i++)
        if (!isfinite(t->value[i]))
            mls_error_set(m->e, "%s: row %lld, column %lld is %g; expected a finite number",
                          t->path, (long long)(i / t->columns), (long long)(i % t->columns),
                          (double)t->value[i]);
    if (m->e->set) return 1;
    const int first = !s->part[part];
    if (first) {
        const mls_samples_shape shape = {
            .steps = s->window, .features = s->columns - s->targets, .targets = s->targets,
            .cell = MLS_CELL_F32, .has = s->targets ? MLS_HAS_STEP_TARGET : 0
        };
        s->part[part] = mls_samples_open(m, part, &shape);
    }
    if (!s->window) put(s, s->part[part], t, 0, t->rows);
    for (int64_t r = 0; s->window && r + s->window <= t->rows && !m->e->set; r += s->stride)
        put(s, s->part[part], t, r, s->window);
    return first;
}

void mls_series_close(mls_series *s)
{
    for (int k = 0; s && k < MLS_PARTS; k++)
        if (s->part[k]) mls_samples_close(s->part[k]);
}
