/* column.h - a data set that grows along its first axis, written in whole chunks from
 * a buffer of one chunk.  An item is one index of that axis; its other axes are fixed. */
#ifndef MLS_REC_COLUMN_H
#define MLS_REC_COLUMN_H

#include "rec/h5.h"

#include <stdint.h>

enum { MLS_REC_GZIP = 1, MLS_REC_NAN = 2 /* fill value; else 0 */ };

typedef struct mls_column {
    const char *path, *file;   /* of the data set; of the file, for messages            */
    hid_t       set, type;     /* type: native, predefined                              */
    int         rank;
    hsize_t     dim[4];        /* [1..] of an item                                      */
    hsize_t     chunk[4];      /* [0]: items that the buffer takes                      */
    unsigned    flags;
    size_t      item;          /* bytes                                                 */
    int64_t     done, held;    /* items in the file; after them, in the buffer          */
    char       *buffer;
    int         torn;          /* a last chunk was read in spite of its checksum         */
} mls_column;

/* Describes a column and makes its buffer; chunk_items 0: about 32 KiB worth, and big
 * items get chunks of their own near (256, all, 128).                                   */
int  mls_column_plan(mls_column *c, const char *path, hid_t type, int rank,
                     const int64_t *dim, int64_t chunk_items, unsigned flags,
                     mls_arena *a, mls_error *e);
int  mls_column_create(mls_column *c, hid_t file, mls_error *e);
/* Reopens by name; a chunk cache that fits. */
int  mls_column_open(mls_column *c, hid_t file, mls_error *e);
void mls_column_close(mls_column *c);
/* Where the next item goes; push() takes it in and writes when the chunk is full. */
void *mls_column_next(const mls_column *c);
int  mls_column_push(mls_column *c, mls_error *e);
/* Writes what is held. */
int  mls_column_write(mls_column *c, mls_error *e);
/* Appends the first n items of the data set of the same path in another file. */
int  mls_column_copy(mls_column *c, hid_t from, int64_t n, mls_error *e);
/* Items of that data set; 0 when absent; -1 and e when its shape is another one. */
int64_t mls_column_found(const mls_column *c, hid_t from, mls_error *e);
/* Reads n items at `at` into out (n * item bytes). */
int  mls_column_read(mls_column *c, hid_t from, int64_t at, int64_t n, void *out,
                     mls_error *e);

#endif
