/* work.h - what a row does: opened once, then run again and again, a repeat at a
 * time. */
#ifndef MLS_BENCH_WORK_H
#define MLS_BENCH_WORK_H

#include "bench/clock.h"
#include "bench/cost.h"
#include "net/net.h"
#include "plug/plug.h"

typedef struct mls_bench_size {
    int64_t T, B, D; /* steps, samples, width */
    int mixed;       /* training steps: train.precision = mixed */
} mls_bench_size;

typedef struct mls_bench_once {
    mls_bench_time forward, backward;
} mls_bench_once;

typedef struct mls_bench_work {
    void *self;
    int64_t tokens;      /* steps times samples of a repeat; 0: no such */
    mls_tape *tape;      /* to watch; NULL: cost is all there is */
    mls_bench_cost cost; /* of a repeat, of works without a tape */
    const char *only;    /* NULL, or the node whose ops are measured */
    double saved;        /* bytes kept from forward to backward; 0: none */
    int parts;           /* 1: forward and backward are told apart */
    /* One repeat.  0 and e when it failed. */
    int (*once)(struct mls_bench_work *w, mls_bench_once *took, mls_error *e);
    void (*close)(struct mls_bench_work *w);
    /* A new HDF5 file of the weights, what goes in and what comes of it, gradients
     * included, as mls trace names them; NULL: nothing to compare with. */
    int (*write)(struct mls_bench_work *w, const char *path, mls_error *e);
} mls_bench_work;

struct mls_bench_row;
typedef int (*mls_open)(mls_bench_work *w, const struct mls_bench_row *row,
                        mls_bench_size size, mls_registry *r, mls_error *e);

typedef struct mls_bench_row {
    const char *name;  /* "cfc" */
    const char *group; /* "kernel", "component", "training" */
    const char *help;
    mls_open open;
    int peers;        /* 1: op too has peers */
    const char *spec; /* a component in YAML with $ for the width; a mode;
                         what open understands */
    const char *op;   /* the time of the op alone whose name has this */
    int64_t T, D;     /* its own sizes where they differ; 0: not */
    double tolerance; /* how far peers may be off; 0: 1e-4 */
    int fixed;        /* 1: T, B and D do not matter */
} mls_bench_row;

/* rows.c; ends with name NULL */
extern const mls_bench_row mls_bench_table[];
/* NULL and e, with the nearest name. */
const mls_bench_row *mls_bench_find(const char *name, mls_error *e);

/* How the rows are opened: component.c, model.c, kernel.c. */
int mls_bench_open_component(mls_bench_work *w, const mls_bench_row *row,
                             mls_bench_size s, mls_registry *r, mls_error *e);
int mls_bench_open_training(mls_bench_work *w, const mls_bench_row *row,
                            mls_bench_size s, mls_registry *r, mls_error *e);
int mls_bench_open_product(mls_bench_work *w, const mls_bench_row *row,
                           mls_bench_size s, mls_registry *r, mls_error *e);
int mls_bench_open_adamw(mls_bench_work *w, const mls_bench_row *row, mls_bench_size s,
                         mls_registry *r, mls_error *e);
int mls_bench_open_entropy(mls_bench_work *w, const mls_bench_row *row,
                           mls_bench_size s, mls_registry *r, mls_error *e);
int mls_bench_open_data(mls_bench_work *w, const mls_bench_row *row, mls_bench_size s,
                        mls_registry *r, mls_error *e);

/* n numbers from N(0, 1), from a. */
float *mls_bench_noise(mls_arena *a, int64_t n, uint64_t key);

#endif
