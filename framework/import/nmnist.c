/* nmnist.c - event-camera recordings of N-MNIST (.bin, .bs2): events of 5 bytes, x, y, then
 * 1 bit polarity and 23 bits of microseconds, big-endian (G. Orchard et al., 2015).
 * A channel is (polarity height + y) width + x; times are ms.                           */
#include "import/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct camera {
    mls_import *m;
    int64_t     width, height;
    const char *ending;
} camera;

static void add(const camera *v, const char *path, int32_t label, mls_samples *out)
{
    size_t size;
    mls_import *m = v->m;
    const uint8_t *b = (const uint8_t *)mls_import_text(m, path, 1 << 28, &size);
    if (!b) return;
    const size_t n = size / 5;
    double *time = mls_arena_alloc(m->a, (n + 1) * sizeof *time);
    int32_t *channel = mls_arena_alloc(m->a, (n + 1) * sizeof *channel);
    if (!time || !channel) mls_error_set(m->e, "%s: no memory for %zu events", path, n);
    if (!size || size % 5)
        mls_error_set(m->e, "%s: byte %zu: the file ends %s event; expected 5 bytes for each",
                      path, size, size ? "within an" : "before the first");
    uint32_t last = 0;
    for (size_t i = 0; i < n && !m->e->set; i++, b += 5) {
        const uint32_t us = (uint32_t)(b[2] & 0x7f) << 16 | (uint32_t)b[3] << 8 | b[4];
        if (b[0] >= v->width || b[1] >= v->height)
            mls_error_set(m->e, "%s: byte %zu: an event at pixel %d, %d; expected one within "
                          "%lld x %lld", path, 5 * i, b[0], b[1], (long long)v->width,
                          (long long)v->height);
        if (us < last)
            mls_error_set(m->e, "%s: byte %zu: an event at %u us after one at %u us; expected "
                          "them in order", path, 5 * i, us, last);
        last = us;
        time[i] = us / 1000.0;
        channel[i] = (int32_t)(((b[2] >> 7) * v->height + b[1]) * v->width + b[0]);
    }
    const mls_samples_row row = { .steps = (int64_t)n, .time = time, .channel = channel,
                                  .label = &label };
    mls_samples_add(out, &row);
}

static mls_samples *open_part(const camera *v, int part)
{
    const mls_samples_shape shape = { .features = 2 * v->width * v->height,
                                      .time_unit = "ms",
                                      .has = MLS_HAS_EVENTS | MLS_HAS_LABEL };
    return mls_samples_open(v->m, part, &shape);
}

/* A list has lines "sample class"; a line that begins with # is none of them. */
static void read_list(const camera *v, const char *list, const char *folder, mls_samples *out)
{
    mls_import *m = v->m;
    char *text = mls_import_text(m, list, 1 << 26, NULL), *line = text;
    int lines = 1, number = 0;
    if (!text) return;
    for (const char *p = text; *p; p++) lines += *p == '\n';
    while (*line && !m->e->set) {
        char *end = line + strcspn(line, "\r\n"), *stop;
        const int more = *end != '\0';
        *end = '\0';
        number++;
        const long id = strtol(line, &stop, 10);
        const long label = strtol(stop, &stop, 10);
        stop += strspn(stop, " \t");
        if (*line == '#' || !line[strspn(line, " \t")]) {
            /* a heading */
        } else if (*stop || id < 0 || label < 0 || label > 1000000) {
            mls_error_set(m->e, "%s:%d: \"%.60s\"; expected the number of a sample and its "
                          "class", list, number, line);
        } else if (mls_import_step(m, list, number, lines)) {
            const mls_mark mark = mls_arena_mark(m->a);
            add(v, mls_arena_printf(m->a, "%s/%ld%s", folder, id, v->ending), (int32_t)label,
                out);
            mls_arena_release(m->a, mark);
        } else return;
        line = end + more;
        if (more && line[-1] == '\0' && *line == '\n') line++;
    }
}

/* The folders 0, 1, ... of N-MNIST's Train and Test. */
static void read_folders(const camera *v, const char *path, mls_samples *out)
{
    mls_import *m = v->m;
    int found = 0;
    for (int32_t k = 0; k < 1000 && !m->e->set && !m->stopped; k++) {
        const char *folder = mls_arena_printf(m->a, "%s/%d", path, k);
        struct stat st;
        int n;
        if (stat(folder, &st) != 0) break;
        const char **file = mls_import_folder(m, folder, v->ending, &n);
        found = 1;
        for (int i = 0; i < n && mls_import_step(m, folder, i, n); i++) {
            const mls_mark mark = mls_arena_mark(m->a);
            add(v, file[i], k, out);
            mls_arena_release(m->a, mark);
        }
    }
    if (!found)
        mls_error_set(m->e, "%s: has no folder 0; expected one for each class", path);
}

static void run(mls_import *m)
{
    camera v = { .m = m, .ending = mls_import_get(m, "ending", ".bin") };
    mls_samples *part[MLS_PARTS] = { NULL };
    v.width = mls_import_int(m, "width", 34, 1, 256);
    v.height = mls_import_int(m, "height", 34, 1, 256);
    for (int i = 0; i < m->n_inputs && !m->e->set; i++) {
        const mls_import_input *in = &m->input[i];
        struct stat st;
        if (!part[in->part]) part[in->part] = open_part(&v, in->part);
        if (m->e->set) return;
        if (stat(in->path, &st) == 0 && S_ISDIR(st.st_mode)) {
            read_folders(&v, in->path, part[in->part]);
            continue;
        }
        const char *folder = mls_import_get(m, "folder", NULL);
        const char *slash = strrchr(in->path, '/');
        if (!folder)
            folder = slash ? mls_arena_printf(m->a, "%.*s", (int)(slash - in->path), in->path)
                           : ".";
        read_list(&v, in->path, folder, part[in->part]);
    }
    for (int k = 0; k < MLS_PARTS; k++)
        if (part[k]) mls_samples_close(part[k]);
}

static const mls_import_option options[] = {
    { "folder", "DIR", "where the recordings of a list lie (beside the list)" },
    { "ending", "TEXT", "how their names end (.bin)" },
    { "width", "N", "pixels of the camera (34)" },
    { "height", "N", "and its rows (34)" },
    { NULL, NULL, NULL }
};

const mls_importer mls_import_nmnist = {
    "nmnist", "event-camera recordings: LIST.txt, or a FOLDER with a folder for each class",
    "A list has a sample's number and its class in each line.", options, run
};
