#include "import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

mls_error import_error;
static char folder[300];

const char *data_path(const char *name)
{
    static char path[8][600];
    static int at;
    const char *root = getenv("MLS_DATA");
    char *p = path[at++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", root ? root : "../shared/data", name);
    if (access(p, R_OK) == 0) return p;
    printf("# skipped: there is no %s (MLS_DATA)\n", p);
    return NULL;
}

const char *dir_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/mls-import-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(folder));
    return folder;
}

void dir_remove(void)
{
    shell("rm -rf '%s'", folder);
}

const char *dir_path(const char *name)
{
    static char path[8][600];
    static int at;
    char *p = path[at++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    return p;
}

void shell(const char *format, ...)
{
    char line[4000];
    va_list ap;
    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    if (system(line) != 0) fail_msg("%s", line);
}

int import(const char *to, ...)
{
    enum { MOST = 64 };
    static const char *const mark[] = { "train:", "validation:", "test:" };
    mls_import_input in[MOST];
    const char *name[MOST], *value[MOST], *word;
    char said[2000];
    mls_arena a = { 0 };
    mls_import m = { .a = &a, .e = &import_error, .input = in, .name = name, .value = value };
    va_list ap;
    int part = 0;
    memset(&import_error, 0, sizeof import_error);
    va_start(ap, to);
    const char *format = va_arg(ap, const char *);
    while ((word = va_arg(ap, const char *))) {
        int k = 0;
        while (k < 3 && strcmp(word, mark[k])) k++;
        if (k < 3) {
            part = k + 1;
        } else if (!strncmp(word, "--", 2)) {
            name[m.n_options] = word + 2;
            value[m.n_options++] = va_arg(ap, const char *);
        } else {
            in[m.n_inputs++] = (mls_import_input){ word, part };
        }
    }
    va_end(ap);
    unlink(to);
    const int ok = mls_import_run(&m, format, to, said, sizeof said);
    if (ok) printf("# %s %.*s\n", format, (int)strcspn(said, "\n"), said);
    else printf("# %s\n", import_error.text);
    mls_arena_free(&a);
    return ok;
}

void *column(const char *file, const char *name, hid_t type, hsize_t dim[4])
{
    const hid_t f = H5Fopen(file, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t d = H5Dopen2(f, name, H5P_DEFAULT), space = H5Dget_space(d);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    if (f < 0 || d < 0 || n < 0) fail_msg("%s: %s cannot be read", file, name);
    for (int i = 0; i < 4; i++) dim[i] = 1;
    assert_true(H5Sget_simple_extent_ndims(space) <= 4);
    H5Sget_simple_extent_dims(space, dim, NULL);
    void *out = malloc((size_t)(n + 1) * H5Tget_size(type));
    assert_non_null(out);
    assert_true(!n || H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Sclose(space);
    H5Dclose(d);
    H5Fclose(f);
    return out;
}
