/* ltc_back.h - the liquid time-constant cell over a sequence as one op: backward. */
#ifndef LIQUID_LTC_BACK_H
#define LIQUID_LTC_BACK_H

#include "ltc_scan.h"

enum { LTC_RUN = 16 }; /* steps whose gradients of weights are summed by themselves */

/* y is what positive() gave.  Below its floor a parameter keeps the gradient that would
 * raise it, as if it were put back to the floor after every step of the optimiser. */
MLS_INLINE void positive_back(int kind, float x, float y, float least, float g, float *to)
{
    if (y > least || g < 0.0f) *to += kind == LTC_SOFTPLUS ? g * mls_sigmoidf(x) : g;
}

/* dN, dD are set: through the synapses at v to du, and to the step's own sums. */
MLS_INLINE void evaluate_back(const ltc_job *q, const ltc_work *w,
                              const synapses *inner, const float *v, float *du)
{
    for (int64_t j = 0; j < w->n * q->P; j++) {
        w->dN0[j] += w->dN[j];
        w->dD0[j] += w->dD[j];
    }
    conduct_back(inner, w->n, v, q->P, w->dN, w->dD, du, q->P, w->y);
}

/* From dv after a substep to dv before it.  after: what v became. */
MLS_INLINE void implicit_back(const ltc_job *q, const ltc_work *w,
                              const synapses *inner, const float *restrict trail,
                              const float *restrict after)
{
    const int64_t RP = q->rows * q->P;
    const float *restrict N = trail + RP, *restrict D = trail + 2 * RP,
                          *restrict r = w->r;
    for (int64_t j = 0; j < w->n * q->P; j++) {
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
    const int64_t RP = q->rows * q->P, n = w->n * q->P;
    const float *restrict r = w->r;
    const float limit = ltc_limit(q->p->solver);
    float *restrict total = w->sum, *restrict du = w->du; /* of the later stage's v */
    memcpy(total, w->dv, (size_t)n * sizeof(float));
    memset(du, 0, (size_t)n * sizeof(float));
    for (int s = (int)q->stages - 1; s >= 0; s--) {
        const float *restrict v = trail + s * 3 * RP;
        const float *restrict N = v + RP, *restrict D = v + 2 * RP;
        const float part = q->stages == 1 ? 1.0f : share[s] / 6.0f;
        const float c = q->stages == 1 ? 0.0f : reach[s];
        for (int64_t j = 0; j < n; j++) {
            const float df = part * w->dv[j] + c * du[j];
            const int cut = r[j] * D[j] > limit;
            const float by = cut ? limit / D[j] : r[j], at = cut ? N[j] / D[j] : v[j];
            w->dr[j] += cut ? 0.0f : df * (N[j] - D[j] * v[j]);
            w->dN[j] = df * by;
            w->dD[j] = -df * by * at;
            du[j] = -df * by * D[j];
        }
        evaluate_back(q, w, inner, v, du);
        for (int64_t j = 0; j < n; j++) total[j] += du[j];
    }
    memcpy(w->dv, total, (size_t)n * sizeof(float));
}

/* Gradients of r go to the step length, the modulation and the capacity. */
MLS_INLINE void rates_back(const ltc_job *q, const float *restrict dr, int64_t row,
                           float *restrict dC)
{
    const mls_t tau = q->k->in[LTC_TAU], dt = q->k->in[LTC_DT];
    const float length = dt ? dt->data[row] : 1.0f;
    float sum = 0.0f;
    for (int64_t j = 0; j < q->U; j++) {
        const float of = tau ? tau->data[row * q->U + j] : 1.0f, d = dr[j];
        const float inverse = 1.0f / ((float)q->K * q->C[j] * of), r = length * inverse;
        if (r >= LTC_MOST_RATE) continue;
        dC[j] -= d * r / q->C[j];
        sum += d * inverse;
        if (tau && tau->grad) tau->grad[row * q->U + j] -= d * r / of;
    }
    if (dt && dt->grad) dt->grad[row] += sum;
}

/* Where a group gathers: dG | dGV | dC | sums of inner, of outer. */
MLS_INLINE float *sums_of(const ltc_job *q, int64_t group, synapses *inner,
                          synapses *outer)
{
    float *base = q->sums + group * 2 * q->n_sums;
    *inner = q->inner;
    *outer = q->outer;
    inner->sums = base + 3 * q->P;
    outer->sums = inner->sums + 4 * q->P * q->U;
    return base;
}

/* The substeps of step t again: v and conductances of each into the trail. */
MLS_INLINE void retrace(const ltc_job *q, const ltc_work *w, int64_t t, const float *x)
{
    const int64_t RP = q->rows * q->P, wide = q->stages * 3 * RP, n = w->n * q->P;
    gather_rows(q, w,
                t ? q->k->out[LTC_Y]->data + (t - 1) * q->B * q->U
                  : q->k->in[LTC_V]->data,
                w->v);
    if (!q->kept) {
        begin_step(q, w, t, x);
        for (int64_t i = 0; i < q->K; i++) substep(q, w, w->trail + i * wide);
        return;
    }
    rates(q, w, t);
    for (int64_t i = 0; i < q->K; i++) {
        float *trail = w->trail + i * wide;
        memcpy(trail, w->v, (size_t)n * sizeof(float));
        keep(q, w, t, i, trail, 1);
        implicit(n, w->r, trail + RP, trail + 2 * RP, w->v);
    }
}

/* The input of step t without that of samples that rest, which may be anything. */
MLS_INLINE const float *clean(const ltc_job *q, const ltc_work *w, int64_t t,
                              int64_t resting)
{
    const int64_t S = q->S;
    const float *x = q->k->in[LTC_X]->data + (t * q->B + w->first) * S;
    if (!resting) return x;
    for (int64_t s = 0; s < w->n; s++)
        if (ltc_masked(q, t * q->B + w->first + s))
            memset(w->x + s * S, 0, (size_t)S * sizeof(float));
        else
            memcpy(w->x + s * S, x + s * S, (size_t)S * sizeof(float));
    return w->x;
}

/* dv of samples that rest waits in w->old, so that nothing flows out of them. */
MLS_INLINE void hold(const ltc_job *q, const ltc_work *w, int64_t t, int back)
{
    const size_t bytes = (size_t)q->P * sizeof(float);
    for (int64_t s = 0; s < w->n; s++) {
        float *dv = w->dv + s * q->P, *old = w->old + s * q->P;
        if (!ltc_masked(q, t * q->B + w->first + s)) continue;
        memcpy(back ? dv : old, back ? old : dv, bytes);
        if (!back) memset(dv, 0, bytes);
    }
}

MLS_INLINE void step_back(const ltc_job *q, const ltc_work *w, int64_t t,
                          const synapses *inner, const synapses *outer, float *base)
{
    const int64_t P = q->P, n = w->n * P, wide = q->stages * 3 * q->rows * P;
    const int64_t row = t * q->B + w->first, resting = ltc_resting(q, w, t);
    const size_t bytes = (size_t)n * sizeof(float);
    if (resting == w->n) return;
    const float *x = clean(q, w, t, resting);
    if (resting) hold(q, w, t, 0);
    retrace(q, w, t, x);
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
    if (resting) hold(q, w, t, 1);
    for (int64_t s = 0; s < w->n; s++) {
        if (ltc_masked(q, row + s)) continue;
        for (int64_t j = 0; j < P; j++) {
            base[j] += w->dD0[s * P + j];
            base[P + j] += w->dN0[s * P + j];
        }
        rates_back(q, w->dr + s * P, row + s, base + 2 * P);
    }
    float *dx = q->k->in[LTC_X]->grad; /* nobody wants it: anywhere */
    conduct_back(outer, w->n, x, q->S, w->dN0, w->dD0, dx ? dx + row * q->S : w->dx, q->S,
                 w->y);
}

/* Gradients of a run of steps join those of all, whose sums would lose their bits. */
MLS_INLINE void flush(int64_t n, float *restrict run, float *restrict all)
{
    for (int64_t i = 0; i < n; i++) {
        all[i] += run[i];
        run[i] = 0.0f;
    }
}

MLS_INLINE void backward_group(int64_t group, void *arg)
{
    const ltc_job *q = arg;
    ltc_work w = work_of(q, group, q->K);
    synapses inner, outer;
    float *base = sums_of(q, group, &inner, &outer), *all = base + q->n_sums;
    float *dv0 = q->k->in[LTC_V]->grad;
    memset(base, 0, (size_t)(2 * q->n_sums) * sizeof(float));
    for (int64_t turn = 0; take(q, &w, group, turn); turn++) {
        gather_rows(q, &w, q->k->out[LTC_LAST]->grad, w.dv);
        for (int64_t t = q->T - 1; t >= 0; t--) {
            const float *dy = q->k->out[LTC_Y]->grad + (t * q->B + w.first) * q->U;
            for (int64_t s = 0; s < w.n; s++)
                for (int64_t j = 0; j < q->U; j++) w.dv[s * q->P + j] += dy[s * q->U + j];
            step_back(q, &w, t, &inner, &outer, base);
            if (t % LTC_RUN == 0) flush(q->n_sums, base, all);
        }
        for (int64_t s = 0; dv0 && s < w.n; s++)
            for (int64_t j = 0; j < q->U; j++)
                dv0[(w.first + s) * q->U + j] += w.dv[s * q->P + j];
    }
}
MLS_KERNEL_BODY(ltc_backward_group, backward_group)

/* From the sums of ltc_back_* to the gradients of what they were made of. */
static void synapses_give(const ltc_job *q, const synapses *s, const float *w, int first,
                          const float *mask)
{
    float *dsigma = q->k->in[LTC_IN + first]->grad;
    float *dmu = q->k->in[LTC_IN + first + 1]->grad;
    float *dw = q->k->in[LTC_IN + first + 2]->grad;
    float *dE = q->k->in[LTC_IN + first + 3]->grad;
    const float *sigma = ltc_weight(q->k, first), *mu = ltc_weight(q->k, first + 1);
    const float *raw = ltc_weight(q->k, first + 2);
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t j = 0; j < q->U; j++) {
            const int64_t at = i * q->U + j;
            const float *g = s->sums + ltc_place(s, i, j, 0, 0);
            const float zero = g[2 * LTC_LANES], one = g[3 * LTC_LANES];
            if (mask[at] == 0.0f) continue;
            if (dsigma) dsigma[at] += w[at] * (one - mu[at] * zero);
            if (dmu) dmu[at] -= w[at] * sigma[at] * zero;
            if (dE) dE[at] += w[at] * g[LTC_LANES];
            if (dw) positive_back(q->p->positivity, raw[at], w[at], 0.0f, g[0], dw + at);
        }
}

MLS_INLINE void backward_body(const mls_call *k)
{
    ltc_job q;
    if (!prepare(k, &q, 1)) return;
    const int64_t U = q.U, n = q.n_sums;
    q.sums = mls->scratch(k, (size_t)(q.groups * 2 * n) * sizeof(float));
    if (!q.sums) return;
    mls->parfor(q.groups, ltc_backward_group, &q);
    synapses inner, outer;
    float *sum = sums_of(&q, 0, &inner, &outer);
    for (int64_t g = 0; g < q.groups; g++) {
        const float *all = q.sums + (2 * g + 1) * n;
        for (int64_t i = 0; i < n; i++) sum[i] += all[i];
    }
    float *dG = sum, *dGV = sum + q.P, *dC = sum + 2 * q.P;
    const float *vleak = ltc_weight(k, VLEAK);
    float *dv = k->in[LTC_IN + VLEAK]->grad, *dg = k->in[LTC_IN + GLEAK]->grad;
    float *dc = k->in[LTC_IN + CM]->grad;
    for (int64_t j = 0; j < U; j++) {
        if (dv) dv[j] += dGV[j] * q.G[j];
        if (dg)
            positive_back(q.p->positivity, ltc_weight(k, GLEAK)[j], q.G[j], 0.0f,
                          dG[j] + dGV[j] * vleak[j], dg + j);
        if (dc)
            positive_back(q.p->positivity, ltc_weight(k, CM)[j], q.C[j], LTC_LEAST_CM,
                          dC[j], dc + j);
    }
    synapses_give(&q, &inner, q.w[0], SIGMA, q.p->adjacency);
    synapses_give(&q, &outer, q.w[1], S_SIGMA, q.p->sensory);
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
