/* watch.h - observers of a trial: the recorder's, told of the step; and on evaluations a
 * count of spikes.                                                                      */
#ifndef MLS_STUDY_WATCH_H
#define MLS_STUDY_WATCH_H

#include "net/net.h"
#include "rec/record.h"

enum { MLS_WATCH_MOST = 256 };

typedef struct mls_watch {
    mls_run      *run;           /* or NULL                                           */
    mls_recorder *recorder;      /* or NULL                                           */
    mls_observer  inner;
    int           evaluating;
    int64_t       step;          /* the training step that runs, or that was evaluated */
    int64_t       told;          /* what the recorder was told last; -1: nothing      */
    int           n;             /* spike channels                                    */
    const char   *node[MLS_WATCH_MOST], *name[MLS_WATCH_MOST];
    double        spikes[MLS_WATCH_MOST], count[MLS_WATCH_MOST];
} mls_watch;

/* Attaches w to a run.  w must outlive the run's use. */
void mls_watch_attach(mls_watch *w, mls_run *run, mls_recorder *recorder,
                      int evaluating, mls_arena *a);
void mls_watch_clear(mls_watch *w);
/* Spikes per unit and real step, mean over the channels; NaN when nothing spiked or could. */
double mls_watch_rate(const mls_watch *w);
/* Synaptic operations of a sample (net.h); NaN when no map had spikes. */
double mls_watch_synops(const mls_watch *w);

#endif
