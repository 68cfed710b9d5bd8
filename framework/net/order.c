/* order.c - in which order a branch's nodes run, and which of them must run together,
 * piece by piece, because late wires lead back (strongly connected components, Tarjan
 * 1972).                                                                                */
#include "net/inner.h"

#include <string.h>

typedef struct walk {
    mls_net *net;
    int      index[MAX_NODES], low[MAX_NODES], on[MAX_NODES], stack[MAX_NODES];
    int      next, top, n, comp[MAX_NODES];       /* component of each node               */
} walk;

static void visit(walk *w, int v)
{
    w->index[v] = w->low[v] = ++w->next;
    w->stack[w->top++] = v;
    w->on[v] = 1;
    for (int i = 0; i < w->net->n_wires; i++) {
        const wire *x = &w->net->wire[i];
        if (x->from != v || x->to < 0) continue;
        if (!w->index[x->to]) {
            visit(w, x->to);
            if (w->low[x->to] < w->low[v]) w->low[v] = w->low[x->to];
        } else if (w->on[x->to] && w->index[x->to] < w->low[v]) {
            w->low[v] = w->index[x->to];
        }
    }
    if (w->low[v] != w->index[v]) return;
    int u;
    do {
        u = w->stack[--w->top];
        w->on[u] = 0;
        w->comp[u] = w->n;
    } while (u != v);
    w->n++;
}

/* Puts the members of g in an order that respects its direct wires. */
static int sort(mls_net *net, group *g)
{
    int done[MAX_NODES] = { 0 }, order[MAX_NODES], n = 0;
    for (int round = 0; round < g->n; round++)
        for (int i = 0; i < g->n; i++) {
            if (done[i]) continue;
            int ready = 1;
            for (int k = 0; k < net->n_wires; k++)
                for (int j = 0; j < g->n; j++)
                    if (!net->wire[k].late && net->wire[k].to == g->member[i] &&
                        net->wire[k].from == g->member[j] && !done[j])
                        ready = 0;
            if (!ready) continue;
            done[i] = 1;
            order[n++] = g->member[i];
        }
    if (n < g->n) return 0;
    memcpy(g->member, order, (size_t)n * sizeof *order);
    return 1;
}

static int branch_of(const mls_net *net, int v)
{
    int b = MAX_BRANCHES;
    for (int i = 0; i < net->n_wires; i++)
        if ((net->wire[i].from == v || net->wire[i].to == v) && net->wire[i].branch < b)
            b = net->wire[i].branch;
    return b;
}

/* Branches run one after the other: a value can go to a later branch, not to an earlier
 * one, and the input of a branch only to nodes that run in it.                           */
static void check_branches(const mls_net *net, mls_error *e)
{
    for (int i = 0; i < net->n_wires && !e->set; i++) {
        const wire *x = &net->wire[i];
        if (x->to < 0) continue;
        const int to = branch_of(net, x->to);
        const int from = x->from == FROM_INPUT ? x->branch : branch_of(net, x->from);
        if (x->from == FROM_INPUT ? from != to : from > to)
            mls_error_set(e, "network: the wire from \"%s\" to \"%s\" leads from branch %d to "
                          "branch %d; \"%s\" runs in the first branch that names it, and "
                          "branches run one after the other",
                          x->from == FROM_INPUT ? "input" : net->name[x->from],
                          net->name[x->to], from + 1, to + 1, net->name[x->to]);
    }
}

void mls_net_order(mls_net *net, mls_error *e)
{
    check_branches(net, e);
    if (e->set) return;
    walk w = { .net = net };
    for (int v = 0; v < net->n_names; v++)
        if (!w.index[v]) visit(&w, v);
    /* Tarjan finishes a component after everything that it leads to. */
    for (int c = w.n - 1; c >= 0 && !e->set; c--) {
        group g = { .branch = MAX_BRANCHES };
        for (int v = 0; v < net->n_names; v++)
            if (w.comp[v] == c) g.member[g.n++] = v;
        g.branch = branch_of(net, g.member[0]);
        if (g.branch == MAX_BRANCHES) continue;           /* in no wire: reported by build */
        for (int i = 0; i < net->n_wires; i++)
            if (net->wire[i].from >= 0 && net->wire[i].to >= 0 &&
                w.comp[net->wire[i].from] == c && w.comp[net->wire[i].to] == c)
                g.feedback = 1;
        if (!sort(net, &g)) {
            mls_error_set(e, "the wires around \"%s\" form a circle without a ~>; a value "
                          "that goes back must be one chunk late", net->name[g.member[0]]);
            return;
        }
        for (int i = 1; i < g.n; i++)
            if (branch_of(net, g.member[i]) != g.branch) {
                mls_error_set(e, "\"%s\" and \"%s\" feed back to one another but stand in "
                              "different branches", net->name[g.member[0]],
                              net->name[g.member[i]]);
                return;
            }
        net->group[net->n_groups++] = g;
    }
}
