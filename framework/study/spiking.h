/* spiking.h - a node of leaky integrate-and-fire neurons (encoder.lif) as a NIR graph.
 *
 * Steps of dt seconds of NIR's equation by Euler's forward rule are the node's:
 *   v += dt / tau (v_leak - v + r I)    =    U = beta U + W x + b
 * for beta = 1 - dt / tau, r = tau / dt, v_leak = 0.  NIR sets v to v_reset at once, which
 * is reset = "zero" without delay and without fire_on_equal; others are approximated by it.
 */
#ifndef MLS_STUDY_SPIKING_H
#define MLS_STUDY_SPIKING_H

#include "net/net.h"
#include "rec/nir.h"

/* node: "layer0.enc", or NULL for the only one there is.  config: resolved, for the options
 * of the node and step_ms.  *warning (or NULL): what NIR does not hold.  0 and e: there is
 * no such node, or NIR has no such neurons.                                              */
int mls_spiking_export(const mls_net *net, const mls_value *config, const char *node,
                       mls_nir *out, const char **warning, mls_arena *a, mls_error *e);
/* Into the weights of the node: r and v_leak become part of the linear map, beta and the
 * threshold must be trained in the node or be what its options say.                      */
int mls_spiking_import(mls_net *net, const mls_value *config, const char *node,
                       const mls_nir *g, const char *file, mls_arena *a, mls_error *e);

#endif
