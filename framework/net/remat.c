/* remat.c - a node whose forward is run again in backward: it keeps its inputs and
 * initial states instead of everything in between.  Legal because a forward is a pure
 * function of inputs, weights, states and its random stream.                            */
#include "net/inner.h"

#include <string.h>

typedef struct again {
    mls_run  *run;
    node     *n;
    int64_t   t0, steps, dropouts;
    int       n_states;           /* of the node and its parts                          */
    mls_state **state;            /* [n_states]                                         */
    mls_t     *first, *before;    /* [n_states] at the start; beside the forward run again */
} again;

/* Swaps the tape's memory for the spare one, where everything inside is thrown away. */
typedef struct aside {
    mls_arena arena;
    mls_note *last;
    void     *spare;
    mls_reuse *reuse;
    int       observed;
} aside;

static aside step_aside(mls_run *run, int again)
{
    aside s = { run->tape.arena, run->tape.last, run->tape.spare, run->tape.reuse,
                run->observed };
    run->tape.arena = run->remat_arena;
    run->tape.last = NULL;
    run->tape.spare = NULL;
    run->tape.reuse = NULL;                      /* floats: they live for one op         */
    run->again = again;
    return s;
}

static void step_back(mls_run *run, aside s)
{
    mls_arena_reset(&run->tape.arena);
    run->remat_arena = run->tape.arena;
    run->tape.arena = s.arena;
    run->tape.last = s.last;
    run->tape.spare = s.spare;
    run->tape.reuse = s.reuse;
    run->observed = s.observed;
    run->again = MLS_AT_ONCE;
}

static mls_t again_wrap(mls_ctx *c, mls_t x)
{
    if (!x) return NULL;
    mls_t y = mls_tape_wrap(c, x->data, NULL, mls_tape_tracks(x), x->dim[0], x->dim[1], x->dim[2]);
    if (mls_tape_spikes(x)) mls_tape_mark_spikes(y);
    return y;
}

static void inner(const again *g, const mls_t *in, mls_t *mine, mls_t *out)
{
    mls_run *run = g->run;
    node *n = g->n;
    for (int i = 0; i < n->n_in; i++) mine[i] = again_wrap(&n->ctx, in[i]);
    for (int s = 0; s < g->n_states; s++)
        run->now[g->state[s]->index] = g->first[s] = again_wrap(&n->ctx, in[n->n_in + s]);
    run->tape.dropouts = g->dropouts;
    mls_net_node_begin(n, g->t0, g->steps);
    n->component->forward(&n->ctx, n->self, mine, out);
}

static void copy(mls_error *e, const node *n, mls_t to, mls_t from)
{
    if (e->set) return;
    if (!from || from->count != to->count)
        mls_error_set(e, "%s: a node under remat must give every output at every step", n->path);
    else
        memcpy(to->data, from->data, (size_t)to->count * sizeof(float));
}

static void forward(const mls_call *k)
{
    const again *g = k->attr;
    mls_run *run = g->run;
    mls_t mine[MAX_PORTS], out[MAX_PORTS] = { NULL };
    for (int s = 0; s < g->n_states; s++) g->before[s] = run->now[g->state[s]->index];
    /* with MLS_TRAIN, though nothing is kept: what is dropped out now is dropped again */
    const aside a = step_aside(run, MLS_FIRST);
    inner(g, k->in, mine, out);
    for (int i = 0; i < g->n->n_out; i++) copy(&run->error, g->n, k->out[i], out[i]);
    for (int s = 0; s < g->n_states; s++) {
        copy(&run->error, g->n, k->out[g->n->n_out + s], run->now[g->state[s]->index]);
        run->now[g->state[s]->index] = g->before[s];
    }
    step_back(run, a);
}

static void seed(mls_ctx *c, mls_t x, const mls_tensor *from)
{
    if (!x || !mls_tape_tracks(x) || !from->grad) return;
    float *g = mls_tape_grad(c, x);
    for (int64_t i = 0; g && i < x->count; i++) g[i] += from->grad[i];
}

static void collect(mls_t mine, mls_t in)
{
    if (!mine || !mine->grad || !in->grad) return;
    for (int64_t i = 0; i < in->count; i++) in->grad[i] += mine->grad[i];
}

static void backward(const mls_call *k)
{
    const again *g = k->attr;
    mls_run *run = g->run;
    mls_ctx *c = &g->n->ctx;
    mls_t mine[MAX_PORTS], out[MAX_PORTS] = { NULL };
    const int64_t dropouts = run->tape.dropouts;
    for (int s = 0; s < g->n_states; s++) g->before[s] = run->now[g->state[s]->index];
    const aside a = step_aside(run, MLS_AGAIN);
    run->observed = 0;                          /* seen once already */
    inner(g, k->in, mine, out);
    for (int i = 0; i < g->n->n_out; i++) seed(c, out[i], k->out[i]);
    for (int s = 0; s < g->n_states; s++)
        seed(c, run->now[g->state[s]->index], k->out[g->n->n_out + s]);
    mls_tape_backward(c);
    for (int i = 0; i < g->n->n_in; i++) if (k->in[i]) collect(mine[i], k->in[i]);
    for (int s = 0; s < g->n_states; s++) {
        collect(g->first[s], k->in[g->n->n_in + s]);
        run->now[g->state[s]->index] = g->before[s];
    }
    run->tape.dropouts = dropouts;
    step_back(run, a);
}

static const mls_op op = { sizeof op, "net.remat", forward, backward, NULL };

/* Late wires' values pass by outside of the node. */
static int belongs(const mls_state *s, const node *n)
{
    return mls_net_within(s->node, n) && s->channel[strlen(s->channel) - 1] != '~';
}

static again *remember(mls_run *run, node *n)
{
    mls_arena *a = &run->tape.arena;
    int count = 0;
    for (int i = 0; i < run->net->n_states; i++) count += belongs(run->net->state[i], n);
    again *g = mls_arena_zalloc(a, sizeof *g);
    if (!g) return NULL;
    *g = (again){ .run = run, .n = n, .t0 = n->t0, .steps = n->steps,
                  .dropouts = run->tape.dropouts,
                  .state = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *g->state),
                  .first = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *g->first),
                  .before = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *g->before) };
    if (!g->state || !g->first || !g->before) return NULL;
    for (int i = 0; i < run->net->n_states; i++)
        if (belongs(run->net->state[i], n)) g->state[g->n_states++] = run->net->state[i];
    return g;
}

void mls_net_remat(mls_run *run, node *n, const mls_t *in, mls_t *out)
{
    mls_ctx *c = &n->ctx;
    again *g = remember(run, n);
    const int ends = g ? g->n_states + MAX_PORTS : 0;
    mls_t *ins = g ? mls_arena_alloc(&run->tape.arena, 2 * (size_t)ends * sizeof *ins) : NULL;
    if (!ins) {
        mls_error_set(&run->error, "%s: out of memory", n->path);
        return;
    }
    mls_t *outs = ins + ends;
    memcpy(ins, in, (size_t)n->n_in * sizeof *ins);
    for (int i = 0; i < n->n_out; i++)
        outs[i] = out[i] = mls_tape_tensor(c, in[0]->dim[0], run->batch, n->out_width[i]);
    for (int s = 0; s < g->n_states; s++) {
        ins[n->n_in + s] = run->now[g->state[s]->index];
        outs[n->n_out + s] = mls_tape_tensor(c, 1, run->batch, g->state[s]->width);
    }
    mls_tape_apply_as(c, MLS_TAPE_FORGETS_OUT, &op, g, ins, n->n_in + g->n_states, outs,
                      n->n_out + g->n_states);
    for (int s = 0; s < g->n_states; s++) run->now[g->state[s]->index] = outs[n->n_out + s];
    mls_net_penalty_wake(run, n, outs[0]);
}
