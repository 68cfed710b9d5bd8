/* npy.c - NumPy arrays [rows][columns], one series each. */
#include "import/series.h"
#include "rec/npy.h"

static void run(mls_import *m)
{
    mls_series *s = mls_series_open(m);
    for (int i = 0; s && i < m->n_inputs; i++) {
        const mls_import_input *in = &m->input[i];
        if (!mls_import_step(m, in->path, i, m->n_inputs)) return;
        const mls_mark mark = mls_arena_mark(m->a);
        int64_t dim[4];
        int rank;
        const float *value = mls_rec_read_npy(in->path, m->a, &rank, dim, m->e);
        if (value && (rank < 1 || rank > 2 || dim[0] < 1 || dim[1] < 1))
            mls_error_set(m->e, "%s: has %d axes %lld x %lld; expected [rows] or "
                          "[rows][columns]", in->path, rank, (long long)dim[0],
                          (long long)dim[1]);
        if (m->e->set) return;
        const mls_table t = { .path = in->path, .rows = dim[0], .columns = dim[1],
                              .value = value };
        if (!mls_series_add(s, in->part, &t)) mls_arena_release(m->a, mark);
    }
    mls_series_close(s);
}

static const mls_import_option options[] = { MLS_SERIES_OPTIONS, { NULL, NULL, NULL } };

const mls_importer mls_import_npy = {
    "npy", "NumPy arrays [rows][columns], a series each: FILE.npy ...",
    "Without --target task.hdf5 with predict asks for the next row.", options, run
};
