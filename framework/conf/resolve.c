#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NAMES = 64 };

static const char default_mode[] = "bidirectional";

static int in_group(const mls_setting *s, const char *group)
{
    const size_t n = strlen(group);
    return n ? !strncmp(s->path, group, n) && s->path[n] == '.' : !strchr(s->path, '.');
}

/* Keys of a group ("network", "train", "" for the top) against the table. */
static void only(const mls_value *map, const char *group, mls_error *e)
{
    const char *names[MOST_NAMES];
    int n = 0;
    for (const mls_setting *s = mls_settings; s->path && n < MOST_NAMES - 3; s++)
        if (in_group(s, group)) names[n++] = s->path + (*group ? strlen(group) + 1 : 0);
    if (!*group) {
        names[n++] = "network";
        names[n++] = "train";
        for (const mls_alias *x = mls_aliases; x->name && n < MOST_NAMES - 1; x++)
            names[n++] = x->name;
    }
    names[n] = NULL;
    mls_value_only(map, names, *group ? group : "the experiment", e);
}

static int is_choice(const char *choices, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (!strncmp(p, word, n) && (p[n] == '|' || p[n] == '\0')) return 1;
    return 0;
}

static const char *nearest_choice(mls_arena *a, const char *choices, const char *word)
{
    const char *names[MOST_NAMES];
    int n = 0;
    char *p = mls_arena_strdup(a, choices);
    while (p && n < MOST_NAMES) {
        names[n++] = p;
        p = strchr(p, '|');
        if (p) *p++ = '\0';
    }
    return mls_error_nearest(word, names, n);
}

static void in_range(mls_arena *a, const mls_setting *s, const mls_value *from,
                     double x, mls_error *e)
{
    if (s->min >= s->max || (x >= s->min && x <= s->max)) return;
    mls_error_set(e, "%s%s = %.10g lies outside %.10g to %.10g",
                  mls_value_where(a, from), s->path, x, s->min, s->max);
}

/* One scalar row of the table: what is given, or the default; NULL for neither. */
static mls_value *scalar(mls_arena *a, const mls_setting *s, const mls_value *map,
                         const char *key, mls_error *e)
{
    const mls_value *from = mls_value_get(map, key);
    if (from && from->kind == MLS_V_NULL) from = NULL;
    if (!from && !s->def) return NULL;
    mls_value *v = NULL;
    if (!strcmp(s->type, "int")) {
        const int64_t x =
            mls_value_get_int(map, key, s->def ? (int64_t)strtod(s->def, NULL) : 0, e);
        in_range(a, s, from, (double)x, e);
        v = mls_value_int(a, x);
    } else if (!strcmp(s->type, "real")) {
        const double x =
            mls_value_get_real(map, key, s->def ? strtod(s->def, NULL) : 0, e);
        in_range(a, s, from, x, e);
        v = mls_value_real(a, x);
    } else if (!strcmp(s->type, "bool")) {
        v = mls_value_bool(a,
                           mls_value_get_bool(map, key, s->def && *s->def == 't', e));
    } else {
        const char *x = mls_value_get_string(map, key, s->def, e);
        if (s->choices && x && !is_choice(s->choices, x)) {
            const char *near = nearest_choice(a, s->choices, x);
            mls_error_set(e, "%s%s = \"%.80s\" is not one of %s%s%s%s",
                          mls_value_where(a, from), s->path, x, s->choices,
                          near ? "; did you mean \"" : "", near ? near : "",
                          near ? "\"?" : "");
        }
        v = mls_value_string(a, x);
    }
    if (v && from) {
        v->file = from->file;
        v->line = from->line;
        v->column = from->column;
    }
    return v;
}

static mls_value *scalars(mls_arena *a, const mls_value *given, const char *group,
                          mls_error *e)
{
    mls_value *out = mls_value_map(a);
    for (const mls_setting *s = mls_settings; s->path; s++) {
        if (!in_group(s, group) || !strcmp(s->type, "map") ||
            !strcmp(s->type, "list") || !strcmp(s->type, "wire"))
            continue;
        const char *key = s->path + (*group ? strlen(group) + 1 : 0);
        mls_value *v = scalar(a, s, given, key, e);
        if (v) mls_value_set(a, out, key, v);
    }
    return out;
}

/* A map with a component: "kind.name" alone, or a map.  kind is put before a bare name. */
static mls_value *component(mls_arena *a, const mls_value *given, const char *what,
                            const char *kind, mls_error *e)
{
    mls_value *map = NULL;
    if (given->kind == MLS_V_STRING) {
        map = mls_value_map(a);
        map->file = given->file;
        map->line = given->line;
        map->column = given->column;
        mls_value_set(a, map, "component", mls_value_copy(a, given));
    } else if (given->kind == MLS_V_MAP) {
        map = mls_value_copy(a, given);
    } else {
        mls_error_set(
            e,
            "%s%s is %s; expected a component's name or a map with component and "
            "its options",
            mls_value_where(a, given), what, mls_value_kind_name(given));
        return NULL;
    }
    const mls_value *name = mls_value_get(map, "component");
    if (!name || name->kind != MLS_V_STRING) {
        mls_error_set(
            e, "%s%s has no component; expected component: kind.name (see mls list)",
            mls_value_where(a, name ? name : given), what);
        return NULL;
    }
    if (kind && !strchr(name->string, '.')) {
        mls_value *full =
            mls_value_string(a, mls_arena_printf(a, "%s.%s", kind, name->string));
        full->file = name->file;
        full->line = name->line;
        full->column = name->column;
        mls_value_set(a, map, "component", full);
    }
    return map;
}

/* A string, or a list of strings. */
static mls_value *strings(mls_arena *a, const mls_value *given, const char *what,
                          mls_error *e)
{
    if (given->kind == MLS_V_STRING) return mls_value_copy(a, given);
    int ok = given->kind == MLS_V_LIST;
    for (int i = 0; ok && i < given->n; i++) ok = given->item[i]->kind == MLS_V_STRING;
    if (!ok)
        mls_error_set(e, "%s%s is %s; expected a string or a list of strings",
                      mls_value_where(a, given), what,
                      given->kind == MLS_V_LIST ? "a list with other things"
                                                : mls_value_kind_name(given));
    return mls_value_copy(a, given);
}

static const mls_value *present(const mls_value *map, const char *key)
{
    const mls_value *v = mls_value_get(map, key);
    return v && v->kind != MLS_V_NULL ? v : NULL;
}

/* A node whose name no mode knows, while neither wire nor mode is given. */
static void need_wire(mls_arena *a, const mls_value *nodes, mls_error *e)
{
    static const char *const roles[] = {"enc",  "ad",  "liq", "mix",
                                        "fuse", "att", "ffn"};
    for (int i = 0; nodes && nodes->kind == MLS_V_MAP && i < nodes->n; i++) {
        int known = 0;
        for (int k = 0; k < 7; k++) known |= !strcmp(nodes->key[i], roles[k]);
        if (!known)
            mls_error_set(
                e,
                "%snetwork.wire is missing: say how \"%s\" is connected, as wire: "
                "\"input -> %s -> output\", or name a mode",
                mls_value_where(a, nodes->item[i]), nodes->key[i], nodes->key[i]);
    }
}

static void wiring(mls_arena *a, const mls_value *given, mls_value *out, mls_error *e)
{
    const mls_value *nodes = present(given, "nodes"), *wire = present(given, "wire");
    const char *mode = mls_value_get_string(given, "mode", NULL, e);
    mls_value_remove(out, "mode");
    if (nodes && nodes->kind != MLS_V_MAP)
        mls_error_set(e,
                      "%snetwork.nodes is %s; expected a map from names to components",
                      mls_value_where(a, nodes), mls_value_kind_name(nodes));
    if (mode && wire)
        mls_error_set(e,
                      "%snetwork.wire and network.mode exclude each other: a mode is a "
                      "wiring",
                      mls_value_where(a, wire));
    if (!wire && !mode) need_wire(a, nodes, e);
    if (e->set) return;
    if (!wire) {
        const mls_value *m = mls_conf_mode(a, mode ? mode : default_mode, nodes, e);
        if (e->set) return;
        nodes = mls_value_get(m, "nodes");
        wire = mls_value_get(m, "wire");
        mls_value *chunk = mls_value_get(m, "chunk");
        if (chunk && !present(given, "chunk")) mls_value_set(a, out, "chunk", chunk);
    }
    mls_value *all = mls_value_map(a);
    for (int i = 0; nodes && i < nodes->n && !e->set; i++)
        mls_value_set(a, all, nodes->key[i],
                      component(a, nodes->item[i],
                                mls_arena_printf(a, "network.nodes.%s", nodes->key[i]),
                                NULL, e));
    mls_value_set(a, out, "nodes", all);
    mls_value_set(a, out, "wire", strings(a, wire, "network.wire", e));
}

static mls_value *network(mls_arena *a, const mls_value *given, mls_error *e)
{
    only(given, "network", e);
    mls_value *out = scalars(a, given, "network", e);
    if (e->set) return out;
    wiring(a, given, out, e);
    const mls_value *head = present(given, "head");
    if (!head) head = mls_value_string(a, "head.linear");
    mls_value_set(a, out, "head", component(a, head, "network.head", "head", e));
    const mls_value *remat = present(given, "remat");
    mls_value *list = mls_value_list(a);
    if (remat) {
        mls_value *s = strings(a, remat, "network.remat", e);
        if (s->kind == MLS_V_STRING) mls_value_push(a, list, s);
        else list = s;
    }
    for (int i = 0; !e->set && i < list->n; i++)
        if (!mls_value_get(mls_value_get(out, "nodes"), list->item[i]->string))
            mls_error_set(e, "%snetwork.remat names \"%s\", which is no node",
                          mls_value_where(a, list->item[i]), list->item[i]->string);
    mls_value_set(a, out, "remat", list);
    return out;
}

static mls_value *train(mls_arena *a, const mls_value *given, mls_error *e)
{
    only(given, "train", e);
    mls_value *out = scalars(a, given, "train", e);
    /* Whoever names another end does not want the default number of steps too. */
    if (!e->set && !present(given, "steps") &&
        (mls_value_get_int(out, "epochs", 0, e) > 0 ||
         mls_value_get_int(out, "tokens", 0, e) > 0 ||
         mls_value_get_real(out, "minutes", 0, e) > 0))
        mls_value_set(a, out, "steps", mls_value_int(a, 0));
    return out;
}

static const mls_value *group(mls_arena *a, const mls_value *top, const char *key,
                              mls_error *e)
{
    const mls_value *v = present(top, key);
    if (!v) return mls_value_map(a);
    if (v->kind != MLS_V_MAP)
        mls_error_set(e, "%s\"%s\" is %s; expected a map", mls_value_where(a, v), key,
                      mls_value_kind_name(v));
    return v;
}

static void expectations(mls_arena *a, const mls_value *top, mls_value *out,
                         mls_error *e)
{
    static const char *const names[] = { "input_dim", "output_dim", NULL };
    const mls_value *given = group(a, top, "expect", e);
    mls_value_only(given, names, "expect", e);
    mls_value *map = mls_value_map(a);
    for (int i = 0; names[i]; i++)
        if (present(given, names[i])) {
            const mls_value *from = mls_value_get(given, names[i]);
            mls_value *v = mls_value_int(a, mls_value_get_int(given, names[i], 0, e));
            v->file = from->file;
            v->line = from->line;
            v->column = from->column;
            mls_value_set(a, map, names[i], v);
        }
    if (map->n) mls_value_set(a, out, "expect", map);
}

mls_value *mls_conf_resolve(mls_arena *a, const mls_value *given, mls_error *e)
{
    if (e->set) return NULL;
    if (!given || given->kind != MLS_V_MAP) {
        mls_error_set(e,
                      "%san experiment is a map with task, network and train, not %s",
                      mls_value_where(a, given), mls_value_kind_name(given));
        return NULL;
    }
    mls_value *top = mls_value_copy(a, given);
    mls_conf_overview(a, top, NULL, e);
    only(top, "", e);
    mls_value *out = scalars(a, top, "", e);
    const mls_value *task = present(top, "task");
    if (!task)
        mls_error_set(
            e,
            "%sno task: an experiment needs task: { component: task.text, ... } "
            "(see mls list task)",
            mls_value_where(a, given));
    if (e->set) return NULL;
    mls_value *own_task = component(a, task, "task", "task", e);
    mls_value *net = e->set ? NULL : network(a, group(a, top, "network", e), e);
    mls_value *trained = e->set ? NULL : train(a, group(a, top, "train", e), e);
    if (e->set) return NULL;
    mls_value_set(a, out, "task", own_task);
    mls_value_set(a, out, "network", net);
    mls_value_set(a, out, "train", trained);
    const mls_value *record = present(top, "record");
    mls_value *list = mls_value_list(a);
    if (record && record->kind == MLS_V_LIST) list = mls_value_copy(a, record);
    else if (record) mls_value_push(a, list, mls_value_copy(a, record));
    mls_value_set(a, out, "record", list);
    const mls_value *budget = present(top, "budget");
    if (budget) mls_value_set(a, out, "budget", mls_value_copy(a, budget));
    expectations(a, top, out, e);
    return e->set ? NULL : out;
}

void mls_conf_set(mls_arena *a, mls_value *config, const char *assignment, mls_error *e)
{
    const char *eq = strchr(assignment, '=');
    if (!eq || eq == assignment) {
        mls_error_set(e, "\"%.200s\" is no assignment; expected path=value, as "
                      "train.steps=100", assignment);
        return;
    }
    const char *path = mls_arena_printf(a, "%.*s", (int)(eq - assignment), assignment);
    mls_value *v = mls_yaml_parse(a, eq + 1, strlen(eq + 1), path, e);
    if (!v) return;
    /* A value of the command line has no place in a file. */
    v->line = v->column = 0;
    v->file = "--set";
    /* Below "enc: encoder.lif" stand the options of that component. */
    for (const char *dot = path; (dot = strchr(dot + 1, '.'));) {
        const char *front = mls_arena_printf(a, "%.*s", (int)(dot - path), path);
        mls_value *at = mls_value_get_path(config, front);
        if (!at || at->kind != MLS_V_STRING) continue;
        mls_value *map = mls_value_map(a);
        mls_value_set(a, map, "component", mls_value_copy(a, at));
        mls_value_set_path(a, config, front, map, e);
    }
    mls_value_set_path(a, config, path, v, e);
}
