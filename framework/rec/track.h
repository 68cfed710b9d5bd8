/* track.h - the inside of a recorder: one track for each recorded channel, one series
 * for each metric.  Only rec/ includes this.                                            */
#ifndef MLS_REC_TRACK_H
#define MLS_REC_TRACK_H

#include "rec/column.h"
#include "rec/record.h"
#include "rec/scale.h"

#define MLS_RECORD_FORMAT  "mls-record"
#define MLS_RECORD_VERSION "1.1.0"

enum { MLS_SPIKE_COLUMNS = 5, MLS_SPIKE_CHUNK = 8192, MLS_INDEX_CHUNK = 256 };

typedef struct mls_track {
    const char *name;              /* "layer0.enc.spikes"                                */
    const char *unit, *help;
    uint64_t    hash;              /* of the name                                        */
    int         spikes;
    int64_t     T, B, U;           /* what is kept of a forward                          */
    int64_t     every;
    int         round_bits, report;
    int         due, open;         /* this forward is wanted; a record has begun         */
    int64_t     next_t;            /* time step that comes next in the open record       */
    int64_t     last;              /* training step of the newest record                 */
    mls_column  step;              /* i64, of each record                                */
    mls_column  value;             /* states: f32 [record][T][B][U]                      */
    mls_column  event[MLS_SPIKE_COLUMNS]; /* timestamps node_ids sample step train_step  */
    mls_column  end;               /* i64: events up to the end of each record           */
    int64_t     events;
    double      newest;            /* latest timestamp                                   */
    int         by_time;           /* timestamps never went back                         */
} mls_track;

typedef struct mls_series {
    const char *name;
    int64_t     last;
    mls_column  value, step;
} mls_series;

struct mls_recorder {
    mls_arena   arena;
    mls_error   error;             /* the first failure ends recording                   */
    const char *warning;
    const char *final, *part, *fresh;  /* record.h5, .part, .new                          */
    hid_t       file;
    int         owner;             /* process: a forked child must not touch the file    */
    int64_t     now;               /* training step of the current forward               */
    int         evaluating, due;   /* any track due                                      */
    double      step_ms;
    mls_track  *track;    int n_tracks;
    mls_series *series;   int n_series;
};

/* request.c: the request that decides for a channel, or NULL. */
const mls_request *mls_request_for(const mls_request *r, int n, const mls_channel *ch);

/* root.c: everything that is no column: attributes, /config, /provenance. */
int mls_root_write(hid_t file, const mls_recorder_config *c);
int64_t mls_root_starts_after(hid_t file);   /* 0 when nothing is missing before         */
int mls_root_complete(hid_t file);           /* the attribute `complete` becomes 1       */

/* spikes.c, states.c: plan columns; create data sets; add values; end the open record. */
int  mls_spikes_plan(mls_track *t, mls_arena *a, mls_error *e);
int  mls_spikes_create(mls_track *t, hid_t file, mls_error *e);
int  mls_spikes_sorted(const mls_track *t, hid_t file);      /* updates `sorting`        */
void mls_spikes_add(mls_track *t, double step_ms, int64_t now, const float *x, int64_t T,
                    int64_t B, int64_t U, int64_t t0, mls_error *e);
void mls_spikes_end(mls_track *t, int64_t now, mls_error *e);
int  mls_states_plan(mls_track *t, mls_arena *a, mls_error *e);
int  mls_states_create(mls_track *t, hid_t file, double step_ms, mls_scales *s,
                       mls_error *e);
void mls_states_add(mls_track *t, const float *x, int64_t T, int64_t B, int64_t U,
                    int64_t t0);
void mls_states_end(mls_track *t, int64_t now, mls_error *e);

/* report.c: /report/<track>, SONATA's matrix of time and elements.  Declared with the rest;
 * filled with the newest record when the file ends.                                      */
int mls_report_create(mls_track *t, hid_t file, double step_ms, mls_scales *s,
                      mls_error *e);
int mls_report_write(mls_track *t, hid_t file, mls_error *e);

/* metrics.c */
int mls_series_plan(mls_series *m, mls_arena *a, mls_error *e);
int mls_series_create(mls_series *m, hid_t file, mls_scales *s, mls_error *e);

/* record.c: every column of a recorder, until body returns 0. */
int mls_recorder_each(mls_recorder *r, int (*body)(mls_column *c, void *arg), void *arg);
/* An empty recorder with all columns planned; then a file for it at `path`. */
mls_recorder *mls_recorder_plan(const mls_recorder_config *c, mls_error *e);
int  mls_recorder_build(mls_recorder *r, const mls_recorder_config *c, const char *path);
/* What is known only at the end: the order of spikes, reports. */
int  mls_recorder_last(mls_recorder *r);
/* Closes the file, which the recorder then no longer has; 0 on failure. */
int  mls_recorder_shut(mls_recorder *r);
void mls_recorder_free(mls_recorder *r);
/* verify.c: reopens and compares the counts of all columns. */
int mls_recorder_verify(const char *path, mls_recorder *r, int complete, mls_error *e);

/* resume.c: whether all of `from` can be read, tried in a child; then copies what it holds
 * up to training step `until` into r's open file.                                        */
int mls_recorder_readable(mls_recorder *r, const char *from);
int mls_recorder_take(mls_recorder *r, const char *from, int64_t until);

#endif
