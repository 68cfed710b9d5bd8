#include "rec/read_spikes.h"

#include "rec/h5.h"

#include <stdio.h>
#include <string.h>

static int64_t length(hid_t set)
{
    const hid_t space = H5Dget_space(set);
    const hssize_t n = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    if (space >= 0)
        H5Sclose(space);
    return (int64_t)n;
}

/* Items [from, from + n) of /spikes/<population>/<column>; n < 0: as many as there are,
 * told in *n.  1 when read. */
static int column(hid_t file, const char *population, const char *name, hid_t type,
                  int64_t from, int64_t *n, size_t size, void **out, mls_arena *a)
{
    char path[1200];
    snprintf(path, sizeof path, "/spikes/%s/%s", population, name);
    const hid_t set = H5Dopen2(file, path, H5P_DEFAULT);
    if (set < 0)
        return 0;
    const int64_t all = length(set);
    if (*n < 0)
        *n = all;
    int ok = all >= 0 && from >= 0 && *n >= 0 && from + *n <= all;
    *out = ok ? mls_arena_alloc(a, (size_t)(*n + 1) * size) : NULL;
    ok = ok && *out;
    if (ok && *n > 0) {
        const hsize_t start = (hsize_t)from, count = (hsize_t)*n;
        const hid_t where = H5Dget_space(set), here = H5Screate_simple(1, &count, NULL);
        ok = where >= 0 && here >= 0
            && H5Sselect_hyperslab(where, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0
            && H5Dread(set, type, here, where, H5P_DEFAULT, *out) >= 0;
        if (where >= 0)
            H5Sclose(where);
        if (here >= 0)
            H5Sclose(here);
    }
    H5Dclose(set);
    return ok;
}

static int read_population(hid_t file, int64_t most, mls_arena *a, mls_spikes *s)
{
    void *end, *step, *time, *unit, *sample;
    int64_t records = -1, again = -1;
    if (!column(file, s->population, "record_end", H5T_NATIVE_INT64, 0, &records, 8, &end, a)
        || !column(file, s->population, "record_step", H5T_NATIVE_INT64, 0, &again, 8, &step,
                   a))
        return 0;
    if (records < 1 || again != records)
        return 1;                                /* nothing recorded yet */
    const int64_t from = records > 1 ? ((int64_t *)end)[records - 2] : 0;
    int64_t n = ((int64_t *)end)[records - 1] - from;
    if (n > 16 * most)                           /* other samples are in between */
        n = 16 * most;
    if (n < 0 || !column(file, s->population, "timestamps", H5T_NATIVE_DOUBLE, from, &n, 8,
                         &time, a)
        || !column(file, s->population, "node_ids", H5T_NATIVE_INT64, from, &n, 8, &unit, a)
        || !column(file, s->population, "sample", H5T_NATIVE_INT64, from, &n, 8, &sample, a))
        return 0;
    s->record_step = ((int64_t *)step)[records - 1];
    s->time = time;
    s->unit = unit;
    for (int64_t i = 0; i < n && s->n < most; i++) {
        if (((int64_t *)sample)[i] != 0)
            continue;
        s->time[s->n] = s->time[i];
        s->unit[s->n++] = s->unit[i];
    }
    return 1;
}

int mls_spikes_read(const char *path, const char *population, int64_t most, mls_arena *a,
                    mls_spikes *out, mls_error *e)
{
    const char *names[64];
    memset(out, 0, sizeof *out);
    const hid_t file = mls_rec_open(path, e);
    if (file < 0)
        return 0;
    const int n = population ? 0 : mls_rec_names(file, "/spikes", names, 64, a);
    for (int i = 0; i < n && !population; i++) {
        const char *slash = strrchr(names[i], '/');
        if (slash && slash > names[i])           /* "layer0.enc.spikes/node_ids" */
            population = mls_arena_printf(a, "%.*s", (int)(slash - names[i]), names[i]);
    }
    int ok = 0;
    if (population) {
        out->population = population[0] == '/' ? population + 1 : population;
        ok = read_population(file, most, a, out);
        if (!ok)
            mls_error_set(e, "%s: the spikes of \"%s\" cannot be read", path, population);
    }
    H5Fclose(file);
    return ok;
}
