/* opening.h - cases about the opening of a plugin's file.  Their process has not opened it. */
#ifndef MLS_VALIDATE_OPENING_H
#define MLS_VALIDATE_OPENING_H

#include "validate/probe.h"

/* It loads, with every symbol there and its tables in order. */
void mls_opening_loads(mls_probe *p);
/* No constructor, no thread, no output; a warning when its tables can be written. */
void mls_opening_runs_nothing(mls_probe *p);
/* Nothing but mls_plugin is visible to others. */
void mls_opening_exports(mls_probe *p);

#endif
