#include "study/budget.h"

#include "study/grid.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* `width = { parallel = "units", default = "width" }`: the entry that is the text of
 * one of the point's values. */
static const char *name_for(const mls_value *map, const char *key, const mls_value *point,
                            mls_error *e)
{
    const mls_value *v = mls_value_get(map, key);
    if (!v || v->kind == MLS_V_STRING)
        return v ? v->string : NULL;
    mls_arena a = { 0 };
    const mls_value *found = NULL;
    for (int i = 0; v->kind == MLS_V_MAP && i < point->n && !found; i++)
        found = mls_value_get(v, mls_grid_text(&a, point->item[i]));
    if (!found)
        found = mls_value_get(v, "default");
    if (!found || found->kind != MLS_V_STRING)
        mls_error_set(e, "%s`budget.%s` gives no name for %s", mls_value_where(&a, v),
                      key, mls_grid_label(&a, point));
    mls_arena_free(&a);
    return found && found->kind == MLS_V_STRING ? found->string : NULL;
}

mls_budget mls_budget_read(const mls_value *map, const mls_value *point, mls_error *e)
{
    static const char *const names[] = { "parameters", "width", "fine", "step",
                                         "fine_step", "tolerance", NULL };
    mls_value_only(map, names, "budget", e);
    mls_budget b = {
        .parameters = mls_value_get_int(map, "parameters", 0, e),
        .step = mls_value_get_int(map, "step", 8, e),
        .fine_step = mls_value_get_int(map, "fine_step", 1, e),
        .tolerance = mls_value_get_real(map, "tolerance", 0.02, e),
        .width = name_for(map, "width", point, e),
        .fine = name_for(map, "fine", point, e),
    };
    if (!b.width)
        b.width = "width";
    if (b.parameters < 1 || b.step < 1 || b.fine_step < 1 || !(b.tolerance > 0.0))
        mls_error_set(e, "`budget` needs parameters, step, fine_step and tolerance above "
                      "0");
    return b;
}

static double off(int64_t n, int64_t target)
{
    return fabs((double)n - (double)target) / (double)target;
}

typedef struct search {
    const mls_budget *b;
    mls_budget_count  count;
    void             *arg;
    mls_error        *e;
    int64_t           width, fine, n;      /* the nearest so far                       */
} search;

static int64_t ask(search *s, int64_t width, int64_t fine)
{
    const int64_t n = s->count(s->arg, width, fine, s->e);
    if (n >= 0 && (s->n < 0 || off(n, s->b->parameters) < off(s->n, s->b->parameters))) {
        s->n = n;
        s->width = width;
        s->fine = fine;
    }
    return n;
}

/* The largest multiple of step at which the count does not exceed the target.  fixed:
 * the width at which the fine name is searched, or 0 to search the width itself. */
static int64_t largest(search *s, int64_t fixed, int64_t step)
{
    int64_t low = 0, high = 1, before = -1;
    for (;; high *= 2) {
        const int64_t n = fixed ? ask(s, fixed, high * step) : ask(s, high * step, 0);
        if (n < 0)
            return -1;
        if (n > s->b->parameters)
            break;
        /* a fine name that this variant does not use */
        if (fixed && high > 1 && n == before)
            return 0;
        before = n;
        low = high;
        if (high * step > 1 << 20)
            return low * step;
    }
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        const int64_t n = fixed ? ask(s, fixed, middle * step) : ask(s, middle * step, 0);
        if (n < 0)
            return -1;
        if (n > s->b->parameters)
            high = middle;
        else
            low = middle;
    }
    return low * step;
}

int mls_budget_solve(const mls_budget *b, mls_budget_count count, void *arg,
                     int64_t *width, int64_t *fine, int64_t *parameters, mls_error *e)
{
    search s = { b, count, arg, e, 0, 0, -1 };
    const int64_t coarse = largest(&s, 0, b->step);
    if (coarse < 0)
        return 0;
    if (coarse > 1 << 20) {
        mls_error_set(e, "budget: the number of parameters (%" PRId64 ") does not grow "
                      "with \"%s\": is p.%s used?", s.n, b->width, b->width);
        return 0;
    }
    if (off(s.n, b->parameters) > b->tolerance && b->fine && coarse > 0
        && largest(&s, coarse, b->fine_step) < 0)
        return 0;
    if (off(s.n, b->parameters) > b->tolerance) {
        mls_error_set(e, "budget: no multiple of %" PRId64 " for \"%s\" gives %" PRId64
                      " parameters within %g %%; the nearest is %" PRId64 " at %s = %"
                      PRId64 " (a smaller `step` or a `fine` name helps)", b->step,
                      b->width, b->parameters, 100.0 * b->tolerance, s.n, b->width,
                      s.width);
        return 0;
    }
    *width = s.width;
    *fine = s.fine;
    *parameters = s.n;
    return 1;
}
