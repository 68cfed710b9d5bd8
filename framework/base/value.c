#include "base/value.h"

#include <string.h>

static mls_value *make(mls_arena *a, mls_value_kind kind)
{
    mls_value *v = mls_arena_zalloc(a, sizeof *v);
    if (v) v->kind = kind;
    return v;
}

mls_value *mls_value_null(mls_arena *a) { return make(a, MLS_V_NULL); }
mls_value *mls_value_list(mls_arena *a) { return make(a, MLS_V_LIST); }
mls_value *mls_value_map(mls_arena *a) { return make(a, MLS_V_MAP); }

mls_value *mls_value_bool(mls_arena *a, int x)
{
    mls_value *v = make(a, MLS_V_BOOL);
    if (v) v->boolean = !!x;
    return v;
}

mls_value *mls_value_int(mls_arena *a, int64_t x)
{
    mls_value *v = make(a, MLS_V_INT);
    if (v) {
        v->integer = x;
        v->real = (double)x;
    }
    return v;
}

mls_value *mls_value_real(mls_arena *a, double x)
{
    mls_value *v = make(a, MLS_V_REAL);
    if (v) v->real = x;
    return v;
}

mls_value *mls_value_string(mls_arena *a, const char *s)
{
    mls_value *v = make(a, MLS_V_STRING);
    if (v) v->string = mls_arena_strdup(a, s ? s : "");
    return v;
}

/* Room for one more; the old arrays stay behind in the arena, which doubling bounds
 * by the size of the last one. */
static int grow(mls_arena *a, mls_value *v)
{
    if (v->n < v->room) return 1;
    const int room = v->room ? 2 * v->room : 4;
    mls_value **item = mls_arena_alloc(a, (size_t)room * sizeof *item);
    const char **key = v->kind == MLS_V_MAP
                           ? mls_arena_alloc(a, (size_t)room * sizeof *key) : NULL;
    if (!item || (v->kind == MLS_V_MAP && !key)) return 0;
    if (v->n) {
        memcpy(item, v->item, (size_t)v->n * sizeof *item);
        if (key) memcpy(key, v->key, (size_t)v->n * sizeof *key);
    }
    v->item = item;
    v->key = key;
    v->room = room;
    return 1;
}

void mls_value_push(mls_arena *a, mls_value *list, mls_value *x)
{
    if (!list || !x || list->kind != MLS_V_LIST || !grow(a, list)) return;
    list->item[list->n++] = x;
}

static int find(const mls_value *map, const char *key)
{
    if (!map || map->kind != MLS_V_MAP || !key) return -1;
    for (int i = 0; i < map->n; i++)
        if (!strcmp(map->key[i], key)) return i;
    return -1;
}

void mls_value_set(mls_arena *a, mls_value *map, const char *key, mls_value *x)
{
    if (!map || !x || map->kind != MLS_V_MAP) return;
    const int at = find(map, key);
    if (at >= 0) {
        map->item[at] = x;
        return;
    }
    const char *own = mls_arena_strdup(a, key);
    if (!own || !grow(a, map)) return;
    map->key[map->n] = own;
    map->item[map->n++] = x;
}

void mls_value_remove(mls_value *map, const char *key)
{
    const int at = find(map, key);
    if (at < 0) return;
    for (int i = at; i + 1 < map->n; i++) {
        map->item[i] = map->item[i + 1];
        map->key[i] = map->key[i + 1];
    }
    map->n--;
}

mls_value *mls_value_copy(mls_arena *a, const mls_value *v)
{
    if (!v) return NULL;
    mls_value *to = make(a, v->kind);
    if (!to) return NULL;
    *to = *v;
    if (v->file) to->file = mls_arena_strdup(a, v->file);
    if (v->string) to->string = mls_arena_strdup(a, v->string);
    to->n = to->room = 0;
    to->item = NULL;
    to->key = NULL;
    for (int i = 0; i < v->n; i++) {
        mls_value *item = mls_value_copy(a, v->item[i]);
        if (v->kind == MLS_V_MAP) mls_value_set(a, to, v->key[i], item);
        else mls_value_push(a, to, item);
    }
    return to;
}

mls_value *mls_value_get(const mls_value *v, const char *key)
{
    const int at = find(v, key);
    return at < 0 ? NULL : v->item[at];
}

/* Whole and real numbers of the same size are the same setting: 1 and 1.0. */
static int is_number(const mls_value *v)
{
    return v->kind == MLS_V_INT || v->kind == MLS_V_REAL;
}

int mls_value_equal(const mls_value *a, const mls_value *b)
{
    if (!a || !b) return a == b;
    if (is_number(a) && is_number(b)) {
        if (a->kind == MLS_V_INT && b->kind == MLS_V_INT)
            return a->integer == b->integer;
        return a->real == b->real;
    }
    if (a->kind != b->kind) return 0;
    switch (a->kind) {
    case MLS_V_BOOL: return a->boolean == b->boolean;
    case MLS_V_STRING: return !strcmp(a->string, b->string);
    case MLS_V_LIST:
        if (a->n != b->n) return 0;
        for (int i = 0; i < a->n; i++)
            if (!mls_value_equal(a->item[i], b->item[i])) return 0;
        return 1;
    case MLS_V_MAP:
        if (a->n != b->n) return 0;
        for (int i = 0; i < a->n; i++) {
            const int at = find(b, a->key[i]);
            if (at < 0 || !mls_value_equal(a->item[i], b->item[at])) return 0;
        }
        return 1;
    default: return 1;
    }
}
