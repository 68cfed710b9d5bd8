/* spike_count.c - a spiking layer as the last one, read once for the sequence.
 *
 *   count           out = scale * sum over real steps and the neurons of an output of S[t]
 *   max_membrane    out = scale * mean over those neurons of max_t U[t]
 *   mean_membrane   out = scale * mean over those neurons and the real steps of U[t]
 *
 * with the leaky neurons of spiking_head.h.  The first two are what snnTorch 0.9.4's
 * ce_count_loss, mse_count_loss and ce_max_membrane_loss take: train.loss = ce_count,
 * mse_count, ce_max_membrane.  Counts are carried, so that after any chunk the output is
 * that of the sequence so far; they are exact up to 2^24 spikes.
 */
#include "spiking_head.h"

enum { SHOW_COUNT, SHOW_MAX, SHOW_MEAN };
#define LEAST -1e9 /* below any membrane: the largest of no step */

/* in: u [T][B][N], peak so far [1][B][N], mask; out: peak after.  Of equal ones the first
 * has the gradient.                                                                      */
static void peak_forward(const mls_call *k)
{
    mls_t u = k->in[0], mask = k->in[2], y = k->out[0];
    const int64_t T = u->dim[0], B = u->dim[1], N = u->dim[2];
    memcpy(y->data, k->in[1]->data, (size_t)(B * N) * sizeof(float));
    for (int64_t t = 0; t < T; t++)
        for (int64_t b = 0; b < B; b++) {
            if (mask && mask->data[t * B + b] == 0.0f) continue;
            const float *restrict x = u->data + (t * B + b) * N;
            float *restrict most = y->data + b * N;
            /* a NaN wins, and stays */
            for (int64_t n = 0; n < N; n++)
                most[n] = most[n] >= x[n] || most[n] != most[n] ? most[n] : x[n];
        }
}

static void peak_backward(const mls_call *k)
{
    mls_t u = k->in[0], old = k->in[1], mask = k->in[2], y = k->out[0];
    const int64_t T = u->dim[0], B = u->dim[1], N = u->dim[2];
    for (int64_t i = 0; i < B * N; i++) {
        const float most = y->data[i];
        if (old->data[i] == most) {
            if (old->grad) old->grad[i] += y->grad[i];
            continue;
        }
        int64_t t = 0;
        while (t < T && ((mask && mask->data[t * B + i / N] == 0.0f) ||
                         u->data[t * B * N + i] != most))
            t++;
        if (t < T && u->grad) u->grad[t * B * N + i] += y->grad[i];
    }
}

static const mls_op peak = { sizeof peak, "spike_count.peak", peak_forward, peak_backward,
                             NULL };

/* in: x [T][B][N], sum so far [1][B][N], mask; out: sum after.  Step by step from what was
 * carried, so that pieces give the bits of the whole.                                    */
static void total_forward(const mls_call *k)
{
    mls_t x = k->in[0], mask = k->in[2], y = k->out[0];
    const int64_t B = x->dim[1], N = x->dim[2], rows = x->dim[0] * B;
    memcpy(y->data, k->in[1]->data, (size_t)(B * N) * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        if (mask && mask->data[r] == 0.0f) continue;
        const float *restrict from = x->data + r * N;
        float *restrict sum = y->data + r % B * N;
        for (int64_t n = 0; n < N; n++) sum[n] += from[n];
    }
}

static void total_backward(const mls_call *k)
{
    mls_t x = k->in[0], old = k->in[1], mask = k->in[2], y = k->out[0];
    const int64_t B = x->dim[1], N = x->dim[2], rows = x->dim[0] * B;
    for (int64_t r = 0; x->grad && r < rows; r++) {
        if (mask && mask->data[r] == 0.0f) continue;
        const float *restrict g = y->grad + r % B * N;
        float *restrict to = x->grad + r * N;
        for (int64_t n = 0; n < N; n++) to[n] += g[n];
    }
    for (int64_t i = 0; old->grad && i < B * N; i++) old->grad[i] += y->grad[i];
}

static const mls_op total = { sizeof total, "spike_count.total", total_forward,
                              total_backward, NULL };

static void setup(mls_ctx *c, void *self)
{
    spiking_head *p = self;
    spiking_setup(c, p);
    const int64_t n = p->base.units;
    if (p->show == SHOW_COUNT)
        p->kept = mls->state(c, "counted", n, 0.0, "spikes", "spikes of each neuron so far");
    if (p->show == SHOW_MAX)
        p->kept = mls->state(c, "peak", n, LEAST, NULL, "largest membrane so far");
    if (p->show != SHOW_MEAN) return;
    p->kept = mls->state(c, "total", n, 0.0, NULL, "sum of the membranes so far");
    p->count = mls->state(c, "count", 1, 0.0, "steps", "how many real steps there were");
}

/* kept + the sum of x over the real steps */
static mls_t add_up(mls_ctx *c, mls_state *kept, mls_t x, mls_t mask)
{
    mls_t sum = mls->tensor(c, 1, x->dim[1], x->dim[2]);
    MLS_APPLY(c, &total, NULL, ((mls_t[]){ x, mls->load(c, kept), mask }),
              ((mls_t[]){ sum }));
    mls->store(c, kept, sum);
    return sum;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    spiking_head *p = self;
    mls_t both[2], mask = in[1];
    spiking_run(c, p, in, both);
    if (p->show == SHOW_COUNT) {
        out[0] = grouped(c, p, add_up(c, p->kept, both[0], mask), 1.0);
        return;
    }
    mls_t y;
    if (p->show == SHOW_MAX) {
        y = mls->tensor(c, 1, both[1]->dim[1], both[1]->dim[2]);
        MLS_APPLY(c, &peak, p, ((mls_t[]){ both[1], mls->load(c, p->kept), mask }),
                  ((mls_t[]){ y }));
        mls->store(c, p->kept, y);
    } else {
        mls_t one = mls->scale(c, mls->slice(c, both[1], 0, 1), 0.0, 1.0);
        mls_t n = add_up(c, p->count, one, mask), least = mls->scale(c, n, 0.0, 1.0);
        y = mls->binary(c, MLS_DIV, add_up(c, p->kept, both[1], mask),
                        mls->binary(c, MLS_MAX, n, least));
    }
    out[0] = grouped(c, p, y, (double)p->population);
}

static const mls_port ports[] = { { "in", MLS_IN, "T B n", "features" },
                                  { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
                                  { "out", MLS_OUT, "1 B output",
                                    "spikes or membrane of each output so far" },
                                  MLS_PORT_END };

static const mls_option options[] = {
    SPIKING_HEAD_OPTIONS("count|max_membrane|mean_membrane",
                         "spikes of an output over the steps; or the largest membrane of its "
                         "neurons, or the mean one"),
    MLS_OPT_END
};

static const mls_component component = {
    sizeof component, "head", "spike_count", MLS_CAUSAL | MLS_STREAMS,
    "Spikes or membranes of leaky neurons for each output, over the sequence.\n\n"
    "With `train.loss` = ce_count, mse_count or ce_max_membrane it is one of snnTorch's "
    "readouts; with the task's own loss the output is a prediction or logits.",
    ports, options, sizeof(spiking_head), setup, forward, NULL
};

MLS_PLUGIN("head-spike-count", "1.0", "Apache-2.0", &component);
