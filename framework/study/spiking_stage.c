/* spiking_stage.c - finds the layers of spiking neurons in a network. */
#include "study/spiking_stage.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct kind { const char *component; int cuba, two, decays; } kind;

static const kind kinds[] = { { "encoder.lif", 0, 0, 0 },
                              { "encoder.synaptic", 1, 0, 0 },
                              { "encoder.plif", 0, 0, 1 },
                              { "encoder.rlif", 0, 0, 0 },
                              { "encoder.spike_mlp", 0, 1, 0 } };
/* Neurons that spike, and have no name in NIR. */
static const char *const nameless[] = { "encoder.alif", "encoder.izhikevich", NULL };

static const char *component_of(const mls_value *options)
{
    const mls_value *c = mls_value_get(options, "component");
    return c && c->kind == MLS_V_STRING ? c->string : "";
}

static const kind *kind_of(const mls_value *options)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(component_of(options), kinds[i].component)) return &kinds[i];
    return NULL;
}

double mls_stage_get(const mls_stage_value *v, int64_t unit)
{
    if (!v->w) return v->option;
    const double x = (double)v->w[v->n > 1 ? unit : 0];
    if (v->how == MLS_STAGE_LOGIT) return 1.0 / (1.0 + exp(-x));
    if (v->how == MLS_STAGE_INVERSE) return 1.0 / (1.0 + exp(x));
    return x;
}

static float *weight(const mls_net *net, const char *node, const char *name, int64_t *rows,
                     int64_t *cols)
{
    for (int i = 0; i < mls_net_weights(net); i++) {
        mls_weight *w = mls_net_weight(net, i);
        if (strcmp(w->node, node) || strcmp(w->name + strlen(node) + 1, name)) continue;
        if (rows) *rows = w->rows;
        if (cols) *cols = w->cols;
        return w->data;
    }
    return NULL;
}

static mls_stage_value value(const mls_net *net, const char *node, const mls_value *o,
                             const char *name, const char *learn, int how, mls_error *e)
{
    mls_stage_value v = { .name = name, .how = how, .option = mls_value_get_real(o, name, 1.0, e) };
    v.learn = mls_value_get(o, learn) ? learn : NULL;
    v.w = weight(net, node, name, NULL, &v.n);
    return v;
}

static void open_stage(mls_stage *s, const mls_net *net, const kind *k, int part, mls_arena *a,
                       mls_error *e)
{
    const char *end = k->two ? part ? "2" : "1" : "";
    const mls_value *o = s->options;
    const int how = strcmp(k->component, "encoder.lif") ? MLS_STAGE_LOGIT : MLS_STAGE_PLAIN;
    int64_t rows = 0;
    s->component = k->component;
    s->cuba = k->cuba;
    s->source = -1;
    s->is_heard = 1;
    char *label = mls_arena_printf(a, "%s%s%s", s->node, *end ? "_" : "", end);
    for (char *p = label; *p; p++)
        if (*p == '.') *p = '_';
    s->label = label;
    s->n = s->in = mls_value_get_int(o, "units", 0, e);
    s->weight = weight(net, s->node, mls_arena_printf(a, "weight%s", end), &rows, &s->in);
    s->bias = weight(net, s->node, mls_arena_printf(a, "bias%s", end), NULL, NULL);
    if (s->weight) s->n = rows;
    s->rec = weight(net, s->node, "recurrent", &rows, NULL);
    s->rec_bias = weight(net, s->node, "recurrent_bias", NULL, NULL);
    s->one_to_one = s->rec && strcmp(mls_value_get_string(o, "recurrent", "", e), "all_to_all");
    if (k->cuba) s->alpha = value(net, s->node, o, "alpha", "learn_alpha", how, e);
    s->threshold = value(net, s->node, o, "threshold", "learn_threshold", MLS_STAGE_PLAIN, e);
    if (k->decays) {
        s->beta = value(net, s->node, o, "tau", "learn_tau", MLS_STAGE_INVERSE, e);
        s->beta.name = "beta";
        s->beta.option = 1.0 - 1.0 / s->beta.option;
        s->decays_input = mls_value_get_bool(o, "decay_input", 1, e);
    } else {
        s->beta = value(net, s->node, o, "beta", "learn_beta", how, e);
    }
    if (mls_value_get_int(o, "steps", 1, e) != 1)
        mls_error_set(e, "%s has inner steps, which NIR does not", s->node);
}

static void open_node(mls_stages *all, const mls_net *net, const char *node, const mls_value *o,
                      mls_arena *a, mls_error *e)
{
    const kind *k = kind_of(o);
    for (int part = 0; k && part <= k->two && !e->set; part++) {
        if (all->n == MLS_STAGES) {
            mls_error_set(e, "more than %d layers of spiking neurons", MLS_STAGES);
            return;
        }
        mls_stage *s = &all->s[all->n++];
        *s = (mls_stage){ .node = node, .options = o };
        open_stage(s, net, k, part, a, e);
        if (!part) continue;
        s->source = all->n - 2;
        s[-1].is_heard = 0;
    }
    for (int i = 0; !k && nameless[i]; i++)
        if (!strcmp(component_of(o), nameless[i]))
            all->others = mls_arena_printf(a, "%s%s is %s, which has no name in NIR: left out\n",
                                           all->others, node, nameless[i]);
}

/* The first or last stage of "layer<l>.<name>"; -1: none. */
static int stage_of(const mls_stages *all, int layer, const char *name, int last)
{
    char node[128];
    int found = -1;
    snprintf(node, sizeof node, "layer%d.%s", layer, name);
    for (int i = 0; i < all->n; i++)
        if (!strcmp(all->s[i].node, node) && (found < 0 || last)) found = i;
    return found;
}

/* Which spikes enter which neurons. */
static void chain(mls_stages *all, const mls_net *net, int layer)
{
    mls_net_link l;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; mls_net_link_of(net, i, &l); i++) {
            const int from = strcmp(l.from_port, "spikes") ? -1 : stage_of(all, layer, l.from, 1);
            const int to = strcmp(l.to_port, "in") ? -1 : stage_of(all, layer, l.to, 0);
            if (from < 0) continue;
            if (!pass && to >= 0 && !l.late) {
                all->s[to].source = from;
                all->s[from].is_heard = 0;
            }
            if (to >= 0 && l.late) all->s[to].late = 1;
            /* second: whoever else hears them */
            if (pass && (to < 0 || l.late)) all->s[from].is_heard = 1;
        }
}

static void none(const mls_stages *all, const char *node, const char *const *list, int n,
                 const char *text, mls_error *e)
{
    const char *near = node ? mls_error_nearest(node, list, n) : NULL;
    if (!n)
        mls_error_set(e, "%sthe network has no node that NIR has a name for (encoder.lif, synaptic, "
                      "plif, rlif or spike_mlp)", all->others);
    else
        mls_error_set(e, "node %.60s is none that NIR has a name for%s%s; there are %s", node,
                      near ? "; did you mean " : "", near ? near : "", text);
}

int mls_stages_open(mls_stages *all, const mls_net *net, const mls_value *config, const char *node,
                    mls_arena *a, mls_error *e)
{
    const mls_value *spec = mls_net_resolved(net, a), *nodes = mls_value_get(spec, "nodes");
    const int64_t layers = mls_value_get_int(spec, "layers", 1, e);
    const char *list[64], *text = "";
    int n = 0;
    *all = (mls_stages){ .others = "" };
    all->dt = 1e-3 * mls_value_get_real(config, "step_ms", 1.0, e);
    for (int l = 0; l < layers && !e->set; l++) {
        for (int i = 0; nodes && i < nodes->n && !e->set; i++) {
            const char *name = mls_arena_printf(a, "layer%d.%s", l, nodes->key[i]);
            if (kind_of(nodes->item[i]) && n < 64) {
                text = mls_arena_printf(a, "%s%s%s", text, n ? ", " : "", name);
                list[n++] = name;
            }
            if (!node || !strcmp(node, name)) open_node(all, net, name, nodes->item[i], a, e);
        }
        if (!e->set) chain(all, net, l);
    }
    if (!e->set && !all->n) none(all, node, list, n, text, e);
    return !e->set;
}
