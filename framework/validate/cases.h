/* cases.h - every case of `mls validate`, table after table. */
#ifndef MLS_VALIDATE_CASES_H
#define MLS_VALIDATE_CASES_H

#include "validate/probe.h"

/* The i-th case, or NULL after the last. */
const mls_case *mls_cases_at(int i);
/* By name; NULL and e, which names the nearest. */
const mls_case *mls_cases_find(const char *name, mls_error *e);
/* Why it does not apply to a component of this target, or NULL when it does. */
const char     *mls_cases_excuse(const mls_case *k, const mls_target *t, const mls_component *c);

#endif
