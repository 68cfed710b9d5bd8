/* nir.c - a NIR graph from a file. */
#include "rec/nir.h"

#include "rec/array_file.h"
#include "rec/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EDGES = 256 };

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

/* Of every neuron; what the file does not have, or one number for all, is spread. */
static float *spread(const graph *g, const char *node, const char *name, int64_t n, float absent,
                     int must)
{
    const char *path = mls_arena_printf(g->a, "node/nodes/%s/%s", node, name);
    const int there = !g->e->set && H5Lexists(g->f, path, H5P_DEFAULT) > 0;
    if (g->e->set) return NULL;
    mls_array_set s = { .path = g->path, .dataset = path, .a = g->a, .e = g->e };
    if (there) mls_array_set_read(&s, g->f);
    if (there && !g->e->set && s.rank == 0) absent = s.data[0];
    else if (there || must) return values(g, node, name, 1, &n);
    float *x = mls_arena_alloc(g->a, (size_t)(n + 1) * sizeof *x);
    if (!x) mls_error_set(g->e, "out of memory for %lld neurons", (long long)n);
    for (int64_t i = 0; x && i < n; i++) x[i] = absent;
    return x;
}

static void read_neurons(const graph *g, mls_nir_node *x)
{
    const int cuba = x->type == MLS_NIR_CUBA;
    x->n = 0;
    x->v_threshold = values(g, x->name, "v_threshold", 1, &x->n);
    x->in = x->n;
    x->tau = spread(g, x->name, cuba ? "tau_mem" : "tau", x->n, 0.0f, 1);
    x->r = spread(g, x->name, "r", x->n, 1.0f, 1);
    x->v_leak = spread(g, x->name, "v_leak", x->n, 0.0f, 1);
    /* files of version 0.1 have no v_reset: 0 */
    x->v_reset = spread(g, x->name, "v_reset", x->n, 0.0f, 0);
    if (!cuba) return;
    x->tau_syn = spread(g, x->name, "tau_syn", x->n, 0.0f, 1);
    x->w_in = spread(g, x->name, "w_in", x->n, 1.0f, 0);
}

static void read_map(const graph *g, mls_nir_node *x)
{
    int64_t dim[2] = { 0, 0 };
    x->weight = values(g, x->name, "weight", 2, dim);
    x->n = dim[0];
    x->in = dim[1];
    if (!g->e->set && x->type == MLS_NIR_AFFINE)
        x->bias = values(g, x->name, "bias", 1, &x->n);
}

/* A shape of one axis, as everything here has. */
static void read_end(const graph *g, mls_nir_node *x)
{
    int64_t axes = 1;
    const float *shape = values(g, x->name, "shape", 1, &axes);
    if (shape) x->in = x->n = (int64_t)shape[0];
}

static void read_node(const graph *g, mls_nir_node *x)
{
    const char *t = mls_rec_read_text_set(
        g->f, mls_arena_printf(g->a, "node/nodes/%s/type", x->name), g->a);
    for (x->type = 0; x->type < MLS_NIR_TYPES; x->type++)
        if (t && !strcmp(t, mls_nir_types[x->type])) break;
    switch (x->type) {
    case MLS_NIR_INPUT:
    case MLS_NIR_OUTPUT: read_end(g, x); break;
    case MLS_NIR_AFFINE:
    case MLS_NIR_LINEAR: read_map(g, x); break;
    case MLS_NIR_LIF:
    case MLS_NIR_CUBA: read_neurons(g, x); break;
    default:
        mls_error_set(g->e, "%s: node \"%.60s\" has type %.40s; Input, Output, Affine, Linear, LIF "
                      "and CubaLIF can be read", g->path, x->name, t ? t : "(none)");
    }
}

static int node_called(mls_nir *out, const char *name)
{
    for (int i = 0; i < out->n_nodes; i++)
        if (!strcmp(out->node[i].name, name)) return i;
    out->node[out->n_nodes] = (mls_nir_node){ .name = name };
    return out->n_nodes++;
}

static void read_file(const char *path, mls_nir *out, mls_arena *a, mls_error *e)
{
    graph g = { .path = path, .f = mls_rec_open(path, e), .a = a, .e = e };
    if (g.f < 0) return;
    read_edges(&g);
    out->node = mls_arena_zalloc(a, (size_t)(2 * g.n + 1) * sizeof *out->node);
    out->edge = mls_arena_zalloc(a, (size_t)(g.n + 1) * sizeof *out->edge);
    if (!out->node || !out->edge) mls_error_set(e, "out of memory for a graph");
    for (int i = 0; !e->set && i < g.n; i++, out->n_edges++) {
        out->edge[i][0] = node_called(out, g.from[i]);
        out->edge[i][1] = node_called(out, g.to[i]);
    }
    for (int i = 0; !e->set && i < out->n_nodes; i++) read_node(&g, &out->node[i]);
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
