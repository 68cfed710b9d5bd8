/* remat.c - a node whose forward is run again in backward: it keeps its inputs and
 * initial states instead of everything in between.  Legal because a forward is a pure
 * function of inputs, weights, states and its random stream.
 *
 * A node that streams does so in pieces of the sequence, each of which keeps the states it
 * began with: what is in between is then never there for more than one piece.  Forward gives
 * the bits of the whole; gradients of weights sum the pieces, and dropout has other dice.  */
#include "net/inner.h"

#include "grad/reuse.h"
#include "grad/tape-inner.h"

#include <string.h>

/* Rows of a piece: enough for full speed.  Steps of one come in whole chunks of the scans. */
enum { ROWS = 1024, CHUNK = 64 };

typedef struct again {
    mls_run  *run;
    node     *n;
    int64_t   t0, steps, dropouts;
    int       many;               /* rows, so that a plan is worth it                   */
    int       n_states;           /* of the node and its parts                          */
    int       n_after;            /* of these, those that somebody reads afterwards     */
    mls_state **state;            /* [n_states]                                         */
    mls_t     *before;            /* [n_states] beside the forward run again            */
} again;

/* Swaps the tape's memory for the spare one, where everything inside is thrown away.  Free
 * floats are lent.                                                                        */
typedef struct aside {
    struct mls_pieces *lent_out;
    mls_arena arena, floats;
    mls_places *places;
    char     *ground;
    int32_t   noted;
    mls_note *last;
    mls_spare spare;
    mls_reuse *reuse;
    struct mls_lent *lent;
    int       observed, puts_off;
} aside;

/* Where a node's plan is kept from step to step; NULL: its floats are not used again. */
static mls_reuse *reuse_of(const again *g, int way)
{
    mls_run *run = g->run;
    if (!g->many || !run->remat_reuse || g->n->owner) return NULL;
    mls_reuse **r = &run->remat_reuse[2 * (g->n - run->net->node) + (way == MLS_AGAIN)];
    if (!*r) *r = mls_reuse_new(0);
    return *r;
}

static aside step_aside(const again *g, int way)
{
    mls_run *run = g->run;
    mls_reuse *reuse = reuse_of(g, way);
    aside s = { NULL, run->tape.arena, run->tape.floats, run->tape.places, run->tape.ground,
                mls_places_count(run->tape.places), run->tape.last, run->tape.spare,
                run->tape.reuse, run->tape.lent, run->observed, run->tape.puts_off };
    if (reuse) s.lent_out = mls_tape_pieces(&run->tape, &run->remat_arena);
    if (!s.lent_out) run->tape.spare = (mls_spare){ { NULL, NULL } };
    run->tape.lent = NULL;
    run->tape.arena = run->remat_arena;
    run->tape.floats = run->remat_floats;
    if (!reuse) run->tape.places = NULL;         /* else what is here has places too     */
    run->tape.last = NULL;
    run->tape.reuse = reuse;
    run->tape.puts_off = 0;                      /* what comes out is copied             */
    run->again = way;
    return s;
}

static void step_back(mls_run *run, aside s)
{
    run->tape.spare = s.lent_out ? mls_tape_whole_pieces(s.lent_out) : s.spare;
    mls_arena_reset(&run->tape.arena);
    mls_arena_reset(&run->tape.floats);
    run->remat_arena = run->tape.arena;
    run->remat_floats = run->tape.floats;
    run->tape.arena = s.arena;
    run->tape.floats = s.floats;
    run->tape.places = s.places;
    if (mls_places_notes(s.places)) mls_places_end(s.places, s.noted);
    run->tape.ground = s.ground;
    run->tape.last = s.last;
    run->tape.reuse = s.reuse;
    run->tape.lent = s.lent;
    run->observed = s.observed;
    run->tape.puts_off = s.puts_off;
    run->again = MLS_AT_ONCE;
}

/* In backward its gradient goes straight to x's. */
static mls_t again_wrap(mls_ctx *c, mls_t x, int backward)
{
    if (!x) return NULL;
    mls_t y = mls_tape_wrap(c, x->data, backward ? x->grad : NULL, mls_tape_tracks(x), x->dim[0],
                            x->dim[1], x->dim[2]);
    if (mls_tape_spikes(x)) mls_tape_mark_spikes(y);
    return y;
}

static void once(const again *g, const mls_t *in, mls_t *mine, mls_t *out)
{
    mls_run *run = g->run;
    node *n = g->n;
    const int back = run->again == MLS_AGAIN;
    for (int i = 0; i < n->n_in; i++) mine[i] = again_wrap(&n->ctx, in[i], back);
    for (int s = 0; s < g->n_states; s++)
        run->now[g->state[s]->index] = again_wrap(&n->ctx, in[n->n_in + s], back);
    run->tape.dropouts = g->dropouts;
    mls_net_node_begin(n, g->t0, g->steps);
    mls_net_synapses_at(run, g->t0, g->steps);
    n->component->forward(&n->ctx, n->self, mine, out);
}

/* Of what decides on the ops of a node; 0: what it does is not to be done in vain. */
static uint64_t key_of(const again *g, const mls_t *in)
{
    const mls_run *run = g->run;
    uint64_t bits = 1;
    if (run->observed || run->penalty || run->tape.check || run->tape.synapses) return 0;
    for (int i = 0; i < g->n->n_in; i++) bits = bits << 1 | (in[i] != NULL);
    return (uint64_t)g->steps << 20 | bits << 2 | (uint64_t)(g->n_after != 0) << 1 |
           (uint64_t)(run->tape.steady != 0);
}

static void plan(const again *g, uint64_t key, const mls_t *in, mls_t *mine, mls_t *out)
{
    mls_run *run = g->run;
    mls_reuse_plan(&run->tape, key);
    once(g, in, mine, out);
    mls_reuse_end(&g->n->ctx);
    const int copied = run->again == MLS_FIRST;
    for (int i = 0; copied && i < g->n->n_out; i++)
        if (out[i]) mls_reuse_hold(&run->tape, out[i]);
    for (int s = 0; copied && s < g->n_after; s++)
        mls_reuse_hold(&run->tape, run->now[g->state[s]->index]);
    mls_reuse_planned(&run->tape);
    mls_reuse_reset(run->tape.reuse);
}

static void inner(const again *g, const mls_t *in, mls_t *mine, mls_t *out)
{
    mls_run *run = g->run;
    if (!run->tape.reuse) {
        once(g, in, mine, out);
        return;
    }
    const uint64_t key = key_of(g, in);
    const int ready = mls_reuse_ready(&run->tape, key);
    if (!ready) plan(g, key, in, mine, out);
    else mls_reuse_reset(run->tape.reuse);
    once(g, in, mine, out);
    mls_reuse_end(&g->n->ctx);
    if (!ready || !mls_reuse_stale(&run->tape)) return;
    run->error = (mls_error){ 0 };
    run->tape.last = NULL;
    plan(g, key, in, mine, out);
    once(g, in, mine, out);
    mls_reuse_end(&g->n->ctx);
}

static void copy(mls_run *run, const node *n, mls_t to, mls_t from)
{
    mls_error *e = &run->error;
    if (e->set || run->tape.rehearses) return;
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
    const aside a = step_aside(g, MLS_FIRST);
    inner(g, k->in, mine, out);
    for (int i = 0; i < g->n->n_out; i++) copy(run, g->n, k->out[i], out[i]);
    for (int s = 0; s < g->n_states; s++) {
        if (s < g->n_after)
            copy(run, g->n, k->out[g->n->n_out + s], run->now[g->state[s]->index]);
        run->now[g->state[s]->index] = g->before[s];
    }
    step_back(run, a);
}

/* What came for an output of the op is the gradient of the inner one that gave it, and lies
 * there unless that has one already: the backward that runs now may overwrite it.         */
static void seed(mls_ctx *c, mls_t x, const mls_tensor *from)
{
    if (!x || !mls_tape_tracks(x) || !from->grad) return;
    if (!x->grad && !mls_tape_inner(x)->parent) {
        mls_tape_inner(x)->t.grad = from->grad;
        return;
    }
    float *g = mls_tape_grad(c, x);
    for (int64_t i = 0; g && !c->tape->rehearses && i < x->count; i++) g[i] += from->grad[i];
}

static void backward(const mls_call *k)
{
    const again *g = k->attr;
    mls_run *run = g->run;
    mls_ctx *c = &g->n->ctx;
    mls_t mine[MAX_PORTS], out[MAX_PORTS] = { NULL };
    const int64_t dropouts = run->tape.dropouts;
    for (int s = 0; s < g->n_states; s++) g->before[s] = run->now[g->state[s]->index];
    const aside a = step_aside(g, MLS_AGAIN);
    run->observed = 0;                          /* seen once already */
    inner(g, k->in, mine, out);
    for (int i = 0; i < g->n->n_out; i++) seed(c, out[i], k->out[i]);
    for (int s = 0; s < g->n_after; s++)
        seed(c, run->now[g->state[s]->index], k->out[g->n->n_out + s]);
    mls_tape_backward(c);
    for (int s = 0; s < g->n_states; s++) run->now[g->state[s]->index] = g->before[s];
    run->tape.dropouts = dropouts;
    step_back(run, a);
}

static const mls_op op = { sizeof op, "net.remat", forward, backward, NULL };

/* Late wires' values pass by outside of the node. */
static int belongs(const mls_state *s, const node *n)
{
    return mls_net_within(s->node, n) && s->channel[strlen(s->channel) - 1] != '~';
}

static again *remember(mls_run *run, node *n, int64_t t0, int64_t steps)
{
    mls_arena *a = &run->tape.arena;
    int count = 0;
    for (int i = 0; i < run->net->n_states; i++) count += belongs(run->net->state[i], n);
    again *g = mls_arena_zalloc(a, sizeof *g);
    if (!g) return NULL;
    *g = (again){ .run = run, .n = n, .t0 = t0, .steps = steps,
                  .many = steps * run->batch >= ROWS,
                  .dropouts = run->tape.dropouts,
                  .state = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *g->state),
                  .before = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *g->before) };
    if (!g->state || !g->before) return NULL;
    for (int i = 0; i < run->net->n_states; i++)
        if (belongs(run->net->state[i], n)) g->state[g->n_states++] = run->net->state[i];
    g->n_after = mls_net_is_last(run, t0, steps) ? 0 : g->n_states;
    return g;
}

/* The node over steps [from, from + steps) of its sequence.  to: where its outputs go. */
static void piece(mls_run *run, node *n, const mls_t *in, const mls_t *to, int64_t from,
                  int64_t steps)
{
    mls_ctx *c = &n->ctx;
    again *g = remember(run, n, n->t0 + from, steps);
    const int ends = g ? g->n_states + MAX_PORTS : 0;
    mls_t *ins = g ? mls_arena_alloc(&run->tape.arena, 2 * (size_t)ends * sizeof *ins) : NULL;
    if (!ins) {
        mls_error_set(&run->error, "%s: out of memory", n->path);
        return;
    }
    mls_t *outs = ins + ends;
    for (int i = 0; i < n->n_in; i++)
        ins[i] = in[i] && steps < n->steps ? mls_tape_steps(c, in[i], from, steps) : in[i];
    for (int i = 0; i < n->n_out; i++)
        outs[i] = steps < n->steps ? mls_tape_steps(c, to[i], from, steps) : to[i];
    for (int s = 0; s < g->n_states; s++) {
        ins[n->n_in + s] = run->now[g->state[s]->index];
        if (s < g->n_after)
            outs[n->n_out + s] = mls_tape_tensor(c, 1, run->batch, g->state[s]->width);
    }
    mls_tape_apply_as(c, MLS_OMITS | MLS_TAPE_RUNS | MLS_TAPE_FORGETS_OUT | MLS_TAPE_AGAIN,
                      &op, g, ins, n->n_in + g->n_states, outs, n->n_out + g->n_after);
    for (int s = 0; s < g->n_after; s++) run->now[g->state[s]->index] = outs[n->n_out + s];
}

/* ---- pieces ---------------------------------------------------------------------------- */

/* Before the first piece: the outputs that the pieces are views of.  Its backward comes after
 * theirs, when nobody reads the gradients of these any more.                              */
static void open_forward(const mls_call *k)
{
    for (int i = 0; i < k->n_out; i++)
        memset(k->out[i]->data, 0, (size_t)k->out[i]->count * sizeof(float));
}

static void open_backward(const mls_call *k) { (void)k; }

static const mls_op opening = { sizeof opening, "net.remat.open", open_forward, open_backward,
                                NULL };

/* Whether forward over pieces, states carried over, is forward over the whole. */
static int streams(const node *n)
{
    const unsigned flags = n->component->flags;
    const mls_option *o;
    if (!(flags & MLS_CAUSAL) || !(flags & MLS_STREAMS) || flags & MLS_RANDOM) return 0;
    for (int i = 0; (o = mls_plug_option(n->net->registry, n->component, i)); i++)
        if (mls_option_is_open(o, n->self)) return 0;
    for (const node *p = n->part; p; p = p->next)
        if (!streams(p)) return 0;
    return 1;
}

/* Steps of a piece; those of the node if it is better left whole. */
static int64_t piece_steps(const mls_run *run, const node *n, const mls_t *in)
{
    const int64_t per = (ROWS / run->batch + CHUNK - 1) / CHUNK * CHUNK, steps = per ? per : CHUNK;
    int64_t wide = 0, kept = 0;
    if (n->steps < 2 * steps || !streams(n)) return n->steps;
    for (int i = 0; i < n->n_in; i++) {
        if (in[i] && in[i]->dim[0] != n->steps) return n->steps;
        wide += in[i] ? in[i]->dim[2] : 0;
    }
    for (int i = 0; i < n->n_out; i++) wide += n->out_width[i];
    for (int i = 0; i < run->net->n_states; i++)
        if (belongs(run->net->state[i], n)) kept += run->net->state[i]->width;
    return 2 * kept <= wide * steps ? steps : n->steps;     /* else the states weigh more */
}

void mls_net_remat(mls_run *run, node *n, const mls_t *in, mls_t *out)
{
    mls_ctx *c = &n->ctx;
    const int64_t t0 = n->t0, whole = n->steps, steps = piece_steps(run, n, in);
    for (int i = 0; i < n->n_out; i++)
        out[i] = mls_tape_tensor(c, in[0]->dim[0], run->batch, n->out_width[i]);
    if (steps < whole)
        mls_tape_apply_as(c, MLS_TAPE_FORGETS, &opening, NULL, in, n->n_in, out, n->n_out);
    for (int64_t from = 0; from < whole && !run->error.set; from += steps) {
        n->t0 = t0;
        n->steps = whole;
        piece(run, n, in, out, from, from + steps < whole ? steps : whole - from);
    }
    n->t0 = t0;
    n->steps = whole;
    mls_net_penalty_wake(run, n, out[0]);
}
