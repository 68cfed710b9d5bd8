/* nosymbol.c - a shared object, and no plugin. */
#include <mls/plugin.h>

MLS_EXPORT int somebody_elses(void);
int somebody_elses(void) { return 42; }
