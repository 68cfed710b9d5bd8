/* mls/plugin.h - all that a plugin may know about MLS.
 *
 * A plugin is one shared object exporting one constant, mls_plugin.  It includes
 * this file (and mls/kernel.h if it brings fast kernels) and libc, and links
 * against nothing: what the host can do for it arrives as a table of functions,
 * `mls->`, filled in before any callback runs.
 *
 * Three lifetimes, and never a free():
 *   program   descriptors                  static const data of the plugin
 *   network   self, weights, states        host-owned, made in setup()
 *   step      tensors made in forward()    host-owned, gone when the step ends
 *
 * Errors stick.  The first call that fails notes why in its context; later calls
 * on that context do nothing and return an empty tensor or 0.  No `if` after each
 * call: the host looks once, when the callback returns.
 *
 * Layout.  Sequences are time-major [T][B][N], row-major, contiguous.  T may be 1:
 * a streaming step is forward() with T == 1 and the states carried over.  In a dry
 * run all shapes are real and every `data` is NULL; only ops may read `data`.
 *
 * Tags: [setup] [forward] [op] where a call is allowed; [any] everywhere.
 */
#ifndef MLS_PLUGIN_H
#define MLS_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MLS_ABI_MAJOR 1 /* differs: the plugin is refused               */
#define MLS_ABI_MINOR 2 /* grows only at the end of structs; see `size` */

/* What may grow.  A later minor version only appends: enum values, and fields at the ends
 * of these structs.
 *   with a `size`   mls_plugin_info, mls_component, mls_task, mls_op, mls_host,
 *                   mls_array_file
 *   by a stride     mls_port, mls_option (port_size, option_size of mls_plugin_info)
 *   made by the host, seen by pointer   mls_tensor, mls_call, mls_task_shape, mls_sample,
 *                                       mls_spec, mls_part
 * Fields that a plugin's header did not know are 0 to the host; fields that the host does
 * not know are not looked at.  A plugin that wants what came with a later minor asks
 * MLS_HAS(mls, scan).  Frozen: mls_init, mls_attention and mls_array, which carry no size. */
#define MLS_HAS(p, field) \
    ((size_t)((const char *)(&(p)->field + 1) - (const char *)(p)) <= (p)->size)

typedef struct mls_ctx   mls_ctx;   /* what is being set up or computed   */
typedef struct mls_state mls_state; /* a named value carried across steps */

typedef struct mls_part {  /* a component inside of another, made by mls->part */
    int64_t in, out;       /* features of its first input and its first output */
} mls_part;

typedef struct mls_tensor {
    float  *data;   /* NULL in a dry run: never read it outside an mls_op   */
    float  *grad;   /* in backward: add to it; NULL when nobody wants it    */
    int64_t dim[4]; /* [T][B][N]: T, B, N, 1.  A matrix is 1, rows, cols, 1 */
    int64_t count;  /* dim[0] * dim[1] * dim[2] * dim[3]                    */
} mls_tensor;

typedef const mls_tensor *mls_t;

/* ---- Options: one row checks, defaults, documents and stores a setting ---- */

typedef enum { MLS_REAL, MLS_INT, MLS_BOOL, MLS_CHOICE, MLS_STRING,
               MLS_COMPONENT, MLS_COMPONENTS /* 1.2: one, a list of them */ } mls_type;

/* What an option of the last two types stores: a component with its options, checked, of
 * which setup() makes parts (mls->part).  Of a list, the first of a chain of at least one. */
typedef struct mls_spec {
    const struct mls_component *component;
    const struct mls_spec      *next;     /* NULL at the end of a list            */
    const void                 *self;     /* the host's: values of its options    */
} mls_spec;

typedef struct mls_option {
    const char *name;           /* key in Lua, YAML, --set and /config         */
    mls_type    type;           /* double, int64_t, int, int (index),
                                   const char * (network lifetime),
                                   const mls_spec * twice (likewise)           */
    size_t      offset;         /* where in self the value is stored           */
    double      def, min, max;  /* min == max: unbounded                       */
    const char *choices;        /* MLS_CHOICE: "soft|hard|none", default first;
                                   MLS_STRING: the default, or NULL;
                                   MLS_COMPONENT, MLS_COMPONENTS: "mixer.mlp", names
                                   with commas between: the default            */
    const char *unit, *help;    /* "ms" or NULL; one sentence, no full stop    */
} mls_option;

#define MLS_OPT(S, field, type, def, lo, hi, unit, help) \
    { #field, type, offsetof(S, field), def, lo, hi, NULL, unit, help }
#define MLS_OPT_CHOICE(S, field, list, help) \
    { #field, MLS_CHOICE, offsetof(S, field), 0, 0, 0, list, NULL, help }
#define MLS_OPT_STRING(S, field, def, help) \
    { #field, MLS_STRING, offsetof(S, field), 0, 0, 0, def, NULL, help }
#define MLS_OPT_COMPONENT(S, field, def, help) \
    { #field, MLS_COMPONENT, offsetof(S, field), 0, 0, 0, def, NULL, help }
#define MLS_OPT_COMPONENTS(S, field, def, help) \
    { #field, MLS_COMPONENTS, offsetof(S, field), 0, 0, 0, def, NULL, help }
#define MLS_OPT_END { NULL, MLS_REAL, 0, 0, 0, 0, NULL, NULL, NULL }

/* ---- Ports: named inputs and outputs; wiring is checked before any maths ---- */

enum { MLS_IN = 1, MLS_OUT = 2, MLS_MAYBE = 4 /* may be unconnected: NULL */,
       MLS_SPIKES = 8 /* values are 0 or 1: recorded as events */ };

/* shape is "T B word".  A word that is an MLS_INT option takes its value, and an
 * option value of 0 means "the width of the network".  Any other word is bound by
 * the first connected input port that uses it; two inputs that share a word must
 * agree.  A number stands for itself.  The first input and the first output are
 * the ones that `a -> b` means when no port is named. */
typedef struct mls_port {
    const char *name;
    unsigned    flags;
    const char *shape;
    const char *help;
} mls_port;

#define MLS_PORT_END { NULL, 0, NULL, NULL }

/* The names `mask` and `dt` are the host's: ports so called, shape "T B 1", are
 * connected to the batch's mask and step lengths without a wire, and are NULL when
 * the batch has none.  mask is 1 for a real step and 0 for padding: a masked step
 * must leave every state of that sample untouched. */

/* ---- Ops: differentiable kernels; the only code that touches numbers -------- */

enum { MLS_SMOOTH = 1, /* use the surrogate's primitive in place of the step, so
                          that gradients can be checked by differences         */
       MLS_TRAIN  = 2, /* a backward will follow: save what it needs           */
       MLS_EXACT  = 4  /* one gemm per time step: bits do not depend on T      */ };

typedef struct mls_call {
    const void  *attr;                /* what was given to apply()            */
    const mls_t *in;                  /* NULL where an optional input is      */
    const mls_t *out;
    int          n_in, n_out;
    unsigned     flags;
    mls_ctx     *ctx;                 /* for fail(), scratch() and parfor()   */
    uint64_t     fresh;               /* since 1.2; see MLS_WRITES            */
} mls_call;

typedef struct mls_op {
    uint32_t    size;                 /* sizeof(mls_op)                       */
    const char *name;                 /* "lif.scan"                           */
    void (*forward)(const mls_call *k);   /* writes all of out[i]->data       */
    void (*backward)(const mls_call *k);  /* adds to in[i]->grad; every
                                         out[i]->grad is set and is the op's
                                         to overwrite.  NULL: no gradient     */
    double (*flops)(const mls_call *k);   /* forward flops from the shapes
                                         alone; NULL: not counted             */
} mls_op;

/* ---- Weights ------------------------------------------------------------------ */

typedef enum {
    MLS_CONSTANT,   /* a                                                      */
    MLS_UNIFORM,    /* U(-a, a)                                               */
    MLS_NORMAL,     /* N(0, a)                                                */
    MLS_XAVIER,     /* U(+-a sqrt(6 / (rows + cols)))                         */
    MLS_FAN_IN,     /* U(+-a / sqrt(cols)): PyTorch's Linear for a = 1        */
    MLS_RANGE       /* U(a, b)                                                */
} mls_init_kind;

enum { MLS_NO_DECAY = 1, MLS_FROZEN = 2 };

typedef struct mls_init {
    mls_init_kind kind;
    double        a, b;
    unsigned      flags;              /* MLS_NO_DECAY, MLS_FROZEN             */
    /* NULL, or: rewrites the freshly drawn values of the [rows][cols] weight  */
    void (*adjust)(float *w, int64_t rows, int64_t cols, const void *self);
} mls_init;

static inline mls_init mls_init_of(mls_init_kind kind, double a, unsigned flags)
{
    mls_init i = { kind, a, 0.0, flags, NULL };
    return i;
}
#define MLS_ZEROS      mls_init_of(MLS_CONSTANT, 0.0, MLS_NO_DECAY)
#define MLS_ONES       mls_init_of(MLS_CONSTANT, 1.0, MLS_NO_DECAY)
#define MLS_LINEAR     mls_init_of(MLS_FAN_IN, 1.0, 0)

/* ---- Components: what users name in a network -------------------------------- */

enum { MLS_CAUSAL = 1, MLS_RANDOM = 2, MLS_STREAMS = 4 };  /* promises; tested */

typedef struct mls_component {
    uint32_t          size;           /* sizeof(mls_component)                */
    const char       *kind, *name;    /* "encoder", "lif"                     */
    unsigned          flags;
    const char       *help;           /* first line: summary; rest: Markdown  */
    const mls_port   *ports;          /* ends with a row whose name is NULL   */
    const mls_option *options;        /* likewise; NULL for none              */
    size_t            self_size;      /* zeroed by the host, then options set */
    void (*setup)(mls_ctx *c, void *self);
    /* in[i], out[i] in the order of the ports of that direction               */
    void (*forward)(mls_ctx *c, void *self, const mls_t *in, mls_t *out);
    const struct mls_task *task;      /* kind "task" only, else NULL          */
} mls_component;

/* ---- Tasks: where samples come from -------------------------------------------- */

enum { MLS_TRAINING, MLS_VALIDATION, MLS_TEST };
enum { MLS_CROSS_ENTROPY, MLS_MSE, MLS_MAE /* 1.1 */,
       MLS_BINARY /* 1.2: binary channels, from logits; nats per frame */ };

typedef struct mls_task_shape {
    int64_t steps;      /* longest sample                                      */
    int64_t vocabulary; /* tokens in 0..vocabulary-1; 0: real-valued input     */
    int64_t input;      /* features of a real-valued input; 0 with tokens      */
    int64_t output;     /* classes or target features                          */
    int     loss;       /* MLS_CROSS_ENTROPY, MLS_MSE, MLS_MAE or MLS_BINARY   */
    int     per_step;   /* 1: a target at every step; 0: one for the sequence  */
    int     has_mask;   /* samples may be shorter than steps                   */
    int     has_dt;     /* steps have their own lengths                        */
    int     is_text;    /* report nats, bits per character and perplexity      */
} mls_task_shape;

typedef struct mls_sample { /* one sample; arrays are the host's, preset as told */
    int64_t  steps;     /* set to shape.steps; lower it for a short sample     */
    int32_t *token;     /* [steps]            0    with a vocabulary           */
    float   *x;         /* [steps][input]     0    without                     */
    float   *dt;        /* [steps]            1                                */
    int32_t *label;     /* [steps] or [1]     -1 = not scored                  */
    float   *target;    /* [steps][output] or [1][output]   NaN = not scored   */
} mls_sample;

typedef struct mls_task {
    uint32_t size;
    /* After options are set: open data, state shape.  Memory from mls->alloc.  */
    void (*open)(mls_ctx *c, void *self, mls_task_shape *shape);
    int64_t (*count)(const void *self, int split);     /* samples of a split   */
    /* key: this draw's own random key (seed, split, epoch, index), for
     * mls->philox.  Must be a pure function of (index, key).                   */
    void (*fill)(mls_ctx *c, const void *self, int split, int64_t index,
                 uint64_t key, mls_sample *s);
    /* Text tasks: the bytes of a token, or NULL; and the token of a byte or -1 */
    const char *(*spell)(const void *self, int32_t token);
    int32_t (*token)(const void *self, const char *text, int *used);
} mls_task;

/* ---- The host ----------------------------------------------------------------- */

typedef enum { MLS_ADD, MLS_SUB, MLS_MUL, MLS_MAX, MLS_DIV /* 1.1 */ } mls_binary;
typedef enum { MLS_SIGMOID, MLS_TANH, MLS_SILU, MLS_GELU, MLS_RELU, MLS_SOFTPLUS,
               MLS_EXP, MLS_LECUN_TANH, MLS_NEGATE, MLS_SQUARE,
               MLS_LOG, MLS_SQRT, MLS_ABS /* 1.1 */ } mls_unary;
typedef enum { MLS_FAST_SIGMOID, MLS_ATAN, MLS_LOGISTIC } mls_surrogate;
typedef enum { MLS_POOL_LAST, MLS_POOL_MEAN, MLS_POOL_SUM } mls_pool;

enum { MLS_DEBUG, MLS_INFO, MLS_WARN };

typedef struct mls_attention {
    int64_t heads, width;  /* width = heads * (size of a head)                     */
    int64_t window;        /* steps that a query sees, itself included; >= 1       */
    int     rotary;        /* rotate q and k by position (RoPE, base 10,000)       */
    int     bidirectional; /* every step sees every step; no state, not causal     */
} mls_attention;

/* State width for attention(): window of K | V, newest last, then the count of real steps
 * n as n mod 2^24 and n / 2^24 (the fill is min(n, window)).  Resets to 0.              */
#define MLS_ATTENTION_WIDTH(a) ((a)->window * 2 * (a)->width + 2)

typedef struct mls_host {
    uint32_t size, abi_major, abi_minor;
    int      isa;      /* kernel family to use: see mls/kernel.h               */

    /* --- setup ---------------------------------------------------------------- */
    int64_t (*width)(mls_ctx *c, const char *port_or_word);        /* 0: unconnected */
    int     (*connected)(mls_ctx *c, const char *port);
    int64_t (*length)(mls_ctx *c);      /* longest sequence the network will see  */
    mls_t (*weight)(mls_ctx *c, const char *name, int64_t rows, int64_t cols,
                    mls_init init);
    mls_state *(*state)(mls_ctx *c, const char *name, int64_t width, double reset,
                        const char *unit, const char *help);
    void *(*alloc)(mls_ctx *c, size_t bytes);      /* zeroed; network lifetime */
    /* Whole file; its bytes end in an extra 0.  Fails the context if unreadable.  */
    const char *(*file)(mls_ctx *c, const char *path, size_t *size);
    /* Names in a directory, sorted; NULL if path is not one, without failing.     */
    const char *const *(*folder)(mls_ctx *c, const char *path, int *count);

    /* --- forward -------------------------------------------------------------- */
    mls_t (*load)(mls_ctx *c, mls_state *s);                  /* [1][B][width] */
    void  (*store)(mls_ctx *c, mls_state *s, mls_t value);
    mls_t (*tensor)(mls_ctx *c, int64_t t, int64_t b, int64_t n);
    void  (*apply)(mls_ctx *c, const mls_op *op, const void *attr,
                   const mls_t *in, int n_in, const mls_t *out, int n_out);
    /* Makes a value visible under `name` to the recorder.  unit may be NULL.      */
    void  (*tap)(mls_ctx *c, const char *name, mls_t value, const char *unit,
                 const char *help);
    int   (*wanted)(mls_ctx *c, const char *tap);  /* is anybody recording it?  */

    /* Differentiable, all over [T][B][N]; bias, gain may be NULL.                 */
    mls_t (*linear)(mls_ctx *c, mls_t x, mls_t w, mls_t bias);   /* w [out][in] */
    mls_t (*binary)(mls_ctx *c, mls_binary f, mls_t a, mls_t b); /* same shape, or
                                   b [1][1][N], [1][B][N] or [T][B][1]: broadcast */
    mls_t (*unary)(mls_ctx *c, mls_unary f, mls_t x);
    mls_t (*scale)(mls_ctx *c, mls_t x, double a, double b);            /* a x + b */
    mls_t (*concat)(mls_ctx *c, mls_t a, mls_t b);          /* along features   */
    mls_t (*slice)(mls_ctx *c, mls_t x, int64_t from, int64_t n);   /* features */
    mls_t (*steps)(mls_ctx *c, mls_t x, int64_t from, int64_t n);   /* time: a view */
    mls_t (*rms_norm)(mls_ctx *c, mls_t x, mls_t gain, double eps);
    mls_t (*layer_norm)(mls_ctx *c, mls_t x, mls_t gain, mls_t bias, double eps);
    mls_t (*softmax)(mls_ctx *c, mls_t x);                  /* over features    */
    mls_t (*dropout)(mls_ctx *c, mls_t x, double p);  /* identity unless training;
                                  drawn by a value's place, not by its sample: noise.h   */
    /* Causal depthwise convolution: x [T][B][E], w [E][K], bias [1][E]; past, of width
     * (K - 1) E, holds the last inputs, oldest first.  mask may be NULL.           */
    mls_t (*conv)(mls_ctx *c, mls_t x, mls_t w, mls_t bias, mls_state *past, mls_t mask);
    /* Multi-head attention over time, tiled, O(T) memory: q [T][B][H d], kv
     * [T][B][2 H d] = K of all heads | V of all heads, or (1.2) kv NULL and q [T][B][3 H d]
     * = Q | K | V.  Step t sees the last `window` real steps up to t.  past:
     * MLS_ATTENTION_WIDTH(a) wide, carries the window and its fill from chunk to chunk, and
     * in training is not stored where no chunk follows: do not load it after this, nor call
     * this twice with it in one forward.  NULL only when bidirectional.            */
    mls_t (*attention)(mls_ctx *c, mls_t q, mls_t kv, const mls_attention *a,
                       mls_state *past, mls_t mask);

    /* --- op ------------------------------------------------------------------- */
    /* C[m][n] = alpha op(A) op(B) + beta C, row-major; runs on the calling
     * thread; the bits of a row do not depend on who computes it.                  */
    void (*gemm)(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k,
                 float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
                 float beta, float *c, int64_t ldc);
    /* As gemm for many rows m, in fixed row panels spread over the threads; with
     * MLS_EXACT in k->flags, in panels of `rows` rows.  Where a (not turned) or b (of a
     * turned a) is a whole input of the call that holds spikes, and these are few, only
     * their rows of the other matrix are read.                                     */
    void (*gemm_rows)(const mls_call *k, int64_t rows, int trans_a, int trans_b,
                      int64_t m, int64_t n, int64_t kk, float alpha, const float *a,
                      int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                      int64_t ldc);
    /* Uninitialised, 64-byte aligned; gone when the op returns.                    */
    void *(*scratch)(const mls_call *k, size_t bytes);
    void (*parfor)(int64_t n, void (*body)(int64_t i, void *arg), void *arg);

    /* --- any ------------------------------------------------------------------ */
    uint64_t (*key)(mls_ctx *c, const char *purpose); /* a random stream of its own */
    void (*philox)(uint64_t key, uint64_t counter, uint32_t out[4]);
    void (*fail)(mls_ctx *c, const char *fmt, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 2, 3)))
#endif
        ;
    void (*log)(mls_ctx *c, int level, const char *fmt, ...)
#if defined(__GNUC__)
        __attribute__((format(printf, 3, 4)))
#endif
        ;
    const void *(*extension)(const char *id);  /* "mls.array-file/1"; NULL if none */

    /* --- since 1.1: forward, differentiable -------------------------------------- */
    /* h[t] = a[t] h[t-1] + b[t], element by element, [T][B][N].  h: of width N, carries
     * the last value from chunk to chunk; NULL: starts at 0 and is not carried.  A
     * masked step keeps h.  mask may be NULL.                                          */
    mls_t (*scan)(mls_ctx *c, mls_t a, mls_t b, mls_state *h, mls_t mask);
    mls_t (*join)(mls_ctx *c, const mls_t *part, int n);    /* along time: [sum T][B][N] */
    mls_t (*sum)(mls_ctx *c, mls_t x);                      /* over features: [T][B][1]  */
    /* Over time, real steps only: [1][B][N].  mask may be NULL.                         */
    mls_t (*pool)(mls_ctx *c, mls_t x, mls_pool f, mls_t mask);
    /* 1 where v > 0, else 0, with the surrogate's slope as its gradient (components'
     * formulas: plugins/encoder/lif.c); slope 0: the surrogate's usual one.             */
    mls_t (*spike)(mls_ctx *c, mls_t v, mls_surrogate f, double slope);
    /* Adds weight * mean(x over real entries) to the training loss; nothing outside
     * training.  An x of T (or T M) steps and B samples counts where the mask is 1, any
     * other x as a whole.  Calls of this node under one name share one mean, so that it
     * does not matter in how many pieces a sequence runs; they need one weight.  An x of T
     * steps can be recorded under `name`.  Reported losses stay the task's alone.      */
    void (*penalty)(mls_ctx *c, const char *name, mls_t x, double weight);

    /* --- since 1.2: forward ------------------------------------------------------ */
    /* apply() of an op whose backward can do more with gradients than add to zeros, or
     * with fewer values than all that forward has seen: an or of the flags below.      */
    void (*apply_as)(mls_ctx *c, unsigned can, const mls_op *op, const void *attr,
                     const mls_t *in, int n_in, const mls_t *out, int n_out);
    /* --- since 1.2: forward, op ---------------------------------------------------- */
    /* [B] random keys, one of each sample, for noise that follows a sample wherever it
     * stands: of the task's seed, split, epoch and the sample's number; where a batch has
     * none, of the network's seed, the place and, in training, the step.  A sequence in
     * chunks keeps the noise it began with when its key is a state: see encoder/noise.h. */
    const uint64_t *(*sample_keys)(mls_ctx *c);

    /* --- since 1.2: forward -------------------------------------------------------- */
    /* Changes a weight of this node between steps, beside its gradient: when the optimiser
     * has made its step, w = w + rate * change, cut to [low, high].  change is as large as
     * w; calls add up, micro-batches are averaged as gradients are.  Only in training, only
     * after a backward, and for MLS_FROZEN weights too.  adapting: would it be heard now?   */
    int   (*adapting)(mls_ctx *c);
    void  (*adapt)(mls_ctx *c, mls_t w, mls_t change, double rate, double low, double high);

    /* --- since 1.2: components inside of components ------------------------------- */
    /* [setup] Makes a part of this component, called `name`, of what an option of type
     * MLS_COMPONENT(S) stored: its first input is fed `in` features, its `mask` and `dt`
     * come from run, its other inputs stay open, its first output is what run gives.  To
     * its options "the width of the network" is `model`.  Its weights, states and channels
     * go by this node's path, a dot and `name`.  One spec can make many parts, each with
     * weights of its own.                                                              */
    mls_part *(*part)(mls_ctx *c, const mls_spec *spec, const char *name, int64_t in,
                      int64_t model);
    /* [forward] The part over x [T][B][in], from the states it has: [T][B][out].  A step
     * whose mask [T][B][1] is 0 leaves its states alone; what it gives there is finite and
     * means nothing.  mask NULL: every step is real; dt NULL: each of length 1.  A part
     * runs once over the steps of this forward, or over pieces of them, one after the
     * other.                                                                           */
    mls_t (*run)(mls_ctx *c, mls_part *part, mls_t x, mls_t mask, mls_t dt);
    /* [forward] Sets the part's states to what they are reset to.                      */
    void  (*restart)(mls_ctx *c, mls_part *part);
    /* [forward] Differentiable: the real steps of each sample in the opposite order; a
     * masked step stays where it is.  mask may be NULL.                                */
    mls_t (*reverse)(mls_ctx *c, mls_t x, mls_t mask);

    /* --- since 1.2: op ------------------------------------------------------------ */
    /* How many threads parfor has, for cutting work into pieces that are long in memory.
     * What is computed must not depend on it.                                          */
    int   (*threads)(void);

    /* --- since 1.2: forward ------------------------------------------------------- */
    /* The backward of the op that is applied next will ask for so many bytes of scratch in
     * all.  Where that grows with T the memory of a step is planned with it, and `mls
     * check` tells it; nothing breaks if it is less or more.                            */
    void  (*expect)(mls_ctx *c, size_t scratch);
} mls_host;

enum { MLS_WRITES = 1, /* where bit i of k->fresh is set, in[i]->grad holds nothing yet,
                          not even zeros: backward writes all of it               */
       MLS_OMITS  = 2, /* out[i]->grad is NULL where no gradient came             */
       MLS_FORGETS = 4, /* backward reads no out[0]->data                         */
       MLS_REPEATS = 8  /* nor that, and forward is so quick that it may run again, in
                           backward, to give out[0]->data to those who read it    */ };
/* Where a gradient may lie in memory that is there already, for i < 8.  MLS_OVER: in backward
 * in[i]->grad may be in[i]->data.
 *   - It reads no value there once it has written the gradient of it.
 *   - Several ops may say so of one tensor if they share it out: each reads, forward and
 *     backward, a part of its own, and writes the gradient of that part alone.
 *   - It is done where all who read the tensor in backward say so and the first of these to
 *     run MLS_WRITES.  That one leaves the others' parts as they are, and clears nothing:
 *     mls_clear_if_fresh would clear the values.                                           */
#define MLS_OVER(i)   (1u << (8 + (i)))
/* in[i]->grad may be out[0]->grad where the two are of one size: backward reads no value of
 * that once it has written it.  With MLS_WRITES.                                          */
#define MLS_PASSES(i) (1u << (24 + (i)))

/* Extension "mls.array-file/1": arrays from HDF5 and .npy files, whole, as float. */
typedef struct mls_array {
    const float *data; /* network lifetime                                      */
    int     rank;
    int64_t dim[4];
} mls_array;

typedef struct mls_array_file {
    uint32_t size;
    /* [setup] Reads `dataset` of `path` ("" for .npy).  Returns 1; 0 when the data
     * set is absent and `optional`; otherwise fails c and returns 0.               */
    int (*read)(mls_ctx *c, const char *path, const char *dataset, int optional,
                mls_array *out);
} mls_array_file;

/* ---- The one exported symbol ----------------------------------------------- */

typedef struct mls_plugin_info {
    uint32_t size, abi_major, abi_minor;
    uint16_t port_size, option_size;    /* strides, so that rows may grow too  */
    const char *name, *version, *licence;
    const mls_component *const *components;                 /* NULL-terminated */
    const mls_host **host;                  /* the loader stores the table here */
} mls_plugin_info;

#if defined(__GNUC__)
#define MLS_EXPORT __attribute__((visibility("default")))
#define MLS_HIDDEN __attribute__((visibility("hidden")))
#else
#define MLS_EXPORT
#define MLS_HIDDEN
#endif

extern MLS_HIDDEN const mls_host *mls;
extern MLS_EXPORT const mls_plugin_info mls_plugin;

#define MLS_PLUGIN(name, version, licence, ...) \
    const mls_host *mls; \
    static const mls_component *const mls_list_[] = { __VA_ARGS__, NULL }; \
    const mls_plugin_info mls_plugin = { sizeof(mls_plugin_info), \
        MLS_ABI_MAJOR, MLS_ABI_MINOR, sizeof(mls_port), sizeof(mls_option), \
        name, version, licence, mls_list_, &mls }

#define MLS_APPLY(c, op, attr, ins, outs) \
    mls->apply(c, op, attr, ins, (int)(sizeof(ins) / sizeof((ins)[0])), \
               outs, (int)(sizeof(outs) / sizeof((outs)[0])))

#ifdef __cplusplus
}
#endif
#endif
