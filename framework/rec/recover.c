/* mls recover: a new file from what a killed writer left.  The layout is read from the
 * old file and given to the same code that resumes a run.                               */
#include "rec/track.h"

#include <errno.h>
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
    int                 complete;
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

static int reported(hid_t file, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "/report/%s", name);
    return H5Lexists(file, "/report", H5P_DEFAULT) > 0 &&
           H5Lexists(file, path, H5P_DEFAULT) > 0;
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
                      .samples = shape[1], .units = shape[2],
                      .report = !spikes && reported(file, name) };
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
    if (!number_of(file, "/", "complete", H5T_NATIVE_INT, &l->complete)) l->complete = 0;
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
                      format ? format : "absent or unreadable", MLS_RECORD_FORMAT);
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

/* In a child first: the names and attributes of a damaged file can crash libhdf5 too.
 * What it says is said once more by the parent, who can pass it on.                     */
static int describable(void *arg)
{
    struct described *d = arg;
    mls_error e = { 0 };
    describe(d->l, d->from, &e);
    return 1;
}

static void tell(const mls_recorder *r, const struct layout *l, mls_recovered *told)
{
    *told = (mls_recovered){ .step = INT64_MIN, .complete = l->complete == 1 };
    for (int i = 0; i < r->n_tracks; i++) {
        told->channels += r->track[i].last > INT64_MIN;
        if (r->track[i].last > told->step) told->step = r->track[i].last;
    }
    for (int i = 0; i < r->n_series; i++) {
        told->metrics += r->series[i].last > INT64_MIN;
        if (r->series[i].last > told->step) told->step = r->series[i].last;
    }
    if (r->warning) snprintf(told->warning, sizeof told->warning, "%s", r->warning);
}

static int write_out(struct layout *l, const char *from, const char *to,
                     mls_recovered *told, mls_error *e)
{
    const char *fresh = mls_arena_printf(l->a, "%s.new", to);
    mls_recorder *r = mls_recorder_plan(&l->config, e);
    if (!r) return 0;
    if (!mls_recorder_readable(r, from))
        mls_error_set(&r->error, "is damaged: not all of it can be read");
    int ok = fresh && !r->error.set && mls_recorder_build(r, &l->config, fresh) &&
             mls_recorder_take(r, from, INT64_MAX) && mls_recorder_last(r);
    if (ok && !mls_recorder_shut(r))
        mls_error_set(&r->error, "%s cannot be written", fresh);
    ok = ok && !r->error.set && mls_recorder_verify(fresh, r, 0, &r->error) &&
         mls_rec_move(fresh, to, &r->error);
    if (!ok) {
        mls_error_set(e, "%s: %s", from,
                      r->error.set ? r->error.text : "out of memory");
        if (fresh) unlink(fresh);
    } else if (told) {
        tell(r, l, told);
    }
    mls_recorder_free(r);
    return ok;
}

int mls_record_recover(const char *from, const char *to, mls_recovered *told,
                       mls_error *e)
{
    mls_rec_init();
    mls_arena a = { 0 };
    struct layout l = { .a = &a };
    struct described d = { &l, from };
    int ok = 0;
    if (access(from, R_OK) != 0)
        mls_error_set(e, "%s: cannot be read: %s", from, strerror(errno));
    else if (access(to, F_OK) == 0)
        mls_error_set(e, "%s exists already; give the recovered file another name", to);
    else if (!mls_rec_survives(describable, &d))
        mls_error_set(
            e,
            "%s: nothing can be recovered: it is so damaged that reading it ends the "
            "process",
            from);
    else
        ok = describe(&l, from, e) && write_out(&l, from, to, told, e);
    mls_arena_free(&a);
    return ok;
}
