/* safetensors.c - the format of huggingface/safetensors: u64 n, little-endian; n bytes of
 * JSON { name: { dtype, shape, data_offsets: [begin, end] }, "__metadata__": { text } };
 * then the numbers, row-major, little-endian, one tensor after the other without a gap. */
#include "rec/h5.h"
#include "rec/tensors.h"

#include <endian.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER_MOST = 100000000 };                /* the limit of the reference reader */

typedef struct reading {
    const char    *path;
    mls_bundle    *b;
    mls_error     *e;
    unsigned char *data;          /* what follows the header                             */
    uint64_t       bytes;
    uint64_t      *span;          /* begin, end of each tensor                           */
    int            n;
} reading;

/* ---- numbers ------------------------------------------------------------------------ */

static float half(uint16_t h)
{
    const int sign = h >> 15, power = h >> 10 & 31;
    const double part = (double)(h & 1023) / 1024.0;
    const double x = power == 31 ? (part > 0.0 ? NAN : INFINITY)
                   : power ? ldexp(1.0 + part, power - 15) : ldexp(part, -14);
    return (float)(sign ? -x : x);
}

static float number(const unsigned char *p, char kind)
{
    uint16_t h;
    uint32_t w;
    uint64_t l;
    float f;
    double d;
    switch (kind) {
    case 'h': memcpy(&h, p, 2); return half(le16toh(h));
    case 'b': memcpy(&h, p, 2); w = (uint32_t)le16toh(h) << 16; memcpy(&f, &w, 4); return f;
    case 'd': memcpy(&l, p, 8); l = le64toh(l); memcpy(&d, &l, 8); return (float)d;
    default: memcpy(&w, p, 4); w = le32toh(w); memcpy(&f, &w, 4); return f;
    }
}

typedef struct dtype { const char *name; char kind; int bytes; } dtype;

static const dtype *dtype_of(const char *name)
{
    static const dtype all[] = { { "F32", 'f', 4 }, { "F64", 'd', 8 }, { "F16", 'h', 2 },
                                 { "BF16", 'b', 2 } };
    for (size_t i = 0; name && i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, name)) return &all[i];
    return NULL;
}

/* ---- reading ------------------------------------------------------------------------ */

/* -1: no shape that can be read. */
static int64_t shape_of(const json_t *shape, int *rank, int64_t dim[4])
{
    int64_t count = 1;
    if (!json_is_array(shape) || json_array_size(shape) > 4) return -1;
    *rank = (int)json_array_size(shape);
    for (int i = 0; i < *rank; i++) {
        const json_t *v = json_array_get(shape, (size_t)i);
        dim[i] = json_is_integer(v) ? json_integer_value(v) : -1;
        if (dim[i] < 0 || __builtin_mul_overflow(count, dim[i], &count)) return -1;
    }
    return count;
}

static int offset_of(const json_t *pair, size_t i, uint64_t *out)
{
    const json_t *v = json_array_get(pair, i);
    if (json_array_size(pair) != 2 || !json_is_integer(v) || json_integer_value(v) < 0) return 0;
    *out = (uint64_t)json_integer_value(v);
    return 1;
}

static void take(reading *r, const char *name, const json_t *entry)
{
    int rank = 0;
    int64_t dim[4];
    uint64_t begin = 0, end = 0;
    const char *type = json_string_value(json_object_get(entry, "dtype"));
    const dtype *t = dtype_of(type);
    const int64_t count = shape_of(json_object_get(entry, "shape"), &rank, dim);
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (!json_is_object(entry) || !type)
        mls_error_set(r->e, "%s: \"%.200s\" has no dtype", r->path, name);
    else if (!t)
        mls_error_set(r->e, "%s: \"%.200s\" has dtype %.20s; F64, F32, F16 and BF16 can be read",
                      r->path, name, type);
    else if (count < 0)
        mls_error_set(r->e, "%s: the shape of \"%.200s\" is no list of 0 to 4 sizes", r->path,
                      name);
    else if (!offset_of(offsets, 0, &begin) || !offset_of(offsets, 1, &end) || begin > end ||
             end > r->bytes)
        mls_error_set(r->e, "%s: the data_offsets of \"%.200s\" do not lie within the %llu bytes "
                      "of data", r->path, name, (unsigned long long)r->bytes);
    else if ((end - begin) / (uint64_t)t->bytes != (uint64_t)count ||
             (end - begin) % (uint64_t)t->bytes)
        mls_error_set(r->e, "%s: \"%.200s\" has %llu bytes of data, its shape and %s need %lld x "
                      "%d", r->path, name, (unsigned long long)(end - begin), t->name,
                      (long long)count, t->bytes);
    if (r->e->set) return;
    r->span[2 * r->n] = begin;
    r->span[2 * r->n++ + 1] = end;
    float *x = mls_arena_alloc(r->b->arena, (size_t)(count + 1) * sizeof *x);
    if (!x) mls_error_set(r->e, "%s: out of memory for \"%.200s\"", r->path, name);
    for (int64_t i = 0; x && i < count; i++) x[i] = number(r->data + begin + i * t->bytes, t->kind);
    if (x) mls_bundle_add(r->b, mls_arena_strdup(r->b->arena, name), MLS_B_F32, x, rank, dim);
}

static int by_begin(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    if (x[0] != y[0]) return x[0] < y[0] ? -1 : 1;
    return (x[1] > y[1]) - (x[1] < y[1]);
}

/* Every byte belongs to one tensor. */
static void no_gaps(const reading *r)
{
    uint64_t at = 0;
    qsort(r->span, (size_t)r->n, 2 * sizeof *r->span, by_begin);
    for (int i = 0; i < r->n && !r->e->set; i++) {
        if (r->span[2 * i] != at)
            mls_error_set(r->e, "%s: the tensors' data overlap or leave a gap at byte %llu",
                          r->path, (unsigned long long)at);
        at = r->span[2 * i + 1];
    }
    if (at != r->bytes)
        mls_error_set(r->e, "%s: %llu bytes of data belong to no tensor", r->path,
                      (unsigned long long)(r->bytes - at));
}

static void parse(reading *r, const unsigned char *all, uint64_t size)
{
    uint64_t n = 0;
    json_error_t why;
    if (size >= 8) memcpy(&n, all, 8);
    n = le64toh(n);
    if (size < 8 || n > size - 8 || n > HEADER_MOST) {
        mls_error_set(r->e, "%s: is no safetensors file: its first 8 bytes should be the length "
                      "of a header within its %llu bytes", r->path, (unsigned long long)size);
        return;
    }
    json_t *header = json_loadb((const char *)all + 8, n, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(header)) {
        mls_error_set(r->e, "%s: the header is no JSON object: %s", r->path,
                      header ? "it is something else" : why.text);
        json_decref(header);
        return;
    }
    const char *name;
    json_t *entry;
    r->data = (unsigned char *)(uintptr_t)all + 8 + n;
    r->bytes = size - 8 - n;
    r->span = mls_arena_alloc(r->b->arena, (json_object_size(header) + 1) * 2 * sizeof *r->span);
    if (!r->span) mls_error_set(r->e, "%s: out of memory", r->path);
    json_object_foreach(header, name, entry)
        if (!r->e->set && strcmp(name, "__metadata__")) take(r, name, entry);
    if (!r->e->set) no_gaps(r);
    json_decref(header);
}

int mls_safetensors_read(const char *path, mls_bundle *b, mls_error *e)
{
    reading r = { .path = path, .b = b, .e = e };
    FILE *f = fopen(path, "re");
    long size = -1;
    if (f && fseek(f, 0, SEEK_END) == 0) size = ftell(f);
    unsigned char *all = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (all) rewind(f);
    if (!f || size < 0)
        mls_error_set(e, "%s: %s", path, strerror(errno));
    else if (!all)
        mls_error_set(e, "%s: out of memory for its %ld bytes", path, size);
    else if (fread(all, 1, (size_t)size, f) != (size_t)size)
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
    else
        parse(&r, all, (uint64_t)size);
    free(all);
    if (f) fclose(f);
    return !e->set;
}

/* ---- writing ------------------------------------------------------------------------ */

static int64_t count_of(const mls_bundle_row *r)
{
    int64_t n = 1;
    for (int i = 0; i < r->rank; i++) n *= r->dim[i];
    return n;
}

static json_t *header_of(const mls_bundle *b)
{
    json_t *header = json_object();
    int64_t at = 0;
    json_object_set_new(header, "__metadata__", json_pack("{ss}", "format", "pt"));
    for (int i = 0; i < b->n; i++) {
        const mls_bundle_row *r = &b->row[i];
        const int64_t end = at + count_of(r) * 4;
        json_t *shape = json_array();
        for (int k = 0; k < r->rank; k++) json_array_append_new(shape, json_integer(r->dim[k]));
        json_object_set_new(header, r->name,
                            json_pack("{ss so s[II]}", "dtype", "F32", "shape", shape,
                                      "data_offsets", (json_int_t)at, (json_int_t)end));
        at = end;
    }
    return header;
}

static int put_numbers(FILE *f, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t w;
        memcpy(&w, &x[i], 4);
        w = htole32(w);
        if (fwrite(&w, 4, 1, f) != 1) return 0;
    }
    return 1;
}

static int put(FILE *f, const mls_bundle *b)
{
    json_t *header = header_of(b);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    /* spaces after the header, so that the numbers are aligned */
    const size_t n = text ? strlen(text) : 0, padded = (n + 7) / 8 * 8;
    const uint64_t length = htole64((uint64_t)padded);
    int ok = text && fwrite(&length, 8, 1, f) == 1 && fwrite(text, 1, n, f) == n;
    for (size_t i = n; ok && i < padded; i++) ok = fputc(' ', f) != EOF;
    for (int i = 0; ok && i < b->n; i++) ok = put_numbers(f, b->row[i].data, count_of(&b->row[i]));
    free(text);
    json_decref(header);
    return ok;
}

int mls_safetensors_write(const char *path, const mls_bundle *b, mls_error *e)
{
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) {
        mls_error_set(e, "%.200s...: the path is too long", path);
        return 0;
    }
    FILE *f = fopen(temporary, "we");
    int ok = f && put(f, b);
    if (f && fclose(f) != 0) ok = 0;
    if (!ok) mls_error_set(e, "%s: cannot be written: %s", temporary, strerror(errno));
    ok = ok && mls_rec_move(temporary, path, e);
    if (!ok && f) unlink(temporary);
    return ok;
}
