/* nir_layers.c - which nodes of a NIR graph make a layer, and what feeds it. */
#include "rec/nir.h"

#include <string.h>

typedef struct walk {
    const mls_nir *g;
    const char    *path;
    mls_error     *e;
} walk;

static int is_map(const mls_nir_node *n)
{
    return n->type == MLS_NIR_AFFINE || n->type == MLS_NIR_LINEAR;
}

static int is_neurons(const mls_nir_node *n)
{
    return n->type == MLS_NIR_LIF || n->type == MLS_NIR_CUBA;
}

static int has_edge(const mls_nir *g, int from, int to)
{
    for (int i = 0; i < g->n_edges; i++)
        if (g->edge[i][0] == from && g->edge[i][1] == to) return 1;
    return 0;
}

/* The one node before `node` other than `but`; -1 and e unless there is exactly one. */
static int before(const walk *w, int node, int but)
{
    int found = -1, n = 0;
    for (int i = 0; i < w->g->n_edges; i++)
        if (w->g->edge[i][1] == node && w->g->edge[i][0] != but) {
            found = w->g->edge[i][0];
            n++;
        }
    if (n == 1) return found;
    mls_error_set(w->e, "%s: %d edges enter node \"%.60s\"; a chain Input, Affine or Linear, "
                  "neurons, Output can be read, and one map from neurons back to themselves",
                  w->path, n, w->g->node[node].name);
    return -1;
}

/* The map through which neurons feed back to themselves, or -1. */
static int recurrence(const walk *w, int neurons)
{
    int found = -1;
    for (int i = 0; i < w->g->n_nodes; i++)
        if (is_map(&w->g->node[i]) && has_edge(w->g, neurons, i) && has_edge(w->g, i, neurons))
            found = i;
    return found;
}

static void fits(const walk *w, int from, int to)
{
    const mls_nir_node *a = &w->g->node[from], *b = &w->g->node[to];
    if (a->n != b->in)
        mls_error_set(w->e, "%s: node \"%.60s\" gives %lld values, and \"%.60s\" takes %lld",
                      w->path, a->name, (long long)a->n, b->name, (long long)b->in);
}

/* What leads to a layer's neurons; the node that feeds it, or -1 and e. */
static int trace_back(const walk *w, int neurons, mls_nir_layer *l)
{
    const mls_nir *g = w->g;
    *l = (mls_nir_layer){ -1, neurons, recurrence(w, neurons), -1 };
    int at = before(w, neurons, l->recurrent);
    if (at >= 0 && is_map(&g->node[at])) {
        l->map = at;
        at = before(w, at, -1);
    }
    if (at >= 0 && (is_map(&g->node[at]) || g->node[at].type == MLS_NIR_OUTPUT)) {
        mls_error_set(w->e, "%s: node \"%.60s\" of type %s feeds \"%.60s\"; expected an Input or "
                      "neurons", w->path, g->node[at].name, mls_nir_types[g->node[at].type],
                      g->node[l->map >= 0 ? l->map : neurons].name);
        at = -1;
    }
    if (at == neurons) {
        mls_error_set(w->e, "%s: node \"%.60s\" feeds itself without a map in between", w->path,
                      g->node[at].name);
        at = -1;
    }
    return at;
}

/* Nothing may hang on a graph that no layer has, but an Output. */
static void nothing_else(const walk *w, const mls_nir_layer *l, int n)
{
    const mls_nir *g = w->g;
    for (int i = 0; i < g->n_nodes && !w->e->set; i++) {
        int used = !is_map(&g->node[i]);
        for (int k = 0; k < n; k++) used |= l[k].map == i || l[k].recurrent == i;
        if (!used)
            mls_error_set(w->e, "%s: node \"%.60s\" of type %s stands before no neurons", w->path,
                          g->node[i].name, mls_nir_types[g->node[i].type]);
    }
    for (int i = 0; i < g->n_edges && !w->e->set; i++) fits(w, g->edge[i][0], g->edge[i][1]);
}

int mls_nir_layers(const mls_nir *g, const char *path, mls_nir_layer **out, mls_arena *a,
                   mls_error *e)
{
    const walk w = { g, path, e };
    mls_nir_layer *l = mls_arena_zalloc(a, (size_t)(g->n_nodes + 1) * sizeof *l);
    int *placed = mls_arena_alloc(a, (size_t)(g->n_nodes + 1) * sizeof *placed);
    int n = 0, more = 1, first_left = -1;
    if (!l || !placed) mls_error_set(e, "out of memory for a graph");
    for (int i = 0; !e->set && i < g->n_nodes; i++) placed[i] = -1;
    /* round after round, what is fed by an Input or by a layer that stands already */
    while (more && !e->set) {
        more = 0;
        first_left = -1;
        for (int i = 0; i < g->n_nodes && !e->set; i++) {
            if (!is_neurons(&g->node[i]) || placed[i] >= 0) continue;
            const int from = trace_back(&w, i, &l[n]);
            if (from < 0) break;
            const int input = g->node[from].type == MLS_NIR_INPUT;
            if (first_left < 0) first_left = i;
            if (!input && placed[from] < 0) continue;
            if (first_left == i) first_left = -1;
            l[n].source = input ? -1 : placed[from];
            placed[i] = n++;
            more = 1;
        }
    }
    if (!e->set && first_left >= 0)
        mls_error_set(e, "%s: no Input leads to node \"%.60s\"", path, g->node[first_left].name);
    if (!e->set && !n)
        mls_error_set(e, "%s: has no LIF and no CubaLIF", path);
    if (!e->set) nothing_else(&w, l, n);
    *out = l;
    return e->set ? -1 : n;
}
