#include "study/watch.h"

#include <math.h>
#include <string.h>

static void tell(mls_watch *w)
{
    if (!w->recorder || w->told == w->step) return;
    mls_recorder_at(w->recorder, w->step, w->evaluating);
    w->told = w->step;
}

static int spike_channel(const mls_watch *w, const char *node, const char *name)
{
    for (int i = 0; w->evaluating && i < w->n; i++)
        if (!strcmp(w->node[i], node) && !strcmp(w->name[i], name)) return i;
    return -1;
}

static int wanted(void *arg, const char *node, const char *name)
{
    mls_watch *w = arg;
    tell(w);
    if (spike_channel(w, node, name) >= 0) return 1;
    return w->recorder && w->inner.wanted(w->inner.arg, node, name);
}

/* Adds the spikes of real steps: padding fires at nothing, and would make a network of
 * short samples look sparser than it is.                                                 */
static void count(mls_watch *w, int i, mls_t v, int64_t t0)
{
    const mls_tensor *mask = w->run ? mls_run_mask(w->run) : NULL;
    const int64_t B = v->dim[1], N = v->dim[2];
    for (int64_t r = 0; r < v->dim[0] * B; r++) {
        if (mask && mask->data[t0 * B + r] == 0.0f) continue;
        double sum = 0.0;
        for (int64_t n = 0; n < N; n++) sum += (double)v->data[r * N + n];
        w->spikes[i] += sum;
        w->count[i] += (double)N;
    }
}

static void value(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    mls_watch *w = arg;
    tell(w);
    const int i = ch->flags & MLS_SPIKES ? spike_channel(w, ch->node, ch->name) : -1;
    if (i >= 0 && v->data) count(w, i, v, t0);
    if (w->recorder && w->inner.wanted(w->inner.arg, ch->node, ch->name))
        w->inner.value(w->inner.arg, ch, v, t0);
}

void mls_watch_attach(mls_watch *w, mls_run *run, mls_recorder *recorder,
                      int evaluating, mls_arena *a)
{
    mls_channel *list = NULL;
    *w = (mls_watch){ .run = run, .recorder = recorder, .evaluating = evaluating,
                      .told = -1 };
    if (!run) return;
    if (recorder) w->inner = mls_recorder_observer(recorder);
    const int n = evaluating ? mls_run_channels(run, &list, a) : 0;
    for (int i = 0; i < n && w->n < MLS_WATCH_MOST; i++) {
        if (!(list[i].flags & MLS_SPIKES)) continue;
        w->node[w->n] = list[i].node;
        w->name[w->n++] = list[i].name;
    }
    const mls_observer o = { w, wanted, value };
    if (recorder || w->n) mls_run_observe(run, &o);
    if (evaluating) mls_run_synapses(run, 1);
}

void mls_watch_clear(mls_watch *w)
{
    memset(w->spikes, 0, sizeof w->spikes);
    memset(w->count, 0, sizeof w->count);
    if (w->run && w->evaluating) mls_run_synapses_clear(w->run);
}

double mls_watch_synops(const mls_watch *w)
{
    return w->run && w->evaluating ? mls_run_synops(w->run) : NAN;
}

double mls_watch_rate(const mls_watch *w)
{
    double sum = 0.0;
    int n = 0;
    for (int i = 0; i < w->n; i++)
        if (w->count[i] > 0.0) {
            sum += w->spikes[i] / w->count[i];
            n++;
        }
    return n ? sum / n : NAN;
}
