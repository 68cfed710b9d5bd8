/* rewire.h - the network of a rig, built again with a changed specification. */
#ifndef MLS_VALIDATE_REWIRE_H
#define MLS_VALIDATE_REWIRE_H

#include "validate/probe.h"

/* Path of the node under test: "layer0.n", or "head". */
const char *mls_rewire_node(const mls_rig *r);
/* Its name in the specification: "n"; NULL for a head. */
const char *mls_rewire_name(const mls_rig *r);
/* Width of an output, or of another channel; 0: there is none of that name. */
int64_t mls_rewire_width(mls_rig *r, const char *node, const char *channel);
/* Opens `out`: r with a network of this specification, r's inputs and a run of its own.
 * Weights of the same name and shape get r's values; the input projection is the
 * identity in its first rows.  0 and e: it cannot be built. */
int mls_rewire_open(mls_rig *out, const mls_rig *r, const mls_value *spec,
                    mls_error *e);
/* Two nodes read the same features: what is before them gets both gradients.  Fails the
 * case unless it does. */
void mls_rewire_shared(mls_rig *r);

#endif
