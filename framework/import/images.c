/* images.c - an image as a sequence.
 *
 * pixels: one step for each pixel, row after row.  rows: one step for each row.
 * events: b_i = [pixel i > threshold]; a step for each i with b_i != b_(i-1), where
 * b_(-1) differs from both: x = b_i, dt = pixels since the step before (1 for the first).
 * This is ET-sMNIST: M. Lechner, R. Hasani, Learning Long-Term Dependencies in
 * Irregularly-Sampled Time Series, 2020.                                                */
#include "import/images.h"

enum { PIXELS, ROWS, EVENTS };

struct mls_images {
    mls_import  *m;
    mls_samples *s;
    int     as, threshold;
    int64_t pixels, longest;
    float  *bit, *dt;
};

mls_images *mls_images_open(mls_import *m, int part, int64_t rows, int64_t columns)
{
    mls_images *g = mls_arena_zalloc(m->a, sizeof *g);
    if (!g || rows < 1 || columns < 1 || rows > 4096 || columns > 4096) {
        mls_error_set(m->e, "images of %lld x %lld pixels; expected 1 to 4096 each way",
                      (long long)rows, (long long)columns);
        return NULL;
    }
    *g = (mls_images){ .m = m, .pixels = rows * columns };
    g->as = mls_import_choice(m, "as", "pixels|rows|events");
    g->threshold = (int)mls_import_int(m, "threshold", 128, 0, 254);
    g->longest = mls_import_int(m, "longest", 256, 1, 1 << 24);
    mls_samples_shape shape = { .has = MLS_HAS_LABEL, .cell = MLS_CELL_U8,
                                .scale = 1.0 / 255.0 };
    if (g->as == EVENTS) {
        shape.has |= MLS_HAS_DT;
        shape.features = 1;
        shape.scale = 1.0;
        shape.cell = MLS_CELL_F32;
        shape.time_unit = "pixels";
        g->bit = mls_arena_alloc(m->a, (size_t)g->longest * sizeof *g->bit);
        g->dt = mls_arena_alloc(m->a, (size_t)g->longest * sizeof *g->dt);
        if (!g->bit || !g->dt) mls_error_set(m->e, "no memory");
    } else {
        shape.steps = g->as == ROWS ? rows : g->pixels;
        shape.features = g->as == ROWS ? columns : 1;
    }
    g->s = m->e->set ? NULL : mls_samples_open(m, part, &shape);
    return g->s ? g : NULL;
}

static int64_t events(const mls_images *g, const uint8_t *pixels)
{
    int64_t n = 0, before = -1;
    int last = -1;
    for (int64_t i = 0; i < g->pixels && n < g->longest; i++) {
        const int bit = pixels[i] > g->threshold;
        if (bit == last) continue;
        g->bit[n] = (float)bit;
        g->dt[n++] = (float)(i - before);
        before = i;
        last = bit;
    }
    return n;
}

void mls_images_add(mls_images *g, const uint8_t *pixels, int32_t label)
{
    mls_samples_row r = { .x = pixels, .label = &label };
    r.steps = g->as == EVENTS ? events(g, pixels) : 1;
    if (g->as == EVENTS) {
        r.x = g->bit;
        r.dt = g->dt;
    }
    mls_samples_add(g->s, &r);
}

void mls_images_close(mls_images *g)
{
    if (g) mls_samples_close(g->s);
}
