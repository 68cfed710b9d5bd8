/* study_file.h - the files that sum a study up: table.csv and study.h5. */
#ifndef MLS_STUDY_STUDY_FILE_H
#define MLS_STUDY_STUDY_FILE_H

#include "study/table.h"

/* Writes both into dir, each under a temporary name that is then renamed.  study.h5 links
 * to those record.h5 that exist.  0 and e on failure.                                  */
int mls_study_files(const char *dir, const mls_table *t, mls_error *e);

#endif
