#include "import/names.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS = MLS_NAME_FIELDS + 1, MOST_LABEL = 1000000 };

typedef struct piece { const char *name, *after; size_t n_name, n_after; } piece;

typedef struct pattern {
    const char *before;
    size_t n_before;
    piece  piece[PARTS];
    int    n, label;
} pattern;

static int read_pattern(mls_import *m, const char *text, pattern *p)
{
    const char *at = strchr(text, '{');
    *p = (pattern){ .before = text, .label = -1, .n_before = at ? (size_t)(at - text) : 0 };
    while (at && p->n < PARTS) {
        piece *q = &p->piece[p->n];
        const char *end = strchr(at, '}'), *next = end ? strchr(end, '{') : NULL;
        if (!end || end == at + 1) break;
        q->name = at + 1;
        q->n_name = (size_t)(end - at - 1);
        q->after = end + 1;
        q->n_after = next ? (size_t)(next - end - 1) : strlen(end + 1);
        if (next && !q->n_after) break;
        if (q->n_name == 5 && !strncmp(q->name, "label", 5)) p->label = p->n;
        p->n++;
        at = next;
        if (!at && p->label >= 0) return 1;
    }
    mls_error_set(m->e, "--name is \"%.80s\"; expected fields in braces with text between "
                  "them, one of them {label}, at most %d, as {label}_{speaker}_{take}", text,
                  PARTS);
    return 0;
}

/* The values of one file's name; 0 when it does not fit. */
static int match(mls_import *m, const pattern *p, const char *file, char **out)
{
    const char *slash = strrchr(file, '/'), *at = slash ? slash + 1 : file;
    const char *dot = strrchr(at, '.');
    const char *end = dot && dot > at ? dot : at + strlen(at);
    if ((size_t)(end - at) < p->n_before || strncmp(at, p->before, p->n_before)) return 0;
    at += p->n_before;
    for (int i = 0; i < p->n; i++) {
        const piece *q = &p->piece[i];
        const char *stop = end - q->n_after;
        if (i + 1 < p->n) {
            stop = at;
            while (stop + q->n_after <= end && strncmp(stop, q->after, q->n_after)) stop++;
        }
        if (stop <= at || stop + q->n_after > end || strncmp(stop, q->after, q->n_after))
            return 0;
        out[i] = mls_arena_printf(m->a, "%.*s", (int)(stop - at), at);
        if (!out[i]) return 0;
        at = stop + q->n_after;
    }
    return at == end;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int is_number(const char *s)
{
    const size_t n = strspn(s, "0123456789");
    return n && n < 10 && !s[n];
}

/* Column i of text [files][n] as numbers; the names when they had to be given. */
static char *number(mls_import *m, char **text, int files, int n, int i, int32_t *out,
                    int stride)
{
    int digits = 1;
    for (int f = 0; f < files; f++) digits &= is_number(text[f * n + i]);
    if (digits) {
        for (int f = 0; f < files; f++) out[f * stride] = atoi(text[f * n + i]);
        return NULL;
    }
    char **sorted = mls_arena_alloc(m->a, (size_t)files * sizeof *sorted), *names = NULL;
    int all = 0;
    size_t room = 1;
    if (!sorted) return NULL;
    for (int f = 0; f < files; f++) {
        sorted[f] = text[f * n + i];
        room += strlen(sorted[f]) + 1;
    }
    qsort(sorted, (size_t)files, sizeof *sorted, by_text);
    names = mls_arena_zalloc(m->a, room);
    char *end = names;
    for (int f = 0; f < files && names; f++) {
        if (all && !strcmp(sorted[all - 1], sorted[f])) continue;
        sorted[all++] = sorted[f];
        if (end > names) *end++ = '\n';
        end = stpcpy(end, sorted[f]);
    }
    for (int f = 0; f < files; f++) {
        char **at = bsearch(&text[f * n + i], sorted, (size_t)all, sizeof *sorted, by_text);
        out[f * stride] = (int32_t)(at - sorted);
    }
    return names;
}

int mls_names_read(mls_import *m, mls_names *out, const char *text, const char *const *file,
                   int files)
{
    pattern p;
    *out = (mls_names){ .pattern = text };
    if (!read_pattern(m, text, &p)) return 0;
    char **part = mls_arena_zalloc(m->a, (size_t)files * (size_t)p.n * sizeof *part);
    out->n_fields = p.n - 1;
    out->label = mls_arena_alloc(m->a, (size_t)files * sizeof *out->label);
    out->value = mls_arena_alloc(m->a, (size_t)(files * p.n) * sizeof *out->value);
    if (!part || !out->label || !out->value) {
        mls_error_set(m->e, "no memory for the names of %d files", files);
        return 0;
    }
    for (int f = 0; f < files; f++)
        if (!match(m, &p, file[f], part + f * p.n)) {
            mls_error_set(m->e, "%s: its name does not fit --name \"%.80s\"", file[f], text);
            return 0;
        }
    for (int i = 0, k = 0; i < p.n; i++) {
        if (i == p.label) {
            out->classes = number(m, part, files, p.n, i, out->label, 1);
            continue;
        }
        out->field[k] = mls_arena_printf(m->a, "%.*s", (int)p.piece[i].n_name, p.piece[i].name);
        out->names[k] = number(m, part, files, p.n, i, out->value + k, out->n_fields);
        k++;
    }
    for (int f = 0; f < files; f++)
        if (out->label[f] > MOST_LABEL)
            mls_error_set(m->e, "%s: its label is %d; at most %d classes are possible", file[f],
                          out->label[f], MOST_LABEL);
    return !m->e->set;
}
