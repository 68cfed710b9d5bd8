/* study_load.h - a study file as a source of a plan. */
#ifndef MLS_LUA_STUDY_LOAD_H
#define MLS_LUA_STUDY_LOAD_H

#include "study/plan.h"

typedef struct mls_study mls_study;

/* Runs the file.  NULL and e on failure; *missing is 1 when the reason is only that a
 * data file is absent (may be NULL).                                                    */
mls_study *mls_study_load(const char *path, mls_registry *r, int *missing,
                          mls_error *e);
void       mls_study_free(mls_study *s);
/* Valid as long as the study. */
const mls_plan_source *mls_study_source(const mls_study *s);
/* What a trial of this configuration keeps in its folder: path -> text, in a; NULL when it
 * uses no component that the study's files declare.                                     */
mls_value *mls_study_sources(const mls_study *s, const mls_value *config, mls_arena *a,
                           mls_error *e);
/* 1 when mls.data did not find a file, also during planning. */
int        mls_study_missing(const mls_study *s);

#endif
