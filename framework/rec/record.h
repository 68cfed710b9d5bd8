/* record.h - a trial's record.h5: spikes, states, metrics, provenance.  Layout and the
 * reasons: docs/recording.md.  SWMR, whole chunks, crash-safe; never exits.             */
#ifndef MLS_REC_RECORD_H
#define MLS_REC_RECORD_H

#include "base/value.h"
#include "net/net.h"

/* One request of `record`: "enc.spikes" or { "liq.state", every = 50, samples = 1 }.    */
typedef struct mls_request {
    const char *selector;         /* "enc.spikes" in any layer, "layer1.ssm.*", "*"    */
    int64_t every;                /* record when the training step divides by it;
                                     0 = evaluations only, one record each              */
    int64_t steps;                /* first n time steps of the sequence; 0 = all       */
    int64_t samples, units;       /* first n of the batch, of the width; 0 = all       */
    int     round_bits;           /* mantissa bits kept; 0 = raw                       */
    int     report;               /* 1: the last record also under /report (samples 1) */
} mls_request;

/* Parses `record`: a list of strings or maps.  When several requests select a channel,
 * the last one counts.                                                                  */
int mls_request_parse(const mls_value *list, mls_request **out, int *n, mls_arena *a, mls_error *e);
/* Bytes that the requests will write over `steps` training steps for these channels; an
 * error when a selector matches nothing (with the nearest) or the sum is above limit,
 * with the number and the selector that would help.                                     */
int64_t mls_request_bytes(const mls_request *r, int n, const mls_channel *ch, int n_ch,
                          int64_t T, int64_t B, int64_t training_steps, int64_t limit, mls_error *e);

typedef struct mls_recorder mls_recorder;

typedef struct mls_recorder_config {
    const char        *dir;       /* writes dir/record.h5.part, then dir/record.h5     */
    const mls_request *request;   int n_requests;
    const mls_channel *channel;   int n_channels;
    int64_t            T, B;
    double             step_ms;   /* length of a time step                             */
    const char        *config_yaml;
    const char *const (*provenance)[2];  int n_provenance;     /* name, text           */
    int64_t            resume_step; /* > 0: continue a .part after this training step;
                                       what lies beyond is cut                         */
    const char *const *metric;    int n_metrics;   /* every name that will be told: a
                                       file that is being read cannot get new ones     */
} mls_recorder_config;

mls_recorder *mls_recorder_open(const mls_recorder_config *c, mls_error *e);
/* Set before each forward: which training step; 1 while evaluating.  Of several forwards
 * with the same arguments the first is recorded.  A metric has one value a step, and
 * names that were not announced are ignored.                                             */
void mls_recorder_at(mls_recorder *r, int64_t step, int evaluating);
mls_observer mls_recorder_observer(mls_recorder *r);
void mls_recorder_metric(mls_recorder *r, const char *name, int64_t step, double value);
/* At a checkpoint: what was told so far is readable after a kill -9.  0 on failure.     */
int  mls_recorder_flush(mls_recorder *r);
/* Verifies, marks complete, renames.  0 on failure. */
int  mls_recorder_close(mls_recorder *r, mls_error *e);
void mls_recorder_abandon(mls_recorder *r);      /* leaves the .part as it is          */
/* Why recording stopped (nothing is written after the first failure); set == 0: it goes
 * on.  And what was odd on opening, such as a damaged file that was kept aside, or NULL. */
const mls_error *mls_recorder_error(const mls_recorder *r);
const char      *mls_recorder_warning(const mls_recorder *r);

typedef struct mls_recovered {
    int     channels, metrics;    /* that hold anything                                */
    int64_t step;                 /* newest training step; INT64_MIN: nothing is there */
    int     complete;             /* `from` was a complete file                        */
    char    warning[600];         /* "" when all is as it was written                  */
} mls_recovered;

/* Copies what a killed writer left, up to the last whole record, into the new file `to`;
 * `from` is only read.  told: may be NULL.                                               */
int  mls_record_recover(const char *from, const char *to, mls_recovered *told,
                        mls_error *e);

/* Checkpoints: temporary file, fsync, rename, fsync of the directory.  note: JSON text. */
int mls_checkpoint_save(const char *path, const mls_bundle *b, const char *note, mls_error *e);
/* Reads into the bundle's arrays; a missing, extra or misshapen array is an error that
 * lists all of them; a damaged file is an error, never a crash.                          */
int mls_checkpoint_load(const char *path, mls_bundle *b, char **note, mls_arena *a, mls_error *e);
/* As load for the arrays of the bundle only: others in the file are no error. */
int mls_checkpoint_load_part(const char *path, mls_bundle *b, mls_arena *a, mls_error *e);
/* The note of a checkpoint alone, in a; NULL and e when the file is damaged or none.     */
char *mls_checkpoint_note(const char *path, mls_arena *a, mls_error *e);

/* The host extension "mls.array-file/1". */
extern const mls_array_file mls_rec_array_file;
/* Once per process: no atexit handler, no error stack on stderr. */
void mls_rec_init(void);
/* 0: files are opened without locks from here on, for file systems that have none.  The
 * environment variable HDF5_USE_FILE_LOCKING goes before it.                             */
void mls_rec_locking(int on);

#endif
