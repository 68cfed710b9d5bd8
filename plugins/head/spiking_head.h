/* spiking_head.h - the last layer of a spiking classifier: `population` leaky neurons for
 * each of the task's outputs, those of an output side by side.
 *
 *   U[t] = beta U[t-1] + W x[t] + b - theta S[t-1]   (reset subtract; others: leaky.h)
 *   S[t] = H(U[t] - theta)
 * The membrane is U, before the reset of its own step, as snnTorch's Leaky gives it.
 */
#ifndef MLS_PLUGINS_SPIKING_HEAD_H
#define MLS_PLUGINS_SPIKING_HEAD_H

#include "../encoder/leaky.h"

typedef struct spiking_head {
    neuron base;
    int64_t population;
    double beta, threshold, scale;
    int show;
    mls_state *kept, *count;
} spiking_head;

#define SPIKING_HEAD_OPTIONS(readouts, readout_help)                                     \
    MLS_OPT(spiking_head, population, MLS_INT, 1, 1, 4096, NULL,                         \
            "neurons for each of the task's outputs"),                                   \
        MLS_OPT(spiking_head, beta, MLS_REAL, 0.9, 0, 1, NULL,                           \
                "part of the membrane that is left after a step"),                       \
        MLS_OPT(spiking_head, threshold, MLS_REAL, 1.0, 1e-3, 1e3, NULL,                 \
                "firing threshold"),                                                     \
        NEURON_CHOICE(spiking_head, reset, RESETS, "what a spike does to the membrane"), \
        NEURON_SURROGATE(spiking_head),                                                  \
        { "readout", MLS_CHOICE, offsetof(spiking_head, show), 0, 0, 0, readouts, NULL,  \
          readout_help },                                                                \
        MLS_OPT(spiking_head, scale, MLS_REAL, 1.0, 1e-6, 1e6, NULL,                     \
                "factor on the output")

/* Sums of each `population` features that lie side by side. */
static void group_forward(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t P = ((const spiking_head *)k->attr)->population;
    for (int64_t i = 0; i < y->count; i++) {
        float sum = 0.0f;
        for (int64_t j = 0; j < P; j++) sum += x->data[i * P + j];
        y->data[i] = sum;
    }
}

static void group_backward(const mls_call *k)
{
    mls_t x = k->in[0], y = k->out[0];
    const int64_t P = ((const spiking_head *)k->attr)->population;
    for (int64_t i = 0; x->grad && i < x->count; i++) x->grad[i] += y->grad[i / P];
}

static const mls_op group = { sizeof group, "spiking_head.group", group_forward,
                              group_backward, NULL };

/* One feature for each output, times `scale` / by. */
static mls_t grouped(mls_ctx *c, const spiking_head *p, mls_t x, double by)
{
    mls_t y = x;
    if (p->population > 1) {
        y = mls->tensor(c, x->dim[0], x->dim[1], x->dim[2] / p->population);
        MLS_APPLY(c, &group, p, ((mls_t[]){ x }), ((mls_t[]){ y }));
    }
    return mls->scale(c, y, p->scale / by, 0.0);
}

static void spiking_setup(mls_ctx *c, spiking_head *p)
{
    neuron *n = &p->base;
    const int64_t in = mls->width(c, "in");
    n->units = mls->width(c, "output") * p->population;
    n->steps = 1;
    n->project = 1;
    n->params = LEAKY_PARAMS;
    n->constant[BETA] = (float)p->beta;
    n->constant[THETA] = (float)p->threshold;
    n->constant[GAIN] = 1.0f;
    n->w = mls->weight(c, "weight", n->units, in, MLS_LINEAR);
    n->b = mls->weight(
        c, "bias", 1, n->units,
        mls_init_of(MLS_UNIFORM, in ? 1.0 / sqrt((double)in) : 0.0, MLS_NO_DECAY));
    neuron_carry(c, n, 0.0);
}

/* out: spikes, membrane [T][B][units] */
static void spiking_run(mls_ctx *c, spiking_head *p, const mls_t *in, mls_t out[2])
{
    mls_t none[LEAKY_PARAMS] = { NULL };
    run_neurons(c, &p->base, mls->linear(c, in[0], p->base.w, p->base.b), in[1], none, out);
    mls->tap(c, "spikes", out[0], "spike", "spikes of the neurons of the head");
    mls->tap(c, "membrane", out[1], NULL, "their membranes, before the reset of the step");
}

#endif
