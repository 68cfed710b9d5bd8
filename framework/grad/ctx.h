/* ctx.h - what stands behind the mls_ctx that a component sees. */
#ifndef MLS_GRAD_CTX_H
#define MLS_GRAD_CTX_H

#include "base/arena.h"
#include "base/error.h"
#include <mls/plugin.h>

typedef struct mls_tape mls_tape;

struct mls_ctx {
    mls_error  *error;      /* sticky                                               */
    const char *path;       /* "layer0.enc" for messages                            */
    mls_tape   *tape;       /* NULL during setup                                    */
    mls_arena  *network;    /* network lifetime                                     */
    uint64_t    seed;
    void       *owner;      /* the net's node, for setup and states (net/ knows)    */
    const mls_component *component;  /* whose callback runs; NULL: the network itself */
};

#endif
