#include "study/grid.h"

#include <inttypes.h>
#include <string.h>

char *mls_grid_text(mls_arena *a, const mls_value *v)
{
    switch (v->kind) {
    case MLS_V_NULL:   return mls_arena_strdup(a, "none");
    case MLS_V_BOOL:   return mls_arena_strdup(a, v->boolean ? "true" : "false");
    case MLS_V_INT:    return mls_arena_printf(a, "%" PRId64, v->integer);
    case MLS_V_REAL:   return mls_arena_printf(a, "%.6g", v->real);
    case MLS_V_STRING: return mls_arena_strdup(a, v->string);
    default: break;
    }
    const mls_value *component = mls_value_get(v, "component");
    const char *head = component && component->kind == MLS_V_STRING
        ? component->string : "";
    char *text = mls_arena_strdup(a, "");
    for (int i = 0; i < v->n; i++) {
        if (v->item[i] == component)
            continue;
        char *item = mls_grid_text(a, v->item[i]);
        text = v->kind == MLS_V_MAP
            ? mls_arena_printf(a, "%s%s%s=%s", text, *text ? "," : "", v->key[i], item)
            : mls_arena_printf(a, "%s%s%s", text, *text ? "," : "", item);
    }
    if (*head && !*text)
        return mls_arena_strdup(a, head);
    return mls_arena_printf(a, "%s{%s}", head, text);
}

char *mls_grid_label(mls_arena *a, const mls_value *point)
{
    char *text = mls_arena_strdup(a, "");
    for (int i = 0; point && i < point->n; i++)
        text = mls_arena_printf(a, "%s%s%s=%s", text, i ? " " : "", point->key[i],
                                mls_grid_text(a, point->item[i]));
    return *text ? text : mls_arena_strdup(a, "all");
}

static void keep(mls_arena *a, const mls_value *point, mls_grid_where where, void *arg,
                 mls_grid *out, mls_error *e)
{
    const int answer = where ? where(arg, point, e) : 1;
    if (answer < 0)
        mls_error_set(e, "`where` failed for %s", mls_grid_label(a, point));
    if (answer == 1)
        out->point[out->n++] = mls_value_copy(a, point);
}

static void expand_list(mls_arena *a, const mls_value *vary, mls_grid_where where,
                        void *arg, mls_grid *out, mls_error *e)
{
    for (int i = 0; i < vary->n && !e->set; i++) {
        if (vary->item[i]->kind != MLS_V_MAP)
            mls_error_set(e, "%s`vary` as a list holds points like { mode = \"parallel\" "
                          "}; item %d is %s", mls_value_where(a, vary->item[i]), i + 1,
                          mls_value_kind_name(vary->item[i]));
        else
            keep(a, vary->item[i], where, arg, out, e);
    }
}

static int64_t combinations(mls_arena *a, const mls_value *vary, mls_error *e)
{
    int64_t n = 1;
    for (int i = 0; i < vary->n; i++) {
        const mls_value *list = vary->item[i];
        if (list->kind != MLS_V_LIST || list->n == 0) {
            mls_error_set(e, "%s`vary.%s` must be a list of values with at least one, "
                          "found %s", mls_value_where(a, list), vary->key[i],
                          list->n ? mls_value_kind_name(list) : "an empty one");
            return 0;
        }
        n *= list->n;
        if (n > MLS_GRID_MOST) {
            mls_error_set(e, "%s`vary` makes more than %d points",
                          mls_value_where(a, vary), MLS_GRID_MOST);
            return 0;
        }
    }
    return n;
}

void mls_grid_expand(mls_arena *a, const mls_value *vary, mls_grid_where where, void *arg,
                     mls_grid *out, mls_error *e)
{
    out->n = 0;
    out->point = NULL;
    const int list = vary && vary->kind == MLS_V_LIST && vary->n > 0;
    if (vary && vary->n > 0 && !list && vary->kind != MLS_V_MAP) {
        mls_error_set(e, "%s`vary` must be a map of lists, found %s",
                      mls_value_where(a, vary), mls_value_kind_name(vary));
        return;
    }
    const int64_t n = list ? vary->n : vary && vary->n ? combinations(a, vary, e) : 1;
    if (e->set)
        return;
    out->point = mls_arena_alloc(a, (size_t)n * sizeof *out->point);
    if (!out->point) {
        mls_error_set(e, "no memory for %" PRId64 " points", n);
        return;
    }
    if (list) {
        expand_list(a, vary, where, arg, out, e);
        return;
    }
    for (int64_t i = 0; i < n && !e->set; i++) {
        mls_value *point = mls_value_map(a);
        int64_t rest = i, base = n;
        for (int k = 0; vary && k < vary->n; k++) {
            base /= vary->item[k]->n;
            mls_value_set(a, point, vary->key[k], vary->item[k]->item[rest / base]);
            rest %= base;
        }
        keep(a, point, where, arg, out, e);
    }
}

void mls_grid_filter(mls_arena *a, mls_grid *g, const char *filter, mls_error *e)
{
    const char *equal = strchr(filter, '=');
    if (!equal || equal == filter) {
        mls_error_set(e, "a filter reads name=value, found \"%s\"", filter);
        return;
    }
    char *name = mls_arena_printf(a, "%.*s", (int)(equal - filter), filter);
    int n = 0, known = 0;
    const char *nearest = NULL;
    for (int i = 0; i < g->n; i++) {
        const mls_value *v = mls_value_get(g->point[i], name);
        if (!v && !nearest)
            nearest = mls_error_nearest(name, g->point[i]->key, g->point[i]->n);
        known |= v != NULL;
        if (v && strcmp(mls_grid_text(a, v), equal + 1) == 0)
            g->point[n++] = g->point[i];
    }
    if (!known)
        mls_error_set(e, "filter \"%s\": `vary` has no \"%s\"%s%s%s", filter, name,
                      nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                      nearest ? "\"?" : "");
    g->n = n;
}

void mls_grid_seeds(mls_arena *a, const mls_value *seeds, int64_t **out, int *n,
                    mls_error *e)
{
    const int list = seeds && seeds->kind == MLS_V_LIST;
    const int64_t count = !seeds ? 1 : list ? seeds->n
        : seeds->kind == MLS_V_INT ? seeds->integer : 0;
    *n = 0;
    if (count < 1 || count > 10000) {
        mls_error_set(e, "%s`seeds` is a count from 1 to 10000 or a list of integers",
                      mls_value_where(a, seeds));
        return;
    }
    *out = mls_arena_alloc(a, (size_t)count * sizeof **out);
    if (!*out) {
        mls_error_set(e, "no memory for %" PRId64 " seeds", count);
        return;
    }
    for (int i = 0; i < count; i++) {
        if (list && seeds->item[i]->kind != MLS_V_INT) {
            mls_error_set(e, "%sa seed is an integer, found %s",
                          mls_value_where(a, seeds->item[i]),
                          mls_value_kind_name(seeds->item[i]));
            return;
        }
        (*out)[i] = list ? seeds->item[i]->integer : i + 1;
        for (int k = 0; k < i; k++)
            if ((*out)[k] == (*out)[i]) {
                mls_error_set(e, "%sseed %" PRId64 " is listed twice",
                              mls_value_where(a, seeds->item[i]), (*out)[i]);
                return;
            }
    }
    *n = (int)count;
}
