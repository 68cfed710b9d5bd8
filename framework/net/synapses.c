/* synapses.c - how much a network does for a sample: counted from shapes, and from spikes. */
#include "net/inner.h"

#include <math.h>

void mls_net_synapses_at(mls_run *run, int64_t t0, int64_t steps)
{
    if (!run->tape.synapses) return;
    const mls_tensor *mask = run->mask;
    run->synapses.steps = steps;
    run->synapses.mask = mask && mask->data ? mask->data + t0 * mask->dim[1] : NULL;
}

void mls_run_synapses(mls_run *run, int on)
{
    run->tape.synapses = on ? &run->synapses : NULL;
    run->synapses.samples = run->batch;
    mls_run_synapses_clear(run);
}

void mls_run_synapses_clear(mls_run *run)
{
    run->synapses.operations = run->synapse_samples = 0.0;
    run->synapses.maps = 0;
}

void mls_run_synapses_of(mls_run *run, int64_t samples)
{
    run->synapses.samples = samples < run->batch ? samples : run->batch;
}

double mls_run_synops(const mls_run *run)
{
    return run->synapses.maps && run->synapse_samples > 0.0
               ? run->synapses.operations / run->synapse_samples : NAN;
}

int mls_net_work(mls_net *net, int64_t steps, mls_work *out, mls_error *e)
{
    static const int32_t token;
    static const float x;
    const mls_task_shape *s = &net->shape;
    const mls_batch b = { steps, 1, s->vocabulary ? &token : NULL, s->vocabulary ? NULL : &x,
                          s->has_mask ? &x : NULL, s->has_dt ? &x : NULL, NULL, NULL, NULL };
    mls_run *r = mls_run_new(net, 1, 0, e);
    if (!r) return 0;
    r->tape.dry = 1;
    mls_run_forward(r, &b, 0);
    if (r->error.set) mls_error_set(e, "%s", r->error.text);
    *out = (mls_work){ r->tape.macs, r->tape.macs - r->tape.spike_macs };
    mls_run_free(r);
    return !e->set;
}
