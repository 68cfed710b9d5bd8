/* /report/<node>.<channel>: a state of one sample as SONATA's report, a matrix of time and
 * elements, with one element for each unit.  The data set is declared with the others and
 * gets its values when the file ends, from the newest record of /states; it is not filtered,
 * so that writing them is one write in place, which a file in SWMR mode allows.          */
#include "rec/track.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A small data set with its values; negative on failure. */
static hid_t whole(hid_t file, const char *group, const char *name, hid_t type, int64_t n,
                   const void *data)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/mapping/%s", group, name);
    const hsize_t dim = (hsize_t)n;
    hid_t space = H5Screate_simple(1, &dim, NULL), links = mls_rec_links(), d = -1;
    if (space >= 0 && links >= 0)
        d = H5Dcreate2(file, path, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    if (d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        H5Dclose(d);
        d = -1;
    }
    if (links >= 0) H5Pclose(links);
    if (space >= 0) H5Sclose(space);
    return d;
}

static int closed(hid_t d)
{
    return d >= 0 && H5Dclose(d) >= 0;
}

/* Which elements the columns are: every unit is a node with the one element 0. */
static int mapping(const mls_track *t, hid_t file, const char *group, double step_ms)
{
    const size_t n = (size_t)t->U;
    uint64_t *id = malloc((n + 1) * sizeof *id);
    uint32_t *element = calloc(n, sizeof *element);
    const double time[3] = { 0.0, (double)t->T * step_ms, step_ms };
    const uint8_t sorted = 1;
    int ok = id && element;
    for (size_t i = 0; ok && i <= n; i++) id[i] = i;
    hid_t d = ok ? whole(file, group, "node_ids", H5T_NATIVE_UINT64, t->U, id) : -1;
    ok = d >= 0 && mls_rec_number(d, "sorted", H5T_NATIVE_UINT8, 1, &sorted);
    ok = closed(d) && ok &&
         closed(whole(file, group, "index_pointers", H5T_NATIVE_UINT64, t->U + 1, id)) &&
         closed(whole(file, group, "element_ids", H5T_NATIVE_UINT32, t->U, element));
    d = ok ? whole(file, group, "time", H5T_NATIVE_DOUBLE, 3, time) : -1;
    ok = d >= 0 && mls_rec_text(d, "units", "ms");
    ok = closed(d) && ok;
    free(id);
    free(element);
    return ok;
}

static hid_t matrix(const mls_track *t, hid_t file, const char *path)
{
    const hsize_t dim[2] = { (hsize_t)t->T, (hsize_t)t->U };
    const float nan_value = NAN;
    hid_t space = H5Screate_simple(2, dim, NULL), p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t links = mls_rec_links(), d = -1;
    if (space >= 0 && p >= 0 && links >= 0 &&
        H5Pset_alloc_time(p, H5D_ALLOC_TIME_EARLY) >= 0 &&
        H5Pset_fill_value(p, H5T_NATIVE_FLOAT, &nan_value) >= 0)
        d = H5Dcreate2(file, path, H5T_NATIVE_FLOAT, space, links, p, H5P_DEFAULT);
    if (links >= 0) H5Pclose(links);
    if (p >= 0) H5Pclose(p);
    if (space >= 0) H5Sclose(space);
    return d;
}

int mls_report_create(mls_track *t, hid_t file, double step_ms, mls_scales *s,
                      mls_error *e)
{
    const char *group = mls_arena_printf(s->arena, "/report/%s", t->name);
    const char *path = mls_arena_printf(s->arena, "/report/%s/data", t->name);
    const char *scale[2] = {
        mls_arena_printf(s->arena, "/states/time_%lld", (long long)t->T),
        mls_arena_printf(s->arena, "/states/unit_%lld", (long long)t->U)
    };
    static const char *const label[2] = { "time", "element" };
    const int64_t none = -1;
    int ok = group && path && scale[0] && scale[1];
    hid_t d = ok ? matrix(t, file, path) : -1;
    ok = d >= 0 && mls_rec_text(d, "units", t->unit ? t->unit : "1") &&
         mls_rec_text(d, "long_name", t->help ? t->help : t->name) &&
         mls_rec_number(d, "train_step", H5T_NATIVE_INT64, 1, &none);
    ok = closed(d) && ok && mls_scales_attach(s, file, path, 2, scale, label) &&
         mapping(t, file, group, step_ms);
    if (!ok) {
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "/report/%s cannot be created: %s", t->name, why);
    }
    return ok;
}

int mls_report_write(mls_track *t, hid_t file, mls_error *e)
{
    const int64_t n = t->value.done;
    if (n < 1) return 1;
    char path[1200];
    snprintf(path, sizeof path, "/report/%s/data", t->name);
    float *x = malloc((size_t)(t->T * t->U) * sizeof *x);
    hid_t d = -1, a = -1;
    int64_t step;
    int ok = x && mls_column_read(&t->value, file, n - 1, 1, x, e) &&
             mls_column_read(&t->step, file, n - 1, 1, &step, e);
    if (ok) d = H5Dopen2(file, path, H5P_DEFAULT);
    if (d >= 0) a = H5Aopen(d, "train_step", H5P_DEFAULT);
    ok = ok && a >= 0 && H5Awrite(a, H5T_NATIVE_INT64, &step) >= 0 &&
         H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0;
    if (a >= 0 && H5Aclose(a) < 0) ok = 0;
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    free(x);
    if (!ok && !e->set) {
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s could not be written: %s", path, why);
    }
    return ok;
}
