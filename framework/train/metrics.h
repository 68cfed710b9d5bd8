/* metrics.h - from the sums of an evaluation to the figures that are reported. */
#ifndef MLS_TRAIN_METRICS_H
#define MLS_TRAIN_METRICS_H

#include "grad/ops.h"
#include "train/loop.h"

enum { MLS_METRICS = 8 }; /* at most from one evaluation */

/* Names of the losses of a task by their number ("cross_entropy"), NULL-terminated; and the
 * number of a name, or -1. */
extern const char *const mls_loss_names[];
int mls_loss_find(const char *name);

/* loss; cross-entropy: accuracy, and for text nats, bits (per character) and
 * perplexity; squared error: mse; absolute error: mae; binary channels: nll, in nats per
 * frame.  Returns how many of `room` were written; none without a score. */
int mls_metrics_of(const mls_task_shape *shape, const mls_loss_stats *sum,
                   mls_metric *out, int room);

/* Scores of a binary task over a whole split, for the area under its ROC curve. */
typedef struct mls_score { float score; int positive; } mls_score;
typedef struct mls_scores { mls_score *at; int64_t n, room; } mls_scores;

/* Adds the scored rows of y [T][B][2]: how far class 1 lies above class 0.  0: no memory. */
int    mls_scores_add(mls_scores *s, mls_t y, const int32_t *label);
/* The share of pairs of a positive and a negative that are in order, a tie counting half:
 * exact.  NaN if there are not both.  Sorts s.                                           */
double mls_scores_auc(mls_scores *s);
void   mls_scores_free(mls_scores *s);

#endif
