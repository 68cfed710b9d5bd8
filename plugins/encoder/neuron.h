/* neuron.h - what a kind of spiking neuron is made of: options, ports, states,
 * parameters. neuron_scan.h runs it.
 *
 * States are rows of N: 0 the membrane before its reset, 1 the spike of the step before
 * (which resets), then what the neuron adds.  Parameters are rows of N, too: constants,
 * or tensors of one value or of N.
 *
 * recurrent: one_to_one adds v[n] s[t-1][n] to the input of unit n; all_to_all adds
 * V s[t-1] + c.  Only units that spiked are visited.
 */
#ifndef MLS_PLUGINS_NEURON_H
#define MLS_PLUGINS_NEURON_H

#include "plastic.h"
#include "regular.h"

enum { STATES = 4, PARAMS = 4 }; /* at most */
enum { MEMBRANE, SPIKE };
enum { ALONE, ONE_TO_ONE, ALL_TO_ALL };
enum { FIXED, SCALAR, PER_UNIT };
#define LEARNS "none|scalar|unit"

/* Every neuron's self begins with this; the host sets what options say. */
typedef struct neuron {
    int64_t units, steps;
    double slope, feedback;
    regular regular;
    plastic plastic;
    int project, surrogate, readout, detach_reset, fire_on_equal, recurrent, reset;
    int states, params;     /* how many, set in setup                              */
    float constant[PARAMS]; /* where there is no tensor                            */
    mls_t w, b, v, c;
    mls_state *state[STATES];
} neuron;

#define NEURON_OPTION(S, name, type, def, lo, hi, unit, help)                          \
    {                                                                                  \
#name, type, offsetof(S, base.name), def, lo, hi, NULL, unit, help             \
    }
#define NEURON_CHOICE(S, name, list, help)                                             \
    {                                                                                  \
#name, MLS_CHOICE, offsetof(S, base.name), 0, 0, 0, list, NULL, help           \
    }
#define NEURON_INPUT(S)                                                                \
    NEURON_OPTION(S, units, MLS_INT, 0, 0, 65536, NULL,                                \
                  "neurons; 0: the network's width"),                                  \
        NEURON_OPTION(S, project, MLS_BOOL, 1, 0, 0, NULL,                             \
                      "feed W x + b; false: x is the current")
#define NEURON_SURROGATE(S)                                                            \
    NEURON_OPTION(S, detach_reset, MLS_BOOL, 1, 0, 0, NULL,                            \
                  "no gradient through the reset"),                                    \
        NEURON_CHOICE(S, surrogate, NEURON_SURROGATES, "derivative of the spike"),     \
        NEURON_OPTION(S, slope, MLS_REAL, 0, 0, 1000, NULL, SLOPE_HELP)
#ifndef NEURON_SURROGATES
#define NEURON_SURROGATES SURROGATES
#endif
#define NEURON_EQUAL(S)                                                                \
    NEURON_OPTION(S, fire_on_equal, MLS_BOOL, 0, 0, 0, NULL,                           \
                  "spike at u = threshold too")
#define NEURON_STEPS(S)                                                                \
    NEURON_OPTION(S, steps, MLS_INT, 1, 1, 1024, NULL,                                 \
                  "inner steps per token, all with the token's current"),              \
        NEURON_CHOICE(S, readout, READOUTS, "output of a token over its inner steps")
#define RECURRENT_HELP                                                                 \
    "what spikes of the step before add to the current: nothing, each to its own "     \
    "unit, "                                                                           \
    "or each to every unit"
#define NEURON_FEEDBACK(S)                                                             \
    NEURON_OPTION(S, feedback, MLS_REAL, 1.0, -100, 100, NULL,                         \
                  "weight that one_to_one starts with")

#define NEURON_RATES(S) REGULAR_RATES(S, base.regular)
#define NEURON_VOLTAGE(S) REGULAR_VOLTAGE(S, base.regular)
#define NEURON_PLASTIC(S) PLASTIC_OPTIONS(S, base.plastic)

#define NEURON_PORTS                                                                   \
    {"in", MLS_IN, "T B in", "input; the current itself when project is false"},       \
        {"mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps"},                           \
        {"spikes", MLS_OUT | MLS_SPIKES, "T B units",                                  \
         "0 or 1; with steps > 1 what readout says; 0 at a masked step"},              \
        {"membrane", MLS_OUT, "T B units",                                             \
         "membrane of the step (its last inner step) before its reset; held at a "     \
         "masked "                                                                     \
         "step"},                                                                      \
        MLS_PORT_END

typedef struct plan {
    const mls_call *k;
    const neuron *p;
    int64_t T, B, N, M, S, R; /* R: floats of a sample in a row of the tape         */
    const float *mask;
    float *tape;   /* [T M][B][S N], and N of input when recurrent       */
    float *param;  /* [P][N]                                             */
    float *row;    /* [B][2 S + 2][N]                                    */
    float *dparam; /* [B][P][N]                                          */
    float *v;      /* all_to_all: [from][to]                             */
    float *drec;   /* [T M][B][N], or NULL                               */
    float slope, live;
} plan;

/* in: x, mask, STATES states, PARAMS parameters, V, c
 * out: spikes, membrane, tape, STATES last states                                  */
enum {
    IN_STATE = 2,
    IN_PARAM = IN_STATE + STATES,
    IN_V = IN_PARAM + PARAMS,
    IN_C,
    INS
};
enum { OUT_LAST = 3, OUTS = OUT_LAST + STATES };

static int make_plan(plan *g, const mls_call *k)
{
    const neuron *p = k->attr;
    mls_t x = k->in[0];
    const int64_t N = x->dim[2], S = p->states;
    *g = (plan){.k = k,
                .p = p,
                .T = x->dim[0],
                .B = x->dim[1],
                .N = N,
                .M = p->steps,
                .S = S,
                .R = N * (S + (p->recurrent != ALONE)),
                .mask = k->in[1] ? k->in[1]->data : NULL,
                .tape = k->out[2]->data,
                .slope = usual_slope(p->surrogate, p->slope),
                .live = p->detach_reset ? 0.0f : 1.0f};
    g->param = mls->scratch(k, (size_t)(p->params * N) * sizeof(float));
    g->row = mls->scratch(k, (size_t)(g->B * (2 * S + 2) * N) * sizeof(float));
    if (!g->param || !g->row) return 0;
    for (int i = 0; i < p->params; i++) {
        mls_t w = k->in[IN_PARAM + i];
        for (int64_t n = 0; n < N; n++)
            g->param[i * N + n] = w ? w->data[w->count > 1 ? n : 0] : p->constant[i];
    }
    if (p->recurrent != ALL_TO_ALL) return 1;
    g->v = mls->scratch(k, (size_t)(N * N) * sizeof(float));
    if (!g->v) return 0;
    const float *v = k->in[IN_V]->data;
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++) g->v[j * N + i] = v[i * N + j];
    return 1;
}

/* The rows of step j (inner steps count) of sample b; j < 0: the initial states. */
MLS_INLINE void rows_of(const plan *g, int64_t j, int64_t b, float **row)
{
    for (int64_t i = 0; i < g->S; i++)
        row[i] = j < 0 ? g->k->in[IN_STATE + i]->data + b * g->N
                       : g->tape + (j * g->B + b) * g->R + i * g->N;
}

MLS_INLINE int is_real(const plan *g, int64_t t, int64_t b)
{
    return !g->mask || g->mask[t * g->B + b] != 0.0f;
}

/* What the units get: x itself, or the tape's row of x and what spikes add. */
MLS_INLINE const float *input_row(const plan *g, int64_t j, int64_t b, const float *x,
                                  const float *spike)
{
    const int64_t N = g->N;
    if (g->p->recurrent == ALONE) return x;
    float *restrict y = g->tape + (j * g->B + b) * g->R + g->S * N;
    const float *v = g->k->in[IN_V]->data;
    if (g->p->recurrent == ONE_TO_ONE) {
        for (int64_t n = 0; n < N; n++) y[n] = x[n] + v[n] * spike[n];
        return y;
    }
    const float *c = g->k->in[IN_C]->data;
    for (int64_t n = 0; n < N; n++) y[n] = x[n] + c[n];
    for (int64_t i = 0; i < N; i++) {
        const float s = spike[i], *restrict from = g->v + i * N;
        if (s == 0.0f) continue;
        for (int64_t n = 0; n < N; n++) y[n] += s * from[n];
    }
    return y;
}

MLS_INLINE void fire(const plan *g, const float *restrict drive, float *restrict s)
{
    const int64_t N = g->N;
    if (g->k->flags & MLS_SMOOTH)
        for (int64_t n = 0; n < N; n++)
            s[n] = smooth_step(g->p->surrogate, g->slope, drive[n]);
    else if (g->p->fire_on_equal)
        for (int64_t n = 0; n < N; n++) s[n] = (float)(drive[n] >= 0.0f);
    else
        for (int64_t n = 0; n < N; n++) s[n] = (float)(drive[n] > 0.0f);
}

/* The weight of inner step i in the token's output. */
MLS_INLINE float share_of(const plan *g, int64_t i)
{
    return g->p->readout == MEAN                   ? 1.0f / (float)g->M
           : g->p->readout == SUM || i == g->M - 1 ? 1.0f
                                                   : 0.0f;
}

/* The parts of a tape's row: what a tap shows of a state. */
static void pick_forward(const mls_call *k)
{
    mls_t tape = k->in[0], y = k->out[0];
    const int64_t T = y->dim[0], B = y->dim[1], N = y->dim[2], M = tape->dim[0] / T;
    const int64_t R = tape->dim[2], at = *(const int64_t *)k->attr * N;
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++)
            memcpy(y->data + (t * B + b) * N,
                   tape->data + ((t * M + M - 1) * B + b) * R + at,
                   (size_t)N * sizeof(float));
}

static const mls_op pick = {sizeof pick, "neuron.state", pick_forward, NULL, NULL};

/* A tap of state i over the steps of y, scaled: a x + b. */
static inline mls_t state_over_time(mls_ctx *c, mls_t tape, mls_t y, int i)
{
    static const int64_t number[STATES] = {0, 1, 2, 3};
    mls_t x = mls->tensor(c, y->dim[0], y->dim[1], y->dim[2]);
    MLS_APPLY(c, &pick, &number[i], ((mls_t[]){tape}), ((mls_t[]){x}));
    return x;
}

/* ---- setup ---------------------------------------------------------------------- */

/* Of an inner step in a value of spikes. */
static inline double neuron_share(const neuron *p)
{
    return p->readout == SUM ? 1.0 / (double)p->steps : 1.0;
}

static inline void neuron_project(mls_ctx *c, neuron *p)
{
    const int64_t in = mls->width(c, "in"), n = mls->width(c, "spikes");
    p->units = n;
    regular_check(c, &p->regular);
    plastic_setup(c, &p->plastic, p->project, in, n, neuron_share(p));
    if (p->project) {
        p->w = plastic_weight(c, &p->plastic, n, in);
        p->b = mls->weight(
            c, "bias", 1, n,
            mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    } else if (in != n) {
        mls->fail(c,
                  "project = false takes the input as current, so units must equal its "
                  "width: units = %lld, input \"in\" is %lld wide",
                  (long long)n, (long long)in);
    }
}

static inline void neuron_recur(mls_ctx *c, neuron *p)
{
    const int64_t n = p->units;
    if (p->recurrent == ONE_TO_ONE)
        p->v = mls->weight(c, "recurrent", 1, n,
                           mls_init_of(MLS_CONSTANT, p->feedback, 0));
    if (p->recurrent != ALL_TO_ALL) return;
    p->v = mls->weight(c, "recurrent", n, n, MLS_LINEAR);
    p->c = mls->weight(
        c, "recurrent_bias", 1, n,
        mls_init_of(MLS_UNIFORM, n ? 1.0 / sqrt((double)n) : 0.0, MLS_NO_DECAY));
}

static inline void neuron_carry(mls_ctx *c, neuron *p, double start)
{
    p->state[MEMBRANE] = mls->state(c, "v", p->units, start, NULL,
                                    "membrane potential carried to the next step");
    p->state[SPIKE] =
        mls->state(c, "s", p->units, 0.0, NULL, "spikes of the step before");
    p->states = 2;
}

static inline mls_t learnt(mls_ctx *c, const char *name, int learn, int64_t n, double x)
{
    if (learn == FIXED) return NULL;
    return mls->weight(c, name, 1, learn == SCALAR ? 1 : n,
                       mls_init_of(MLS_CONSTANT, x, MLS_NO_DECAY));
}

/* A decay in (0, 1) that learns through a sigmoid: the weight is ln(d / (1 - d)). */
static inline mls_t learnt_decay(mls_ctx *c, const char *name, int learn, int64_t n,
                                 double d)
{
    if (learn == FIXED) return NULL;
    if (d > 0.0 && d < 1.0) return learnt(c, name, learn, n, log(d / (1.0 - d)));
    mls->fail(c,
              "learn_%s keeps %s between 0 and 1 by a sigmoid, which cannot start at "
              "%s = %g; expected 0 < %s < 1",
              name, name, name, d, name);
    return NULL;
}

static inline mls_t decay_of(mls_ctx *c, mls_t w)
{
    return w ? mls->unary(c, MLS_SIGMOID, w) : NULL;
}

#endif
