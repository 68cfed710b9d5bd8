/* differ A.h5 B.h5: says the first data set whose type, shape or bytes differ.
 * differ A.h5: reads every data set of a file.
 * /provenance (when, where, how many threads) and /config (the number of threads stands
 * there too) are not compared.  Status 0: the same; 1: not; 2: a file cannot be read.   */
#include <hdf5.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct walk { hid_t other; int one, n, bad; } walk;

/* Strings of variable length, each with its end. */
static char *words(hid_t d, hid_t t, size_t n, size_t *size)
{
    char **word = calloc(n + 1, sizeof *word), *data = NULL;
    size_t room = 1, used = 0;
    const int ok = word && H5Dread(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, word) >= 0;
    for (size_t i = 0; ok && i < n; i++) room += word[i] ? strlen(word[i]) + 1 : 1;
    if (ok) data = malloc(room);
    for (size_t i = 0; data && i < n; i++) {
        const size_t k = word[i] ? strlen(word[i]) : 0;
        if (k) memcpy(data + used, word[i], k);
        data[used + k] = '\0';
        used += k + 1;
    }
    for (size_t i = 0; ok && i < n; i++) H5free_memory(word[i]);
    free(word);
    *size = used;
    return data;
}

/* All bytes of a data set; NULL when it cannot be read. */
static char *bytes(hid_t d, size_t *size)
{
    hid_t t = H5Dget_type(d), s = H5Dget_space(d);
    const hssize_t points = H5Sget_simple_extent_npoints(s);
    const size_t n = points > 0 ? (size_t)points : 0;
    char *data = NULL;
    *size = n * H5Tget_size(t);
    if (H5Tis_variable_str(t) > 0) {
        data = words(d, t, n, size);
    } else if ((data = malloc(*size + 1)) != NULL && n > 0 &&
               H5Dread(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        free(data);
        data = NULL;
    }
    H5Sclose(s);
    H5Tclose(t);
    return data;
}

static int alike(hid_t a, hid_t b)
{
    hid_t ta = H5Dget_type(a), tb = H5Dget_type(b);
    hid_t sa = H5Dget_space(a), sb = H5Dget_space(b);
    const int same = H5Tequal(ta, tb) > 0 && H5Sextent_equal(sa, sb) > 0;
    H5Sclose(sa);
    H5Sclose(sb);
    H5Tclose(ta);
    H5Tclose(tb);
    return same;
}

static int left_out(const char *name)
{
    return !strncmp(name, "provenance", 10) || !strcmp(name, "config");
}

static herr_t visit(hid_t at, const char *name, const H5O_info_t *info, void *arg)
{
    walk *w = arg;
    size_t n = 0, m = 0;
    if (info->type != H5O_TYPE_DATASET || (!w->one && left_out(name))) return 0;
    hid_t a = H5Dopen2(at, name, H5P_DEFAULT);
    hid_t b = w->one || a < 0 ? -1 : H5Dopen2(w->other, name, H5P_DEFAULT);
    char *x = a >= 0 ? bytes(a, &n) : NULL, *y = b >= 0 ? bytes(b, &m) : NULL;
    const int ok = w->one ? x != NULL
                          : x && y && n == m && alike(a, b) && !memcmp(x, y, n);
    free(x);
    free(y);
    if (a >= 0) H5Dclose(a);
    if (b >= 0) H5Dclose(b);
    w->n++;
    if (ok) return 0;
    fprintf(stdout, "%s %s\n", name, w->one || !x ? "cannot be read"
                                     : b < 0      ? "is absent in the second"
                                                  : "differs");
    w->bad = 1;
    return 1;
}

static int compare(hid_t a, hid_t b, int one)
{
    walk w = { .other = b, .one = one };
    if (H5Ovisit2(a, H5_INDEX_NAME, H5_ITER_INC, visit, &w, H5O_INFO_BASIC) < 0) return 2;
    if (!w.bad && !w.n) fputs("no data set\n", stdout);
    return w.bad || !w.n;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fputs("differ A.h5 [B.h5]\n", stderr);
        return 2;
    }
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t f[2] = { -1, -1 };
    for (int i = 1; i < argc; i++) {
        f[i - 1] = H5Fopen(argv[i], H5F_ACC_RDONLY, H5P_DEFAULT);
        if (f[i - 1] >= 0) continue;
        fprintf(stdout, "%s cannot be opened\n", argv[i]);
        return 2;
    }
    int status = compare(f[0], f[1], argc == 2);
    /* the other way round too: what only the second has */
    if (!status && argc == 3) status = compare(f[1], f[0], 0);
    for (int i = 0; i < 2; i++)
        if (f[i] >= 0 && H5Fclose(f[i]) < 0) status = 2;
    return status;
}
