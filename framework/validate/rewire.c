/* rewire.c - networks that differ from a rig's in one thing. */
#include "validate/rewire.h"

#include "validate/values.h"

#include <math.h>
#include <string.h>

static int is_head(const mls_rig *r) { return !strcmp(r->p->c->kind, "head"); }

const char *mls_rewire_name(const mls_rig *r)
{
    mls_arena *a = &r->p->arena;
    const char *name = mls_arena_printf(a, "%s.%s", r->p->c->kind, r->p->c->name);
    const mls_value *nodes = mls_value_get(mls_net_resolved(r->net, a), "nodes");
    for (int i = 0; !is_head(r) && nodes && i < nodes->n; i++) {
        const mls_value *c = mls_value_get(nodes->item[i], "component");
        if (c && c->kind == MLS_V_STRING && !strcmp(c->string, name))
            return nodes->key[i];
    }
    return NULL;
}

const char *mls_rewire_node(const mls_rig *r)
{
    const char *name = mls_rewire_name(r);
    return name ? mls_arena_printf(&r->p->arena, "layer0.%s", name) : "head";
}

static void take_weights(mls_rig *out, const mls_rig *r)
{
    for (int i = 0; i < mls_net_weights(out->net); i++) {
        mls_weight *w = mls_net_weight(out->net, i);
        for (int k = 0; k < mls_net_weights(r->net); k++) {
            const mls_weight *from = mls_net_weight(r->net, k);
            if (strcmp(w->name, from->name) || w->rows != from->rows ||
                w->cols != from->cols)
                continue;
            memcpy(w->data, from->data, (size_t)(w->rows * w->cols) * sizeof *w->data);
        }
        if (strncmp(w->name, "input.", 6)) continue; /* a node's begin with its path */
        memset(w->data, 0, (size_t)(w->rows * w->cols) * sizeof *w->data);
        const int64_t last = strcmp(w->name, "input.bias") ? w->rows : 0;
        for (int64_t k = 0; k < last && k < w->cols; k++)
            w->data[k * w->cols + k] = 1.0f;
    }
}

int mls_rewire_open(mls_rig *out, const mls_rig *r, const mls_value *spec, mls_error *e)
{
    *out = *r;
    if (!is_head(r)) {
        out->out = mls_value_get_int(spec, "width", r->out, e);
        out->shape.output = out->out;
    }
    out->net = mls_net_build(
        &(mls_net_config){r->p->registry, spec, &out->shape, r->p->seed, 0}, e);
    out->run = out->net ? mls_run_new(out->net, r->B, r->flags, e) : NULL;
    if (!out->run) {
        mls_net_free(out->net);
        out->net = NULL;
        return 0;
    }
    take_weights(out, r);
    if (out->out != r->out) {
        const int64_t n = out->out_steps * out->B * out->out;
        out->weight = mls_values_room(r->p, n, sizeof *out->weight);
    }
    return 1;
}

/* ---- Two readers -------------------------------------------------------------------
 */

/* The wires of a rig, "u -> v; ...", with only the first output of `name` wired; with
 * twin also a second node that reads and gives the same, its output beside the first's.
 * *port: of that output, or NULL when there is none. */
static const char *wires(mls_arena *a, const char *text, const char *name, int twin,
                         const char **port)
{
    char *save = NULL, *all = mls_arena_strdup(a, "");
    const size_t n = strlen(name);
    *port = NULL;
    for (char *s = strtok_r(mls_arena_strdup(a, text), ";", &save); s;
         s = strtok_r(NULL, ";", &save)) {
        char *arrow = strstr(s, "->");
        if (!arrow) continue;
        while (*s == ' ') s++;
        const char *to = arrow + 2;
        while (*to == ' ') to++;
        if (!strncmp(s, name, n) && s[n] == '.') {
            if (*port) continue;
            char *end = strpbrk(s, " -");
            *port = mls_arena_printf(a, "%.*s", (int)(end - s - (int)n - 1), s + n + 1);
            all = mls_arena_printf(a, "%s%s.%s -> all.a; ", all, name, *port);
            if (twin) all = mls_arena_printf(a, "%stwin.%s -> all.b; ", all, *port);
            continue;
        }
        all = mls_arena_printf(a, "%s%s; ", all, s);
        if (twin && !strncmp(to, name, n) && to[n] == '.')
            all = mls_arena_printf(a, "%s%.*stwin%s; ", all, (int)(to - s), s, to + n);
    }
    return all;
}

static mls_value *specification(mls_rig *r, const char *name, int twin,
                                const char **port)
{
    mls_arena *a = &r->p->arena;
    mls_value *spec = mls_net_resolved(r->net, a),
              *nodes = mls_value_get(spec, "nodes");
    const mls_value *wire = mls_value_get(spec, "wire"),
                    *width = mls_value_get(spec, "width");
    if (!wire || wire->kind != MLS_V_STRING || !width) return NULL;
    mls_value_set(a, spec, "wire",
                  mls_value_string(a, wires(a, wire->string, name, twin, port)));
    mls_value_set(a, spec, "width", mls_value_int(a, 4 * width->integer));
    if (twin)
        mls_value_set(a, nodes, "twin", mls_value_copy(a, mls_value_get(nodes, name)));
    return *port ? spec : NULL;
}

int64_t mls_rewire_width(mls_rig *r, const char *node, const char *port)
{
    mls_channel *list;
    const int n = mls_run_channels(r->run, &list, &r->p->arena);
    for (int i = 0; i < n; i++)
        if (!strcmp(list[i].node, node) && !strcmp(list[i].name, port))
            return list[i].width;
    return 0;
}

/* The objective weighs features [at, at + n) of the output. */
static void weigh(mls_rig *r, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < r->out_steps * r->B; i++)
        for (int64_t k = 0; k < n; k++)
            r->weight[i * r->out + at + k] = mls_probe_noise(31, (uint64_t)(i * n + k));
}

static const mls_weight *weight_of(const mls_net *net, const char *name)
{
    for (int i = 0; i < mls_net_weights(net); i++)
        if (!strcmp(mls_net_weight(net, i)->name, name)) return mls_net_weight(net, i);
    return NULL;
}

/* layer0.twin.w starts as layer0.n.w. */
static void copy_twin(mls_rig *both, const char *node)
{
    mls_arena *a = &both->p->arena;
    for (int i = 0; i < mls_net_weights(both->net); i++) {
        mls_weight *w = mls_net_weight(both->net, i);
        if (strncmp(w->name, "layer0.twin.", 12)) continue;
        const mls_weight *from =
            weight_of(both->net, mls_arena_printf(a, "%s.%s", node, w->name + 12));
        if (from)
            memcpy(w->data, from->data, (size_t)(w->rows * w->cols) * sizeof *w->data);
    }
}

/* Of all gradients of the network.  Where a weight's own terms cancel, as those of a bias
 * before differences over time, what is left is rounding of terms of this size.        */
static double largest(const mls_net *net)
{
    int64_t n;
    double top = 0.0;
    mls_net_data(net, &n);
    for (int64_t k = 0; k < n; k++) top = fmax(top, fabs((double)mls_net_grad(net)[k]));
    return top;
}

static void compare(mls_rig *r, mls_rig *one, mls_rig *both, const char *node)
{
    const double rounding = 1e-6 * largest(one->net);
    for (int i = 0; i < mls_net_weights(one->net); i++) {
        const mls_weight *w = mls_net_weight(one->net, i),
                         *x = weight_of(both->net, w->name);
        const int64_t n = w->rows * w->cols;
        const size_t at = strlen(node);         /* parts of the node lie below its path */
        const int own = !strncmp(w->name, node, at) && w->name[at] == '.';
        const float times = own ? 1.0f : 2.0f;
        double top = 1e-3;
        for (int64_t k = 0; k < n; k++) top = fmax(top, fabs((double)w->grad[k]));
        for (int64_t k = 0; x && k < n; k++) {
            const double want = (double)(times * w->grad[k]);
            if (fabs((double)x->grad[k] - want) <= 1e-4 * top + rounding) continue;
            mls_probe_fail(
                r->p,
                "%s: when a second node reads the same features, the gradient of "
                "%s[%lld][%lld] is %g, expected %g; does backward set the gradient of "
                "an "
                "input, where it should add to it?",
                r->v->title, w->name, (long long)(k / w->cols),
                (long long)(k % w->cols), (double)x->grad[k], want);
        }
    }
}

void mls_rewire_shared(mls_rig *r)
{
    mls_rig one, both;
    mls_error e = {0};
    const char *port, *name = mls_rewire_name(r);
    if (!name) return; /* nobody else reads what a head does       */
    const char *node = mls_rewire_node(r);
    const mls_value *spec = specification(r, name, 0, &port);
    if (!spec || !mls_rewire_open(&one, r, spec, &e)) return;
    spec = specification(r, name, 1, &port);
    if (spec && mls_rewire_open(&both, r, spec, &e)) {
        const int64_t n = mls_rewire_width(&both, node, port);
        if (n > 0 && 2 * n <= both.out) {
            copy_twin(&both, node);
            weigh(&one, 0, n);
            weigh(&both, 0, n);
            weigh(&both, n, n);
            mls_rig_backward(&one);
            mls_rig_backward(&both);
            compare(r, &one, &both, node);
        }
        mls_rig_close(&both);
    }
    mls_rig_close(&one);
}
