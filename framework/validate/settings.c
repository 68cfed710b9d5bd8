/* settings.c - options turned, and what came of it. */
#include "validate/settings.h"

#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Values ---------------------------------------------------------------------- */

void mls_settings_range(const mls_option *o, double *lo, double *hi)
{
    const int open = !(o->min < o->max), whole = o->type == MLS_INT;
    *lo = open ? (whole ? fmin(0.0, o->def) : -1e3) : o->min;
    *hi = open ? (whole ? o->def + MLS_SETTINGS_CAP : 1e3) : o->max;
    if (whole) *lo = fmax(*lo, o->def - 1e9);
    if (whole && *hi > *lo + MLS_SETTINGS_CAP)
        *hi = fmax(*lo + MLS_SETTINGS_CAP, o->def);
    /* a default of 128 units must not be run with thousands */
    if (o->type == MLS_REAL && *hi > *lo + 1e9) *hi = *lo + 1e9;
}

static mls_value *number(mls_probe *p, const mls_option *o, double x)
{
    return o->type == MLS_INT ? mls_value_int(&p->arena, (int64_t)x)
                              : mls_value_real(&p->arena, x);
}

static mls_value *choice(mls_probe *p, const mls_option *o, int k)
{
    const char *s = o->choices;
    for (; s && k > 0; k--) {
        s = strchr(s, '|');
        if (s) s++;
    }
    if (!s) return NULL;
    const size_t n = strcspn(s, "|");
    return mls_value_string(&p->arena, mls_arena_printf(&p->arena, "%.*s", (int)n, s));
}

/* ---- Components ------------------------------------------------------------------ */

/* With a state, a mask and step lengths; with a state; with weights; with nothing. */
static const char *const usual[] = {"liquid.cfc", "liquid.gru", "mixer.mlp",
                                    "mixer.identity"};
enum { USUAL = sizeof usual / sizeof *usual };

/* The k-th of them that this process knows and that is no default of o; or NULL. */
static const char *known(const mls_probe *p, const mls_option *o, int k)
{
    mls_error e = {0};
    for (int i = 0; i < USUAL; i++)
        if (strcmp(usual[i], o->choices) &&
            mls_registry_find(p->registry, usual[i], NULL, &e) && k-- == 0)
            return usual[i];
    return NULL;
}

static void push(mls_probe *p, mls_value *list, const char *name)
{
    if (name) mls_value_push(&p->arena, list, mls_value_string(&p->arena, name));
}

/* Of lists: the usual ones but the last; the default and one more; the last alone. */
static mls_value *components(mls_probe *p, const mls_option *o, int k)
{
    const char *name = known(p, o, k);
    mls_value *list = mls_value_list(&p->arena);
    if (o->type == MLS_COMPONENT)
        return name ? mls_value_string(&p->arena, name) : NULL;
    int n = 0;
    while (known(p, o, n)) n++;
    for (int i = 0; k == 0 && i + 1 < n; i++) push(p, list, known(p, o, i));
    for (const char *s = k == 1 ? o->choices : ""; *s; s += strspn(s, ", ")) {
        push(p, list,
             mls_arena_printf(&p->arena, "%.*s", (int)strcspn(s, ", "), s));
        s += strcspn(s, ", ");
    }
    if (k == 1 && n) push(p, list, known(p, o, 0));
    if (k == 2 && n) push(p, list, known(p, o, n - 1));
    return list->n ? list : NULL;
}

static int names_components(const mls_option *o)
{
    return o->type == MLS_COMPONENT || o->type == MLS_COMPONENTS;
}

mls_value *mls_settings_other(mls_probe *p, const mls_option *o, int k)
{
    double lo, hi;
    if (o->type == MLS_BOOL) return k ? NULL : mls_value_bool(&p->arena, o->def == 0.0);
    if (o->type == MLS_CHOICE) return choice(p, o, k + 1);
    if (o->type == MLS_STRING) return NULL;
    if (names_components(o)) return components(p, o, k);
    mls_settings_range(o, &lo, &hi);
    const double real[] = {o->def * 0.5,
                           o->def * 2.0,
                           lo + 0.3 * (hi - lo),
                           o->def + 1.0,
                           o->def - 1.0,
                           lo,
                           hi};
    const double whole[] = {o->def + 1.0, o->def - 1.0, 1.0, 2.0, 3.0,
                            4.0,          6.0,          lo,  hi};
    const double *x = o->type == MLS_INT ? whole : real;
    const int n = o->type == MLS_INT ? (int)(sizeof whole / sizeof *whole)
                                     : (int)(sizeof real / sizeof *real);
    for (int i = 0; i < n; i++)
        if (x[i] >= lo && x[i] <= hi && x[i] != o->def && k-- == 0)
            return number(p, o, x[i]);
    return NULL;
}

mls_value *mls_settings_draw(mls_probe *p, const mls_option *o, uint64_t i)
{
    double lo, hi;
    uint64_t seed = p->seed + 17 * i;
    for (const char *s = o->name; *s; s++) seed = seed * 31 + (unsigned char)*s;
    const double u = 0.5 + 0.5 * (double)mls_probe_noise(seed, i);
    if (o->type == MLS_BOOL) return mls_value_bool(&p->arena, u > 0.5);
    if (o->type == MLS_CHOICE) {
        int n = 1;
        for (const char *s = o->choices; s && (s = strchr(s, '|')); s++) n++;
        return choice(p, o, (int)(u * n * 0.999));
    }
    if (names_components(o)) {
        mls_value *x = components(p, o, (int)(u * 3 * 0.999));
        return x ? x : components(p, o, 0);
    }
    mls_settings_range(o, &lo, &hi);
    if (o->type == MLS_INT) return number(p, o, floor(lo + u * (hi - lo) + 0.5));
    if (lo > 0.0 && hi > 100.0 * lo) return number(p, o, lo * pow(hi / lo, u));
    return number(p, o, lo + u * (hi - lo));
}

static const char *spelt(mls_probe *p, const mls_value *x)
{
    return mls_value_to_json(&p->arena, x, 0);
}

const mls_variant *mls_settings_with(mls_probe *p, const mls_variant *v,
                                     const char *name, mls_value *x)
{
    mls_variant *w = mls_values_room(p, 1, sizeof *w);
    *w = *v;
    w->set = v->set ? mls_value_copy(&p->arena, v->set) : mls_value_map(&p->arena);
    mls_value_set(&p->arena, w->set, name, x);
    w->title = mls_arena_printf(&p->arena, "%s, %s = %s", v->title, name, spelt(p, x));
    w->turned = name;
    return w;
}

/* ---- Attempts -------------------------------------------------------------------- */

/* In memory of its own: what setjmp's frame would hold is lost when a failure jumps
 * back. */
typedef struct attempt {
    mls_probe probe;
    mls_rig rig;
    int open;
} attempt;

int mls_settings_try(mls_probe *p, const mls_variant *v, mls_rig_size size,
                     void (*body)(mls_rig *r, void *arg), void *arg, char *why)
{
    attempt *const t = mls_values_room(p, 1, sizeof *t);
    t->probe = (mls_probe){
        .registry = p->registry, .target = p->target, .c = p->c, .seed = p->seed};
    *why = '\0';
    const int failed = setjmp(t->probe.end);
    if (!failed) {
        mls_rig_open(&t->rig, &t->probe, v, size, MLS_TRAIN, p->seed);
        t->open = 1;
        if (body) body(&t->rig, arg);
    } else {
        snprintf(why, 1000, "%.990s", t->probe.reason);
    }
    if (t->open) mls_rig_close(&t->rig);
    mls_arena_free(&t->probe.arena);
    return !failed;
}

/* ---- Fingerprints ---------------------------------------------------------------- */

static void mix(uint64_t *h, uint64_t x)
{
    *h = (*h ^ x) * 0x9e3779b97f4a7c15u;
    *h ^= *h >> 29;
}

static void mix_floats(uint64_t *h, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        mix(h, bits);
    }
    mix(h, (uint64_t)n);
}

static void mix_text(uint64_t *h, const char *s)
{
    while (*s) mix(h, (unsigned char)*s++);
    mix(h, 0);
}

static int any(void *arg, const char *node, const char *name)
{
    (void)arg, (void)node, (void)name;
    return 1;
}

static void mix_channel(void *arg, const mls_channel *ch, mls_t value, int64_t t0)
{
    mix_text(arg, ch->name);
    mix(arg, (uint64_t)t0);
    mix_floats(arg, value->data, value->count);
}

static void mix_run(mls_rig *r, uint64_t *h)
{
    int64_t n;
    mls_run_observe(r->run, &(mls_observer){h, any, mix_channel});
    mix_floats(h, mls_rig_fresh(r, NULL), r->out_steps * r->B * r->out);
    mls_run_observe(r->run, NULL);
    mls_rig_backward(r);
    mls_net_data(r->net, &n);
    mix_floats(h, mls_net_grad(r->net), n);
    mls_net_adapt(r->net);
    float *weights = mls_net_data(r->net, &n);
    mix_floats(h, weights, n);
    const float *states = mls_rig_states(r, &n);
    mix_floats(h, states, n);
}

static void mix_rig(mls_rig *r, void *arg)
{
    uint64_t *h = arg;
    mls_cost cost;
    mls_error e = {0};
    for (int i = 0; i < mls_net_weights(r->net); i++) {
        const mls_weight *w = mls_net_weight(r->net, i);
        mix_text(h, w->name);
        mix(h, w->flags);
        mix_floats(h, w->data, w->rows * w->cols);
    }
    mix_run(r, h);
    for (int64_t i = 0; i < r->T * r->B * r->in; i++) r->x[i] = rintf(r->x[i]);
    mix_run(r, h);
    if (!mls_net_cost(r->net, r->T, r->B, &cost, &e)) return;
    mix(h, (uint64_t)cost.flops);
    mix(h, (uint64_t)cost.bytes);
    mix(h, (uint64_t)cost.state_bytes);
}

mls_print mls_settings_print(mls_probe *p, const mls_variant *v)
{
    char why[1000];
    mls_print print = {0, 0xcbf29ce484222325u};
    print.built = mls_settings_try(p, v, (mls_rig_size){0}, mix_rig, &print.hash, why);
    return print;
}
