/* png.c - sheets of images: 8-bit grey .png files in which each row is one image.       */
#include "import/images.h"

#include <png.h>

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

typedef struct sheet {
    mls_import *m;
    const char *path;
    FILE       *file;
    png_structp png;
    png_infop   info;
    int64_t     row;                 /* being read; -1 in the header                    */
    uint8_t    *pixels;
} sheet;

typedef struct labels {              /* one list of labels for all sheets               */
    const char *path, *at;
    int64_t     used;
} labels;

static void on_error(png_structp png, png_const_charp why)
{
    sheet *s = png_get_error_ptr(png);
    if (s->row < 0)
        mls_error_set(s->m->e, "%s: byte %ld: %s", s->path, ftell(s->file), why);
    else
        mls_error_set(s->m->e, "%s: row %lld: %s", s->path, (long long)s->row, why);
    longjmp(png_jmpbuf(png), 1);
}

static void on_warning(png_structp png, png_const_charp why)
{
    (void)png;
    (void)why;
}

/* The next label, or -1 and an error. */
static int32_t next_label(mls_import *m, labels *l)
{
    double x;
    const char *from = l->at + strspn(l->at, " \t\r\n,");
    l->at = from;
    if (!*from || *from == ']') {
        mls_error_set(m->e, "%s: has only %lld labels, and there are more images", l->path,
                      (long long)l->used);
        return -1;
    }
    if (!mls_import_number(&l->at, ",]\r\n", &x) || x < 0 || x > 1e6 || x != (int32_t)x) {
        mls_error_set(m->e, "%s: label %lld is \"%.*s\"; expected a whole number from 0",
                      l->path, (long long)l->used, (int)strcspn(from, ",]\r\n") % 40, from);
        return -1;
    }
    l->used++;
    return (int32_t)x;
}

static int open_sheet(sheet *s)
{
    uint8_t magic[8] = { 0 };
    s->file = fopen(s->path, "rbe");
    if (!s->file) {
        mls_error_set(s->m->e, "%s: %s", s->path, strerror(errno));
        return 0;
    }
    if (fread(magic, 1, 8, s->file) != 8 || png_sig_cmp(magic, 0, 8)) {
        mls_error_set(s->m->e, "%s: byte 0: no .png file, which begins with 89 50 4e 47",
                      s->path);
        return 0;
    }
    rewind(s->file);
    s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
    s->info = s->png ? png_create_info_struct(s->png) : NULL;
    if (!s->info) mls_error_set(s->m->e, "%s: no memory", s->path);
    return s->info != NULL;
}

/* Columns x rows of the sheet, after the checks. */
static int header(sheet *s, int64_t *rows, int64_t *columns)
{
    if (setjmp(png_jmpbuf(s->png))) return 0;
    png_init_io(s->png, s->file);
    png_read_info(s->png, s->info);
    *rows = png_get_image_height(s->png, s->info);
    *columns = png_get_image_width(s->png, s->info);
    const int depth = png_get_bit_depth(s->png, s->info);
    if (png_get_color_type(s->png, s->info) == PNG_COLOR_TYPE_GRAY && depth == 8 &&
        png_get_interlace_type(s->png, s->info) == PNG_INTERLACE_NONE)
        return 1;
    mls_error_set(s->m->e, "%s: is of %d bits and colour type %d; expected 8-bit grey without "
                  "interlacing", s->path, depth, png_get_color_type(s->png, s->info));
    return 0;
}

static void rows(sheet *s, int64_t n, mls_images *g, labels *l)
{
    if (setjmp(png_jmpbuf(s->png))) return;
    for (s->row = 0; s->row < n; s->row++) {
        if (s->row % 256 == 0 && !mls_import_step(s->m, s->path, s->row, n)) return;
        png_read_row(s->png, s->pixels, NULL);
        const int32_t label = next_label(s->m, l);
        if (label < 0) return;
        mls_images_add(g, s->pixels, label);
        if (s->m->e->set) return;
    }
    png_read_end(s->png, NULL);
}

static void close_sheet(sheet *s)
{
    if (s->png) png_destroy_read_struct(&s->png, &s->info, NULL);
    if (s->file) fclose(s->file);
}

/* "28x28", or the square root of the width. */
static int size_of(mls_import *m, int64_t width, const char *path, int64_t out[2])
{
    const char *text = mls_import_get(m, "size", NULL);
    int used = 0, h = 1, w;
    if (text) {
        if (sscanf(text, "%dx%d%n", &h, &w, &used) != 2 || text[used] || h < 1 || w < 1)
            mls_error_set(m->e, "--size is \"%.40s\"; expected ROWSxCOLUMNS, as 28x28", text);
    } else {
        while ((int64_t)h * h < width) h++;
        w = h;
    }
    if (!m->e->set && (int64_t)h * w != width)
        mls_error_set(m->e, "%s: a row of %lld pixels is no image of %d x %d; say --size "
                      "ROWSxCOLUMNS", path, (long long)width, h, w);
    out[0] = h;
    out[1] = w;
    return !m->e->set;
}

static void run(mls_import *m)
{
    mls_images *g[MLS_PARTS] = { NULL };
    labels l = { .path = mls_import_get(m, "labels", NULL) };
    int64_t width = 0, size[2];
    if (!l.path) {
        mls_error_set(m->e, "--labels FILE is missing: numbers for all images, in order");
        return;
    }
    const char *text = mls_import_text(m, l.path, 1 << 28, NULL);
    if (!text) return;
    l.at = strchr(text, '[') ? strchr(text, '[') + 1 : text;
    for (int i = 0; i < m->n_inputs && !m->e->set && !m->stopped; i++) {
        const int part = m->input[i].part;
        sheet s = { .m = m, .path = m->input[i].path, .row = -1 };
        int64_t n, w;
        if (open_sheet(&s) && header(&s, &n, &w) && size_of(m, w, s.path, size)) {
            if (width && w != width)
                mls_error_set(m->e, "%s: rows of %lld pixels, where those before have %lld",
                              s.path, (long long)w, (long long)width);
            width = w;
            if (!g[part] && !m->e->set) g[part] = mls_images_open(m, part, size[0], size[1]);
            s.pixels = mls_arena_alloc(m->a, (size_t)w);
            if (!s.pixels) mls_error_set(m->e, "no memory for a row");
            if (!m->e->set) rows(&s, n, g[part], &l);
        }
        close_sheet(&s);
    }
    for (int k = 0; k < MLS_PARTS; k++) mls_images_close(g[k]);
}

static const mls_import_option options[] = {
    { "labels", "FILE", "the labels of all images in order, separated by commas or lines; "
                        "what stands before a [ is left out" },
    { "size", "RxC", "rows and columns of an image (a square)" },
    MLS_IMAGE_OPTIONS,
    { NULL, NULL, NULL }
};

const mls_importer mls_import_png = {
    "png", "sheets of images, one in each row of an 8-bit grey .png: SHEET...",
    "The labels are taken from one file, in the order of the sheets and their rows.", options,
    run
};
