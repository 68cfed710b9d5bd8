/* What a record.h5 holds besides columns: the attributes of /, /config, /provenance.   */
#include "rec/track.h"

#include <stdio.h>

int mls_root_write(hid_t file, const mls_recorder_config *c)
{
    const uint32_t magic = 0x0A7A, version[2] = { 0, 1 };
    const int complete = 0;
    const int64_t after = c->resume_step;
    int ok = mls_rec_text(file, "format", MLS_RECORD_FORMAT) &&
             mls_rec_text(file, "format_version", MLS_RECORD_VERSION) &&
             mls_rec_text(file, "writer", "mls") &&
             mls_rec_number(file, "magic", H5T_NATIVE_UINT32, 1, &magic) &&
             mls_rec_number(file, "version", H5T_NATIVE_UINT32, 2, version) &&
             mls_rec_number(file, "step_ms", H5T_NATIVE_DOUBLE, 1, &c->step_ms) &&
             mls_rec_number(file, "starts_after", H5T_NATIVE_INT64, 1, &after) &&
             mls_rec_number(file, "complete", H5T_NATIVE_INT, 1, &complete);
    if (c->config_yaml) ok = ok && mls_rec_text_set(file, "/config", c->config_yaml);
    for (int i = 0; ok && i < c->n_provenance; i++) {
        char path[512];
        snprintf(path, sizeof path, "/provenance/%s", c->provenance[i][0]);
        ok = mls_rec_text_set(file, path,
                              c->provenance[i][1] ? c->provenance[i][1] : "");
    }
    return ok;
}

int64_t mls_root_starts_after(hid_t file)
{
    int64_t after = 0;
    hid_t a = H5Aexists(file, "starts_after") > 0
                  ? H5Aopen(file, "starts_after", H5P_DEFAULT)
                  : -1;
    if (a >= 0 && H5Aread(a, H5T_NATIVE_INT64, &after) < 0) after = 0;
    if (a >= 0) H5Aclose(a);
    return after;
}

/* The value of an existing attribute is overwritten in place, which a file in SWMR mode
 * allows: marking it needs no second, unprotected opening of the file.                  */
int mls_root_complete(hid_t file)
{
    const int one = 1;
    hid_t a = H5Aopen(file, "complete", H5P_DEFAULT);
    int ok = a >= 0 && H5Awrite(a, H5T_NATIVE_INT, &one) >= 0;
    if (a >= 0 && H5Aclose(a) < 0) ok = 0;
    return ok;
}
