/* rig.c - a network of one node, and how to run it. */
#include "validate/probe.h"

#include "base/philox.h"

#include <stdlib.h>
#include <string.h>

enum { T_STEPS = 9, SAMPLES = 3, WIDTH = 16, CLASSES = 5, INPUTS = 32, OUTPUTS = 8,
       WIDEST = 4096 };

typedef struct wiring {
    mls_rig    *r;
    mls_arena  *a;
    mls_value  *nodes, *own;      /* all nodes; the options of the one under test        */
    const char *wire;
    int64_t     width;            /* of a port                                           */
    int         inputs, outputs;
    unsigned    spikes;           /* bit i: the i-th part of x holds spikes              */
} wiring;

static int is_head(const mls_rig *r) { return !strcmp(r->p->c->kind, "head"); }

static int is_service(const mls_port *port)
{
    return !strcmp(port->name, "mask") || !strcmp(port->name, "dt");
}

static mls_value *node(wiring *w, const char *name, const char *component)
{
    mls_value *n = mls_value_map(w->a);
    mls_value_set(w->a, n, "component", mls_value_string(w->a, component));
    if (name) mls_value_set(w->a, w->nodes, name, n);
    return n;
}

static void part(wiring *w, int i, int64_t n)
{
    mls_value *v = node(w, mls_arena_printf(w->a, "part%d", i), "mixer.probe_part");
    mls_value_set(w->a, v, "from", mls_value_int(w->a, i * w->width));
    mls_value_set(w->a, v, "n", mls_value_int(w->a, n));
    w->wire = mls_arena_printf(w->a, "input -> part%d; %s", i, w->wire);
}

/* The width that a port's shape asks for with a number; 0: it takes what it gets. */
static int64_t own_width(const mls_port *port)
{
    const char *word = strrchr(port->shape, ' ');
    return word ? strtoll(word + 1, NULL, 10) : 0;
}

static int64_t port_width(const wiring *w, const mls_port *port)
{
    const int64_t n = own_width(port);
    return n > 0 && n <= w->width ? n : w->width;
}

/* Room for the widest port that asks for a number of features. */
static int64_t room_for(const mls_probe *p, int64_t width)
{
    const mls_port *port;
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        if (!(port->flags & MLS_OUT) && own_width(port) > width && own_width(port) <= WIDEST)
            width = own_width(port);
    return width;
}

/* An integer option that is the width of a port, at its default, would be the network's
 * width or something large: here it is a port's.                                         */
static void narrow(wiring *w, const mls_port *port)
{
    const mls_probe *p = w->r->p;
    const char *word = strrchr(port->shape, ' ');
    const mls_option *o;
    for (int i = 0; word && (o = mls_plug_option(p->registry, p->c, i)); i++)
        if (o->type == MLS_INT && !strcmp(o->name, word + 1) && !mls_value_get(w->own, o->name)
            && (o->def == 0.0 || o->def > (double)w->width)
            && (o->min >= o->max || (o->min <= (double)w->width && o->max >= (double)w->width)))
            mls_value_set(w->a, w->own, o->name, mls_value_int(w->a, w->width));
}

static void connect(wiring *w)
{
    static const char all[] = "abcdefgh";
    mls_probe *p = w->r->p;
    const mls_port *port;
    const char *out = "";
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++) {
        if (is_service(port)) continue;
        narrow(w, port);
        if (port->flags & MLS_OUT) {
            if (w->outputs < OUTPUTS)
                out = mls_arena_printf(w->a, "%sn.%s -> all.%c; ", out, port->name,
                                       all[w->outputs++]);
            else
                mls_probe_note(p, "output \"%s\" is not looked at", port->name);
            continue;
        }
        if (w->inputs == INPUTS) mls_probe_fail(p, "it has more than %d inputs", INPUTS);
        if ((port->flags & MLS_MAYBE) && w->r->v->open) continue;
        if (port->flags & MLS_SPIKES) w->spikes |= 1u << w->inputs;
        w->wire = mls_arena_printf(w->a, "%spart%d -> n.%s; ", w->wire, w->inputs, port->name);
        part(w, w->inputs++, port_width(w, port));
    }
    if (!w->outputs) mls_probe_fail(p, "it has no output to look at");
    w->wire = mls_arena_printf(w->a, "%s%sall -> output", w->wire, out);
    node(w, "all", "mixer.probe_all");
}

static mls_value *specification(wiring *w, mls_value **head)
{
    mls_arena *a = w->a;
    const mls_probe *p = w->r->p;
    const char *name = mls_arena_printf(a, "%s.%s", p->c->kind, p->c->name);
    w->own = w->r->v->set ? mls_value_copy(a, w->r->v->set) : mls_value_map(a);
    mls_value_set(a, w->own, "component", mls_value_string(a, name));
    if (is_head(w->r)) {
        part(w, w->inputs++, w->width);
        w->wire = mls_arena_printf(a, "%spart0 -> output", w->wire);
        *head = w->own;
    } else {
        mls_value_set(a, w->nodes, "n", w->own);
        connect(w);
        *head = node(w, NULL, "head.probe_show");
    }
    mls_value *spec = mls_value_map(a);
    const int most = w->inputs > w->outputs ? w->inputs : w->outputs;
    mls_value_set(a, spec, "nodes", w->nodes);
    mls_value_set(a, spec, "wire", mls_value_string(a, w->wire));
    mls_value_set(a, spec, "width", mls_value_int(a, w->width * most));
    mls_value_set(a, spec, "layers", mls_value_int(a, 1));
    mls_value_set(a, spec, "norm", mls_value_string(a, "none"));
    mls_value_set(a, spec, "residual", mls_value_bool(a, 0));
    mls_value_set(a, spec, "head", *head);
    return spec;
}

/* Does a head give one output for the whole sequence? */
static int pools(const mls_rig *r)
{
    const mls_port *port;
    for (int i = 0; is_head(r) && (port = mls_plug_port(r->p->registry, r->p->c, i)); i++)
        if (port->flags & MLS_OUT) return port->shape[0] == '1';
    return 0;
}

/* Between the batch and the node nothing may change a value. */
static void identity(mls_rig *r)
{
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        mls_weight *w = mls_net_weight(r->net, i);
        if (strncmp(w->name, "input.", 6)) continue;     /* a node's begin with its path */
        memset(w->data, 0, (size_t)(w->rows * w->cols) * sizeof *w->data);
        for (int64_t k = 0; w->rows == w->cols && k < w->rows; k++)
            w->data[k * w->cols + k] = 1.0f;
    }
}

static void fill(mls_rig *r, unsigned spikes, int64_t width, uint64_t seed)
{
    const int64_t rows = r->T * r->B;
    for (int64_t i = 0; i < rows * r->in; i++) {
        const float u = mls_probe_noise(seed, (uint64_t)i);
        const int is = spikes >> (i % r->in / width) & 1;
        r->x[i] = is ? (u > 0.4f ? 1.0f : 0.0f) : 1.5f * u;
    }
    for (int64_t i = 0; i < rows; i++) {
        const int64_t t = i / r->B, b = i % r->B, n = r->T > 3 ? r->T - 3 * (b % 3) : r->T;
        r->dt[i] = 1.0f + 0.5f * mls_probe_noise(seed + 1, (uint64_t)i);
        r->mask[i] = t < (n > 1 ? n : 1) ? 1.0f : 0.0f;
    }
    for (int64_t i = 0; i < r->out_steps * r->B * r->out; i++)
        r->weight[i] = mls_probe_noise(seed + 2, (uint64_t)i);
}

static float *room(mls_probe *p, int64_t n)
{
    float *x = mls_arena_alloc(&p->arena, (size_t)(n + 1) * sizeof *x);
    if (!x) mls_probe_fail(p, "out of memory");
    return x;
}

static int takes_dt(const mls_probe *p)
{
    const mls_port *port;
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        if (!strcmp(port->name, "dt")) return 1;
    return 0;
}

void mls_rig_open(mls_rig *r, mls_probe *p, const mls_variant *v, mls_rig_size size,
                  unsigned flags, uint64_t seed)
{
    mls_error e = { 0 };
    mls_value *head = NULL;
    *r = (mls_rig){ .p = p, .v = v, .T = size.T ? size.T : T_STEPS,
                    .B = size.B ? size.B : SAMPLES, .flags = flags };
    wiring w = { r, &p->arena, mls_value_map(&p->arena), NULL, "",
                 room_for(p, size.width ? size.width : WIDTH), 0, 0, 0 };
    mls_value *spec = specification(&w, &head);
    r->in = mls_value_get(spec, "width")->integer;
    r->out = is_head(r) ? CLASSES : r->in;
    r->out_steps = pools(r) ? 1 : r->T;
    r->shape = (mls_task_shape){ .steps = r->T, .input = r->in, .output = r->out,
                                 .loss = MLS_MSE, .per_step = r->out_steps == r->T && !pools(r),
                                 .has_mask = 1, .has_dt = 1 };
    r->net = mls_net_build(&(mls_net_config){ p->registry, spec, &r->shape, seed, 0 }, &e);
    if (!r->net) mls_probe_fail(p, "%s: %s", v->title, e.text);
    identity(r);
    r->run = mls_run_new(r->net, r->B, flags, &e);
    if (!r->run) mls_probe_fail(p, "%s: %s", v->title, e.text);
    r->x = room(p, r->T * r->B * r->in);
    r->dt = room(p, r->T * r->B);
    r->mask = room(p, r->T * r->B);
    r->weight = room(p, r->out_steps * r->B * r->out);
    r->key = mls_arena_alloc(&p->arena, (size_t)r->B * sizeof *r->key);
    if (!r->key) mls_probe_fail(p, "out of memory");
    for (int64_t b = 0; b < r->B; b++) r->key[b] = mls_philox_mix(p->seed, (uint64_t)b);
    fill(r, w.spikes, w.width, p->seed);
    r->batch = (mls_batch){ .steps = r->T, .batch = r->B, .x = r->x,
                            .dt = takes_dt(p) ? r->dt : NULL, .key = r->key };
}

void mls_rig_close(mls_rig *r)
{
    mls_run_free(r->run);
    mls_net_free(r->net);
    r->run = NULL;
    r->net = NULL;
}

const float *mls_rig_forward(mls_rig *r, const mls_batch *b)
{
    if (!b) b = &r->batch;
    mls_t y = mls_run_forward(r->run, b, 0);
    if (!y) mls_probe_fail(r->p, "%s: %s", r->v->title, mls_run_error(r->run)->text);
    const int64_t T = r->shape.per_step ? b->steps : 1, B = b->batch;
    if (y->dim[0] != T || y->dim[1] != B || y->dim[2] != r->out)
        mls_probe_fail(r->p, "%s: its output is [%lld][%lld][%lld], expected [%lld][%lld][%lld]",
                       r->v->title, (long long)y->dim[0], (long long)y->dim[1],
                       (long long)y->dim[2], (long long)T, (long long)B, (long long)r->out);
    return y->data;
}

const float *mls_rig_fresh(mls_rig *r, const mls_batch *b)
{
    mls_run_reset(r->run);
    return mls_rig_forward(r, b);
}

double mls_rig_objective(mls_rig *r)
{
    const float *y = mls_rig_fresh(r, NULL);
    double sum = 0.0;
    for (int64_t i = 0; i < r->out_steps * r->B * r->out; i++)
        sum += (double)y[i] * (double)r->weight[i];
    return sum;
}

void mls_rig_backward(mls_rig *r)
{
    mls_rig_objective(r);
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, r->weight);
    if (mls_run_error(r->run)->set)
        mls_probe_fail(r->p, "%s: %s", r->v->title, mls_run_error(r->run)->text);
}

mls_batch mls_rig_piece(const mls_rig *r, int64_t from, int64_t n)
{
    mls_batch b = r->batch;
    b.steps = n;
    b.x += from * r->B * r->in;
    if (b.dt) b.dt += from * r->B;
    if (b.mask) b.mask += from * r->B;
    return b;
}

float *mls_rig_states(mls_rig *r, int64_t *count)
{
    float *value;
    int64_t width, n = 0;
    for (int i = 0; i < mls_run_states(r->run); i++) {
        mls_run_state(r->run, i, &value, &width, NULL);
        n += r->B * width;
    }
    float *all = room(r->p, n);
    n = 0;
    for (int i = 0; i < mls_run_states(r->run); i++) {
        mls_run_state(r->run, i, &value, &width, NULL);
        memcpy(all + n, value, (size_t)(r->B * width) * sizeof *all);
        n += r->B * width;
    }
    if (count) *count = n;
    return all;
}
