#include "base/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *mls_value_kind_name(const mls_value *v)
{
    if (!v) return "nothing";
    switch (v->kind) {
    case MLS_V_NULL: return "null";
    case MLS_V_BOOL: return v->boolean ? "true" : "false";
    case MLS_V_INT: return "an integer";
    case MLS_V_REAL: return "a real number";
    case MLS_V_STRING: return "a string";
    case MLS_V_LIST: return "a list";
    case MLS_V_MAP: return "a map";
    }
    return "nothing";
}

static void place(char *out, size_t room, const char *file, int line, int column)
{
    out[0] = '\0';
    if (!file) return;
    if (line > 0 && column > 0) snprintf(out, room, "%s:%d:%d: ", file, line, column);
    else if (line > 0) snprintf(out, room, "%s:%d: ", file, line);
    else snprintf(out, room, "%s: ", file);
}

const char *mls_value_where(mls_arena *a, const mls_value *v)
{
    char text[4200];
    if (!v) return "";
    place(text, sizeof text, v->file, v->line, v->column);
    const char *own = mls_arena_strdup(a, text);
    return own ? own : "";
}

/* What was found, with its value where that is short. */
static void found(char *out, size_t room, const mls_value *v)
{
    switch (v->kind) {
    case MLS_V_INT: snprintf(out, room, "%lld", (long long)v->integer); break;
    case MLS_V_REAL: snprintf(out, room, "%.9g", v->real); break;
    case MLS_V_STRING: snprintf(out, room, "the string \"%.80s\"", v->string); break;
    default: snprintf(out, room, "%s", mls_value_kind_name(v));
    }
}

static void wrong(mls_error *e, const mls_value *v, const char *key,
                  const char *expected)
{
    char at[1100], what[120];
    place(at, sizeof at, v->file, v->line, v->column);
    found(what, sizeof what, v);
    mls_error_set(e, "%s\"%s\" is %s; expected %s", at, key, what, expected);
}

/* The value to read, or NULL for the default: null means "as if not written". */
static const mls_value *given(const mls_value *map, const char *key, mls_error *e)
{
    if (!map || (e && e->set)) return NULL;
    if (map->kind != MLS_V_MAP) {
        wrong(e, map, key, "a map that may hold it");
        return NULL;
    }
    const mls_value *v = mls_value_get(map, key);
    return v && v->kind != MLS_V_NULL ? v : NULL;
}

double mls_value_get_real(const mls_value *map, const char *key, double def,
                          mls_error *e)
{
    const mls_value *v = given(map, key, e);
    if (!v) return def;
    if (v->kind == MLS_V_INT || v->kind == MLS_V_REAL) return v->real;
    wrong(e, v, key, "a number");
    return def;
}

int64_t mls_value_get_int(const mls_value *map, const char *key, int64_t def,
                          mls_error *e)
{
    const mls_value *v = given(map, key, e);
    if (!v) return def;
    if (v->kind == MLS_V_INT) return v->integer;
    if (v->kind == MLS_V_REAL && fabs(v->real) < 9e15 && v->real == floor(v->real))
        return (int64_t)v->real;
    wrong(e, v, key, "a whole number");
    return def;
}

int mls_value_get_bool(const mls_value *map, const char *key, int def, mls_error *e)
{
    const mls_value *v = given(map, key, e);
    if (!v) return def;
    if (v->kind == MLS_V_BOOL) return v->boolean;
    wrong(e, v, key, "true or false");
    return def;
}

const char *mls_value_get_string(const mls_value *map, const char *key, const char *def,
                                 mls_error *e)
{
    const mls_value *v = given(map, key, e);
    if (!v) return def;
    if (v->kind == MLS_V_STRING) return v->string;
    wrong(e, v, key, "a string");
    return def;
}

void mls_value_only(const mls_value *map, const char *const *names, const char *what,
                    mls_error *e)
{
    if (!map || map->kind != MLS_V_MAP || (e && e->set)) return;
    int n = 0;
    while (names[n]) n++;
    for (int i = 0; i < map->n; i++) {
        int known = 0;
        for (int k = 0; k < n && !known; k++) known = !strcmp(map->key[i], names[k]);
        if (known) continue;
        const mls_value *v = map->item[i];
        char at[1100], list[1200] = "", hint[160] = "";
        if (v->key_line > 0) place(at, sizeof at, v->file, v->key_line, v->key_column);
        else place(at, sizeof at, v->file, v->line, v->column);
        const char *near = mls_error_nearest(map->key[i], names, n);
        if (near) snprintf(hint, sizeof hint, "; did you mean \"%s\"?", near);
        size_t used = 0;
        for (int k = 0; k < n && used + 2 < sizeof list; k++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     k ? ", " : "", names[k]);
        mls_error_set(e, "%sunknown key \"%.200s\" in %s%s (known: %s)", at,
                      map->key[i], what, hint, list);
        return;
    }
}

/* ---- Paths ------------------------------------------------------------------------- */

enum { PART = 256 };

/* Cuts the next part off a path; 0 when there is none, or it is too long. */
static int next_part(const char **path, char part[PART])
{
    const char *dot = strchr(*path, '.');
    const size_t n = dot ? (size_t)(dot - *path) : strlen(*path);
    if (n == 0 || n >= PART) return 0;
    memcpy(part, *path, n);
    part[n] = '\0';
    *path += n + (dot ? 1 : 0);
    return 1;
}

/* Position in a list, or -1. */
static int position(const char *part)
{
    char *end;
    if (*part < '0' || *part > '9') return -1;
    const long i = strtol(part, &end, 10);
    return *end || i > 1000000 ? -1 : (int)i;
}

static mls_value *child(const mls_value *v, const char *part)
{
    if (v->kind == MLS_V_MAP) return mls_value_get(v, part);
    const int i = v->kind == MLS_V_LIST ? position(part) : -1;
    return i >= 0 && i < v->n ? v->item[i] : NULL;
}

mls_value *mls_value_get_path(const mls_value *v, const char *path)
{
    char part[PART];
    mls_value *at = NULL;
    if (!v || !path) return NULL;
    while (*path) {
        if (!next_part(&path, part)) return NULL;
        at = child(v, part);
        if (!at) return NULL;
        v = at;
    }
    return at;
}

/* Puts x where part says; 0 when v is neither a map nor a list with that place. */
static int put(mls_arena *a, mls_value *v, const char *part, mls_value *x)
{
    if (v->kind == MLS_V_MAP) {
        mls_value_set(a, v, part, x);
        return 1;
    }
    const int i = v->kind == MLS_V_LIST ? position(part) : -1;
    if (i < 0 || i > v->n) return 0;
    if (i == v->n) mls_value_push(a, v, x);
    else v->item[i] = x;
    return 1;
}

void mls_value_set_path(mls_arena *a, mls_value *v, const char *path, mls_value *x,
                        mls_error *e)
{
    const char *whole = path;
    char part[PART];
    if (!v || !x || (e && e->set)) return;
    if (!path || !*path) {
        mls_error_set(e, "an empty path names no setting");
        return;
    }
    while (v) {
        if (!next_part(&path, part)) {
            mls_error_set(e, "\"%.300s\" is no path of the form name.name", whole);
            return;
        }
        const int last = !*path;
        mls_value *to = last ? x : child(v, part);
        if (!last && (!to || to->kind == MLS_V_NULL)) to = mls_value_map(a);
        if (!put(a, v, part, to)) {
            char what[120];
            found(what, sizeof what, v);
            mls_error_set(
                e,
                "cannot set \"%.300s\": what stands above \"%s\" is %s, not a "
                "map%s",
                whole, part, what,
                v->kind == MLS_V_LIST ? " (and has no such place)" : "");
            return;
        }
        if (last) return;
        v = to;
    }
}
