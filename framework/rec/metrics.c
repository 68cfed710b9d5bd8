/* /metrics/<name>: f64 with the scale <name>_step, the training step of each value.    */
#include "rec/track.h"

#include <string.h>

int mls_series_plan(mls_series *m, mls_arena *a, mls_error *e)
{
    const int64_t none[4] = { 0, 0, 0, 0 };
    const char *path = mls_arena_printf(a, "/metrics/%s", m->name);
    const char *step = mls_arena_printf(a, "/metrics/%s_step", m->name);
    return path && step &&
           mls_column_plan(&m->value, path, H5T_NATIVE_DOUBLE, 1, none, MLS_INDEX_CHUNK,
                           0, a, e) &&
           mls_column_plan(&m->step, step, H5T_NATIVE_INT64, 1, none, MLS_INDEX_CHUNK,
                           0, a, e);
}

int mls_series_create(mls_series *m, hid_t file, mls_scales *s, mls_error *e)
{
    if (!mls_column_create(&m->value, file, e) || !mls_column_create(&m->step, file, e))
        return 0;
    const char *path[1] = { m->step.path };
    static const char *const label[1] = { "step" };
    if (mls_scales_attach(s, file, m->value.path, 1, path, label) &&
        mls_rec_text(m->step.set, "long_name", "training step"))
        return 1;
    mls_error_set(e, "%s: the data set cannot be described", m->value.path);
    return 0;
}

void mls_recorder_metric(mls_recorder *r, const char *name, int64_t step, double value)
{
    if (!r || r->error.set) return;
    for (int i = 0; i < r->n_series; i++) {
        mls_series *m = &r->series[i];
        if (strcmp(m->name, name)) continue;
        /* What a resumed run tells a second time is in the file already. */
        if (step <= m->last) return;
        m->last = step;
        mls_rec_init();
        *(double *)mls_column_next(&m->value) = value;
        if (!mls_column_push(&m->value, &r->error)) return;
        *(int64_t *)mls_column_next(&m->step) = step;
        mls_column_push(&m->step, &r->error);
        return;
    }
}
