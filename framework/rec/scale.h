/* scale.h - dimension scales as the HDF5 "Dimension Scale" specification and netCDF-4
 * want them (attributes CLASS, NAME, DIMENSION_LIST, DIMENSION_LABELS, REFERENCE_LIST),
 * written here so that only libhdf5 itself is needed and not its high-level library.   */
#ifndef MLS_REC_SCALE_H
#define MLS_REC_SCALE_H

#include "rec/h5.h"

typedef struct mls_scale_use { hobj_ref_t set; int axis; } mls_scale_use;

typedef struct mls_scale {
    const char    *path;
    mls_scale_use *use;
    int            n, room;
} mls_scale;

typedef struct mls_scales {
    mls_arena *arena;
    mls_scale *scale;
    int        n, room;
} mls_scales;

/* Gives data set `set` its scales: path[i] and the axis's name label[i]. */
int mls_scales_attach(mls_scales *s, hid_t file, const char *set, int rank,
                      const char *const *path, const char *const *label);
/* A fixed scale start, start + step, ...; f64 with a unit, or i64 without.  Made once. */
int mls_scales_range(mls_scales *s, hid_t file, const char *path, int64_t n, double step,
                     const char *unit, const char *name);
/* Marks the scales and notes who uses them: once, after all attaching. */
int mls_scales_finish(mls_scales *s, hid_t file);

#endif
