/* options.c - cases about settings: whatever is in range works or is refused in words,
 * what is declared has an effect, and nothing is quietly replaced by something else.
 */
#include "validate/settings.h"
#include "validate/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Bounds ---------------------------------------------------------------------- */

enum { DRAWS = 3, MIXTURES = 20 };

/* What is built runs, and stays finite: at once, then step by step.  Backward runs too,
 * but may overflow: a steep surrogate over hundreds of steps does so by its
 * mathematics. */
static void run_it(mls_rig *r, void *outer)
{
    mls_probe *p = outer;
    mls_probe_finite(p, r->v, "output", mls_rig_fresh(r, NULL),
                     r->out_steps * r->B * r->out, r->B, r->out);
    mls_rig_backward(r);
    mls_run_reset(r->run);
    for (int64_t t = 0; t < r->T; t++) {
        mls_batch b = mls_rig_piece(r, t, 1);
        mls_probe_finite(p, r->v, "output of a single step", mls_rig_forward(r, &b),
                         r->B * r->out, r->B, r->out);
    }
    for (int i = 0; i < mls_run_states(r->run); i++) {
        float *value;
        int64_t width;
        const char *name = mls_run_state(r->run, i, &value, &width, NULL);
        mls_probe_finite(p, r->v, name, value, r->B * width, r->B, width);
    }
}

static void fuzz(mls_probe *p, const mls_variant *v, int count[2])
{
    char why[1000];
    const mls_mark mark = mls_arena_mark(&p->arena);
    mls_probe_note(p, "%s", v->title); /* should it crash, the last one is to blame */
    const int built = mls_settings_try(p, v, (mls_rig_size){0}, run_it, p, why);
    if (!built && !*why) mls_probe_fail(p, "%s: refused without a word", v->title);
    count[!built]++;
    mls_arena_release(&p->arena, mark);
}

static mls_value *edge(mls_probe *p, const mls_option *o, int k)
{
    double lo, hi;
    mls_settings_range(o, &lo, &hi);
    if (o->type == MLS_REAL || o->type == MLS_INT) {
        const double x = k == 0 ? lo : k == 1 ? hi : k == 2 ? o->def : NAN;
        if (isnan(x))
            return k < 3 + DRAWS ? mls_settings_draw(p, o, (uint64_t)k) : NULL;
        return o->type == MLS_INT ? mls_value_int(&p->arena, (int64_t)x)
                                  : mls_value_real(&p->arena, x);
    }
    return mls_settings_other(p, o, k);
}

static void bounds_fuzz(mls_probe *p)
{
    const mls_variant *v;
    const mls_option *o;
    mls_value *x;
    int count[2] = {0, 0};
    mls_probe_variants(p, &v);
    if (!mls_plug_option(p->registry, p->c, 0)) mls_probe_skip(p, "it has no options");
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++)
        for (int k = 0; o->type != MLS_STRING && (x = edge(p, o, k)); k++)
            fuzz(p, mls_settings_with(p, &v[0], o->name, x), count);
    for (int m = 0; m < MIXTURES; m++) {
        const mls_variant *mix = &v[0];
        for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++)
            if (o->type != MLS_STRING &&
                mls_probe_noise(p->seed + 3, (uint64_t)(m * 64 + i)) > 0)
                if ((x = mls_settings_draw(p, o, (uint64_t)(100 + m))))
                    mix = mls_settings_with(p, mix, o->name, x);
        fuzz(p, mix, count);
    }
    mls_probe_note(
        p, "%d settings ran, %d were refused in words; integers were drawn up to %d",
        count[0], count[1], MLS_SETTINGS_CAP);
}

/* ---- Effects --------------------------------------------------------------------- */

/* Value x of o has an effect on top of base.  tried: 1 when both could be built. */
static int differs(mls_probe *p, const mls_variant *base, const mls_print *of_base,
                   const mls_option *o, mls_value *x, int *tried)
{
    const mls_print got = mls_settings_print(p, mls_settings_with(p, base, o->name, x));
    if (!got.built || !of_base->built) return 0;
    *tried = 1;
    return got.hash != of_base->hash;
}

/* Any other value of o, or only value `only`, on top of base. */
static int any_differs(mls_probe *p, const mls_variant *base, const mls_option *o,
                       mls_value *only, int *tried)
{
    const mls_print print = mls_settings_print(p, base);
    mls_value *x;
    if (only) return differs(p, base, &print, o, only, tried);
    for (int k = 0; (x = mls_settings_other(p, o, k)); k++)
        if (differs(p, base, &print, o, x, tried)) return 1;
    return 0;
}

static int alone_or_turned(mls_probe *p, const mls_variant *v, int n,
                           const mls_option *o, mls_value *only, int *tried)
{
    for (int i = 0; i < n; i++)
        if (!v[i].turned || strcmp(v[i].turned, o->name))
            if (any_differs(p, &v[i], o, only, tried)) return 1;
    return 0;
}

/* Some matter only together with a number that no variant sets. */
static int with_another(mls_probe *p, const mls_variant *v, const mls_option *o,
                        mls_value *only, int *tried)
{
    const mls_option *q;
    mls_value *y;
    for (int i = 0; (q = mls_plug_option(p->registry, p->c, i)); i++)
        for (int k = 0;
             q != o && strcmp(q->name, o->name) && (y = mls_settings_other(p, q, k));
             k++)
            if (any_differs(p, mls_settings_with(p, v, q->name, y), o, only, tried))
                return 1;
    return 0;
}

/* `units` of a port "T B units": the host itself reads it, and the rig's network has
 * room for one width only. */
static int is_port_width(const mls_probe *p, const mls_option *o)
{
    const mls_port *port;
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++) {
        const char *word = port->shape ? strrchr(port->shape, ' ') : NULL;
        if (word && !strcmp(word + 1, o->name)) return 1;
    }
    return 0;
}

static void matters(mls_probe *p, const mls_variant *v, int n, const mls_option *o,
                    mls_value *only)
{
    const char *value = only && only->kind == MLS_V_STRING ? only->string : NULL;
    int tried = 0;
    if (alone_or_turned(p, v, n, o, only, &tried)) return;
    if (with_another(p, &v[0], o, only, &tried)) return;
    if (!tried && is_port_width(p, o)) return;
    if (!tried && value)
        mls_probe_fail(p,
                       "option %s: \"%s\" could not be built with any other settings",
                       o->name, value);
    if (!tried)
        mls_probe_fail(p, "option %s: no value but the default could be built",
                       o->name);
    if (value)
        mls_probe_fail(
            p,
            "option %s: \"%s\" gives the very bits of the default: outputs, states, "
            "gradients, weights and cost, whatever else is set",
            o->name, value);
    mls_probe_fail(
        p,
        "option %s changes nothing: not outputs, states, gradients, weights or "
        "cost, whatever else is set",
        o->name);
}

static void every_option_matters(mls_probe *p)
{
    const mls_variant *v;
    const mls_option *o;
    mls_value *x;
    int judged = 0;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        if (o->type == MLS_STRING) continue; /* what could one try? */
        judged++;
        if (o->type != MLS_CHOICE)
            matters(p, v, n, o, NULL);
        else
            for (int k = 0; (x = mls_settings_other(p, o, k)); k++)
                matters(p, v, n, o, x);
    }
    if (!judged) mls_probe_skip(p, "it has no options to turn");
}

/* ---- Optional ports -------------------------------------------------------------- */

/* A mask of ones says what its absence says. */
static void ones_are_none(mls_rig *r)
{
    int64_t count, n;
    mls_batch b = r->batch;
    if (!mls_values_port(r->p, "mask")) return;
    float *ones = mls_values_room(r->p, r->T * r->B, sizeof *ones);
    for (int64_t i = 0; i < r->T * r->B; i++) ones[i] = 1.0f;
    const float *y = mls_values_output(r, NULL, &count), *last = mls_rig_states(r, &n);
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, r->weight);
    const float *grad = mls_values_grad(r, NULL);
    b.mask = ones;
    mls_probe_same(r->p, r->v, "output with a mask of ones, against none",
                   mls_rig_fresh(r, &b), y, count, r->B, r->out);
    mls_values_states(r, "with a mask of ones, against none", last, 0.0);
    mls_net_zero_grad(r->net);
    mls_run_backward_from(r->run, r->weight);
    mls_values_grads(r, "with a mask of ones, against none", grad, 0.0);
}

static const mls_weight *weight_called(const mls_rig *r, const char *name)
{
    for (int i = 0; i < mls_net_weights(r->net); i++)
        if (!strcmp(mls_net_weight(r->net, i)->name, name))
            return mls_net_weight(r->net, i);
    return NULL;
}

/* A wire more may bring weights of its own, but shifts nobody else's start. */
static void same_start(const mls_rig *open, const mls_rig *wired)
{
    for (int i = 0; i < mls_net_weights(open->net); i++) {
        const mls_weight *a = mls_net_weight(open->net, i);
        const mls_weight *b = weight_called(wired, a->name);
        if (!b || a->rows != b->rows || a->cols != b->cols) continue;
        for (int64_t k = 0; k < a->rows * a->cols; k++)
            if (memcmp(a->data + k, b->data + k, sizeof *a->data))
                mls_probe_fail(
                    open->p,
                    "%s: %s[%lld] starts at %.9g, but at %.9g when every port "
                    "is wired",
                    open->v->title, a->name, (long long)k, (double)a->data[k],
                    (double)b->data[k]);
    }
}

static void optional_port_is_neutral(mls_probe *p)
{
    const mls_variant *v;
    const mls_port *port;
    int optional = 0;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; (port = mls_plug_port(p->registry, p->c, i)); i++)
        optional |= (port->flags & MLS_IN) && (port->flags & MLS_MAYBE);
    if (!optional) mls_probe_skip(p, "it has no optional port");
    for (int i = 0; i < n; i++) {
        mls_rig r;
        mls_rig_open(&r, p, &v[i], (mls_rig_size){0}, MLS_TRAIN, p->seed);
        ones_are_none(&r);
        for (int k = 0; v[i].open && k < n; k++) {
            mls_rig wired;
            if (v[k].open || v[k].turned) continue;
            mls_rig_open(&wired, p, &v[k], (mls_rig_size){0}, MLS_TRAIN, p->seed);
            same_start(&r, &wired);
            mls_rig_close(&wired);
        }
        mls_rig_close(&r);
    }
}

/* ---- Fallbacks ------------------------------------------------------------------- */

static void must_refuse(mls_probe *p, const mls_variant *v, const mls_option *o,
                        mls_value *x, const char *why_not)
{
    char why[1000];
    const mls_variant *bad = mls_settings_with(p, v, o->name, x);
    if (mls_settings_try(p, bad, (mls_rig_size){0}, NULL, NULL, why))
        mls_probe_fail(p, "%s is accepted, though %s", bad->title, why_not);
    if (!strstr(why, o->name))
        mls_probe_fail(p, "%s is refused, but the message does not name the option: %s",
                       bad->title, why);
}

static void out_of_range(mls_probe *p, const mls_variant *v, const mls_option *o)
{
    mls_arena *a = &p->arena;
    const int whole = o->type == MLS_INT;
    if (o->type != MLS_STRING)
        must_refuse(p, v, o, mls_value_list(a), "a list is no value of it");
    if (o->type == MLS_CHOICE)
        must_refuse(p, v, o, mls_value_string(a, "none_of_these"),
                    "there is no such choice");
    if (o->type == MLS_COMPONENT)
        must_refuse(p, v, o, mls_value_string(a, "mixer.none_of_these"),
                    "there is no such component");
    if (o->type == MLS_COMPONENT || o->type == MLS_COMPONENTS)
        must_refuse(p, v, o, mls_value_int(a, 1), "a number is no component");
    if (whole || o->type == MLS_REAL)
        must_refuse(p, v, o, mls_value_string(a, "much"), "it is to be a number");
    if (whole)
        must_refuse(p, v, o, mls_value_real(a, o->def + 0.5), "it is to be an integer");
    if (!(whole || o->type == MLS_REAL) || o->min >= o->max) return;
    const double below = o->min - 1.0, above = o->max + 1.0;
    if (below < o->min && fabs(below) < 9e15)
        must_refuse(p, v, o,
                    whole ? mls_value_int(a, (int64_t)below) : mls_value_real(a, below),
                    "it lies below the range");
    if (above > o->max && fabs(above) < 9e15)
        must_refuse(p, v, o,
                    whole ? mls_value_int(a, (int64_t)above) : mls_value_real(a, above),
                    "it lies above the range");
}

/* Two integers that give the very same network: one was quietly taken for the other.
 * Only from some value up may all be alike (a window longer than the sequence); 0 often
 * stands for another value, and is left out. */
static void tell_apart(mls_probe *p, const mls_variant *v, const mls_option *o)
{
    enum { MOST = 16 };
    mls_print print[MOST];
    int64_t value[MOST];
    int n = 0;
    for (int64_t x = 1; x <= MOST; x++) {
        if (o->min < o->max && ((double)x < o->min || (double)x > o->max)) continue;
        print[n] = mls_settings_print(
            p, mls_settings_with(p, v, o->name, mls_value_int(&p->arena, x)));
        value[n] = x;
        n += print[n].built;
    }
    int alike = n - 1; /* the first of the last ones that are all alike */
    while (alike > 0 && print[alike - 1].hash == print[n - 1].hash) alike--;
    for (int i = 0; i < alike; i++)
        for (int k = i + 1; k < n; k++)
            if (print[i].hash == print[k].hash)
                mls_probe_fail(
                    p,
                    "%s: %s = %lld gives the very bits of %s = %lld, though values "
                    "between differ: one stands in for the other",
                    v->title, o->name, (long long)value[k], o->name,
                    (long long)value[i]);
}

typedef struct names {
    mls_probe *p;
    char *text;
} names;

static void list_names(mls_rig *r, void *arg)
{
    names *n = arg;
    n->text = mls_arena_strdup(&n->p->arena, "");
    for (int i = 0; i < mls_net_weights(r->net); i++)
        n->text = mls_arena_printf(&n->p->arena, "%s%s ", n->text,
                                   mls_net_weight(r->net, i)->name);
    for (int i = 0; i < mls_run_states(r->run); i++)
        n->text = mls_arena_printf(&n->p->arena, "%s%s ", n->text,
                                   mls_run_state(r->run, i, NULL, NULL, NULL));
    run_it(r, n->p);
}

/* At an odd width a component works or is refused: no other takes its place. */
static void odd_widths(mls_probe *p, const mls_variant *v)
{
    static const int64_t width[] = {1, 2, 3, 5, 7, 10};
    names usual = {p, NULL}, here = {p, NULL};
    char why[1000];
    if (!mls_settings_try(p, v, (mls_rig_size){0}, list_names, &usual, why))
        mls_probe_fail(p, "%s", why);
    for (size_t i = 0; i < sizeof width / sizeof *width; i++) {
        const mls_rig_size size = {0, 0, width[i]};
        if (!mls_settings_try(p, v, size, list_names, &here, why)) {
            if (!*why)
                mls_probe_fail(p, "%s: width %lld is refused without a word", v->title,
                               (long long)width[i]);
        } else if (strcmp(here.text, usual.text)) {
            mls_probe_fail(
                p,
                "%s: at width %lld its weights and states are others: %s, usually %s",
                v->title, (long long)width[i], here.text, usual.text);
        }
    }
}

static void no_silent_fallback(mls_probe *p)
{
    const mls_variant *v;
    const mls_option *o;
    const int n = mls_probe_variants(p, &v);
    for (int i = 0; (o = mls_plug_option(p->registry, p->c, i)); i++) {
        out_of_range(p, &v[0], o);
        for (int k = 0; k < n && o->type == MLS_INT; k++) tell_apart(p, &v[k], o);
    }
    for (int i = 0; i < n; i++) odd_widths(p, &v[i]);
}

const mls_case mls_cases_options[] = {
    {"bounds-fuzz",
     "Any setting in range runs and stays finite, or is refused in words",
     MLS_NETWORK_KINDS, 20, bounds_fuzz},
    {"every-option-matters", "Every option, and every choice of one, has an effect",
     MLS_NETWORK_KINDS, 20, every_option_matters},
    {"optional-port-is-neutral", "An optional port left open changes nothing else",
     MLS_NETWORK_KINDS, 10, optional_port_is_neutral},
    {"no-silent-fallback",
     "A setting or width that cannot be is refused, never replaced", MLS_NETWORK_KINDS,
     20, no_silent_fallback},
    {0}};
