#include "study/folds.h"

#include "study/grid.h"

#include <math.h>
#include <string.h>

typedef struct folds { int n, *line; double *x; } folds;    /* x: the means of the lines */

static mls_value *without(mls_arena *a, const mls_value *point, const char *name)
{
    mls_value *rest = mls_value_map(a);
    for (int i = 0; i < point->n; i++)
        if (strcmp(point->key[i], name) != 0)
            mls_value_set(a, rest, point->key[i], point->item[i]);
    return rest;
}

/* Whether a point has all of `want`; the points of a list may lack values. */
static int has(const mls_value *point, const mls_value *want)
{
    for (int i = 0; i < want->n; i++) {
        const mls_value *v = mls_value_get(point, want->key[i]);
        if (!v || !mls_value_equal(v, want->item[i])) return 0;
    }
    return 1;
}

/* The rows of variants whose rest is `rest`, in order, those without a result left out. */
static folds gather(mls_arena *a, const mls_table *t, int variants, mls_value *const *rest,
                    const mls_value *like)
{
    folds f = { 0, mls_arena_alloc(a, (size_t)variants * sizeof *f.line),
                mls_arena_alloc(a, (size_t)variants * sizeof *f.x) };
    for (int i = 0; f.line && f.x && i < variants; i++)
        if (mls_value_equal(rest[i], like) && !isnan(t->line[i].by.mean)) {
            f.line[f.n] = i;
            f.x[f.n++] = t->line[i].by.mean;
        }
    return f;
}

static double mean(const double *x, int n)
{
    double sum = 0.0;
    int k = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i])) sum += x[i], k++;
    return k ? sum / k : NAN;
}

static void describe(mls_arena *a, mls_table *t, const folds *f, mls_table_line *l)
{
    double *x = mls_arena_alloc(a, (size_t)(f->n + 1) * sizeof *x);
    l->measure = mls_arena_alloc(a, (size_t)(t->n_measures + 1) * sizeof *l->measure);
    if (!x || !l->measure) return;
    l->by = mls_study_moments(f->x, f->n);
#define MEAN(field) \
    for (int i = 0; i < f->n; i++) x[i] = t->line[f->line[i]].field; \
    l->field = mean(x, f->n)
    MEAN(parameters);
    MEAN(tokens_per_second);
    MEAN(memory);
    MEAN(spike_rate);
    for (int m = 0; m < t->n_measures; m++) {
        MEAN(measure[m]);
    }
#undef MEAN
}

/* Paired where both have the same folds, as the differences of variants are by seed. */
static mls_difference differ(const mls_table *t, const folds *f, const folds *base)
{
    int same = f->n == base->n && f->n > 0;
    for (int i = 0; i < f->n && same; i++)
        same = mls_value_equal(mls_value_get(t->line[f->line[i]].point, t->over),
                               mls_value_get(t->line[base->line[i]].point, t->over));
    if (same) return mls_study_paired(f->x, base->x, f->n, 0.95);
    if (!f->n || !base->n) return (mls_difference){ NAN, NAN, NAN, 0.0, 0 };
    return mls_study_welch(f->x, f->n, base->x, base->n, 0.95);
}

/* The rest of the baseline of `like`: it has what `against` says and else what like has. */
static const mls_value *baseline(mls_arena *a, mls_value *const *rest, int variants,
                                 const mls_value *like, const mls_value *against)
{
    mls_value *want = mls_value_map(a);
    for (int i = 0; i < like->n; i++)
        if (!mls_value_get(against, like->key[i]))
            mls_value_set(a, want, like->key[i], like->item[i]);
    for (int strict = 1; strict >= 0; strict--)
        for (int i = 0; i < variants; i++)
            if (has(rest[i], against) && (!strict || has(rest[i], want))) return rest[i];
    return NULL;
}

void mls_folds_add(mls_arena *a, mls_table *t, const mls_value *against)
{
    const int variants = t->n_lines;
    mls_value **rest = mls_arena_alloc(a, (size_t)(variants + 1) * sizeof *rest);
    for (int i = 0; rest && i < variants; i++)
        rest[i] = without(a, t->line[i].point, t->over);
    for (int i = 0; rest && i < variants; i++) {
        int first = 1;
        for (int k = 0; k < i; k++) first &= !mls_value_equal(rest[k], rest[i]);
        if (!first) continue;
        const folds f = gather(a, t, variants, rest, rest[i]);
        const mls_value *base = against ? baseline(a, rest, variants, rest[i], against) : NULL;
        mls_table_line *l = &t->line[t->n_lines++];
        *l = (mls_table_line){ .kind = MLS_LINE_MEAN, .point = rest[i],
                               .to = { NAN, NAN, NAN, 0.0, 0 } };
        l->label = mls_arena_printf(a, "%s, mean over %s", mls_grid_label(a, rest[i]),
                                    t->over);
        describe(a, t, &f, l);
        l->baseline = base == rest[i] || (base && mls_value_equal(base, rest[i]));
        if (!base || l->baseline) continue;
        const folds b = gather(a, t, variants, rest, base);
        l->to = differ(t, &f, &b);
    }
}
