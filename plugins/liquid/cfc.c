/* cfc.c - closed-form continuous-time cell (Hasani et al. 2022, Nature Machine
 * Intelligence 4), as in ncps.CfCCell and ncps.CfC.
 *
 *   z  = backbone([x[t], h[t-1]])            layers of act(W . + b); none: z = [x, h]
 *   f1 = squash(W1 z + b1)   f2 = squash(W2 z + b2)
 *   s  = sigmoid((Wa z + ba) dt / tau + (Wb z + bb))
 *   h[t] = f1 (1 - s) + f2 s                 mode default
 *   h[t] = f1 + f2 s                         mode no_gate
 *   h[t] = A - A g exp(-(|w_tau| + |g|) dt / tau),   g = W1 z + b1       mode pure
 *   tau = 0.5 + sigmoid(Wtau m)              1 when mod_tau is unconnected
 *
 * Mixed memory (Lechner, Hasani 2020) puts an LSTM before the cell: memory.h.
 *
 * Without dt and tau the two gates are one: sigmoid((Wa + Wb) z + (ba + bb)), a quarter
 * of the work of the heads saved.  w_tau and A start as in ncps, whose Xavier draw
 * overwrites the zeros and ones that they were made with.  Batched step lengths are per
 * sample, which ncps 1.0.1 gets wrong.  Backbone dropout, which ncps ignores for one
 * layer, is left to the network.
 */
#include "cfc_ports.h"

typedef struct cfc {
    cfc_cell cell;
    mls_t weight[MAX_WEIGHTS], lstm[3], w_tau, A, tau;
    mls_state *h, *c;
} cfc;

static void linear(mls_ctx *c, cfc *p, int i, const char *name, int64_t rows,
                   int64_t cols)
{
    linear_weights(c, name, rows, cols, &p->weight[2 * i], &p->weight[2 * i + 1]);
}

static void setup(mls_ctx *c, void *self)
{
    static const char *const head[] = {"ff1", "ff2", "time_a", "time_b"};
    cfc *p = self;
    const int L = (int)p->cell.backbone_layers;
    const int64_t H = p->cell.units, S = mls->width(c, "in");
    int64_t z = S + H;
    if (p->cell.mode == CFC_PURE && p->cell.head_activation)
        mls->fail(c, "head_activation is \"lecun_tanh\", but mode \"pure\" has no "
                     "activation on its head: leave head_activation out, or choose "
                     "mode \"default\" or \"no_gate\"");
    if (p->cell.mode == CFC_PURE) {
        p->w_tau = mls->weight(c, "w_tau", 1, H, mls_init_of(MLS_XAVIER, 1.0, 0));
        p->A = mls->weight(c, "A", 1, H, mls_init_of(MLS_XAVIER, 1.0, 0));
    }
    for (int l = 0; l < L; l++, z = p->cell.backbone_units) {
        char name[32];
        /* ncps counts the activations too */
        snprintf(name, sizeof name, "backbone.%d", 2 * l);
        linear(c, p, l, name, p->cell.backbone_units, z);
    }
    for (int i = 0; i < cfc_heads(&p->cell); i++) linear(c, p, L + i, head[i], H, z);
    if (p->cell.mixed_memory) memory_weights(c, S, H, p->lstm);
    p->tau = tau_weight(c, H);
    p->h = mls->state(c, "h", H, 0.0, NULL, "hidden state");
    if (p->cell.mixed_memory)
        p->c = mls->state(c, "c", H, 0.0, NULL, "cell of the LSTM before the cell");
}

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    cfc *p = self;
    const int64_t H = p->cell.units;
    const mls_t tau = tau_of(c, in[2], p->tau);
    mls_t from[MAX_IN] = {in[0], mls->load(c, p->h), in[1], tau, in[3]}, to[MAX_OUT];
    if (p->cell.mixed_memory) {
        from[IN_C] = mls->load(c, p->c);
        memcpy(from + IN_WX, p->lstm, sizeof p->lstm);
    }
    from[IN_WTAU] = p->w_tau;
    from[IN_A] = p->A;
    memcpy(from + IN_WEIGHT, p->weight, sizeof p->weight);
    run_scan(c, &p->cell, from, to);
    mls->store(c, p->h, to[OUT_H]);
    if (p->cell.mixed_memory) mls->store(c, p->c, to[OUT_CLAST]);
    if (p->cell.mode != CFC_PURE && mls->wanted(c, "gate"))
        mls->tap(c, "gate", mls->slice(c, to[OUT_HEADS], to[OUT_HEADS]->dim[2] - H, H),
                 NULL, "share of the second head in the new state");
    if (p->cell.mixed_memory && mls->wanted(c, "cell"))
        mls->tap(c, "cell", to[OUT_C], NULL, "cell of the LSTM before the cell");
    tap_tau(c, tau, in[0]->dim[0], in[0]->dim[1], H);
    out[0] = to[OUT_Y];
}

static const mls_port ports[] = {
    {"in", MLS_IN, "T B in", "input of each step"},
    {"dt", MLS_IN | MLS_MAYBE, "T B 1", "length of each step, 1 when unconnected"},
    {"mod_tau", MLS_IN | MLS_MAYBE, "T B m",
     "modulates the time constant of every unit"},
    {"mask", MLS_IN | MLS_MAYBE, "T B 1", "1 for a real step, 0 for padding"},
    {"out", MLS_OUT, "T B units", "hidden state after each step"},
    MLS_PORT_END};

#define OPT(field, ...)                                                                \
    {                                                                                  \
#field, __VA_ARGS__                                                            \
    }
#define AT(field) offsetof(cfc, cell.field)
static const mls_option options[] = {
    OPT(units, MLS_INT, AT(units), 0, 0, 65536, NULL, NULL,
        "hidden units, 0 for the width of the network"),
    OPT(mode, MLS_CHOICE, AT(mode), 0, 0, 0, "default|pure|no_gate", NULL,
        "how the heads make the new state: gated mean, closed-form solution, or sum"),
    OPT(backbone_units, MLS_INT, AT(backbone_units), 128, 1, 65536, NULL, NULL,
        "units of each backbone layer"),
    OPT(backbone_layers, MLS_INT, AT(backbone_layers), 1, 0, MAX_LAYERS, NULL, NULL,
        "backbone layers before the heads"),
    OPT(activation, MLS_CHOICE, AT(activation), 0, 0, 0,
        "lecun_tanh|silu|relu|tanh|gelu", NULL, "activation of the backbone"),
    OPT(head_activation, MLS_CHOICE, AT(head_activation), 0, 0, 0, "tanh|lecun_tanh",
        NULL, "activation of the two value heads; none in mode pure"),
    OPT(mixed_memory, MLS_BOOL, AT(mixed_memory), 0, 0, 0, NULL, NULL,
        "put an LSTM before the cell, which carries memory past its time constants"),
    MLS_OPT_END};

static const mls_component liquid_cfc = {
    sizeof liquid_cfc,
    "liquid",
    "cfc",
    MLS_CAUSAL | MLS_STREAMS,
    "Closed-form continuous-time cell.\n"
    "Interpolates between two learnt values by a gate that depends on the elapsed\n"
    "time (Hasani et al. 2022). Weights carry the names of ncps' state dict.\n"
    "\n"
    "With f1, f2 the value heads and s = sigmoid(a dt + b) of the two time heads:\n"
    "\n"
    "| mode | new state |\n"
    "|---|---|\n"
    "| `default` | f1 (1 - s) + f2 s |\n"
    "| `no_gate` | f1 + f2 s |\n"
    "| `pure` | A - A f1 exp(-(abs(w_tau) + abs(f1)) dt), f1 without activation |\n"
    "\n"
    "`head_activation` is `tanh` in ncps and the authors' PyTorch code, `lecun_tanh` "
    "in\n"
    "their TensorFlow code. `mixed_memory` adds the LSTM of Lechner and Hasani "
    "(2020),\n"
    "with a state of its own. `mod_tau` divides dt by tau = 0.5 + sigmoid(W m), which\n"
    "starts at 1.",
    ports,
    options,
    sizeof(cfc),
    setup,
    forward,
    NULL};

MLS_PLUGIN("cfc", "1.1", "Apache-2.0", &liquid_cfc);
