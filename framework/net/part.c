/* part.c - components inside of components: a part is a node whose wires are its owner's
 * calls.  Its path is the owner's with a name behind it, so that weights, states, channels,
 * random streams and messages of parts are told apart as those of nodes are.              */
#include "net/inner.h"

#include <string.h>

/* What a plugin holds of a part. */
typedef struct handle { mls_part shown; node node; } handle;

static node *node_of(mls_ctx *c) { return c->owner; }
static node *inside(mls_part *p) { return &((handle *)(void *)p)->node; }

int mls_net_within(const node *n, const node *owner)
{
    while (n && n != owner) n = n->owner;
    return n != NULL;
}

void mls_net_ends(const node *n)
{
    mls_run *run = n->net->run;
    run->tape.ends = mls_net_is_last(run, n->t0, n->steps) ? n->steps : 0;
}

void mls_net_node_begin(node *n, int64_t t0, int64_t steps)
{
    n->t0 = t0;
    n->steps = steps;
    mls_net_ends(n);
    for (node *p = n->part; p; p = p->next) p->ran = 0;
}

/* ---- setup ----------------------------------------------------------------------------- */

static void check_names(mls_ctx *c, const char *name)
{
    const node *o = node_of(c);
    mls_net_check_name(c, "part", name);
    if (!c->error->set && strchr(name, '.'))
        mls_error_set(c->error, "%s: a part is called \"%s\"; its name has no dot", c->path, name);
    for (const node *p = o->part; p && !c->error->set; p = p->next)
        if (!strcmp(p->name, name))
            mls_error_set(c->error, "%s: two parts are called %s", c->path, name);
}

/* The input that run feeds takes the width that it is given; mask and dt come from run. */
static void feed(node *n, int64_t in, mls_error *e)
{
    n->main_in = -1;
    for (int i = 0; i < n->n_in; i++) {
        const char *name = n->in_port[i]->name;
        if (!strcmp(name, "mask")) n->in[i].service = 'm';
        else if (strcmp(name, "dt") && n->main_in < 0) n->main_in = i;
        if (n->in[i].service) n->in_width[i] = 1;
    }
    if (n->main_in < 0) {                        /* checked when the option was read */
        mls_error_set(e, "%s (%s.%s) has no input", n->path, n->component->kind,
                      n->component->name);
        n->main_in = 0;
        return;
    }
    const mls_port *p = n->in_port[n->main_in];
    const int64_t want = mls_net_port_width(n, p);
    n->in[n->main_in].from = FROM_INPUT;
    n->in_width[n->main_in] = in;
    if (want && want != in)
        mls_error_set(e, "%s (%s.%s): its input \"%s\" is to be %lld wide, but it is fed %lld "
                      "features", n->path, n->component->kind, n->component->name, p->name,
                      (long long)want, (long long)in);
    for (int i = 0; i < n->n_out && !e->set; i++) {
        n->out_width[i] = mls_net_port_width(n, n->out_port[i]);
        if (!n->out_width[i])
            mls_error_set(e, "%s: the width of its output \"%s\" cannot be found", n->path,
                          n->out_port[i]->name);
    }
}

/* What keeps a state must be able to leave it alone. */
static void check_states(const node *n, int before, mls_error *e)
{
    int masked = 0;
    for (int i = 0; i < n->n_in; i++) masked |= n->in[i].service == 'm';
    if (!masked && n->net->n_states > before)
        mls_error_set(e, "%s: %s.%s keeps the state %s and has no input \"mask\": it cannot be "
                      "a part", n->path, n->component->kind, n->component->name,
                      n->net->state[before]->channel);
}

static void enlist(node *owner, node *n)
{
    node **end = &owner->part;
    while (*end) end = &(*end)->next;
    n->owner = owner;
    *end = n;
}

static mls_part *part(mls_ctx *c, const mls_spec *spec, const char *name, int64_t in,
                      int64_t model)
{
    static mls_part none;
    node *o = node_of(c);
    none = (mls_part){ 1, 1 };
    if (c->error->set) return &none;
    if (!c->component || c->component->task || !o->net->error || !spec || in < 1 || model < 1)
        mls_error_set(c->error, "%s: part %s: %s", c->path, name ? name : "?",
                      !c->component || c->component->task ? "only components of networks have "
                      "parts" : !o->net->error ? "parts are made in setup" : !spec
                      ? "there is no component to make it of" : "a width below 1");
    else check_names(c, name);
    handle *h = c->error->set ? NULL : mls_arena_zalloc(c->network, sizeof *h);
    if (!h) {
        mls_error_set(c->error, "%s: out of memory", c->path);
        return &none;
    }
    node *n = &h->node;
    const char *own = mls_arena_strdup(c->network, name);
    mls_net_node_init(o->net, n, own, mls_arena_printf(c->network, "%s.%s", c->path, name),
                      o->layer, spec->component, c->error);
    if (c->error->set) return &none;
    memcpy(n->self, spec->self, spec->component->self_size);
    n->model = model;
    enlist(o, n);
    mls_net_node_widths(n);
    feed(n, in, c->error);
    if (c->error->set) return &none;
    const int states = o->net->n_states;
    n->component->setup(&n->ctx, n->self);
    check_states(n, states, c->error);
    h->shown = (mls_part){ in, n->out_width[0] };
    return &h->shown;
}

/* ---- forward ---------------------------------------------------------------------------- */

static int is_column(mls_t m, mls_t x)
{
    return !m || (m->dim[0] == x->dim[0] && m->dim[1] == x->dim[1] && m->dim[2] == 1);
}

static int check_run(mls_ctx *c, const node *n, mls_t x, mls_t mask, mls_t dt)
{
    const node *o = node_of(c);
    if (c->error->set) return 0;
    if (n->owner != o)
        mls_error_set(c->error, "%s runs %s, which is no part of it", c->path, n->path);
    else if (!x || x->dim[1] != o->net->run->batch || x->dim[2] != n->in_width[n->main_in])
        mls_error_set(c->error, "%s is fed [%lld][%lld][%lld], expected [T][%lld][%lld]", n->path,
                      x ? (long long)x->dim[0] : 0, x ? (long long)x->dim[1] : 0,
                      x ? (long long)x->dim[2] : 0, (long long)o->net->run->batch,
                      (long long)n->in_width[n->main_in]);
    else if (!is_column(mask, x) || !is_column(dt, x))
        mls_error_set(c->error, "%s: its %s is not [%lld][%lld][1], as its input is", n->path,
                      is_column(mask, x) ? "dt" : "mask", (long long)x->dim[0],
                      (long long)x->dim[1]);
    else if (n->ran + x->dim[0] > o->steps)
        mls_error_set(c->error, "%s runs over %lld steps and then %lld more, but there are %lld: "
                      "a part runs once over the steps of a forward", n->path, (long long)n->ran,
                      (long long)x->dim[0], (long long)o->steps);
    return !c->error->set;
}

static mls_t run_part(mls_ctx *c, mls_part *p, mls_t x, mls_t mask, mls_t dt)
{
    node *o = node_of(c), *n = inside(p);
    mls_t in[MAX_PORTS] = { NULL }, out[MAX_PORTS] = { NULL };
    if (!check_run(c, n, x, mask, dt)) return mls_tape_tensor(c, 0, 0, 0);
    for (int i = 0; i < n->n_in; i++)
        in[i] = n->in[i].service == 'm' ? mask : i == n->main_in ? x
              : !strcmp(n->in_port[i]->name, "dt") ? dt : NULL;
    n->mask = mask;
    mls_net_node_forward(o->net->run, n, in, out, o->t0 + n->ran);
    mls_run_current = o->path;
    mls_net_synapses_at(o->net->run, o->t0, o->steps);   /* of what the owner does next */
    mls_net_ends(o);
    n->ran += x->dim[0];
    if (!c->error->set && (!out[0] || out[0]->dim[0] != x->dim[0]))
        mls_error_set(c->error, "%s gives %lld steps for %lld", n->path,
                      out[0] ? (long long)out[0]->dim[0] : 0, (long long)x->dim[0]);
    return c->error->set ? mls_tape_tensor(c, 0, 0, 0) : out[0];
}

static void fill(const mls_call *k)
{
    const mls_state *s = k->attr;
    for (int64_t i = 0; i < k->out[0]->count; i++) k->out[0]->data[i] = (float)s->reset;
}

static const mls_op reset = { sizeof reset, "net.restart", fill, NULL, NULL };

static void restart(mls_ctx *c, mls_part *p)
{
    const node *n = inside(p);
    mls_run *run = n->net->run;
    for (int i = 0; i < n->net->n_states && !c->error->set; i++) {
        const mls_state *s = n->net->state[i];
        if (!mls_net_within(s->node, n)) continue;
        mls_t value = mls_tape_tensor(c, 1, run->batch, s->width);
        mls_tape_apply(c, &reset, s, NULL, 0, &value, 1);
        run->now[i] = value;
    }
}

void mls_net_part_services(mls_host *h)
{
    h->part = part;
    h->run = run_part;
    h->restart = restart;
}
