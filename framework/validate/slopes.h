/* slopes.h - what the files of mls_cases_slopes share. */
#ifndef MLS_VALIDATE_SLOPES_H
#define MLS_VALIDATE_SLOPES_H

#include "validate/probe.h"

/* mls_rig_open with weights and inputs of this seed; a rig takes its inputs from p's.
 */
void mls_slopes_open(mls_rig *r, mls_probe *p, const mls_variant *v, int64_t T,
                     int64_t B, unsigned flags, uint64_t seed);

/* The cases of alive.c. */
void mls_slopes_accumulate(mls_probe *p);
void mls_slopes_alive(mls_probe *p);
void mls_slopes_spikes(mls_probe *p);

#endif
