/* spiking_in.c - a NIR graph into the spiking neurons of a network. */
#include "study/spiking_stage.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct in {
    const mls_stages *all;
    const mls_nir    *g;
    const mls_nir_layer *layer;
    int               n;                      /* layers                                  */
    int               of[MLS_STAGES];         /* the layer of each stage                 */
    const char       *file;
    mls_arena        *a;
    mls_error        *e;
} in;

/* ---- which layer of the graph is which ---------------------------------------------- */

static int named(const in *u, const mls_stage *s)
{
    char name[160];
    snprintf(name, sizeof name, "%s_%s", s->label, s->cuba ? "cubalif" : "lif");
    for (int i = 0; i < u->n; i++)
        if (!strcmp(u->g->node[u->layer[i].neurons].name, name)) return i;
    return -1;
}

/* By name if all have one, else in the order of sources. */
static void match(in *u)
{
    const mls_stages *all = u->all;
    int by_name = 1, done[MLS_STAGES] = { 0 }, k = 0;
    if (u->n != all->n) {
        mls_error_set(u->e, "%s: has %d layers of neurons, and %s%s has %d%s", u->file, u->n,
                      all->n ? all->s[0].node : "the network", all->n > 1 ? " and what follows" : "",
                      all->n, u->n < all->n ? "; --node takes one" : "");
        return;
    }
    for (int i = 0; i < all->n; i++) by_name &= (u->of[i] = named(u, &all->s[i])) >= 0;
    for (int round = 0; !by_name && round < all->n; round++)
        for (int i = 0; i < all->n; i++) {
            if (done[i] || (all->s[i].source >= 0 && !done[all->s[i].source])) continue;
            u->of[i] = k++;
            done[i] = 1;
            break;
        }
    for (int i = 0; i < all->n && !u->e->set; i++) {
        const int from = all->s[i].source, is = u->layer[u->of[i]].source;
        if (is != (from < 0 ? -1 : u->of[from]))
            mls_error_set(u->e, "%s: node \"%.60s\" gets %s%s, and %s gets %s%s", u->file,
                          u->g->node[u->layer[u->of[i]].neurons].name,
                          is < 0 ? "an Input" : "the spikes of ",
                          is < 0 ? "" : u->g->node[u->layer[is].neurons].name, all->s[i].node,
                          from < 0 ? "no neurons' spikes" : "those of ",
                          from < 0 ? "" : all->s[from].node);
    }
}

/* ---- checks ---------------------------------------------------------------------------- */

static void same_size(const in *u, const mls_stage *s, const mls_nir_layer *l)
{
    const mls_nir_node *x = &u->g->node[l->neurons];
    const mls_nir_node *map = l->map >= 0 ? &u->g->node[l->map] : NULL;
    const int64_t inputs = map ? map->in : x->n;
    if (s->cuba != (x->type == MLS_NIR_CUBA))
        mls_error_set(u->e, "%s: node \"%.60s\" is %s, and %s of %s is %s", u->file, x->name,
                      mls_nir_types[x->type], s->component, s->node,
                      s->cuba ? "CubaLIF" : "LIF");
    else if (x->n != s->n || inputs != s->in)
        mls_error_set(u->e, "%s: %lld inputs and %lld neurons, and %s has %lld and %lld", u->file,
                      (long long)inputs, (long long)x->n, s->node, (long long)s->in,
                      (long long)s->n);
    else if (!s->weight != !map)
        mls_error_set(u->e, "%s: has %s linear map before its neurons, and %s has %s", u->file,
                      map ? "a" : "no", s->node, s->weight ? "one" : "none");
    else if (!s->rec != (l->recurrent < 0))
        mls_error_set(u->e, "%s: node \"%.60s\" %s, and %s %s", u->file, x->name,
                      l->recurrent < 0 ? "does not hear its own spikes" : "hears its own spikes",
                      s->node, s->rec ? "does" : "does not");
    for (int64_t i = 0; i < x->n && !u->e->set; i++) {
        const double step = u->all->dt * (1.0 - 1e-6);
        if (x->v_reset[i] < 0.0f || x->v_reset[i] > 0.0f)
            mls_error_set(u->e, "%s: unit %lld is reset to %g; %s resets to 0", u->file,
                          (long long)i, (double)x->v_reset[i], s->component);
        else if (!((double)x->tau[i] >= step) || (s->cuba && !((double)x->tau_syn[i] >= step)))
            mls_error_set(u->e, "%s: unit %lld has %s %g s, less than a step of %g s", u->file,
                          (long long)i, (double)x->tau[i] >= step ? "tau_syn" : "tau",
                          (double)((double)x->tau[i] >= step ? x->tau_syn[i] : x->tau[i]),
                          u->all->dt);
        else if (s->cuba && fabs((double)x->v_leak[i]) > 0.0)
            mls_error_set(u->e, "%s: unit %lld has v_leak %g; %s has 0", u->file, (long long)i,
                          (double)x->v_leak[i], s->component);
    }
}

/* ---- into the weights -------------------------------------------------------------- */

/* Into a weight of one value or of n, or a check of the option; a scalar takes the value only
 * if all are equal. */
static void take(const in *u, const mls_stage *s, const mls_stage_value *v, const double *x)
{
    for (int64_t i = 0; i < s->n && !u->e->set; i++) {
        const double want = v->w && v->n > 1 ? x[i] : v->w ? x[0] : v->option;
        if (fabs(x[i] - want) > 1e-5 * (1.0 + fabs(want)))
            mls_error_set(u->e, "%s: unit %lld has %s %.7g, and %s of %s is %.7g for all; let the "
                          "study say %s%s%s%s", u->file, (long long)i, v->name, x[i], v->name,
                          s->node, want, v->w ? "\"unit\"" : "so",
                          v->learn ? ", or train it for each unit (" : "",
                          v->learn ? v->learn : "", v->learn ? " = \"unit\")" : "");
        if (v->w && v->how != MLS_STAGE_PLAIN && !(x[i] > 0.0 && x[i] < 1.0))
            mls_error_set(u->e, "%s: unit %lld has %s %.7g, which %s of %s keeps between 0 and 1 by "
                          "a sigmoid", u->file, (long long)i, v->name, x[i], v->name, s->node);
    }
    for (int64_t i = 0; i < v->n && v->w && !u->e->set; i++) {
        const double logit = v->how == MLS_STAGE_PLAIN ? x[i] : log(x[i] / (1.0 - x[i]));
        v->w[i] = (float)(v->how == MLS_STAGE_INVERSE ? -logit : logit);
    }
}

static void take_recurrence(const in *u, const mls_stage *s, const mls_nir_node *map, int64_t i,
                            double gain)
{
    for (int64_t k = 0; k < s->n; k++) {
        const double w = gain * (double)map->weight[i * s->n + k];
        if (!s->one_to_one) s->rec[i * s->n + k] = (float)w;
        else if (k == i) s->rec[i] = (float)w;
        else if (fabs(w) > 0.0)
            mls_error_set(u->e, "%s: unit %lld hears unit %lld, and units of %s hear themselves "
                          "alone (recurrent = \"one_to_one\")", u->file, (long long)i, (long long)k,
                          s->node);
    }
}

static void take_maps(const in *u, const mls_stage *s, const mls_nir_layer *l, int64_t i)
{
    const mls_nir_node *x = &u->g->node[l->neurons];
    const mls_nir_node *map = l->map >= 0 ? &u->g->node[l->map] : NULL;
    const mls_nir_node *rec = l->recurrent >= 0 ? &u->g->node[l->recurrent] : NULL;
    const double part = u->all->dt / (double)x->tau[i];
    double gain = part * (double)x->r[i];
    if (s->cuba) gain *= u->all->dt / (double)x->tau_syn[i] * (double)x->w_in[i];
    const double own = s->decays_input ? part : 1.0;
    double bias = part * (double)x->v_leak[i];
    gain /= own;
    bias /= own;
    if (map && map->bias) bias += gain * (double)map->bias[i];
    if (rec && rec->bias) bias += gain * (double)rec->bias[i];
    if (s->rec_bias) {
        /* its own part of the constant, as far as the graph tells them apart */
        s->rec_bias[i] = rec->bias ? (float)(gain * (double)rec->bias[i]) : 0.0f;
        bias -= (double)s->rec_bias[i];
    }
    if (!s->weight && (fabs(gain - 1.0) > 1e-5 || fabs(bias) > 0.0))
        mls_error_set(u->e, "%s: unit %lld has r dt / tau %g and v_leak %g; without a linear map "
                      "%s has 1 and 0", u->file, (long long)i, gain, (double)x->v_leak[i], s->node);
    for (int64_t k = 0; s->weight && k < s->in; k++)
        s->weight[i * s->in + k] = (float)(gain * (double)map->weight[i * s->in + k]);
    if (s->bias) s->bias[i] = (float)bias;
    if (rec) take_recurrence(u, s, rec, i, gain);
}

static void take_stage(const in *u, const mls_stage *s, const mls_nir_layer *l)
{
    const mls_nir_node *x = &u->g->node[l->neurons];
    double *v = mls_arena_alloc(u->a, (size_t)(s->n + 1) * sizeof *v);
    if (!v) mls_error_set(u->e, "out of memory for %lld neurons", (long long)s->n);
    same_size(u, s, l);
    for (int64_t i = 0; i < s->n && !u->e->set; i++) v[i] = 1.0 - u->all->dt / (double)x->tau[i];
    if (!u->e->set) take(u, s, &s->beta, v);
    for (int64_t i = 0; i < s->n && s->cuba && !u->e->set; i++)
        v[i] = 1.0 - u->all->dt / (double)x->tau_syn[i];
    if (!u->e->set && s->cuba) take(u, s, &s->alpha, v);
    for (int64_t i = 0; i < s->n && !u->e->set; i++) v[i] = (double)x->v_threshold[i];
    if (!u->e->set) take(u, s, &s->threshold, v);
    for (int64_t i = 0; i < s->n && !u->e->set; i++) take_maps(u, s, l, i);
}

int64_t mls_spiking_import(mls_net *net, const mls_value *config, const char *node,
                           const mls_nir *g, const char *file, mls_arena *a, mls_error *e)
{
    mls_stages *all = mls_arena_zalloc(a, sizeof *all);
    mls_nir_layer *layer = NULL;
    int64_t neurons = 0;
    in u = { .all = all, .g = g, .file = file, .a = a, .e = e };
    if (!all) mls_error_set(e, "out of memory for a graph");
    else if (mls_stages_open(all, net, config, node, a, e))
        u.n = mls_nir_layers(g, file, &layer, a, e);
    u.layer = layer;
    if (!e->set) match(&u);
    for (int i = 0; !e->set && i < all->n; i++) {
        take_stage(&u, &all->s[i], &layer[u.of[i]]);
        neurons += all->s[i].n;
    }
    return e->set ? 0 : neurons;
}
