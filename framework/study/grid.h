/* grid.h - from `vary`, `where` and `seeds` to the points of a study.
 *
 * vary   a map from a name to the list of its values: every combination is a point,
 *        the last name varies fastest; or a list of maps: the points themselves.
 * where  keeps a point or drops it.
 */
#ifndef MLS_STUDY_GRID_H
#define MLS_STUDY_GRID_H

#include "base/value.h"

/* 1: keep; 0: drop; -1 and e: the question failed. */
typedef int (*mls_grid_where)(void *arg, const mls_value *point, mls_error *e);

typedef struct mls_grid {
    mls_value **point;            /* maps                                              */
    int         n;
} mls_grid;

enum { MLS_GRID_MOST = 100000 };

/* vary may be NULL: one empty point.  where may be NULL. */
void mls_grid_expand(mls_arena *a, const mls_value *vary, mls_grid_where where, void *arg,
                     mls_grid *out, mls_error *e);
/* Drops the points that differ from "name=value"; a name that no point has is an error
 * with the nearest one.                                                               */
void mls_grid_filter(mls_arena *a, mls_grid *g, const char *filter, mls_error *e);
/* A count (seeds 1..n) or a list of them. */
void mls_grid_seeds(mls_arena *a, const mls_value *seeds, int64_t **out, int *n,
                    mls_error *e);
/* A value as people write it: 64, parallel, liquid.cfc{units=32}. */
char *mls_grid_text(mls_arena *a, const mls_value *v);
/* "mode=parallel width=64"; "all" for the empty point. */
char *mls_grid_label(mls_arena *a, const mls_value *point);

#endif
