#include "validate/parts.h"

#include "net/net.h"

/* ---- mixer.probe_part ---------------------------------------------------------------- */

typedef struct part { int64_t from, n; } part;

static void part_setup(mls_ctx *c, void *self) { (void)c, (void)self; }

static void part_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const part *p = self;
    out[0] = mls_plug_host()->slice(c, in[0], p->from, p->n);
}

static const mls_port part_ports[] = { { "in", MLS_IN, "T B all", "features of all" },
                                       { "out", MLS_OUT, "T B n", "features of one" },
                                       MLS_PORT_END };
static const mls_option part_options[] = {
    MLS_OPT(part, from, MLS_INT, 0, 0, 1 << 20, NULL, "first feature"),
    MLS_OPT(part, n, MLS_INT, 1, 1, 1 << 20, NULL, "how many"), MLS_OPT_END };
static const mls_component part_component = {
    sizeof part_component, "mixer", "probe_part", MLS_CAUSAL | MLS_STREAMS, "Some features.",
    part_ports, part_options, sizeof(part), part_setup, part_forward, NULL };

/* ---- mixer.probe_all ------------------------------------------------------------------ */

typedef struct all { int64_t width; } all;

static void all_setup(mls_ctx *c, void *self)
{
    ((all *)self)->width = mls_plug_host()->width(c, "model");
}

static void all_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    const mls_host *h = mls_plug_host();
    const int64_t want = ((const all *)self)->width;
    mls_t x = in[0];
    for (int i = 1; i < 8; i++)
        if (in[i]) x = h->concat(c, x, in[i]);
    while (x->dim[2] < want) {
        const int64_t n = want - x->dim[2] < in[0]->dim[2] ? want - x->dim[2] : in[0]->dim[2];
        const mls_t more = h->slice(c, in[0], 0, n);
        const mls_t longer = h->concat(c, x, h->scale(c, more, 0.0, 0.0));
        if (longer->dim[2] <= x->dim[2]) return; /* after an error nothing grows         */
        x = longer;
    }
    out[0] = x->dim[2] > want ? h->slice(c, x, 0, want) : x;
}

static const mls_port all_ports[] = {
    { "a", MLS_IN, "T B a", "first" }, { "b", MLS_IN | MLS_MAYBE, "T B b", "second" },
    { "c", MLS_IN | MLS_MAYBE, "T B c", "third" }, { "d", MLS_IN | MLS_MAYBE, "T B d", "fourth" },
    { "e", MLS_IN | MLS_MAYBE, "T B e", "fifth" }, { "f", MLS_IN | MLS_MAYBE, "T B f", "sixth" },
    { "g", MLS_IN | MLS_MAYBE, "T B g", "seventh" },
    { "h", MLS_IN | MLS_MAYBE, "T B h", "eighth" },
    { "out", MLS_OUT, "T B model", "side by side" }, MLS_PORT_END };
static const mls_component all_component = {
    sizeof all_component, "mixer", "probe_all", MLS_CAUSAL | MLS_STREAMS, "All outputs.",
    all_ports, NULL, sizeof(all), all_setup, all_forward, NULL };

/* ---- head.probe_show ------------------------------------------------------------------ */

static void show_forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)c, (void)self;
    out[0] = in[0];
}

static const mls_port show_ports[] = { { "in", MLS_IN, "T B n", "features" },
                                       { "out", MLS_OUT, "T B n", "the same" }, MLS_PORT_END };
static const mls_component show_component = {
    sizeof show_component, "head", "probe_show", MLS_CAUSAL | MLS_STREAMS, "What it gets.",
    show_ports, NULL, 1, part_setup, show_forward, NULL };

/* ---- */

int mls_parts_add(mls_registry *r, mls_error *e)
{
    static const mls_host *host;
    static const mls_component *const list[] = { &part_component, &all_component,
                                                 &show_component, NULL };
    static const mls_plugin_info info = {
        sizeof info, MLS_ABI_MAJOR, MLS_ABI_MINOR, sizeof(mls_port), sizeof(mls_option),
        "probe", "1", "Apache-2.0", list, &host };
    return mls_registry_add(r, &info, "validate/parts.c", "probe", e);
}
