/* Runs code when it is only looked at. */
#include "right.h"

static int started;
__attribute__((constructor)) static void start(void) { started++; }

BROKEN(constructor, right_setup, right_forward);
