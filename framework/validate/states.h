/* states.h - what the files of mls_cases_states share: the cases of channels.c. */
#ifndef MLS_VALIDATE_STATES_H
#define MLS_VALIDATE_STATES_H

#include "validate/probe.h"

void mls_states_channels(mls_probe *p);
void mls_states_promises(mls_probe *p);

#endif
