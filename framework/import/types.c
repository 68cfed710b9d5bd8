#include "import/types.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

/* The words of one line, in place; "..." may hold blanks. */
static int words(char *line, const char **out)
{
    int n = 0;
    for (char *p = line; n < MOST;) {
        p += strspn(p, " \t\r");
        if (!*p) break;
        const int quoted = *p == '"';
        char *end = quoted ? strchr(p + 1, '"') : p + strcspn(p, " \t\r");
        out[n++] = p + quoted;
        if (!end || !*end) break;
        *end = '\0';
        p = end + 1;
    }
    return n;
}

int mls_types_read(mls_import *m, const char *path, mls_types *out)
{
    char *text = mls_import_text(m, path, 1 << 26, NULL);
    const char *word[MOST];
    size_t lines = 1;
    int number = 0;
    if (!text) return 0;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    *out = (mls_types){ .path = path };
    for (char *line = text, *next; line && *line && !m->e->set; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        number++;
        const int n = words(line, word);
        if (!n) continue;
        if (!out->columns) {
            out->columns = n;
            out->name = mls_arena_alloc(m->a, (size_t)n * sizeof *out->name);
            out->cell = mls_arena_alloc(m->a, lines * (size_t)n * sizeof *out->cell);
            if (out->name && out->cell) memcpy(out->name, word, (size_t)n * sizeof *word);
            else mls_error_set(m->e, "%s: no memory", path);
        } else if (n != out->columns) {
            mls_error_set(m->e, "%s:%d: %d columns; expected %d as in the first line", path,
                          number, n, out->columns);
        } else {
            memcpy(out->cell + out->rows++ * n, word, (size_t)n * sizeof *word);
        }
    }
    if (!out->columns) mls_error_set(m->e, "%s:1: has no names of columns", path);
    return !m->e->set;
}

const char *mls_types_text(mls_import *m, const mls_types *t, int64_t id, const char *column)
{
    int k = 0;
    while (k < t->columns && strcmp(t->name[k], column)) k++;
    if (k == t->columns) {
        const char *near = mls_error_nearest(column, t->name, t->columns);
        mls_error_set(m->e, "%s: has no column \"%s\"%s%s", t->path, column,
                      near ? "; it has " : "", near ? near : "");
        return NULL;
    }
    for (int i = 0; i < t->rows; i++)
        if (atoll(t->cell[i * t->columns]) == id) return t->cell[i * t->columns + k];
    mls_error_set(m->e, "%s: has no type %lld", t->path, (long long)id);
    return NULL;
}

double mls_types_number(mls_import *m, const mls_types *t, int64_t id, const char *column)
{
    const char *text = mls_types_text(m, t, id, column), *at = text;
    double x = 0;
    if (text && !mls_import_number(&at, "", &x))
        mls_error_set(m->e, "%s: %s of type %lld is \"%.40s\"; expected a number", t->path,
                      column, (long long)id, text);
    return x;
}
