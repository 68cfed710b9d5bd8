/* import.h - files of other programs into the one layout that task.hdf5 reads
 * (docs/data.md).  One importer for each format; every malformed record is an error that
 * names the file, the line or byte, what was found and what was expected.               */
#ifndef MLS_IMPORT_IMPORT_H
#define MLS_IMPORT_IMPORT_H

#include "base/arena.h"
#include "base/error.h"
#include "rec/dataset_write.h"

#include <stddef.h>

/* ---- What is asked for --------------------------------------------------------------- */

enum { MLS_PARTS = 4 };              /* the root, train, validation, test               */

typedef struct mls_import_input { const char *path; int part; } mls_import_input;

/* One option of one importer; name NULL ends a table. */
typedef struct mls_import_option { const char *name, *value, *help; } mls_import_option;

typedef struct mls_import {
    mls_arena *a;
    mls_error *e;
    const mls_import_input *input;
    int n_inputs;
    const char *const *name, *const *value;   /* options, "as" without dashes           */
    int n_options;
    /* Told now and then; 0 from it stops the import.  total 0: not known. */
    int (*progress)(void *arg, const char *what, int64_t done, int64_t total);
    void *progress_arg;
    /* made by mls_import_run */
    const struct mls_importer *importer;
    mls_dataset *out;
    int stopped;
    char *said;                      /* what was written, a line for each part           */
    size_t room;
} mls_import;

typedef struct mls_importer {
    const char *name, *summary, *help;
    const mls_import_option *options;
    void (*run)(mls_import *m);
} mls_importer;

extern const mls_importer *const mls_importers[];       /* ends with NULL                */

/* Writes path or nothing.  1; 0 and e on failure; 0 without e: stopped by progress.
 * What it wrote, in words, goes into said (room bytes).                                 */
int mls_import_run(mls_import *m, const char *format, const char *path, char *said,
                   size_t room);

/* ---- For importers ------------------------------------------------------------------- */

/* The option's text, or def. */
const char *mls_import_get(const mls_import *m, const char *name, const char *def);
int64_t mls_import_int(mls_import *m, const char *name, int64_t def, int64_t min,
                       int64_t max);
double mls_import_real(mls_import *m, const char *name, double def, double min, double max);
/* Which of "pixels|rows|events" the option says; the first when it is absent. */
int mls_import_choice(mls_import *m, const char *name, const char *choices);
/* 0 when the import must stop, for an error or because progress said so. */
int mls_import_step(mls_import *m, const char *what, int64_t done, int64_t total);
/* "/train", "/" ... */
const char *mls_import_part(int part);
/* Regular files of a folder whose names end in `tail`, as paths, sorted; NULL and e. */
const char **mls_import_folder(mls_import *m, const char *path, const char *tail, int *n);
/* The whole file with an extra 0, at most `most` bytes; .gz is unpacked; NULL and e. */
char *mls_import_text(mls_import *m, const char *path, size_t most, size_t *size);
/* A number that ends at one of `ends` (or the end of the text); 0 when it is none.  Blanks
 * around it are allowed; nan and inf are no numbers.                                    */
int mls_import_number(const char **at, const char *ends, double *out);

/* ---- Samples (samples.c) -------------------------------------------------------------- */

enum { MLS_HAS_DT = 1, MLS_HAS_OBSERVED = 2, MLS_HAS_LABEL = 4, MLS_HAS_TARGET = 8,
       MLS_HAS_STEP_LABEL = 16, MLS_HAS_STEP_TARGET = 32,
       MLS_HAS_EVENTS = 64           /* time and channel in place of x                  */ };

typedef struct mls_samples_shape {
    int64_t  steps;                  /* of every sample; 0: each has its own             */
    int64_t  features;               /* of x; channels of events                         */
    int64_t  targets;
    mls_cell cell;                   /* of x                                             */
    double   scale;                  /* x is to be multiplied by this; 0 or 1: as it is  */
    unsigned has;
    const char *time_unit;           /* of dt and time: "ms"                             */
    const char *const *field;        /* further whole numbers of a sample: "speaker"     */
    int      n_fields;
} mls_samples_shape;

typedef struct mls_samples_row {     /* one sample; arrays that the shape has            */
    int64_t        steps;
    const void    *x;                /* [steps][features]                                */
    const float   *dt;               /* [steps]                                          */
    const uint8_t *observed;         /* [steps][features]                                */
    const int32_t *label;            /* [1] or [steps]                                   */
    const float   *target;           /* [targets] or [steps][targets]                    */
    const double  *time;             /* [steps] of events                                */
    const int32_t *channel;
    const int32_t *field;
} mls_samples_row;

typedef struct mls_samples mls_samples;

/* The data sets of a part (0 to 3). */
mls_samples *mls_samples_open(mls_import *m, int part, const mls_samples_shape *shape);
void mls_samples_add(mls_samples *s, const mls_samples_row *row);
/* Notes it in what mls_import_run says. */
void mls_samples_close(mls_samples *s);
/* Names of the classes, one a line, as an attribute of label. */
void mls_samples_classes(mls_samples *s, const char *names);
/* Of the features, as the attribute "features" of x. */
void mls_samples_features(mls_samples *s, const char *names);
/* Likewise of the numbers of a field, as the attribute "names". */
void mls_samples_names(mls_samples *s, int field, const char *names);

#endif
