/* nir_write.c - a NIR graph to a file. */
#include "rec/nir.h"

#include "rec/record.h"
#include "rec/h5.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const mls_nir_types[MLS_NIR_TYPES] = { "Input",  "Output", "Affine",
                                                   "Linear", "LIF",    "CubaLIF" };

typedef struct writer { hid_t f, links; char path[512]; } writer;

static int put(const writer *w, const char *name, hid_t type, int rank, const int64_t *dim,
               const void *data)
{
    hsize_t size[2];
    for (int i = 0; i < rank; i++) size[i] = (hsize_t)dim[i];
    const hid_t s = H5Screate_simple(rank, size, NULL);
    const hid_t d =
        s < 0 ? -1 : H5Dcreate2(w->f, name, type, s, w->links, H5P_DEFAULT, H5P_DEFAULT);
    int ok = d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    if (s >= 0) H5Sclose(s);
    return ok;
}

/* The path of a node's part. */
static const char *part(writer *w, const mls_nir_node *n, const char *name)
{
    snprintf(w->path, sizeof w->path, "node/nodes/%s/%s", n->name, name);
    return w->path;
}

static int put_node(writer *w, const mls_nir_node *n)
{
    const int cuba = n->type == MLS_NIR_CUBA;
    const struct { const char *name; const float *x; } row[] = {
        { cuba ? "tau_mem" : "tau", n->tau }, { "r", n->r }, { "v_leak", n->v_leak },
        { "v_threshold", n->v_threshold }, { "v_reset", n->v_reset },
        { "tau_syn", n->tau_syn }, { "w_in", n->w_in }, { "bias", n->bias } };
    int ok = mls_rec_text_set(w->f, part(w, n, "type"), mls_nir_types[n->type]);
    if (n->type == MLS_NIR_INPUT || n->type == MLS_NIR_OUTPUT)
        return ok &&
               put(w, part(w, n, "shape"), H5T_NATIVE_INT64, 1, (int64_t[]){ 1 }, &n->n);
    if (ok && n->weight)
        ok = put(w, part(w, n, "weight"), H5T_NATIVE_FLOAT, 2, (int64_t[]){ n->n, n->in },
                 n->weight);
    for (int i = 0; ok && i < (int)(sizeof row / sizeof *row); i++)
        if (row[i].x)
            ok = put(w, part(w, n, row[i].name), H5T_NATIVE_FLOAT, 1, &n->n, row[i].x);
    if (ok && n->reset) ok = mls_rec_text_set(w->f, part(w, n, "metadata/reset"), n->reset);
    return ok;
}

static int put_edges(const writer *w, const mls_nir *g, mls_arena *a)
{
    const char **name = mls_arena_alloc(a, (size_t)(2 * g->n_edges + 1) * sizeof *name);
    const hid_t t = H5Tcopy(H5T_C_S1);
    for (int i = 0; name && i < 2 * g->n_edges; i++)
        name[i] = g->node[g->edge[i / 2][i % 2]].name;
    const int ok = name && t >= 0 && H5Tset_size(t, H5T_VARIABLE) >= 0 &&
                   H5Tset_cset(t, H5T_CSET_UTF8) >= 0 &&
                   put(w, "node/edges", t, 2, (int64_t[]){ g->n_edges, 2 }, name);
    if (t >= 0) H5Tclose(t);
    return ok;
}

static int put_graph(writer *w, const mls_nir *g)
{
    mls_arena a = { 0 };
    int ok = mls_rec_text_set(w->f, "version", "1.0") &&
             mls_rec_text_set(w->f, "node/type", "NIRGraph");
    for (int i = 0; ok && i < g->n_nodes; i++) ok = put_node(w, &g->node[i]);
    ok = ok && put_edges(w, g, &a);
    mls_arena_free(&a);
    return ok;
}

int mls_nir_write(const char *path, const mls_nir *g, mls_error *e)
{
    char temporary[4096], why[300];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        mls_error_set(e, "%.200s...: the path is too long", path);
        return 0;
    }
    writer w = { .f = mls_rec_create(temporary, 0, 0, e) };
    if (w.f < 0) return 0;
    w.links = mls_rec_links();
    int ok = w.links >= 0 && put_graph(&w, g);
    mls_rec_why(why, sizeof why);
    if (w.links >= 0) H5Pclose(w.links);
    if (ok && H5Fclose(w.f) < 0) ok = 0;
    if (!ok) mls_error_set(e, "%s: the graph cannot be written: %s", temporary, why);
    ok = ok && mls_rec_move(temporary, path, e);
    if (!ok) unlink(temporary);
    return ok;
}
