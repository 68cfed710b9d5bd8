/* nir.h - spiking neurons as a graph of the Neuromorphic Intermediate Representation, HDF5 as
 * Python's nir 1.0 writes and reads it: the node types Input, Output, Affine, Linear, LIF and
 * CubaLIF, and edges between them.
 *   LIF      tau dv/dt = v_leak - v + r I
 *   CubaLIF  tau_syn dI/dt = -I + w_in S,  tau_mem dv/dt = v_leak - v + r I
 * A spike where v > v_threshold sets v to v_reset.                                       */
#ifndef MLS_REC_NIR_H
#define MLS_REC_NIR_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

enum { MLS_NIR_INPUT, MLS_NIR_OUTPUT, MLS_NIR_AFFINE, MLS_NIR_LINEAR, MLS_NIR_LIF,
       MLS_NIR_CUBA, MLS_NIR_TYPES };
extern const char *const mls_nir_types[MLS_NIR_TYPES];

typedef struct mls_nir_node {
    const char *name;
    int         type;
    int64_t     in, n;            /* what enters and leaves; equal but for a linear map   */
    float      *weight, *bias;    /* Affine, Linear: [n][in]; bias [n], NULL in a Linear  */
    float      *tau, *r, *v_leak, *v_threshold, *v_reset;   /* [n]; tau_mem of CubaLIF, s */
    float      *tau_syn, *w_in;   /* [n]; CubaLIF only                                    */
    const char *reset;            /* what the writer's neurons do on a spike; or NULL     */
} mls_nir_node;

typedef struct mls_nir {
    mls_nir_node *node;
    int         (*edge)[2];       /* from, to: indices of nodes                           */
    int           n_nodes, n_edges;
} mls_nir;

/* A layer of neurons, and what belongs to it: indices of nodes, -1 where there is none.
 * source: the layer whose spikes it gets, or -1: an Input.                               */
typedef struct mls_nir_layer { int map, neurons, recurrent, source; } mls_nir_layer;

/* A new file. 0 and e on failure. */
int mls_nir_write(const char *path, const mls_nir *g, mls_error *e);
/* Any graph of those types, whatever its nodes are called, in the order of its edges; g lives
 * in a.                                                                                  */
int mls_nir_read(const char *path, mls_nir *g, mls_arena *a, mls_error *e);
/* The layers of a graph, each after its source, into a; their number, or -1 and e: it is
 * no set of chains Input, Affine or Linear, neurons, ..., Output in which neurons may also
 * feed back to themselves through one Affine or Linear.                                  */
int mls_nir_layers(const mls_nir *g, const char *path, mls_nir_layer **out, mls_arena *a,
                   mls_error *e);

#endif
