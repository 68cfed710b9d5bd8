/* tape-inner.h - what really stands behind an mls_tensor that the tape made. */
#ifndef MLS_GRAD_TAPE_INNER_H
#define MLS_GRAD_TAPE_INNER_H

#include "grad/tape.h"
#include "kern/kern.h"

struct mls_note {
    mls_note     *before;
    const mls_op *op;
    const void   *attr;
    const char   *path;        /* of the node that applied it                           */
    mls_t        *in, *out;
    int           n_in, n_out;
    size_t        expects;     /* bytes of scratch, for a rehearsal                       */
    unsigned      flags, can;  /* can: MLS_WRITES, ..., MLS_TAPE_*                      */
};

typedef struct tensor {
    mls_tensor     t;
    struct tensor *parent;     /* of a view along time, else NULL                       */
    int64_t        offset;     /* of a view, in its parent's data                       */
    int            tracks;     /* a gradient can reach it                               */
    int            owned;      /* its gradient buffer is the tape's, to be reused       */
    int            spikes;     /* marked: it holds spikes                               */
    const mls_later *later;     /* its map was put off                                  */
    const mls_int8 *int8;      /* of a weight: the same in 8 bits, or NULL              */
    /* reuse.c */
    int32_t        number;     /* in the order of making, from 1; 0: data not the tape's */
    int            kept;       /* how many notes' backward read its values, from now on   */
    int            asked;      /* and how many take them made again (MLS_TAPE_AGAIN)     */
    int            over;       /* and how many bear gradients in their place (MLS_OVER)   */
    uint16_t      *half;       /* its values in 16 bits, once its floats are gone        */
    const mls_note *maker;     /* or who makes them again                                */
} tensor;

static inline tensor *mls_tape_inner(mls_t x) { return (tensor *)(uintptr_t)x; }
/* The one whose data it is. */
static inline tensor *mls_tape_root(mls_t x)
{
    tensor *p = mls_tape_inner(x);
    return p->parent ? p->parent : p;
}

/* Memory of so many floats that is used again within a step (pool.c). */
float *mls_tape_take(mls_tape *t, int64_t count);
float *mls_tape_take_free(mls_tape *t, int64_t count);    /* NULL: there is none that large */
void   mls_tape_give(mls_tape *t, void *floats, int64_t count);
size_t mls_tape_bytes(int64_t count);                     /* that a give takes            */

/* What the free pieces are, for one who takes of t->spare what he likes and gives to it what
 * he likes: afterwards it is made of them again, as it was.  NULL: there are none.        */
struct mls_pieces;
struct mls_pieces *mls_tape_pieces(const mls_tape *t, mls_arena *a);
mls_spare mls_tape_whole_pieces(const struct mls_pieces *p);
/* An op that began at m has returned. */
void   mls_tape_drop_scratch(mls_tape *t, mls_mark m);

/* ---- reuse.c; each does nothing where t->reuse is NULL --------------------------------- */

void mls_reuse_made(mls_tape *t, tensor *x);
/* An op comes next; 0 and the context's error: it is not what was planned. */
int  mls_reuse_begins(mls_ctx *c, const mls_op *op, const mls_t *in, int n_in, const mls_t *out,
                      int n_out);
/* Before an op reads and writes these; 0 and the context's error: no memory. */
int  mls_reuse_need(mls_ctx *c, const mls_t *in, int n_in, const mls_t *out, int n_out);
/* After it: what it was the last to read goes, or into 16 bits.  noted: its backward will be
 * run; NULL: there will be none.                                                         */
void mls_reuse_applied(mls_ctx *c, const mls_note *noted, const mls_t *in, int n_in,
                       const mls_t *out, int n_out);
/* How many of the first outputs its backward does not read. */
static inline int mls_tape_unread(unsigned can, int n_out)
{
    if (can & MLS_TAPE_FORGETS_OUT) return n_out;
    return n_out > 0 && can & (MLS_FORGETS | MLS_REPEATS) ? 1 : 0;
}
/* 1: whoever reads x's values from now on bears its gradient in their place. */
int  mls_reuse_over(const mls_tape *t, const tensor *x);
/* After its backward: nothing that ran before it gave its outputs, and of what it read, that
 * goes which nobody reads any more.                                                      */
void mls_reuse_undone(mls_tape *t, const mls_note *n);

#endif
