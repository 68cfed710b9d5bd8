#include "study/plan.h"

#include "conf/conf.h"
#include "study/budget.h"
#include "study/settings.h"
#include "study/trial.h"
#include "train/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

mls_value *mls_plan_merge(mls_arena *a, const mls_value *base, const mls_value *over)
{
    if (!over)
        return base ? mls_value_copy(a, base) : NULL;
    if (!base || base->kind != MLS_V_MAP || over->kind != MLS_V_MAP)
        return mls_value_copy(a, over);
    mls_value *out = mls_value_copy(a, base);
    for (int i = 0; i < over->n; i++)
        mls_value_set(a, out, over->key[i],
                      mls_plan_merge(a, mls_value_get(base, over->key[i]), over->item[i]));
    return out;
}

/* ---- one configuration ----------------------------------------------------------------- */

typedef struct maker {
    const mls_plan_source *s;
    const mls_value       *settings, *smoke;     /* smoke: NULL in a real run          */
    const char            *name;
    mls_arena             *a;
    int64_t                seed;
    const mls_value       *point;
    const mls_budget      *budget;
    mls_kept_task         *task;
} maker;

typedef struct resolved {
    mls_value *config;
    double     flops, bytes;
    int64_t    parameters;
} resolved;

/* "train.learning_rate" as a name in `vary` is a path into the configuration. */
static void paths(mls_arena *a, mls_value *config, const mls_value *point, mls_error *e)
{
    for (int i = 0; i < point->n; i++)
        if (strchr(point->key[i], '.'))
            mls_value_set_path(a, config, point->key[i],
                               mls_value_copy(a, point->item[i]), e);
}

/* What a request of `record` names before the first dot, when it is a node. */
static const char *node_of(mls_arena *a, const mls_value *request)
{
    const mls_value *v = request->kind == MLS_V_MAP ? mls_value_get(request, "selector")
        : request;
    if (!v || v->kind != MLS_V_STRING)
        return NULL;
    const char *dot = strchr(v->string, '.');
    if (!dot || strcspn(v->string, "*?[") < (size_t)(dot - v->string)
        || strncmp(v->string, "layer", 5) == 0 || strncmp(v->string, "head.", 5) == 0)
        return NULL;
    return mls_arena_printf(a, "%.*s", (int)(dot - v->string), v->string);
}

/* Variants differ in their nodes: a request for one that this variant has not is left
 * out; recorded() sees to it that some variant has it. */
static mls_value *requests(mls_arena *a, const mls_value *record, const mls_value *nodes)
{
    mls_value *out = mls_value_list(a);
    for (int i = 0; i < record->n; i++) {
        const char *node = node_of(a, record->item[i]);
        if (!node || mls_value_get(nodes, node))
            mls_value_push(a, out, mls_value_copy(a, record->item[i]));
    }
    return out;
}

static resolved resolve(const maker *m, mls_arena *a, const mls_value *point, mls_error *e)
{
    static const char *const parts[] = { "network", "task", "train" };
    resolved r = { NULL, 0.0, 0.0, -1 };
    const mls_value *made = m->s->config(m->s->arg, a, point, e);
    if (!made || e->set)
        return r;
    mls_value *config = mls_value_map(a);
    mls_value_set(a, config, "name", mls_value_string(a, m->name));
    for (int i = 0; i < 3; i++) {
        const mls_value *over = mls_value_get(m->smoke, parts[i]);
        mls_value *part = mls_plan_merge(a, mls_value_get(made, parts[i]), over);
        if (part)
            mls_value_set(a, config, parts[i], part);
    }
    static const char *const own[] = { "step_ms", "locking" };
    for (int i = 0; i < 2; i++) {
        const mls_value *v = mls_value_get(m->settings, own[i]);
        if (v)
            mls_value_set(a, config, own[i], mls_value_copy(a, v));
    }
    const mls_value *record = mls_value_get(m->settings, "record");
    if (record && record->kind == MLS_V_LIST)
        mls_value_set(a, config, "record",
                      requests(a, record, mls_value_get_path(config, "network.nodes")));
    else if (record && record->n)
        mls_value_set(a, config, "record", mls_value_copy(a, record));
    mls_value_set(a, config, "seed", mls_value_int(a, m->seed));
    mls_value_set(a, config, "threads", mls_value_int(a, 1));
    paths(a, config, point, e);
    config = e->set ? NULL : mls_conf_resolve(a, config, e);
    if (config && !e->set)
        r.config = mls_trial_resolve(a, m->s->registry, config, m->task, &r.flops,
                                     &r.bytes, &r.parameters, e);
    return r;
}

/* ---- budget ------------------------------------------------------------------------------ */

static mls_value *with_width(mls_arena *a, const maker *m, int64_t width, int64_t fine)
{
    mls_value *point = mls_value_copy(a, m->point);
    mls_value_set(a, point, m->budget->width, mls_value_int(a, width));
    if (m->budget->fine)
        mls_value_set(a, point, m->budget->fine, mls_value_int(a, fine));
    return point;
}

static int64_t count(void *arg, int64_t width, int64_t fine, mls_error *e)
{
    const maker *m = arg;
    mls_arena a = { 0 };
    const resolved r = resolve(m, &a, with_width(&a, m, width, fine), e);
    if (e->set)
        mls_error_prefix(e, "budget: at %s = %" PRId64, m->budget->width, width);
    mls_arena_free(&a);
    return e->set ? -1 : r.parameters;
}

/* The point with the width that fits, or the point itself without a budget. */
static const mls_value *fit(maker *m, mls_error *e)
{
    const mls_value *map = mls_value_get(m->settings, "budget");
    if (!map || map->kind != MLS_V_MAP)
        return m->point;
    const mls_budget b = mls_budget_read(map, m->point, e);
    int64_t width, fine, n;
    m->budget = &b;
    const mls_value *point = !e->set
        && mls_budget_solve(&b, count, m, &width, &fine, &n, e)
        ? with_width(m->a, m, width, fine) : NULL;
    m->budget = NULL;
    return point;
}

/* ---- identity ------------------------------------------------------------------------------ */

/* Every component in the tree with the hash of the plugin that holds it. */
static void plugins(mls_arena *a, const mls_registry *r, const mls_value *v, mls_value *out,
                    mls_error *e)
{
    const mls_value *name = mls_value_get(v, "component");
    if (name && name->kind == MLS_V_STRING) {
        const mls_component *c = mls_registry_find(r, name->string, name, e);
        const mls_plugin_file *f = c ? mls_registry_file(r, c) : NULL;
        if (f)
            mls_value_set(a, out, name->string, mls_value_string(a, f->sha256));
    }
    for (int i = 0; v && (v->kind == MLS_V_MAP || v->kind == MLS_V_LIST) && i < v->n; i++)
        plugins(a, r, v->item[i], out, e);
}

static void identify(mls_arena *a, const mls_registry *r, mls_plan_trial *t, mls_error *e)
{
    char hash[65];
    mls_value *all = mls_value_map(a), *hashes = mls_value_map(a);
    plugins(a, r, t->config, hashes, e);
    mls_value *config = mls_value_copy(a, t->config);
    mls_value_remove(config, "locking");             /* a matter of the disk alone */
    mls_value_set(a, all, "config", config);
    mls_value_set(a, all, "plugins", hashes);
    mls_value_set(a, all, "seed", mls_value_int(a, t->seed));
    mls_value_hash(all, hash);
    snprintf(t->id, sizeof t->id, "%.12s", hash);
}

/* Steps of the training; 0 when only the clock ends it. */
static int64_t steps_of(const maker *m, const mls_value *config, mls_error *e)
{
    mls_feed *f = mls_kept_task_open(m->task, m->s->registry, config, e);
    if (!f)
        return 0;
    const int64_t n = mls_loop_planned(mls_value_get(config, "train"), f, e);
    return n < INT64_MAX ? n : 0;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* What a smoke run changes before the grid is made. */
static const mls_value *smoke_settings(mls_arena *a, const mls_value *settings,
                                       const mls_value **smoke)
{
    static const char *const keys[] = { "vary", "seeds", "record", "budget", "timeout" };
    const mls_value *over = mls_value_get(settings, "smoke");
    mls_value *out = mls_value_copy(a, settings);
    if (!over) {
        mls_value *train = mls_value_map(a), *made = mls_value_map(a);
        mls_value_set(a, train, "steps", mls_value_int(a, 2));
        mls_value_set(a, made, "train", train);
        over = made;
    }
    if (!mls_value_get(over, "seeds"))
        mls_value_set(a, out, "seeds", mls_value_int(a, 1));
    for (int i = 0; i < 5; i++) {
        const mls_value *x = mls_value_get(over, keys[i]);
        if (x)
            mls_value_set(a, out, keys[i],
                          mls_plan_merge(a, mls_value_get(out, keys[i]), x));
    }
    *smoke = over;
    return out;
}

static void plan_variant(maker *m, const mls_value *point, int variant,
                         const int64_t *seed, int n_seeds, mls_plan *out, mls_error *e)
{
    m->point = point;
    m->seed = seed[0];
    const char *label = mls_grid_label(m->a, point);
    const mls_value *fitted = fit(m, e);
    const resolved r = e->set || !fitted ? (resolved){ 0 }
        : resolve(m, m->a, fitted, e);
    const int64_t steps = e->set ? 0 : steps_of(m, r.config, e);
    for (int i = 0; i < n_seeds && !e->set; i++) {
        mls_plan_trial *t = &out->trial[out->n++];
        mls_value *config = i ? mls_value_copy(m->a, r.config) : r.config;
        mls_value_set(m->a, config, "seed", mls_value_int(m->a, seed[i]));
        *t = (mls_plan_trial){ .label = label, .asked = point, .point = fitted,
                               .config = config, .variant = variant, .seed = seed[i],
                               .parameters = r.parameters, .steps = steps,
                               .flops = r.flops, .bytes = r.bytes };
        identify(m->a, m->s->registry, t, e);
    }
    if (e->set)
        mls_error_prefix(e, "variant %s", label);
}

static void twins(const mls_plan *p, mls_error *e)
{
    for (int i = 0; i < p->n && p->n <= 5000; i++)
        for (int k = 0; k < i; k++)
            if (memcmp(p->trial[i].id, p->trial[k].id, 12) == 0) {
                mls_error_set(e, "the variants %s and %s are the same experiment: does the "
                              "network use everything in `vary`?", p->trial[k].label,
                              p->trial[i].label);
                return;
            }
}

/* A request that no variant can grant is a misspelt one. */
static void recorded(mls_arena *a, const mls_value *record, const mls_plan *p, mls_error *e)
{
    for (int i = 0; record && record->kind == MLS_V_LIST && i < record->n; i++) {
        const char *node = node_of(a, record->item[i]), *near = NULL;
        int found = !node;
        for (int k = 0; k < p->n && !found; k++) {
            const mls_value *nodes = mls_value_get_path(p->trial[k].config, "network.nodes");
            found = mls_value_get(nodes, node) != NULL;
            if (!near && nodes)
                near = mls_error_nearest(node, nodes->key, nodes->n);
        }
        if (!found)
            mls_error_set(e, "%s`record`: no variant has a node \"%s\"%s%s%s",
                          mls_value_where(a, record->item[i]), node,
                          near ? "; did you mean \"" : "", near ? near : "",
                          near ? "\"?" : "");
    }
}

void mls_plan_make(mls_arena *a, const mls_plan_source *s, const char *const *filter,
                   int n_filters, int smoke, mls_plan *out, mls_error *e)
{
    mls_kept_task task = { 0 };
    maker m = { .s = s, .settings = s->settings, .a = a, .task = &task };
    mls_grid grid;
    int64_t *seed;
    int n_seeds;
    *out = (mls_plan){ 0 };
    if (smoke)
        m.settings = smoke_settings(a, s->settings, &m.smoke);
    out->name = mls_value_get_string(s->settings, "name", "study", e);
    if (smoke)
        out->name = mls_arena_printf(a, "%s-smoke", out->name);
    out->timeout = mls_value_get_real(m.settings, "timeout", 0.0, e);
    m.name = out->name;
    mls_grid_expand(a, mls_value_get(m.settings, "vary"), s->where, s->arg, &grid, e);
    if (!e->set)
        mls_study_settings_check(m.settings, &grid, e);
    for (int i = 0; i < n_filters && !e->set; i++)
        mls_grid_filter(a, &grid, filter[i], e);
    if (!e->set && grid.n == 0)
        mls_error_set(e, "no variant is left after `where`%s", n_filters ? " and --filter"
                      : "");
    mls_grid_seeds(a, mls_value_get(m.settings, "seeds"), &seed, &n_seeds, e);
    if (e->set)
        return;
    out->trial = mls_arena_alloc(a, (size_t)grid.n * (size_t)n_seeds * sizeof *out->trial);
    if (!out->trial)
        mls_error_set(e, "no memory for the plan");
    for (int i = 0; i < grid.n && !e->set; i++)
        plan_variant(&m, grid.point[i], i, seed, n_seeds, out, e);
    mls_kept_task_free(&task);
    out->n_variants = grid.n;
    if (!e->set && n_filters == 0)
        recorded(a, mls_value_get(m.settings, "record"), out, e);
    if (!e->set)
        twins(out, e);
}
