/* ltc_scan.h - the liquid time-constant cell over a sequence as one op.
 *
 * Each sample is integrated on its own.  Backward runs the substeps of a step again
 * rather than keep them, and gathers gradients of weights in a fixed number of groups,
 * so that sums do not depend on the number of threads.
 */
#ifndef LIQUID_LTC_SCAN_H
#define LIQUID_LTC_SCAN_H

#include "ltc_field.h"

enum { LTC_SEMI_IMPLICIT, LTC_EULER, LTC_RK4 };
enum { LTC_SOFTPLUS, LTC_CLIP };
enum { GLEAK, VLEAK, CM, SIGMA, MU, W, EREV, S_SIGMA, S_MU, S_W, S_EREV, LTC_WEIGHTS };
enum {
    LTC_X,
    LTC_V,
    LTC_DT,
    LTC_TAU,
    LTC_MASK,
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
    int64_t T, B, S, U, K, stages, groups;
    synapses inner, outer;
    float *G, *GV, *C; /* [U]: P(gleak), with vleak, P(cm) */
    float *work;       /* [groups][room]: see ltc_room                          */
    float *sums;       /* [groups][n_sums]: gradients, backward only            */
    int64_t room, n_sums;
} ltc_job;

MLS_INLINE void positive(int kind, int64_t n, const float *restrict x, float least,
                         float *restrict y)
{
    if (kind == LTC_SOFTPLUS)
        for (int64_t i = 0; i < n; i++) y[i] = mls_softplusf(x[i]);
    else
        for (int64_t i = 0; i < n; i++) y[i] = x[i];
    for (int64_t i = 0; i < n; i++) y[i] = y[i] > least ? y[i] : least;
}

/* y is what positive() gave.  Below its floor a parameter keeps the gradient that would
 * raise it, as if it were put back to the floor after every step of the optimiser. */
static void positive_back(int kind, int64_t n, const float *x, const float *y,
                          float least, const float *g, float *to)
{
    for (int64_t i = 0; to && i < n; i++)
        if (y[i] > least || g[i] < 0.0f)
            to[i] += kind == LTC_SOFTPLUS ? g[i] * mls_sigmoidf(x[i]) : g[i];
}

static const float *ltc_weight(const mls_call *k, int i)
{
    return k->in[LTC_IN + i]->data;
}

/* Parameters of the synapses in `w`.. into s; 0: out of memory. */
MLS_INLINE int prepare_synapses(const ltc_job *q, synapses *s, int64_t n, int first,
                                const float *mask)
{
    const int64_t U = q->U, count = n * U;
    float *w = mls->scratch(q->k, (size_t)(2 * count) * sizeof(float));
    if (!w) return 0;
    float *wE = w + count;
    *s = (synapses){.n = n, .U = U, .w = w, .wE = wE};
    s->sigma = ltc_weight(q->k, first);
    s->mu = ltc_weight(q->k, first + 1);
    s->E = ltc_weight(q->k, first + 3);
    positive(q->p->positivity, count, ltc_weight(q->k, first + 2), 0.0f, w);
    for (int64_t i = 0; i < count; i++) {
        w[i] = mask[i] != 0.0f ? w[i] : 0.0f;
        wE[i] = w[i] * s->E[i];
    }
    return 1;
}

MLS_INLINE int prepare(const mls_call *k, ltc_job *q)
{
    const ltc_cell *p = k->attr;
    const mls_tensor *x = k->in[LTC_X];
    *q = (ltc_job){.k = k, .p = p, .T = x->dim[0], .B = x->dim[1], .S = x->dim[2]};
    const int64_t U = q->U = k->in[LTC_V]->dim[2];
    q->K = p->unfolds;
    q->stages = p->solver == LTC_RK4 ? 4 : 1;
    q->groups = q->B < LTC_GROUPS ? q->B : LTC_GROUPS;
    /* v, r | N0, D0 | per stage of every substep v, N, D | five more for backward */
    q->room = U * (q->K * q->stages * 3 + 16);
    q->n_sums = 3 * U + 4 * U * (U + q->S);
    q->G = mls->scratch(k, (size_t)(3 * U) * sizeof(float));
    q->work = mls->scratch(k, (size_t)(q->groups * q->room) * sizeof(float));
    if (!q->G || !q->work) return 0;
    q->GV = q->G + U;
    q->C = q->GV + U;
    positive(p->positivity, U, ltc_weight(k, GLEAK), 0.0f, q->G);
    positive(p->positivity, U, ltc_weight(k, CM), LTC_LEAST_CM, q->C);
    for (int64_t j = 0; j < U; j++) q->GV[j] = q->G[j] * ltc_weight(k, VLEAK)[j];
    return prepare_synapses(q, &q->inner, U, SIGMA, p->adjacency) &&
           prepare_synapses(q, &q->outer, q->S, S_SIGMA, p->sensory);
}

/* What a group works on; the parts lie in its room. */
typedef struct ltc_work {
    float *v, *r, *N0, *D0, *trail; /* trail: [K][stages][v | N | D][U]    */
    float *dv, *dr, *dN0, *dD0, *dN, *dD, *du, *row, *dk, *next;
} ltc_work;

MLS_INLINE ltc_work work_of(const ltc_job *q, int64_t group)
{
    float *at = q->work + group * q->room;
    const int64_t U = q->U;
    ltc_work w = {at,         at + U,      at + 2 * U,  at + 3 * U,  at + 14 * U,
                  at + 4 * U, at + 5 * U,  at + 6 * U,  at + 7 * U,  at + 8 * U,
                  at + 9 * U, at + 10 * U, at + 11 * U, at + 12 * U, at + 13 * U};
    return w;
}

/* The guard of explicit solvers: the largest r D of an evaluation.  Euler does not pass
 * the momentary equilibrium N / D, Runge-Kutta stays well within its region of
 * stability (2.78); neither leaves the range of the reversal potentials by more than a
 * few widths. */
MLS_INLINE float ltc_limit(int solver) { return solver == LTC_EULER ? 1.0f : 2.0f; }

/* r_j = step of the integration over capacity. */
MLS_INLINE void rates(const ltc_job *q, int64_t row, float *restrict r)
{
    const float *tau = q->k->in[LTC_TAU] ? q->k->in[LTC_TAU]->data + row * q->U : NULL;
    const float dt = q->k->in[LTC_DT] ? q->k->in[LTC_DT]->data[row] : 1.0f;
    const float h = dt / (float)q->K;
    for (int64_t j = 0; j < q->U; j++) {
        r[j] = h / (q->C[j] * (tau ? tau[j] : 1.0f));
        r[j] = r[j] < LTC_MOST_RATE ? r[j] : LTC_MOST_RATE;
    }
}

/* The change of one evaluation: r (N - D v), r bounded by limit / D. */
MLS_INLINE float change(float r, float limit, float N, float D, float v)
{
    return r * D > limit ? limit * (N / D - v) : r * (N - D * v);
}

/* What does not change within a step: r, and what flows without the other neurons. */
MLS_INLINE void begin_step(const ltc_job *q, const ltc_work *w, int64_t row)
{
    const int64_t U = q->U;
    const float e = q->p->solver == LTC_SEMI_IMPLICIT ? q->p->epsilon : 0.0f;
    rates(q, row, w->r);
    memcpy(w->N0, q->GV, (size_t)U * sizeof(float));
    for (int64_t j = 0; j < U; j++) w->D0[j] = q->G[j] + e;
    conduct(&q->outer, q->k->in[LTC_X]->data + row * q->S, w->N0, w->D0);
}

/* Conductances at `at`, which is kept in the trail with them. */
MLS_INLINE void evaluate(const ltc_job *q, const ltc_work *w, const float *at,
                         float *trail)
{
    const int64_t U = q->U;
    const size_t bytes = (size_t)U * sizeof(float);
    memmove(trail, at, bytes);
    memcpy(trail + U, w->N0, bytes);
    memcpy(trail + 2 * U, w->D0, bytes);
    conduct(&q->inner, trail, trail + U, trail + 2 * U);
}

/* One substep of w->v; its evaluations stay in trail. */
MLS_INLINE void substep(const ltc_job *q, const ltc_work *w, float *trail)
{
    const int64_t U = q->U;
    float *restrict v = w->v;
    const float *restrict r = w->r;
    const float limit = ltc_limit(q->p->solver);
    evaluate(q, w, v, trail);
    const float *restrict N = trail + U, *restrict D = trail + 2 * U;
    if (q->p->solver == LTC_SEMI_IMPLICIT) {
        for (int64_t j = 0; j < U; j++)
            v[j] = (v[j] + r[j] * N[j]) / (1.0f + r[j] * D[j]);
        return;
    }
    if (q->p->solver == LTC_EULER) {
        for (int64_t j = 0; j < U; j++) v[j] += change(r[j], limit, N[j], D[j], v[j]);
        return;
    }
    static const float reach[] = {0.5f, 0.5f, 1.0f, 0.0f}, share[] = {1, 2, 2, 1};
    float *restrict sum = w->dk, *restrict u = w->next;
    memcpy(sum, v, (size_t)U * sizeof(float));
    for (int s = 0; s < 4; s++) {
        const float *restrict at = trail + s * 3 * U;
        const float c = reach[s], part = share[s] / 6.0f;
        for (int64_t j = 0; j < U; j++) {
            const float f = change(r[j], limit, at[U + j], at[2 * U + j], at[j]);
            sum[j] += part * f;
            u[j] = v[j] + c * f;
        }
        if (s < 3) evaluate(q, w, u, trail + (s + 1) * 3 * U);
    }
    memcpy(v, sum, (size_t)U * sizeof(float));
}

MLS_INLINE int ltc_masked(const ltc_job *q, int64_t row)
{
    return q->k->in[LTC_MASK] && q->k->in[LTC_MASK]->data[row] == 0.0f;
}

/* What an analyst wants to see of a step. */
MLS_INLINE void show(const ltc_job *q, const ltc_work *w, int64_t row)
{
    const mls_call *k = q->k;
    const float limit = ltc_limit(q->p->solver);
    const int guarded = q->p->solver != LTC_SEMI_IMPLICIT;
    if (k->n_out <= LTC_TIME) return;
    const float *tau = k->in[LTC_TAU] ? k->in[LTC_TAU]->data + row * q->U : NULL;
    for (int64_t j = 0; j < q->U; j++) {
        const float c = q->C[j] * (tau ? tau[j] : 1.0f), D = w->trail[2 * q->U + j];
        k->out[LTC_TIME]->data[row * q->U + j] = c / (D > 1e-12f ? D : 1e-12f);
        k->out[LTC_LIMITED]->data[row * q->U + j] =
            guarded && w->r[j] * D > limit ? 1.0f : 0.0f;
    }
}

MLS_INLINE void forward_group(int64_t group, void *arg)
{
    const ltc_job *q = arg;
    const ltc_work w = work_of(q, group);
    const size_t bytes = (size_t)q->U * sizeof(float);
    for (int64_t b = group; b < q->B; b += q->groups) {
        memcpy(w.v, q->k->in[LTC_V]->data + b * q->U, bytes);
        for (int64_t t = 0; t < q->T; t++) {
            const int64_t row = t * q->B + b;
            const int masked = ltc_masked(q, row);
            if (!masked || q->k->n_out > LTC_TIME) begin_step(q, &w, row);
            for (int64_t i = 0; !masked && i < q->K; i++) substep(q, &w, w.trail);
            if (masked && q->k->n_out > LTC_TIME) evaluate(q, &w, w.v, w.trail);
            show(q, &w, row);
            memcpy(q->k->out[LTC_Y]->data + row * q->U, w.v, bytes);
        }
        memcpy(q->k->out[LTC_LAST]->data + b * q->U, w.v, bytes);
    }
}
MLS_KERNEL_BODY(ltc_forward_group, forward_group)

MLS_INLINE void forward_body(const mls_call *k)
{
    ltc_job q;
    if (prepare(k, &q)) mls->parfor(q.groups, ltc_forward_group, &q);
}
MLS_KERNEL(ltc_forward, forward_body)

/* dN, dD are set: through the synapses at v to du, and to the step's own sums. */
MLS_INLINE void evaluate_back(const ltc_job *q, const ltc_work *w,
                              const synapses *inner, const float *v, float *du)
{
    for (int64_t j = 0; j < q->U; j++) {
        w->dN0[j] += w->dN[j];
        w->dD0[j] += w->dD[j];
    }
    conduct_back(inner, v, w->dN, w->dD, du, w->row);
}

/* From dv after a substep to dv before it.  after: what v became. */
MLS_INLINE void implicit_back(const ltc_job *q, const ltc_work *w,
                              const synapses *inner, const float *restrict trail,
                              const float *restrict after)
{
    const int64_t U = q->U;
    const float *restrict N = trail + U, *restrict D = trail + 2 * U,
                          *restrict r = w->r;
    for (int64_t j = 0; j < U; j++) {
        const float g = w->dv[j] / (1.0f + r[j] * D[j]);
        w->dv[j] = g;
        w->dN[j] = g * r[j];
        w->dD[j] = -g * r[j] * after[j];
        w->dr[j] += g * (N[j] - D[j] * after[j]);
    }
    evaluate_back(q, w, inner, trail, w->dv);
}

/* Stages of v' = v + sum share_s f_s, f_s = r k_s, k_s at v + reach f_(s-1). */
MLS_INLINE void explicit_back(const ltc_job *q, const ltc_work *w,
                              const synapses *inner, const float *restrict trail)
{
    static const float reach[] = {0.5f, 0.5f, 1.0f, 0.0f}, share[] = {1, 2, 2, 1};
    const int64_t U = q->U;
    const float *restrict r = w->r;
    const float limit = ltc_limit(q->p->solver);
    float *restrict total = w->dk, *restrict du =
                                       w->du; /* du: of the later stage's v */
    memcpy(total, w->dv, (size_t)U * sizeof(float));
    memset(du, 0, (size_t)U * sizeof(float));
    for (int s = (int)q->stages - 1; s >= 0; s--) {
        const float *restrict v = trail + s * 3 * U;
        const float *restrict N = v + U, *restrict D = v + 2 * U;
        const float part = q->stages == 1 ? 1.0f : share[s] / 6.0f;
        const float c = q->stages == 1 ? 0.0f : reach[s];
        for (int64_t j = 0; j < U; j++) {
            const float df = part * w->dv[j] + c * du[j];
            const int cut = r[j] * D[j] > limit;
            const float by = cut ? limit / D[j] : r[j], at = cut ? N[j] / D[j] : v[j];
            w->dr[j] += cut ? 0.0f : df * (N[j] - D[j] * v[j]);
            w->dN[j] = df * by;
            w->dD[j] = -df * by * at;
            du[j] = -df * by * D[j];
        }
        evaluate_back(q, w, inner, v, du);
        for (int64_t j = 0; j < U; j++) total[j] += du[j];
    }
    memcpy(w->dv, total, (size_t)U * sizeof(float));
}

/* Gradients of r go to the step length, the modulation and the capacity. */
MLS_INLINE void rates_back(const ltc_job *q, const ltc_work *w, int64_t row, float *dC)
{
    const mls_t tau = q->k->in[LTC_TAU], dt = q->k->in[LTC_DT];
    const float length = dt ? dt->data[row] : 1.0f;
    float sum = 0.0f;
    for (int64_t j = 0; j < q->U; j++) {
        const float of = tau ? tau->data[row * q->U + j] : 1.0f, d = w->dr[j];
        const float inverse = 1.0f / ((float)q->K * q->C[j] * of), r = length * inverse;
        if (r >= LTC_MOST_RATE) continue;
        dC[j] -= d * r / q->C[j];
        sum += d * inverse;
        if (tau && tau->grad) tau->grad[row * q->U + j] -= d * r / of;
    }
    if (dt && dt->grad) dt->grad[row] += sum;
}

/* Where a group gathers: dG | dGV | dC | dsigma, dmu, dw, dE of inner, of outer. */
MLS_INLINE void sums_of(const ltc_job *q, int64_t group, synapses *inner,
                        synapses *outer)
{
    float *at = q->sums + group * q->n_sums + 3 * q->U;
    synapses *const s[] = {inner, outer};
    *inner = q->inner;
    *outer = q->outer;
    for (int i = 0; i < 2; i++) {
        const int64_t n = s[i]->n * q->U;
        s[i]->dsigma = at;
        s[i]->dmu = at + n;
        s[i]->dw = at + 2 * n;
        s[i]->dE = at + 3 * n;
        at += 4 * n;
    }
}

MLS_INLINE void step_back(const ltc_job *q, const ltc_work *w, int64_t t, int64_t b,
                          const synapses *inner, const synapses *outer, float *base)
{
    const int64_t U = q->U, row = t * q->B + b, wide = q->stages * 3 * U;
    const size_t bytes = (size_t)U * sizeof(float);
    const float *x = q->k->in[LTC_X]->data + row * q->S;
    float *dx = q->k->in[LTC_X]->grad, *dG = base, *dGV = base + U;
    memcpy(w->v,
           t ? q->k->out[LTC_Y]->data + (row - q->B) * U
             : q->k->in[LTC_V]->data + b * U,
           bytes);
    begin_step(q, w, row);
    for (int64_t i = 0; i < q->K; i++) substep(q, w, w->trail + i * wide);
    memset(w->dr, 0, bytes);
    memset(w->dN0, 0, bytes);
    memset(w->dD0, 0, bytes);
    for (int64_t i = q->K - 1; i >= 0; i--) {
        const float *trail = w->trail + i * wide;
        if (q->p->solver == LTC_SEMI_IMPLICIT)
            implicit_back(q, w, inner, trail, i + 1 < q->K ? trail + wide : w->v);
        else
            explicit_back(q, w, inner, trail);
    }
    for (int64_t j = 0; j < U; j++) {
        dG[j] += w->dD0[j];
        dGV[j] += w->dN0[j];
    }
    rates_back(q, w, row, base + 2 * U);
    float *to = dx ? dx + row * q->S : w->trail; /* nobody wants it: anywhere */
    if (!dx) memset(to, 0, (size_t)q->S * sizeof(float));
    conduct_back(outer, x, w->dN0, w->dD0, to, w->row);
}

MLS_INLINE void backward_group(int64_t group, void *arg)
{
    const ltc_job *q = arg;
    const ltc_work w = work_of(q, group);
    const int64_t U = q->U;
    synapses inner, outer;
    float *base = q->sums + group * q->n_sums, *dv0 = q->k->in[LTC_V]->grad;
    sums_of(q, group, &inner, &outer);
    memset(base, 0, (size_t)q->n_sums * sizeof(float));
    for (int64_t b = group; b < q->B; b += q->groups) {
        memcpy(w.dv, q->k->out[LTC_LAST]->grad + b * U, (size_t)U * sizeof(float));
        for (int64_t t = q->T - 1; t >= 0; t--) {
            const float *dy = q->k->out[LTC_Y]->grad + (t * q->B + b) * U;
            for (int64_t j = 0; j < U; j++) w.dv[j] += dy[j];
            if (!ltc_masked(q, t * q->B + b))
                step_back(q, &w, t, b, &inner, &outer, base);
        }
        for (int64_t j = 0; dv0 && j < U; j++) dv0[b * U + j] += w.dv[j];
    }
}
MLS_KERNEL_BODY(ltc_backward_group, backward_group)

static void synapses_give(const ltc_job *q, const synapses *s, int first,
                          const float *mask)
{
    const int64_t n = s->n * q->U;
    const float *const g[] = {s->dsigma, s->dmu, s->dw, s->dE};
    for (int64_t i = 0; i < n; i++) s->dw[i] = mask[i] != 0.0f ? s->dw[i] : 0.0f;
    for (int i = 0; i < 4; i++) {
        const mls_t to = q->k->in[LTC_IN + first + i];
        if (i == 2)
            positive_back(q->p->positivity, n, to->data, s->w, 0.0f, g[i], to->grad);
        else
            for (int64_t j = 0; to->grad && j < n; j++) to->grad[j] += g[i][j];
    }
}

MLS_INLINE void backward_body(const mls_call *k)
{
    ltc_job q;
    if (!prepare(k, &q)) return;
    const int64_t U = q.U;
    if (q.room < 14 * U + q.S) { /* many inputs: their unwanted gradient needs room */
        q.room = 14 * U + q.S;
        q.work = mls->scratch(k, (size_t)(q.groups * q.room) * sizeof(float));
    }
    q.sums = mls->scratch(k, (size_t)(q.groups * q.n_sums) * sizeof(float));
    if (!q.sums || !q.work) return;
    mls->parfor(q.groups, ltc_backward_group, &q);
    float *sum = q.sums;
    for (int64_t g = 1; g < q.groups; g++)
        for (int64_t i = 0; i < q.n_sums; i++) sum[i] += sum[g * q.n_sums + i];
    synapses inner, outer;
    sums_of(&q, 0, &inner, &outer);
    float *dG = sum, *dGV = sum + U, *dC = sum + 2 * U;
    const float *vleak = ltc_weight(k, VLEAK);
    float *dv = k->in[LTC_IN + VLEAK]->grad;
    for (int64_t j = 0; j < U; j++) dG[j] += dGV[j] * vleak[j];
    for (int64_t j = 0; dv && j < U; j++) dv[j] += dGV[j] * q.G[j];
    positive_back(q.p->positivity, U, ltc_weight(k, GLEAK), q.G, 0.0f, dG,
                  k->in[LTC_IN + GLEAK]->grad);
    positive_back(q.p->positivity, U, ltc_weight(k, CM), q.C, LTC_LEAST_CM, dC,
                  k->in[LTC_IN + CM]->grad);
    synapses_give(&q, &inner, SIGMA, q.p->adjacency);
    synapses_give(&q, &outer, S_SIGMA, q.p->sensory);
}
MLS_KERNEL(ltc_backward, backward_body)

/* A synapse counts as 12: the sigmoid and its sums. */
static double ltc_flops(const mls_call *k)
{
    const ltc_cell *p = k->attr;
    const mls_tensor *x = k->in[LTC_X];
    const double U = (double)k->in[LTC_V]->dim[2];
    const double stages = p->solver == LTC_RK4 ? 4.0 : 1.0;
    return 12.0 * (double)(x->dim[0] * x->dim[1]) * U *
           ((double)x->dim[2] + (double)p->unfolds * stages * U);
}

static const mls_op ltc_scan = {sizeof ltc_scan, "ltc.scan", ltc_forward, ltc_backward,
                                ltc_flops};

#endif
