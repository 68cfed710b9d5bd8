/* remat.c - a node whose forward is run again in backward: it keeps its inputs and
 * initial states instead of everything in between.  Legal because a forward is a pure
 * function of inputs, weights, states and its random stream.                            */
#include "net/inner.h"

#include <string.h>

typedef struct again {
    mls_run  *run;
    node     *n;
    int64_t   t0, steps, dropouts;
    int       n_states;
    mls_state *state[MAX_PORTS];
} again;

/* Swaps the tape's memory for the spare one, where everything inside is thrown away. */
typedef struct aside {
    mls_arena arena;
    mls_note *last;
    void     *spare;
    int       observed;
} aside;

static aside step_aside(mls_run *run, int again)
{
    aside s = { run->tape.arena, run->tape.last, run->tape.spare, run->observed };
    run->tape.arena = run->remat_arena;
    run->tape.last = NULL;
    run->tape.spare = NULL;
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
    run->observed = s.observed;
    run->again = MLS_AT_ONCE;
}

static mls_t again_wrap(mls_ctx *c, mls_t x)
{
    if (!x) return NULL;
    mls_t y = mls_tape_wrap(c, x->data, NULL, mls_tape_tracks(x), x->dim[0], x->dim[1], x->dim[2]);
    if (mls_tape_is_spikes(x)) mls_tape_mark_spikes(y);
    return y;
}

static void inner(const again *g, const mls_t *in, mls_t *mine, mls_t *first, mls_t *out)
{
    mls_run *run = g->run;
    node *n = g->n;
    for (int i = 0; i < n->n_in; i++) mine[i] = again_wrap(&n->ctx, in[i]);
    for (int s = 0; s < g->n_states; s++)
        run->now[g->state[s]->index] = first[s] = again_wrap(&n->ctx, in[n->n_in + s]);
    run->tape.dropouts = g->dropouts;
    n->t0 = g->t0;
    n->steps = g->steps;
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
    mls_t mine[MAX_PORTS], first[MAX_PORTS], out[MAX_PORTS] = { NULL };
    mls_t before[MAX_PORTS];
    for (int s = 0; s < g->n_states; s++) before[s] = run->now[g->state[s]->index];
    /* with MLS_TRAIN, though nothing is kept: what is dropped out now is dropped again */
    const aside a = step_aside(run, MLS_FIRST);
    inner(g, k->in, mine, first, out);
    for (int i = 0; i < g->n->n_out; i++) copy(&run->error, g->n, k->out[i], out[i]);
    for (int s = 0; s < g->n_states; s++) {
        copy(&run->error, g->n, k->out[g->n->n_out + s], run->now[g->state[s]->index]);
        run->now[g->state[s]->index] = before[s];
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
    mls_t mine[MAX_PORTS], first[MAX_PORTS], out[MAX_PORTS] = { NULL };
    mls_t before[MAX_PORTS];
    const int64_t dropouts = run->tape.dropouts;
    for (int s = 0; s < g->n_states; s++) before[s] = run->now[g->state[s]->index];
    const aside a = step_aside(run, MLS_AGAIN);
    run->observed = 0;                          /* seen once already */
    inner(g, k->in, mine, first, out);
    for (int i = 0; i < g->n->n_out; i++) seed(c, out[i], k->out[i]);
    for (int s = 0; s < g->n_states; s++)
        seed(c, run->now[g->state[s]->index], k->out[g->n->n_out + s]);
    mls_tape_backward(c);
    for (int i = 0; i < g->n->n_in; i++) if (k->in[i]) collect(mine[i], k->in[i]);
    for (int s = 0; s < g->n_states; s++) {
        collect(first[s], k->in[g->n->n_in + s]);
        run->now[g->state[s]->index] = before[s];
    }
    run->tape.dropouts = dropouts;
    step_back(run, a);
}

static const mls_op op = { sizeof op, "net.remat", forward, backward, NULL };

void mls_net_remat(mls_run *run, node *n, const mls_t *in, mls_t *out)
{
    mls_ctx *c = &n->ctx;
    again *g = mls_arena_zalloc(&run->tape.arena, sizeof *g);
    if (!g) {
        mls_error_set(&run->error, "%s: out of memory", n->path);
        return;
    }
    *g = (again){ .run = run, .n = n, .t0 = n->t0, .steps = n->steps,
                  .dropouts = run->tape.dropouts };
    mls_t ins[2 * MAX_PORTS], outs[2 * MAX_PORTS];
    memcpy(ins, in, (size_t)n->n_in * sizeof *ins);
    for (int i = 0; i < n->n_out; i++)
        outs[i] = out[i] = mls_tape_tensor(c, in[0]->dim[0], run->batch, n->out_width[i]);
    for (int i = 0; i < run->net->n_states; i++) {
        mls_state *s = run->net->state[i];
        if (s->node != n || !strcmp(s->channel + strlen(s->channel) - 1, "~")) continue;
        if (g->n_states == MAX_PORTS) break;
        ins[n->n_in + g->n_states] = run->now[i];
        outs[n->n_out + g->n_states] = mls_tape_tensor(c, 1, run->batch, s->width);
        g->state[g->n_states++] = s;
    }
    mls_tape_apply(c, &op, g, ins, n->n_in + g->n_states, outs, n->n_out + g->n_states);
    for (int s = 0; s < g->n_states; s++) run->now[g->state[s]->index] = outs[n->n_out + s];
    mls_net_penalty_wake(run, n, outs[0]);
}
