/* value.h - a tree of settings, the common form of YAML and Lua: null, bool, int,
 * real, string, list, map (ordered).  Every value knows where it was written.
 * Trees live in an arena; strings are owned by it.                                  */
#ifndef MLS_BASE_VALUE_H
#define MLS_BASE_VALUE_H

#include "base/arena.h"
#include "base/error.h"

typedef enum { MLS_V_NULL, MLS_V_BOOL, MLS_V_INT, MLS_V_REAL, MLS_V_STRING, MLS_V_LIST,
               MLS_V_MAP } mls_value_kind;

typedef struct mls_value mls_value;
struct mls_value {
    mls_value_kind kind;
    const char    *file;          /* where it was written, or NULL                   */
    int            line, column;  /* 1-based; 0 unknown                              */
    int            boolean;
    int64_t        integer;
    double         real;          /* also set for an int                             */
    const char    *string;
    int            n, room;       /* list and map                                    */
    mls_value    **item;
    const char   **key;           /* map only                                        */
    int            key_line, key_column;   /* of this value's own key, where known    */
};

mls_value *mls_value_null(mls_arena *a);
mls_value *mls_value_bool(mls_arena *a, int x);
mls_value *mls_value_int(mls_arena *a, int64_t x);
mls_value *mls_value_real(mls_arena *a, double x);
mls_value *mls_value_string(mls_arena *a, const char *s);
mls_value *mls_value_list(mls_arena *a);
mls_value *mls_value_map(mls_arena *a);
void       mls_value_push(mls_arena *a, mls_value *list, mls_value *x);
void       mls_value_set(mls_arena *a, mls_value *map, const char *key, mls_value *x);
void       mls_value_remove(mls_value *map, const char *key);
mls_value *mls_value_copy(mls_arena *a, const mls_value *v);     /* deep */

/* NULL when v is NULL, no map, or has no such key. */
mls_value *mls_value_get(const mls_value *v, const char *key);
/* Dotted path: "network.nodes.enc.units", list items by number.  set makes the maps
 * that are missing and fails into e on a path through a scalar.                       */
mls_value *mls_value_get_path(const mls_value *v, const char *path);
void mls_value_set_path(mls_arena *a, mls_value *v, const char *path, mls_value *x, mls_error *e);

/* With defaults for absent keys; a wrong type fails into e with file:line:column,
 * key, what was found and what was expected.  Integral reals pass as ints.            */
double      mls_value_get_real(const mls_value *map, const char *key, double def, mls_error *e);
int64_t     mls_value_get_int(const mls_value *map, const char *key, int64_t def, mls_error *e);
int         mls_value_get_bool(const mls_value *map, const char *key, int def, mls_error *e);
const char *mls_value_get_string(const mls_value *map, const char *key, const char *def, mls_error *e);
/* Fails on any key of map that is not among names (NULL-terminated), suggesting one. */
void mls_value_only(const mls_value *map, const char *const *names, const char *what, mls_error *e);

int mls_value_equal(const mls_value *a, const mls_value *b);     /* map order ignored */
const char *mls_value_kind_name(const mls_value *v);             /* "a map", "an integer" */
/* "file.yaml:3:5: " or "" as a prefix for messages about v. */
const char *mls_value_where(mls_arena *a, const mls_value *v);

/* One-line JSON; keys sorted when canonical (for hashing).  Reals round-trip. */
char *mls_value_to_json(mls_arena *a, const mls_value *v, int canonical);
/* Block YAML, keys in order; reads back through conf/yaml to an equal tree. */
char *mls_value_to_yaml(mls_arena *a, const mls_value *v);
/* sha256 of the canonical JSON as 64 hex digits. */
void  mls_value_hash(const mls_value *v, char out[65]);

#endif
