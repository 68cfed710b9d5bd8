/* import.h - what the tests of framework/import share. */
#ifndef TESTS_IMPORT_IMPORT_H
#define TESTS_IMPORT_IMPORT_H

#include "import/import.h"

#include <hdf5.h>

/* MLS_DATA/name, or NULL (after saying why) when it is not there. */
const char *data_path(const char *name);
/* A folder of this test's own, made anew, below TMPDIR; dir_remove takes it away. */
const char *dir_make(void);
void        dir_remove(void);
const char *dir_path(const char *name);      /* static buffers, 8 of them */
/* Runs a shell command, which must succeed. */
void        shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Words as of the command line: "idx", "train:", "a", "--as", "events", NULL; 1 when it
 * worked, else the message is in import_error.                                          */
int         import(const char *to, ...) __attribute__((sentinel));
extern mls_error import_error;

/* A data set as numbers of one type, from malloc; rows and all dims. */
void *column(const char *file, const char *name, hid_t type, hsize_t dim[4]);

#endif
