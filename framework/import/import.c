#include "import/import.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

extern const mls_importer mls_import_idx, mls_import_png, mls_import_wav, mls_import_physionet,
    mls_import_nmnist, mls_import_sonata, mls_import_npy, mls_import_csv,
    mls_import_ts, mls_import_pianoroll;

const mls_importer *const mls_importers[] = { &mls_import_idx, &mls_import_png, &mls_import_wav,
                                              &mls_import_npy, &mls_import_csv,
                                              &mls_import_ts,
                                              &mls_import_nmnist, &mls_import_physionet,
                                              &mls_import_sonata, &mls_import_pianoroll,
                                              NULL };

enum { MOST = 64 };

/* ---- Options ------------------------------------------------------------------------- */

const char *mls_import_get(const mls_import *m, const char *name, const char *def)
{
    for (int i = m->n_options - 1; i >= 0; i--)
        if (!strcmp(m->name[i], name)) return m->value[i];
    return def;
}

double mls_import_real(mls_import *m, const char *name, double def, double min, double max)
{
    const char *s = mls_import_get(m, name, NULL);
    char *end;
    if (!s) return def;
    const double x = strtod(s, &end);
    if (!*s || *end || !(x >= min && x <= max))
        mls_error_set(m->e, "--%s is \"%.60s\"; expected a number from %g to %g", name, s,
                      min, max);
    return x;
}

int64_t mls_import_int(mls_import *m, const char *name, int64_t def, int64_t min,
                       int64_t max)
{
    const char *s = mls_import_get(m, name, NULL);
    char *end;
    if (!s) return def;
    errno = 0;
    const long long x = strtoll(s, &end, 10);
    if (!*s || *end || errno || x < min || x > max)
        mls_error_set(m->e, "--%s is \"%.60s\"; expected a whole number from %lld to %lld",
                      name, s, (long long)min, (long long)max);
    return x;
}

int mls_import_choice(mls_import *m, const char *name, const char *choices)
{
    const char *s = mls_import_get(m, name, NULL);
    int at = 0;
    if (!s) return 0;
    for (const char *p = choices; p; at++) {
        const char *end = strchr(p, '|');
        const size_t n = end ? (size_t)(end - p) : strlen(p);
        if (strlen(s) == n && !strncmp(s, p, n)) return at;
        p = end ? end + 1 : NULL;
    }
    mls_error_set(m->e, "--%s is \"%.60s\"; expected one of %s", name, s, choices);
    return 0;
}

/* Every option given is one of this importer's. */
static void check_options(mls_import *m)
{
    const char *names[MOST];
    for (int i = 0; i < m->n_options && !m->e->set; i++) {
        int n = 0, known = 0;
        for (const mls_import_option *o = m->importer->options; o && o->name && n < MOST; o++) {
            names[n++] = o->name;
            known |= !strcmp(o->name, m->name[i]);
        }
        const char *near = mls_error_nearest(m->name[i], names, n);
        char list[600] = "";
        for (int k = 0; k < n; k++) {
            const size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s--%s", k ? ", " : "", names[k]);
        }
        if (!known)
            mls_error_set(m->e, "mls import %s has no option --%s%s%s%s; it has %s",
                          m->importer->name, m->name[i], near ? "; did you mean --" : "",
                          near ? near : "", near ? "?" : "", n ? list : "none");
    }
}

/* ---- Running --------------------------------------------------------------------------- */

const char *mls_import_part(int part)
{
    static const char *const name[MLS_PARTS] = { "/", "/train", "/validation", "/test" };
    return name[part];
}

int mls_import_step(mls_import *m, const char *what, int64_t done, int64_t total)
{
    if (m->e->set || m->stopped) return 0;
    if (m->progress && !m->progress(m->progress_arg, what, done, total)) m->stopped = 1;
    return !m->stopped;
}

static const mls_importer *find(mls_import *m, const char *format)
{
    const char *names[MOST];
    char list[300] = "";
    int n = 0;
    for (; mls_importers[n]; n++) {
        const size_t used = strlen(list);
        names[n] = mls_importers[n]->name;
        if (!strcmp(names[n], format)) return mls_importers[n];
        snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "", names[n]);
    }
    const char *near = mls_error_nearest(format, names, n);
    mls_error_set(m->e, "no format is called \"%.60s\"%s%s%s; there are %s", format,
                  near ? "; did you mean " : "", near ? near : "", near ? "?" : "", list);
    return NULL;
}

int mls_import_run(mls_import *m, const char *format, const char *path, char *said,
                   size_t room)
{
    m->said = said;
    m->room = room;
    *said = '\0';
    m->importer = find(m, format);
    if (m->importer) check_options(m);
    if (!m->n_inputs) mls_error_set(m->e, "there is no file to import");
    for (int i = 0; i < m->n_inputs; i++)
        if (!m->input[i].path[0]) mls_error_set(m->e, "the name of a file is empty");
    m->out = m->e->set ? NULL : mls_dataset_create(path, m->e);
    if (!m->out) return 0;
    mls_dataset_text(m->out, -1, "mls_data", "1");
    mls_dataset_text(m->out, -1, "imported_from", format);
    m->importer->run(m);
    if (m->e->set || m->stopped) {
        mls_dataset_abandon(m->out);
        m->out = NULL;
        return 0;
    }
    return mls_dataset_finish(m->out);
}

/* ---- Files --------------------------------------------------------------------------- */

const char **mls_import_folder(mls_import *m, const char *path, const char *tail, int *n)
{
    struct dirent **list;
    const int all = scandir(path, &list, NULL, alphasort);
    *n = 0;
    if (all < 0) {
        mls_error_set(m->e, "%s: %s", path, strerror(errno));
        return NULL;
    }
    const char **out = mls_arena_alloc(m->a, (size_t)(all + 1) * sizeof *out);
    for (int i = 0; i < all; i++) {
        const char *name = list[i]->d_name;
        const size_t length = strlen(name), end = strlen(tail);
        if (out && name[0] != '.' && length > end && !strcmp(name + length - end, tail)) {
            struct stat st;
            char *file = mls_arena_printf(m->a, "%s/%s", path, name);
            if (!file || stat(file, &st) != 0)
                mls_error_set(m->e, "%s/%s: %s", path, name, file ? strerror(errno) : "no memory");
            else if (!S_ISREG(st.st_mode))
                mls_error_set(m->e, "%s: is no file, where one is expected", file);
            else out[(*n)++] = file;
        }
        free(list[i]);
    }
    free(list);
    if (m->e->set) *n = 0;
    if (!*n) mls_error_set(m->e, "%s: has no file whose name ends in \"%s\"", path, tail);
    return *n ? out : NULL;
}

char *mls_import_text(mls_import *m, const char *path, size_t most, size_t *size)
{
    struct stat st;
    size_t room = 1 << 16, n = 0;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        mls_error_set(m->e, "%s: is a folder, where a file is expected", path);
        return NULL;
    }
    errno = 0;
    const gzFile f = gzopen(path, "rbe");
    char *text = f ? malloc(room) : NULL;
    if (!f) mls_error_set(m->e, "%s: %s", path, errno ? strerror(errno) : "no memory");
    while (text) {
        const int got = gzread(f, text + n, (unsigned)(room - n - 1));
        int code;
        const char *why = gzerror(f, &code);
        if (got < 0 || (got == 0 && code != Z_OK && code != Z_STREAM_END)) {
            mls_error_set(m->e, "%s: byte %zu: %s", path, n, why);
            break;
        }
        n += (size_t)got;
        if (got == 0) break;
        if (n + 1 < room) continue;
        char *more = n < most ? realloc(text, room *= 2) : NULL;
        if (!more) {
            mls_error_set(m->e, "%s: is larger than %zu bytes or the memory", path, most);
            break;
        }
        text = more;
    }
    if (f) gzclose(f);
    char *out = text && !m->e->set ? mls_arena_alloc(m->a, n + 1) : NULL;
    if (out) memcpy(out, text, n);
    if (out) out[n] = '\0';
    free(text);
    if (!out) mls_error_set(m->e, "%s: no memory for it", path);
    if (size) *size = n;
    return out;
}

int mls_import_number(const char **at, const char *ends, double *out)
{
    const char *p = *at + strspn(*at, " \t");
    char *end;
    *out = strtod(p, &end);
    if (end == p || !isfinite(*out)) return 0;
    end += strspn(end, " \t");
    if (*end && !strchr(ends, *end)) return 0;
    *at = end;
    return 1;
}
