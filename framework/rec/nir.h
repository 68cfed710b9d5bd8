/* nir.h - one layer of leaky integrate-and-fire neurons as a graph of the Neuromorphic
 * Intermediate Representation (HDF5): Input -> Affine or Linear -> LIF -> Output, or without
 * the linear map.  tau dv/dt = v_leak - v + r I; a spike where v > v_threshold sets v to
 * v_reset.                                                                               */
#ifndef MLS_REC_NIR_H
#define MLS_REC_NIR_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

typedef struct mls_nir {
    int64_t in, n;                /* features of the input, neurons                      */
    float  *weight, *bias;        /* [n][in] and [n]; weight NULL: no linear map         */
    float  *tau, *r, *v_leak, *v_threshold, *v_reset;      /* [n]; tau in seconds        */
    const char *reset;            /* what the writer's neurons do on a spike; or NULL    */
} mls_nir;

/* A new file. 0 and e on failure. */
int mls_nir_write(const char *path, const mls_nir *g, mls_error *e);
/* Any graph that is such a chain, whatever its nodes are called; g lives in a. */
int mls_nir_read(const char *path, mls_nir *g, mls_arena *a, mls_error *e);

#endif
