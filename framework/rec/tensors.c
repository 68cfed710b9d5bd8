#include "rec/tensors.h"

#include "rec/array_file.h"
#include "rec/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 100000 };

struct job { const char *path, *prefer; mls_bundle *b; mls_error *e; };

static void read_sets(const struct job *j, hid_t f)
{
    mls_arena *a = j->b->arena;
    const char **names = mls_arena_zalloc(a, MOST * sizeof *names);
    if (!names) {
        mls_error_set(j->e, "%s: out of memory", j->path);
        return;
    }
    int n = j->prefer ? mls_rec_names(f, j->prefer, names, MOST, a) : 0;
    /* a data set of that name is its own only "member", called "." */
    const int below = n > 0 && strcmp(names[0], ".");
    if (!below) n = mls_rec_names(f, "/", names, MOST, a);
    for (int i = 0; i < n && !j->e->set; i++) {
        mls_array_set s = { .path = j->path, .a = a, .e = j->e };
        s.dataset = below ? mls_arena_printf(a, "%s/%s", j->prefer, names[i]) : names[i];
        mls_array_set_read(&s, f);
        if (!j->e->set) mls_bundle_add(j->b, names[i], MLS_B_F32, s.data, s.rank, s.dim);
    }
}

static void read_file(const struct job *j)
{
    const hid_t f = mls_rec_open(j->path, j->e);
    if (f < 0) return;
    read_sets(j, f);
    H5Fclose(f);
}

/* Says with its status only that libhdf5 lived; the parent finds the same errors again. */
static int lives(void *arg)
{
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_bundle b = { .arena = &a };
    const struct job *asked = arg;
    read_file(&(struct job){ asked->path, asked->prefer, &b, &e });
    return 1;
}

int mls_tensors_safe(const char *path)
{
    static const char end[] = ".safetensors";
    const size_t n = strlen(path), k = sizeof end - 1;
    return n > k && !strcmp(path + n - k, end);
}

int mls_tensors_read(const char *path, const char *prefer, mls_bundle *b, mls_error *e)
{
    struct job j = { path, prefer, b, e };
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        mls_error_set(e, "%s: %s", path, strerror(errno));
        return 0;
    }
    close(fd);
    mls_rec_init();
    if (H5Fis_hdf5(path) > 0) {
        if (mls_rec_survives(lives, &j)) read_file(&j);
        else mls_error_set(e, "%s: is damaged so that libhdf5 crashes on it", path);
    } else if (mls_tensors_safe(path)) {
        mls_safetensors_read(path, b, e);
    } else {
        mls_error_set(e, "%s: is no HDF5 file (and is not called .safetensors)", path);
    }
    return !e->set;
}

static int write_row(hid_t f, hid_t links, const mls_bundle_row *r)
{
    hsize_t dim[4];
    int64_t count = 1;
    for (int i = 0; i < r->rank; i++) {
        dim[i] = (hsize_t)r->dim[i];
        count *= r->dim[i];
    }
    const hid_t s = r->rank ? H5Screate_simple(r->rank, dim, NULL) : H5Screate(H5S_SCALAR);
    const hid_t d = s < 0 ? -1 : H5Dcreate2(f, r->name, H5T_NATIVE_FLOAT, s, links, H5P_DEFAULT,
                                            H5P_DEFAULT);
    int ok = d >= 0 && (!count || H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                           r->data) >= 0);
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    if (s >= 0) H5Sclose(s);
    return ok;
}

static int write_file(const char *path, const mls_bundle *b, mls_error *e)
{
    const hid_t f = mls_rec_create(path, 0, 0, e);
    if (f < 0) return 0;
    const hid_t links = mls_rec_links();
    int ok = links >= 0;
    for (int i = 0; ok && i < b->n; i++) {
        ok = write_row(f, links, &b->row[i]);
        if (ok) continue;
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s: \"%s\" cannot be written: %s (%.1f MB free there)", path,
                      b->row[i].name, why, (double)mls_rec_free_space(path) / 1e6);
    }
    if (links >= 0) H5Pclose(links);
    /* after a write that failed libhdf5 can crash when it closes */
    if (ok && H5Fclose(f) < 0) ok = 0;
    if (!ok) mls_error_set(e, "%s: cannot be written", path);
    return ok;
}

int mls_tensors_write(const char *path, const mls_bundle *b, mls_error *e)
{
    char temporary[4096];
    if (mls_tensors_safe(path)) return mls_safetensors_write(path, b, e);
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        mls_error_set(e, "%.200s...: the path is too long", path);
        return 0;
    }
    const int ok = write_file(temporary, b, e) && mls_rec_move(temporary, path, e);
    if (!ok) unlink(temporary);
    return ok;
}
