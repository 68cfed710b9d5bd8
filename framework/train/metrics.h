/* metrics.h - from the sums of an evaluation to the figures that are reported. */
#ifndef MLS_TRAIN_METRICS_H
#define MLS_TRAIN_METRICS_H

#include "grad/ops.h"
#include "train/loop.h"

enum { MLS_METRICS = 8 }; /* at most from one evaluation */

/* loss; cross-entropy: accuracy, and for text nats, bits (per character) and
 * perplexity; squared error: mse; absolute error: mae.  Returns how many of `room` were
 * written; none without a score. */
int mls_metrics_of(const mls_task_shape *shape, const mls_loss_stats *sum,
                   mls_metric *out, int room);

#endif
