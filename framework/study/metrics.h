/* metrics.h - metrics.jsonl: one JSON object a line, each with a CRC-32 of the text
 * before it.  Lines hold no times: an interrupted run and a whole one write the same.   */
#ifndef MLS_STUDY_METRICS_H
#define MLS_STUDY_METRICS_H

#include "train/loop.h"

#include <stdio.h>

typedef struct mls_metrics { FILE *file; char path[4200]; int failed; } mls_metrics;

/* Keeps the sound lines among the first `bytes` bytes that are of a step up to `step`, and
 * cuts off what follows.  step 0: from the start.                                       */
int  mls_metrics_open(mls_metrics *f, const char *dir, int64_t step, int64_t bytes,
                      mls_error *e);
/* Bytes so far, after a sync. */
int64_t mls_metrics_bytes(const mls_metrics *f);
/* split: "validation", "test"; NULL for a training step. */
void mls_metrics_line(mls_metrics *f, int64_t step, const char *split,
                      const mls_metric *m, int n);
/* To the disk; 0 when anything could not be written. */
int  mls_metrics_sync(mls_metrics *f);
int  mls_metrics_close(mls_metrics *f);

#endif
