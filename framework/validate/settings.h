/* settings.h - turning a component's options: values to try, a variant with one more of
 * them, an attempt that may be refused, and a fingerprint of all that it does.
 */
#ifndef MLS_VALIDATE_SETTINGS_H
#define MLS_VALIDATE_SETTINGS_H

#include "validate/probe.h"

/* Integers are tried up to the least value plus this: an int may be a size. */
enum { MLS_SETTINGS_CAP = 64 };

/* The range that values are drawn from: the declared one, capped, or a guess. */
void mls_settings_range(const mls_option *o, double *lo, double *hi);
/* The k-th value to try that is not the default; NULL when there are no more, and for a
 * string.  Of components: some that this process knows. */
mls_value *mls_settings_other(mls_probe *p, const mls_option *o, int k);
/* A value in range, a pure function of the probe's seed, the option and i. */
mls_value *mls_settings_draw(mls_probe *p, const mls_option *o, uint64_t i);
/* v with option `name` set to x, and a title that says so; in p's arena. */
const mls_variant *mls_settings_with(mls_probe *p, const mls_variant *v,
                                     const char *name, mls_value *x);

/* Opens a rig, calls body (may be NULL) and closes it.  What fails on r's own probe
 * does not fail the case: returns 0 then, and the reason in why[1000]. */
int mls_settings_try(mls_probe *p, const mls_variant *v, mls_rig_size size,
                     void (*body)(mls_rig *r, void *arg), void *arg, char *why);

/* Of weights, outputs, channels, states, gradients and cost, for two inputs: one of
 * noise, one of whole numbers (which meet a threshold exactly). */
typedef struct mls_print {
    int built;
    uint64_t hash;
} mls_print;
mls_print mls_settings_print(mls_probe *p, const mls_variant *v);

#endif
