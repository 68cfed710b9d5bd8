/* options.c - a component's option table at work: checking, storing, printing. */
#include "plug/spec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int listed(const char *const *names, const char *key)
{
    for (int i = 0; names && names[i]; i++)
        if (!strcmp(names[i], key)) return 1;
    return 0;
}

/* The index of word in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *word)
{
    const size_t n = strlen(word);
    int i = 0;
    for (const char *p = choices; p; i++) {
        const char *bar = strchr(p, '|');
        const size_t len = bar ? (size_t)(bar - p) : strlen(p);
        if (len == n && !strncmp(p, word, n)) return i;
        p = bar ? bar + 1 : NULL;
    }
    return -1;
}

static const char *choice_name(const char *choices, int index, mls_arena *a)
{
    const char *p = choices;
    while (p && index-- > 0) {
        p = strchr(p, '|');
        if (p) p++;
    }
    if (!p) return "";
    const char *bar = strchr(p, '|');
    return mls_arena_printf(a, "%.*s", bar ? (int)(bar - p) : (int)strlen(p), p);
}

static void store(const mls_option *o, void *self, double x, int64_t whole, const char *s)
{
    void *at = (char *)self + o->offset;
    switch (o->type) {
    case MLS_REAL:   *(double *)at = x; break;
    case MLS_INT:    *(int64_t *)at = whole; break;
    case MLS_BOOL:
    case MLS_CHOICE: *(int *)at = (int)x; break;
    case MLS_STRING: *(const char **)at = s; break;
    case MLS_COMPONENT:
    case MLS_COMPONENTS: break;                        /* apply: they can fail */
    }
}

static void store_default(const mls_option *o, void *self)
{
    store(o, self, o->type == MLS_CHOICE ? 0.0 : o->def,
          o->type == MLS_INT ? (int64_t)o->def : 0,
          o->type == MLS_STRING ? o->choices : NULL);
}

static const char *shown(const mls_value *v, mls_arena *a)
{
    if (v->kind == MLS_V_STRING) return mls_arena_printf(a, "\"%s\"", v->string);
    if (v->kind == MLS_V_INT || v->kind == MLS_V_REAL) return mls_arena_printf(a, "%.10g", v->real);
    return mls_value_kind_name(v);
}

static void set(const mls_component *c, const mls_option *o, const mls_value *v, void *self,
                mls_arena *a, mls_error *e)
{
    static const char *const wanted[] = { "a finite number", "an integer",
                                          "true or false", "one of the choices",
                                          "a string" };
    const char *where = mls_value_where(a, v);
    double x = 0.0;
    int64_t whole = 0;              /* a double loses integers above 2^53 */
    int ok = 0;
    switch (o->type) {
    case MLS_REAL:
        ok = (v->kind == MLS_V_INT || v->kind == MLS_V_REAL) && isfinite(v->real);
        x = v->real;
        break;
    case MLS_INT:
        ok = v->kind == MLS_V_INT || (v->kind == MLS_V_REAL && v->real == floor(v->real) &&
                                      fabs(v->real) < 9e15);
        whole = v->kind == MLS_V_INT ? v->integer : ok ? (int64_t)v->real : 0;
        x = v->kind == MLS_V_INT ? (double)v->integer : v->real;
        break;
    case MLS_BOOL: ok = v->kind == MLS_V_BOOL; x = v->boolean; break;
    case MLS_CHOICE:
        if (v->kind == MLS_V_STRING) {
            const int i = choice_index(o->choices, v->string);
            if (i < 0) {
                mls_error_set(e, "%s%s.%s: %s = \"%s\" is not one of %s", where, c->kind,
                              c->name, o->name, v->string, o->choices);
                return;
            }
            x = i;
            ok = 1;
        }
        break;
    case MLS_STRING: ok = v->kind == MLS_V_STRING; break;
    default: break;
    }
    if (!ok) {
        mls_error_set(e, "%s%s.%s: %s is %s, expected %s%s%s", where, c->kind, c->name, o->name,
                      shown(v, a), wanted[o->type], o->type == MLS_CHOICE ? ": " : "",
                      o->type == MLS_CHOICE ? o->choices : "");
        return;
    }
    if ((o->type == MLS_REAL || o->type == MLS_INT) && o->min < o->max &&
        !(x >= o->min && x <= o->max)) {
        mls_error_set(e, "%s%s.%s: %s = %.10g lies outside %.10g to %.10g%s%s", where, c->kind,
                      c->name, o->name, x, o->min, o->max, o->unit ? " " : "",
                      o->unit ? o->unit : "");
        return;
    }
    store(o, self, x, whole, o->type == MLS_STRING ? mls_arena_strdup(a, v->string) : NULL);
}

static void unknown(const mls_registry *r, const mls_component *c, const mls_value *v,
                    const char *key, mls_arena *a, mls_error *e)
{
    const char *names[256];
    int n = 0;
    char *all = mls_arena_strdup(a, "");
    for (const mls_option *o; n < 256 && (o = mls_plug_option(r, c, n)); n++) {
        names[n] = o->name;
        all = mls_arena_printf(a, "%s%s%s", all, n ? ", " : "", o->name);
    }
    const char *near = mls_error_nearest(key, names, n);
    mls_error_set(e, "%s%s.%s has no option \"%s\"%s%s%s (it has %s)", mls_value_where(a, v),
                  c->kind, c->name, key, near ? "; did you mean \"" : "", near ? near : "",
                  near ? "\"?" : "", n ? all : "none");
}

int mls_option_sees_all(const char *option, const char *word)
{
    static const char *const names[] = { "bidirectional", "full", NULL };
    return listed(names, word ? word : option);
}

int mls_option_is_open(const mls_option *o, const void *self)
{
    const void *at = (const char *)self + o->offset;
    if (o->type == MLS_BOOL) return *(const int *)at && mls_option_sees_all(o->name, NULL);
    if (o->type != MLS_CHOICE || !o->choices) return 0;
    const char *word = o->choices;
    for (int i = *(const int *)at; i > 0 && word; i--) {
        word = strchr(word, '|');
        if (word) word++;
    }
    char own[64] = "";
    if (word) snprintf(own, sizeof own, "%.*s", (int)strcspn(word, "|"), word);
    return mls_option_sees_all(o->name, own);
}

static int names_components(const mls_option *o)
{
    return o->type == MLS_COMPONENT || o->type == MLS_COMPONENTS;
}

void mls_option_apply_at(const mls_registry *r, const mls_component *c, const mls_value *map,
                         const char *const *also, void *self, int depth, mls_arena *a,
                         mls_error *e)
{
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(r, c, i)) && !e->set; i++)
        if (!names_components(o)) store_default(o, self);
        else *(const mls_spec **)(void *)((char *)self + o->offset) =
                 mls_spec_read(r, c, o, mls_value_get(map, o->name), depth, a, e);
    for (int k = 0; map && map->kind == MLS_V_MAP && k < map->n && !e->set; k++) {
        if (listed(also, map->key[k])) continue;
        for (int i = 0; (o = mls_plug_option(r, c, i)); i++)
            if (!strcmp(o->name, map->key[k])) break;
        if (o && names_components(o)) continue;
        if (o) set(c, o, map->item[k], self, a, e);
        else unknown(r, c, map->item[k], map->key[k], a, e);
    }
}

void mls_option_apply(const mls_registry *r, const mls_component *c, const mls_value *map,
                      const char *const *also, void *self, mls_arena *a, mls_error *e)
{
    mls_option_apply_at(r, c, map, also, self, 0, a, e);
}

mls_value *mls_option_dump(const mls_registry *r, const mls_component *c, const void *self,
                           mls_arena *a)
{
    mls_value *map = mls_value_map(a);
    mls_value_set(a, map, "component",
                  mls_value_string(a, mls_arena_printf(a, "%s.%s", c->kind, c->name)));
    const mls_option *o;
    for (int i = 0; (o = mls_plug_option(r, c, i)); i++) {
        const void *at = (const char *)self + o->offset;
        mls_value *v = NULL;
        switch (o->type) {
        case MLS_REAL:   v = mls_value_real(a, *(const double *)at); break;
        case MLS_INT:    v = mls_value_int(a, *(const int64_t *)at); break;
        case MLS_BOOL:   v = mls_value_bool(a, *(const int *)at); break;
        case MLS_CHOICE:
            v = mls_value_string(a, choice_name(o->choices, *(const int *)at, a));
            break;
        case MLS_STRING:
            if (*(const char *const *)at) v = mls_value_string(a, *(const char *const *)at);
            break;
        case MLS_COMPONENT:
        case MLS_COMPONENTS:
            v = mls_spec_dump(r, o, *(const mls_spec *const *)at, a);
            break;
        }
        if (v) mls_value_set(a, map, o->name, v);
    }
    return map;
}
