/* Before a file gets its final name: what was told is what is in it. */
#include "rec/track.h"

struct check { hid_t file; const char *path; mls_error *e; };

static int same_count(mls_column *c, void *arg)
{
    const struct check *k = arg;
    const int64_t n = mls_column_found(c, k->file, k->e);
    if (k->e->set) return 0;
    if (n != c->done) {
        mls_error_set(k->e,
                      "%s: %s has %lld items where %lld were written; the file keeps "
                      "its temporary name",
                      k->path, c->path, (long long)n, (long long)c->done);
        return 0;
    }
    return 1;
}

int mls_recorder_verify(const char *path, mls_recorder *r, int complete, mls_error *e)
{
    struct check k = { mls_rec_open(path, e), path, e };
    if (k.file < 0) return 0;
    int found = -1, ok = mls_recorder_each(r, same_count, &k);
    hid_t a = H5Aopen(k.file, "complete", H5P_DEFAULT);
    if (a < 0 || H5Aread(a, H5T_NATIVE_INT, &found) < 0) found = -1;
    if (a >= 0) H5Aclose(a);
    if (ok && found != complete) {
        mls_error_set(
            e,
            "%s: its attribute `complete` is %d and not %d; the file keeps its "
            "temporary name",
            path, found, complete);
        ok = 0;
    }
    H5Fclose(k.file);
    return ok;
}
