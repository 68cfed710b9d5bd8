/* The recorder: a file under a temporary name with every data set declared, switched to
 * SWMR, then called .part; whole chunks while it grows; verified, then its final name.  */
#include "rec/track.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t hash_of(const char *node, const char *name)
{
    uint64_t h = 14695981039346656037u;                         /* FNV-1a */
    for (const char *p = node; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    h = (h ^ '.') * 1099511628211u;
    for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    return h;
}

int mls_recorder_each(mls_recorder *r, int (*body)(mls_column *c, void *arg), void *arg)
{
    for (int i = 0; i < r->n_tracks; i++) {
        mls_track *t = &r->track[i];
        if (t->spikes) {
            for (int k = 0; k < MLS_SPIKE_COLUMNS; k++)
                if (!body(&t->event[k], arg)) return 0;
            if (!body(&t->end, arg)) return 0;
        } else if (!body(&t->value, arg)) {
            return 0;
        }
        if (!body(&t->step, arg)) return 0;
    }
    for (int i = 0; i < r->n_series; i++)
        if (!body(&r->series[i].value, arg) || !body(&r->series[i].step, arg)) return 0;
    return 1;
}

static int64_t least(int64_t request, int64_t all)
{
    return request > 0 && request < all ? request : all;
}

static int plan_track(mls_recorder *r, const mls_recorder_config *c,
                      const mls_channel *ch, const mls_request *q)
{
    mls_track *t = &r->track[r->n_tracks];
    mls_arena *a = &r->arena;
    *t = (mls_track){ .spikes = (ch->flags & MLS_SPIKES) != 0, .every = q->every,
                      .T = least(q->steps, c->T), .B = least(q->samples, c->B),
                      .U = least(q->units, ch->width), .round_bits = q->round_bits,
                      .report = q->report && !(ch->flags & MLS_SPIKES),
                      .hash = hash_of(ch->node, ch->name), .last = INT64_MIN };
    t->name = mls_arena_printf(a, "%s.%s", ch->node, ch->name);
    t->unit = ch->unit ? mls_arena_strdup(a, ch->unit) : NULL;
    t->help = ch->help ? mls_arena_strdup(a, ch->help) : NULL;
    if (t->T < 1 || t->B < 1 || t->U < 1) {
        mls_error_set(&r->error, "record: %s.%s is empty (%lld x %lld x %lld)",
                      ch->node, ch->name, (long long)t->T, (long long)t->B,
                      (long long)t->U);
        return 0;
    }
    if (t->report && t->B != 1) {
        mls_error_set(&r->error, "record: the report of %s.%s is a matrix of time and "
                      "units: it needs `samples` = 1", ch->node, ch->name);
        return 0;
    }
    for (int i = 0; i < r->n_tracks; i++)
        if (!strcmp(r->track[i].name, t->name)) return 1;       /* told of twice */
    r->n_tracks++;
    return t->spikes ? mls_spikes_plan(t, a, &r->error)
                     : mls_states_plan(t, a, &r->error);
}

mls_recorder *mls_recorder_plan(const mls_recorder_config *c, mls_error *e)
{
    mls_recorder *r = calloc(1, sizeof *r);
    if (!r) {
        mls_error_set(e, "out of memory for a recorder");
        return NULL;
    }
    r->file = -1;
    r->owner = (int)getpid();
    r->step_ms = c->step_ms;
    r->track =
        mls_arena_zalloc(&r->arena, (size_t)(c->n_channels + 1) * sizeof *r->track);
    r->series =
        mls_arena_zalloc(&r->arena, (size_t)(c->n_metrics + 1) * sizeof *r->series);
    if (c->dir) {
        r->final = mls_arena_printf(&r->arena, "%s/record.h5", c->dir);
        r->part = mls_arena_printf(&r->arena, "%s/record.h5.part", c->dir);
        r->fresh = mls_arena_printf(&r->arena, "%s/record.h5.new", c->dir);
    }
    int ok = r->track && r->series && (!c->dir || (r->final && r->part && r->fresh));
    if (!ok) mls_error_set(&r->error, "out of memory for a recorder");
    for (int i = 0; ok && i < c->n_channels; i++) {
        const mls_request *q =
            mls_request_for(c->request, c->n_requests, &c->channel[i]);
        if (q) ok = plan_track(r, c, &c->channel[i], q);
    }
    for (int i = 0; ok && i < c->n_metrics; i++) {
        mls_series *m = &r->series[r->n_series];
        int known = 0;
        for (int k = 0; k < r->n_series; k++)
            known |= !strcmp(r->series[k].name, c->metric[i]);
        if (known) continue;
        m->name = mls_arena_strdup(&r->arena, c->metric[i]);
        m->last = INT64_MIN;
        r->n_series++;
        ok = mls_series_plan(m, &r->arena, &r->error);
    }
    if (ok) return r;
    mls_error_set(e, "%s", r->error.text);
    mls_recorder_free(r);
    return NULL;
}

static int close_column(mls_column *c, void *arg)
{
    (void)arg;
    mls_column_close(c);
    return 1;
}

static int open_column(mls_column *c, void *arg)
{
    mls_recorder *r = arg;
    return mls_column_open(c, r->file, &r->error);
}

static int write_column(mls_column *c, void *arg)
{
    mls_recorder *r = arg;
    return mls_column_write(c, &r->error);
}

static int name_column(mls_column *c, void *arg)
{
    c->file = arg;
    return 1;
}

int mls_recorder_build(mls_recorder *r, const mls_recorder_config *c, const char *path)
{
    mls_error *e = &r->error;
    mls_scales scales = { .arena = &r->arena };
    mls_recorder_each(r, name_column, (void *)path);
    r->file = mls_rec_create(path, 1, 0, e);
    int ok = r->file >= 0;
    if (ok && !mls_root_write(r->file, c)) {
        mls_error_set(e, "%s: its description cannot be written", path);
        ok = 0;
    }
    for (int i = 0; ok && i < r->n_tracks; i++)
        ok = r->track[i].spikes
                 ? mls_spikes_create(&r->track[i], r->file, e)
                 : mls_states_create(&r->track[i], r->file, c->step_ms, &scales, e);
    for (int i = 0; ok && i < r->n_tracks; i++)
        if (r->track[i].report)
            ok = mls_report_create(&r->track[i], r->file, c->step_ms, &scales, e);
    for (int i = 0; ok && i < r->n_series; i++)
        ok = mls_series_create(&r->series[i], r->file, &scales, e);
    if (ok && !mls_scales_finish(&scales, r->file)) {
        mls_error_set(e, "%s: the dimension scales cannot be written", path);
        ok = 0;
    }
    return ok;
}

/* From here on every prefix of what is written is a readable file. */
static int start(mls_recorder *r)
{
    char why[300];
    mls_recorder_each(r, close_column, NULL);      /* their caches would be reset anyway */
    if (H5Fflush(r->file, H5F_SCOPE_GLOBAL) < 0 || H5Fstart_swmr_write(r->file) < 0) {
        mls_rec_why(why, sizeof why);
        mls_error_set(&r->error, "%s: cannot become readable while it is written: %s",
                      r->fresh, why);
        return 0;
    }
    mls_recorder_each(r, name_column, (void *)r->part);
    return mls_recorder_each(r, open_column, r) &&
           mls_rec_move(r->fresh, r->part, &r->error);
}

/* The damaged file gets another name, and the user is told. */
static int keep_aside(mls_recorder *r, const char *path)
{
    for (int i = 1; i < 1000; i++) {
        const char *to = mls_arena_printf(&r->arena, "%s.damaged-%d", r->final, i);
        if (!to || access(to, F_OK) == 0) continue;
        if (rename(path, to) == 0) {
            r->warning =
                mls_arena_printf(&r->arena,
                                 "%s is damaged, or was killed before it was "
                                 "usable; it is kept as %s, and recording starts anew",
                                 path, to);
            return 1;
        }
        break;
    }
    mls_error_set(&r->error, "%s is damaged and cannot be renamed: %s", path,
                  strerror(errno));
    return 0;
}

/* What to continue from: a .part, else a file that was complete already; or NULL. */
static const char *source(mls_recorder *r, mls_recorder_config *c)
{
    const char *from = access(r->part, F_OK) == 0 ? r->part
                     : access(r->final, F_OK) == 0 ? r->final : NULL;
    if (c->resume_step <= 0 || !from) return NULL;
    if (!mls_recorder_readable(r, from)) {
        keep_aside(r, from);
        return NULL;
    }
    hid_t f = mls_rec_open(from, &r->error);
    if (f < 0) return NULL;
    c->resume_step = mls_root_starts_after(f);
    H5Fclose(f);
    return from;
}

mls_recorder *mls_recorder_open(const mls_recorder_config *c, mls_error *e)
{
    mls_rec_init();
    mls_recorder_config now = *c;
    mls_recorder *r = mls_recorder_plan(c, e);
    if (!r) return NULL;
    const char *from = source(r, &now);
    if (!r->error.set && mls_recorder_build(r, &now, r->fresh) &&
        (!from || mls_recorder_take(r, from, c->resume_step)) && start(r))
        return r;
    mls_error_set(e, "%s", r->error.text);
    unlink(r->fresh);
    mls_recorder_free(r);
    return NULL;
}

static void end_record(mls_recorder *r, mls_track *t)
{
    if (!t->open || r->error.set) return;
    t->open = t->due = 0;
    t->last = r->now;
    if (t->spikes) mls_spikes_end(t, r->now, &r->error);
    else mls_states_end(t, r->now, &r->error);
}

static void end_records(mls_recorder *r)
{
    mls_rec_init();
    for (int i = 0; i < r->n_tracks; i++) end_record(r, &r->track[i]);
}

void mls_recorder_at(mls_recorder *r, int64_t step, int evaluating)
{
    if (!r) return;
    if (r->due) end_records(r);
    r->now = step;
    r->evaluating = evaluating;
    r->due = 0;
    for (int i = 0; i < r->n_tracks && !r->error.set; i++) {
        mls_track *t = &r->track[i];
        t->due = step > t->last &&
                 (evaluating ? t->every == 0 : t->every > 0 && step % t->every == 0);
        t->next_t = 0;
        r->due |= t->due;
    }
}

static mls_track *find(mls_recorder *r, const char *node, const char *name)
{
    const uint64_t h = hash_of(node, name);
    const size_t n = strlen(node);
    for (int i = 0; i < r->n_tracks; i++) {
        mls_track *t = &r->track[i];
        if (t->hash == h && !strncmp(t->name, node, n) && t->name[n] == '.' &&
            !strcmp(t->name + n + 1, name))
            return t;
    }
    return NULL;
}

static int wanted(void *arg, const char *node, const char *name)
{
    mls_recorder *r = arg;
    if (!r->due || r->error.set) return 0;
    const mls_track *t = find(r, node, name);
    return t && t->due;
}

static void value(void *arg, const mls_channel *ch, mls_t v, int64_t t0)
{
    mls_recorder *r = arg;
    if (!r->due || r->error.set || !v->data) return;
    mls_track *t = find(r, ch->node, ch->name);
    if (!t || !t->due) return;
    if (t0 < t->next_t) {         /* a second forward: the first one is the record */
        end_record(r, t);
        return;
    }
    if (t->spikes)
        mls_spikes_add(t, r->step_ms, r->now, v->data, v->dim[0], v->dim[1], v->dim[2],
                       t0, &r->error);
    else
        mls_states_add(t, v->data, v->dim[0], v->dim[1], v->dim[2], t0);
    t->open = 1;
    t->next_t = t0 + v->dim[0];
}

mls_observer mls_recorder_observer(mls_recorder *r)
{
    return (mls_observer){ r, wanted, value };
}

int mls_recorder_flush(mls_recorder *r)
{
    if (r->error.set || r->file < 0) return 0;
    end_records(r);
    if (r->error.set || !mls_recorder_each(r, write_column, r)) return 0;
    if (H5Fflush(r->file, H5F_SCOPE_LOCAL) < 0) {
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(&r->error, "%s: could not be written: %s (%.1f MB free there)",
                      r->part, why, (double)mls_rec_free_space(r->part) / 1e6);
        return 0;
    }
    /* A checkpoint outlives a power cut, and a run resumed from it relies on this file. */
    return mls_rec_sync(r->part, &r->error);
}

int mls_recorder_last(mls_recorder *r)
{
    int ok = 1;
    for (int i = 0; ok && i < r->n_tracks; i++) {
        mls_track *t = &r->track[i];
        if (t->spikes) ok = mls_spikes_sorted(t, r->file);
        if (t->report) ok = mls_report_write(t, r->file, &r->error);
    }
    return ok;
}

int mls_recorder_shut(mls_recorder *r)
{
    mls_recorder_each(r, close_column, NULL);
    const int ok = H5Fflush(r->file, H5F_SCOPE_GLOBAL) >= 0 && H5Fclose(r->file) >= 0;
    if (ok) r->file = -1;
    return ok;
}

int mls_recorder_close(mls_recorder *r, mls_error *e)
{
    int ok = mls_recorder_flush(r) && mls_recorder_last(r) && mls_root_complete(r->file);
    ok = ok && mls_recorder_shut(r);
    if (!ok && !r->error.set) {
        char why[300];
        mls_rec_why(why, sizeof why);
        mls_error_set(&r->error, "%s: could not be closed: %s", r->part, why);
    }
    ok = ok && mls_recorder_verify(r->part, r, 1, &r->error) &&
         mls_rec_move(r->part, r->final, &r->error);
    if (!ok) mls_error_set(e, "%s", r->error.text);
    mls_recorder_free(r);
    return ok;
}

void mls_recorder_free(mls_recorder *r)
{
    if (!r) return;
    /* After a failed write libhdf5 may crash when it flushes what it holds: such a file
     * is left open, and the system closes it.                                           */
    if (r->file >= 0 && !r->error.set && r->owner == (int)getpid()) {
        mls_rec_init();
        mls_recorder_each(r, close_column, NULL);
        H5Fclose(r->file);
    }
    mls_arena_free(&r->arena);
    free(r);
}

void mls_recorder_abandon(mls_recorder *r)
{
    if (r && !r->error.set && r->file >= 0) mls_recorder_flush(r);
    mls_recorder_free(r);
}

const mls_error *mls_recorder_error(const mls_recorder *r)
{
    return &r->error;
}

const char *mls_recorder_warning(const mls_recorder *r)
{
    return r->warning;
}
