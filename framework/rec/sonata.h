/* sonata.h - what other programs write in the SONATA format (github.com/AllenInstitute/
 * sonata): spikes, nodes and edges.  Takes the older forms too.                         */
#ifndef MLS_REC_SONATA_H
#define MLS_REC_SONATA_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

typedef struct mls_sonata_spikes {
    const char *population;          /* "" in files without populations                 */
    int64_t     n;
    double     *time;                /* ms, in the order of the file                    */
    int64_t    *node;
} mls_sonata_spikes;

/* All populations of /spikes; a file in the legacy form /spikes/{gids,timestamps} has one.
 * Populations without spikes count.  0 and e on failure.                                */
int mls_sonata_spikes_read(const char *path, mls_arena *a, mls_sonata_spikes **out, int *n,
                           mls_error *e);

typedef struct mls_sonata_nodes { int64_t n, *id, *type; } mls_sonata_nodes;
typedef struct mls_sonata_edges {
    int64_t n, *source, *target, *type;
    double *value;                   /* [n] of the column that was asked for            */
} mls_sonata_edges;

/* The first population of /nodes, of /edges; `column` of the edges' groups, or NULL. */
int mls_sonata_nodes_read(const char *path, mls_arena *a, mls_sonata_nodes *out, mls_error *e);
int mls_sonata_edges_read(const char *path, const char *column, mls_arena *a,
                          mls_sonata_edges *out, mls_error *e);

#endif
