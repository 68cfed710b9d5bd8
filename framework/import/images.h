/* images.h - grey images of one size into samples, for every format of images.          */
#ifndef MLS_IMPORT_IMAGES_H
#define MLS_IMPORT_IMAGES_H

#include "import/import.h"

/* Rows of an importer's table of options: what becomes of an image. */
#define MLS_IMAGE_OPTIONS \
    { "as", "pixels|rows|events", \
      "a step is a pixel, a row of pixels, or a change along the pixels" }, \
    { "threshold", "N", "events: a pixel above N is 1, else 0 (128)" }, \
    { "longest", "N", "events: at most N of an image, the rest is left out (256)" }

typedef struct mls_images mls_images;

mls_images *mls_images_open(mls_import *m, int part, int64_t rows, int64_t columns);
void mls_images_add(mls_images *g, const uint8_t *pixels, int32_t label);
void mls_images_close(mls_images *g);

#endif
