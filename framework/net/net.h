/* net.h - a network: components wired into layers between an embedding or input
 * projection and a head, built from a specification; and runs over it.
 *
 * Specification (a map; see docs/network.md):
 *   width    d, the width of the residual stream
 *   layers   how often the block is repeated
 *   norm     "rms" | "layer" | "none"      before each branch and before the head
 *   residual bool
 *   dropout  on each branch's output
 *   chunk    K of the late wires `a ~> b`; 0 = the sequence length
 *   nodes    { name = { component = "liquid.cfc", <options> ... }, ... }
 *   wire     a string of wires, or a list of them: each is one residual branch of the
 *            block, in order.  "input -> enc -> liq.in; liq -> output; ssm ~> liq.mod_tau"
 *   head     { component = "head.linear", ... }
 *   remat    list of node names whose forward is run again in backward
 *   events   "auto" | "never" | "always": whether products with spikes visit events alone
 */
#ifndef MLS_NET_NET_H
#define MLS_NET_NET_H

#include "base/bundle.h"
#include "base/value.h"
#include "grad/tape.h"
#include "grad/ops.h"
#include "plug/plug.h"

typedef struct mls_weight {
    const char *name;             /* "layer0.enc.w"                                  */
    const char *node;             /* "layer0.enc"                                    */
    int64_t     rows, cols;
    unsigned    flags;            /* MLS_NO_DECAY, MLS_FROZEN                        */
    float      *data, *grad;      /* [rows][cols]; NULL in a dry net                 */
} mls_weight;

typedef struct mls_net mls_net;

typedef struct mls_net_config {
    const mls_registry   *registry;
    const mls_value      *spec;
    const mls_task_shape *shape;
    uint64_t              seed;
    int                   dry;    /* shapes only: weights have no memory             */
} mls_net_config;

/* Fills the rest of the host table; build calls it itself. */
void     mls_net_init(void);
mls_net *mls_net_build(const mls_net_config *config, mls_error *e);
void     mls_net_free(mls_net *net);

int64_t     mls_net_parameters(const mls_net *net);
int         mls_net_weights(const mls_net *net);
mls_weight *mls_net_weight(const mls_net *net, int i);
void        mls_net_zero_grad(mls_net *net);
/* All weights lie in one array, and their gradients in another, of this length. */
float      *mls_net_data(const mls_net *net, int64_t *count);
float      *mls_net_grad(const mls_net *net);
/* Weight i in 8 bits as well: products outside training may read them.  q lives as long as
 * the net; the floats must be what q stands for.                                        */
struct mls_int8;
void        mls_net_set_int8(mls_net *net, int i, const struct mls_int8 *q);
/* What components asked for by mls->adapt since the gradients were zeroed, in forwards that
 * had their backward: makes it so, and forgets it; mls_optimiser_step ends with this.  How
 * much that was, the sum of |change| after bounds, and of how many weights (NULL: not asked).
 * And what waits for weight i, [rows][cols]; NULL: nothing.                               */
void         mls_net_adapt(mls_net *net);
double       mls_net_adapted(const mls_net *net, int *weights);
const float *mls_net_pending(const mls_net *net, int i);
/* The specification with every default filled in. */
mls_value  *mls_net_resolved(const mls_net *net, mls_arena *a);
/* "layer0.enc  encoder.lif  128 -> 128  16,512 parameters" lines. */
char       *mls_net_summary(const mls_net *net, mls_arena *a);
const mls_task_shape *mls_net_shape(const mls_net *net);
/* Wire i of a layer, by the names of nodes ("enc"; "input", "output") and ports; 0 beyond the
 * last.                                                                                  */
typedef struct mls_net_link { const char *from, *from_port, *to, *to_port; int late; } mls_net_link;
int         mls_net_link_of(const mls_net *net, int i, mls_net_link *out);

/* ---- Batches ------------------------------------------------------------------------ */

typedef struct mls_batch {        /* time-major; pointers stay valid until backward  */
    int64_t        steps, batch;
    const int32_t *token;         /* [T][B]        or NULL                           */
    const float   *x;             /* [T][B][input] or NULL                           */
    const float   *mask, *dt;     /* [T][B]        or NULL                           */
    const int32_t *label;         /* [T][B], or [B] when not per step; or NULL       */
    const float   *target;        /* [T][B][out] or [B][out]; or NULL                */
    const uint64_t *key;          /* [B] of each sample's noise; NULL: by its place  */
} mls_batch;

/* ---- Observing --------------------------------------------------------------------- */

enum { MLS_OF_STATE = 1 << 16 };

typedef struct mls_channel {
    const char *node, *name;      /* "layer0.enc", "spikes"                          */
    const char *unit, *help;      /* or NULL                                         */
    unsigned    flags;            /* MLS_SPIKES for spike ports; MLS_OF_STATE: the
                                     value of a state after the last step, [1][B][N] */
    int64_t     width;
} mls_channel;

typedef struct mls_observer {
    void *arg;
    int  (*wanted)(void *arg, const char *node, const char *name);
    /* value [T][B][width]; steps [t0, t0+T) of the sequence being run; data valid now */
    void (*value)(void *arg, const mls_channel *ch, mls_t value, int64_t t0);
} mls_observer;

/* ---- Runs: a batch size, states, a tape ---------------------------------------------- */

typedef struct mls_run mls_run;

/* flags: MLS_TRAIN, MLS_SMOOTH, MLS_EXACT.  One network may have several runs. */
mls_run *mls_run_new(mls_net *net, int64_t batch, unsigned flags, mls_error *e);
void     mls_run_free(mls_run *run);
/* From the next forward on, memory of what is not read again is used again; half: what waits
 * for backward lies in 16 bits (grad/reuse.h).  For sequences: each forward is planned by a
 * dry one.  0: no memory.                                                                */
int      mls_run_reuse(mls_run *run, int half);
/* The new states of the last forward are not wanted: the next begins where it began.  Between
 * a training forward and its backward only.                                              */
void     mls_run_forget(mls_run *run);
/* on: so with every forward, unless an observer wants states; one that is made for what
 * follows alone may be left out then.  Final states have no seed.                        */
void     mls_run_transient(mls_run *run, int on);
void     mls_run_observe(mls_run *run, const mls_observer *o);   /* NULL: nobody */
void     mls_run_reset(mls_run *run);        /* every state to its reset value         */
/* Runs the batch from the current states and leaves the new ones; the output is
 * [T][B][out] (or [1][B][out] for a head that pools), NULL on error.  The previous
 * call's tensors are gone.  step numbers the call for dropout.                          */
mls_t    mls_run_forward(mls_run *run, const mls_batch *b, uint64_t step);
/* on: mls_run_loss may make the head's outputs a block of steps at a time (grad/head-loss.c),
 * where they are no more than scored: there is no mls_run_output and no decision then.     */
void     mls_run_blocks(mls_run *run, int on);
/* As forward and the loss; mean over scored positions.  NaN on error. */
double   mls_run_loss(mls_run *run, const mls_batch *b, uint64_t step, mls_loss_stats *s);
/* What the components of the last training forward add to the loss by mls->penalty: the sum
 * of weight * mean; 0 outside training.  n (or NULL): how many there are.  mls_run_loss and
 * its stats are the task's alone.                                                        */
double   mls_run_penalty(const mls_run *run, int *n);
/* Adds scale * d (loss + penalties) / d weight to the weights' gradients; once after a loss.
 * Every backward has the penalties in it: they belong to the components, not to the loss. */
void     mls_run_backward(mls_run *run, double scale);
mls_error *mls_run_error(mls_run *run);
/* Bytes of its tensors and all that belongs to them, at most so far. */
double   mls_run_memory(const mls_run *run);
mls_tape  *mls_run_tape(mls_run *run);
/* States, for checkpoints: "state/layer0.liq.h" [B][width].  Not between a training
 * forward and its backward.                                                              */
void     mls_run_bundle(mls_run *run, mls_bundle *b);
int      mls_run_states(const mls_run *run);
/* State i: full name "layer0.liq.h" and value [B][width]. */
const char *mls_run_state(mls_run *run, int i, float **value, int64_t *width, double *reset);
/* Gradients at both ends, for checks: with track on, backward also finds the gradient
 * of the initial states (valid until the next forward; NULL if none), and adds seed
 * (may be NULL) as the gradient of final state i.                                       */
void     mls_run_track(mls_run *run, int on);
float   *mls_run_state_grad(mls_run *run, int i);
void     mls_run_seed_state(mls_run *run, int i, const float *seed);
/* The last forward's x, [T][B][input]; NULL with tokens.  With track on, its grad is d / d x
 * after backward (NULL if nothing reached it).  The components of a rig read it in place of
 * what the network makes of it: mls_run_of gives them the run in progress.              */
mls_t    mls_run_input(mls_run *run);
mls_run *mls_run_of(mls_ctx *c);
/* The last forward's output (NULL: it was made in blocks), and its batch's mask
 * [T][B][1] (NULL: every step is real; there while the forward runs, for observers). */
mls_t    mls_run_output(const mls_run *run);
/* What the classes of the last loss were decided by: the output, or [1][B][out] of it.   */
mls_t    mls_run_decision(const mls_run *run);
mls_t    mls_run_mask(const mls_run *run);
/* backward from a gradient of the last forward's output [T][B][out] instead of a loss, with
 * penalties at scale 1.                                                                  */
void     mls_run_backward_from(mls_run *run, const float *grad_out);
/* For operations on what the last forward gave, which become part of its tape: losses and
 * penalties of one's own.  Valid until this network's next forward, of whichever run.   */
mls_ctx *mls_run_ctx(mls_run *run);
/* backward from such a loss, [1][1][1]: adds scale * d (loss + penalties) / d weight; once a
 * forward.                                                                               */
void     mls_run_backward_of(mls_run *run, mls_t loss, double scale);
/* Every channel that can be recorded, for messages and `mls check`. */
int      mls_run_channels(const mls_run *run, mls_channel **list, mls_arena *a);

/* ---- Work of a sample: operations, no energy -------------------------------------------- */

/* Multiply-accumulates of a forward of one sample of `steps` steps, from the shapes alone:
 * those of linear maps, exactly (rows * inputs * outputs; no biases); half of the flops of
 * convolutions, attention and of components' own ops (recurrences, scans, neurons).  Nothing
 * for element-wise operations, norms, lookups and the loss.
 *   macs    all of them, as if every map were dense
 *   dense   macs without the linear maps whose input is spikes: a port that is declared to
 *           have spikes (MLS_SPIKES), its steps, or what mls->spike gave                    */
typedef struct mls_work { double macs, dense; } mls_work;
int      mls_net_work(mls_net *net, int64_t steps, mls_work *out, mls_error *e);
/* Synaptic operations of those maps, counted while the run computes: for each value that is
 * not 0 of a real step, as many as the map has outputs.  Not seen, and so dense: spikes that
 * come through a late wire or an adapter that makes other values of them, those inside of a
 * component, and products that a component makes in an op of its own.                     */
void     mls_run_synapses(mls_run *run, int on);
void     mls_run_synapses_clear(mls_run *run);
/* Of the next batches only the first `samples` rows count; all unless told. */
void     mls_run_synapses_of(mls_run *run, int64_t samples);
/* Per sample since they were cleared; NaN when no map had spikes. */
double   mls_run_synops(const mls_run *run);

typedef struct mls_cost { int64_t parameters; double flops, bytes, state_bytes; } mls_cost;
/* Dry run of one training step of T x B: works on a dry or a real net. */
int      mls_net_cost(mls_net *net, int64_t steps, int64_t batch, mls_cost *out, mls_error *e);
/* Bytes that a training step of T x B has at its peak beside the weights, their gradients and
 * the optimiser, with memory used again (mls_run_reuse) and the output in blocks: found by a
 * step in which no op computes and no memory is touched.  Scratch of ops is not in it.  flags:
 * as mls_run_new; carry 0: the run is transient.  Works on a dry or a real net.  NaN: that
 * much memory cannot be had.                                                              */
double   mls_net_memory(mls_net *net, int64_t steps, int64_t batch, unsigned flags, int half,
                        int carry);

#endif
