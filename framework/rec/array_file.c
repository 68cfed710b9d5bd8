/* The extension "mls.array-file/1": what a task reads its data with. */
#include "rec/array_file.h"
#include "rec/h5.h"
#include "rec/npy.h"
#include "rec/record.h"
#include "grad/ctx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 256 };

static void absent(mls_array_set *j, hid_t f)
{
    mls_arena a = { 0 };
    const char **names = mls_arena_zalloc(&a, NAMES * sizeof *names);
    char list[1500] = "";
    size_t used = 0;
    const int n = names ? mls_rec_names(f, "/", names, NAMES, &a) : 0;
    const char *word = j->dataset + (j->dataset[0] == '/');
    for (int i = 0; i < n && used + strlen(names[i]) + 8 < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 names[i]);
    const char *near = n ? mls_error_nearest(word, names, n) : NULL;
    j->absent = 1;
    if (near)
        mls_error_set(j->e,
                      "%s: has no data set \"%s\"; did you mean \"%s\"? It has: %s",
                      j->path, j->dataset, near, list);
    else
        mls_error_set(j->e, "%s: has no data set \"%s\". It has: %s", j->path,
                      j->dataset, n ? list : "none");
    mls_arena_free(&a);
}

static const char *class_name(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_STRING: return "text";
    case H5T_COMPOUND: return "a compound of several fields";
    case H5T_ENUM: return "an enumeration";
    case H5T_VLEN: return "lists of different lengths";
    case H5T_REFERENCE: return "references";
    default: return "something else";
    }
}

static int set_shape(mls_array_set *j, hid_t space)
{
    hsize_t dim[H5S_MAX_RANK];
    j->rank = H5Sget_simple_extent_ndims(space);
    if (j->rank < 0 || j->rank > 4 || H5Sget_simple_extent_type(space) == H5S_NULL ||
        H5Sget_simple_extent_dims(space, dim, NULL) < 0) {
        mls_error_set(j->e, "%s: \"%s\" has %d axes; 0 to 4 can be read", j->path,
                      j->dataset, j->rank);
        return 0;
    }
    for (int i = 0; i < 4; i++) j->dim[i] = i < j->rank ? (int64_t)dim[i] : 1;
    return 1;
}

/* A damaged shape must not ask for memory that the file's numbers cannot fill. */
static int promises_too_much(hid_t d, hid_t type, int64_t count)
{
    hid_t p = H5Dget_create_plist(d);
    const int whole = p >= 0 && H5Pget_layout(p) == H5D_CONTIGUOUS;
    if (p >= 0) H5Pclose(p);
    const hsize_t stored = whole ? H5Dget_storage_size(d) : 0;
    return stored && (uint64_t)count > stored / H5Tget_size(type);
}

/* Whole numbers that stand for fractions: each is to be multiplied by the attribute
 * scale_factor, as in the CF conventions of netCDF.                                     */
static void scale(const char *path, const char *name, hid_t d, float *x, int64_t count,
                  mls_error *e)
{
    double factor = 1.0;
    if (H5Aexists(d, "scale_factor") <= 0) return;
    const hid_t at = H5Aopen(d, "scale_factor", H5P_DEFAULT);
    const hid_t space = at >= 0 ? H5Aget_space(at) : -1;
    if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
        H5Aread(at, H5T_NATIVE_DOUBLE, &factor) < 0)
        mls_error_set(e, "%s: the scale_factor of \"%s\" is not one number", path, name);
    if (space >= 0) H5Sclose(space);
    if (at >= 0) H5Aclose(at);
    for (int64_t i = 0; factor != 1.0 && i < count; i++)
        x[i] = (float)((double)x[i] * factor);
}

void mls_array_set_read(mls_array_set *j, hid_t f)
{
    hid_t d = H5Dopen2(f, j->dataset, H5P_DEFAULT);
    if (d < 0) {
        absent(j, f);
        return;
    }
    hid_t type = H5Dget_type(d), space = H5Dget_space(d);
    const H5T_class_t k = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    char why[300];
    int64_t count = 1;
    if (type < 0 || space < 0) {
        mls_error_set(j->e, "%s: \"%s\" cannot be read", j->path, j->dataset);
    } else if (k != H5T_INTEGER && k != H5T_FLOAT) {
        mls_error_set(j->e, "%s: \"%s\" holds %s, where numbers are expected", j->path,
                      j->dataset, class_name(type));
    } else if (set_shape(j, space)) {
        int big = 0;
        for (int i = 0; i < 4; i++)
            big |= __builtin_mul_overflow(count, j->dim[i], &count);
        big = big || promises_too_much(d, type, count);
        j->data = big || count > INT64_MAX / 8 ? NULL
                : mls_arena_alloc(j->a, (size_t)(count + 1) * sizeof *j->data);
        if (!j->data) {
            mls_error_set(j->e, "%s: \"%s\" is larger than its file or the memory",
                          j->path, j->dataset);
        } else if (count && H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                    j->data) < 0) {
            mls_rec_why(why, sizeof why);
            mls_error_set(j->e, "%s: \"%s\" cannot be read: %s", j->path, j->dataset,
                          why);
            j->data = NULL;
        } else {
            scale(j->path, j->dataset, d, j->data, count, j->e);
        }
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Dclose(d);
}

static void read_file(mls_array_set *j)
{
    hid_t f = mls_rec_open(j->path, j->e);
    if (f < 0) return;
    mls_array_set_read(j, f);
    H5Fclose(f);
}

/* The child says with its status only that libhdf5 lived; the parent then finds the
 * same errors, with their text.                                                         */
static int lives(void *arg)
{
    mls_array_set j = *(mls_array_set *)arg;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    j.a = &a;
    j.e = &e;
    read_file(&j);
    return 1;
}

static int read_array(mls_ctx *c, const char *path, const char *dataset, int optional,
                      mls_array *out)
{
    *out = (mls_array){ 0 };
    if (c->error->set) return 0;
    mls_error e = { 0 };
    mls_array_set j = {
        .path = path, .dataset = dataset ? dataset : "", .a = c->network, .e = &e
    };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        mls_error_set(c->error, "%s: %s", path, strerror(errno));
        return 0;
    }
    close(fd);
    mls_rec_init();
    if (mls_rec_is_npy(path)) {
        if (j.dataset[0]) {
            j.absent = 1;
            mls_error_set(&e, "%s: a .npy file has no data sets, so none called \"%s\"",
                          path, j.dataset);
        } else {
            j.data = mls_rec_read_npy(path, c->network, &j.rank, j.dim, &e);
        }
    } else if (H5Fis_hdf5(path) <= 0) {
        mls_error_set(&e, "%s: is neither an HDF5 nor a .npy file", path);
    } else if (!j.dataset[0]) {
        mls_error_set(&e, "%s: is an HDF5 file: name a data set in it", path);
    } else if (!mls_rec_survives(lives, &j)) {
        mls_error_set(&e, "%s: is damaged so that libhdf5 crashes on it", path);
    } else {
        read_file(&j);
    }
    if (e.set && !(j.absent && optional)) mls_error_set(c->error, "%s", e.text);
    if (e.set) return 0;
    *out = (mls_array){ j.data, j.rank, { j.dim[0], j.dim[1], j.dim[2], j.dim[3] } };
    return 1;
}

const mls_array_file mls_rec_array_file = { sizeof(mls_array_file), read_array };
