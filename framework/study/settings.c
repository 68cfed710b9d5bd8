#include "study/settings.h"

#include <string.h>

/* The last part of every name that a result can have. */
static const char *const figures[] = {
    "loss", "accuracy", "nats", "bits", "perplexity", "mse", "mae", "training_loss", "spike_rate",
    "auc", "sparsity", "nll", "synops", "macs", "dense_macs",
    "learning_rate", "gradient_norm", "clipped", "tokens", "tokens_per_second", "seconds",
    "steps", "step", "parameters", "peak_memory"
};
enum { FIGURES = sizeof figures / sizeof *figures };

static void figure(const mls_value *v, const char *what, mls_error *e)
{
    mls_arena a = { 0 };
    const char *dot = v->kind == MLS_V_STRING ? strrchr(v->string, '.') : NULL;
    const char *name = dot ? dot + 1 : v->kind == MLS_V_STRING ? v->string : NULL;
    int known = 0;
    for (int i = 0; name && i < FIGURES; i++)
        known |= strcmp(name, figures[i]) == 0;
    const char *near = name && !known ? mls_error_nearest(name, figures, FIGURES) : NULL;
    if (!name)
        mls_error_set(e, "%s`%s` names a figure such as \"loss\" or \"test.accuracy\", found "
                      "%s", mls_value_where(&a, v), what, mls_value_kind_name(v));
    else if (!known)
        mls_error_set(e, "%s`%s`: no result has a \"%s\"%s%s%s", mls_value_where(&a, v), what,
                      v->string, near ? "; did you mean \"" : "", near ? near : "",
                      near ? "\"?" : "");
    mls_arena_free(&a);
}

static int holds(const mls_value *point, const mls_value *want)
{
    for (int i = 0; i < want->n; i++) {
        const mls_value *v = mls_value_get(point, want->key[i]);
        if (!v || !mls_value_equal(v, want->item[i]))
            return 0;
    }
    return 1;
}

static void baseline(const mls_value *against, const mls_grid *all, mls_error *e)
{
    mls_arena a = { 0 };
    const char *where = mls_value_where(&a, against);
    int found = 0;
    if (against->kind != MLS_V_MAP || !against->n) {
        mls_error_set(e, "%s`compare.against` is a map of values of `vary`, as { mode = "
                      "\"mamba\" }, found %s", where, mls_value_kind_name(against));
    } else {
        for (int i = 0; i < all->n; i++)
            found |= holds(all->point[i], against);
        if (!found)
            mls_error_set(e, "%s`compare.against`: no variant has %s", where,
                          mls_grid_label(&a, against));
    }
    mls_arena_free(&a);
}

static void over(const mls_value *v, const mls_value *against, const mls_grid *all,
                 mls_error *e)
{
    mls_arena a = { 0 };
    const char *where = mls_value_where(&a, v), *near = NULL;
    const char *name = v->kind == MLS_V_STRING ? v->string : NULL;
    int known = 0;
    for (int i = 0; name && i < all->n; i++) {
        known |= mls_value_get(all->point[i], name) != NULL;
        if (!near) near = mls_error_nearest(name, all->point[i]->key, all->point[i]->n);
    }
    if (!known)
        mls_error_set(e, "%s`compare.over` is a name of `vary`, as \"speaker\"; found %s%s%s%s%s",
                      where, name ? "\"" : "", name ? name : mls_value_kind_name(v),
                      name ? "\"" : "", near ? ", did you mean " : "", near ? near : "");
    else if (mls_value_get(against, name))
        mls_error_set(e, "%s`compare.over`: \"%s\" is in `against` too, and there is no "
                      "difference between means over it", where, name);
    mls_arena_free(&a);
}

static void floors(const mls_value *list, mls_error *e)
{
    mls_arena a = { 0 };
    for (int i = 0; i < (list->kind == MLS_V_LIST ? list->n : 1) && !e->set; i++) {
        const mls_value *v = list->kind == MLS_V_LIST ? list->item[i] : list;
        const mls_value *name = mls_value_get(v, "name"), *x = mls_value_get(v, "value");
        if (v == list || v->kind != MLS_V_MAP || !name || name->kind != MLS_V_STRING || !x
            || (x->kind != MLS_V_INT && x->kind != MLS_V_REAL))
            mls_error_set(e, "%s`floors` is a list of { name = \"4-gram\", value = 1.669 }",
                          mls_value_where(&a, v));
    }
    mls_arena_free(&a);
}

void mls_study_settings_check(const mls_value *settings, const mls_grid *all, mls_error *e)
{
    mls_arena a = { 0 };
    const mls_value *v, *compare = mls_value_get(settings, "compare");
    if ((v = mls_value_get(compare, "by")))
        figure(v, "compare.by", e);
    if ((v = mls_value_get(compare, "against")))
        baseline(v, all, e);
    if ((v = mls_value_get(compare, "over")) && !e->set)
        over(v, mls_value_get(compare, "against"), all, e);
    v = mls_value_get(settings, "measure");
    if (v && v->kind != MLS_V_LIST && v->n + (v->kind != MLS_V_MAP) > 0)
        mls_error_set(e, "%s`measure` is a list of names, as { \"loss\", \"spike_rate\" }, "
                      "found %s", mls_value_where(&a, v), mls_value_kind_name(v));
    for (int i = 0; v && v->kind == MLS_V_LIST && i < v->n && !e->set; i++)
        figure(v->item[i], "measure", e);
    if ((v = mls_value_get(settings, "floors")) && (v->kind != MLS_V_MAP || v->n))
        floors(v, e);
    v = mls_value_get(settings, "timeout");
    const double seconds = mls_value_get_real(settings, "timeout", 0.0, e);
    if (!(seconds >= 0.0))
        mls_error_set(e, "%s`timeout` is %g; expected seconds, or 0 for none",
                      mls_value_where(&a, v), seconds);
    mls_arena_free(&a);
}
