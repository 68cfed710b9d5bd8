/* read_spikes.h - the spikes of one sample of one record, for a picture. */
#ifndef MLS_REC_READ_SPIKES_H
#define MLS_REC_READ_SPIKES_H

#include "base/arena.h"
#include "base/error.h"

#include <stdint.h>

typedef struct mls_spikes {
    const char *population;          /* "layer0.enc.spikes"                            */
    int64_t     record_step;         /* training step                                  */
    double     *time;                /* [n] ms                                         */
    int64_t    *unit;                /* [n]                                            */
    int64_t     n;
} mls_spikes;

/* Sample 0 of the last record of `population` (NULL: the first there is).  At most
 * `most` spikes.  1; 0 without e: the file has no spikes; 0 with e: unreadable.        */
int mls_spikes_read(const char *path, const char *population, int64_t most, mls_arena *a,
                    mls_spikes *out, mls_error *e);

#endif
