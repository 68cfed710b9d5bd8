/* budget.h - the width at which a network has the parameters it may have, so that
 * variants are compared at equal size.
 *
 * budget = { parameters = 200000, width = "width" }     and, if wanted
 *   step       widths tried are multiples of it (8: heads must divide the width)
 *   tolerance  how far the count may be off, relative (0.02)
 *   fine       a second name, counted up from 0 in steps of `fine_step` (1) when no
 *              multiple of `step` comes near enough: `units = 64 + p.extra`
 *   width, fine  may be maps from a value of `vary` to a name: { parallel = "units" };
 *              "default" stands for the others
 */
#ifndef MLS_STUDY_BUDGET_H
#define MLS_STUDY_BUDGET_H

#include "base/value.h"

typedef struct mls_budget {
    int64_t     parameters, step, fine_step;
    double      tolerance;
    const char *width, *fine;     /* names in the point; fine may be NULL              */
} mls_budget;

/* Parameters of the network at these values; -1 and e when it cannot be built. */
typedef int64_t (*mls_budget_count)(void *arg, int64_t width, int64_t fine, mls_error *e);

/* Reads the map for one point. */
mls_budget mls_budget_read(const mls_value *map, const mls_value *point, mls_error *e);
/* 1 when found; 0 and e, naming the nearest count that can be reached. */
int mls_budget_solve(const mls_budget *b, mls_budget_count count, void *arg,
                     int64_t *width, int64_t *fine, int64_t *parameters, mls_error *e);

#endif
