#include "conf/conf.h"

#include <stdio.h>
#include <string.h>

/* A mode is a wiring, no code: the strings below are all there is to one.  `mod_b`,
 * `mod_c` and `mod_tau` close the loop between the two halves; the way back is late (~>),
 * since both ways at the same step would be circular.                                   */
typedef struct mode {
    const char *wire, *second;   /* second: a branch of its own, or NULL              */
    const char *roles[6];        /* NULL-terminated                                   */
    const char *components[6];
    int         chunk;           /* 0: the network's default                          */
} mode;

const char *const mls_conf_modes[] = {
    "sequential", "parallel", "bidirectional", "mamba", "liquid", "attention", NULL};

const char *const mls_conf_mode_help[] = {
    "encoder, liquid cell, mixer: one after the other",
    "liquid cell and mixer side by side on the spikes, then fusion",
    "parallel, and each half steers the other: liquid -> B and C, mixer ~> time "
    "constant",
    "the mixer alone",
    "encoder and liquid cell, no mixer",
    "a transformer block: attention and a feed-forward branch",
    NULL};

static const mode table[] = {
    {"input -> enc -> liq -> mix -> output",
     NULL,
     {"enc", "liq", "mix"},
     {"encoder.lif", "liquid.cfc", "mixer.mamba"},
     0},
    {"input -> enc -> liq -> fuse.a; enc -> ad -> mix -> fuse.b; fuse -> output",
     NULL,
     {"enc", "ad", "liq", "mix", "fuse"},
     {"encoder.lif", "adapter.temporal", "liquid.cfc", "mixer.mamba", "fusion.gate"},
     0},
    /* Chunk 0 would deliver the late wire once a sequence: too late to be an exchange.
     */
    {"input -> enc -> liq -> fuse.a; enc -> ad -> mix -> fuse.b; fuse -> output",
     NULL,
     {"enc", "ad", "liq", "mix", "fuse"},
     {"encoder.lif", "adapter.temporal", "liquid.cfc", "mixer.mamba",
      "fusion.cross_attention"},
     32},
    {"input -> mix -> output", NULL, {"mix"}, {"mixer.mamba"}, 0},
    {"input -> enc -> liq -> output",
     NULL,
     {"enc", "liq"},
     {"encoder.lif", "liquid.cfc"},
     0},
    {"input -> att -> output",
     "input -> ffn -> output",
     {"att", "ffn"},
     {"mixer.attention", "mixer.mlp"},
     0},
};

enum { BIDIRECTIONAL = 2 };

static const char *const all_roles[] = {"enc",  "ad",  "liq", "mix",
                                        "fuse", "att", "ffn", NULL};

static int find_mode(const char *name)
{
    for (int i = 0; mls_conf_modes[i]; i++)
        if (!strcmp(mls_conf_modes[i], name)) return i;
    return -1;
}

static int has_role(const mode *m, const char *role)
{
    for (int i = 0; m->roles[i]; i++)
        if (!strcmp(m->roles[i], role)) return 1;
    return 0;
}

/* The mode's default under what is given: options alone keep the default component. */
static mls_value *component(mls_arena *a, const char *def, const mls_value *given,
                            const char *role, mls_error *e)
{
    mls_value *node = mls_value_map(a);
    mls_value_set(a, node, "component", mls_value_string(a, def));
    if (!given || given->kind == MLS_V_NULL) return node;
    if (given->kind == MLS_V_STRING) {
        mls_value_set(a, node, "component", mls_value_copy(a, given));
    } else if (given->kind == MLS_V_MAP) {
        node->file = given->file;
        node->line = given->line;
        node->column = given->column;
        for (int i = 0; i < given->n; i++)
            mls_value_set(a, node, given->key[i], mls_value_copy(a, given->item[i]));
    } else {
        mls_error_set(
            e,
            "%s\"%s\" is %s; expected a component such as \"%s\" or a map of its "
            "options",
            mls_value_where(a, given), role, mls_value_kind_name(given), def);
    }
    return node;
}

static int is_any(const mls_value *nodes, const char *role, const char *const *names)
{
    const mls_value *c = mls_value_get(mls_value_get(nodes, role), "component");
    for (; c && c->kind == MLS_V_STRING && *names; names++)
        if (!strcmp(c->string, *names)) return 1;
    return 0;
}

/* The wires that depend on what was put in.  The identities are controls: what they
 * would ignore is not wired.  Any other component needs the ports of the exchange; one
 * that lacks them is refused where wires are read, with the names of those that fit.    */
static void extra_wires(const mode *m, const mls_value *nodes, char *text, size_t room)
{
    static const char *const no_membrane_in[] = { "adapter.rate", "adapter.temporal",
        "adapter.identity", NULL };
    static const char *const no_exchange_in[] = { "mixer.identity", NULL };
    static const char *const no_tau_in[] = { "liquid.identity", NULL };
    size_t n = strlen(text);
    if (has_role(m, "ad") && !is_any(nodes, "ad", no_membrane_in))
        n += (size_t)snprintf(text + n, room - n, "; enc.membrane -> ad.membrane");
    if (m != &table[BIDIRECTIONAL]) return;
    if (!is_any(nodes, "mix", no_exchange_in))
        n += (size_t)snprintf(text + n, room - n,
                              "; liq -> mix.mod_b; liq -> mix.mod_c");
    if (!is_any(nodes, "liq", no_tau_in))
        snprintf(text + n, room - n, "; mix ~> liq.mod_tau");
}

mls_value *mls_conf_mode(mls_arena *a, const char *name, const mls_value *components,
                         mls_error *e)
{
    mls_value *out = mls_value_map(a), *nodes = mls_value_map(a);
    const int which = find_mode(name);
    if (which < 0) {
        const char *near = mls_error_nearest(name, mls_conf_modes,
                                             (int)(sizeof table / sizeof *table));
        mls_error_set(
            e,
            "no mode is called \"%.100s\"%s%s%s (there are sequential, parallel, "
            "bidirectional, mamba, liquid, attention)",
            name, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        return out;
    }
    const mode *m = &table[which];
    if (components && components->kind != MLS_V_MAP) {
        mls_error_set(e, "%sthe components of a mode are a map, not %s",
                      mls_value_where(a, components), mls_value_kind_name(components));
        return out;
    }
    mls_value_only(components, all_roles, "the components of a mode", e);
    for (int i = 0; m->roles[i]; i++)
        mls_value_set(a, nodes, m->roles[i],
                      component(a, m->components[i],
                                mls_value_get(components, m->roles[i]), m->roles[i],
                                e));
    char text[512];
    snprintf(text, sizeof text, "%s", m->wire);
    extra_wires(m, nodes, text, sizeof text);
    mls_value *wire = mls_value_string(a, text);
    if (m->second) {
        mls_value *first = wire;
        wire = mls_value_list(a);
        mls_value_push(a, wire, first);
        mls_value_push(a, wire, mls_value_string(a, m->second));
    }
    mls_value_set(a, out, "nodes", nodes);
    mls_value_set(a, out, "wire", wire);
    if (m->chunk && strstr(text, "~>"))
        mls_value_set(a, out, "chunk", mls_value_int(a, m->chunk));
    return out;
}

const char *mls_conf_unused(mls_arena *a, const mls_value *given)
{
    const mls_value *mode_name = mls_value_get_path(given, "network.mode");
    const mls_value *nodes = mls_value_get_path(given, "network.nodes");
    const int which = mode_name && mode_name->kind == MLS_V_STRING
                          ? find_mode(mode_name->string) : -1;
    const char *text = "";
    if (which < 0 || !nodes || nodes->kind != MLS_V_MAP) return text;
    for (int i = 0; i < nodes->n; i++)
        if (!has_role(&table[which], nodes->key[i]))
            text =
                mls_arena_printf(a,
                                 "%s%snetwork.nodes.%s has no effect: the mode %s has "
                                 "no place for it\n",
                                 text, mls_value_where(a, nodes->item[i]),
                                 nodes->key[i], mls_conf_modes[which]);
    return text;
}
