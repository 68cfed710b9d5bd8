/* idx.c - the idx files of MNIST: two bytes 0, the type 8 (unsigned byte), the number of
 * axes, their sizes as big-endian 32 bits, the values.  .gz is unpacked.                */
#include "import/images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef struct idx {
    mls_import *m;
    const char *path;
    gzFile      file;
    int         axes;
    int64_t     dim[3], at;          /* bytes read so far                               */
} idx;

/* Exactly n bytes; a shorter file is an error that says where. */
static int take(idx *f, void *out, int64_t n, const char *what)
{
    int code;
    const int got = gzread(f->file, out, (unsigned)n);
    const char *why = gzerror(f->file, &code);
    if (got == n) {
        f->at += n;
        return 1;
    }
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        mls_error_set(f->m->e, "%s: byte %lld: %s", f->path, (long long)f->at, why);
    else
        mls_error_set(f->m->e, "%s: byte %lld: the file ends, where %s is expected", f->path,
                      (long long)(f->at + (got > 0 ? got : 0)), what);
    return 0;
}

static int open_idx(idx *f, mls_import *m, const char *path)
{
    uint8_t b[4];
    *f = (idx){ .m = m, .path = path };
    errno = 0;
    f->file = gzopen(path, "rbe");
    if (!f->file) {
        mls_error_set(m->e, "%s: %s", path, errno ? strerror(errno) : "no memory");
        return 0;
    }
    if (!take(f, b, 4, "the magic number 00 00 08 01 or 00 00 08 03")) return 0;
    if (b[0] || b[1] || b[2] != 8 || (b[3] != 1 && b[3] != 3)) {
        mls_error_set(m->e, "%s: byte 0: %02x %02x %02x %02x, where an idx file has 00 00 "
                      "08 01 (labels) or 00 00 08 03 (images)", path, b[0], b[1], b[2], b[3]);
        return 0;
    }
    f->axes = b[3];
    for (int i = 0; i < f->axes; i++) {
        if (!take(f, b, 4, "the size of an axis")) return 0;
        f->dim[i] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
        if (f->dim[i] < 1 || (i && f->dim[i] > 4096)) {
            mls_error_set(m->e, "%s: byte %lld: axis %d has the size %lld; expected 1 to %s",
                          path, (long long)f->at - 4, i, (long long)f->dim[i],
                          i ? "4096" : "4294967295");
            return 0;
        }
    }
    return 1;
}

static void close_idx(idx *f)
{
    if (f->file) gzclose(f->file);
    f->file = NULL;
}

static void at_end(idx *f)
{
    char more;
    int code;
    if (f->m->e->set) return;
    const int got = gzread(f->file, &more, 1);
    const char *why = gzerror(f->file, &code);
    if (got > 0)
        mls_error_set(f->m->e, "%s: byte %lld: the file goes on after its last value",
                      f->path, (long long)f->at);
    else if (code != Z_OK && code != Z_STREAM_END)       /* its checksum is wrong or missing */
        mls_error_set(f->m->e, "%s: byte %lld: %s", f->path, (long long)f->at, why);
}

/* One file of images with its labels. */
static void pair(mls_import *m, int part, idx *images, idx *labels, mls_images **g,
                 int64_t size[2])
{
    const int64_t n = images->dim[0], pixels = images->dim[1] * images->dim[2];
    uint8_t *pixel = mls_arena_alloc(m->a, (size_t)pixels), label;
    if (labels->dim[0] != n)
        mls_error_set(m->e, "%s: %lld labels for the %lld images of %s", labels->path,
                      (long long)labels->dim[0], (long long)n, images->path);
    if (!pixel) mls_error_set(m->e, "no memory for an image");
    if (!m->e->set && !*g) {
        *g = mls_images_open(m, part, images->dim[1], images->dim[2]);
        memcpy(size, images->dim + 1, 2 * sizeof *size);
    }
    if (!m->e->set && memcmp(size, images->dim + 1, 2 * sizeof *size))
        mls_error_set(m->e, "%s: images of %lld x %lld, where those before have %lld x %lld",
                      images->path, (long long)images->dim[1], (long long)images->dim[2],
                      (long long)size[0], (long long)size[1]);
    for (int64_t i = 0; i < n && !m->e->set; i++) {
        if (i % 256 == 0 && !mls_import_step(m, images->path, i, n)) return;
        if (!take(images, pixel, pixels, "a whole image") ||
            !take(labels, &label, 1, "a label"))
            return;
        mls_images_add(*g, pixel, label);
    }
    at_end(images);
    at_end(labels);
}

static void run(mls_import *m)
{
    mls_images *g[MLS_PARTS] = { NULL };
    int64_t size[2] = { 0 };
    for (int i = 0; i < m->n_inputs && !m->e->set && !m->stopped; i += 2) {
        idx images = { .m = m }, labels = { .m = m };
        const mls_import_input *in = &m->input[i];
        if (i + 1 == m->n_inputs || in[1].part != in->part) {
            mls_error_set(m->e, "%s: its labels are missing; each file of images is followed "
                          "by its file of labels", in->path);
        } else if (open_idx(&images, m, in->path) && open_idx(&labels, m, in[1].path)) {
            if (images.axes != 3 || labels.axes != 1)
                mls_error_set(m->e, "%s: holds %s, where %s are expected; images come before "
                              "their labels", images.axes != 3 ? in->path : in[1].path,
                              images.axes != 3 ? "labels" : "images",
                              images.axes != 3 ? "images" : "labels");
            else pair(m, in->part, &images, &labels, &g[in->part], size);
        }
        close_idx(&images);
        close_idx(&labels);
    }
    for (int k = 0; k < MLS_PARTS; k++) mls_images_close(g[k]);
}

static const mls_import_option options[] = { MLS_IMAGE_OPTIONS, { NULL, NULL, NULL } };

const mls_importer mls_import_idx = {
    "idx", "MNIST's idx files, plain or .gz: IMAGES LABELS ...",
    "Each file of images is followed by its file of labels.", options, run
};
