/* probe.h - what a case is written with: a component under test, its settings, a network
 * of that one node to run it in, and words for what went wrong.
 *
 * A case is a function that returns (passed), or calls mls_probe_fail or _skip, which do
 * not return.  It runs in a process of its own; whatever it leaks dies with that.
 */
#ifndef MLS_VALIDATE_PROBE_H
#define MLS_VALIDATE_PROBE_H

#include "net/net.h"
#include "validate/validate.h"

#include <setjmp.h>

typedef struct mls_probe {
    const mls_registry  *registry;   /* with the probe's own parts added               */
    const mls_target    *target;
    const mls_component *c;
    uint64_t             seed;
    mls_arena            arena;
    jmp_buf              end;
    int                  warned;     /* mls_probe_warn was called                       */
    char                 reason[2000];
} mls_probe;

enum { MLS_CASE_PASSED, MLS_CASE_FAILED, MLS_CASE_SKIPPED, MLS_CASE_WARNED };

#define MLS_PRINTF(a, b) __attribute__((format(printf, a, b)))
_Noreturn void mls_probe_fail(mls_probe *p, const char *fmt, ...) MLS_PRINTF(2, 3);
_Noreturn void mls_probe_skip(mls_probe *p, const char *fmt, ...) MLS_PRINTF(2, 3);
void mls_probe_warn(mls_probe *p, const char *fmt, ...) MLS_PRINTF(2, 3);
/* A figure worth seeing with --verbose ("largest error 3e-5"): a comment line. */
void mls_probe_note(mls_probe *p, const char *fmt, ...) MLS_PRINTF(2, 3);

/* ---- Cases -------------------------------------------------------------------------- */

enum { MLS_ANY_KIND = 0, MLS_NETWORK_KINDS = 1 /* all but task */, MLS_TASKS_ONLY = 2,
       MLS_FILES_ONLY = 4 /* a .so: not for Lua */ };

typedef struct mls_case {
    const char *name;                /* "causal"                                        */
    const char *sentence;            /* "An output never depends on a later input"       */
    unsigned    applies;
    double      seconds;             /* its time limit                                   */
    void      (*run)(mls_probe *p);
} mls_case;

/* One table a file: static.c, start.c, time.c, batch.c, slopes.c, memory.c, tasks.c ...;
 * NULL name at the end.                                                                 */
extern const mls_case mls_cases_file[], mls_cases_start[], mls_cases_time[], mls_cases_batch[],
    mls_cases_options[], mls_cases_slopes[], mls_cases_states[], mls_cases_memory[],
    mls_cases_tasks[];

/* ---- Settings of a component ----------------------------------------------------------- */

/* Defaults with every port wired; optional ports left open; each switch turned; each other
 * choice; without those that the component refuses in words.  `set` is a map of options, or NULL for the defaults.                          */
typedef struct mls_variant {
    const char *title;               /* "liquid.cfc, mode pure"                         */
    mls_value  *set;
    const char *turned;              /* the option that differs from its default, or NULL */
    int         open;                /* 1: only the ports that must be                   */
    unsigned    promises;            /* the component's flags that hold here             */
} mls_variant;

int mls_probe_variants(mls_probe *p, const mls_variant **list);

/* ---- Rig: a network of that one node ------------------------------------------------------ */

/* Its network has no norm, no residual, an input projection set to the identity, and a head
 * that shows the output.  Every port gets features of its own of the input, so no two are
 * the same; ports of spikes get 0 and 1.  A head stands in the head's place.             */
typedef struct mls_rig {
    mls_probe        *p;
    const mls_variant *v;
    mls_task_shape    shape;
    mls_net          *net;
    mls_run          *run;
    mls_batch         batch;         /* x, dt where the component takes dt; no mask      */
    int64_t           T, B, in, out; /* steps, samples, features of x and of the output  */
    int64_t           out_steps;     /* T, or 1 for a head that pools                    */
    float            *x;             /* [T][B][in]    the rig's own: change at will      */
    float            *dt;            /* [T][B]        irregular                          */
    float            *mask;          /* [T][B]        sample b has T - 3 (b % 3) steps   */
    float            *weight;        /* [T][B][out]   of an objective sum(weight output) */
    uint64_t         *key;           /* [B]           of each sample's noise             */
    unsigned          flags;
} mls_rig;

typedef struct mls_rig_size { int64_t T, B, width; } mls_rig_size;    /* 0: 9, 3, 16     */

/* What cannot be built or run fails the case, with the reason. */
void mls_rig_open(mls_rig *r, mls_probe *p, const mls_variant *v, mls_rig_size size,
                  unsigned flags, uint64_t seed);
void mls_rig_close(mls_rig *r);
/* Output [out_steps][B][out] of a batch (NULL: the rig's own) from the states as they are;
 * valid until the next.                                                                 */
const float *mls_rig_forward(mls_rig *r, const mls_batch *b);
/* As forward, from reset states. */
const float *mls_rig_fresh(mls_rig *r, const mls_batch *b);
/* sum(weight output) of a fresh forward, in double. */
double mls_rig_objective(mls_rig *r);
/* Backward of that objective; gradients of weights are zeroed before. */
void mls_rig_backward(mls_rig *r);
/* Steps [from, from + n) of the rig's batch. */
mls_batch mls_rig_piece(const mls_rig *r, int64_t from, int64_t n);
/* All states one after the other, [state][B][width], in p's arena. */
float *mls_rig_states(mls_rig *r, int64_t *count);

/* Fail the case unless equal: to the bit, or within tol * max(1, |want|).  dims name the
 * place in the message: [t][b][n] of [?][B][N].                                         */
void mls_probe_same(mls_probe *p, const mls_variant *v, const char *what, const float *got,
                    const float *want, int64_t count, int64_t B, int64_t N);
/* Returns the largest error. */
double mls_probe_near(mls_probe *p, const mls_variant *v, const char *what, const float *got,
                      const float *want, int64_t count, int64_t B, int64_t N, double tol);
void mls_probe_finite(mls_probe *p, const mls_variant *v, const char *what, const float *got,
                      int64_t count, int64_t B, int64_t N);

/* U(-1, 1), a pure function of its arguments. */
float mls_probe_noise(uint64_t seed, uint64_t i);

#endif
