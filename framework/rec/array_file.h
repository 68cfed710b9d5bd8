/* array_file.h - one data set of an open HDF5 file as floats; private to rec/. */
#ifndef MLS_REC_ARRAY_FILE_H
#define MLS_REC_ARRAY_FILE_H

#include "rec/h5.h"

typedef struct mls_array_set {
    const char *path, *dataset;   /* of the file, for messages; in the file             */
    mls_arena  *a;                /* where data goes                                    */
    float      *data;             /* NULL after an error                                */
    int         rank;
    int64_t     dim[4];           /* 1 beyond rank                                      */
    int         absent;           /* 1: the error is only that there is no such data set */
    mls_error  *e;
} mls_array_set;

/* Any whole or real numbers, rank 0 to 4. */
void mls_array_set_read(mls_array_set *s, hid_t file);

#endif
