#include "study/table.h"

#include "study/folds.h"
#include "study/grid.h"

#include <math.h>
#include <string.h>

/* ---- results --------------------------------------------------------------------------- */

static double number(const mls_value *v)
{
    return v && (v->kind == MLS_V_INT || v->kind == MLS_V_REAL) ? v->real : NAN;
}

static double search(const mls_value *v, const char *name)
{
    double x = number(mls_value_get(v, name));
    for (int i = 0; v && v->kind == MLS_V_MAP && i < v->n && isnan(x); i++)
        x = search(v->item[i], name);
    return x;
}

double mls_table_find(const mls_value *result, const char *name)
{
    static const char *const first[] = { "test", "validation" };
    double x = number(mls_value_get_path(result, name));
    for (int i = 0; i < 2 && isnan(x); i++)
        x = search(mls_value_get(result, first[i]), name);
    return isnan(x) ? search(result, name) : x;
}

static double mean_of(const mls_table_trial *t, int n, int variant, const char *const *names)
{
    double sum = 0.0;
    int k = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; t[i].variant == variant && t[i].result && names[j]; j++) {
            const double x = mls_table_find(t[i].result, names[j]);
            if (!isnan(x)) {
                sum += x;
                k++;
                break;
            }
        }
    return k ? sum / k : NAN;
}

/* ---- making ---------------------------------------------------------------------------- */

/* The values of `by` for one variant, in order of the trials; seeds beside them. */
static int values(mls_arena *a, const mls_table_trial *t, int n, int variant,
                  const char *by, double **x, int64_t **seed)
{
    int k = 0;
    *x = mls_arena_alloc(a, (size_t)(n + 1) * sizeof **x);
    *seed = mls_arena_alloc(a, (size_t)(n + 1) * sizeof **seed);
    for (int i = 0; i < n && *x && *seed; i++) {
        const double v = t[i].variant == variant && t[i].result
            ? mls_table_find(t[i].result, by) : NAN;
        if (isnan(v))
            continue;
        (*x)[k] = v;
        (*seed)[k++] = t[i].seed;
    }
    return k;
}

static mls_difference compare(mls_arena *a, const mls_table_trial *t, int n,
                              const char *by, int variant, int base)
{
    double *x, *y;
    int64_t *sx, *sy;
    const int nx = values(a, t, n, variant, by, &x, &sx);
    const int ny = values(a, t, n, base, by, &y, &sy);
    int same = nx == ny && nx > 0;
    for (int i = 0; i < nx && same; i++)
        same = sx[i] == sy[i];
    if (same)
        return mls_study_paired(x, y, nx, 0.95);
    if (nx == 0 || ny == 0)
        return (mls_difference){ NAN, NAN, NAN, 0.0, 0 };
    return mls_study_welch(x, nx, y, ny, 0.95);
}

/* 1 when point has every value of want; rest: and all other values are those of like. */
static int agrees(const mls_value *point, const mls_value *want, const mls_value *like)
{
    for (int i = 0; i < want->n; i++) {
        const mls_value *v = mls_value_get(point, want->key[i]);
        if (!v || !mls_value_equal(v, want->item[i]))
            return 0;
    }
    for (int i = 0; like && i < like->n; i++) {
        const mls_value *v = mls_value_get(point, like->key[i]);
        if (!mls_value_get(want, like->key[i]) && v && !mls_value_equal(v, like->item[i]))
            return 0;
    }
    return 1;
}

static int baseline_of(const mls_table_trial *t, int n, const mls_value *point,
                       const mls_value *against)
{
    for (int strict = 1; strict >= 0; strict--)
        for (int i = 0; i < n; i++)
            if (t[i].point && agrees(t[i].point, against, strict ? point : NULL))
                return t[i].variant;
    return -1;
}

static void add_variant(mls_arena *a, mls_table *out, const mls_table_trial *t, int n,
                        int first, const mls_value *against)
{
    static const char *const rate[] = { "tokens_per_second", "rate", NULL };
    static const char *const memory[] = { "peak_memory_bytes", "peak_memory", "memory",
                                          NULL };
    static const char *const spikes[] = { "spike_rate", NULL };
    const int v = t[first].variant;
    double *x;
    int64_t *seed;
    mls_table_line *l = &out->line[out->n_lines++];
    *l = (mls_table_line){ .kind = MLS_LINE_VARIANT, .label = t[first].label,
                           .point = t[first].point };
    const int nx = values(a, t, n, v, out->by, &x, &seed);
    l->by = mls_study_moments(x, nx);
    l->parameters = (double)t[first].parameters;
    l->tokens_per_second = mean_of(t, n, v, rate);
    l->memory = mean_of(t, n, v, memory);
    l->spike_rate = mean_of(t, n, v, spikes);
    l->measure = mls_arena_alloc(a, (size_t)(out->n_measures + 1) * sizeof(double));
    for (int i = 0; i < out->n_measures; i++) {
        const char *names[] = { out->measure[i], NULL };
        l->measure[i] = mean_of(t, n, v, names);
    }
    l->to = (mls_difference){ NAN, NAN, NAN, 0.0, 0 };
    const int base = against ? baseline_of(t, n, t[first].point, against) : -1;
    l->baseline = base == v;
    if (base >= 0 && base != v)
        l->to = compare(a, t, n, out->by, v, base);
    out->compared |= base >= 0;
    out->paired |= !isnan(l->to.value) && l->to.paired;
}

static void add_row(mls_table *out, mls_line_kind kind, const char *label, double value,
                    const char *reason)
{
    out->line[out->n_lines++] = (mls_table_line){
        .kind = kind, .label = label, .reason = reason, .by = { 1, value, NAN },
        .to = { NAN, NAN, NAN, 0.0, 0 }, .parameters = NAN, .tokens_per_second = NAN,
        .memory = NAN, .spike_rate = NAN };
}

static void read_measures(mls_arena *a, const mls_value *settings, mls_table *out)
{
    const mls_value *list = mls_value_get(settings, "measure");
    out->measure = mls_arena_alloc(a, (size_t)(list ? list->n + 1 : 1)
                                   * sizeof *out->measure);
    for (int i = 0; list && i < list->n; i++) {
        const char *name = list->item[i]->kind == MLS_V_STRING ? list->item[i]->string
            : NULL;
        /* spike_rate has a column of its own, `by` too */
        if (name && strcmp(name, out->by) != 0 && strcmp(name, "spike_rate") != 0)
            out->measure[out->n_measures++] = name;
    }
}

const char *mls_table_kind(mls_line_kind kind)
{
    static const char *const name[] = { "variant", "floor", "missing", "mean" };
    return name[kind];
}

void mls_table_make(mls_arena *a, const mls_value *settings, const mls_table_trial *trial,
                    int n, mls_table *out, mls_error *e)
{
    const mls_value *compare = mls_value_get(settings, "compare");
    const mls_value *against = mls_value_get(compare, "against");
    const mls_value *floors = mls_value_get(settings, "floors");
    *out = (mls_table){ .trial = trial, .n_trials = n };
    out->study = mls_value_get_string(settings, "name", "study", e);
    out->by = mls_value_get_string(compare, "by", "loss", e);
    out->over = mls_value_get_string(compare, "over", NULL, e);
    out->line = mls_arena_alloc(a, (size_t)(3 * n + (floors ? floors->n : 0) + 1)
                                * sizeof *out->line);
    read_measures(a, settings, out);
    if (!out->line || e->set) {
        mls_error_set(e, "no memory for the table");
        return;
    }
    for (int i = 0; i < n; i++) {
        int first = 1;
        for (int k = 0; k < i; k++)
            first &= trial[k].variant != trial[i].variant;
        if (first)
            add_variant(a, out, trial, n, i, against);
    }
    if (out->over) mls_folds_add(a, out, against);
    for (int i = 0; i < n; i++)
        if (!trial[i].result)
            add_row(out, MLS_LINE_MISSING,
                    mls_arena_printf(a, "%s seed=%lld", trial[i].label,
                                     (long long)trial[i].seed), NAN,
                    trial[i].reason ? trial[i].reason : "not run");
    for (int i = 0; floors && i < floors->n; i++)
        add_row(out, MLS_LINE_FLOOR,
                mls_value_get_string(floors->item[i], "name", "floor", e),
                mls_value_get_real(floors->item[i], "value", NAN, e), NULL);
}
