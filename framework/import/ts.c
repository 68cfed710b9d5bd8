/* ts.c - the .ts files of the UEA and UCR archives (sktime): a head of @ lines, then a line
 * for each sample, its channels separated by colons, values by commas, the class last.
 * A ? is a missing value.                                                               */
#include "import/import.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CLASSES = 1000, CHANNELS = 4096 };

typedef struct ts {
    mls_import  *m;
    const char  *path;
    int          line, n_classes, channels, part;
    const char  *name[CLASSES];
    mls_samples *out[MLS_PARTS];
    char        *classes;
} ts;

static void bad(ts *t, const char *found, const char *expected)
{
    mls_error_set(t->m->e, "%s:%d: \"%.60s\"; expected %s", t->path, t->line, found, expected);
}

/* "@classLabel true a b c"; the first file's classes are those of all. */
static void read_classes(ts *t, char *words)
{
    int n = 0;
    char *word = strtok(words, " \t\r");
    if (!word || strcasecmp(word, "true")) {
        bad(t, word ? word : "", "@classLabel true and the classes");
        return;
    }
    while ((word = strtok(NULL, " \t\r")) && n < CLASSES && !t->m->e->set) {
        if (!t->classes) t->name[n] = mls_arena_strdup(t->m->a, word);
        else if (n >= t->n_classes || strcmp(t->name[n], word))
            bad(t, word, "the classes of the files before");
        n++;
    }
    if (!n) bad(t, "@classLabel true", "the names of the classes after it");
    if (t->classes || t->m->e->set) return;
    t->n_classes = n;
    t->classes = mls_arena_strdup(t->m->a, t->name[0]);
    for (int i = 1; i < n; i++)
        t->classes = mls_arena_printf(t->m->a, "%s\n%s", t->classes, t->name[i]);
}

static void head(ts *t, char *line)
{
    if (!strncasecmp(line, "@classlabel", 11)) read_classes(t, line + 11);
    else if (!strncasecmp(line, "@timestamps true", 16))
        bad(t, line, "a file without time stamps; they cannot be read yet");
    else if (!strncasecmp(line, "@targetlabel", 12))
        bad(t, line, "a file with classes");
}

static mls_samples *part(ts *t)
{
    if (!t->out[t->part]) {
        const mls_samples_shape shape = { .features = t->channels, .cell = MLS_CELL_F32,
                                          .has = MLS_HAS_LABEL | MLS_HAS_OBSERVED };
        t->out[t->part] = mls_samples_open(t->m, t->part, &shape);
        mls_samples_classes(t->out[t->part], t->classes);
    }
    return t->out[t->part];
}

static void sample(ts *t, char *line)
{
    char *label = strrchr(line, ':'), *at = line;
    int channels = 0, k = 0;
    int64_t steps = 1, got = 0;
    if (!label) {
        bad(t, line, "channels and a class with colons between them");
        return;
    }
    *label++ = '\0';
    label[strcspn(label, "\r")] = '\0';
    while (k < t->n_classes && strcmp(t->name[k], label)) k++;
    if (k == t->n_classes) {
        bad(t, label, "a class that the head names");
        return;
    }
    for (const char *p = line; *p && *p != ':'; p++) steps += *p == ',';
    for (const char *p = line; *p; p++) channels += *p == ':';
    channels++;
    if (!t->channels) t->channels = channels < CHANNELS ? channels : CHANNELS;
    if (channels != t->channels) {
        mls_error_set(t->m->e, "%s:%d: %d channels; expected %d as before", t->path, t->line,
                      channels, t->channels);
        return;
    }
    float *x = mls_arena_zalloc(t->m->a, (size_t)(steps * channels) * sizeof *x);
    uint8_t *seen = mls_arena_zalloc(t->m->a, (size_t)(steps * channels));
    for (int c = 0; c < channels && x && seen && !t->m->e->set; c++, at++) {
        for (got = 0; got < steps; got++) {
            double v;
            const char *p = at + strspn(at, " ");
            if (*p == '?') at = (char *)p + 1;
            else if (mls_import_number(&p, ",:", &v)) {
                x[got * channels + c] = (float)v;
                seen[got * channels + c] = 1;
                at = (char *)p;
            } else {
                mls_error_set(t->m->e, "%s:%d: channel %d, step %lld is \"%.*s\"; expected a "
                              "number or ?", t->path, t->line, c, (long long)got,
                              (int)strcspn(p, ",:") % 40, p);
                return;
            }
            if (*at != ',') break;
            if (got + 1 < steps) at++;
        }
        if (got != steps - 1 || *at == ',')
            mls_error_set(t->m->e, "%s:%d: channel %d has %s than %lld values, which channel 0 "
                          "has", t->path, t->line, c, *at == ',' ? "more" : "fewer",
                          (long long)steps);
    }
    const int32_t class = k;
    const mls_samples_row row = { .steps = steps, .x = x, .observed = seen, .label = &class };
    if (!t->m->e->set) mls_samples_add(part(t), &row);
}

static void read_one(ts *t, const mls_import_input *in)
{
    size_t size;
    char *text = mls_import_text(t->m, in->path, (size_t)1 << 32, &size);
    int data = 0;
    t->path = in->path;
    t->part = in->part;
    t->line = 0;
    for (char *line = text, *next; line && *line && !t->m->e->set; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        t->line++;
        if (t->line % 64 == 0 && !mls_import_step(t->m, t->path, line - text, (int64_t)size))
            return;
        if (*line == '#' || !line[strspn(line, " \t\r")]) continue;
        if (data) sample(t, line);
        else if (!strncasecmp(line, "@data", 5)) data = 1;
        else if (*line == '@') head(t, line);
        else bad(t, line, "a line that begins with @, as @data");
        if (data && !t->classes && !t->m->e->set) bad(t, line, "@classLabel before @data");
    }
    if (!data && !t->m->e->set)
        mls_error_set(t->m->e, "%s:%d: the file ends, where @data is expected", in->path,
                      t->line);
}

static void run(mls_import *m)
{
    ts *t = mls_arena_zalloc(m->a, sizeof *t);
    if (!t) return;
    t->m = m;
    for (int i = 0; i < m->n_inputs && !m->e->set && !m->stopped; i++)
        read_one(t, &m->input[i]);
    for (int k = 0; k < MLS_PARTS; k++)
        if (t->out[k]) mls_samples_close(t->out[k]);
    if (!m->e->set && !m->stopped && !t->channels)
        mls_error_set(m->e, "%s: has no sample after @data", m->input[0].path);
}

const mls_importer mls_import_ts = {
    "ts", "the .ts files of the UEA and UCR archives: FILE.ts ...",
    "Missing values are noted in observed.", NULL, run
};
