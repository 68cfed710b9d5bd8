/* temporary.h - names for files and folders that are gone soon. */
#ifndef MLS_BASE_TEMPORARY_H
#define MLS_BASE_TEMPORARY_H

#include "base/arena.h"

/* "DIR/STEM-XXXXXX" for mkstemp and mkdtemp, DIR being $TMPDIR or /tmp.  NULL: no memory. */
char *mls_temporary(mls_arena *a, const char *stem);

#endif
