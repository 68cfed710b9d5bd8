/* neuron_scan.h - the scan over time of spiking neurons: inner steps, mask, readout,
 * recurrence, carried states and gradients.  Included once, after the kind of neuron
 * has given its equations, row by row:
 *
 *   neuron_drive(g, now, x, N)   x = how far each unit is above its threshold
 *   neuron_step(g, old, in, now) writes all rows of now but now[SPIKE]
 *   neuron_back(g, old, in, now, dnow, ddrive, dold, din, dparam)
 *        reads the gradients of now (but of now[SPIKE]) and of the drive; writes dold
 * and din, adds to dparam
 */
#ifndef MLS_PLUGINS_NEURON_SCAN_H
#define MLS_PLUGINS_NEURON_SCAN_H

#include "neuron.h"

/* ---- forward -------------------------------------------------------------------- */

MLS_INLINE void hold(const plan *g, int64_t t, int64_t b, float *const *old)
{
    const size_t row = (size_t)g->N * sizeof(float);
    float *now[STATES];
    for (int64_t i = 0; i < g->M; i++) {
        rows_of(g, t * g->M + i, b, now);
        for (int64_t j = 0; j < g->S; j++) memcpy(now[j], old[j], row);
        if (g->p->recurrent != ALONE) memset(now[0] + g->S * g->N, 0, row);
    }
}

MLS_INLINE void forward_sample(int64_t b, void *arg)
{
    const plan *g = arg;
    const int64_t N = g->N, M = g->M, B = g->B, S = g->S;
    const size_t row = (size_t)N * sizeof(float);
    float *drive = g->row + b * (2 * S + 2) * N, *old[STATES], *now[STATES];
    rows_of(g, -1, b, old);
    for (int64_t t = 0; t < g->T; t++) {
        const int64_t at = (t * B + b) * N;
        float *restrict st = g->k->out[0]->data + at;
        memset(st, 0, row);
        if (is_real(g, t, b))
            for (int64_t i = 0; i < M; i++) {
                const float a = share_of(g, i);
                const float *in =
                    input_row(g, t * M + i, b, g->k->in[0]->data + at, old[SPIKE]);
                rows_of(g, t * M + i, b, now);
                neuron_step(g, (const float *const *)old, in, now);
                neuron_drive(g, (const float *const *)now, drive, N);
                fire(g, drive, now[SPIKE]);
                const float *s = now[SPIKE];
                for (int64_t n = 0; n < N; n++) st[n] += a * s[n];
                memcpy(old, now, sizeof old);
            }
        else
            hold(g, t, b, old);
        rows_of(g, t * M + M - 1, b, old);
        memcpy(g->k->out[1]->data + at, old[MEMBRANE], row);
    }
    for (int64_t i = 0; i < S; i++)
        memcpy(g->k->out[OUT_LAST + i]->data + b * N, old[i], row);
}

MLS_KERNEL_BODY(forward_one, forward_sample)

static void scan_forward(const mls_call *k)
{
    plan g;
    if (make_plan(&g, k)) mls->parfor(g.B, forward_one, &g);
}

/* ---- backward ------------------------------------------------------------------- */

/* din is the gradient of what the units got; the spikes before get their part. */
MLS_INLINE void back_input(const plan *g, int64_t j, int64_t b,
                           const float *restrict din, float *restrict dspike)
{
    const int64_t N = g->N;
    if (g->p->recurrent == ALONE) return;
    memcpy(g->drec + (j * g->B + b) * N, din, (size_t)N * sizeof *din);
    const float *v = g->k->in[IN_V]->data;
    if (g->p->recurrent == ONE_TO_ONE)
        for (int64_t n = 0; n < N; n++) dspike[n] += v[n] * din[n];
    else
        for (int64_t i = 0; i < N; i++)
            for (int64_t n = 0; n < N; n++) dspike[n] += din[i] * v[i * N + n];
}

MLS_INLINE void backward_sample(int64_t b, void *arg)
{
    const plan *g = arg;
    const int64_t N = g->N, M = g->M, B = g->B, S = g->S;
    float *row = g->row + b * (2 * S + 2) * N, *ddrive = row + 2 * S * N,
          *din = ddrive + N, *dp = g->dparam + b * g->p->params * N;
    float *old[STATES], *now[STATES], *d[STATES], *dold[STATES];
    for (int64_t i = 0; i < S; i++) {
        d[i] = row + i * N;
        dold[i] = row + (S + i) * N;
        memcpy(d[i], g->k->out[OUT_LAST + i]->grad + b * N, (size_t)N * sizeof(float));
    }
    for (int64_t t = g->T - 1; t >= 0; t--) {
        const int64_t at = (t * B + b) * N;
        const float *gs = g->k->out[0]->grad + at, *gm = g->k->out[1]->grad + at;
        for (int64_t n = 0; n < N; n++) d[MEMBRANE][n] += gm[n];
        if (!is_real(g, t, b)) continue;
        for (int64_t i = M - 1; i >= 0; i--) {
            const int64_t j = t * M + i;
            const float a = share_of(g, i), *x = g->k->in[0]->data + at;
            rows_of(g, j, b, now);
            rows_of(g, j - 1, b, old);
            if (g->p->recurrent != ALONE) x = now[0] + S * N;
            neuron_drive(g, (const float *const *)now, din, N);
            slope_row(g->p->surrogate, g->slope, din, ddrive, N);
            for (int64_t n = 0; n < N; n++) ddrive[n] *= d[SPIKE][n] + a * gs[n];
            neuron_back(g, (const float *const *)old, x, (const float *const *)now,
                        (const float *const *)d, ddrive, dold, din, dp);
            back_input(g, j, b, din, dold[SPIKE]);
            float *dx = g->k->in[0]->grad;
            for (int64_t n = 0; dx && n < N; n++) dx[at + n] += din[n];
            for (int64_t k = 0; k < S; k++) {
                float *swap = d[k];
                d[k] = dold[k];
                dold[k] = swap;
            }
        }
    }
    for (int64_t i = 0; i < S; i++) {
        float *to = g->k->in[IN_STATE + i]->grad;
        for (int64_t n = 0; to && n < N; n++) to[b * N + n] += d[i][n];
    }
}

MLS_KERNEL_BODY(backward_one, backward_sample)

/* Sums the samples' shares in order: the bits do not depend on the threads. */
static void learn_params(const plan *g)
{
    for (int i = 0; i < g->p->params; i++) {
        mls_t w = g->k->in[IN_PARAM + i];
        for (int64_t n = 0; w && w->grad && n < g->N; n++) {
            double sum = 0.0;
            for (int64_t b = 0; b < g->B; b++)
                sum += (double)g->dparam[(b * g->p->params + i) * g->N + n];
            w->grad[w->count > 1 ? n : 0] += (float)sum;
        }
    }
}

static void learn_recurrence(const plan *g)
{
    mls_t v = g->k->in[IN_V], c = g->k->in[IN_C], s0 = g->k->in[IN_STATE + SPIKE];
    const int64_t N = g->N, B = g->B, J = g->T * g->M;
    if (g->p->recurrent == ONE_TO_ONE) {
        for (int64_t j = 0; v->grad && j < J; j++)
            for (int64_t b = 0; b < B; b++) {
                const float *d = g->drec + (j * B + b) * N;
                const float *s = j ? g->tape + ((j - 1) * B + b) * g->R + SPIKE * N
                                   : s0->data + b * N;
                for (int64_t n = 0; n < N; n++) v->grad[n] += d[n] * s[n];
            }
        return;
    }
    if (v->grad) {
        mls->gemm(1, 0, N, N, B, 1.0f, g->drec, N, s0->data, N, 1.0f, v->grad, N);
        if (J > 1)
            mls->gemm(1, 0, N, N, (J - 1) * B, 1.0f, g->drec + B * N, N,
                      g->tape + SPIKE * N, g->R, 1.0f, v->grad, N);
    }
    for (int64_t i = 0; c->grad && i < J * B; i++)
        for (int64_t n = 0; n < N; n++) c->grad[n] += g->drec[i * N + n];
}

static void scan_backward(const mls_call *k)
{
    plan g;
    if (!make_plan(&g, k)) return;
    const size_t sums = (size_t)(g.B * g.p->params * g.N) * sizeof(float);
    const size_t all = (size_t)(g.T * g.M * g.B * g.N) * sizeof(float);
    g.dparam = mls->scratch(k, sums + sizeof(float));
    if (g.p->recurrent != ALONE) g.drec = mls->scratch(k, all);
    if (!g.dparam || (g.p->recurrent != ALONE && !g.drec)) return;
    memset(g.dparam, 0, sums);
    if (g.drec) memset(g.drec, 0, all);
    mls->parfor(g.B, backward_one, &g);
    learn_params(&g);
    if (g.drec) learn_recurrence(&g);
}

static double scan_flops(const mls_call *k)
{
    const neuron *p = k->attr;
    const double n = (double)k->in[0]->dim[2];
    const double each = 4.0 * p->states + (p->recurrent == ALL_TO_ALL ? 2.0 * n : 0.0);
    return each * (double)k->in[0]->count * (double)p->steps;
}

static const mls_op scan = {sizeof scan, "neuron.scan", scan_forward, scan_backward,
                            scan_flops};

/* Runs the neurons over x, from and to their states, and adds their penalties; param may
 * hold NULL.  Returns the tape, for taps.                                                                    */
static mls_t run_neurons(mls_ctx *c, const neuron *p, mls_t x, mls_t mask,
                         const mls_t *param, mls_t *out)
{
    const int64_t T = x->dim[0], B = x->dim[1], N = x->dim[2];
    mls_t in[INS] = {x, mask},
          to[OUTS] = {mls->tensor(c, T, B, N), mls->tensor(c, T, B, N)};
    to[2] = mls->tensor(c, T * p->steps, B, N * (p->states + (p->recurrent != ALONE)));
    for (int i = 0; i < p->states; i++) {
        in[IN_STATE + i] = mls->load(c, p->state[i]);
        to[OUT_LAST + i] = mls->tensor(c, 1, B, N);
    }
    for (int i = 0; i < p->params; i++) in[IN_PARAM + i] = param[i];
    in[IN_V] = p->v;
    in[IN_C] = p->c;
    mls->apply(c, &scan, p, in, INS, to, OUTS);
    for (int i = 0; i < p->states; i++) mls->store(c, p->state[i], to[OUT_LAST + i]);
    out[0] = to[0];
    out[1] = to[1];
    regular_apply(c, &p->regular, out[0], out[1], mask, neuron_share(p));
    return to[2];
}

#endif
