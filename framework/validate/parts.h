/* parts.h - the probe's own components, which surround the one under test in a rig. */
#ifndef MLS_VALIDATE_PARTS_H
#define MLS_VALIDATE_PARTS_H

#include "plug/plug.h"

/* Adds them to r: mixer.probe_part { from, n } shows features from ... from + n of its
 * input; mixer.probe_all puts its inputs a ... h side by side, cut or padded with zeros
 * to the width of the network; head.probe_show shows what it gets.                       */
int mls_parts_add(mls_registry *r, mls_error *e);

#endif
