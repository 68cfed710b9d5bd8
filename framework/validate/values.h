/* values.h - what the cases of behaviour compare: outputs, states and gradients of a
 * rig, of a whole batch or of one sample.  Copies lie in the probe's arena.
 */
#ifndef MLS_VALIDATE_VALUES_H
#define MLS_VALIDATE_VALUES_H

#include "validate/probe.h"

float *mls_values_keep(mls_probe *p, const float *x, int64_t count);
/* Zeroed.  Fails the case when there is no memory. */
void *mls_values_room(mls_probe *p, int64_t count, size_t size);
/* Of a fresh forward; and the gradients of all weights as they are. */
float *mls_values_output(mls_rig *r, const mls_batch *b, int64_t *count);
float *mls_values_grad(mls_rig *r, int64_t *count);

/* Every state of r against `want` (as mls_rig_states gives it), by name; tol 0: to the
 * bit. Returns the largest error. */
double mls_values_states(mls_rig *r, const char *when, const float *want, double tol);
/* Gradients of all weights against `want` (as mls_net_grad), by name; tol 0: to the
 * bit, else relative to the largest of the weight. */
double mls_values_grads(mls_rig *r, const char *when, const float *want, double tol);

/* What waits for the weights by mls->adapt, as mls_net_grad; and against `want`. */
float *mls_values_pending(mls_rig *r);
double mls_values_changes(mls_rig *r, const char *when, const float *want, double tol);

/* Puts states back that mls_rig_states gave; forgets a forward without a backward. */
void mls_values_restore(mls_rig *r, const float *states);

/* Steps of sample b where mask (NULL: all) is not 0, into the one-sample rig `one`: x,
 * dt, weight and key.  Sets one's number of steps and returns it. */
int64_t mls_values_sample(mls_rig *one, const mls_rig *r, int64_t b, const float *mask);
/* Of y [T][B][N], sample b where mask (NULL: all) is not 0: [n][N]; returns n. */
int64_t mls_values_pick(float *out, const float *y, const float *mask, int64_t T,
                        int64_t B, int64_t N, int64_t b);
/* Sample b of states [state][B][width]: [state][width]. */
void mls_values_pick_states(mls_rig *r, float *out, const float *states, int64_t b);

/* The port of that name, or NULL. */
const mls_port *mls_values_port(const mls_probe *p, const char *name);

#endif
