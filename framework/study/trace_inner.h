/* trace_inner.h - what trace_open.c makes and trace.c runs; private to the two. */
#ifndef MLS_STUDY_TRACE_INNER_H
#define MLS_STUDY_TRACE_INNER_H

#include "study/trace.h"

enum { MLS_TRACE_PORTS = 16 };

typedef struct mls_trace_port { const char *name; int64_t from, n; } mls_trace_port;

/* A tensor that the component gave: one for each piece of the sequence. */
typedef struct mls_trace_piece {
    mls_t                   value;
    int64_t                 t0;
    struct mls_trace_piece *next;
} mls_trace_piece;

/* What an observer saw under one name. */
typedef struct mls_trace_seen {
    const char            *row;              /* "out/out", "tap/layer0.enc.v"            */
    int64_t                T, room, n;
    float                 *data;             /* [T][B][n], room for more steps           */
    mls_trace_piece       *piece;
    struct mls_trace_seen *next;             /* in order of appearance                   */
} mls_trace_seen;

struct mls_trace {
    mls_arena        arena;
    mls_trace_config c;
    mls_task_shape   shape;
    mls_net         *net;
    mls_run         *run;
    mls_batch        batch;
    const char      *node, *prefix, *name;   /* node NULL: a whole network               */
    mls_trace_port   in[MLS_TRACE_PORTS];    /* parts of x                               */
    int              n_in;
    int64_t          T, B;
    float           *x;                      /* [T][B][shape.input]                      */
    mls_trace_seen  *seen, **last;
    int              failed;                 /* 1: out of memory while observing         */
};

/* trace_open.c: a row of the input, or NULL. */
const mls_bundle_row *mls_trace_row(const mls_trace *t, const char *group, const char *name);
/* [B][T][n] of a file to [T][B][stride] from column `at`, and back. */
void mls_trace_to_time(const float *file, float *x, int64_t B, int64_t T, int64_t n,
                       int64_t stride, int64_t at);
void mls_trace_to_file(const float *x, float *file, int64_t B, int64_t T, int64_t n,
                       int64_t stride, int64_t at);
/* trace_rig.c: the components that stand around the one that is traced, and a network of
 * that one node; fills t->in from.  */
int        mls_trace_parts(mls_registry *r, mls_error *e);
mls_value *mls_trace_specification(mls_trace *t, const mls_component *c, int64_t width);

#endif
