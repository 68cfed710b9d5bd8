#include "base/value.h"
#include "base/hash.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that grows in the arena. */
typedef struct out {
    mls_arena *a;
    char      *text;
    size_t     n, room;
    int        failed;
} out;

static void put(out *o, const char *s, size_t n)
{
    if (o->failed) return;
    if (o->n + n + 1 > o->room) {
        size_t room = o->room ? 2 * o->room : 256;
        while (room < o->n + n + 1) room *= 2;
        char *text = mls_arena_alloc(o->a, room);
        if (!text) {
            o->failed = 1;
            return;
        }
        if (o->n) memcpy(text, o->text, o->n);
        o->text = text;
        o->room = room;
    }
    memcpy(o->text + o->n, s, n);
    o->n += n;
    o->text[o->n] = '\0';
}

static void puts_(out *o, const char *s) { put(o, s, strlen(s)); }

/* One character of UTF-8: its code and length; an invalid byte is U+FFFD. */
static unsigned decode(const unsigned char *s, int *n)
{
    const int more = s[0] < 0x80                   ? 0
                     : s[0] >= 0xc2 && s[0] < 0xe0 ? 1
                     : s[0] >= 0xe0 && s[0] < 0xf0 ? 2
                     : s[0] >= 0xf0 && s[0] < 0xf5 ? 3
                                                   : -1;
    *n = 1;
    if (more == 0) return s[0];
    if (more < 0) return 0xfffd;
    unsigned code = s[0] & (0x3fu >> more);
    for (int i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0xfffd;
        code = code << 6 | (s[i] & 0x3fu);
    }
    static const unsigned least[4] = { 0, 0x80, 0x800, 0x10000 };
    if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0xfffd;
    *n = more + 1;
    return code;
}

/* In JSON's double quotes, which YAML reads too.  Everything that YAML would fold, end a
 * line at or refuse is escaped; bytes that are no UTF-8 become U+FFFD.                 */
static void quote(out *o, const char *s)
{
    char code[16];
    put(o, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        int n;
        const unsigned c = decode(p, &n);
        if (c == '"' || c == '\\') {
            snprintf(code, sizeof code, "\\%c", (int)c);
            puts_(o, code);
        } else if (c == '\n') {
            put(o, "\\n", 2);
        } else if (c == '\t') {
            put(o, "\\t", 2);
        } else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
                   c == 0xfeff || c == 0xfffe || c == 0xffff ||
                   (c == 0xfffd && n == 1)) {
            snprintf(code, sizeof code, "\\u%04x", c);
            puts_(o, code);
        } else {
            put(o, (const char *)p, (size_t)n);
        }
        p += n;
    }
    put(o, "\"", 1);
}

/* The shortest decimal that reads back to the same double. */
static void shortest(double x, char text[40])
{
    int digits = 1;
    do snprintf(text, 40, "%.*g", digits, x);
    while (strtod(text, NULL) != x && ++digits <= 17);
    /* 20, not 2e+01 */
    if (fabs(x) >= 10.0 && fabs(x) < 1e15 && strchr(text, 'e'))
        snprintf(text, 40, "%.0f", x);
}

/* JSON and our YAML have no NaN or Inf: such a number is written as null. */
static void number(out *o, const mls_value *v, int canonical)
{
    char text[48];
    if (v->kind == MLS_V_INT) {
        snprintf(text, sizeof text, "%lld", (long long)v->integer);
    } else if (!isfinite(v->real)) {
        snprintf(text, sizeof text, "null");
    } else if (canonical && fabs(v->real) < 9e15 && v->real == floor(v->real)) {
        snprintf(text, sizeof text, "%lld", (long long)v->real);   /* 1.0 hashes as 1 */
    } else {
        shortest(v->real, text);
        if (!strpbrk(text, ".e")) strcat(text, ".0");
    }
    puts_(o, text);
}

/* Where the keys of a map stand in sorted order. */
static int *sorted(mls_arena *a, const mls_value *v)
{
    int *order = mls_arena_alloc(a, (size_t)(v->n ? v->n : 1) * sizeof *order);
    if (!order) return NULL;
    for (int i = 0; i < v->n; i++) {
        int at = i;
        for (; at > 0 && strcmp(v->key[order[at - 1]], v->key[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

static void json(out *o, const mls_value *v, int canonical)
{
    const char *const comma = canonical ? "," : ", ";
    if (!v) {
        puts_(o, "null");
        return;
    }
    switch (v->kind) {
    case MLS_V_NULL: puts_(o, "null"); break;
    case MLS_V_BOOL: puts_(o, v->boolean ? "true" : "false"); break;
    case MLS_V_INT:
    case MLS_V_REAL: number(o, v, canonical); break;
    case MLS_V_STRING: quote(o, v->string); break;
    case MLS_V_LIST:
        put(o, "[", 1);
        for (int i = 0; i < v->n; i++) {
            if (i) puts_(o, comma);
            json(o, v->item[i], canonical);
        }
        put(o, "]", 1);
        break;
    case MLS_V_MAP: {
        const int *order = canonical ? sorted(o->a, v) : NULL;
        if (canonical && !order) o->failed = 1;
        put(o, "{", 1);
        for (int i = 0; i < v->n && !o->failed; i++) {
            const int k = order ? order[i] : i;
            if (i) puts_(o, comma);
            quote(o, v->key[k]);
            puts_(o, canonical ? ":" : ": ");
            json(o, v->item[k], canonical);
        }
        put(o, "}", 1);
        break;
    }
    }
}

char *mls_value_to_json(mls_arena *a, const mls_value *v, int canonical)
{
    out o = { a, NULL, 0, 0, 0 };
    json(&o, v, canonical);
    return o.failed ? NULL : o.text;
}

/* May s stand without quotes and still be read as this string?  Only words, paths and
 * wires are let through; anything that YAML might take for something else is quoted.  */
static int plain(const char *s)
{
    static const char *const words[] = {
        "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE",
        "yes",  "Yes",  "YES",  "no",   "No",   "NO",   "on",    "On",    "ON",
        "off",  "Off",  "OFF",  "y",    "Y",    "n",    "N"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(s, words[i])) return 0;
    const size_t n = strlen(s);
    const int c = (unsigned char)s[0];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/'))
        return 0;
    if (n > 400 || s[n - 1] == ' ') return 0;
    for (size_t i = 1; i < n; i++) {
        const int x = (unsigned char)s[i];
        const int word = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') ||
                         (x >= '0' && x <= '9');
        if (!word && !strchr("_-./>~; +=*", x)) return 0;
        if (x == ' ' && s[i - 1] == ' ') return 0;
    }
    return 1;
}

static void scalar(out *o, const mls_value *v)
{
    if (v->kind == MLS_V_STRING && plain(v->string)) puts_(o, v->string);
    else json(o, v, 0);
}

static int is_block(const mls_value *v)
{
    return (v->kind == MLS_V_LIST || v->kind == MLS_V_MAP) && v->n > 0;
}

/* A short list of scalars stays on its line. */
static int is_row(const mls_value *v)
{
    if (v->kind != MLS_V_LIST || v->n > 16) return 0;
    for (int i = 0; i < v->n; i++)
        if (is_block(v->item[i]) ||
            (v->item[i]->kind == MLS_V_STRING && strlen(v->item[i]->string) > 30))
            return 0;
    return 1;
}

static void indent(out *o, int depth)
{
    for (int i = 0; i < depth; i++) put(o, "  ", 2);
}

/* first: the cursor already stands where the first line begins (after "- "). */
static void yaml(out *o, const mls_value *v, int depth, int first)
{
    for (int i = 0; i < v->n; i++) {
        const mls_value *x = v->item[i];
        if (i || !first) indent(o, depth);
        if (v->kind == MLS_V_MAP) {
            if (plain(v->key[i])) puts_(o, v->key[i]);
            else quote(o, v->key[i]);
            put(o, ":", 1);
        } else {
            put(o, "-", 1);
        }
        if (!is_block(x) || is_row(x)) {
            put(o, " ", 1);
            scalar(o, x);
            put(o, "\n", 1);
        } else if (v->kind == MLS_V_LIST) {
            put(o, " ", 1);
            yaml(o, x, depth + 1, 1);
        } else {
            put(o, "\n", 1);
            yaml(o, x, depth + 1, 0);
        }
    }
}

char *mls_value_to_yaml(mls_arena *a, const mls_value *v)
{
    out o = { a, NULL, 0, 0, 0 };
    if (!v) {
        puts_(&o, "null\n");
    } else if (is_block(v) && !is_row(v)) {
        yaml(&o, v, 0, 0);
    } else {
        scalar(&o, v);
        put(&o, "\n", 1);
    }
    return o.failed ? NULL : o.text;
}

void mls_value_hash(const mls_value *v, char out[65])
{
    mls_arena a = { 0 };
    const char *text = mls_value_to_json(&a, v, 1);
    mls_hash_bytes(text ? text : "", text ? strlen(text) : 0, out);
    mls_arena_free(&a);
}
