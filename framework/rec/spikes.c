/* /spikes/<node>.<channel>: SONATA's timestamps and node_ids with sibling columns of the
 * same length (sample, step, train_step), and an index of the records: record_step and
 * record_end, which also say that a forward without a spike was recorded.               */
#include "rec/track.h"

static const char *const COLUMN[MLS_SPIKE_COLUMNS] = { "timestamps", "node_ids",
                                                       "sample", "step", "train_step" };
static const char *const LONG_NAME[MLS_SPIKE_COLUMNS] = {
    "time in the sequence", "unit, counted from 0", "sample of the batch",
    "time step of the sequence", "training step" };

int mls_spikes_plan(mls_track *t, mls_arena *a, mls_error *e)
{
    const hid_t type[MLS_SPIKE_COLUMNS] = { H5T_NATIVE_DOUBLE, H5T_NATIVE_UINT64,
                                            H5T_NATIVE_UINT32, H5T_NATIVE_UINT32,
                                            H5T_NATIVE_INT64 };
    const int64_t none[4] = { 0, 0, 0, 0 };
    for (int i = 0; i < MLS_SPIKE_COLUMNS; i++) {
        const char *path = mls_arena_printf(a, "/spikes/%s/%s", t->name, COLUMN[i]);
        if (!path || !mls_column_plan(&t->event[i], path, type[i], 1, none,
                                      MLS_SPIKE_CHUNK, MLS_REC_GZIP, a, e))
            return 0;
    }
    const char *end = mls_arena_printf(a, "/spikes/%s/record_end", t->name);
    const char *step = mls_arena_printf(a, "/spikes/%s/record_step", t->name);
    t->by_time = 1;
    return end && step &&
           mls_column_plan(&t->end, end, H5T_NATIVE_INT64, 1, none, MLS_INDEX_CHUNK, 0,
                           a, e) &&
           mls_column_plan(&t->step, step, H5T_NATIVE_INT64, 1, none, MLS_INDEX_CHUNK,
                           0, a, e);
}

/* Of the enumeration in SONATA: none 0, by_id 1, by_time 2. */
static int sorting(hid_t group, int create, uint8_t value)
{
    static const char *const names[3] = { "none", "by_id", "by_time" };
    hid_t type = H5Tenum_create(H5T_NATIVE_UINT8), a = -1;
    int ok = type >= 0;
    for (uint8_t i = 0; ok && i < 3; i++) ok = H5Tenum_insert(type, names[i], &i) >= 0;
    if (ok && create) {
        ok = mls_rec_number(group, "sorting", type, 1, &value);
    } else if (ok) {
        a = H5Aopen(group, "sorting", H5P_DEFAULT);
        ok = a >= 0 && H5Awrite(a, type, &value) >= 0;
        if (a >= 0 && H5Aclose(a) < 0) ok = 0;
    }
    if (type >= 0) H5Tclose(type);
    return ok;
}

int mls_spikes_sorted(const mls_track *t, hid_t file)
{
    char path[1024];
    snprintf(path, sizeof path, "/spikes/%s", t->name);
    hid_t g = H5Gopen2(file, path, H5P_DEFAULT);
    const int ok = g >= 0 && sorting(g, 0, t->by_time ? 2 : 0);
    if (g >= 0) H5Gclose(g);
    return ok;
}

int mls_spikes_create(mls_track *t, hid_t file, mls_error *e)
{
    int ok = 1;
    for (int i = 0; i < MLS_SPIKE_COLUMNS; i++)
        if (!mls_column_create(&t->event[i], file, e)) return 0;
    if (!mls_column_create(&t->end, file, e) || !mls_column_create(&t->step, file, e))
        return 0;
    for (int i = 0; i < MLS_SPIKE_COLUMNS; i++)
        ok = ok && mls_rec_text(t->event[i].set, "long_name", LONG_NAME[i]);
    ok = ok && mls_rec_text(t->event[0].set, "units", "ms") &&
         mls_rec_text(t->end.set, "long_name", "events up to the end of the record") &&
         mls_rec_text(t->step.set, "long_name", "training step of the record");
    const char *unit = t->unit, *help = t->help;
    char path[1024];
    snprintf(path, sizeof path, "/spikes/%s", t->name);
    hid_t g = ok ? H5Gopen2(file, path, H5P_DEFAULT) : -1;
    const int64_t kept[3] = { t->T, t->B, t->U };
    ok = ok && g >= 0 && sorting(g, 1, 0) &&
         mls_rec_number(g, "steps_samples_units", H5T_NATIVE_INT64, 3, kept) &&
         (!unit || mls_rec_text(g, "units", unit)) &&
         mls_rec_text(g, "long_name", help ? help : t->name);
    if (g >= 0) H5Gclose(g);
    if (ok) return 1;
    char why[300];
    mls_rec_why(why, sizeof why);
    mls_error_set(e, "%s: the population cannot be described: %s", path, why);
    return 0;
}

void mls_spikes_add(mls_track *t, double step_ms, int64_t now, const float *x,
                    int64_t T, int64_t B, int64_t U, int64_t t0, mls_error *e)
{
    const int64_t b_end = B < t->B ? B : t->B, u_end = U < t->U ? U : t->U;
    for (int64_t i = 0; i < T && t0 + i < t->T; i++)
        for (int64_t b = 0; b < b_end; b++) {
            const float *row = x + (i * B + b) * U;
            for (int64_t u = 0; u < u_end; u++) {
                if (!(row[u] > 0.0f)) continue;
                const double at = (double)(t0 + i) * step_ms;
                if (t->events && at < t->newest) t->by_time = 0;
                t->newest = at;
                t->events++;
                /* all columns hold the same items: one is full when all are */
                *(double *)mls_column_next(&t->event[0]) = at;
                *(uint64_t *)mls_column_next(&t->event[1]) = (uint64_t)u;
                *(uint32_t *)mls_column_next(&t->event[2]) = (uint32_t)b;
                *(uint32_t *)mls_column_next(&t->event[3]) = (uint32_t)(t0 + i);
                *(int64_t *)mls_column_next(&t->event[4]) = now;
                for (int k = 0; k < MLS_SPIKE_COLUMNS; k++)
                    if (!mls_column_push(&t->event[k], e)) return;
            }
        }
}

void mls_spikes_end(mls_track *t, int64_t now, mls_error *e)
{
    *(int64_t *)mls_column_next(&t->end) = t->events;
    if (!mls_column_push(&t->end, e)) return;
    *(int64_t *)mls_column_next(&t->step) = now;
    mls_column_push(&t->step, e);
}
