/* provenance.h - where a result comes from: program, libraries, plugins, sources, machine. */
#ifndef MLS_STUDY_PROVENANCE_H
#define MLS_STUDY_PROVENANCE_H

#include "base/arena.h"
#include "plug/plug.h"

typedef struct mls_provenance {
    const char *(*fact)[2];
    int         n;
} mls_provenance;

/* Asks git (if there is one) about the folder of work.  Memory from a. */
mls_provenance mls_provenance_make(mls_arena *a, const mls_registry *r,
                                   const char *command_line, int threads,
                                   uint64_t seed);
/* Only the libraries, with the versions that run. */
mls_provenance mls_provenance_libraries(mls_arena *a);

#endif
