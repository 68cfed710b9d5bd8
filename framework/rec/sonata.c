#include "rec/sonata.h"

#include "rec/h5.h"
#include "rec/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256, MOST_NODES = 1 << 20 };

typedef struct file {
    const char *path;
    hid_t       h5;
    mls_arena  *a;
    mls_error  *e;
} file;

static int there(const file *f, const char *name)
{
    return H5Lexists(f->h5, name, H5P_DEFAULT) > 0;
}

/* Whole data set `name` of one axis, as int64 or double; *n < 0: any length. */
static void *column(const file *f, const char *name, int whole, int64_t *n)
{
    const hid_t d = f->e->set ? -1 : H5Dopen2(f->h5, name, H5P_DEFAULT);
    if (f->e->set) return NULL;
    if (d < 0) {
        mls_error_set(f->e, "%s: has no data set \"%s\"", f->path, name);
        return NULL;
    }
    const hid_t space = H5Dget_space(d), type = H5Dget_type(d);
    const int64_t count = space >= 0 && H5Sget_simple_extent_ndims(space) == 1
                              ? (int64_t)H5Sget_simple_extent_npoints(space) : -1;
    const H5T_class_t k = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    void *out = NULL;
    if (count < 0 || (k != H5T_INTEGER && k != H5T_FLOAT))
        mls_error_set(f->e, "%s: \"%s\" is no list of numbers", f->path, name);
    else if (*n >= 0 && count != *n)
        mls_error_set(f->e, "%s: \"%s\" has %lld values, where %lld are expected", f->path,
                      name, (long long)count, (long long)*n);
    else if (count > (1 << 28) || !(out = mls_arena_alloc(f->a, (size_t)(count + 1) * 8)))
        mls_error_set(f->e, "%s: \"%s\" has %lld values, which is too many", f->path, name,
                      (long long)count);
    else if (count && H5Dread(d, whole ? H5T_NATIVE_INT64 : H5T_NATIVE_DOUBLE, H5S_ALL,
                              H5S_ALL, H5P_DEFAULT, out) < 0)
        mls_error_set(f->e, "%s: \"%s\" cannot be read", f->path, name);
    *n = count;
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    H5Dclose(d);
    return f->e->set ? NULL : out;
}

/* Names of the groups in `where`, or of all links. */
static int links_up_to(const file *f, const char *where, const char **names, int most)
{
    H5G_info_t info;
    int n = 0;
    const hid_t g = there(f, where) ? H5Gopen2(f->h5, where, H5P_DEFAULT) : -1;
    if (g < 0 || H5Gget_info(g, &info) < 0) {
        mls_error_set(f->e, "%s: has no group %s, so it is no SONATA file of that kind",
                      f->path, where);
        if (g >= 0) H5Gclose(g);
        return 0;
    }
    for (hsize_t i = 0; i < info.nlinks && n < most; i++) {
        char name[400];
        if (H5Lget_name_by_idx(g, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name,
                               H5P_DEFAULT) > 0)
            names[n++] = mls_arena_strdup(f->a, name);
    }
    H5Gclose(g);
    return n;
}

static int links(const file *f, const char *where, const char **names)
{
    return links_up_to(f, where, names, MOST);
}

static int seconds(const file *f, const char *name)
{
    const hid_t d = H5Dopen2(f->h5, name, H5P_DEFAULT);
    const char *unit = d >= 0 ? mls_rec_read_text(d, "units", f->a) : NULL;
    if (d >= 0) H5Dclose(d);
    return unit && (!strcmp(unit, "s") || !strcmp(unit, "seconds"));
}

static void check_times(const file *f, const char *name, const double *time, int64_t n)
{
    for (int64_t i = 0; i < n && !f->e->set; i++)
        if (!isfinite(time[i]) || time[i] < 0)
            mls_error_set(f->e, "%s: \"%s\" number %lld is %g; expected a time from 0", f->path,
                          name, (long long)i, time[i]);
}

static void read_spikes(const file *f, const char *group, const char *ids,
                        mls_sonata_spikes *s)
{
    char name[900];
    s->n = -1;
    snprintf(name, sizeof name, "%s/timestamps", group);
    s->time = column(f, name, 0, &s->n);
    const double scale = !f->e->set && seconds(f, name) ? 1000.0 : 1.0;
    for (int64_t i = 0; i < s->n && !f->e->set; i++) s->time[i] *= scale;
    check_times(f, name, s->time, s->n);
    snprintf(name, sizeof name, "%s/%s", group, ids);
    s->node = column(f, name, 1, &s->n);
    for (int64_t i = 0; i < s->n && !f->e->set; i++)
        if (s->node[i] < 0)
            mls_error_set(f->e, "%s: \"%s\" number %lld is %lld; expected a node from 0",
                          f->path, name, (long long)i, (long long)s->node[i]);
}

/* NWB 1.0: /processing/<trial>/spike_train/<node>/data holds the times of one node. */
static void read_trial(const file *f, const char *trial, mls_sonata_spikes *s)
{
    const char **node = mls_arena_alloc(f->a, MOST_NODES * sizeof *node);
    const int64_t nodes = node ? links_up_to(f, trial, node, MOST_NODES) : 0;
    double **time = mls_arena_zalloc(f->a, (size_t)(nodes + 1) * sizeof *time);
    int64_t *count = mls_arena_zalloc(f->a, (size_t)(nodes + 1) * sizeof *count);
    if (!time || !count) mls_error_set(f->e, "%s: no memory", f->path);
    for (int64_t i = 0; i < nodes && !f->e->set; i++) {
        char name[900];
        count[i] = -1;
        snprintf(name, sizeof name, "%s/%s/data", trial, node[i]);
        if (node[i][strspn(node[i], "0123456789")] || strlen(node[i]) > 9)
            mls_error_set(f->e, "%s: %s/%s; expected the number of a node", f->path, trial,
                          node[i]);
        else time[i] = column(f, name, 0, &count[i]);
        check_times(f, name, time[i], count[i]);
        s->n += f->e->set ? 0 : count[i];
    }
    s->time = mls_arena_alloc(f->a, (size_t)(s->n + 1) * sizeof *s->time);
    s->node = mls_arena_alloc(f->a, (size_t)(s->n + 1) * sizeof *s->node);
    int64_t at = 0;
    for (int64_t i = 0; i < nodes && !f->e->set && s->time && s->node; i++)
        for (int64_t k = 0; k < count[i]; k++, at++) {
            s->time[at] = time[i][k];
            s->node[at] = atoll(node[i]);
        }
}

static void all_trials(const file *f, mls_sonata_spikes **out, int *n)
{
    const char *names[MOST];
    char trial[600];
    const int all = links(f, "/processing", names);
    *out = mls_arena_zalloc(f->a, (size_t)(all + 1) * sizeof **out);
    for (int i = 0; i < all && !f->e->set && *out; i++) {
        (*out)[*n].population = names[i];
        snprintf(trial, sizeof trial, "/processing/%s/spike_train", names[i]);
        read_trial(f, trial, &(*out)[(*n)++]);
    }
}

static void all_spikes(const file *f, mls_sonata_spikes **out, int *n)
{
    *n = 0;
    if (!there(f, "/spikes") && there(f, "/processing")) {
        all_trials(f, out, n);
        return;
    }
    const char *names[MOST];
    char group[600];
    const int all = links(f, "/spikes", names);
    *out = mls_arena_zalloc(f->a, (size_t)(all + 1) * sizeof **out);
    if (f->e->set || !*out) return;
    if (there(f, "/spikes/timestamps")) {
        *n = 1;
        (*out)->population = "";
        read_spikes(f, "/spikes", "gids", *out);
        return;
    }
    for (int i = 0; i < all && !f->e->set; i++) {
        snprintf(group, sizeof group, "/spikes/%s", names[i]);
        (*out)[*n].population = names[i];
        read_spikes(f, group, "node_ids", &(*out)[(*n)++]);
    }
}

/* "/edges/v1_to_v1" in room bytes. */
static int first_population(const file *f, const char *kind, char *out, size_t room)
{
    const char *names[MOST];
    const int n = links(f, kind, names);
    if (!n) mls_error_set(f->e, "%s: %s has no population", f->path, kind);
    else snprintf(out, room, "%s/%s", kind, names[0]);
    return n > 0;
}

static int64_t *whole(const file *f, const char *group, const char *name, int64_t *n)
{
    char path[900];
    snprintf(path, sizeof path, "%s/%s", group, name);
    return column(f, path, 1, n);
}

static void all_nodes(const file *f, mls_sonata_nodes *out)
{
    char group[500], name[600];
    if (!first_population(f, "/nodes", group, sizeof group)) return;
    out->n = -1;
    out->type = whole(f, group, "node_type_id", &out->n);
    snprintf(name, sizeof name, "%s/node_id", group);
    if (!f->e->set && there(f, name)) {
        out->id = whole(f, group, "node_id", &out->n);
    } else if (!f->e->set) {
        out->id = mls_arena_alloc(f->a, (size_t)(out->n + 1) * sizeof *out->id);
        for (int64_t i = 0; out->id && i < out->n; i++) out->id[i] = i;
    }
}

/* An edge's values lie in the group edge_group_id at edge_group_index. */
static void edge_values(const file *f, const char *group, const char *name,
                        mls_sonata_edges *out)
{
    int64_t *of = whole(f, group, "edge_group_id", &out->n),
            *at = whole(f, group, "edge_group_index", &out->n);
    char path[900];
    int64_t count = -1, in = -1;
    double *values = NULL;
    out->value = mls_arena_alloc(f->a, (size_t)(out->n + 1) * sizeof *out->value);
    for (int64_t i = 0; i < out->n && !f->e->set && out->value; i++) {
        if (of[i] != in) {
            count = -1;
            in = of[i];
            snprintf(path, sizeof path, "%s/%lld/%s", group, (long long)in, name);
            values = column(f, path, 0, &count);
        }
        if (!f->e->set && (at[i] < 0 || at[i] >= count))
            mls_error_set(f->e, "%s: edge %lld is number %lld of group %lld, which has %lld",
                          f->path, (long long)i, (long long)at[i], (long long)in,
                          (long long)count);
        if (!f->e->set) out->value[i] = values[at[i]];
    }
}

static void all_edges(const file *f, const char *name, mls_sonata_edges *out)
{
    char group[500];
    if (!first_population(f, "/edges", group, sizeof group)) return;
    out->n = -1;
    out->source = whole(f, group, "source_node_id", &out->n);
    out->target = whole(f, group, "target_node_id", &out->n);
    out->type = whole(f, group, "edge_type_id", &out->n);
    if (name && !f->e->set) edge_values(f, group, name, out);
}

typedef struct job {
    file                f;
    mls_sonata_spikes **spikes;
    int                *n;
    mls_sonata_nodes   *nodes;
    mls_sonata_edges   *edges;
    const char         *column;
} job;

static int read_job(job *j)
{
    j->f.h5 = mls_rec_open(j->f.path, j->f.e);
    if (j->f.h5 < 0) return 0;
    if (j->spikes) all_spikes(&j->f, j->spikes, j->n);
    if (j->nodes) all_nodes(&j->f, j->nodes);
    if (j->edges) all_edges(&j->f, j->column, j->edges);
    H5Fclose(j->f.h5);
    return !j->f.e->set;
}

/* libhdf5 may die of a damaged file: a child tries it first. */
static int lives(void *arg)
{
    job j = *(job *)arg;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    j.f.a = &a;
    j.f.e = &e;
    read_job(&j);
    return 1;
}

static int go(job *j)
{
    if (j->f.e->set) return 0;
    mls_rec_init();
    if (access(j->f.path, R_OK) == 0 && !mls_rec_survives(lives, j)) {
        mls_error_set(j->f.e, "%s: is damaged so that libhdf5 crashes on it", j->f.path);
        return 0;
    }
    return read_job(j);
}

int mls_sonata_spikes_read(const char *path, mls_arena *a, mls_sonata_spikes **out, int *n,
                           mls_error *e)
{
    job j = { .f = { .path = path, .a = a, .e = e }, .spikes = out, .n = n };
    return go(&j);
}

int mls_sonata_nodes_read(const char *path, mls_arena *a, mls_sonata_nodes *out, mls_error *e)
{
    job j = { .f = { .path = path, .a = a, .e = e }, .nodes = out };
    return go(&j);
}

int mls_sonata_edges_read(const char *path, const char *name, mls_arena *a,
                          mls_sonata_edges *out, mls_error *e)
{
    job j = { .f = { .path = path, .a = a, .e = e }, .edges = out, .column = name };
    return go(&j);
}
