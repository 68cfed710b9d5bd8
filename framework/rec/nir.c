#include "rec/nir.h"

#include "rec/array_file.h"
#include "rec/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- writing -------------------------------------------------------------------------- */

static int put(hid_t f, hid_t links, const char *name, hid_t type, int rank, const int64_t *dim,
               const void *data)
{
    hsize_t size[2];
    for (int i = 0; i < rank; i++) size[i] = (hsize_t)dim[i];
    const hid_t s = H5Screate_simple(rank, size, NULL);
    const hid_t d = s < 0 ? -1 : H5Dcreate2(f, name, type, s, links, H5P_DEFAULT, H5P_DEFAULT);
    int ok = d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    if (s >= 0) H5Sclose(s);
    return ok;
}

static int put_edges(hid_t f, hid_t links, const char *const (*edge)[2], int n)
{
    const hid_t t = H5Tcopy(H5T_C_S1);
    const int ok = t >= 0 && H5Tset_size(t, H5T_VARIABLE) >= 0 && H5Tset_cset(t, H5T_CSET_UTF8) >= 0
        && put(f, links, "node/edges", t, 2, (int64_t[]){ n, 2 }, edge);
    if (t >= 0) H5Tclose(t);
    return ok;
}

static int put_graph(hid_t f, hid_t links, const mls_nir *g)
{
    static const char *const with[][2] = { { "input", "affine" }, { "affine", "lif" },
                                           { "lif", "output" } };
    static const char *const without[][2] = { { "input", "lif" }, { "lif", "output" } };
    const struct { const char *name; const float *x; } part[] = {
        { "node/nodes/lif/tau", g->tau }, { "node/nodes/lif/r", g->r },
        { "node/nodes/lif/v_leak", g->v_leak }, { "node/nodes/lif/v_threshold", g->v_threshold },
        { "node/nodes/lif/v_reset", g->v_reset } };
    int ok = mls_rec_text_set(f, "version", "1.0") && mls_rec_text_set(f, "node/type", "NIRGraph")
        && mls_rec_text_set(f, "node/nodes/input/type", "Input")
        && mls_rec_text_set(f, "node/nodes/output/type", "Output")
        && mls_rec_text_set(f, "node/nodes/lif/type", "LIF")
        && put(f, links, "node/nodes/input/shape", H5T_NATIVE_INT64, 1, (int64_t[]){ 1 }, &g->in)
        && put(f, links, "node/nodes/output/shape", H5T_NATIVE_INT64, 1, (int64_t[]){ 1 }, &g->n);
    for (int i = 0; ok && i < 5; i++)
        ok = put(f, links, part[i].name, H5T_NATIVE_FLOAT, 1, &g->n, part[i].x);
    if (ok && g->reset) ok = mls_rec_text_set(f, "node/nodes/lif/metadata/reset", g->reset);
    if (!ok || !g->weight) return ok && put_edges(f, links, without, 2);
    return mls_rec_text_set(f, "node/nodes/affine/type", "Affine")
        && put(f, links, "node/nodes/affine/weight", H5T_NATIVE_FLOAT, 2,
               (int64_t[]){ g->n, g->in }, g->weight)
        && put(f, links, "node/nodes/affine/bias", H5T_NATIVE_FLOAT, 1, &g->n, g->bias)
        && put_edges(f, links, with, 3);
}

int mls_nir_write(const char *path, const mls_nir *g, mls_error *e)
{
    char temporary[4096], why[300];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        mls_error_set(e, "%.200s...: the path is too long", path);
        return 0;
    }
    const hid_t f = mls_rec_create(temporary, 0, 0, e);
    if (f < 0) return 0;
    const hid_t links = mls_rec_links();
    int ok = links >= 0 && put_graph(f, links, g);
    mls_rec_why(why, sizeof why);
    if (links >= 0) H5Pclose(links);
    if (ok && H5Fclose(f) < 0) ok = 0;
    if (!ok) mls_error_set(e, "%s: the graph cannot be written: %s", temporary, why);
    ok = ok && mls_rec_move(temporary, path, e);
    if (!ok) unlink(temporary);
    return ok;
}

/* ---- reading -------------------------------------------------------------------------- */

enum { NODES = 64, EDGES = 64 };

typedef struct graph {
    const char *path;
    hid_t       f;
    mls_arena  *a;
    mls_error  *e;
    const char *from[EDGES], *to[EDGES];
    int         n;
} graph;

/* [n][2] texts of any length. */
static void read_edges(graph *g)
{
    hsize_t dim[H5S_MAX_RANK] = { 0 };
    char *text[EDGES * 2] = { NULL };
    const hid_t d = H5Dopen2(g->f, "node/edges", H5P_DEFAULT);
    const hid_t s = d >= 0 ? H5Dget_space(d) : -1, own = d >= 0 ? H5Dget_type(d) : -1;
    const hid_t t = H5Tcopy(H5T_C_S1);
    const int rank = s >= 0 ? H5Sget_simple_extent_dims(s, dim, NULL) : -1;
    if (rank != 2 || dim[1] != 2 || dim[0] > EDGES || H5Tis_variable_str(own) <= 0 || t < 0 ||
        H5Tset_size(t, H5T_VARIABLE) < 0 || H5Tset_cset(t, H5Tget_cset(own)) < 0 ||
        H5Dread(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        mls_error_set(g->e, "%s: is no NIR graph: node/edges is no list of up to %d pairs of names",
                      g->path, EDGES);
    for (int i = 0; !g->e->set && i < (int)dim[0]; i++) {
        g->from[i] = mls_arena_strdup(g->a, text[2 * i] ? text[2 * i] : "");
        g->to[i] = mls_arena_strdup(g->a, text[2 * i + 1] ? text[2 * i + 1] : "");
        g->n++;
    }
    for (int i = 0; i < EDGES * 2; i++)
        if (text[i]) H5free_memory(text[i]);
    if (t >= 0) H5Tclose(t);
    if (own >= 0) H5Tclose(own);
    if (s >= 0) H5Sclose(s);
    if (d >= 0) H5Dclose(d);
}

static const char *type_of(const graph *g, const char *node)
{
    const char *t = mls_rec_read_text_set(
        g->f, mls_arena_printf(g->a, "node/nodes/%s/type", node), g->a);
    return t ? t : "";
}

/* The node behind this one; NULL and e unless there is exactly one. */
static const char *next(const graph *g, const char *node)
{
    const char *found = NULL;
    int n = 0;
    for (int i = 0; i < g->n; i++)
        if (!strcmp(g->from[i], node)) {
            found = g->to[i];
            n++;
        }
    if (n == 1) return found;
    mls_error_set(g->e, "%s: %d edges leave node \"%.60s\"; a chain Input, Affine or Linear, LIF, "
                  "Output can be read", g->path, n, node);
    return NULL;
}

static float *values(const graph *g, const char *node, const char *name, int rank, int64_t *dim)
{
    mls_array_set s = { .path = g->path, .a = g->a, .e = g->e };
    s.dataset = mls_arena_printf(g->a, "node/nodes/%s/%s", node, name);
    mls_array_set_read(&s, g->f);
    if (g->e->set) return NULL;
    for (int i = 0; i < rank; i++)
        if (s.rank != rank || (dim[i] && s.dim[i] != dim[i])) {
            mls_error_set(g->e, "%s: \"%s\" has %d axes of %lld x %lld, expected %lld x %lld",
                          g->path, s.dataset, s.rank, (long long)s.dim[0], (long long)s.dim[1],
                          (long long)dim[0], (long long)(rank > 1 ? dim[1] : 1));
            return NULL;
        }
    for (int i = 0; i < rank; i++) dim[i] = s.dim[i];
    return s.data;
}

static void read_neurons(const graph *g, const char *node, mls_nir *out)
{
    out->tau = values(g, node, "tau", 1, &out->n);
    if (!g->e->set) out->r = values(g, node, "r", 1, &out->n);
    if (!g->e->set) out->v_leak = values(g, node, "v_leak", 1, &out->n);
    if (!g->e->set) out->v_threshold = values(g, node, "v_threshold", 1, &out->n);
    /* files of version 0.1 have no v_reset: 0 */
    const char *reset = mls_arena_printf(g->a, "node/nodes/%s/v_reset", node);
    if (!g->e->set && H5Lexists(g->f, reset, H5P_DEFAULT) > 0)
        out->v_reset = values(g, node, "v_reset", 1, &out->n);
    else if (!g->e->set)
        out->v_reset = mls_arena_zalloc(g->a, (size_t)out->n * sizeof(float));
}

static void read_chain(graph *g, mls_nir *out)
{
    const char *node = NULL;
    for (int i = 0; i < g->n && !node; i++)
        if (!strcmp(type_of(g, g->from[i]), "Input")) node = g->from[i];
    if (!node) mls_error_set(g->e, "%s: no edge leaves a node of type Input", g->path);
    if (node) node = next(g, node);
    if (!node) return;
    const char *type = type_of(g, node);
    if (!strcmp(type, "Affine") || !strcmp(type, "Linear")) {
        int64_t dim[2] = { 0, 0 };
        out->weight = values(g, node, "weight", 2, dim);
        out->n = dim[0];
        out->in = dim[1];
        if (!g->e->set)
            out->bias = *type == 'A' ? values(g, node, "bias", 1, &out->n)
                                     : mls_arena_zalloc(g->a, (size_t)out->n * sizeof(float));
        node = g->e->set ? NULL : next(g, node);
    }
    if (node && strcmp(type_of(g, node), "LIF"))
        mls_error_set(g->e, "%s: node \"%.60s\" has type %.40s; a chain Input, Affine or Linear, "
                      "LIF, Output can be read", g->path, node, type_of(g, node));
    if (!node || g->e->set) return;
    read_neurons(g, node, out);
    if (!out->weight) out->in = out->n;
    const char *last = g->e->set ? NULL : next(g, node);
    if (last && strcmp(type_of(g, last), "Output"))
        mls_error_set(g->e, "%s: node \"%.60s\" follows the neurons and has type %.40s, expected "
                      "Output", g->path, last, type_of(g, last));
}

static void read_file(const char *path, mls_nir *out, mls_arena *a, mls_error *e)
{
    graph g = { .path = path, .f = mls_rec_open(path, e), .a = a, .e = e };
    if (g.f < 0) return;
    read_edges(&g);
    if (!e->set) read_chain(&g, out);
    H5Fclose(g.f);
}

static int lives(void *path)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    read_file(path, &(mls_nir){ 0 }, &a, &e);
    return 1;
}

int mls_nir_read(const char *path, mls_nir *g, mls_arena *a, mls_error *e)
{
    *g = (mls_nir){ 0 };
    mls_rec_init();
    if (access(path, R_OK))
        mls_error_set(e, "%s: %s", path, strerror(errno));
    else if (H5Fis_hdf5(path) <= 0)
        mls_error_set(e, "%s: is no HDF5 file", path);
    else if (!mls_rec_survives(lives, (void *)(uintptr_t)path))
        mls_error_set(e, "%s: is damaged so that libhdf5 crashes on it", path);
    else
        read_file(path, g, a, e);
    return !e->set;
}
