/* ltc_scan.h - the liquid time-constant cell over a sequence as one op: forward.
 *
 * Some samples run side by side, which shares the loads of parameters (ltc_field.h).
 * Such a group depends on the batch size alone, and a sample's numbers not on its group;
 * gradients of weights gather in each group and are added in order, so that no sum
 * depends on the number of threads.
 */
#ifndef LIQUID_LTC_SCAN_H
#define LIQUID_LTC_SCAN_H

#include <math.h>

#include "ltc_field.h"

enum { LTC_SEMI_IMPLICIT, LTC_EULER, LTC_RK4 };
enum { LTC_SOFTPLUS, LTC_CLIP };
enum { GLEAK, VLEAK, CM, SIGMA, MU, W, EREV, S_SIGMA, S_MU, S_W, S_EREV, LTC_WEIGHTS };
/* LTC_KEPT: [T][B][K][N | D][U], or NULL: what forward leaves for backward.  It stands
 * among the inputs because nothing flows back to it. */
enum {
    LTC_X,
    LTC_V,
    LTC_DT,
    LTC_TAU,
    LTC_MASK,
    LTC_KEPT,
    LTC_IN,
    LTC_INS = LTC_IN + LTC_WEIGHTS
};
enum { LTC_Y, LTC_LAST, LTC_TIME, LTC_LIMITED, LTC_OUTS }; /* the last two if wanted */
enum { LTC_GROUPS = 8 };

#define LTC_LEAST_CM 1e-6f
#define LTC_MOST_RATE 1e9f

typedef struct ltc_cell { /* what the op is told beside its inputs */
    int64_t unfolds;
    int solver, positivity;
    float epsilon;
    const float *adjacency, *sensory; /* 0: no synapse */
} ltc_cell;

typedef struct ltc_job {
    const mls_call *k;
    const ltc_cell *p;
    int64_t T, B, S, U, P, K, stages; /* P: U with padding, as in synapses           */
    int64_t rows, groups;             /* samples side by side; groups of them        */
    synapses inner, outer;
    float *w[2];       /* [U][U] and [S][U]: positive, 0 without a synapse           */
    float *G, *GV, *C; /* [P]: P(gleak), with vleak, P(cm)                           */
    float *kept;       /* LTC_KEPT or NULL                                           */
    float *work;       /* [groups][room]: see ltc_work                               */
    float *sums;       /* [groups][2][n_sums]: gradients, backward only              */
    int64_t room, n_sums;
} ltc_job;

/* Semi-implicit steps with few substeps keep their conductances: backward then has one
 * sigmoid a synapse to make, not two.  Others run again in backward. */
static int ltc_keeps(const ltc_cell *p)
{
    return p->solver == LTC_SEMI_IMPLICIT && p->unfolds <= 8;
}

MLS_INLINE void positive(int kind, int64_t n, const float *restrict x, float least,
                         float *restrict y)
{
    if (kind == LTC_SOFTPLUS)
        for (int64_t i = 0; i < n; i++) y[i] = mls_softplusf(x[i]);
    else
        for (int64_t i = 0; i < n; i++) y[i] = x[i];
    for (int64_t i = 0; i < n; i++) y[i] = y[i] > least ? y[i] : least;
}

static const float *ltc_weight(const mls_call *k, int i)
{
    return k->in[LTC_IN + i]->data;
}

/* Where value `part` of synapse i, j lies in an array of sources or of blocks first. */
MLS_INLINE int64_t ltc_place(const synapses *s, int64_t i, int64_t j, int part, int ahead)
{
    const int64_t block = j / LTC_LANES, of = s->P / LTC_LANES;
    return ((ahead ? block * s->n + i : i * of + block) * 4 + part) * LTC_LANES +
           j % LTC_LANES;
}

/* Parameters of the synapses in `first`.. into s; 0: out of memory. */
MLS_INLINE int prepare_synapses(ltc_job *q, int which, int first, const float *mask,
                                int back)
{
    synapses *s = which ? &q->outer : &q->inner;
    const int64_t U = q->U, n = which ? q->S : U, count = n * U;
    *s = (synapses){.n = n, .U = U, .P = q->P};
    const size_t all = (size_t)(n * q->P * 4) * sizeof(float);
    float *w = q->w[which] = mls->scratch(q->k, (size_t)count * sizeof(float));
    s->ahead = mls->scratch(q->k, all);
    s->back = back ? mls->scratch(q->k, all) : NULL;
    s->steep = mls->scratch(q->k, (size_t)(2 * n) * sizeof(float));
    if (!w || !s->ahead || (back && !s->back) || !s->steep) return 0;
    s->shift = s->steep + n;
    memset(s->ahead, 0, all);
    if (back) memset(s->back, 0, all);
    positive(q->p->positivity, count, ltc_weight(q->k, first + 2), 0.0f, w);
    for (int64_t i = 0; i < n; i++) {
        float steep = 0.0f, shift = 0.0f;
        for (int64_t j = 0; j < U; j++) {
            const int64_t at = i * U + j;
            const float sigma = ltc_weight(q->k, first)[at];
            const float E = ltc_weight(q->k, first + 3)[at];
            const float a = -MLS_LOG2E * sigma, b = -a * ltc_weight(q->k, first + 1)[at];
            w[at] = mask[at] != 0.0f ? w[at] : 0.0f;
            const float forward[] = {a, b, w[at], w[at] * E},
                        backward[] = {a, b, E, w[at] * sigma};
            for (int part = 0; part < 4; part++) {
                s->ahead[ltc_place(s, i, j, part, 1)] = forward[part];
                if (back) s->back[ltc_place(s, i, j, part, 0)] = backward[part];
            }
            /* as "not below", so that a NaN is not lost */
            if (!(fabsf(a) <= steep)) steep = fabsf(a);
            if (!(fabsf(b) <= shift)) shift = fabsf(b);
        }
        s->steep[i] = steep;
        s->shift[i] = shift;
    }
    return 1;
}

/* What a group works on, in parts of its room; [rows][P] but for the last four. */
enum {
    LTC_W_V,
    LTC_W_OLD,
    LTC_W_R,
    LTC_W_N0,
    LTC_W_D0,
    LTC_W_SUM,
    LTC_W_NEXT,
    LTC_W_DV,
    LTC_W_DR,
    LTC_W_DN0,
    LTC_W_DD0,
    LTC_W_DN,
    LTC_W_DD,
    LTC_W_DU,
    LTC_W_ROWS
};
typedef struct ltc_work {
    float *v, *old, *r, *N0, *D0, *sum, *next;
    float *dv, *dr, *dN0, *dD0, *dN, *dD, *du;
    float *trail;   /* [K][stages][v | N | D][rows][P]                              */
    float *y;       /* [P][4]                                                       */
    float *x, *dx;  /* [rows][S]: input without what is masked; a gradient unwanted  */
    int64_t first, n; /* samples in hand: first.. and how many                      */
} ltc_work;

MLS_INLINE int prepare(const mls_call *k, ltc_job *q, int back)
{
    const ltc_cell *p = k->attr;
    const mls_tensor *x = k->in[LTC_X];
    *q = (ltc_job){.k = k, .p = p, .T = x->dim[0], .B = x->dim[1], .S = x->dim[2]};
    const int64_t U = q->U = k->in[LTC_V]->dim[2];
    const int64_t P = q->P = (U + LTC_LANES - 1) / LTC_LANES * LTC_LANES;
    q->K = p->unfolds;
    q->stages = p->solver == LTC_RK4 ? 4 : 1;
    q->rows = q->B >= 2 * LTC_MOST_ROWS ? LTC_MOST_ROWS : q->B >= LTC_MOST_ROWS ? 2 : 1;
    const int64_t parts = (q->B + q->rows - 1) / q->rows;
    q->groups = parts < LTC_GROUPS ? parts : LTC_GROUPS;
    q->kept = k->in[LTC_KEPT] ? k->in[LTC_KEPT]->data : NULL;
    const int64_t steps = back ? q->K : 1;
    q->room = q->rows * (P * (LTC_W_ROWS + 3 * q->stages * steps) + 2 * q->S) + 4 * P;
    q->room = (q->room + 15) / 16 * 16;
    q->n_sums = 3 * P + 4 * P * (U + q->S);
    q->G = mls->scratch(k, (size_t)(3 * P) * sizeof(float));
    q->work = mls->scratch(k, (size_t)(q->groups * q->room) * sizeof(float));
    if (!q->G || !q->work) return 0;
    memset(q->work, 0, (size_t)(q->groups * q->room) * sizeof(float));
    memset(q->G, 0, (size_t)(3 * P) * sizeof(float));
    q->GV = q->G + P;
    q->C = q->GV + P;
    positive(p->positivity, U, ltc_weight(k, GLEAK), 0.0f, q->G);
    positive(p->positivity, U, ltc_weight(k, CM), LTC_LEAST_CM, q->C);
    for (int64_t j = 0; j < U; j++) q->GV[j] = q->G[j] * ltc_weight(k, VLEAK)[j];
    return prepare_synapses(q, 0, SIGMA, p->adjacency, back) &&
           prepare_synapses(q, 1, S_SIGMA, p->sensory, back);
}

MLS_INLINE ltc_work work_of(const ltc_job *q, int64_t group, int64_t steps)
{
    const int64_t RP = q->rows * q->P;
    float *at = q->work + group * q->room;
    ltc_work w = {.v = at + LTC_W_V * RP,
                  .old = at + LTC_W_OLD * RP,
                  .r = at + LTC_W_R * RP,
                  .N0 = at + LTC_W_N0 * RP,
                  .D0 = at + LTC_W_D0 * RP,
                  .sum = at + LTC_W_SUM * RP,
                  .next = at + LTC_W_NEXT * RP,
                  .dv = at + LTC_W_DV * RP,
                  .dr = at + LTC_W_DR * RP,
                  .dN0 = at + LTC_W_DN0 * RP,
                  .dD0 = at + LTC_W_DD0 * RP,
                  .dN = at + LTC_W_DN * RP,
                  .dD = at + LTC_W_DD * RP,
                  .du = at + LTC_W_DU * RP,
                  .trail = at + LTC_W_ROWS * RP};
    w.y = w.trail + 3 * RP * q->stages * steps;
    w.x = w.y + 4 * q->P;
    w.dx = w.x + q->rows * q->S;
    return w;
}

/* Takes the next samples of a group in hand; 0: no more. */
MLS_INLINE int take(const ltc_job *q, ltc_work *w, int64_t group, int64_t turn)
{
    w->first = (turn * q->groups + group) * q->rows;
    w->n = q->B - w->first < q->rows ? q->B - w->first : q->rows;
    return w->n > 0;
}

/* Rows of the samples in hand between a tensor [B][U] and [rows][P]. */
MLS_INLINE void gather_rows(const ltc_job *q, const ltc_work *w, const float *from,
                            float *to)
{
    for (int64_t r = 0; r < w->n; r++)
        memcpy(to + r * q->P, from + (w->first + r) * q->U, (size_t)q->U * sizeof(float));
}
MLS_INLINE void spread_rows(const ltc_job *q, const ltc_work *w, const float *from,
                            float *to)
{
    for (int64_t r = 0; r < w->n; r++)
        memcpy(to + (w->first + r) * q->U, from + r * q->P, (size_t)q->U * sizeof(float));
}

/* The guard of explicit solvers: the largest r D of an evaluation.  Euler does not pass
 * the momentary equilibrium N / D, Runge-Kutta stays well within its region of
 * stability (2.78); neither leaves the range of the reversal potentials by more than a
 * few widths. */
MLS_INLINE float ltc_limit(int solver) { return solver == LTC_EULER ? 1.0f : 2.0f; }

/* r_j = step of the integration over capacity; 0 in the padding. */
MLS_INLINE void rates(const ltc_job *q, const ltc_work *w, int64_t t)
{
    for (int64_t s = 0; s < w->n; s++) {
        const int64_t row = t * q->B + w->first + s;
        const float *tau =
            q->k->in[LTC_TAU] ? q->k->in[LTC_TAU]->data + row * q->U : NULL;
        const float dt = q->k->in[LTC_DT] ? q->k->in[LTC_DT]->data[row] : 1.0f;
        const float h = dt / (float)q->K;
        float *restrict r = w->r + s * q->P;
        for (int64_t j = 0; j < q->U; j++) {
            r[j] = h / (q->C[j] * (tau ? tau[j] : 1.0f));
            r[j] = r[j] < LTC_MOST_RATE ? r[j] : LTC_MOST_RATE;
        }
    }
}

/* The change of one evaluation: r (N - D v), r bounded by limit / D. */
MLS_INLINE float change(float r, float limit, float N, float D, float v)
{
    return r * D > limit ? limit * (N / D - v) : r * (N - D * v);
}

/* What does not change within a step: r, and what flows without the other neurons.
 * x: [n][S]. */
MLS_INLINE void begin_step(const ltc_job *q, const ltc_work *w, int64_t t, const float *x)
{
    const int64_t P = q->P;
    const float e = q->p->solver == LTC_SEMI_IMPLICIT ? q->p->epsilon : 0.0f;
    rates(q, w, t);
    for (int64_t s = 0; s < w->n; s++) {
        memcpy(w->N0 + s * P, q->GV, (size_t)P * sizeof(float));
        for (int64_t j = 0; j < P; j++) w->D0[s * P + j] = q->G[j] + e;
    }
    conduct(&q->outer, w->n, x, q->S, w->N0, w->D0);
}

/* Conductances at `at`, which is kept in the trail with them. */
MLS_INLINE void evaluate(const ltc_job *q, const ltc_work *w, const float *at,
                         float *trail)
{
    const int64_t RP = q->rows * q->P;
    const size_t bytes = (size_t)(w->n * q->P) * sizeof(float);
    memmove(trail, at, bytes);
    memcpy(trail + RP, w->N0, bytes);
    memcpy(trail + 2 * RP, w->D0, bytes);
    conduct(&q->inner, w->n, trail, q->P, trail + RP, trail + 2 * RP);
}

MLS_INLINE void implicit(int64_t n, const float *restrict r, const float *restrict N,
                         const float *restrict D, float *restrict v)
{
    for (int64_t j = 0; j < n; j++) v[j] = (v[j] + r[j] * N[j]) / (1.0f + r[j] * D[j]);
}

/* One substep of w->v; its evaluations stay in trail. */
MLS_INLINE void substep(const ltc_job *q, const ltc_work *w, float *trail)
{
    const int64_t RP = q->rows * q->P, n = w->n * q->P;
    float *restrict v = w->v;
    const float *restrict r = w->r;
    const float limit = ltc_limit(q->p->solver);
    evaluate(q, w, v, trail);
    const float *restrict N = trail + RP, *restrict D = trail + 2 * RP;
    if (q->p->solver == LTC_SEMI_IMPLICIT) {
        implicit(n, r, N, D, v);
        return;
    }
    if (q->p->solver == LTC_EULER) {
        for (int64_t j = 0; j < n; j++) v[j] += change(r[j], limit, N[j], D[j], v[j]);
        return;
    }
    static const float reach[] = {0.5f, 0.5f, 1.0f, 0.0f}, share[] = {1, 2, 2, 1};
    float *restrict sum = w->sum, *restrict u = w->next;
    memcpy(sum, v, (size_t)n * sizeof(float));
    for (int s = 0; s < 4; s++) {
        const float *restrict at = trail + s * 3 * RP;
        const float c = reach[s], part = share[s] / 6.0f;
        for (int64_t j = 0; j < n; j++) {
            const float f = change(r[j], limit, at[RP + j], at[2 * RP + j], at[j]);
            sum[j] += part * f;
            u[j] = v[j] + c * f;
        }
        if (s < 3) evaluate(q, w, u, trail + (s + 1) * 3 * RP);
    }
    memcpy(v, sum, (size_t)n * sizeof(float));
}

MLS_INLINE int ltc_masked(const ltc_job *q, int64_t row)
{
    return q->k->in[LTC_MASK] && q->k->in[LTC_MASK]->data[row] == 0.0f;
}

/* How many of the samples in hand rest at step t. */
MLS_INLINE int64_t ltc_resting(const ltc_job *q, const ltc_work *w, int64_t t)
{
    int64_t n = 0;
    for (int64_t s = 0; s < w->n; s++) n += ltc_masked(q, t * q->B + w->first + s);
    return n;
}

/* Conductances of substep i between the trail's rows and what backward finds. */
MLS_INLINE void keep(const ltc_job *q, const ltc_work *w, int64_t t, int64_t i,
                     float *trail, int read)
{
    const int64_t U = q->U, P = q->P, RP = q->rows * P;
    const size_t bytes = (size_t)U * sizeof(float);
    for (int64_t s = 0; s < w->n; s++) {
        const int64_t row = t * q->B + w->first + s;
        float *to = q->kept + (row * q->K + i) * 2 * U;
        for (int part = 0; part < 2; part++, to += U) {
            float *here = trail + (part + 1) * RP + s * P;
            if (!read)
                memcpy(to, here, bytes);
            else if (ltc_masked(q, row)) /* a padding's numbers may be anything */
                memset(here, 0, bytes);
            else
                memcpy(here, to, bytes);
        }
    }
}

/* What an analyst wants to see of a step: of the samples that rest or of the others. */
MLS_INLINE void show(const ltc_job *q, const ltc_work *w, int64_t t, int resting)
{
    const mls_call *k = q->k;
    const float limit = ltc_limit(q->p->solver);
    const int guarded = q->p->solver != LTC_SEMI_IMPLICIT;
    for (int64_t s = 0; s < w->n; s++) {
        const int64_t row = t * q->B + w->first + s;
        const float *tau = k->in[LTC_TAU] ? k->in[LTC_TAU]->data + row * q->U : NULL;
        const float *conductance = w->trail + (2 * q->rows + s) * q->P;
        if (ltc_masked(q, row) != resting) continue;
        for (int64_t j = 0; j < q->U; j++) {
            const float c = q->C[j] * (tau ? tau[j] : 1.0f), D = conductance[j];
            k->out[LTC_TIME]->data[row * q->U + j] = c / (D > 1e-12f ? D : 1e-12f);
            k->out[LTC_LIMITED]->data[row * q->U + j] =
                guarded && w->r[s * q->P + j] * D > limit ? 1.0f : 0.0f;
        }
    }
}

MLS_INLINE void step_ahead(const ltc_job *q, const ltc_work *w, int64_t t)
{
    const int64_t resting = ltc_resting(q, w, t), P = q->P;
    const int shown = q->k->n_out > LTC_TIME;
    if (resting == w->n && !shown) return;
    const float *x = q->k->in[LTC_X]->data + (t * q->B + w->first) * q->S;
    begin_step(q, w, t, x);
    memcpy(w->old, w->v, (size_t)(w->n * P) * sizeof(float));
    for (int64_t i = 0; i < q->K; i++) {
        substep(q, w, w->trail);
        if (q->kept) keep(q, w, t, i, w->trail, 0);
    }
    if (shown) show(q, w, t, 0);
    if (!resting) return;
    for (int64_t s = 0; s < w->n; s++)
        if (ltc_masked(q, t * q->B + w->first + s))
            memcpy(w->v + s * P, w->old + s * P, (size_t)P * sizeof(float));
    if (!shown) return;
    evaluate(q, w, w->v, w->trail);
    show(q, w, t, 1);
}

MLS_INLINE void forward_group(int64_t group, void *arg)
{
    const ltc_job *q = arg;
    ltc_work w = work_of(q, group, 1);
    for (int64_t turn = 0; take(q, &w, group, turn); turn++) {
        gather_rows(q, &w, q->k->in[LTC_V]->data, w.v);
        for (int64_t t = 0; t < q->T; t++) {
            step_ahead(q, &w, t);
            spread_rows(q, &w, w.v, q->k->out[LTC_Y]->data + t * q->B * q->U);
        }
        spread_rows(q, &w, w.v, q->k->out[LTC_LAST]->data);
    }
}
MLS_KERNEL_BODY(ltc_forward_group, forward_group)

MLS_INLINE void forward_body(const mls_call *k)
{
    ltc_job q;
    if (prepare(k, &q, 0)) mls->parfor(q.groups, ltc_forward_group, &q);
}
MLS_KERNEL(ltc_forward, forward_body)

#endif
