/* Exports a helper, which may hide another plugin's. */
#include "right.h"

MLS_EXPORT int helper(void);
int helper(void) { return 1; }

BROKEN(chatty, right_setup, right_forward);
