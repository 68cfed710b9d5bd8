/* wire.c - fuzz target: the wires of a network, built without weights.  A line "%%" cuts
 * the text into residual branches.                                                      */
#include "fuzz.h"

#include "net/net.h"

typedef struct node { int64_t units; } node;

static void setup(mls_ctx *c, void *self) { (void)c, (void)self; }

static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const node *n = self;
    for (int i = 0; i < 2; i++)
        out[i] = mls->tensor(c, in[0]->dim[0], in[0]->dim[1], n->units);
}

static void head_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)self;
    out[0] = mls->tensor(c, in[0]->dim[0], in[0]->dim[1], mls->width(c, "output"));
}

static const mls_port ports[] = {
    { "in", MLS_IN, "T B n", "values" },
    { "mod", MLS_IN | MLS_MAYBE, "T B units", "values" },
    { "mask", MLS_IN | MLS_MAYBE, "T B 1", "real steps" },
    { "out", MLS_OUT, "T B units", "values" },
    { "spikes", MLS_OUT | MLS_SPIKES, "T B units", "values" }, MLS_PORT_END };
static const mls_port head_ports[] = { { "in", MLS_IN, "T B n", "values" },
                                       { "out", MLS_OUT, "T B output", "values" },
                                       MLS_PORT_END };
static const mls_option options[] = {
    MLS_OPT(node, units, MLS_INT, 0, 0, 64, NULL, "width"), MLS_OPT_END };
static const mls_component part = { sizeof part, "mixer", "part", MLS_CAUSAL, "A node.",
                                    ports, options, sizeof(node), setup, forward, NULL };
static const mls_component head = { sizeof head, "head", "part", MLS_CAUSAL, "A head.",
                                    head_ports, NULL, 0, setup, head_forward, NULL };
static const mls_host *host;
static const mls_component *const list[] = { &part, &head, NULL };
static const mls_plugin_info info = { sizeof info, MLS_ABI_MAJOR, MLS_ABI_MINOR,
                                      sizeof(mls_port), sizeof(mls_option), "wire", "1",
                                      "Apache-2.0", list, &host };

static mls_registry registry;

static mls_value *component(mls_arena *a, const char *name, int units)
{
    mls_value *v = mls_value_map(a);
    mls_value_set(a, v, "component", mls_value_string(a, name));
    if (units) mls_value_set(a, v, "units", mls_value_int(a, units));
    return v;
}

static mls_value *specification(mls_arena *a, char *text)
{
    static const char *const name[] = { "a", "b", "enc", "liq" };
    mls_value *spec = mls_value_map(a), *nodes = mls_value_map(a), *wire = NULL;
    for (int i = 0; i < 4; i++)
        mls_value_set(a, nodes, name[i], component(a, "mixer.part", i == 2 ? 4 : 0));
    mls_value_set(a, spec, "nodes", nodes);
    mls_value_set(a, spec, "width", mls_value_int(a, 8));
    mls_value_set(a, spec, "layers", mls_value_int(a, 2));
    mls_value_set(a, spec, "head", component(a, "head.part", 0));
    for (char *cut; (cut = strstr(text, "%%\n")); text = cut + 3) {
        *cut = '\0';
        if (!wire) wire = mls_value_list(a);
        mls_value_push(a, wire, mls_value_string(a, text));
    }
    if (wire) mls_value_push(a, wire, mls_value_string(a, text));
    else wire = mls_value_string(a, text);
    mls_value_set(a, spec, "wire", wire);
    return spec;
}

static void build(mls_arena *a, const mls_value *spec)
{
    const mls_task_shape shape = { .steps = 6, .input = 3, .output = 5, .loss = MLS_MSE,
                                   .per_step = 1, .has_mask = 1 };
    const mls_net_config config = { &registry, spec, &shape, 1, 1 };
    mls_error e = { 0 };
    mls_net *net = mls_net_build(&config, &e);
    FUZZ_HOLDS((net == NULL) == e.set && (net || *e.text));
    if (net) {
        FUZZ_HOLDS(mls_net_summary(net, a) && mls_net_resolved(net, a));
        mls_run *run = mls_run_new(net, 2, MLS_TRAIN, &e);
        FUZZ_HOLDS((run == NULL) == e.set);
        const mls_batch batch = { .steps = 6, .batch = 2 };
        if (run) mls_run_forward(run, &batch, 0);
        mls_run_free(run);
    }
    mls_net_free(net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static mls_arena a;
    mls_error e = { 0 };
    if (!registry.file) {
        registry = fuzz_registry();
        FUZZ_HOLDS(mls_registry_add(&registry, &info, "wire", "0", &e));
    }
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    build(&a, specification(&a, text));
    mls_arena_reset(&a);
    free(text);
    return 0;
}
