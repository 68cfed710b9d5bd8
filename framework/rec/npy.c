#include "rec/npy.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char MAGIC[] = "\x93NUMPY";
enum { LONGEST = 1 << 20, BLOCK = 65536 };

int mls_rec_is_npy(const char *path)
{
    char start[6] = { 0 };
    FILE *f = fopen(path, "rbe");
    const int yes = f && fread(start, 1, 6, f) == 6 && !memcmp(start, MAGIC, 6);
    if (f) fclose(f);
    return yes;
}

/* What follows 'key': in the header's dictionary, or NULL. */
static const char *after(const char *text, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *p = strstr(text, quoted);
    if (!p) return NULL;
    p += strlen(quoted);
    while (*p == ' ' || *p == ':') p++;
    return p;
}

/* (3, 4,) -> rank and sizes; their product in *count. */
static int shape(const char *p, int *rank, int64_t dim[4], int64_t *count)
{
    for (int i = 0; i < 4; i++) dim[i] = 1;
    *count = 1;
    *rank = 0;
    if (!p || *p++ != '(') return 0;
    for (;;) {
        while (*p == ' ' || *p == ',') p++;
        if (*p == ')') return 1;
        char *end;
        errno = 0;
        const long long n = strtoll(p, &end, 10);
        if (end == p || errno || n < 0 || *rank == 4) return 0;
        if (__builtin_mul_overflow(*count, n, count)) return 0;
        dim[(*rank)++] = n;
        p = end;
    }
}

static float number(const unsigned char *p, char kind, int size)
{
    uint32_t u4 = 0;
    uint64_t u8 = 0;
    float f;
    double d;
    if (size == 4) {
        memcpy(&u4, p, 4);
        u4 = le32toh(u4);
    } else if (size == 8) {
        memcpy(&u8, p, 8);
        u8 = le64toh(u8);
    }
    if (kind == 'f' && size == 4) return memcpy(&f, &u4, 4), f;
    if (kind == 'f') return memcpy(&d, &u8, 8), (float)d;
    if (kind == 'i') return size == 4 ? (float)(int32_t)u4 : (float)(int64_t)u8;
    return (float)p[0];
}

/* "'<f8'" -> kind f, size 8 */
static int type_of(const char *p, char *kind, int *size)
{
    static const char *const known[] = { "'<f4'", "'<f8'", "'<i4'",
                                         "'<i8'", "'|u1'", "'|b1'" };
    for (size_t i = 0; p && i < sizeof known / sizeof *known; i++)
        if (!strncmp(p, known[i], 5)) {
            *kind = p[2];
            *size = p[3] - '0';
            return 1;
        }
    return 0;
}

static char *read_header(FILE *f, const char *path, mls_error *e)
{
    unsigned char b[12];
    size_t n = 0;
    if (fread(b, 1, 8, f) == 8 && !memcmp(b, MAGIC, 6)) {
        if (b[6] == 1 && fread(b + 8, 1, 2, f) == 2)
            n = b[8] | (size_t)b[9] << 8;
        else if ((b[6] == 2 || b[6] == 3) && fread(b + 8, 1, 4, f) == 4)
            n = b[8] | (size_t)b[9] << 8 | (size_t)b[10] << 16 | (size_t)b[11] << 24;
    }
    char *text = n && n <= LONGEST ? malloc(n + 1) : NULL;
    if (text && fread(text, 1, n, f) == n) {
        text[n] = '\0';
        return text;
    }
    free(text);
    mls_error_set(e, "%s: is no .npy file of version 1 to 3, or its header is cut off",
                  path);
    return NULL;
}

static int read_values(FILE *f, float *out, int64_t count, char kind, int size)
{
    unsigned char block[BLOCK];
    for (int64_t at = 0; at < count;) {
        int64_t n = BLOCK / size;
        if (n > count - at) n = count - at;
        if (fread(block, (size_t)size, (size_t)n, f) != (size_t)n) return 0;
        for (int64_t i = 0; i < n; i++)
            out[at + i] = number(block + i * size, kind, size);
        at += n;
    }
    return 1;
}

float *mls_rec_read_npy(const char *path, mls_arena *a, int *rank, int64_t dim[4],
                        mls_error *e)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        mls_error_set(e, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *text = read_header(f, path, e), kind = 0;
    float *out = NULL;
    int size = 0;
    int64_t count;
    struct stat st;
    const long start = ftell(f);
    const char *order = text ? after(text, "fortran_order") : NULL;
    if (!text) {
        /* said already */
    } else if (!type_of(after(text, "descr"), &kind, &size)) {
        const char *p = after(text, "descr");
        mls_error_set(
            e,
            "%s: holds numbers of type %.8s; '<f4', '<f8', '<i4', '<i8', '|u1' and "
            "'|b1' can be read",
            path, p ? p : "unknown");
    } else if (!order || strncmp(order, "False", 5)) {
        mls_error_set(e, "%s: is in Fortran order; save numpy.ascontiguousarray(x)",
                      path);
    } else if (!shape(after(text, "shape"), rank, dim, &count)) {
        const char *p = after(text, "shape");
        mls_error_set(e, "%s: has the shape %.60s, of which at most 4 axes can be read",
                      path, p ? p : "unknown");
    } else if (fstat(fileno(f), &st) != 0 || start < 0 ||
               count > (int64_t)(st.st_size - start) / size) {
        mls_error_set(e, "%s: is cut off: its header promises %lld numbers of %d bytes",
                      path, (long long)count, size);
    } else if (!(out = mls_arena_alloc(a, (size_t)(count + 1) * sizeof *out))) {
        mls_error_set(e, "%s: no memory for %lld numbers", path, (long long)count);
    } else if (!read_values(f, out, count, kind, size)) {
        mls_error_set(e, "%s: cannot be read: %s", path, strerror(errno));
        out = NULL;
    }
    free(text);
    fclose(f);
    return out;
}
