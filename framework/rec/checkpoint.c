/* A checkpoint: an HDF5 file of named arrays behind a user block of 512 bytes:
 *   0  "mls-checkpoint", NUL     16 bytes
 *  16  length of the whole file  u64, little-endian
 *  24  crc32 of bytes 512..      u32
 *  28  crc32 of bytes 0..27      u32
 * It is checked before libhdf5 sees the file, because libhdf5 itself can crash on a
 * damaged one.  Other HDF5 programs skip the block.                                    */
#include "rec/h5.h"
#include "rec/record.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 512, COPY = 1 << 20 };
static const char MAGIC[16] = "mls-checkpoint";

static hid_t type_of(mls_bundle_type t)
{
    return t == MLS_B_F32 ? H5T_NATIVE_FLOAT : t == MLS_B_F64 ? H5T_NATIVE_DOUBLE
         : t == MLS_B_I64 ? H5T_NATIVE_INT64
         : t == MLS_B_U16 ? H5T_NATIVE_UINT16
         : t == MLS_B_I8  ? H5T_NATIVE_INT8  : H5T_NATIVE_UINT8;
}

static int64_t count_of(const mls_bundle_row *r)
{
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= r->dim[i];
    return n;
}

static int write_row(hid_t f, hid_t links, const mls_bundle_row *r)
{
    hsize_t dim[4];
    for (int i = 0; i < r->rank; i++) dim[i] = (hsize_t)r->dim[i];
    hid_t s = r->rank ? H5Screate_simple(r->rank, dim, NULL) : H5Screate(H5S_SCALAR),
          d = -1;
    const hid_t type = type_of(r->type);
    if (s >= 0) d = H5Dcreate2(f, r->name, type, s, links, H5P_DEFAULT, H5P_DEFAULT);
    int ok = d >= 0;
    if (ok && count_of(r) > 0)
        ok = H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, r->data) >= 0;
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    if (s >= 0) H5Sclose(s);
    return ok;
}

/* crc32 of what follows the block; *length: of the whole file. */
static int sum(int fd, uint32_t *crc, uint64_t *length)
{
    unsigned char *buffer = malloc(COPY);
    uLong c = crc32(0, NULL, 0);
    off_t at = BLOCK;
    ssize_t n = -1;
    while (buffer && (n = pread(fd, buffer, COPY, at)) > 0) {
        c = crc32(c, buffer, (uInt)n);
        at += n;
    }
    free(buffer);
    *crc = (uint32_t)c;
    *length = (uint64_t)at;
    return n == 0;
}

static void header(unsigned char out[BLOCK], uint64_t length, uint32_t crc)
{
    memset(out, 0, BLOCK);
    memcpy(out, MAGIC, sizeof MAGIC);
    length = htole64(length);
    crc = htole32(crc);
    memcpy(out + 16, &length, 8);
    memcpy(out + 24, &crc, 4);
    const uint32_t own = htole32((uint32_t)crc32(crc32(0, NULL, 0), out, 28));
    memcpy(out + 28, &own, 4);
}

static int seal(const char *path, mls_error *e)
{
    unsigned char block[BLOCK];
    uint32_t crc;
    uint64_t length;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    int ok = fd >= 0 && sum(fd, &crc, &length);
    if (ok) {
        header(block, length, crc);
        ok = pwrite(fd, block, BLOCK, 0) == BLOCK;
    }
    if (!ok)
        mls_error_set(e, "%s: the checksum cannot be written: %s", path,
                      strerror(errno));
    if (fd >= 0 && close(fd) != 0 && ok) {
        mls_error_set(e, "%s: %s", path, strerror(errno));
        ok = 0;
    }
    return ok;
}

int mls_checkpoint_save(const char *path, const mls_bundle *b, const char *note,
                        mls_error *e)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >=
        (int)sizeof temporary) {
        mls_error_set(e, "%s: the path is too long", path);
        return 0;
    }
    hid_t f = mls_rec_create(temporary, 0, BLOCK, e);
    if (f < 0) return 0;
    hid_t links = mls_rec_links();
    const char *at = "its description";
    int ok = links >= 0 && mls_rec_text(f, "format", "mls-checkpoint") &&
             mls_rec_text(f, "format_version", "1.0.0") &&
             mls_rec_text(f, "writer", "mls") &&
             mls_rec_text(f, "note", note ? note : "");
    for (int i = 0; ok && i < b->n; i++) {
        at = b->row[i].name;
        ok = write_row(f, links, &b->row[i]);
    }
    if (ok) at = "the end";
    ok = ok && H5Fflush(f, H5F_SCOPE_LOCAL) >= 0;
    if (!ok) {
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s: %s cannot be written: %s (%.1f MB free there)", temporary,
                      at, why, (double)mls_rec_free_space(temporary) / 1e6);
    }
    if (links >= 0) H5Pclose(links);
    /* once a write failed libhdf5 can crash when it closes: the system does that later */
    if (ok && H5Fclose(f) < 0) {
        mls_error_set(e, "%s: cannot be closed", temporary);
        ok = 0;
    }
    ok = ok && seal(temporary, e) && mls_rec_move(temporary, path, e);
    if (!ok) unlink(temporary);
    return ok;
}

static int sealed(const char *path, mls_error *e)
{
    unsigned char found[BLOCK], block[BLOCK];
    uint32_t crc;
    uint64_t length;
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    int ok = 0;
    if (fd < 0 || fstat(fd, &st) != 0)
        mls_error_set(e, "%s: %s", path, strerror(errno));
    else if (pread(fd, found, BLOCK, 0) != BLOCK || memcmp(found, MAGIC, sizeof MAGIC))
        mls_error_set(e, "%s: is no checkpoint of mls (its first bytes are others)",
                      path);
    else if (!sum(fd, &crc, &length))
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
    else {
        header(block, length, crc);
        ok = !memcmp(found, block, BLOCK);
        if (!ok) {
            uint64_t told;
            memcpy(&told, found + 16, 8);
            told = le64toh(told);
            if (told == length)
                mls_error_set(
                    e,
                    "%s: is damaged: its %llu bytes do not have the checksum that "
                    "they were written with",
                    path, (unsigned long long)length);
            else
                mls_error_set(
                    e, "%s: is damaged: it has %llu bytes and should have %llu", path,
                    (unsigned long long)length, (unsigned long long)told);
        }
    }
    if (fd >= 0) close(fd);
    return ok;
}

static void shape_text(char *out, size_t size, int rank, const int64_t *dim,
                       const char *type)
{
    size_t n = (size_t)snprintf(out, size, "%s [", type);
    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? " x " : "",
                              (long long)dim[i]);
    if (n < size) snprintf(out + n, size - n, "]");
}

static const char *type_name(hid_t t)
{
    return H5Tequal(t, H5T_NATIVE_FLOAT) > 0    ? "f32"
           : H5Tequal(t, H5T_NATIVE_DOUBLE) > 0 ? "f64"
           : H5Tequal(t, H5T_NATIVE_INT64) > 0  ? "i64"
           : H5Tequal(t, H5T_NATIVE_UINT8) > 0  ? "u8"
           : H5Tequal(t, H5T_NATIVE_INT8) > 0   ? "i8"
           : H5Tequal(t, H5T_NATIVE_UINT16) > 0 ? "u16"
                                                : "another type";
}

/* All that is wrong is told at once, as far as a message holds it. */
typedef struct { char text[2600]; size_t used; int n; } faults;

static void fault(faults *w, const char *what, const char *name, const char *more)
{
    w->n++;
    if (w->used + strlen(name) + strlen(more) + 32 > sizeof w->text) return;
    w->used += (size_t)snprintf(w->text + w->used, sizeof w->text - w->used,
                                "\n  %s %s%s", what, name, more);
}

static void check_row(hid_t f, const mls_bundle_row *r, faults *w)
{
    char want[128], have[128], more[300];
    hid_t d = H5Dopen2(f, r->name, H5P_DEFAULT);
    if (d < 0) {
        fault(w, "missing", r->name, "");
        return;
    }
    hid_t s = H5Dget_space(d), t = H5Dget_type(d);
    hsize_t dim[H5S_MAX_RANK] = { 0 };
    int64_t found[H5S_MAX_RANK] = { 0 };
    const int rank = s >= 0 ? H5Sget_simple_extent_dims(s, dim, NULL) : -1;
    int same = rank == r->rank && t >= 0 && H5Tequal(t, type_of(r->type)) > 0;
    for (int i = 0; i < rank; i++) {
        found[i] = (int64_t)dim[i];
        if (same && found[i] != r->dim[i]) same = 0;
    }
    if (!same) {
        shape_text(want, sizeof want, r->rank, r->dim, type_name(type_of(r->type)));
        shape_text(have, sizeof have, rank > 0 ? rank : 0, found, type_name(t));
        snprintf(more, sizeof more, ": the file has %s, the network needs %s", have,
                 want);
        fault(w, "misshapen", r->name, more);
    }
    if (t >= 0) H5Tclose(t);
    if (s >= 0) H5Sclose(s);
    H5Dclose(d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_extra(hid_t f, const mls_bundle *b, faults *w)
{
    enum { MOST = 100000 };
    mls_arena a = { 0 };
    const char **in_file = mls_arena_zalloc(&a, MOST * sizeof *in_file);
    const char **mine = mls_arena_zalloc(&a, (size_t)(b->n + 1) * sizeof *mine);
    if (in_file && mine) {
        const int n = mls_rec_names(f, "/", in_file, MOST, &a);
        for (int i = 0; i < b->n; i++)
            mine[i] = b->row[i].name + (b->row[i].name[0] == '/');
        qsort(mine, (size_t)b->n, sizeof *mine, by_name);
        for (int i = 0; i < n; i++)
            if (!bsearch(&in_file[i], mine, (size_t)b->n, sizeof *mine, by_name))
                fault(w, "extra", in_file[i], "");
    }
    mls_arena_free(&a);
}

static int load_rows(hid_t f, const char *path, mls_bundle *b, mls_error *e)
{
    for (int i = 0; i < b->n; i++) {
        const mls_bundle_row *r = &b->row[i];
        if (!count_of(r)) continue;
        hid_t d = H5Dopen2(f, r->name, H5P_DEFAULT);
        const int ok = d >= 0 && H5Dread(d, type_of(r->type), H5S_ALL, H5S_ALL,
                                         H5P_DEFAULT, r->data) >= 0;
        if (d >= 0) H5Dclose(d);
        if (ok) continue;
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "%s: %s cannot be read: %s", path, r->name, why);
        return 0;
    }
    return 1;
}

/* part: what else the file holds is no fault. */
static int load(const char *path, mls_bundle *b, int part, char **note, mls_arena *a,
                mls_error *e)
{
    if (note) *note = NULL;
    if (!sealed(path, e)) return 0;
    hid_t f = mls_rec_open(path, e);
    if (f < 0) return 0;
    mls_arena here = { 0 };
    faults *w = mls_arena_zalloc(&here, sizeof *w);
    const char *version = mls_rec_read_text(f, "format_version", &here);
    if (!w) {
        mls_error_set(e, "%s: out of memory", path);
    } else if (!version || strncmp(version, "1.", 2)) {
        mls_error_set(e, "%s: format version %s, this program reads 1.x", path,
                      version ? version : "is absent");
    } else {
        for (int i = 0; i < b->n; i++) check_row(f, &b->row[i], w);
        if (!part) check_extra(f, b, w);
        if (w->n)
            mls_error_set(e, "%s: does not fit this network (%d of its arrays):%s%s",
                          path, w->n, w->text,
                          w->used + 400 > sizeof w->text ? "\n  ..." : "");
        else if (load_rows(f, path, b, e) && note)
            *note = mls_rec_read_text(f, "note", a);
    }
    mls_arena_free(&here);
    H5Fclose(f);
    return !e->set;
}

int mls_checkpoint_load(const char *path, mls_bundle *b, char **note, mls_arena *a,
                        mls_error *e)
{
    return load(path, b, 0, note, a, e);
}

int mls_checkpoint_load_part(const char *path, mls_bundle *b, mls_arena *a, mls_error *e)
{
    return load(path, b, 1, NULL, a, e);
}

char *mls_checkpoint_note(const char *path, mls_arena *a, mls_error *e)
{
    mls_bundle none = { .arena = a };
    char *note = NULL;
    load(path, &none, 1, &note, a, e);
    return note;
}
