/* layer.c - one branch of one layer: its groups in order; a group with feedback runs
 * piece by piece, K steps at a time, so that what comes back late is already there.      */
#include "net/inner.h"

#include "grad/reuse.h"

#include <string.h>

static node *at(mls_run *run, int layer, int name)
{
    return &run->net->node[layer * run->net->n_names + name];
}

void mls_net_node_forward(mls_run *run, node *n, const mls_t *in, mls_t *out, int64_t t0)
{
    mls_ctx *c = &n->ctx;
    if (run->error.set) return;
    c->error = &run->error;
    c->tape = &run->tape;
    int64_t steps = 0;
    for (int i = n->n_in - 1; i >= 0; i--)
        if (in[i]) steps = in[i]->dim[0];
    mls_net_node_begin(n, t0, steps);
    mls_run_current = n->path;
    mls_net_synapses_at(run, t0, n->steps);
    for (int i = 0; i < n->n_out; i++) out[i] = NULL;
    const int computes = !run->tape.dry || mls_reuse_planning(&run->tape);
    if (n->remat && (run->flags & MLS_TRAIN) && computes) mls_net_remat(run, n, in, out);
    else n->component->forward(c, n->self, in, out);
    if (run->error.set) return;
    for (int i = 0; i < n->n_out; i++) {
        const mls_port *p = n->out_port[i];
        if (!out[i]) {
            if (p->flags & MLS_MAYBE) continue;
            mls_error_set(&run->error, "%s: forward left its output \"%s\" empty", n->path, p->name);
            return;
        }
        if (out[i]->dim[2] != n->out_width[i] || out[i]->dim[1] != run->batch) {
            mls_error_set(&run->error, "%s: output \"%s\" is [%lld][%lld][%lld], declared as "
                          "[T][%lld][%lld]", n->path, p->name, (long long)out[i]->dim[0],
                          (long long)out[i]->dim[1], (long long)out[i]->dim[2],
                          (long long)run->batch, (long long)n->out_width[i]);
            return;
        }
        if (p->flags & MLS_SPIKES) mls_tape_mark_spikes(out[i]);
        if (mls_net_wanted(run, n, p->name))
            mls_net_observe(run, n, p->name, p->flags & MLS_SPIKES ? "spike" : NULL, p->help,
                            p->flags & MLS_SPIKES, out[i], t0);
    }
}

typedef struct span { int64_t from, n; } span;

static int inside(const group *g, int name)
{
    for (int i = 0; i < g->n; i++)
        if (g->member[i] == name) return 1;
    return 0;
}

static mls_t service(mls_run *run, mls_ctx *c, int which, span s)
{
    mls_t x = which == 'm' ? run->mask : run->dt;
    return x ? mls_tape_steps(c, x, s.from, s.n) : NULL;
}

static mls_t gather(mls_run *run, int layer, const group *g, node *n, int i, mls_t x, span s)
{
    const input *in = &n->in[i];
    mls_ctx *c = &n->ctx;
    if (in->service) return service(run, c, in->service, s);
    if (in->from == FROM_NOWHERE) return NULL;
    if (in->late)
        return mls_net_delay_read(c, run->now[in->fifo->index], run->net->chunk, s.n,
                                  n->in_width[i], service(run, c, 'm', s));
    if (in->from == FROM_INPUT) return mls_tape_steps(c, x, s.from, s.n);
    node *from = at(run, layer, in->from);
    if (inside(g, in->from)) return from->piece[in->from_port];
    return mls_tape_steps(c, from->out[in->from_port], s.from, s.n);
}

static void push_late(mls_run *run, int layer, const group *g, node *n, span s)
{
    for (int i = 0; i < n->n_in && !run->error.set; i++) {
        const input *in = &n->in[i];
        if (!in->late) continue;
        node *from = at(run, layer, in->from);
        mls_t x = inside(g, in->from) ? from->piece[in->from_port]
                : mls_tape_steps(&n->ctx, from->out[in->from_port], s.from, s.n);
        run->now[in->fifo->index] =
            mls_net_delay_push(&n->ctx, run->now[in->fifo->index], run->net->chunk, x,
                               service(run, &n->ctx, 'm', s));
    }
}

static int has_late(mls_run *run, int layer, const group *g)
{
    for (int m = 0; m < g->n; m++) {
        const node *n = at(run, layer, g->member[m]);
        for (int i = 0; i < n->n_in; i++)
            if (n->in[i].late) return 1;
    }
    return 0;
}

static void piece(mls_run *run, int layer, const group *g, mls_t x, span s)
{
    for (int m = 0; m < g->n && !run->error.set; m++) {
        node *n = at(run, layer, g->member[m]);
        mls_t in[MAX_PORTS] = { NULL };
        n->ctx.error = &run->error;
        n->ctx.tape = &run->tape;
        for (int i = 0; i < n->n_in; i++) in[i] = gather(run, layer, g, n, i, x, s);
        mls_net_node_forward(run, n, in, n->piece, s.from);
    }
    for (int m = 0; m < g->n && !run->error.set; m++)
        push_late(run, layer, g, at(run, layer, g->member[m]), s);
}

static void run_group(mls_run *run, int layer, const group *g, mls_t x)
{
    const int64_t T = x->dim[0], K = run->net->chunk;
    const int64_t step = has_late(run, layer, g) && K < T ? K : T;
    const int pieces = (int)((T + step - 1) / step);
    if (pieces <= 1) {
        piece(run, layer, g, x, (span){ 0, T });
        for (int m = 0; m < g->n; m++) {
            node *n = at(run, layer, g->member[m]);
            memcpy(n->out, n->piece, sizeof n->out);
        }
        return;
    }
    mls_t *part = mls_arena_alloc(&run->tape.arena,
                                  (size_t)(g->n * MAX_PORTS * pieces) * sizeof *part);
    if (!part) {
        mls_error_set(&run->error, "out of memory for %d pieces", pieces);
        return;
    }
    for (int p = 0; p < pieces && !run->error.set; p++) {
        const int64_t from = p * step, n = from + step < T ? step : T - from;
        piece(run, layer, g, x, (span){ from, n });
        for (int m = 0; m < g->n; m++)
            for (int o = 0; o < MAX_PORTS; o++)
                part[(m * MAX_PORTS + o) * pieces + p] = at(run, layer, g->member[m])->piece[o];
    }
    for (int m = 0; m < g->n && !run->error.set; m++) {
        node *n = at(run, layer, g->member[m]);
        for (int o = 0; o < n->n_out; o++) {
            mls_t *first = &part[(m * MAX_PORTS + o) * pieces];
            n->out[o] = first[0] ? mls_grad_join(&n->ctx, first, pieces) : NULL;
        }
    }
}

mls_t mls_net_branch(mls_run *run, int layer, int branch, mls_t x)
{
    mls_net *net = run->net;
    for (int i = 0; i < net->n_groups && !run->error.set; i++)
        if (net->group[i].branch == branch) run_group(run, layer, &net->group[i], x);
    if (run->error.set) return x;
    for (int i = 0; i < net->n_wires; i++) {
        const wire *w = &net->wire[i];
        if (w->to != TO_OUTPUT || w->branch != branch) continue;
        return w->from == FROM_INPUT ? x : at(run, layer, w->from)->out[w->from_port];
    }
    return x;
}
