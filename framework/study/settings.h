/* settings.h - what a study says of its table, checked before the first trial: a mistake
 * there must not wait until the last.                                                    */
#ifndef MLS_STUDY_SETTINGS_H
#define MLS_STUDY_SETTINGS_H

#include "base/value.h"
#include "study/grid.h"

/* compare, measure, floors and timeout of settings.  all: the grid before any filter. */
void mls_study_settings_check(const mls_value *settings, const mls_grid *all,
                              mls_error *e);

#endif
