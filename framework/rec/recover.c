/* mls recover: a new file from what a killed writer left.  The layout is read from the
 * old file and given to the same code that resumes a run.                               */
#include "rec/track.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 4096 };

struct layout {
    mls_recorder_config config;
    mls_arena          *a;
    mls_channel        *channel;
    mls_request        *request;
    const char        **metric;
    const char *const (*provenance)[2];
};

static int ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s), m = strlen(tail);
    return n > m && !strcmp(s + n - m, tail);
}

static char *text_of(hid_t file, const char *path, const char *name, mls_arena *a)
{
    hid_t o = H5Oopen(file, path, H5P_DEFAULT);
    char *text = o >= 0 ? mls_rec_read_text(o, name, a) : NULL;
    if (o >= 0) H5Oclose(o);
    return text;
}

static int number_of(hid_t file, const char *path, const char *name, hid_t type,
                     void *out)
{
    hid_t o = H5Oopen(file, path, H5P_DEFAULT), at = -1;
    if (o >= 0 && H5Aexists(o, name) > 0) at = H5Aopen(o, name, H5P_DEFAULT);
    const int ok = at >= 0 && H5Aread(at, type, out) >= 0;
    if (at >= 0) H5Aclose(at);
    if (o >= 0) H5Oclose(o);
    return ok;
}

/* One channel from the path of its data set: a request of its own keeps its shape. */
static void add(struct layout *l, hid_t file, const char *path, const char *name,
                int spikes, const int64_t shape[3])
{
    mls_recorder_config *c = &l->config;
    char *node = mls_arena_strdup(l->a, name), *dot = node ? strrchr(node, '.') : NULL;
    if (!dot || dot == node) return;
    *dot = '\0';
    l->channel[c->n_channels++] =
        (mls_channel){ .node = node,
                       .name = dot + 1,
                       .unit = text_of(file, path, "units", l->a),
                       .help = text_of(file, path, "long_name", l->a),
                       .flags = spikes ? MLS_SPIKES : 0,
                       .width = shape[2] };
    mls_request q = { .selector = mls_arena_strdup(l->a, name), .steps = shape[0],
                      .samples = shape[1], .units = shape[2] };
    if (!number_of(file, path, "significant_bits", H5T_NATIVE_INT, &q.round_bits))
        q.round_bits = 0;
    l->request[c->n_requests++] = q;
    if (shape[0] > c->T) c->T = shape[0];
    if (shape[1] > c->B) c->B = shape[1];
}

static void read_channels(struct layout *l, hid_t file, const char **names)
{
    char path[1024];
    int n = mls_rec_names(file, "/states", names, NAMES, l->a);
    for (int i = 0; i < n; i++) {
        hsize_t dim[4];
        snprintf(path, sizeof path, "/states/%s", names[i]);
        hid_t d = H5Dopen2(file, path, H5P_DEFAULT), s = d >= 0 ? H5Dget_space(d) : -1;
        if (s >= 0 && H5Sget_simple_extent_ndims(s) == 4 &&
            H5Sget_simple_extent_dims(s, dim, NULL) == 4) {
            const int64_t shape[3] = { (int64_t)dim[1], (int64_t)dim[2],
                                       (int64_t)dim[3] };
            add(l, file, path, names[i], 0, shape);
        }
        if (s >= 0) H5Sclose(s);
        if (d >= 0) H5Dclose(d);
    }
    n = mls_rec_names(file, "/spikes", names, NAMES, l->a);
    for (int i = 0; i < n; i++) {
        if (!ends_with(names[i], "/record_end")) continue;
        char *name = mls_arena_strdup(l->a, names[i]);
        if (!name) continue;
        *strrchr(name, '/') = '\0';
        int64_t shape[3];
        snprintf(path, sizeof path, "/spikes/%s", name);
        if (number_of(file, path, "steps_samples_units", H5T_NATIVE_INT64, shape))
            add(l, file, path, name, 1, shape);
    }
}

static void read_rest(struct layout *l, hid_t file, const char **names)
{
    mls_recorder_config *c = &l->config;
    char path[1024];
    int n = mls_rec_names(file, "/metrics", names, NAMES, l->a);
    for (int i = 0; i < n; i++)
        if (!ends_with(names[i], "_step")) l->metric[c->n_metrics++] = names[i];
    n = mls_rec_names(file, "/provenance", names, NAMES, l->a);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "/provenance/%s", names[i]);
        const char **pair = (const char **)l->provenance[c->n_provenance];
        pair[0] = names[i];
        pair[1] = mls_rec_read_text_set(file, path, l->a);
        if (pair[1]) c->n_provenance++;
    }
    c->config_yaml = mls_rec_read_text_set(file, "/config", l->a);
    if (!number_of(file, "/", "step_ms", H5T_NATIVE_DOUBLE, &c->step_ms))
        c->step_ms = 1.0;
    c->resume_step = mls_root_starts_after(file);
}

static int describe(struct layout *l, const char *from, mls_error *e)
{
    const char **names = mls_arena_zalloc(l->a, NAMES * sizeof *names);
    l->channel = mls_arena_zalloc(l->a, 2 * NAMES * sizeof *l->channel);
    l->request = mls_arena_zalloc(l->a, 2 * NAMES * sizeof *l->request);
    l->metric = mls_arena_zalloc(l->a, NAMES * sizeof *l->metric);
    l->provenance = mls_arena_zalloc(l->a, NAMES * sizeof *l->provenance);
    if (!names || !l->channel || !l->request || !l->metric || !l->provenance) {
        mls_error_set(e, "out of memory for the layout of %s", from);
        return 0;
    }
    hid_t f = mls_rec_open(from, e);
    if (f < 0) return 0;
    const char *format = mls_rec_read_text(f, "format", l->a);
    if (!format || strcmp(format, MLS_RECORD_FORMAT)) {
        mls_error_set(e, "%s: its attribute `format` is %s, which must be %s", from,
                      format ? format : "absent", MLS_RECORD_FORMAT);
    } else {
        read_channels(l, f, names);
        read_rest(l, f, names);
    }
    H5Fclose(f);
    l->config.channel = l->channel;
    l->config.request = l->request;
    l->config.metric = l->metric;
    l->config.provenance = l->provenance;
    return !e->set;
}

struct described { struct layout *l; const char *from; };

/* In a child first: the names and attributes of a damaged file can crash libhdf5 too. */
static int describable(void *arg)
{
    struct described *d = arg;
    mls_error e = { 0 };
    return describe(d->l, d->from, &e);
}

static int write_out(struct layout *l, const char *from, const char *to, mls_error *e)
{
    mls_recorder *r = mls_recorder_plan(&l->config, e);
    if (!r) return 0;
    if (!mls_recorder_readable(r, from))
        mls_error_set(&r->error, "is damaged: not all of it can be read");
    int ok = !r->error.set && mls_recorder_build(r, &l->config, to) &&
             mls_recorder_take(r, from, INT64_MAX);
    for (int i = 0; ok && i < r->n_tracks; i++)
        if (r->track[i].spikes) ok = mls_spikes_sorted(&r->track[i], r->file);
    if (ok) {
        mls_rec_init();
        ok = H5Fflush(r->file, H5F_SCOPE_GLOBAL) >= 0;
        if (!ok) mls_error_set(&r->error, "%s cannot be written", to);
    }
    if (!ok) {
        mls_error_set(e, "%s: %s", from, r->error.text);
        unlink(to);
    }
    mls_recorder_free(r);
    return ok && mls_rec_sync(to, e);
}

int mls_record_recover(const char *from, const char *to, mls_error *e)
{
    mls_rec_init();
    mls_arena a = { 0 };
    struct layout l = { .a = &a };
    struct described d = { &l, from };
    int ok = 0;
    if (access(from, R_OK) != 0)
        mls_error_set(e, "%s: cannot be read", from);
    else if (access(to, F_OK) == 0)
        mls_error_set(e, "%s exists already; give the recovered file another name", to);
    else if (!mls_rec_survives(describable, &d))
        mls_error_set(
            e,
            "%s: nothing can be recovered: it is no recording of mls, or it was "
            "damaged beyond its last flush",
            from);
    else
        ok = describe(&l, from, e) && write_out(&l, from, to, e);
    mls_arena_free(&a);
    return ok;
}
