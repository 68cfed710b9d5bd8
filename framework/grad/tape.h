/* tape.h - an eager tape on a bump arena.  apply() runs an op at once and, when a
 * gradient may be asked for, notes it; backward() walks the notes in reverse.
 * All tensors are gone at mls_tape_reset.  In a dry run nothing is computed: shapes,
 * bytes and flops are counted.                                                        */
#ifndef MLS_GRAD_TAPE_H
#define MLS_GRAD_TAPE_H

#include "base/arena.h"
#include "grad/ctx.h"
#include "grad/places.h"

typedef struct mls_note mls_note;
typedef struct mls_reuse mls_reuse;

/* Spikes that enter linear maps, counted while a network runs.  A value that is not 0 counts
 * as one spike, whatever its size.                                                      */
typedef struct mls_synapses {
    double       operations;   /* sum over these spikes of the outputs they reach        */
    int          maps;         /* linear maps that had spikes for an input               */
    int64_t      samples;      /* only the first of them in a batch count                */
    const float *mask;         /* [steps][B] of the piece being run, 0: padding; or NULL */
    int64_t      steps;
} mls_synapses;

/* What this process is computing, for a crash handler: node path, op name, and
 * "forward" or "backward"; NULL between.                                              */
extern const char *volatile mls_run_current, *volatile mls_run_op, *volatile mls_run_phase;
/* The training step in progress, or the last one; 0 before. */
extern volatile int64_t mls_run_step;

/* A value that is NaN or Inf: output `out` of op `op` in node `path`, at [t][b][n]. */
typedef struct mls_tape_bad {
    const char *path, *op;
    int         out;
    float       value;
    int64_t     t, b, n;
} mls_tape_bad;

/* Told of every op that runs, before it and after it, by those who count and time. */
typedef struct mls_tape_watch {
    void (*tell)(void *arg, const mls_op *op, const mls_call *k, int backward, int after);
    void *arg;
} mls_tape_watch;

/* Free floats (pool.c). */
typedef struct mls_spare { struct spare *root[2]; } mls_spare;

struct mls_tape {
    mls_arena arena;        /* the step's memory                                     */
    mls_arena floats;       /* of it, what is used again: values and gradients, with nothing
                               small between them                                    */
    unsigned  flags;        /* MLS_SMOOTH, MLS_TRAIN, MLS_EXACT                      */
    int       dry;          /* 1: count only                                         */
    mls_note *last;         /* newest note; NULL at start                            */
    int       rehearses;    /* 1: memory comes and goes as in a real step, and nobody reads or
                               writes it: ops do nothing but those that run others      */
    size_t    expects[2];   /* bytes of scratch of the next op, for a rehearsal: of its forward,
                               of its backward                                         */
    double    flops;        /* counted forward flops since reset                     */
    double    macs;         /* of these, multiply-accumulates: see mls_net_work      */
    double    spike_macs;   /* of linear maps whose input is spikes, as if it were not */
    double    bytes;        /* of tensors made since reset                           */
    mls_synapses *synapses; /* where spikes are counted; NULL: nowhere               */
    mls_spare spare;        /* floats to use again                                   */
    struct mls_lent *lent;  /* of these, what an op has for scratch                  */
    uint64_t  dropout;      /* key of this step's dropout                            */
    int64_t   dropouts;     /* how many were applied                                 */
    int       steady;       /* 1: dropout drops nothing, in training too             */
    int       check;        /* 1: look at what every op gives; slow                  */
    int       spoils;       /* 1: floats that are done with, and new gradients, are NaN; slow */
    mls_tape_bad bad;       /* what that found first; path NULL: nothing             */
    const mls_tape_watch *watch; /* NULL: nobody                                          */
    int       events;       /* MLS_EVENTS_*: how products with spikes are made (events.h) */
    int64_t   ends;         /* steps of the node's forward if nobody reads its states after it;
                               0: somebody may                                          */
    int       puts_off;     /* 1: a linear map may wait until an op reads what it gives */
    mls_places *places;     /* where floats lie (places.h); NULL: where there is room    */
    char      *ground;      /* the memory that these count from, in this step            */
    mls_reuse *reuse;       /* floats that nobody reads again are used again (reuse.h);
                               NULL: not before the reset                            */
};

/* What apply_as can be told besides the flags of plugin.h, by the host's own ops. */
enum {
    MLS_TAPE_DENSE = 1 << 16,   /* half of its flops are multiply-accumulates          */
    MLS_TAPE_FORGETS_IN = 1 << 17,   /* its backward reads no in[i]->data ...          */
    MLS_TAPE_FORGETS_OUT = 1 << 18,  /* ... no out[i]->data                            */
    MLS_TAPE_AGAIN = 1 << 19,        /* what its inputs were may be made again for it  */
    MLS_TAPE_RUNS = 1 << 21,         /* it runs other ops                              */
    MLS_TAPE_FORGETS = MLS_TAPE_FORGETS_IN | MLS_TAPE_FORGETS_OUT
};

enum { MLS_EVENTS_AUTO, MLS_EVENTS_NEVER, MLS_EVENTS_ALWAYS };

void mls_tape_reset(mls_tape *t);
/* Bytes of the step that hold something now, besides those in 16 bits outside of places. */
size_t mls_tape_in_use(const mls_tape *t);
void mls_tape_free(mls_tape *t);

/* A new tensor [a][b][c][1] in the step arena; in a dry run its data is NULL. */
mls_tensor *mls_tape_tensor(mls_ctx *c, int64_t d0, int64_t d1, int64_t d2);
/* A tensor over memory that lives longer (weights, states, inputs).  grad is
 * accumulated into when not NULL; when `leaf` is 1 a gradient buffer is made for it
 * in backward even though grad is NULL.                                                */
mls_tensor *mls_tape_wrap(mls_ctx *c, float *data, float *grad, int leaf, int64_t d0,
                          int64_t d1, int64_t d2);
/* A tensor of network lifetime whose data and grad are filled in later (weights). */
mls_tensor *mls_tape_leaf(mls_arena *a, int tracks, int64_t d0, int64_t d1, int64_t d2);
/* Steps [from, from + n) of x as a tensor that shares x's data and gradient. */
mls_t mls_tape_steps(mls_ctx *c, mls_t x, int64_t from, int64_t n);
/* x without its history: no gradient flows back. */
mls_t mls_tape_detach(mls_ctx *c, mls_t x);

void mls_tape_apply(mls_ctx *c, const mls_op *op, const void *attr, const mls_t *in,
                    int n_in, const mls_t *out, int n_out);
/* Weights of 8 bits that stand for those of w, a leaf of network lifetime: what runs
 * outside training may read them instead.  NULL: none.                                 */
struct mls_int8;
void mls_tape_set_int8(mls_t w, const struct mls_int8 *q);
const struct mls_int8 *mls_tape_int8(mls_t w);
/* The same for an op that can do more: MLS_WRITES, ...; MLS_TAPE_*. */
void mls_tape_apply_as(mls_ctx *c, unsigned can, const mls_op *op, const void *attr,
                       const mls_t *in, int n_in, const mls_t *out, int n_out);
/* As apply, with MLS_TAPE_DENSE. */
void mls_tape_apply_dense(mls_ctx *c, const mls_op *op, const void *attr, const mls_t *in,
                          int n_in, const mls_t *out, int n_out);
/* Marks x as one that holds spikes, mostly zero; views and what is made by moving values
 * of such tensors alone are marked too.  A mark says how to compute, never what.         */
void mls_tape_mark_spikes(mls_t x);
int  mls_tape_spikes(mls_t x);
/* 1 when a gradient can reach x. */
int  mls_tape_tracks(mls_t x);
/* Makes (zeroed, if new) and returns x's gradient buffer, to seed backward with. */
float *mls_tape_grad(mls_ctx *c, mls_t x);
/* For an op that writes (not adds) the gradient of its input x: lets it take the place of
 * x's values, if x came straight from `producer` (an op that never reads what it gave; NULL:
 * any that says so) and nothing else can want the values in backward.  Returns 1 if so:
 * then x->grad == x->data.                                                               */
int mls_tape_overwrite(mls_ctx *c, mls_t x, const char *producer);
/* Runs every noted op backward, newest first.  Errors name op and node. */
void mls_tape_backward(mls_ctx *c);

/* The first op since the reset that gave a value which is not finite: of those still
 * noted, or, with `check` set beforehand, of all.  1 and *bad, or 0.                     */
int  mls_tape_first_bad(const mls_tape *t, mls_tape_bad *bad);

/* A map that was put off: y = x w^T + bias, whose data is NULL.  It is computed when an op, a
 * view or mls_tape_now wants y; until then its reader may do without (head-loss.c).       */
typedef struct mls_later {
    const mls_op *op;
    unsigned      can;
    mls_t         in[3];          /* x, w, bias or NULL                                */
} mls_later;
mls_t mls_tape_put_off(mls_ctx *c, unsigned can, const mls_op *op, const mls_t in[3],
                       int64_t d0, int64_t d1, int64_t d2);
/* What y waits for; NULL: nothing. */
const mls_later *mls_tape_later(mls_t y);
void  mls_tape_now(mls_ctx *c, mls_t y);

void *mls_tape_scratch(const mls_call *k, size_t bytes);

#endif
