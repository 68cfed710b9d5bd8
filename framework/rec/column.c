#include "rec/column.h"

#include <math.h>
#include <string.h>

enum { TARGET = 32768, MARGIN = 1 << 20 };

int mls_column_plan(mls_column *c, const char *path, hid_t type, int rank,
                    const int64_t *dim, int64_t chunk_items, unsigned flags,
                    mls_arena *a, mls_error *e)
{
    *c = (mls_column){ .path = mls_arena_strdup(a, path), .set = -1, .type = type,
                       .rank = rank, .flags = flags, .item = H5Tget_size(type) };
    for (int i = 1; i < rank; i++) {
        c->dim[i] = c->chunk[i] = (hsize_t)dim[i];
        c->item *= (size_t)dim[i];
    }
    if (!chunk_items) {
        chunk_items = (int64_t)(TARGET / c->item);
        if (chunk_items < 1) {
            /* one record is many chunks: cut time and units, so that the trace of a few
             * units and the slice of a moment both read little */
            chunk_items = 1;
            if (rank > 1 && c->chunk[1] > 256) c->chunk[1] = 256;
            if (rank > 2 && c->chunk[rank - 1] > 128) c->chunk[rank - 1] = 128;
            while (rank > 3 && c->chunk[2] > 1 &&
                   c->chunk[1] * c->chunk[2] * c->chunk[3] > 262144)
                c->chunk[2] = (c->chunk[2] + 1) / 2;
        }
        if (chunk_items > 64) chunk_items = 64;
    }
    c->chunk[0] = (hsize_t)chunk_items;
    c->buffer = mls_arena_zalloc(a, (size_t)chunk_items * c->item);
    if (c->path && c->buffer) return 1;
    mls_error_set(e, "out of memory for the recording of %s (%zu bytes)", path,
                  (size_t)chunk_items * c->item);
    return 0;
}

static int failed(const mls_column *c, const char *doing, mls_error *e)
{
    char why[300];
    mls_rec_why(why, sizeof why);
    mls_error_set(e, "%s: %s could not be %s: %s (%.1f MB free there)", c->file,
                  c->path, doing, why, (double)mls_rec_free_space(c->file) / 1e6);
    return 0;
}

int mls_column_create(mls_column *c, hid_t file, mls_error *e)
{
    hsize_t now[4] = { 0, 0, 0, 0 }, most[4] = { H5S_UNLIMITED, 0, 0, 0 };
    for (int i = 1; i < c->rank; i++) now[i] = most[i] = c->dim[i];
    const float nan_value = NAN;
    hid_t space = H5Screate_simple(c->rank, now, most);
    hid_t p = H5Pcreate(H5P_DATASET_CREATE), links = mls_rec_links();
    int ok =
        space >= 0 && p >= 0 && links >= 0 && H5Pset_chunk(p, c->rank, c->chunk) >= 0;
    if (c->flags & MLS_REC_NAN)
        ok = ok && H5Pset_fill_value(p, H5T_NATIVE_FLOAT, &nan_value) >= 0;
    if (c->flags & MLS_REC_GZIP)
        ok = ok && H5Pset_shuffle(p) >= 0 && H5Pset_deflate(p, 2) >= 0;
    ok = ok && H5Pset_fletcher32(p) >= 0;
    if (ok) c->set = H5Dcreate2(file, c->path, c->type, space, links, p, H5P_DEFAULT);
    if (links >= 0) H5Pclose(links);
    if (p >= 0) H5Pclose(p);
    if (space >= 0) H5Sclose(space);
    return c->set >= 0 ? 1 : failed(c, "created", e);
}

int mls_column_open(mls_column *c, hid_t file, mls_error *e)
{
    size_t bytes = H5Tget_size(c->type);
    for (int i = 0; i < c->rank; i++) bytes *= (size_t)c->chunk[i];
    hid_t p = H5Pcreate(H5P_DATASET_ACCESS);
    if (p >= 0 && H5Pset_chunk_cache(p, 11, 2 * bytes, 1.0) >= 0)
        c->set = H5Dopen2(file, c->path, p);
    if (p >= 0) H5Pclose(p);
    return c->set >= 0 ? 1 : failed(c, "opened", e);
}

void mls_column_close(mls_column *c)
{
    if (c->set >= 0) H5Dclose(c->set);
    c->set = -1;
}

void *mls_column_next(const mls_column *c)
{
    return c->buffer + (size_t)c->held * c->item;
}

int mls_column_push(mls_column *c, mls_error *e)
{
    c->held++;
    if ((c->done + c->held) % (int64_t)c->chunk[0]) return 1;
    return mls_column_write(c, e);
}

/* What is written at a time never crosses a chunk, so the extent, the chunk and its
 * index reach the file in an order that every prefix of can be read (SWMR).             */
int mls_column_write(mls_column *c, mls_error *e)
{
    if (!c->held) return 1;
    const size_t bytes = (size_t)c->held * c->item;
    const int64_t room = mls_rec_free_space(c->file);
    if (room >= 0 && (uint64_t)room < bytes + MARGIN) {
        mls_error_set(
            e,
            "%s: the disk is full: %.1f MB are free and %s needs %.1f MB; what "
            "was recorded so far is safe",
            c->file, (double)room / 1e6, c->path, (double)(bytes + MARGIN) / 1e6);
        return 0;
    }
    hsize_t size[4], start[4] = { (hsize_t)c->done, 0, 0, 0 }, count[4];
    for (int i = 0; i < c->rank; i++) size[i] = count[i] = c->dim[i];
    size[0] = (hsize_t)(c->done + c->held);
    count[0] = (hsize_t)c->held;
    hid_t in_file = -1, in_memory = -1;
    int ok = H5Dset_extent(c->set, size) >= 0;
    if (ok) in_file = H5Dget_space(c->set);
    if (ok) in_memory = H5Screate_simple(c->rank, count, NULL);
    ok = ok && in_file >= 0 && in_memory >= 0 &&
         H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
         H5Dwrite(c->set, c->type, in_memory, in_file, H5P_DEFAULT, c->buffer) >= 0 &&
         H5Dflush(c->set) >= 0;
    if (!ok) failed(c, "written", e);
    if (in_memory >= 0) H5Sclose(in_memory);
    if (in_file >= 0) H5Sclose(in_file);
    if (!ok) return 0;
    c->done += c->held;
    c->held = 0;
    return 1;
}

int64_t mls_column_found(const mls_column *c, hid_t from, mls_error *e)
{
    hid_t d = H5Dopen2(from, c->path, H5P_DEFAULT), s = -1, t = -1;
    if (d < 0) return 0;
    hsize_t dim[H5S_MAX_RANK] = { 0 };
    int64_t n = -1;
    s = H5Dget_space(d);
    t = H5Dget_type(d);
    if (s >= 0 && t >= 0 && H5Sget_simple_extent_ndims(s) == c->rank &&
        H5Sget_simple_extent_dims(s, dim, NULL) == c->rank &&
        H5Tget_class(t) == H5Tget_class(c->type) &&
        H5Tget_size(t) == H5Tget_size(c->type)) {
        n = (int64_t)dim[0];
        for (int i = 1; i < c->rank; i++)
            if (dim[i] != c->dim[i]) n = -1;
    }
    if (n < 0) {
        char name[1024] = "";
        H5Fget_name(d, name, sizeof name);
        mls_error_set(e, "%s: %s has another shape than this run records", name,
                      c->path);
    }
    if (t >= 0) H5Tclose(t);
    if (s >= 0) H5Sclose(s);
    H5Dclose(d);
    return n;
}

static int transfer(const mls_column *c, hid_t d, int64_t at, int64_t n, hid_t how,
                    void *out)
{
    hsize_t start[4] = { (hsize_t)at, 0, 0, 0 }, count[4];
    for (int i = 0; i < c->rank; i++) count[i] = c->dim[i];
    count[0] = (hsize_t)n;
    hid_t in_file = H5Dget_space(d), in_memory = H5Screate_simple(c->rank, count, NULL);
    const int ok = in_file >= 0 && in_memory >= 0 &&
        H5Sselect_hyperslab(in_file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
        H5Dread(d, c->type, in_memory, in_file, how, out) >= 0;
    if (in_memory >= 0) H5Sclose(in_memory);
    if (in_file >= 0) H5Sclose(in_file);
    return ok;
}

/* One block within a chunk of the data set d of `total` items.  The last chunk may have
 * been grown in place by a writer who was killed within the write: its old items are
 * intact though the checksum is neither's.                                              */
static int block(mls_column *c, hid_t d, int64_t total, int64_t at, int64_t n,
                 void *out)
{
    if (transfer(c, d, at, n, H5P_DEFAULT, out)) return 1;
    const int64_t chunk = (int64_t)c->chunk[0];
    if (at / chunk != (total - 1) / chunk) return 0;
    hid_t lax = H5Pcreate(H5P_DATASET_XFER);
    const int ok = lax >= 0 && H5Pset_edc_check(lax, H5Z_DISABLE_EDC) >= 0 &&
                   transfer(c, d, at, n, lax, out);
    if (lax >= 0) H5Pclose(lax);
    c->torn |= ok;
    return ok;
}

/* Blocks of [at, at + n), to `out` one after the other, or through the buffer to this
 * column's own end.                                                                     */
static int blocks(mls_column *c, hid_t from, int64_t at, int64_t n, char *out,
                  mls_error *e)
{
    const int64_t total = n ? mls_column_found(c, from, e) : 0, end = at + n;
    const int64_t chunk = (int64_t)c->chunk[0];
    if (!n) return 1;
    hid_t d = end <= total ? H5Dopen2(from, c->path, H5P_DEFAULT) : -1;
    int ok = d >= 0;
    while (ok && at < end) {
        int64_t k = chunk - at % chunk;
        if (k > end - at) k = end - at;
        ok = block(c, d, total, at, k, out ? out : c->buffer);
        if (ok && out) {
            out += (size_t)k * c->item;
        } else if (ok) {
            c->held = k;
            ok = mls_column_write(c, e);
        }
        at += k;
    }
    if (!ok && !e->set) {
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s cannot be read near item %lld: %s", c->path, (long long)at,
                      why);
    }
    if (d >= 0) H5Dclose(d);
    return ok;
}

int mls_column_read(mls_column *c, hid_t from, int64_t at, int64_t n, void *out,
                    mls_error *e)
{
    return blocks(c, from, at, n, out, e);
}

int mls_column_copy(mls_column *c, hid_t from, int64_t n, mls_error *e)
{
    return blocks(c, from, 0, n, NULL, e);
}
