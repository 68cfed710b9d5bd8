/* plan.h - a study as a list of trials: points, widths by budget, seeds, resolved
 * configurations, costs and identities.  No maths is done.                             */
#ifndef MLS_STUDY_PLAN_H
#define MLS_STUDY_PLAN_H

#include "plug/plug.h"
#include "study/grid.h"

/* Where a study comes from; lua/ makes one of a study file. */
typedef struct mls_plan_source {
    const mls_registry *registry;
    const mls_value    *settings;   /* name, vary, seeds, record, budget, ... as a map */
    mls_grid_where      where;      /* or NULL                                         */
    /* The map { network, task, train } of one point; NULL and e on failure. */
    mls_value        *(*config)(void *arg, mls_arena *a, const mls_value *point,
                                mls_error *e);
    void               *arg;
} mls_plan_source;

typedef struct mls_plan_trial {
    char             id[13];        /* from the configuration, the plugins, the seed   */
    const char      *label;         /* of the variant                                  */
    const mls_value *asked;         /* the point of the grid                           */
    const mls_value *point;         /* with the widths that the budget found           */
    const mls_value *config;        /* { name, network, task, train, record, seed,
                                         threads }, complete                           */
    int              variant;
    int64_t          seed, parameters, steps;   /* steps 0: not known before the run   */
    double           flops, bytes;  /* of a training step; bytes: at its peak         */
} mls_plan_trial;

typedef struct mls_plan {
    const char     *name;           /* of the study; "-smoke" added for a smoke run    */
    double          timeout;        /* seconds of a trial; 0: none                     */
    mls_plan_trial *trial;
    int             n, n_variants;
} mls_plan;

/* smoke: applies settings.smoke, or two steps of one seed when there is none.  Lives in
 * a.  Errors name the variant.                                                          */
void mls_plan_make(mls_arena *a, const mls_plan_source *s, const char *const *filter,
                   int n_filters, int smoke, mls_plan *out, mls_error *e);

/* over's entries put into base, maps merged; a new tree. */
mls_value *mls_plan_merge(mls_arena *a, const mls_value *base, const mls_value *over);

#endif
