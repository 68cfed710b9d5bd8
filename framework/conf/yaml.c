#include "conf/conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* libyaml accepts duplicate keys, resolves no scalars and is quadratic in nesting, so
 * the tree is built here from its events, and every limit is checked on the stream.   */
enum { MOST_BYTES = 4 << 20, MOST_DEPTH = 64, MOST_NODES = 100000, EXCERPT = 120 };

typedef struct reader {
    mls_arena     *a;
    yaml_parser_t *parser;
    const char    *text, *file;
    size_t         size;
    int            nodes;
    mls_error     *e;
} reader;

/* Line `line` of a text, with a caret under `column`; "" when there is no such line. */
static const char *excerpt(mls_arena *a, const char *text, size_t size, int line,
                           int column)
{
    const char *p = text, *end = text + size;
    for (int i = 1; i < line && p; i++) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (p) p++;
    }
    if (!p || p >= end || line < 1 || column < 1) return "";
    const char *stop = memchr(p, '\n', (size_t)(end - p));
    int n = (int)((stop ? stop : end) - p);
    if (n && p[n - 1] == '\r') n--;
    int from = 0;
    if (column > EXCERPT - 20) from = column - EXCERPT / 2;
    if (from > n) return "";
    n -= from;
    if (n > EXCERPT) n = EXCERPT;
    char shown[EXCERPT + 1], caret[EXCERPT + 1];
    int at = column - 1 - from;
    if (at > n) at = n;
    for (int i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)p[from + i];
        shown[i] = c == '\t' || c >= 0x20 ? (char)c : '?';
    }
    for (int i = 0; i < at; i++) caret[i] = shown[i] == '\t' ? '\t' : ' ';
    shown[n] = '\0';
    caret[at] = '\0';
    return mls_arena_printf(a, "\n  %s\n  %s^", shown, caret);
}

const char *mls_yaml_excerpt(mls_arena *a, const char *path, int line, int column)
{
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (!f) return "";
    char *text = mls_arena_alloc(a, MOST_BYTES);
    const size_t size = text ? fread(text, 1, MOST_BYTES, f) : 0;
    fclose(f);
    return size ? excerpt(a, text, size, line, column) : "";
}

static void fail(reader *r, const yaml_mark_t *at, const char *what)
{
    const int line = (int)at->line + 1, column = (int)at->column + 1;
    mls_error_set(r->e, "%s:%d:%d: %s%s", r->file, line, column, what,
                  excerpt(r->a, r->text, r->size, line, column));
}

/* A YAML 1.2 decimal: [-+]? (digits [. digits*] | . digits) [e [-+]? digits]. */
static int is_number(const char *s, int *real)
{
    *real = 0;
    if (*s == '-' || *s == '+') s++;
    int before = 0, after = 0;
    for (; *s >= '0' && *s <= '9'; s++) before++;
    if (*s == '.') {
        *real = 1;
        for (s++; *s >= '0' && *s <= '9'; s++) after++;
    }
    if (!before && !after) return 0;
    if (*s == 'e' || *s == 'E') {
        *real = 1;
        s++;
        if (*s == '-' || *s == '+') s++;
        if (*s < '0' || *s > '9') return 0;
        while (*s >= '0' && *s <= '9') s++;
    }
    return *s == '\0';
}

static int is_one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (!strcmp(s, *words)) return 1;
    return 0;
}

static mls_value *number(reader *r, const char *s, int real, int base,
                         const yaml_mark_t *at)
{
    errno = 0;
    if (!real) {
        const long long x = strtoll(base == 10 ? s : s + 2, NULL, base);
        if (errno == ERANGE) {
            fail(r, at, "this integer does not fit 64 bits");
            return NULL;
        }
        return mls_value_int(r->a, x);
    }
    const double x = strtod(s, NULL);
    if (errno == ERANGE && (x == 0.0 || x > 1.0 || x < -1.0)) {
        fail(r, at, x == 0.0 ? "this number is too small for a double"
                             : "this number is too large for a double");
        return NULL;
    }
    return mls_value_real(r->a, x);
}

static mls_value *plain(reader *r, const char *s, const yaml_mark_t *at)
{
    static const char *const nulls[] = { "", "~", "null", NULL };
    static const char *const no_numbers[] = {
        ".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF", "+.inf",
        "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};
    if (is_one_of(s, nulls)) return mls_value_null(r->a);
    if (!strcmp(s, "true") || !strcmp(s, "false"))
        return mls_value_bool(r->a, *s == 't');
    if (is_one_of(s, no_numbers)) {
        fail(r, at, "a setting cannot be infinite or not a number");
        return NULL;
    }
    int real;
    if (is_number(s, &real)) return number(r, s, real, 10, at);
    if (s[0] == '0' && s[1] == 'x' && s[2] &&
        !s[2 + strspn(s + 2, "0123456789abcdefABCDEF")])
        return number(r, s, 0, 16, at);
    if (s[0] == '0' && s[1] == 'o' && s[2] && !s[2 + strspn(s + 2, "01234567")])
        return number(r, s, 0, 8, at);
    return mls_value_string(r->a, s);
}

static int next(reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(r->parser, event)) return 1;
    const yaml_parser_t *p = r->parser;
    const char *problem = p->problem ? p->problem : "this is no YAML";
    if (p->error == YAML_READER_ERROR) {
        /* The reader knows an offset, not a line. */
        yaml_mark_t at = { p->problem_offset, 0, 0 };
        for (size_t i = 0; i < p->problem_offset && i < r->size; i++) {
            at.column++;
            if (r->text[i] == '\n') {
                at.line++;
                at.column = 0;
            }
        }
        fail(r, &at, problem);
    } else if (p->error == YAML_MEMORY_ERROR) {
        mls_error_set(r->e, "%s: out of memory", r->file);
    } else {
        fail(r, &p->problem_mark, p->context
             ? mls_arena_printf(r->a, "%s %s (line %d)", problem, p->context,
                                (int)p->context_mark.line + 1)
             : problem);
    }
    return 0;
}

static mls_value *node(reader *r, const yaml_event_t *event, int depth);

/* The next event's node; NULL at the end of the collection or on an error. */
static mls_value *member(reader *r, yaml_event_type_t end, int depth)
{
    yaml_event_t event;
    if (!next(r, &event)) return NULL;
    mls_value *v = event.type == end ? NULL : node(r, &event, depth);
    yaml_event_delete(&event);
    return v;
}

static void fill_list(reader *r, mls_value *list, int depth)
{
    for (mls_value *v; (v = member(r, YAML_SEQUENCE_END_EVENT, depth));)
        mls_value_push(r->a, list, v);
}

/* Reads a key into *key; 0 at the end of the map or on an error. */
static int read_key(reader *r, const mls_value *map, char **key, yaml_mark_t *at)
{
    yaml_event_t event;
    if (!next(r, &event)) return 0;
    int ok = 0;
    *at = event.start_mark;
    if (event.type == YAML_SCALAR_EVENT) {
        const char *s = (const char *)event.data.scalar.value;
        const mls_value *twin = mls_value_get(map, s);
        if (event.data.scalar.anchor || event.data.scalar.tag) {
            fail(r, at, "anchors, aliases and tags are not supported here");
        } else if (strlen(s) != event.data.scalar.length) {
            fail(r, at, "a key cannot hold a zero byte");
        } else if (!*s) {
            fail(r, at, "a key is missing");
        } else if (!strcmp(s, "<<")) {
            fail(r, at, "merge keys (<<) are not supported; write the settings out");
        } else if (twin) {
            fail(r, at,
                 mls_arena_printf(r->a,
                                  "the key \"%.100s\" stands here twice (first "
                                  "on line %d)",
                                  s, twin->key_line));
        } else {
            *key = mls_arena_strdup(r->a, s);
            ok = *key != NULL;
        }
    } else if (event.type == YAML_ALIAS_EVENT) {
        fail(r, at, "anchors and aliases are not supported; write the value out");
    } else if (event.type != YAML_MAPPING_END_EVENT) {
        fail(r, at, "a key must be a word, not a list or a map");
    }
    yaml_event_delete(&event);
    return ok;
}

static void fill_map(reader *r, mls_value *map, int depth)
{
    char *key;
    yaml_mark_t at;
    while (read_key(r, map, &key, &at)) {
        mls_value *v = member(r, YAML_NO_EVENT, depth);
        if (!v) return;
        v->key_line = (int)at.line + 1;
        v->key_column = (int)at.column + 1;
        mls_value_set(r->a, map, key, v);
    }
}

static int allowed(reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                   const yaml_char_t *tag, int depth)
{
    if (anchor)
        fail(r, &event->start_mark,
             "anchors and aliases are not supported; write the value "
             "out");
    else if (tag)
        fail(r, &event->start_mark, "tags (!...) are not supported");
    else if (++r->nodes > MOST_NODES)
        fail(r, &event->start_mark, "more than 100000 values in one file");
    else if (depth > MOST_DEPTH)
        fail(r, &event->start_mark, "nested deeper than 64 levels");
    else
        return 1;
    return 0;
}

static mls_value *node(reader *r, const yaml_event_t *event, int depth)
{
    mls_value *v = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT: {
        const char *s = (const char *)event->data.scalar.value;
        if (!allowed(r, event, event->data.scalar.anchor, event->data.scalar.tag, 0))
            return NULL;
        if (strlen(s) != event->data.scalar.length) {
            fail(r, &event->start_mark, "a string cannot hold a zero byte");
            return NULL;
        }
        v = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
                ? plain(r, s, &event->start_mark) : mls_value_string(r->a, s);
        break;
    }
    case YAML_SEQUENCE_START_EVENT:
        if (!allowed(r, event, event->data.sequence_start.anchor,
                     event->data.sequence_start.tag, depth + 1))
            return NULL;
        v = mls_value_list(r->a);
        if (v) fill_list(r, v, depth + 1);
        break;
    case YAML_MAPPING_START_EVENT:
        if (!allowed(r, event, event->data.mapping_start.anchor,
                     event->data.mapping_start.tag, depth + 1))
            return NULL;
        v = mls_value_map(r->a);
        if (v) fill_map(r, v, depth + 1);
        break;
    default:
        fail(r, &event->start_mark,
             "anchors and aliases are not supported; write the value "
             "out");
    }
    if (r->e->set) return NULL;
    if (!v) {
        mls_error_set(r->e, "%s: out of memory", r->file);
        return NULL;
    }
    v->file = r->file;
    v->line = (int)event->start_mark.line + 1;
    v->column = (int)event->start_mark.column + 1;
    return v;
}

static mls_value *document(reader *r)
{
    mls_value *root = NULL;
    int ended = 0;
    while (!ended && !r->e->set) {
        yaml_event_t event;
        if (!next(r, &event)) return NULL;
        if (event.type == YAML_STREAM_END_EVENT) ended = 1;
        else if (event.type == YAML_DOCUMENT_START_EVENT && root)
            fail(r, &event.start_mark,
                 "a second document begins here; one file holds one");
        else if (event.type != YAML_STREAM_START_EVENT &&
                 event.type != YAML_DOCUMENT_START_EVENT &&
                 event.type != YAML_DOCUMENT_END_EVENT)
            root = node(r, &event, 0);
        yaml_event_delete(&event);
    }
    return root || r->e->set ? root : mls_value_null(r->a);
}

mls_value *mls_yaml_parse(mls_arena *a, const char *text, size_t size, const char *file,
                          mls_error *e)
{
    mls_error own = { 0 };
    yaml_parser_t parser;
    const char *name = mls_arena_strdup(a, file ? file : "text");
    if (e && e->set) return NULL;
    if (size > MOST_BYTES) {
        mls_error_set(
            e, "%s: %zu bytes are more than the 4 MiB that a configuration may have",
            name, size);
        return NULL;
    }
    if (!yaml_parser_initialize(&parser)) {
        mls_error_set(e, "%s: out of memory", name);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    reader r = { a, &parser, text, name, size, 0, &own };
    mls_value *root = document(&r);
    yaml_parser_delete(&parser);
    if (own.set) {
        mls_error_set(e, "%s", own.text);
        return NULL;
    }
    return root;
}

mls_value *mls_yaml_read(mls_arena *a, const char *path, mls_error *e)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        mls_error_set(e, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    char *text = malloc(MOST_BYTES + 1);
    errno = 0;
    const size_t size = text ? fread(text, 1, MOST_BYTES + 1, f) : 0;
    const int bad = !text || ferror(f);
    const char *why = text ? strerror(errno) : "out of memory";
    mls_value *v = NULL;
    if (bad) mls_error_set(e, "%s: cannot be read: %s", path, why);
    fclose(f);
    if (!bad) v = mls_yaml_parse(a, text, size, path, e);
    free(text);
    return v;
}
