/* files.h - a trial's folder and the small files in it. */
#ifndef MLS_STUDY_FILES_H
#define MLS_STUDY_FILES_H

#include "base/error.h"

/* Makes dir and what is missing above it. */
int mls_files_folder(const char *dir, mls_error *e);
/* dir/name holds all of text afterwards, or what it held before, whatever happens. */
int mls_files_write(const char *dir, const char *name, const char *text, mls_error *e);

/* Removes the temporary checkpoints that a killed process left in dir. */
void mls_files_sweep(const char *dir);

#endif
