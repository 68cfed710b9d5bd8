#include "study/weights.h"

#include "kern/kern.h"
#include "study/misfit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mls_weights_name(const mls_weight *w, const char *prefix)
{
    const size_t n = strlen(prefix);
    return strncmp(w->name, prefix, n) ? NULL : w->name + n;
}

static int ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end) && (n == k || name[n - k - 1] == '.');
}

/* "norm.weight", "layer0.norm1.weight": a gain for each feature. */
static int is_gain(const char *name)
{
    const size_t n = strlen(name) - strlen("weight");
    const char *part = name + n;
    while (part > name && (part == name + n || part[-1] != '.')) part--;
    return !strncmp(part, "norm", 4);
}

int mls_weights_shape(const char *name, int64_t rows, int64_t cols, int64_t dim[4])
{
    dim[0] = rows;
    dim[1] = cols;
    dim[2] = dim[3] = 1;
    if (ends_in(name, "conv1d.weight")) {
        dim[1] = 1;
        dim[2] = cols;
        return 3;
    }
    if (rows > 1 || (ends_in(name, "weight") && !is_gain(name))) return 2;
    dim[0] = cols;
    dim[1] = 1;
    return 1;
}

void mls_weights_add(const mls_net *net, const char *prefix, const char *group, int kind,
                     mls_bundle *out)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        const mls_weight *w = mls_net_weight(net, i);
        const char *name = mls_weights_name(w, prefix);
        int64_t dim[4];
        if (!name || (kind == MLS_WEIGHTS_GRADIENTS && (w->flags & MLS_FROZEN))) continue;
        const int rank = mls_weights_shape(name, w->rows, w->cols, dim);
        mls_bundle_add(out, mls_arena_printf(out->arena, "%s%s", group, name), MLS_B_F32,
                       kind == MLS_WEIGHTS_VALUES ? w->data
                       : kind == MLS_WEIGHTS_GRADIENTS ? w->grad : NULL, rank, dim);
    }
}

/* Equal but for axes of length 1. */
static int fits(const mls_bundle_row *r, int64_t rows, int64_t cols)
{
    int64_t want[2];
    int n = 0, k = 0;
    if (rows != 1) want[n++] = rows;
    if (cols != 1) want[n++] = cols;
    for (int i = 0; i < r->rank; i++)
        if (r->dim[i] != 1 && (k == n || r->dim[i] != want[k++])) return 0;
    return k == n;
}

static void check(const mls_bundle_row *r, const mls_weight *w, const char *name, mls_misfit *m,
                  mls_arena *a)
{
    int64_t dim[4];
    const int rank = mls_weights_shape(name, w->rows, w->cols, dim);
    const int64_t bad = fits(r, w->rows, w->cols) ? mls_k_first_bad(r->data, w->rows * w->cols)
                                                  : -2;
    if (bad == -2)
        mls_misfit_add(m, "misshapen %s: the file has %s, %s is needed", name,
                       mls_misfit_shape(r->rank, r->dim, a), mls_misfit_shape(rank, dim, a));
    else if (bad >= 0)
        mls_misfit_add(m, "not finite %s: %s at %s", name,
                       isnan(((const float *)r->data)[bad]) ? "NaN" : "Inf",
                       mls_misfit_place(r->rank, r->dim, bad, a));
}

typedef struct match { const char *name; int weight; } match;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const match *)a)->name, ((const match *)b)->name);
}

static const char *near_of(const char *name, const match *list, int n, mls_arena *a)
{
    const char **names = mls_arena_alloc(a, (size_t)(n + 1) * sizeof *names);
    if (!names || n > 2000) return NULL;
    for (int i = 0; i < n; i++) names[i] = list[i].name;
    return mls_error_nearest(name, names, n);
}

int mls_weights_load(mls_net *net, const char *prefix, const mls_bundle *from, const char *file,
                     const char *what, mls_error *e)
{
    mls_arena a = { 0 };
    const int most = mls_net_weights(net);
    match *list = mls_arena_zalloc(&a, (size_t)(most + 1) * sizeof *list);
    const mls_bundle_row **row = mls_arena_zalloc(&a, (size_t)(most + 1) * sizeof *row);
    mls_misfit *m = mls_arena_zalloc(&a, sizeof *m);
    int n = 0;
    if (!list || !row || !m) mls_error_set(e, "out of memory for a list of weights");
    for (int i = 0; !e->set && i < most; i++) {
        const char *name = mls_weights_name(mls_net_weight(net, i), prefix);
        if (name) list[n++] = (match){ name, i };
    }
    if (!e->set) qsort(list, (size_t)n, sizeof *list, by_name);
    for (int i = 0; !e->set && i < from->n; i++) {
        const match key = { from->row[i].name, 0 };
        const match *found = bsearch(&key, list, (size_t)n, sizeof *list, by_name);
        const char *near = found ? NULL : near_of(key.name, list, n, &a);
        if (found) row[found->weight] = &from->row[i];
        else mls_misfit_add(m, "extra %s %s%s%s", key.name,
                            mls_misfit_shape(from->row[i].rank, from->row[i].dim, &a),
                            near ? "; there is " : "", near ? near : "");
    }
    for (int i = 0; !e->set && i < most; i++) {
        const mls_weight *w = mls_net_weight(net, i);
        const char *name = mls_weights_name(w, prefix);
        int64_t dim[4];
        if (!name) continue;
        const int rank = mls_weights_shape(name, w->rows, w->cols, dim);
        if (row[i]) check(row[i], w, name, m, &a);
        else mls_misfit_add(m, "missing %s %s", name, mls_misfit_shape(rank, dim, &a));
    }
    if (!e->set) mls_misfit_tell(m, file, what, e);
    for (int i = 0; !e->set && i < most; i++) {
        const mls_weight *w = mls_net_weight(net, i);
        if (row[i]) memcpy(w->data, row[i]->data, (size_t)(w->rows * w->cols) * sizeof *w->data);
    }
    mls_arena_free(&a);
    return !e->set;
}
