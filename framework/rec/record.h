/* record.h - a trial's record.h5: spikes, states, metrics, provenance.  Layout and the
 * reasons: docs/recording.md.  SWMR, whole chunks, crash-safe; never exits.             */
#ifndef MLS_REC_RECORD_H
#define MLS_REC_RECORD_H

#include "base/value.h"
#include "net/net.h"

/* One request of `record`: "enc.spikes" or { "liq.state", every = 50, samples = 1 }.    */
typedef struct mls_request {
    const char *selector;         /* "enc.spikes", "layer1.ssm.*", "*"                 */
    int64_t every;                /* training steps between records; 0 = evaluations only */
    int64_t steps;                /* first n time steps of the sequence; 0 = all       */
    int64_t samples, units;       /* first n of the batch, of the width; 0 = all       */
    int     round_bits;           /* mantissa bits kept; 0 = raw                       */
} mls_request;

/* Parses `record` (list of strings or maps). */
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
} mls_recorder_config;

mls_recorder *mls_recorder_open(const mls_recorder_config *c, mls_error *e);
/* Set before each forward: which training step; 1 while evaluating. */
void mls_recorder_at(mls_recorder *r, int64_t step, int evaluating);
mls_observer mls_recorder_observer(mls_recorder *r);
void mls_recorder_metric(mls_recorder *r, const char *name, int64_t step, double value);
/* At a checkpoint: what was told so far is readable after a kill -9.  0 on failure.     */
int  mls_recorder_flush(mls_recorder *r);
/* Verifies, marks complete, renames.  0 on failure. */
int  mls_recorder_close(mls_recorder *r, mls_error *e);
void mls_recorder_abandon(mls_recorder *r);      /* leaves the .part as it is          */

/* Checkpoints: temporary file, fsync, rename, fsync of the directory.  note: JSON text. */
int mls_checkpoint_save(const char *path, const mls_bundle *b, const char *note, mls_error *e);
/* Reads into the bundle's arrays; a missing, extra or misshapen array is an error that
 * lists all of them; a damaged file is an error, never a crash.                          */
int mls_checkpoint_load(const char *path, mls_bundle *b, char **note, mls_arena *a, mls_error *e);

/* The host extension "mls.array-file/1". */
extern const mls_array_file mls_rec_array_file;
/* Once per process: no atexit handler, no error stack on stderr. */
void mls_rec_init(void);

#endif
