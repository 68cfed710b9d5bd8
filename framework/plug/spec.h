/* spec.h - the values of options that name components; private to plug/.                 */
#ifndef MLS_PLUG_SPEC_H
#define MLS_PLUG_SPEC_H

#include "plug/plug.h"

/* Components within components, counted from the node of a network: 0. */
enum { MLS_SPEC_DEPTH = 16 };

/* mls_option_apply for a component that stands `depth` deep. */
void mls_option_apply_at(const mls_registry *r, const mls_component *c, const mls_value *map,
                         const char *const *also, void *self, int depth, mls_arena *a,
                         mls_error *e);
/* What option o of c, which stands `depth` deep, is to store for v: "kind.name", a map with
 * component and options, or (MLS_COMPONENTS) a list of these; NULL: o's default.  NULL and e,
 * with position, for anything else and for what cannot be a part: a task, a head, a
 * component that needs more than one input.                                               */
const mls_spec *mls_spec_read(const mls_registry *r, const mls_component *c,
                              const mls_option *o, const mls_value *v, int depth,
                              mls_arena *a, mls_error *e);
/* The map, or the list of maps, that reads back as spec. */
mls_value *mls_spec_dump(const mls_registry *r, const mls_option *o, const mls_spec *spec,
                         mls_arena *a);

#endif
