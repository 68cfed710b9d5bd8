/* spec.c - options that name components: from settings to what setup makes parts of.      */
#include "plug/spec.h"

#include <string.h>

static const char *const not_options[] = { "component", NULL };

/* "mixer.moe: experts[1]", for messages; i < 0: the option as a whole. */
static const char *place(const mls_component *c, const mls_option *o, int i, mls_arena *a)
{
    return i < 0 ? mls_arena_printf(a, "%s.%s: %s", c->kind, c->name, o->name)
                 : mls_arena_printf(a, "%s.%s: %s[%d]", c->kind, c->name, o->name, i);
}

static int is_service(const mls_port *p)
{
    return !strcmp(p->name, "mask") || !strcmp(p->name, "dt");
}

/* Why c cannot be a part, or NULL: it has to run by one input and to give one output. */
static const char *unfit(const mls_registry *r, const mls_component *c, mls_arena *a)
{
    const mls_port *p, *first = NULL;
    int outputs = 0;
    if (c->task) return "which is a task";
    if (!strcmp(c->kind, "head")) return "which is the end of a network";
    for (int i = 0; (p = mls_plug_port(r, c, i)); i++) {
        outputs += (p->flags & MLS_OUT) != 0;
        if ((p->flags & MLS_OUT) || is_service(p)) continue;
        if (first && !(p->flags & MLS_MAYBE))
            return mls_arena_printf(a, "whose input \"%s\" would stay open", p->name);
        if (!first) first = p;
    }
    return !first ? "which has no input" : !outputs ? "which has no output" : NULL;
}

static mls_spec *one(const mls_registry *r, const mls_component *owner, const mls_option *o,
                     const mls_value *v, int i, int depth, mls_arena *a, mls_error *e)
{
    const mls_value *name = v->kind == MLS_V_MAP ? mls_value_get(v, "component") : v;
    if (!name || name->kind != MLS_V_STRING) {
        mls_error_set(e, "%s%s is %s, expected a component, as mixer.mamba or { component: "
                      "mixer.mamba, state: 8 }", mls_value_where(a, name ? name : v),
                      place(owner, o, i, a), v->kind == MLS_V_MAP && !name
                      ? "a map without component" : mls_value_kind_name(name ? name : v));
        return NULL;
    }
    mls_error own = { 0 };
    const mls_component *c = mls_registry_find(r, name->string, NULL, &own);
    if (!c) {
        mls_error_set(e, "%s%s: %s", mls_value_where(a, name), place(owner, o, i, a), own.text);
        return NULL;
    }
    const char *why = unfit(r, c, a);
    if (why || depth == MLS_SPEC_DEPTH) {
        mls_error_set(e, "%s%s is %s, %s", mls_value_where(a, name), place(owner, o, i, a),
                      name->string, why ? why : "in components within components within ... "
                      "(one is its own part)");
        return NULL;
    }
    mls_spec *s = mls_arena_zalloc(a, sizeof *s);
    void *self = mls_arena_zalloc(a, c->self_size + 1);
    if (!s || !self) {
        mls_error_set(e, "out of memory for %s", place(owner, o, i, a));
        return NULL;
    }
    *s = (mls_spec){ .component = c, .self = self };
    mls_option_apply_at(r, c, v, not_options, self, depth + 1, a, e);
    return s;
}

/* "mixer.mlp, mixer.mlp" as settings. */
static mls_value *usual(const mls_option *o, mls_arena *a)
{
    mls_value *list = mls_value_list(a);
    for (const char *p = o->choices; *p; p += strspn(p, ", ")) {
        const size_t n = strcspn(p, ", ");
        mls_value_push(a, list, mls_value_string(a, mls_arena_printf(a, "%.*s", (int)n, p)));
        p += n;
    }
    return o->type == MLS_COMPONENTS ? list : list->item[0];
}

const mls_spec *mls_spec_read(const mls_registry *r, const mls_component *c,
                              const mls_option *o, const mls_value *v, int depth,
                              mls_arena *a, mls_error *e)
{
    if (!v) v = usual(o, a);
    if (o->type == MLS_COMPONENT) return one(r, c, o, v, -1, depth, a, e);
    if (v->kind != MLS_V_LIST || !v->n) {
        mls_error_set(e, "%s%s is %s, expected a list of components", mls_value_where(a, v),
                      place(c, o, -1, a), v->kind == MLS_V_LIST || (v->kind == MLS_V_MAP && !v->n)
                      ? "an empty list" : mls_value_get(v, "component") ? "one component"
                      : mls_value_kind_name(v));
        return NULL;
    }
    const mls_spec *first = NULL, **end = &first;
    for (int i = 0; i < v->n && !e->set; i++) {
        mls_spec *s = one(r, c, o, v->item[i], i, depth, a, e);
        if (!s) break;
        *end = s;
        end = (const mls_spec **)(uintptr_t)&s->next;
    }
    return e->set ? NULL : first;
}

mls_value *mls_spec_dump(const mls_registry *r, const mls_option *o, const mls_spec *spec,
                         mls_arena *a)
{
    if (o->type == MLS_COMPONENT)
        return spec ? mls_option_dump(r, spec->component, spec->self, a) : NULL;
    mls_value *list = mls_value_list(a);
    for (; spec; spec = spec->next)
        mls_value_push(a, list, mls_option_dump(r, spec->component, spec->self, a));
    return list;
}
