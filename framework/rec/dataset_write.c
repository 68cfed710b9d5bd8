#include "rec/dataset_write.h"

#include "rec/h5.h"
#include "rec/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 64, CHUNK = 1 << 18 };

typedef struct column {
    hid_t   set, type;
    int     rank;
    hsize_t dim[4];              /* dim[0]: rows on disk                               */
    size_t  row, kept, room;     /* bytes of a row; rows in buffer, rows it holds      */
    char   *buffer;
    char    name[100];
} column;

struct mls_dataset {
    mls_arena  a;
    mls_error *e;
    char      *path, *part;
    hid_t      file;
    column     column[COLUMNS];
    int        n;
};

static int failed(mls_dataset *d, const char *name, const char *what)
{
    char why[300];
    mls_rec_why(why, sizeof why);
    mls_error_set(d->e, "%s: \"%s\" cannot be %s: %s", d->path, name, what, why);
    return 0;
}

mls_dataset *mls_dataset_create(const char *path, mls_error *e)
{
    if (e->set) return NULL;
    if (access(path, F_OK) == 0) {
        mls_error_set(e, "%s: exists already; nothing is ever written over", path);
        return NULL;
    }
    mls_dataset *d = calloc(1, sizeof *d);
    if (!d) {
        mls_error_set(e, "%s: no memory", path);
        return NULL;
    }
    d->e = e;
    d->path = mls_arena_strdup(&d->a, path);
    d->part = mls_arena_printf(&d->a, "%s.%ld.part", path, (long)getpid());
    d->file = d->path && d->part ? mls_rec_create(d->part, 0, 0, e) : -1;
    if (d->file < 0) {
        mls_error_set(e, "%s: cannot be created", path);
        mls_dataset_abandon(d);
        return NULL;
    }
    return d;
}

static hid_t type_of(mls_cell cell)
{
    switch (cell) {
    case MLS_CELL_U8: return H5T_NATIVE_UINT8;
    case MLS_CELL_I32: return H5T_NATIVE_INT32;
    case MLS_CELL_I64: return H5T_NATIVE_INT64;
    case MLS_CELL_F32: return H5T_NATIVE_FLOAT;
    default: return H5T_NATIVE_DOUBLE;
    }
}

/* The empty data set on disk. */
static hid_t make(mls_dataset *d, const char *name, const column *c)
{
    hsize_t most[4], chunk[4];
    memcpy(most, c->dim, sizeof most);
    memcpy(chunk, c->dim, sizeof chunk);
    most[0] = H5S_UNLIMITED;
    chunk[0] = c->room;
    const hid_t space = H5Screate_simple(c->rank, c->dim, most), links = mls_rec_links();
    const hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set = -1;
    if (space >= 0 && links >= 0 && p >= 0 && H5Pset_chunk(p, c->rank, chunk) >= 0 &&
        H5Pset_shuffle(p) >= 0 && H5Pset_deflate(p, 1) >= 0)
        set = H5Dcreate2(d->file, name, c->type, space, links, p, H5P_DEFAULT);
    if (p >= 0) H5Pclose(p);
    if (links >= 0) H5Pclose(links);
    if (space >= 0) H5Sclose(space);
    return set;
}

int mls_dataset_column(mls_dataset *d, const char *name, mls_cell cell, int rank,
                       const int64_t *dim)
{
    if (d->e->set) return -1;
    if (d->n == COLUMNS || rank < 0 || rank > 3) {
        mls_error_set(d->e, "%s: \"%s\": more than %d data sets or 4 axes", d->path, name,
                      COLUMNS);
        return -1;
    }
    column *c = &d->column[d->n];
    *c = (column){ .type = type_of(cell), .rank = rank + 1 };
    snprintf(c->name, sizeof c->name, "%s", name);
    c->row = H5Tget_size(c->type);
    for (int i = 0; i < rank; i++) {
        c->dim[i + 1] = (hsize_t)dim[i];
        if (dim[i] < 1 || __builtin_mul_overflow(c->row, (size_t)dim[i], &c->row) ||
            c->row > (size_t)1 << 31) {
            mls_error_set(d->e, "%s: \"%s\": a row of %lld x ... values is not possible",
                          d->path, name, (long long)dim[i]);
            return -1;
        }
    }
    c->room = c->row < CHUNK ? CHUNK / c->row : 1;
    c->buffer = malloc(c->room * c->row);
    if (!c->buffer) {
        mls_error_set(d->e, "%s: no memory for \"%s\"", d->path, name);
        return -1;
    }
    c->set = make(d, name, c);
    if (c->set < 0) {
        free(c->buffer);
        failed(d, name, "made");
        return -1;
    }
    return d->n++;
}

static int flush(mls_dataset *d, column *c)
{
    if (!c->kept || d->e->set) return !d->e->set;
    hsize_t from[4] = { c->dim[0], 0, 0, 0 }, count[4];
    memcpy(count, c->dim, sizeof count);
    count[0] = c->kept;
    c->dim[0] += c->kept;
    int ok = H5Dset_extent(c->set, c->dim) >= 0;
    const hid_t where = ok ? H5Dget_space(c->set) : -1;
    const hid_t here = H5Screate_simple(c->rank, count, NULL);
    ok = where >= 0 && here >= 0 &&
         H5Sselect_hyperslab(where, H5S_SELECT_SET, from, NULL, count, NULL) >= 0 &&
         H5Dwrite(c->set, c->type, here, where, H5P_DEFAULT, c->buffer) >= 0;
    c->kept = 0;
    if (!ok) failed(d, c->name, "written");
    if (here >= 0) H5Sclose(here);
    if (where >= 0) H5Sclose(where);
    return ok;
}

int mls_dataset_append(mls_dataset *d, int column_, int64_t rows, const void *values)
{
    if (d->e->set || column_ < 0 || column_ >= d->n) return 0;
    column *c = &d->column[column_];
    const char *from = values;
    while (rows > 0) {
        size_t n = c->room - c->kept;
        if (n > (size_t)rows) n = (size_t)rows;
        memcpy(c->buffer + c->kept * c->row, from, n * c->row);
        c->kept += n;
        from += n * c->row;
        rows -= (int64_t)n;
        if (c->kept == c->room && !flush(d, c)) return 0;
    }
    return 1;
}

int64_t mls_dataset_rows(const mls_dataset *d, int column_)
{
    const column *c = &d->column[column_];
    return column_ < 0 ? 0 : (int64_t)(c->dim[0] + c->kept);
}

int mls_dataset_real(mls_dataset *d, int column_, const char *attribute, double value)
{
    if (d->e->set || column_ < 0) return 0;
    return mls_rec_number(d->column[column_].set, attribute, H5T_NATIVE_DOUBLE, 1, &value)
        || failed(d, attribute, "written");
}

int mls_dataset_text(mls_dataset *d, int column_, const char *attribute, const char *value)
{
    if (d->e->set) return 0;
    return mls_rec_text(column_ < 0 ? d->file : d->column[column_].set, attribute, value)
        || failed(d, attribute, "written");
}

/* Everything of HDF5 is closed; 0 when that failed. */
static int close_all(mls_dataset *d)
{
    int ok = 1;
    for (int i = 0; i < d->n; i++) {
        ok &= H5Dclose(d->column[i].set) >= 0;
        free(d->column[i].buffer);
    }
    d->n = 0;
    if (d->file >= 0) ok &= H5Fclose(d->file) >= 0;
    d->file = -1;
    return ok;
}

static void forget(mls_dataset *d)
{
    mls_arena_free(&d->a);
    free(d);
}

void mls_dataset_abandon(mls_dataset *d)
{
    if (!d) return;
    close_all(d);
    if (d->part) unlink(d->part);
    forget(d);
}

int mls_dataset_finish(mls_dataset *d)
{
    for (int i = 0; i < d->n; i++) flush(d, &d->column[i]);
    if (!d->e->set && H5Fflush(d->file, H5F_SCOPE_LOCAL) < 0)
        failed(d, "/", "written");
    if (!close_all(d)) mls_error_set(d->e, "%s: cannot be closed", d->part);
    const int ok = !d->e->set && mls_rec_move(d->part, d->path, d->e);
    if (!ok) unlink(d->part);
    forget(d);
    return ok;
}
