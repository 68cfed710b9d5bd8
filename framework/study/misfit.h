/* misfit.h - all that is wrong with a file of tensors, told in one message. */
#ifndef MLS_STUDY_MISFIT_H
#define MLS_STUDY_MISFIT_H

#include "base/bundle.h"
#include "base/error.h"

typedef struct mls_misfit {
    char text[3300];
    int  used, n, told;           /* n: how many; told: how many of them the text holds  */
} mls_misfit;

/* One line: "missing in_proj.weight [16][4]". */
void mls_misfit_add(mls_misfit *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Fails e with all lines when there is any: "W.h5 does not fit mixer.mamba (2 faults): ...". */
void mls_misfit_tell(const mls_misfit *m, const char *file, const char *what, mls_error *e);

/* "[8][1][4]" */
const char *mls_misfit_shape(int rank, const int64_t *dim, mls_arena *a);
/* "[7][2][0]", where value number `at` of such a tensor lies. */
const char *mls_misfit_place(int rank, const int64_t *dim, int64_t at, mls_arena *a);

#endif
