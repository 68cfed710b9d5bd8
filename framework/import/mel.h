/* mel.h - log-mel frames of a wave. */
#ifndef MLS_IMPORT_MEL_H
#define MLS_IMPORT_MEL_H

#include "base/arena.h"
#include "base/error.h"

typedef struct mls_mel mls_mel;

/* Windows of `window` samples every `hop`, `bands` bands up to half the rate; lives in a.
 * NULL and e on failure.                                                                */
mls_mel *mls_mel_open(mls_arena *a, double rate, int64_t window, int64_t hop, int64_t bands,
                      mls_error *e);
/* Frames of n samples; a wave shorter than a window makes one. */
int64_t  mls_mel_frames(const mls_mel *m, int64_t n);
int64_t  mls_mel_bands(const mls_mel *m);
/* out [frames][bands] */
void     mls_mel_run(mls_mel *m, const float *wave, int64_t n, float *out);

#endif
