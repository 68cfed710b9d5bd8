/* sonata.c - spikes in SONATA files as events; each population of a file is a sample, or
 * several when windows are asked for.                                                   */
#include "import/import.h"
#include "rec/sonata.h"

#include <stdlib.h>

typedef struct spike { double time; int32_t channel; } spike;

static int by_time(const void *a, const void *b)
{
    const spike *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return (x->channel > y->channel) - (x->channel < y->channel);
}

static void add(mls_import *m, const char *path, const mls_sonata_spikes *s, double window,
                mls_samples *out)
{
    spike *all = mls_arena_alloc(m->a, (size_t)(s->n + 1) * sizeof *all);
    double *time = mls_arena_alloc(m->a, (size_t)(s->n + 1) * sizeof *time);
    int32_t *channel = mls_arena_alloc(m->a, (size_t)(s->n + 1) * sizeof *channel);
    if (!all || !time || !channel) {
        mls_error_set(m->e, "%s: no memory for %lld spikes", path, (long long)s->n);
        return;
    }
    for (int64_t i = 0; i < s->n; i++)
        all[i] = (spike){ s->time[i], (int32_t)s->node[i] };
    qsort(all, (size_t)s->n, sizeof *all, by_time);
    for (int64_t from = 0, to; from < s->n && mls_import_step(m, path, from, s->n); from = to) {
        const double start = window > 0 ? window * (double)(int64_t)(all[from].time / window)
                                        : 0.0;
        for (to = from; to < s->n && (window <= 0 || all[to].time < start + window); to++) {
            time[to] = all[to].time - start;
            channel[to] = all[to].channel;
        }
        if (to == from) to++;            /* a rounding at the very end of a window */
        const mls_samples_row row = { .steps = to - from, .time = time + from,
                                      .channel = channel + from };
        mls_samples_add(out, &row);
    }
}

static void run(mls_import *m)
{
    mls_sonata_spikes **file = mls_arena_zalloc(m->a, (size_t)(m->n_inputs + 1) * sizeof *file);
    int *populations = mls_arena_zalloc(m->a, (size_t)(m->n_inputs + 1) * sizeof *populations);
    mls_samples *part[MLS_PARTS] = { NULL };
    const double window = mls_import_real(m, "window", 0, 0, 1e12);
    int64_t channels = mls_import_int(m, "channels", 0, 0, 1 << 24), most = 0;
    if (!file || !populations) mls_error_set(m->e, "no memory");
    for (int i = 0; i < m->n_inputs && !m->e->set; i++) {
        mls_sonata_spikes_read(m->input[i].path, m->a, &file[i], &populations[i], m->e);
        for (int p = 0; p < populations[i] && !m->e->set; p++)
            for (int64_t k = 0; k < file[i][p].n; k++) {
                if (file[i][p].node[k] + 1 > most) most = file[i][p].node[k] + 1;
                if (most > (channels ? channels : 1 << 24))
                    mls_error_set(m->e, "%s: spike %lld of population \"%s\" is of node %lld; "
                                  "expected one below %lld", m->input[i].path, (long long)k,
                                  file[i][p].population, (long long)most - 1,
                                  (long long)(channels ? channels : 1 << 24));
                if (m->e->set) return;
            }
    }
    const mls_samples_shape shape = { .features = channels ? channels : most,
                                      .time_unit = "ms", .has = MLS_HAS_EVENTS };
    for (int i = 0; i < m->n_inputs && !m->e->set; i++) {
        const mls_import_input *in = &m->input[i];
        if (!part[in->part]) part[in->part] = mls_samples_open(m, in->part, &shape);
        for (int p = 0; p < populations[i] && !m->e->set; p++)
            add(m, in->path, &file[i][p], window, part[in->part]);
    }
    for (int k = 0; k < MLS_PARTS; k++)
        if (part[k]) mls_samples_close(part[k]);
}

static const mls_import_option options[] = {
    { "window", "MS", "cut into samples of this length, leaving out those without spikes (0: "
                      "each population is one sample)" },
    { "channels", "N", "nodes of a population (one more than the greatest that spiked)" },
    { NULL, NULL, NULL }
};

const mls_importer mls_import_sonata = {
    "sonata", "spikes in SONATA files, also of the older form, and NWB 1.0: SPIKES.h5 ...",
    "There are no labels: task.hdf5 with predict asks for the next step.", options, run
};
