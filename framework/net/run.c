/* run.c - a network at work: states in, a batch through the layers, states out. */
#include "net/inner.h"

#include "base/philox.h"
#include "grad/reuse.h"
#include "grad/tape-inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

mls_run *mls_run_new(mls_net *net, int64_t batch, unsigned flags, mls_error *e)
{
    mls_run *r = calloc(1, sizeof *r);
    const size_t n = (size_t)net->n_states + 1;
    if (r) {
        *r = (mls_run){ .net = net, .batch = batch, .flags = flags };
        r->tape.flags = flags;
        r->tape.events = net->events;
        r->value = calloc(n, sizeof *r->value);
        r->first = calloc(n, sizeof *r->first);
        r->now = calloc(n, sizeof *r->now);
        r->seed = calloc(n, sizeof *r->seed);
        r->key = batch > 0 ? calloc((size_t)batch, sizeof *r->key) : NULL;
    }
    int ok = r && r->value && r->first && r->now && r->seed && r->key;
    for (int i = 0; ok && !net->dry && i < net->n_states; i++)
        ok = (r->value[i] = calloc((size_t)(batch * net->state[i]->width), sizeof(float))) != NULL;
    if (!ok) {
        if (e) mls_error_set(e, "out of memory for the states of %lld samples", (long long)batch);
        mls_run_free(r);
        return NULL;
    }
    if (!net->dry) mls_run_reset(r);
    return r;
}

void mls_run_free(mls_run *r)
{
    if (!r) return;
    for (int i = 0; r->value && i < r->net->n_states; i++) free(r->value[i]);
    free(r->value);
    free(r->first);
    free(r->now);
    free(r->seed);
    free(r->key);
    mls_tape_free(&r->tape);
    mls_places_free(r->places);
    mls_arena_free(&r->remat_arena);
    mls_arena_free(&r->remat_floats);
    for (int i = 0; r->remat_reuse && i < 2 * r->net->n_nodes; i++)
        mls_reuse_free(r->remat_reuse[i]);
    free(r->remat_reuse);
    mls_arena_free(&r->penalty_arena);
    free(r);
}

mls_error *mls_run_error(mls_run *run) { return &run->error; }
double mls_run_memory(const mls_run *r)
{
    const size_t halves = r->tape.reuse ? mls_reuse_arena(r->tape.reuse)->peak : 0;
    return (double)(r->tape.arena.peak + r->tape.floats.peak + r->remat_arena.peak +
                    r->remat_floats.peak + halves);
}

mls_tape *mls_run_tape(mls_run *run) { return &run->tape; }

int mls_run_reuse(mls_run *run, int half)
{
    if (!run->tape.reuse) run->tape.reuse = mls_reuse_new(half);
    if (!run->remat_reuse)
        run->remat_reuse = calloc(2 * (size_t)run->net->n_nodes, sizeof *run->remat_reuse);
    return run->tape.reuse && run->remat_reuse;
}

void mls_run_forget(mls_run *run) { run->pending = 0; }
void mls_run_transient(mls_run *run, int on) { run->transient = on; }
void mls_run_track(mls_run *run, int on) { run->track = on; }
void mls_run_blocks(mls_run *run, int on) { run->blocks = on; }

/* The final states stay in the tape until nobody reads the initial ones again: backward
 * does, so they are copied out after it or at the next use.                              */
static void commit(mls_run *r)
{
    if (!r->pending) return;
    r->pending = 0;
    for (int i = 0; i < r->net->n_states; i++)
        if (r->now[i] && r->now[i]->data && r->now[i]->data != r->value[i])
            memcpy(r->value[i], r->now[i]->data,
                   (size_t)(r->batch * r->net->state[i]->width) * sizeof(float));
}

void mls_run_reset(mls_run *r)
{
    r->pending = 0;
    for (int i = 0; i < r->net->n_states; i++) {
        const mls_state *s = r->net->state[i];
        const float to = (float)s->reset;
        float *x = r->value[i];
        /* pages that nobody ever wrote take no memory: the window of attention's past */
        for (int64_t k = 0; k < r->batch * s->width; k++)
            if (memcmp(x + k, &to, sizeof to)) x[k] = to;
    }
}

int mls_run_states(const mls_run *run) { return run->net->n_states; }

/* Between a training forward and its backward the new value is still the tape's. */
const char *mls_run_state(mls_run *r, int i, float **value, int64_t *width, double *reset)
{
    const mls_state *s = r->net->state[i];
    const int open = r->pending && r->now[i] && r->now[i]->data;
    if (value) *value = open ? r->now[i]->data : r->value[i];
    if (width) *width = s->width;
    if (reset) *reset = s->reset;
    return s->name;
}

float *mls_run_state_grad(mls_run *r, int i) { return r->first[i] ? r->first[i]->grad : NULL; }
mls_t mls_run_input(mls_run *r) { return r->net->shape.vocabulary ? NULL : r->x; }
mls_t mls_run_output(const mls_run *r) { return r->output; }
mls_t mls_run_decision(const mls_run *r) { return r->decision ? r->decision : r->output; }
mls_t mls_run_mask(const mls_run *r) { return r->mask; }
mls_run *mls_run_of(mls_ctx *c) { return ((const node *)c->owner)->net->run; }
void mls_run_seed_state(mls_run *r, int i, const float *seed) { r->seed[i] = seed; }

void mls_run_bundle(mls_run *r, mls_bundle *b)
{
    commit(r);
    for (int i = 0; i < r->net->n_states; i++) {
        const mls_state *s = r->net->state[i];
        mls_bundle_add(b, mls_arena_printf(b->arena, "state/%s", s->name), MLS_B_F32, r->value[i], 2,
                       (int64_t[]){ r->batch, s->width });
    }
}

/* ---- forward --------------------------------------------------------------------- */

static mls_ctx *ctx_of(mls_run *r)
{
    mls_ctx *c = &r->net->self.ctx;
    c->error = &r->error;
    c->tape = &r->tape;
    c->path = "network";
    return c;
}

static mls_t norm(mls_run *r, mls_t x, int i)
{
    const mls_net *net = r->net;
    mls_ctx *c = ctx_of(r);
    if (net->norm == 'r') return mls_grad_rms_norm(c, x, net->norm_gain[i], 1e-5);
    if (net->norm == 'l') return mls_grad_layer_norm(c, x, net->norm_gain[i], net->norm_bias[i], 1e-5);
    return x;
}

static int check_batch(mls_run *r, const mls_batch *b)
{
    const mls_net *net = r->net;
    if (b->batch != r->batch || b->steps < 1)
        mls_error_set(&r->error, "a batch of %lld samples and %lld steps was given to a run of %lld",
                      (long long)b->batch, (long long)b->steps, (long long)r->batch);
    else if (net->shape.vocabulary ? !b->token : !b->x)
        mls_error_set(&r->error, "the batch has no %s", net->shape.vocabulary ? "tokens" : "input");
    else if (net->dry && !r->tape.dry && !r->tape.rehearses)
        mls_error_set(&r->error, "a network built for a dry run cannot compute");
    return !r->error.set;
}

static mls_t enter(mls_run *r, const mls_batch *b)
{
    mls_net *net = r->net;
    mls_ctx *c = ctx_of(r);
    const int dry = r->tape.dry || r->tape.rehearses;
    if (net->embed) {
        for (int64_t i = 0; !dry && i < b->steps * b->batch; i++)
            if (b->token[i] < 0 || b->token[i] >= net->shape.vocabulary) {
                mls_error_set(&r->error, "token %d at step %lld of sample %lld lies outside 0 to %lld",
                              b->token[i], (long long)(i / b->batch), (long long)(i % b->batch),
                              (long long)net->shape.vocabulary - 1);
                return NULL;
            }
        return mls_grad_embed(c, b->token, b->steps, b->batch, net->embed);
    }
    return mls_grad_linear(c, r->x, net->in_weight, net->in_bias);
}

/* Keys by place are new in each training step, and always the same outside of training. */
static void take_keys(mls_run *r, const mls_batch *b, uint64_t step)
{
    uint64_t key = mls_philox_key(r->net->seed, "network", "place");
    if (r->flags & MLS_TRAIN) key = mls_philox_mix(key, step);
    for (int64_t i = 0; i < r->batch; i++)
        r->key[i] = b->key ? b->key[i] : mls_philox_mix(key, (uint64_t)i);
}

static void begin(mls_run *r, const mls_batch *b, uint64_t step)
{
    commit(r);
    mls_ctx *c = ctx_of(r);
    mls_tape_reset(&r->tape);
    r->synapses.steps = 0;
    r->tape.dropout = mls_philox_mix(mls_philox_key(r->net->seed, "network", "dropout"), step);
    r->net->run = r;
    r->steps = b->steps;
    take_keys(r, b, step);
    r->leaves = r->transient;
    for (int i = 0; r->observed && i < r->net->n_states; i++)
        r->leaves &= !mls_net_wanted(r, r->net->state[i]->node, r->net->state[i]->channel);
    r->loss = r->output = r->decision = NULL;
    mls_net_penalty_begin(r);
    mls_net_adapt_begin(r);
    mls_run_phase = "forward";
    const int dry = r->tape.dry;
    for (int i = 0; i < r->net->n_states; i++)
        r->now[i] = r->first[i] = mls_tape_wrap(c, dry ? NULL : r->value[i], NULL, r->track, 1,
                                                r->batch, r->net->state[i]->width);
    r->x = b->x ? mls_tape_wrap(c, dry ? NULL : (float *)(uintptr_t)b->x, NULL, r->track, b->steps,
                                b->batch, r->net->shape.input) : NULL;
    r->mask = b->mask ? mls_tape_wrap(c, dry ? NULL : (float *)(uintptr_t)b->mask, NULL, 0, b->steps, b->batch, 1) : NULL;
    r->dt = b->dt ? mls_tape_wrap(c, dry ? NULL : (float *)(uintptr_t)b->dt, NULL, 0, b->steps, b->batch, 1) : NULL;
}

static mls_t head(mls_run *r, mls_t x)
{
    node *h = &r->net->node[r->net->n_nodes - 1];
    mls_t in[MAX_PORTS] = { x };
    for (int i = 1; i < h->n_in; i++)
        in[i] = h->in[i].service == 'm' ? r->mask : h->in[i].service == 'd' ? r->dt : NULL;
    r->tape.puts_off = r->in_blocks;
    mls_net_node_forward(r, h, in, h->out, 0);
    r->tape.puts_off = 0;
    return h->out[0];
}

static void observe_states(mls_run *r)
{
    for (int i = 0; i < r->net->n_states; i++) {
        const mls_state *s = r->net->state[i];
        if (mls_net_wanted(r, s->node, s->channel))
            mls_net_observe(r, s->node, s->channel, s->unit, s->help, MLS_OF_STATE,
                            r->now[i], 0);
    }
}

/* The layers and the head: the output, NULL on error. */
static mls_t through(mls_run *r, const mls_batch *b)
{
    mls_net *net = r->net;
    mls_t x = enter(r, b);
    for (int l = 0; l < net->layers && !r->error.set; l++)
        for (int k = 0; k < net->n_branches && !r->error.set; k++) {
            mls_t y = mls_net_branch(r, l, k, norm(r, x, l * net->n_branches + k));
            mls_ctx *c = ctx_of(r);
            if (net->dropout > 0.0) y = mls_grad_dropout(c, y, net->dropout);
            x = net->residual ? mls_grad_binary(c, MLS_ADD, x, y) : y;
        }
    if (!r->error.set) x = norm(r, x, net->layers * net->n_branches);
    return r->error.set ? NULL : head(r, x);
}

/* What is read after the forward: the output, and the states, which may be views of more. */
static void plan(mls_run *r, const mls_batch *b, uint64_t step, uint64_t key)
{
    begin(r, b, step);
    mls_reuse_plan(&r->tape, key);
    const mls_t y = through(r, b);
    mls_reuse_end(ctx_of(r));
    const mls_later *later = mls_tape_later(y);
    for (int i = 0; later && i < 3; i++) mls_reuse_use(&r->tape, later->in[i]);
    mls_reuse_hold(&r->tape, y);
    for (int i = 0; i < r->net->n_states && !r->leaves; i++)
        mls_reuse_hold(&r->tape, r->now[i]);
    mls_reuse_planned(&r->tape);
}

/* Of what decides on the list of ops.  0, never the same: who looks on may want something else
 * each time, and must not be told twice.                                                 */
static uint64_t plan_key(const mls_run *r, const mls_batch *b)
{
    if (r->observed || r->list_arena || r->tape.synapses || r->tape.check) return 0;
    const int has[] = { b->token != NULL, b->x != NULL, b->mask != NULL, b->dt != NULL,
                        r->in_blocks, r->track, r->tape.steady, r->transient };
    uint64_t bits = 1;
    for (size_t i = 0; i < sizeof has / sizeof *has; i++) bits = bits << 1 | (has[i] != 0);
    return (uint64_t)b->steps << 16 | bits;
}

mls_t mls_run_forward(mls_run *r, const mls_batch *b, uint64_t step)
{
    if (r->error.set || !check_batch(r, b)) return NULL;
    const int plans = r->tape.reuse && !r->tape.dry;
    const uint64_t key = plan_key(r, b);
    const int placed = key && mls_places_key(r->places) == key && mls_places_bytes(r->places);
    if (!r->tape.rehearses) r->tape.places = placed ? r->places : NULL;
    int ready = plans && mls_reuse_ready(&r->tape, key);
    if (plans && !ready) plan(r, b, step, key);
    if (r->error.set) return NULL;
    begin(r, b, step);
    if (r->tape.synapses) r->synapse_samples += (double)r->synapses.samples;
    r->output = r->error.set ? NULL : through(r, b);
    mls_reuse_end(ctx_of(r));
    if (ready && mls_reuse_stale(&r->tape)) {        /* a component that does otherwise now */
        r->error = (mls_error){ 0 };
        plan(r, b, step, key);
        if (r->error.set) return NULL;
        begin(r, b, step);
        r->output = through(r, b);
        mls_reuse_end(ctx_of(r));
    }
    mls_run_current = mls_run_op = mls_run_phase = NULL;
    if (r->error.set) return NULL;
    observe_states(r);
    r->pending = !r->tape.dry && !r->tape.rehearses && !r->leaves;
    if (!(r->flags & MLS_TRAIN)) commit(r);
    return r->output;
}

/* Whether the output may be made in blocks, and has more than one. */
static int wants_blocks(const mls_run *r, const mls_batch *b)
{
    const mls_task_shape *s = &r->net->shape;
    const int exact = (r->flags & MLS_EXACT) != 0;
    return r->blocks && s->loss == MLS_CROSS_ENTROPY && s->per_step &&
           r->net->labels.kind == MLS_LOSS_OF_TASK && !r->tape.check && !r->tape.synapses &&
           b->steps * b->batch > mls_grad_head_rows(s->output, b->batch, exact);
}

/* The loss of an output that was put off.  Its input's gradient may take the input's place if
 * that is the network's own norm, of which no state can be a view.                         */
static mls_t loss_in_blocks(mls_run *r, mls_t y, const mls_batch *b, mls_loss_stats *s)
{
    const mls_later *later = mls_tape_later(y);
    int replace = r->net->norm != 0;
    for (int i = 0; i < r->net->n_states; i++)
        replace &= !r->now[i] || mls_tape_root(r->now[i]) != mls_tape_root(later->in[0]);
    r->output = NULL;
    return mls_grad_head_loss(ctx_of(r), later, b->label, s, replace);
}

/* Before the first training step of its kind.  A run whose steps are of ever other lengths does
 * without: the rehearsals would take longer than they are worth. */
static void find_places(mls_run *r, const mls_batch *b)
{
    enum { OFTEN = 8 };
    if (!r->tape.reuse || !(r->flags & MLS_TRAIN) || r->tape.dry || r->tape.rehearses) return;
    if (r->error.set || r->penalty || r->placed == OFTEN) return;
    const uint64_t key = plan_key(r, b);
    if (!key || mls_places_key(r->places) == key) return;
    mls_places_free(r->places);
    r->tape.places = r->places = NULL;
    r->places = mls_net_places(r, b, key);
    r->placed++;
}

double mls_run_loss(mls_run *r, const mls_batch *b, uint64_t step, mls_loss_stats *s)
{
    mls_loss_stats own;
    r->in_blocks = wants_blocks(r, b);
    if (check_batch(r, b)) find_places(r, b);
    mls_t y = mls_run_forward(r, b, step);
    r->in_blocks = 0;
    if (!y) return NAN;
    mls_ctx *c = ctx_of(r);
    const int kind = r->net->shape.loss, labels = r->net->labels.kind != MLS_LOSS_OF_TASK;
    const int each = r->net->shape.per_step || mls_label_loss_steps(&r->net->labels);
    const int64_t want = each ? b->steps : 1;
    if (y->dim[0] != want)
        mls_error_set(&r->error, "the head gives %lld outputs a sequence, but the %s scores %lld; "
                      "%s", (long long)y->dim[0], labels ? "loss" : "task", (long long)want,
                      want == 1 ? "use head.last or head.mean"
                      : labels  ? "use head.spikes or head.linear" : "use head.linear");
    else if (kind == MLS_CROSS_ENTROPY ? !b->label : !b->target)
        mls_error_set(&r->error, "the batch has no %s to score",
                      kind == MLS_CROSS_ENTROPY ? "labels" : "targets");
    if (r->error.set) return NAN;
    if (!s) s = &own;
    r->loss = labels                      ? mls_net_label_loss(r, y, b, s)
              : mls_tape_later(y)         ? loss_in_blocks(r, y, b, s)
              : kind == MLS_CROSS_ENTROPY ? mls_grad_cross_entropy(c, y, b->label, s)
              : kind == MLS_MAE           ? mls_grad_mae(c, y, b->target, s)
              : kind == MLS_BINARY        ? mls_grad_binary_nll(c, y, b->target, s)
                                          : mls_grad_mse(c, y, b->target, s);
    return r->error.set || r->tape.dry || r->tape.rehearses ? NAN : (double)r->loss->data[0];
}

/* ---- backward -------------------------------------------------------------------- */

static void backward(mls_run *r, double scale)
{
    mls_ctx *c = ctx_of(r);
    mls_net_penalty_seed(r, c, scale);
    mls_net_adapt_pend(r, scale);
    for (int i = 0; i < r->net->n_states; i++) {
        if (!r->seed[i] || r->leaves || !mls_tape_tracks(r->now[i])) continue;
        float *g = mls_tape_grad(c, r->now[i]);
        for (int64_t k = 0; g && k < r->now[i]->count; k++) g[k] += r->seed[i][k];
    }
    mls_tape_backward(c);
    commit(r);
}

void mls_run_backward(mls_run *r, double scale)
{
    if (r->error.set || !r->loss || r->tape.dry) return;
    float *g = mls_tape_grad(ctx_of(r), r->loss);
    if (g && !r->tape.rehearses) g[0] += (float)scale;
    backward(r, scale);
}

void mls_run_backward_from(mls_run *r, const float *grad_out)
{
    if (r->error.set || !r->output || r->tape.dry) return;
    float *g = grad_out ? mls_tape_grad(ctx_of(r), r->output) : NULL;
    for (int64_t i = 0; g && i < r->output->count; i++) g[i] += grad_out[i];
    backward(r, 1.0);
}

mls_ctx *mls_run_ctx(mls_run *run) { return ctx_of(run); }

void mls_run_backward_of(mls_run *r, mls_t loss, double scale)
{
    if (r->error.set || !r->output || r->tape.dry) return;
    if (loss->count != 1) {
        mls_error_set(&r->error, "backward from a loss of %lld values, expected 1",
                      (long long)loss->count);
        return;
    }
    float *g = mls_tape_grad(ctx_of(r), loss);
    if (g) g[0] += (float)scale;
    backward(r, scale);
}
