/* csv.c - text tables, one series each: a line of names, then lines of numbers, with commas,
 * semicolons or tabs between them, whichever the first line has.                        */
#include "import/series.h"

#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static char separator(const char *line)
{
    const size_t n = strcspn(line, ",;\t\n");
    return line[n] == ';' || line[n] == '\t' ? line[n] : ',';
}

/* Names of the first line, in place. */
static int names(mls_import *m, const char *path, char *line, char split, const char **out)
{
    int n = 0;
    for (char *p = line; p && n < MOST; n++) {
        char *end = strchr(p, split);
        if (end) *end++ = '\0';
        p += strspn(p, " \"");
        size_t length = strlen(p);
        while (length && strchr(" \"\r", p[length - 1])) p[--length] = '\0';
        if (!length) mls_error_set(m->e, "%s:1: column %d has an empty name", path, n);
        out[n] = p;
        p = end;
    }
    if (n == MOST) mls_error_set(m->e, "%s:1: more than %d columns", path, MOST);
    return n;
}

static void row(mls_import *m, const char *path, int line, const char *text, char split,
                int columns, float *out)
{
    const char ends[] = { split, '\r', '\0' };
    const char *p = text;
    for (int k = 0; k < columns && !m->e->set; k++) {
        double x;
        const size_t n = strcspn(p, ends);
        if (!mls_import_number(&p, ends, &x))
            mls_error_set(m->e, "%s:%d: column %d is \"%.*s\"; expected a number", path, line, k,
                          (int)(n < 40 ? n : 40), p);
        out[k] = (float)x;
        if (!m->e->set && (*p == split) != (k + 1 < columns))
            mls_error_set(m->e, "%s:%d: %s; expected %d as in the first line", path, line,
                          *p == split ? "more columns" : "fewer columns", columns);
        p += *p == split;
    }
}

/* 1 when something in the arena must stay. */
static int read_one(mls_import *m, mls_series *s, const mls_import_input *in)
{
    char *text = mls_import_text(m, in->path, (size_t)1 << 32, NULL);
    const char **name = mls_arena_alloc(m->a, MOST * sizeof *name);
    if (!text || !name) return 1;
    char *line = text, *next = strchr(line, '\n');
    int64_t lines = 1;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    if (next) *next++ = '\0';
    const char split = separator(line);
    const int columns = names(m, in->path, line, split, name);
    mls_table t = { .path = in->path, .columns = columns, .name = name };
    float *value = m->e->set ? NULL
                             : mls_arena_alloc(m->a, (size_t)(lines * columns) * sizeof *value);
    if (!value) {
        mls_error_set(m->e, "%s: no memory", in->path);
        return 1;
    }
    for (int number = 2; (line = next) && !m->e->set; number++) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        if (!line[strspn(line, " \t\r")]) continue;
        row(m, in->path, number, line, split, columns, value + t.rows++ * columns);
    }
    t.value = value;
    return m->e->set || mls_series_add(s, in->part, &t);
}

static void run(mls_import *m)
{
    mls_series *s = mls_series_open(m);
    for (int i = 0; s && i < m->n_inputs; i++) {
        if (!mls_import_step(m, m->input[i].path, i, m->n_inputs)) return;
        const mls_mark mark = mls_arena_mark(m->a);
        if (!read_one(m, s, &m->input[i])) mls_arena_release(m->a, mark);
    }
    mls_series_close(s);
}

static const mls_import_option options[] = { MLS_SERIES_OPTIONS, { NULL, NULL, NULL } };

const mls_importer mls_import_csv = {
    "csv", "tables with a line of names, a series each: FILE.csv ...",
    "Without --target task.hdf5 with predict asks for the next row.", options, run
};
