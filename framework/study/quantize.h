/* quantize.h - a trained network's weights in 8 bits, for evaluation and generation.
 *
 * What is rounded: every weight matrix that weight decay applies to (the maps of products
 * and embeddings), of 16 columns or more.  Biases, gains, time constants, thresholds, A and
 * D of state-space models, convolutions and every state stay floats of 32 bits.
 * The file is a checkpoint without an optimiser: int8/NAME [rows][cols] and scale/NAME
 * [rows] of each rounded weight, float/NAME [rows][cols] of each other.                    */
#ifndef MLS_STUDY_QUANTIZE_H
#define MLS_STUDY_QUANTIZE_H

#include "kern/kern.h"
#include "study/model.h"

typedef struct mls_quantized {
    mls_int8 *weight;        /* by number of the weight; q NULL: it stays as it is         */
    int       n;             /* how many are rounded                                       */
    int64_t   rounded, kept; /* values in them, and in the others                          */
    double    bytes;         /* of all: 1 for a rounded value, 4 for a scale or a float     */
} mls_quantized;

/* Rounds the weights of the net; keep: patterns of names as fnmatch(3) has them, NULL at the
 * end, for weights to leave alone ("*.head.*", "layer0.mix.in_proj.weight"); one that no
 * such weight has is an error with the nearest name.  The net itself is not changed.       */
int mls_quantize(const mls_net *net, const char *const *keep, mls_quantized *q,
                 mls_arena *a, mls_error *e);
/* From now on the net computes with q, which must live as long. */
void mls_quantize_use(mls_net *net, const mls_quantized *q);

int mls_quantize_save(const char *path, const mls_model *m, const mls_quantized *q,
                      mls_error *e);
/* Opens dir/config.yaml with the weights of `file`, one of these or a whole checkpoint;
 * NULL: as mls_model_load.  *from: which file it was, in m's arena or `file`.              */
int mls_quantize_load(mls_model *m, const mls_registry *r, const char *dir,
                      const char *file, const char **from, mls_error *e);

#endif
