/* wired_cfc.c - closed-form cells in layers that a wiring joins, as ncps.WiredCfCCell.
 *
 *   layer l: a cell of cfc.c without backbone on [x_l, h_l[t-1]],
 *            x_0 = x[t],  x_l = h_(l-1)[t]
 *   f1 = squash((W1 . M) z + b1)   f2 = squash((W2 . M) z + b2)
 *   M = 1 where the wiring has a synapse into the layer, and for all of h_l
 *
 * As in ncps: the gate's weights time_a and time_b are dense, the recurrence within a
 * layer is all-to-all whatever the wiring says of command neurons, and the polarity of
 * a synapse is not used.  The state is inter | command | motor.  Differences: see
 * cfc.c; and without layers (full, random) `outputs` neurons are given, where ncps
 * gives all.
 */
#include "cfc_ports.h"
#include "wiring_setup.h"

typedef struct layer {
    cfc_cell cell;
    mls_t weight[8], w_tau, A; /* w, b of ff1, ff2, time_a, time_b */
    const float *mask;         /* [units][inputs + units] */
} layer;

typedef struct wired {
    wiring_options net;
    int mode, head_activation;
    wiring wiring;
    layer layer[WIRING_LAYERS];
    mls_t tau;
    mls_state *h;
} wired;

/* ---- A weight where there are synapses
 * ------------------------------------------------ */

static void mask_forward(const mls_call *k)
{
    const float *m = k->attr;
    for (int64_t i = 0; i < k->out[0]->count; i++)
        k->out[0]->data[i] = k->in[0]->data[i] * m[i];
}
static void mask_backward(const mls_call *k)
{
    const float *m = k->attr;
    for (int64_t i = 0; k->in[0]->grad && i < k->out[0]->count; i++)
        k->in[0]->grad[i] += k->out[0]->grad[i] * m[i];
}
static const mls_op mask_op = {sizeof mask_op, "cfc.mask", mask_forward, mask_backward,
                               NULL};

static mls_t masked(mls_ctx *c, const layer *l, mls_t w)
{
    const mls_t out = mls->tensor(c, w->dim[0], w->dim[1], w->dim[2]);
    mls->apply(c, &mask_op, l->mask, &w, 1, &out, 1);
    return out;
}

/* ---- The component
 * ---------------------------------------------------------------------- */

static const float *mask_of(mls_ctx *c, const wiring *w, int l)
{
    const int64_t H = w->size[l], S = l ? w->size[l - 1] : w->inputs;
    const float *from = l ? w->adjacency + w->from[l - 1] * w->units : w->sensory;
    float *m = mls->alloc(c, (size_t)(H * (S + H)) * sizeof *m);
    for (int64_t j = 0; m && j < H; j++)
        for (int64_t i = 0; i < S + H; i++)
            m[j * (S + H) + i] = i >= S || from[i * w->units + w->from[l] + j] != 0.0f;
    return m;
}

static void setup_layer(mls_ctx *c, wired *p, int l)
{
    static const char *const head[] = {"ff1", "ff2", "time_a", "time_b"};
    layer *y = &p->layer[l];
    const int64_t H = p->wiring.size[l],
                  S = l ? p->wiring.size[l - 1] : p->wiring.inputs;
    char name[48];
    y->cell =
        (cfc_cell){.units = H, .mode = p->mode, .head_activation = p->head_activation};
    y->mask = mask_of(c, &p->wiring, l);
    if (p->mode == CFC_PURE) {
        snprintf(name, sizeof name, "layer_%d.w_tau", l);
        y->w_tau = mls->weight(c, name, 1, H, mls_init_of(MLS_XAVIER, 1.0, 0));
        snprintf(name, sizeof name, "layer_%d.A", l);
        y->A = mls->weight(c, name, 1, H, mls_init_of(MLS_XAVIER, 1.0, 0));
    }
    for (int i = 0; i < cfc_heads(&y->cell); i++) {
        snprintf(name, sizeof name, "layer_%d.%s", l, head[i]);
        linear_weights(c, name, H, S + H, &y->weight[2 * i], &y->weight[2 * i + 1]);
    }
}

static void setup(mls_ctx *c, void *self)
{
    static const int wirings[] = {WIRING_AUTO_NCP, WIRING_FULL, WIRING_RANDOM,
                                  WIRING_NCP};
    wired *p = self;
    wiring_options o = p->net;
    o.wiring = wirings[o.wiring];
    o.self_connections = 1;
    if (p->mode == CFC_PURE && p->head_activation)
        mls->fail(c, "head_activation is \"lecun_tanh\", but mode \"pure\" has no "
                     "activation on its head: leave head_activation out, or choose "
                     "mode \"default\" or \"no_gate\"");
    if (!wiring_setup(c, &o, mls->width(c, "in"), &p->wiring)) return;
    for (int l = 0; l < p->wiring.layers; l++) setup_layer(c, p, l);
    p->tau = tau_weight(c, p->wiring.units);
    p->h = mls->state(c, "h", p->wiring.units, 0.0, NULL,
                      "hidden states of the layers: inter, command, motor");
}

static mls_t add_part(mls_ctx *c, mls_t all, mls_t part)
{
    return all ? mls->concat(c, all, part) : part;
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    wired *p = self;
    const wiring *w = &p->wiring;
    const mls_t tau = tau_of(c, in[2], p->tau), h = mls->load(c, p->h);
    const int gates = p->mode != CFC_PURE && mls->wanted(c, "gate");
    mls_t x = in[0], last = NULL, gate = NULL, every = NULL;
    const int seen = mls->wanted(c, "layers");
    for (int64_t l = 0, at = 0; l < w->layers; at += w->size[l++]) {
        const layer *y = &p->layer[l];
        const int64_t H = w->size[l];
        mls_t from[MAX_IN] = {x, mls->slice(c, h, at, H), in[1],
                              tau ? mls->slice(c, tau, at, H) : NULL, in[3]};
        mls_t to[MAX_OUT];
        from[IN_WTAU] = y->w_tau;
        from[IN_A] = y->A;
        memcpy(from + IN_WEIGHT, y->weight, sizeof y->weight);
        for (int i = FF1; i <= (p->mode == CFC_PURE ? FF1 : FF2); i++)
            from[IN_WEIGHT + 2 * i] = masked(c, y, y->weight[2 * i]);
        run_scan(c, &y->cell, from, to);
        x = to[OUT_Y];
        last = add_part(c, last, to[OUT_H]);
        if (seen) every = add_part(c, every, x);
        if (gates)
            gate = add_part(c, gate,
                            mls->slice(c, to[OUT_HEADS], to[OUT_HEADS]->dim[2] - H, H));
    }
    mls->store(c, p->h, last);
    if (gates)
        mls->tap(c, "gate", gate, NULL, "share of the second head in the new state");
    if (seen)
        mls->tap(c, "layers", every, NULL, "hidden states: inter, command, motor");
    tap_tau(c, tau, in[0]->dim[0], in[0]->dim[1], w->units);
    out[0] = x->dim[2] > w->outputs ? mls->slice(c, x, 0, w->outputs) : x;
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
    {"dt", MLS_IN | MLS_MAYBE, "T B 1", "length of each step, 1 when unconnected"},
    {"mod_tau", MLS_IN | MLS_MAYBE, "T B m",
     "modulates the time constant of every unit"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding"},
    {"out", MLS_OUT, "T B outputs", "hidden state of the motor neurons"},
    MLS_PORT_END};

static const mls_option options[] = {
    WIRING_OPTIONS(wired, "auto_ncp|full|random|ncp"),
    MLS_OPT_CHOICE(wired, mode, "default|pure|no_gate",
                   "how the heads make the new state, as in cfc"),
    MLS_OPT_CHOICE(wired, head_activation, "tanh|lecun_tanh",
                   "activation of the two value heads; none in mode pure"),
    MLS_OPT_END};

static const mls_component liquid_wired_cfc = {
    sizeof liquid_wired_cfc,
    "liquid",
    "wired_cfc",
    MLS_CAUSAL | MLS_STREAMS,
    "Closed-form cells in layers joined by a wiring: sensory, inter, command, motor.\n"
    "`ncps.CfC` with a wiring: sparse synapses feed each layer of `cfc` cells without\n"
    "backbone. Only the value heads are sparse; the gate and the recurrence within a\n"
    "layer are dense, as in ncps. `full` and `random` have one layer.\n"
    "\n" WIRING_HELP,
    ports,
    options,
    sizeof(wired),
    setup,
    forward,
    NULL};

MLS_PLUGIN("wired_cfc", "1.0", "Apache-2.0", &liquid_wired_cfc);
