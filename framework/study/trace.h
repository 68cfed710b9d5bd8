/* trace.h - one forward and backward of a component or a network on given numbers, with
 * everything that went in and came out under a name.  Files have [sample][time][feature].
 *
 * Input rows     in/<port> [B][T][N], mask [B][T], dt [B][T], state/<name> [B][N],
 *                grad_out/<port> like out/<port>, grad_state/<name> [B][N]
 * Output rows    out/<port> [B][T][N], tap/<name> [B][T][N], state/<name> [B][N],
 *                grad/in/<port>, grad/state/<name> (of the initial one),
 *                grad/weight/<name>
 * A component's ports, taps, states and weights have their own names; a network's have
 * the node in front (tap/layer0.enc.spikes) and its ends are in/input and out/output; with
 * a vocabulary in/input is [B][T] of tokens.  Dropout drops nothing.                     */
#ifndef MLS_STUDY_TRACE_H
#define MLS_STUDY_TRACE_H

#include "base/bundle.h"
#include "net/net.h"

typedef struct mls_trace mls_trace;

typedef struct mls_trace_config {
    mls_registry         *registry;  /* gets the rig's own parts                         */
    const mls_value      *component; /* { component = "liquid.cfc", ... }; or NULL:      */
    const mls_value      *network;   /* a network, for a task of this shape              */
    const mls_task_shape *shape;
    uint64_t              seed;      /* of fresh weights                                 */
    int64_t               width;     /* what inputs are when not given, and what options
                                        of width 0 mean; 0: the first input's            */
    int64_t               classes;   /* of a head; 0: as wide as its grad_out            */
    int                   grad;      /* a backward will follow                           */
    const char           *file;      /* of the input, for messages                       */
    const mls_bundle     *input;     /* NULL: only to list                               */
} mls_trace_config;

/* Builds it and checks every row of the input: all that is missing, unknown, misshapen or
 * not finite is told at once.  NULL and e on failure.                                    */
mls_trace *mls_trace_open(const mls_trace_config *c, mls_error *e);
void       mls_trace_free(mls_trace *t);
mls_net   *mls_trace_net(mls_trace *t);
/* What its weights' full names begin with: "layer0.node.", "head.", "". */
const char *mls_trace_prefix(const mls_trace *t);
const char *mls_trace_name(const mls_trace *t);          /* "mixer.mamba", "the network" */
/* What it runs, for those who run it themselves. */
mls_run   *mls_trace_running(mls_trace *t);
const mls_batch *mls_trace_batch(const mls_trace *t);
/* Runs; adds the output rows, which live as long as t.  0 and e on failure. */
int        mls_trace_run(mls_trace *t, mls_bundle *out, mls_error *e);
/* Adds a row without data for each thing that can be given or is written; axes whose length
 * the input decides have these instead.                                                 */
enum { MLS_TRACE_SAMPLE = -1, MLS_TRACE_TIME = -2 };
void       mls_trace_list(mls_trace *t, mls_bundle *out);

#endif
