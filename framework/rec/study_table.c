#include "rec/study_table.h"

#include "rec/h5.h"

#include <stdio.h>
#include <unistd.h>

static int write_column(hid_t file, const mls_study_column *c)
{
    const hsize_t rows = (hsize_t)c->rows;
    const hid_t links = mls_rec_links(), space = H5Screate_simple(1, &rows, NULL);
    hid_t type = c->text ? H5Tcopy(H5T_C_S1) : -1;
    int ok = links >= 0 && space >= 0;
    if (c->text)
        ok = ok && type >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0
            && H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    const hid_t of = c->text ? type : c->real ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
    const void *data = c->text ? (const void *)c->text
        : c->real ? (const void *)c->real : (const void *)c->whole;
    const hid_t set = ok ? H5Dcreate2(file, c->path, of, space, links, H5P_DEFAULT,
                                      H5P_DEFAULT) : -1;
    ok = set >= 0 && (rows == 0 || H5Dwrite(set, of, H5S_ALL, H5S_ALL, H5P_DEFAULT, data)
                      >= 0);
    if (c->unit)
        ok = ok && mls_rec_text(set, "units", c->unit);
    if (set >= 0)
        ok &= H5Dclose(set) >= 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (links >= 0)
        H5Pclose(links);
    return ok;
}

static int write_links(hid_t file, const mls_study_link *link, int n)
{
    const hid_t links = mls_rec_links();
    int ok = links >= 0;
    for (int i = 0; i < n && ok; i++)
        ok = H5Lcreate_external(link[i].file, "/", file, link[i].name, links,
                                H5P_DEFAULT) >= 0;
    if (links >= 0)
        H5Pclose(links);
    return ok;
}

int mls_study_table_write(const char *path, const char *study,
                          const mls_study_column *column, int n_columns,
                          const mls_study_link *link, int n_links, mls_error *e)
{
    char temporary[4300], why[300];
    snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    const hid_t file = mls_rec_create(temporary, 0, 0, e);
    if (file < 0)
        return 0;
    int ok = mls_rec_text(file, "format", "mls-study")
        && mls_rec_text(file, "format_version", "1.0.0")
        && mls_rec_text(file, "study", study);
    for (int i = 0; i < n_columns && ok; i++)
        ok = write_column(file, &column[i]);
    ok = ok && write_links(file, link, n_links);
    if (!ok) {
        mls_rec_why(why, sizeof why);
        mls_error_set(e, "cannot write %s: %s", path, why);
    }
    if (H5Fclose(file) < 0)
        mls_error_set(e, "cannot close %s", path);
    if (!e->set && mls_rec_move(temporary, path, e))
        return 1;
    unlink(temporary);
    return 0;
}
