/* feed.h - batches from a task: which samples, in which order, as time-major arrays. */
#ifndef MLS_TRAIN_FEED_H
#define MLS_TRAIN_FEED_H

#include "net/net.h"

typedef struct mls_feed mls_feed;

/* spec: the map `task` ({ component = "task.text", ... }).  Opens the task. */
mls_feed *mls_feed_open(const mls_registry *r, const mls_value *spec, uint64_t seed, mls_error *e);
void      mls_feed_free(mls_feed *f);
const mls_task_shape *mls_feed_shape(const mls_feed *f);
const mls_task       *mls_feed_task(const mls_feed *f, const void **self);
mls_value            *mls_feed_resolved(const mls_feed *f, mls_arena *a);
int64_t mls_feed_count(const mls_feed *f, int split);

/* Where batches are laid out; reused from batch to batch, no malloc after the first. */
typedef struct mls_stage mls_stage;
mls_stage *mls_stage_new(const mls_feed *f, int64_t batch, mls_error *e);
void       mls_stage_free(mls_stage *s);

/* Batch `index` of `epoch` in training order: shuffled by (seed, epoch), or with carry
 * row b walks through its own contiguous part.  A pure function of its arguments.
 * Batches an epoch has: mls_feed_batches.                                               */
int64_t mls_feed_batches(const mls_feed *f, int split, int64_t batch);
const mls_batch *mls_stage_train(mls_stage *s, int64_t epoch, int64_t index, int carry, mls_error *e);
/* Batch `index` of a split in natural order; the last one is padded with unscored rows. */
const mls_batch *mls_stage_eval(mls_stage *s, int split, int64_t index, mls_error *e);

#endif
