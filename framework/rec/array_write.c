#include "rec/array_write.h"

#include "rec/h5.h"
#include "rec/record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct job { const char *path; };

/* libhdf5 may die of a damaged file: tried in a child first. */
static int opens(void *arg)
{
    const hid_t f = H5Fopen(((struct job *)arg)->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (f < 0) return 0;
    H5Fclose(f);
    return 1;
}

static hid_t open_or_create(const char *path, mls_error *e)
{
    struct job j = { path };
    char why[300];
    if (access(path, F_OK)) return mls_rec_create(path, 0, 0, e);
    if (access(path, W_OK)) {
        mls_error_set(e, "%s: %s", path, strerror(errno));
        return -1;
    }
    if (H5Fis_hdf5(path) <= 0 || !mls_rec_survives(opens, &j)) {
        mls_error_set(e, "%s: exists and is no whole HDF5 file; nothing was written", path);
        return -1;
    }
    const hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    if (f < 0) {
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s: cannot be opened for writing: %s", path, why);
    }
    return f;
}

/* 1 when something is called so already; H5Lexists wants every group on the way. */
static int exists(hid_t f, const char *name)
{
    char part[1024];
    for (const char *p = name; *p;) {
        const char *slash = strchr(p + (*p == '/'), '/');
        const size_t n = slash ? (size_t)(slash - name) : strlen(name);
        if (n >= sizeof part) return 0;
        memcpy(part, name, n);
        part[n] = '\0';
        if (n && strcmp(part, "/") && H5Lexists(f, part, H5P_DEFAULT) <= 0) return 0;
        if (!slash) return 1;
        p = slash;
    }
    return 1;
}

int mls_array_write(const char *path, const char *name, const float *data, int rank,
                    const int64_t *dim, mls_error *e)
{
    hsize_t size[4];
    char why[300];
    if (!*name || !strcmp(name, "/") || strlen(name) > 1000) {
        mls_error_set(e, "%s: a data set needs a name of 1 to 1000 bytes", path);
        return 0;
    }
    mls_rec_init();
    const hid_t f = open_or_create(path, e);
    if (f < 0) return 0;
    int64_t count = 1;
    for (int i = 0; i < rank; i++) {
        size[i] = (hsize_t)dim[i];
        count *= dim[i];
    }
    if (exists(f, name)) {
        mls_error_set(e, "%s: has a data set \"%s\" already", path, name);
        H5Fclose(f);
        return 0;
    }
    const hid_t s = H5Screate_simple(rank, size, NULL), links = mls_rec_links();
    const hid_t d = s >= 0 && links >= 0
        ? H5Dcreate2(f, name, H5T_NATIVE_FLOAT, s, links, H5P_DEFAULT, H5P_DEFAULT) : -1;
    int ok = d >= 0 && (!count || H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL,
                                           H5P_DEFAULT, data) >= 0);
    if (ok) ok = H5Fflush(f, H5F_SCOPE_LOCAL) >= 0;
    if (!ok) {
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s: \"%s\" cannot be written: %s", path, name, why);
    }
    if (d >= 0) H5Dclose(d);
    if (links >= 0) H5Pclose(links);
    if (s >= 0) H5Sclose(s);
    if (H5Fclose(f) < 0 && ok) {
        mls_error_set(e, "%s: cannot be closed", path);
        ok = 0;
    }
    return ok;
}
