/* build.c - from a specification to nodes with known shapes. */
#include "net/inner.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *const keys[] = { "width", "layers", "norm", "residual", "dropout", "chunk",
                                    "nodes", "wire", "head", "remat", "events", NULL };
static const char *const not_options[] = { "component", NULL };

static const char *component_name(const mls_value *v, const char *what, mls_error *e)
{
    mls_arena a = { 0 };
    const char *name = NULL;
    if (v && v->kind == MLS_V_MAP) name = mls_value_get_string(v, "component", NULL, e);
    if (!name && !e->set)
        mls_error_set(e, "%s%s is %s, expected a component, as { component: liquid.cfc }",
                      mls_value_where(&a, v), what, v ? mls_value_kind_name(v) : "absent");
    mls_arena_free(&a);
    return name;
}

static void read_nodes(mls_net *net, const mls_value *nodes, mls_error *e)
{
    mls_arena a = { 0 };
    if (!nodes || nodes->kind != MLS_V_MAP || nodes->n == 0)
        mls_error_set(e, "%snetwork: nodes is %s, expected a map of named components",
                      mls_value_where(&a, nodes),
                      !nodes ? "absent" : nodes->kind != MLS_V_MAP ? mls_value_kind_name(nodes)
                             : "empty");
    else if (nodes->n > MAX_NODES)
        mls_error_set(e, "network: %d nodes, at most %d", nodes->n, MAX_NODES);
    mls_arena_free(&a);
    for (int i = 0; !e->set && i < nodes->n; i++) {
        const char *name = component_name(nodes->item[i], nodes->key[i], e);
        if (!name) return;
        net->name[i] = nodes->key[i];
        net->options[i] = nodes->item[i];
        net->component[i] = mls_registry_find(net->registry, name, nodes->item[i], e);
        if (net->component[i] && (net->component[i]->task || !strcmp(net->component[i]->kind, "head")))
            mls_error_set(e, "network: node \"%s\" is %s, which cannot stand in a block",
                          net->name[i], name);
        net->n_names++;
    }
}

static void read_wires(mls_net *net, const mls_value *w, mls_error *e)
{
    if (e->set) return;
    if (w && w->kind == MLS_V_STRING) {
        net->n_branches = 1;
        mls_net_wires(net, w, 0, e);
    } else if (w && w->kind == MLS_V_LIST && w->n > 0 && w->n <= MAX_BRANCHES) {
        net->n_branches = w->n;
        for (int i = 0; i < w->n && !e->set; i++) {
            if (w->item[i]->kind != MLS_V_STRING)
                mls_error_set(e, "network: wire %d is %s, expected a string", i + 1,
                              mls_value_kind_name(w->item[i]));
            else mls_net_wires(net, w->item[i], i, e);
        }
    } else {
        mls_error_set(e, "network: wire is %s, expected a string of wires or a list of 1 to %d",
                      w ? mls_value_kind_name(w) : "absent", MAX_BRANCHES);
    }
    for (int b = 0; b < net->n_branches && !e->set; b++) {
        int ends = 0;
        for (int i = 0; i < net->n_wires; i++)
            ends += net->wire[i].branch == b && net->wire[i].to == TO_OUTPUT;
        if (!ends) mls_error_set(e, "network: branch %d has no wire to output", b + 1);
    }
    for (int v = 0; v < net->n_names && !e->set; v++) {
        int used = 0;
        for (int i = 0; i < net->n_wires; i++)
            used += net->wire[i].from == v || net->wire[i].to == v;
        if (!used) mls_error_set(e, "network: node \"%s\" stands in no wire", net->name[v]);
    }
}

static void read_remat(mls_net *net, const mls_value *list, mls_error *e)
{
    for (int i = 0; list && list->kind == MLS_V_LIST && i < list->n && !e->set; i++) {
        const char *s = list->item[i]->kind == MLS_V_STRING ? list->item[i]->string : "";
        const int v = mls_net_find_name(net, s);
        if (v >= 0) net->remat[v] = 1;
        else mls_error_set(e, "network: remat names \"%s\", which is no node", s);
    }
}

/* ---- widths ---------------------------------------------------------------------- */

static const mls_option *int_option(const node *n, const char *word)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(n->net->registry, n->component, i)); i++)
        if (o->type == MLS_INT && !strcmp(o->name, word)) return o;
    return NULL;
}

static const char *word_of(const mls_port *p)
{
    const char *w = p->shape ? strrchr(p->shape, ' ') : NULL;
    return w ? w + 1 : "1";
}

/* The width that a word stands for, 0 while it is not known. */
static int64_t width_of(const node *n, const char *word)
{
    if (isdigit((unsigned char)*word)) return strtoll(word, NULL, 10);
    const mls_option *o = int_option(n, word);
    if (o) return *(const int64_t *)(const void *)((const char *)n->self + o->offset);
    if (!strcmp(word, "output")) return n->net->shape.output;
    if (!strcmp(word, "model")) return n->model;
    for (int i = 0; i < n->n_in; i++)
        if (n->in_width[i] && !strcmp(word_of(n->in_port[i]), word)) return n->in_width[i];
    return 0;
}

int64_t mls_net_port_width(const node *n, const mls_port *p) { return width_of(n, word_of(p)); }

void mls_net_node_widths(node *n)
{
    for (int i = 0; i < n->n_in + n->n_out; i++) {
        const mls_port *p = i < n->n_in ? n->in_port[i] : n->out_port[i - n->n_in];
        const mls_option *o = int_option(n, word_of(p));
        int64_t *at = o ? (int64_t *)(void *)((char *)n->self + o->offset) : NULL;
        if (at && *at == 0) *at = n->model;
    }
}

/* Spreads known widths along the wires of one layer until nothing changes. */
static void spread_widths(mls_net *net, node *layer, mls_error *e)
{
    for (int again = 1; again && !e->set;) {
        again = 0;
        for (int v = 0; v < net->n_names; v++) {
            node *n = &layer[v];
            for (int i = 0; i < n->n_in; i++) {
                const input *in = &n->in[i];
                if (n->in_width[i] || (in->from == FROM_NOWHERE && !in->service)) continue;
                n->in_width[i] = in->service ? 1 : in->from == FROM_INPUT ? net->width
                               : layer[in->from].out_width[in->from_port];
                again |= n->in_width[i] != 0;
            }
            for (int i = 0; i < n->n_out; i++)
                if (!n->out_width[i]) {
                    n->out_width[i] = width_of(n, word_of(n->out_port[i]));
                    again |= n->out_width[i] != 0;
                }
        }
    }
}

static void check_widths(mls_net *net, const node *n, mls_error *e)
{
    for (int i = 0; i < n->n_in && !e->set; i++) {
        const mls_port *p = n->in_port[i];
        const input *in = &n->in[i];
        if (in->from == FROM_NOWHERE) {
            if (!(p->flags & MLS_MAYBE) && !in->service)
                mls_error_set(e, "%s (%s.%s): its input \"%s\" has no wire", n->path,
                              n->component->kind, n->component->name, p->name);
            continue;
        }
        const int64_t want = width_of(n, word_of(p));
        const char *from = in->from == FROM_INPUT ? "input" : net->name[in->from];
        if (!n->in_width[i])
            mls_error_set(e, "%s: the width of \"%s\" cannot be found: it depends on itself",
                          n->path, p->name);
        else if (want && want != n->in_width[i])
            mls_error_set(e, "%s (%s.%s): input \"%s\" is to be %lld wide, but %s is %lld wide",
                          n->path, n->component->kind, n->component->name, p->name,
                          (long long)want, from, (long long)n->in_width[i]);
    }
    for (int i = 0; i < n->n_out && !e->set; i++)
        if (!n->out_width[i])
            mls_error_set(e, "%s: the width of its output \"%s\" cannot be found", n->path,
                          n->out_port[i]->name);
}

/* ---- nodes ----------------------------------------------------------------------- */

void mls_net_node_init(mls_net *net, node *n, const char *name, const char *path, int layer,
                       const mls_component *c, mls_error *e)
{
    *n = (node){ .net = net, .name = name, .path = path, .component = c, .layer = layer,
                 .model = net->width };
    n->ctx = (mls_ctx){ e, path, NULL, &net->arena, net->seed, n, c };
    n->self = mls_arena_zalloc(&net->arena, c->self_size + 1);
    if (!path || !n->self) {
        mls_error_set(e, "out of memory for %s", name);
        return;
    }
    const mls_port *p;
    for (int i = 0; (p = mls_plug_port(net->registry, c, i)); i++) {
        if (n->n_in == MAX_PORTS || n->n_out == MAX_PORTS) {
            mls_error_set(e, "%s.%s has more than %d ports", c->kind, c->name, MAX_PORTS);
            return;
        }
        if (p->flags & MLS_IN) {
            input *in = &n->in[n->n_in];
            in->from = FROM_NOWHERE;
            if (!strcmp(p->name, "mask") && net->shape.has_mask) in->service = 'm';
            if (!strcmp(p->name, "dt") && net->shape.has_dt) in->service = 'd';
            n->in_port[n->n_in++] = p;
        } else {
            n->out_port[n->n_out++] = p;
        }
    }
}

static void make_node(mls_net *net, node *n, const char *name, const char *path, int layer,
                      const mls_component *c, const mls_value *options, mls_error *e)
{
    mls_net_node_init(net, n, name, path, layer, c, e);
    if (e->set) return;
    mls_option_apply(net->registry, c, options, not_options, n->self, &net->arena, e);
    mls_net_node_widths(n);
}

static void connect(mls_net *net, node *layer)
{
    for (int i = 0; i < net->n_wires; i++) {
        const wire *w = &net->wire[i];
        if (w->to < 0) continue;
        input *in = &layer[w->to].in[w->to_port];
        in->from = w->from;
        in->from_port = w->from_port;
        in->late = w->late;
        in->branch = w->branch;
        in->service = 0;
    }
}

static void make_fifos(mls_net *net, node *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i].late)
            n->in[i].fifo = mls_net_add_state(n, mls_arena_printf(&net->arena, "%s~", n->in_port[i]->name),
                                              net->chunk * n->in_width[i], 0.0, NULL,
                                              "values on their way through a late wire");
}

static void make_layer(mls_net *net, int l, mls_error *e)
{
    node *layer = &net->node[l * net->n_names];
    for (int v = 0; v < net->n_names && !e->set; v++)
        make_node(net, &layer[v], net->name[v],
                  mls_arena_printf(&net->arena, "layer%d.%s", l, net->name[v]), l,
                  net->component[v], net->options[v], e);
    if (e->set) return;
    for (int v = 0; v < net->n_names; v++) layer[v].remat = net->remat[v];
    connect(net, layer);
    spread_widths(net, layer, e);
    for (int g = 0; g < net->n_groups && !e->set; g++)
        for (int m = 0; m < net->group[g].n && !e->set; m++) {
            node *n = &layer[net->group[g].member[m]];
            check_widths(net, n, e);
            if (e->set) return;
            n->component->setup(&n->ctx, n->self);
            make_fifos(net, n);
        }
    for (int i = 0; i < net->n_wires && !e->set; i++) {
        const wire *w = &net->wire[i];
        if (w->to != TO_OUTPUT || w->from < 0) continue;
        const int64_t got = layer[w->from].out_width[w->from_port];
        if (got != net->width)
            mls_error_set(e, "network: \"%s\" is %lld wide and goes to output, but the network "
                          "is %lld wide", net->name[w->from], (long long)got, (long long)net->width);
    }
}

static void make_ends(mls_net *net, mls_error *e)
{
    node *s = &net->self;
    const int norms = net->layers * net->n_branches + 1;
    net->norm_gain = mls_arena_zalloc(&net->arena, (size_t)norms * sizeof(mls_t));
    net->norm_bias = mls_arena_zalloc(&net->arena, (size_t)norms * sizeof(mls_t));
    if (net->shape.vocabulary) {
        net->embed = mls_net_add_weight(s, "embedding.weight", net->shape.vocabulary, net->width,
                                        mls_init_of(MLS_NORMAL, 0.02, 0));
    } else {
        net->in_weight = mls_net_add_weight(s, "input.weight", net->width, net->shape.input, MLS_LINEAR);
        net->in_bias = mls_net_add_weight(s, "input.bias", 1, net->width, MLS_ZEROS);
    }
    for (int i = 0; i < norms && net->norm && !e->set; i++) {
        const int last = i == norms - 1;
        const char *p = last ? mls_arena_strdup(&net->arena, "norm") : mls_arena_printf(
            &net->arena, "layer%d.norm%d", i / net->n_branches, i % net->n_branches);
        net->norm_gain[i] = mls_net_add_weight(s, mls_arena_printf(&net->arena, "%s.weight", p), 1,
                                               net->width, MLS_ONES);
        if (net->norm == 'l')
            net->norm_bias[i] = mls_net_add_weight(s, mls_arena_printf(&net->arena, "%s.bias", p), 1,
                                                   net->width, MLS_ZEROS);
    }
}

static void make_head(mls_net *net, const mls_value *spec, mls_error *e)
{
    const char *name = component_name(spec, "network: head", e);
    const mls_component *c = name ? mls_registry_find(net->registry, name, spec, e) : NULL;
    if (!c) return;
    node *n = &net->node[net->n_nodes - 1];
    make_node(net, n, "head", "head", net->layers, c, spec, e);
    if (e->set) return;
    if (strcmp(c->kind, "head") || n->n_in < 1 || n->n_out != 1) {
        mls_error_set(e, "network: head is %s, expected a component of kind head", name);
        return;
    }
    n->in[0].from = FROM_INPUT;
    n->in_width[0] = net->width;
    for (int i = 1; i < n->n_in; i++)
        if (n->in[i].service) n->in_width[i] = 1;
    n->out_width[0] = width_of(n, word_of(n->out_port[0]));
    if (!n->out_width[0]) n->out_width[0] = net->shape.output;
    n->component->setup(&n->ctx, n->self);
}

static void resolve(mls_net *net)
{
    mls_arena *a = &net->arena;
    mls_value *nodes = mls_value_map(a);
    for (int v = 0; v < net->n_names; v++)
        mls_value_set(a, nodes, net->name[v],
                      mls_option_dump(net->registry, net->component[v], net->node[v].self, a));
    mls_value_set(a, net->spec, "nodes", nodes);
    const node *h = &net->node[net->n_nodes - 1];
    mls_value_set(a, net->spec, "head", mls_option_dump(net->registry, h->component, h->self, a));
}

static mls_value *with_defaults(mls_net *net, const mls_value *given, mls_error *e)
{
    mls_arena *a = &net->arena;
    mls_value *s = mls_value_copy(a, given);
    net->width = mls_value_get_int(s, "width", 128, e);
    net->layers = (int)mls_value_get_int(s, "layers", 2, e);
    net->residual = mls_value_get_bool(s, "residual", 1, e);
    net->dropout = mls_value_get_real(s, "dropout", 0.0, e);
    net->chunk = mls_value_get_int(s, "chunk", 0, e);
    const char *norm = mls_value_get_string(s, "norm", "rms", e);
    if (e->set) return s;
    if (net->width < 1 || net->width > 1 << 20 || net->layers < 1 || net->layers > MAX_LAYERS)
        mls_error_set(e, "network: width %lld and layers %d: expected 1 to 1,048,576 and 1 to %d",
                      (long long)net->width, net->layers, MAX_LAYERS);
    if (net->dropout < 0.0 || net->dropout >= 1.0)
        mls_error_set(e, "network: dropout %g, expected 0 to below 1", net->dropout);
    const char *events = mls_value_get_string(s, "events", "auto", e);
    if (e->set) return s;
    static const char *const ways[] = { "auto", "never", "always" };
    for (net->events = 0; net->events < 3 && strcmp(ways[net->events], events); net->events++) {}
    if (net->events == 3)
        mls_error_set(e, "network: events = \"%s\" is not one of auto|never|always", events);
    if (net->chunk < 0) mls_error_set(e, "network: chunk %lld is negative", (long long)net->chunk);
    if (!strcmp(norm, "rms") || !strcmp(norm, "layer")) net->norm = norm[0];
    else if (strcmp(norm, "none"))
        mls_error_set(e, "network: norm = \"%s\" is not one of rms|layer|none", norm);
    if (net->chunk == 0) net->chunk = net->shape.steps > 0 ? net->shape.steps : 1;
    mls_value_set(a, s, "width", mls_value_int(a, net->width));
    mls_value_set(a, s, "layers", mls_value_int(a, net->layers));
    mls_value_set(a, s, "norm", mls_value_string(a, norm));
    mls_value_set(a, s, "residual", mls_value_bool(a, net->residual));
    mls_value_set(a, s, "dropout", mls_value_real(a, net->dropout));
    mls_value_set(a, s, "chunk", mls_value_int(a, net->chunk));
    mls_value_set(a, s, "events", mls_value_string(a, events));
    if (!mls_value_get(s, "head")) {
        mls_value *h = mls_value_map(a);
        mls_value_set(a, h, "component", mls_value_string(a, "head.linear"));
        mls_value_set(a, s, "head", h);
    }
    return s;
}

mls_net *mls_net_build(const mls_net_config *config, mls_error *e)
{
    mls_net_init();
    mls_net *net = calloc(1, sizeof *net);
    if (!net) {
        mls_error_set(e, "out of memory for a network");
        return NULL;
    }
    net->registry = config->registry;
    net->shape = *config->shape;
    net->seed = config->seed;
    net->dry = config->dry;
    net->error = e;
    net->self = (node){ .net = net, .name = "", .path = "" };
    net->self.ctx = (mls_ctx){ e, "network", NULL, &net->arena, net->seed, &net->self, NULL };
    if (!config->spec || config->spec->kind != MLS_V_MAP)
        mls_error_set(e, "network is %s, expected a map",
                      config->spec ? mls_value_kind_name(config->spec) : "absent");
    if (!e->set) mls_value_only(config->spec, keys, "network", e);
    if (!e->set) net->spec = with_defaults(net, config->spec, e);
    if (!e->set) read_nodes(net, mls_value_get(net->spec, "nodes"), e);
    read_wires(net, e->set ? NULL : mls_value_get(net->spec, "wire"), e);
    if (!e->set) read_remat(net, mls_value_get(net->spec, "remat"), e);
    if (!e->set) mls_net_order(net, e);
    if (!e->set) {
        net->n_nodes = net->layers * net->n_names + 1;
        net->node = mls_arena_zalloc(&net->arena, (size_t)net->n_nodes * sizeof *net->node);
        if (!net->node) mls_error_set(e, "out of memory for %d nodes", net->n_nodes);
    }
    if (!e->set) make_ends(net, e);
    for (int l = 0; l < net->layers && !e->set; l++) make_layer(net, l, e);
    if (!e->set) make_head(net, mls_value_get(net->spec, "head"), e);
    mls_net_make_weights(net, e);
    if (!e->set) resolve(net);
    net->error = NULL;
    if (!e->set) return net;
    mls_net_free(net);
    return NULL;
}

void mls_net_free(mls_net *net)
{
    if (!net) return;
    mls_arena_free(&net->arena);
    free(net);
}

mls_value *mls_net_resolved(const mls_net *net, mls_arena *a) { return mls_value_copy(a, net->spec); }
const mls_task_shape *mls_net_shape(const mls_net *net) { return &net->shape; }

/* The line of n and, after it, those of its parts. */
static char *lines(const mls_net *net, const node *n, char *s, mls_arena *a)
{
    int64_t count = 0;
    for (int k = 0; k < net->n_weights; k++)
        if (!strcmp(net->weight[k].node, n->path)) count += net->weight[k].rows * net->weight[k].cols;
    s = mls_arena_printf(a, "%s%-16s %s.%s  %lld -> %lld  %lld parameters\n", s, n->path,
                         n->component->kind, n->component->name,
                         (long long)n->in_width[n->main_in], (long long)n->out_width[0],
                         (long long)count);
    for (const node *p = n->part; p; p = p->next) s = lines(net, p, s, a);
    return s;
}

char *mls_net_summary(const mls_net *net, mls_arena *a)
{
    char *s = mls_arena_strdup(a, "");
    for (int i = 0; i < net->n_nodes; i++) s = lines(net, &net->node[i], s, a);
    return mls_arena_printf(a, "%stotal %lld parameters\n", s, (long long)net->count);
}
