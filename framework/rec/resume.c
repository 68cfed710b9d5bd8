/* Continuing a recording.  The file that a killed writer left is never opened for
 * writing: libhdf5 would cut it to the length that it had when SWMR began.  It is read,
 * and what belongs to the resumed run is copied.                                        */
#include "rec/track.h"

#include <stdlib.h>

struct probe { mls_recorder *r; const char *path; hid_t file; };

static int64_t shorter(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Reads one column in the blocks in which it will be copied. */
static int readable(mls_column *c, void *arg)
{
    const struct probe *p = arg;
    mls_error ignored = { 0 };
    const int64_t n = mls_column_found(c, p->file, &ignored),
                  block = (int64_t)c->chunk[0];
    for (int64_t at = 0; at < n; at += block) {
        mls_error e = { 0 };
        if (!mls_column_read(c, p->file, at, shorter(block, n - at), c->buffer, &e))
            return 0;
    }
    return 1;
}

/* How many of the n steps are at most `until`; *last: the greatest of them. */
static int64_t kept(mls_column *c, hid_t from, int64_t n, int64_t until, int64_t *last,
                    mls_error *e)
{
    int64_t *step = malloc((size_t)(n + 1) * sizeof *step), k = 0;
    if (!step) {
        mls_error_set(e, "out of memory for %lld steps of %s", (long long)n, c->path);
        return -1;
    }
    if (!mls_column_read(c, from, 0, n, step, e)) k = -1;
    while (k >= 0 && k < n && step[k] <= until) {
        if (step[k] <= *last) {
            mls_error_set(e, "%s goes back from %lld to %lld", c->path,
                          (long long)*last, (long long)step[k]);
            k = -1;
            break;
        }
        *last = step[k++];
    }
    free(step);
    return k;
}

/* That the steps of a track or series go forward, as those of every sound file do. */
static int in_order(mls_column *step, hid_t from)
{
    mls_error e = { 0 };
    int64_t last = INT64_MIN;
    const int64_t n = mls_column_found(step, from, &e);
    return n < 0 || kept(step, from, n, INT64_MAX, &last, &e) >= 0;
}

static int probe(void *arg)
{
    struct probe *p = arg;
    mls_recorder *r = p->r;
    mls_error e = { 0 };
    mls_arena a = { 0 };
    p->file = mls_rec_open(p->path, &e);
    if (p->file < 0) return 0;
    const char *format = mls_rec_read_text(p->file, "format", &a);
    mls_root_starts_after(p->file);
    int ok = format && mls_recorder_each(r, readable, p);
    for (int i = 0; ok && i < r->n_tracks; i++)
        ok = in_order(&r->track[i].step, p->file);
    for (int i = 0; ok && i < r->n_series; i++)
        ok = in_order(&r->series[i].step, p->file);
    mls_arena_free(&a);
    return ok;
}

static int take_states(mls_track *t, hid_t from, int64_t until, mls_error *e)
{
    const int64_t n = shorter(mls_column_found(&t->value, from, e),
                              mls_column_found(&t->step, from, e));
    if (e->set) return 0;
    const int64_t k = kept(&t->step, from, n, until, &t->last, e);
    return k >= 0 && mls_column_copy(&t->value, from, k, e) &&
           mls_column_copy(&t->step, from, k, e);
}

/* Whether the timestamps never go back, for the attribute `sorting`. */
static int order(mls_track *t, hid_t from, int64_t events, mls_error *e)
{
    double *stamp = malloc(MLS_SPIKE_CHUNK * sizeof *stamp);
    int ok = stamp != NULL;
    for (int64_t at = 0; ok && at < events; at += MLS_SPIKE_CHUNK) {
        const int64_t n = shorter(MLS_SPIKE_CHUNK, events - at);
        ok = mls_column_read(&t->event[0], from, at, n, stamp, e);
        for (int64_t i = 0; ok && i < n; i++) {
            if (at + i > 0 && stamp[i] < t->newest) t->by_time = 0;
            t->newest = stamp[i];
        }
    }
    free(stamp);
    return ok;
}

static int take_spikes(mls_track *t, hid_t from, int64_t until, mls_error *e)
{
    int64_t n = shorter(mls_column_found(&t->end, from, e),
                        mls_column_found(&t->step, from, e));
    int64_t events = INT64_MAX;
    for (int i = 0; i < MLS_SPIKE_COLUMNS; i++)
        events = shorter(events, mls_column_found(&t->event[i], from, e));
    if (e->set) return 0;
    n = kept(&t->step, from, n, until, &t->last, e);
    int64_t *end = malloc((size_t)(n > 0 ? n : 1) * sizeof *end);
    int ok = n >= 0 && end && mls_column_read(&t->end, from, 0, n, end, e);
    /* an index that is ahead of its events: only whole records are kept */
    int64_t k = n;
    while (ok && k > 0 && end[k - 1] > events) k--;
    if (ok && k < n) {
        t->last = INT64_MIN;
        k = kept(&t->step, from, k, until, &t->last, e);
        ok = k >= 0;
    }
    t->events = ok && k > 0 ? end[k - 1] : 0;
    free(end);
    for (int i = 0; ok && i < MLS_SPIKE_COLUMNS; i++)
        ok = mls_column_copy(&t->event[i], from, t->events, e);
    return ok && mls_column_copy(&t->end, from, k, e) &&
           mls_column_copy(&t->step, from, k, e) && order(t, from, t->events, e);
}

static int take_series(mls_series *m, hid_t from, int64_t until, mls_error *e)
{
    const int64_t n = shorter(mls_column_found(&m->value, from, e),
                              mls_column_found(&m->step, from, e));
    if (e->set) return 0;
    const int64_t k = kept(&m->step, from, n, until, &m->last, e);
    return k >= 0 && mls_column_copy(&m->value, from, k, e) &&
           mls_column_copy(&m->step, from, k, e);
}

int mls_recorder_readable(mls_recorder *r, const char *from)
{
    struct probe p = { r, from, -1 };
    return mls_rec_survives(probe, &p);
}

static int find_torn(mls_column *c, void *arg)
{
    const char **torn = arg;
    if (c->torn) *torn = c->path;
    return 1;
}

int mls_recorder_take(mls_recorder *r, const char *from, int64_t until)
{
    hid_t f = mls_rec_open(from, &r->error);
    int ok = f >= 0;
    for (int i = 0; ok && i < r->n_tracks; i++)
        ok = r->track[i].spikes ? take_spikes(&r->track[i], f, until, &r->error)
                                : take_states(&r->track[i], f, until, &r->error);
    for (int i = 0; ok && i < r->n_series; i++)
        ok = take_series(&r->series[i], f, until, &r->error);
    if (f >= 0) H5Fclose(f);
    const char *torn = NULL;
    mls_recorder_each(r, find_torn, &torn);
    if (torn)
        r->warning =
            mls_arena_printf(&r->arena,
                             "%s: the last values of %s do not have the checksum "
                             "that they were written with; they were taken as they are",
                             from, torn);
    if (!ok) mls_error_prefix(&r->error, "%s cannot be continued", from);
    return ok;
}
