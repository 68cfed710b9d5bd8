/* model.h - what a configuration stands for: its task opened, its network built, its
 * training ready to go; and the same found again in a trial's folder.                   */
#ifndef MLS_STUDY_MODEL_H
#define MLS_STUDY_MODEL_H

#include "base/value.h"
#include "plug/plug.h"
#include "train/loop.h"

typedef struct mls_model {
    mls_arena  arena;
    mls_value *config;           /* every option filled in                            */
    mls_value *train;            /* its map train                                     */
    mls_feed  *feed;
    int        lent;             /* 1: the feed is another's                           */
    mls_net   *net;
    mls_loop  *loop;
    uint64_t   seed;
    int64_t    batch;
    char       identity[65];     /* of all that decides the result: settings, plugins */
} mls_model;

/* config: as written or resolved.  sink may be NULL.  0 and e on failure; close anyway. */
int  mls_model_open(mls_model *m, const mls_registry *r, const mls_value *config,
                    const mls_sink *sink, mls_error *e);
void mls_model_close(mls_model *m);

/* Reads a checkpoint into the model; *note, in m's arena, is what was saved with it. */
int  mls_model_read(mls_model *m, const char *path, mls_value **note, mls_error *e);

/* Checkpoints of a folder, the newest first: their steps; returns how many (at most room). */
int  mls_model_checkpoints(const char *dir, int64_t *step, int room);

/* Opens dir/config.yaml and reads the best checkpoint, else the newest one that is
 * whole.  path (may be NULL): which file it was, in m's arena.                           */
int mls_model_load(mls_model *m, const mls_registry *r, const char *dir,
                   const char **path, mls_error *e);

#endif
