#include "study/study_file.h"

#include "rec/study_table.h"
#include "study/child.h"
#include "study/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 120 };

typedef struct columns {
    mls_arena       *a;
    mls_study_column list[MOST];
    int              n;
    int              failed;
} columns;

static mls_study_column *add(columns *c, const char *path, int rows, const char *unit)
{
    static mls_study_column spare;
    if (c->n == MOST) {
        c->failed = 1;
        return &spare;
    }
    c->list[c->n] = (mls_study_column){ .path = path, .unit = unit, .rows = rows };
    return &c->list[c->n++];
}

static const char **texts(columns *c, const char *path, int rows)
{
    const char **x = mls_arena_zalloc(c->a, (size_t)(rows + 1) * sizeof *x);
    add(c, path, rows, NULL)->text = x;
    c->failed |= !x;
    return x;
}

static double *reals(columns *c, const char *path, int rows, const char *unit)
{
    double *x = mls_arena_zalloc(c->a, (size_t)(rows + 1) * sizeof *x);
    add(c, path, rows, unit)->real = x;
    c->failed |= !x;
    return x;
}

static void variants(columns *c, const mls_table *t)
{
    const int n = t->n_lines;
    const char **kind = texts(c, "/variants/kind", n), **label = texts(c, "/variants/label", n),
        **reason = texts(c, "/variants/reason", n);
    double *x[11] = { NULL };
    static const char *const names[11][2] = {
        { "n", NULL }, { "mean", NULL }, { "sd", NULL }, { "difference", NULL },
        { "low", NULL }, { "high", NULL }, { "parameters", NULL },
        { "tokens_per_second", "1/s" }, { "memory", "byte" }, { "spike_rate", NULL },
        { "paired", NULL } };
    for (int k = 0; k < 11; k++)
        x[k] = reals(c, mls_arena_printf(c->a, "/variants/%s", names[k][0]), n, names[k][1]);
    if (c->failed)
        return;
    for (int i = 0; i < n; i++) {
        const mls_table_line *l = &t->line[i];
        kind[i] = mls_table_kind(l->kind);
        label[i] = l->label;
        reason[i] = l->reason ? l->reason : "";
        const double row[11] = { l->by.n, l->by.mean, l->by.sd, l->to.value, l->to.low,
                                 l->to.high, l->parameters, l->tokens_per_second, l->memory,
                                 l->spike_rate, l->to.paired };
        for (int k = 0; k < 11; k++)
            x[k][i] = row[k];
    }
    for (int m = 0; m < t->n_measures; m++) {
        double *y = reals(c, mls_arena_printf(c->a, "/variants/measure/%s", t->measure[m]),
                          n, NULL);
        for (int i = 0; y && i < n; i++)
            y[i] = t->line[i].measure ? t->line[i].measure[m] : NAN;
    }
}

/* Every number of a trial's result becomes a column of its own, by its path. */
static void results(columns *c, const mls_table *t, const mls_value *v, const char *path)
{
    for (int i = 0; v && v->kind == MLS_V_MAP && i < v->n && c->n < MOST - 1; i++) {
        const mls_value *x = v->item[i];
        const char *at = *path ? mls_arena_printf(c->a, "%s.%s", path, v->key[i]) : v->key[i];
        if (x->kind == MLS_V_MAP)
            results(c, t, x, at);
        if (x->kind != MLS_V_INT && x->kind != MLS_V_REAL)
            continue;
        double *y = reals(c, mls_arena_printf(c->a, "/trials/result/%s", at), t->n_trials,
                          NULL);
        for (int k = 0; y && k < t->n_trials; k++) {
            const mls_value *r = mls_value_get_path(t->trial[k].result, at);
            y[k] = r && (r->kind == MLS_V_INT || r->kind == MLS_V_REAL) ? r->real : NAN;
        }
    }
}

static void trials(columns *c, const mls_table *t)
{
    const int n = t->n_trials;
    const char **id = texts(c, "/trials/id", n), **label = texts(c, "/trials/label", n),
        **reason = texts(c, "/trials/reason", n);
    double *value = reals(c, "/trials/value", n, NULL);
    int64_t *seed = mls_arena_zalloc(c->a, (size_t)(n + 1) * sizeof *seed);
    int64_t *parameters = mls_arena_zalloc(c->a, (size_t)(n + 1) * sizeof *parameters);
    add(c, "/trials/seed", n, NULL)->whole = seed;
    add(c, "/trials/parameters", n, NULL)->whole = parameters;
    c->failed |= !seed || !parameters;
    const mls_value *example = NULL;
    for (int i = 0; i < n && !c->failed; i++) {
        id[i] = t->trial[i].id;
        label[i] = t->trial[i].label;
        reason[i] = t->trial[i].reason && !t->trial[i].result ? t->trial[i].reason : "";
        seed[i] = t->trial[i].seed;
        parameters[i] = t->trial[i].parameters;
        value[i] = t->trial[i].result ? mls_table_find(t->trial[i].result, t->by) : NAN;
        if (!example)
            example = t->trial[i].result;
    }
    if (!c->failed)
        results(c, t, example, "");
}

int mls_study_files(const char *dir, const mls_table *t, mls_error *e)
{
    mls_arena a = { 0 };
    const char *csv = mls_table_csv(&a, t);
    const char *path = mls_arena_printf(&a, "%s/table.csv", dir);
    if (csv && path)
        mls_child_write(path, csv, e);
    columns *c = mls_arena_zalloc(&a, sizeof *c);
    mls_study_link *link = mls_arena_zalloc(&a, (size_t)(t->n_trials + 1) * sizeof *link);
    int n_links = 0;
    if (c && link) {
        c->a = &a;
        variants(c, t);
        trials(c, t);
        for (int i = 0; i < t->n_trials; i++) {
            const char *file = mls_arena_printf(&a, "%s/%s/record.h5", dir, t->trial[i].id);
            if (!file || access(file, R_OK) != 0)
                continue;
            link[n_links++] = (mls_study_link){
                mls_arena_printf(&a, "/record/%s", t->trial[i].id),
                mls_arena_printf(&a, "%s/record.h5", t->trial[i].id) };
        }
    }
    path = mls_arena_printf(&a, "%s/study.h5", dir);
    if (!csv || !path || !c || !link || c->failed)
        mls_error_set(e, "%s: no memory for the study's files, or too many columns", dir);
    if (!e->set)
        mls_study_table_write(path, t->study, c->list, c->n, link, n_links, e);
    mls_arena_free(&a);
    return !e->set;
}
