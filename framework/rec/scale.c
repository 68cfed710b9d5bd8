#include "rec/scale.h"

#include <stdlib.h>
#include <string.h>

static mls_scale *find(mls_scales *s, const char *path)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->scale[i].path, path)) return &s->scale[i];
    if (s->n == s->room) {
        const int room = s->room ? 2 * s->room : 32;
        mls_scale *more = mls_arena_zalloc(s->arena, (size_t)room * sizeof *more);
        if (!more) return NULL;
        if (s->n) memcpy(more, s->scale, (size_t)s->n * sizeof *more);
        s->scale = more;
        s->room = room;
    }
    mls_scale *new = &s->scale[s->n];
    new->path = mls_arena_strdup(s->arena, path);
    if (!new->path) return NULL;
    s->n++;
    return new;
}

static int use(mls_scales *s, const char *path, hobj_ref_t set, int axis)
{
    mls_scale *x = find(s, path);
    if (!x) return 0;
    if (x->n == x->room) {
        const int room = x->room ? 2 * x->room : 8;
        mls_scale_use *more = mls_arena_zalloc(s->arena, (size_t)room * sizeof *more);
        if (!more) return 0;
        if (x->n) memcpy(more, x->use, (size_t)x->n * sizeof *more);
        x->use = more;
        x->room = room;
    }
    x->use[x->n++] = (mls_scale_use){ set, axis };
    return 1;
}

static int array_attribute(hid_t object, const char *name, hid_t type, int n,
                           const void *data)
{
    const hsize_t dim = (hsize_t)n;
    hid_t space = H5Screate_simple(1, &dim, NULL), a = -1;
    if (space >= 0) a = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    int ok = a >= 0 && H5Awrite(a, type, data) >= 0;
    if (a >= 0 && H5Aclose(a) < 0) ok = 0;
    if (space >= 0) H5Sclose(space);
    return ok;
}

int mls_scales_attach(mls_scales *s, hid_t file, const char *set, int rank,
                      const char *const *path, const char *const *label)
{
    hobj_ref_t self, to[4];
    hvl_t list[4];
    int ok = rank <= 4 && H5Rcreate(&self, file, set, H5R_OBJECT, -1) >= 0;
    for (int i = 0; ok && i < rank; i++) {
        ok = H5Rcreate(&to[i], file, path[i], H5R_OBJECT, -1) >= 0 &&
             use(s, path[i], self, i);
        list[i] = (hvl_t){ 1, &to[i] };
    }
    hid_t d = ok ? H5Dopen2(file, set, H5P_DEFAULT) : -1;
    hid_t refs = H5Tvlen_create(H5T_STD_REF_OBJ), text = H5Tcopy(H5T_C_S1);
    ok = ok && d >= 0 && refs >= 0 && text >= 0 &&
         H5Tset_size(text, H5T_VARIABLE) >= 0 &&
         array_attribute(d, "DIMENSION_LIST", refs, rank, list) &&
         array_attribute(d, "DIMENSION_LABELS", text, rank, label);
    if (text >= 0) H5Tclose(text);
    if (refs >= 0) H5Tclose(refs);
    if (d >= 0) H5Dclose(d);
    return ok;
}

int mls_scales_range(mls_scales *s, hid_t file, const char *path, int64_t n,
                     double step, const char *unit, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->scale[i].path, path)) return 1;
    const hsize_t dim = (hsize_t)n;
    double *real = malloc((size_t)n * sizeof *real);
    int64_t *whole = malloc((size_t)n * sizeof *whole);
    hid_t space = H5Screate_simple(1, &dim, NULL), links = mls_rec_links(), d = -1;
    int ok = real && whole && space >= 0 && links >= 0 && find(s, path) != NULL;
    for (int64_t i = 0; ok && i < n; i++) {
        real[i] = (double)i * step;
        whole[i] = i;
    }
    hid_t type = unit ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
    if (ok) d = H5Dcreate2(file, path, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    ok = ok && d >= 0 && H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                  unit ? (const void *)real : whole) >= 0;
    if (unit) ok = ok && mls_rec_text(d, "units", unit);
    ok = ok && mls_rec_text(d, "long_name", name);
    if (d >= 0 && H5Dclose(d) < 0) ok = 0;
    if (links >= 0) H5Pclose(links);
    if (space >= 0) H5Sclose(space);
    free(real);
    free(whole);
    return ok;
}

/* The specification asks for fixed-length, NUL-terminated text here. */
static int fixed_text(hid_t d, const char *name, const char *text)
{
    hid_t t = H5Tcopy(H5T_C_S1);
    const int ok = t >= 0 && H5Tset_size(t, strlen(text) + 1) >= 0 &&
                   H5Tset_strpad(t, H5T_STR_NULLTERM) >= 0 &&
                   mls_rec_number(d, name, t, 1, text);
    if (t >= 0) H5Tclose(t);
    return ok;
}

int mls_scales_finish(mls_scales *s, hid_t file)
{
    hid_t pair = H5Tcreate(H5T_COMPOUND, sizeof(mls_scale_use));
    int ok = pair >= 0 &&
        H5Tinsert(pair, "dataset", HOFFSET(mls_scale_use, set), H5T_STD_REF_OBJ) >= 0 &&
        H5Tinsert(pair, "dimension", HOFFSET(mls_scale_use, axis), H5T_NATIVE_INT) >= 0;
    for (int i = 0; ok && i < s->n; i++) {
        const mls_scale *x = &s->scale[i];
        const char *slash = strrchr(x->path, '/');
        hid_t d = H5Dopen2(file, x->path, H5P_DEFAULT);
        ok = d >= 0 && fixed_text(d, "CLASS", "DIMENSION_SCALE") &&
             fixed_text(d, "NAME", slash ? slash + 1 : x->path);
        if (x->n) ok = ok && array_attribute(d, "REFERENCE_LIST", pair, x->n, x->use);
        if (d >= 0) H5Dclose(d);
    }
    if (pair >= 0) H5Tclose(pair);
    return ok;
}
