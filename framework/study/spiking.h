/* spiking.h - the spiking neurons of a network as a NIR graph.
 *
 * Steps of dt seconds of NIR's equations by Euler's forward rule, the current before the
 * potential, are what the encoders do:
 *   lif, rlif, spike_mlp   LIF      U = beta U + I        beta = 1 - dt / tau, r = tau / dt
 *   plif                   LIF      U = beta U + g I      r = g tau / dt
 *   synaptic               CubaLIF  J = alpha J + I, U = beta U + J    alpha = 1 - dt /
 *                                   tau_syn, w_in = tau_syn / dt, beta and r as above
 * with v_leak = 0.  W x + b before them is an Affine; what spikes add to the current is an
 * Affine or Linear from the neurons back to themselves; spike_mlp is two layers.  NIR sets v
 * to v_reset at once, which gives the spikes of reset = "zero" without fire_on_equal; other
 * resets are approximated by it.
 */
#ifndef MLS_STUDY_SPIKING_H
#define MLS_STUDY_SPIKING_H

#include "net/net.h"
#include "rec/nir.h"

/* node: "layer0.enc", or NULL for all that NIR has a name for: a chain where spikes of one
 * are what enters another, else side by side, each with an Input and an Output.  config:
 * resolved, for step_ms.  *warning: lines of what NIR does not hold, or "".  0 and e: there
 * is no such node, or NIR has no such neurons.                                           */
int mls_spiking_export(const mls_net *net, const mls_value *config, const char *node,
                       mls_nir *out, const char **warning, mls_arena *a, mls_error *e);
/* Into the weights of the node, or of all: layers are taken by the names that export gives
 * them, else in the order of the graph.  r, w_in and v_leak become part of the linear maps;
 * decays and thresholds must be trained in the node or be what its options say.  Returns
 * how many neurons, 0 and e on failure.                                                  */
int64_t mls_spiking_import(mls_net *net, const mls_value *config, const char *node,
                           const mls_nir *g, const char *file, mls_arena *a, mls_error *e);

#endif
