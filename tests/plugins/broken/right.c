/* right.c - nothing wrong: what every case must let pass. */
#include "right.h"

BROKEN(right_mixer, right_setup, right_forward);
