#include "conf/conf.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Every field of the overview's ModelConfig does here what its name says.  Rows without a
 * path choose a component; they are applied first, in this order.                       */
const mls_alias mls_aliases[] = {
    { "task_type", NULL, "llm: task.text" },
    { "input_dim", "expect.input_dim", "features that the task must deliver (tokens: the width)" },
    { "hidden_dim", "network.width", "width of the residual stream" },
    { "output_dim", "expect.output_dim", "classes or targets that the task must have" },
    { "liquid_units", "network.nodes.liq.units", "units of the liquid cell" },
    { "liquid_backbone", NULL, "which liquid cell: cfc, gru, lstm, identity, ..." },
    { "spiking_units", "network.nodes.enc.units", "units of the encoder" },
    { "spike_threshold", "network.nodes.enc.threshold", "firing threshold" },
    { "beta", "network.nodes.enc.beta", "membrane decay per step" },
    { "num_layers", "network.layers", "how often the block is repeated" },
    { "integration_mode", "network.mode", "sequential, parallel or bidirectional" },
    { "use_mamba", NULL, "false: mixer.identity in its place" },
    { "mamba_d_state", "network.nodes.mix.state", "N, state size of a channel" },
    { "mamba_d_conv", "network.nodes.mix.conv", "K, length of the convolution" },
    { "mamba_expand", "network.nodes.mix.expand", "inner width / width" },
    { "spike_to_mamba_method", NULL, "adapter: rate, temporal, potential" },
    { "spike_temporal_tau", "network.nodes.ad.tau", "time constant of adapter.temporal" },
    { "use_cross_attention", NULL, "true: fusion.cross_attention; false: fusion.gate" },
    { "use_adaptive_gating", NULL, "false: fusion.sum; with attention: its gate, or fixed weights" },
    { "num_gate_heads", NULL, "heads of fusion.gate, or of attention's own gate" },
    { "cross_attn_heads", "network.nodes.fuse.heads", "heads of fusion.cross_attention" },
    { "sequence_length", "task.length", "time steps of a sample" },
    { "batch_size", "train.batch", "samples of a batch" },
    { "learning_rate", "train.learning_rate", "peak learning rate" },
    { "num_epochs", "train.epochs", "passes over the training split" },
    { NULL, NULL, NULL }
};

typedef struct work {
    mls_arena       *a;
    mls_value       *config;
    mls_value       *field;      /* what config says in the overview's words          */
    const mls_value *over;       /* the same from the command line                    */
    const char      *notes;
    mls_error       *e;
} work;

static const mls_value *field(const work *w, const char *name)
{
    const mls_value *v = mls_value_get(w->over, name);
    return v ? v : mls_value_get(w->field, name);
}

/* Puts v at path, unless the same file says something else there. */
static void assign(work *w, const char *name, const char *path, mls_value *v)
{
    const mls_value *at = field(w, name), *old = mls_value_get_path(w->config, path);
    if (at && v != at) {
        v->file = at->file;
        v->line = at->line;
        v->column = at->column;
    }
    if (old && old->kind != MLS_V_NULL && !mls_value_get(w->over, name) &&
        !mls_value_equal(old, v)) {
        mls_error_set(w->e, "%s\"%s\" says %s, but \"%s\" says %s%s%s",
                      mls_value_where(w->a, at), name, mls_value_to_json(w->a, v, 0),
                      path, mls_value_to_json(w->a, old, 0),
                      old->line ? " at line " : "",
                      old->line ? mls_arena_printf(w->a, "%d", old->line) : "");
        return;
    }
    mls_value_set_path(w->a, w->config, path, v, w->e);
}

static void assign_component(work *w, const char *name, const char *role,
                             const char *component)
{
    /* Options of the component that stood there before would not fit a new one. */
    const char *path = mls_arena_printf(w->a, "network.nodes.%s.component", role);
    assign(w, name, path, mls_value_string(w->a, component));
}

static int flag(work *w, const char *name, int def)
{
    const mls_value *v = field(w, name);
    if (!v || v->kind == MLS_V_NULL) return def;
    if (v->kind == MLS_V_BOOL) return v->boolean;
    mls_error_set(w->e, "%s\"%s\" is %s; expected true or false",
                  mls_value_where(w->a, v), name, mls_value_kind_name(v));
    return def;
}

static const char *word(work *w, const char *name)
{
    const mls_value *v = field(w, name);
    if (!v || v->kind == MLS_V_NULL) return NULL;
    if (v->kind == MLS_V_STRING) return v->string;
    mls_error_set(w->e, "%s\"%s\" is %s; expected a word", mls_value_where(w->a, v),
                  name, mls_value_kind_name(v));
    return NULL;
}

static void note(work *w, const char *name, const char *why)
{
    w->notes = mls_arena_printf(w->a, "%s%s%s has no effect: %s\n", w->notes,
                                mls_value_where(w->a, field(w, name)), name, why);
}

static void set_task(work *w)
{
    const char *type = word(w, "task_type");
    if (!type) return;
    if (!strncasecmp(type, "TaskType.", 9)) type += 9;
    if (!strcasecmp(type, "llm") || !strcasecmp(type, "text"))
        assign(w, "task_type", "task.component", mls_value_string(w->a, "task.text"));
    else
        mls_error_set(
            w->e,
            "%stask_type \"%.60s\" is not one of llm, text; name the task's "
            "component and its data instead, as task: { component: task.text, "
            "path: ... } (see mls list task)",
            mls_value_where(w->a, field(w, "task_type")), type);
}

/* The component that will stand at a role: what is written, else the mode's default. */
static const char *standing(work *w, const char *role)
{
    const mls_value *node = mls_value_get_path(w->config,
        mls_arena_printf(w->a, "network.nodes.%s", role));
    const mls_value *c =
        node && node->kind == MLS_V_MAP ? mls_value_get(node, "component") : node;
    if (c && c->kind == MLS_V_STRING) return c->string;
    const mls_value *mode = mls_value_get_path(w->config, "network.mode");
    mls_error ignored = { 0 };
    const mls_value *all = mls_conf_mode(
        w->a, mode && mode->kind == MLS_V_STRING ? mode->string : "bidirectional", NULL,
        &ignored);
    c = mls_value_get_path(all, mls_arena_printf(w->a, "nodes.%s.component", role));
    return c && c->kind == MLS_V_STRING ? c->string : "";
}

static void choose_components(work *w)
{
    const char *s;
    set_task(w);
    if ((s = word(w, "liquid_backbone")))
        assign_component(w, "liquid_backbone", "liq",
                         mls_arena_printf(w->a, "liquid.%s", s));
    if ((s = word(w, "spike_to_mamba_method")))
        assign_component(w, "spike_to_mamba_method", "ad",
                         mls_arena_printf(w->a, "adapter.%s", s));
    if (!flag(w, "use_mamba", 1))
        assign_component(w, "use_mamba", "mix", "mixer.identity");
    const int cross = flag(w, "use_cross_attention", -1);
    const int gate = flag(w, "use_adaptive_gating", -1);
    if (cross > 0)
        assign_component(w, "use_cross_attention", "fuse", "fusion.cross_attention");
    else if (gate == 0)
        assign_component(w, "use_adaptive_gating", "fuse", "fusion.sum");
    else if (cross == 0 || gate > 0)
        assign_component(w, cross == 0 ? "use_cross_attention" : "use_adaptive_gating",
                         "fuse", "fusion.gate");
    /* Attention enhances both streams; gating then says how the two are weighed. */
    if (cross > 0 && gate >= 0)
        assign(w, "use_adaptive_gating", "network.nodes.fuse.weight",
               mls_value_string(w->a, gate ? "gate" : "fixed"));
}

/* Why a field means nothing for the components chosen; NULL when it does. */
static const char *idle(work *w, const char *name)
{
    if (!strncmp(name, "mamba_d_", 8) || !strcmp(name, "mamba_expand"))
        return strcmp(standing(w, "mix"), "mixer.identity") ? NULL
                                                            : "use_mamba is false";
    if (!strcmp(name, "spike_temporal_tau"))
        return !strcmp(standing(w, "ad"), "adapter.rate") ||
               !strcmp(standing(w, "ad"), "adapter.potential")
                   ? "only the method temporal has a time constant" : NULL;
    if (!strcmp(name, "cross_attn_heads"))
        return strcmp(standing(w, "fuse"), "fusion.cross_attention")
                   ? "the fusion is not fusion.cross_attention" : NULL;
    return NULL;
}

static void set_gate_heads(work *w)
{
    const mls_value *v = field(w, "num_gate_heads");
    if (!v || v->kind == MLS_V_NULL) return;
    const char *fusion = standing(w, "fuse");
    if (!strcmp(fusion, "fusion.gate"))
        assign(w, "num_gate_heads", "network.nodes.fuse.heads",
               mls_value_copy(w->a, v));
    else if (!strcmp(fusion, "fusion.cross_attention"))
        assign(w, "num_gate_heads", "network.nodes.fuse.gate_heads",
               mls_value_copy(w->a, v));
    else
        note(w, "num_gate_heads", "the fusion has no gate");
}

static int has_alias(const mls_alias *row, const char *name)
{
    for (; row->name; row++)
        if (!strcmp(row->name, name)) return 1;
    return 0;
}

/* "network.nodes.enc: encoder.lif" as a map, so that options can be set below it. */
static void open_shorthand(work *w, const char *path)
{
    mls_value *v = mls_value_get_path(w->config, path);
    if (!v || v->kind != MLS_V_STRING) return;
    mls_value *map = mls_value_map(w->a), *name = mls_value_copy(w->a, v);
    map->file = v->file;
    map->line = v->line;
    map->column = v->column;
    mls_value_set(w->a, map, "component", name);
    mls_value_set_path(w->a, w->config, path, map, w->e);
}

const char *mls_conf_overview(mls_arena *a, mls_value *config, const mls_value *over,
                              mls_error *e)
{
    work w = { a, config, mls_value_map(a), over, "", e };
    if (!config || config->kind != MLS_V_MAP || (e && e->set)) return "";
    for (const mls_alias *row = mls_aliases; row->name; row++) {
        mls_value *v = mls_value_get(config, row->name);
        if (!v) continue;
        mls_value_set(a, w.field, row->name, v);
        mls_value_remove(config, row->name);
    }
    for (int i = 0; over && i < over->n; i++)
        if (!has_alias(mls_aliases, over->key[i]))
            mls_error_set(e, "\"%s\" is no field of the overview", over->key[i]);
    if (!w.field->n && (!over || !over->n)) return "";
    open_shorthand(&w, "task");
    static const char *const roles[] = { "enc", "ad", "liq", "mix", "fuse" };
    for (int i = 0; i < 5; i++)
        open_shorthand(&w, mls_arena_printf(a, "network.nodes.%s", roles[i]));
    const mls_value *mode = field(&w, "integration_mode");
    if (mode) assign(&w, "integration_mode", "network.mode", mls_value_copy(a, mode));
    choose_components(&w);
    set_gate_heads(&w);
    for (const mls_alias *row = mls_aliases; row->name && !e->set; row++) {
        const mls_value *v = field(&w, row->name);
        if (!v || v->kind == MLS_V_NULL || !row->path) continue;
        const char *why = idle(&w, row->name);
        if (why) note(&w, row->name, why);
        else assign(&w, row->name, row->path, mls_value_copy(a, v));
    }
    return w.notes;
}
