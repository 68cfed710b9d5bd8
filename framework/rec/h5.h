/* h5.h - libhdf5 as the rest of rec/ wants it: silent, with errors as text, and with
 * the durable file operations that libhdf5 leaves out.                                 */
#ifndef MLS_REC_H5_H
#define MLS_REC_H5_H

#include "base/arena.h"
#include "base/error.h"

#include <hdf5.h>

/* Why the last HDF5 call failed, in its innermost words. */
void mls_rec_why(char *out, size_t size);

/* A new file in the newest format (SWMR needs it), or in the oldest with userblock bytes
 * kept free in front.  Negative and e on failure.                                       */
hid_t mls_rec_create(const char *path, int swmr, hsize_t userblock, mls_error *e);
/* For reading; also while a writer has it open, or was killed with it open. */
hid_t mls_rec_open(const char *path, mls_error *e);

/* Variable-length UTF-8, so that every reader gets a string and not bytes. */
int   mls_rec_text(hid_t object, const char *name, const char *text);
int   mls_rec_number(hid_t object, const char *name, hid_t type, int n, const void *data);
int   mls_rec_text_set(hid_t file, const char *path, const char *text);
/* NULL when absent or no text. */
char *mls_rec_read_text(hid_t object, const char *name, mls_arena *a);
char *mls_rec_read_text_set(hid_t file, const char *path, mls_arena *a);
/* Link creation with missing groups made and UTF-8 names; the caller closes it. */
hid_t mls_rec_links(void);

/* Names of all data sets below `group`, with their paths from it; stops at `most`. */
int   mls_rec_names(hid_t file, const char *group, const char **names, int most,
                    mls_arena *a);

int   mls_rec_sync(const char *path, mls_error *e);            /* fsync of a file       */
/* fsync of `from`, rename to `to`, fsync of their directory. */
int   mls_rec_move(const char *from, const char *to, mls_error *e);
/* Bytes free for us where path lies; -1 when unknown. */
int64_t mls_rec_free_space(const char *path);

/* Runs body in a child process: 1 when it returned 1 there.  libhdf5 itself dies of some
 * damaged files; then only the child is gone.                                           */
int   mls_rec_survives(int (*body)(void *arg), void *arg);

#endif
