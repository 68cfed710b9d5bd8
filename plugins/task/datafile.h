/* datafile.h - the data sets of one group of a file: read, checked, and as samples whose
 * steps lie one after the other, whether the file has them so or as [sample][step].     */
#ifndef PLUGINS_TASK_DATAFILE_H
#define PLUGINS_TASK_DATAFILE_H

#include <mls/plugin.h>

#include <math.h>
#include <string.h>

enum { X, DT, MASK, LABEL, TARGET, LENGTH, OBSERVED, TIME, CHANNEL, CHANNELS, BY, ARRAYS };

typedef struct group {
    const char *name;                    /* "/train/"                                  */
    mls_array   a[ARRAYS];
    int64_t     S, rows;                 /* samples; steps (or events) of all of them  */
    int64_t    *start, *steps;           /* [S] first row of each, real steps          */
} group;

typedef struct data {                    /* what all groups of a file agree about      */
    const char *path;
    const char *name[ARRAYS];            /* of the data sets                           */
    double      bin;
    int64_t     T, F, O;                 /* longest sample, features of x or channels,
                                            classes or values                          */
    int         fixed;                   /* every sample has T steps                   */
    int         per_step, events, masked;
} data;

typedef struct reading {
    mls_ctx *c;
    data    *d;
    const mls_array_file *file;
    int      failed;
} reading;

/* One data set; 0 when it is absent or reading failed. */
static int read_one(reading *r, const char *where, const char *name, int optional,
                    mls_array *out)
{
    const size_t room = strlen(where) + strlen(name) + 1;
    char *path = mls->alloc(r->c, room);
    if (!path || r->failed || !*name) return 0;
    memcpy(path, where, strlen(where) + 1);
    strcat(path, name[0] == '/' ? name + 1 : name);
    if (r->file->read(r->c, r->d->path, path, optional, out)) return 1;
    if (!optional) r->failed = 1;
    return 0;
}

static void bad(reading *r, const group *g, int which, const char *need)
{
    const mls_array *a = &g->a[which];
    r->failed = 1;
    mls->fail(r->c, "%s: %s of %s has %d axes %lld x %lld x %lld, where %s is expected",
              r->d->path, r->d->name[which], g->name, a->rank, (long long)a->dim[0],
              (long long)a->dim[1], (long long)a->dim[2], need);
}

static void bad_value(reading *r, const group *g, int which, int64_t at, double value,
                      const char *what)
{
    r->failed = 1;
    mls->fail(r->c, "%s: %s of %s holds %g at number %lld, which is no %s", r->d->path,
              r->d->name[which], g->name, value, (long long)at, what);
}

/* a is [sample][step] or, when samples have lengths, [all steps]. */
static int fits_steps(const reading *r, const group *g, int which)
{
    const mls_array *a = &g->a[which];
    if (g->a[LENGTH].data) return a->rank == 1 && a->dim[0] == g->rows;
    return a->rank == 2 && a->dim[0] == g->S && a->dim[1] == r->d->T;
}

/* Lengths: whole, at least 1, and together the rows of x or the events. */
static void place_ragged(reading *r, group *g)
{
    const mls_array *l = &g->a[LENGTH];
    int64_t at = 0;
    if (l->rank != 1) {
        bad(r, g, LENGTH, "[samples]");
        return;
    }
    for (int64_t i = 0; i < g->S; i++) {
        const double n = l->data[i];
        /* as float, in which whole numbers are exact up to here */
        if (!(n >= 1 && n <= 16777216.0) || n != floor(n)) {
            bad_value(r, g, LENGTH, i, n, "number of steps from 1 to 16777216");
            return;
        }
        g->start[i] = at;
        g->steps[i] = (int64_t)n;
        at += g->steps[i];
    }
    if (at == g->rows) return;
    r->failed = 1;
    mls->fail(r->c, "%s: %s of %s is %lld steps together, but there are %lld", r->d->path,
              r->d->name[LENGTH], g->name, (long long)at, (long long)g->rows);
}

/* Real steps from the mask, after which only padding may follow. */
static void place_masked(reading *r, group *g)
{
    const int64_t T = r->d->T;
    const data *d = r->d;
    for (int64_t i = 0; i < g->S && !r->failed; i++) {
        const float *m = g->a[MASK].data ? g->a[MASK].data + i * T : NULL;
        int64_t n = m ? 0 : T;
        while (n < T && m[n] != 0.0f) n++;
        for (int64_t t = n; t < T && !r->failed; t++)
            if (m[t] != 0.0f) {
                r->failed = 1;
                mls->fail(r->c,
                          "%s: %s of sample %lld is 0 at step %lld and 1 again at step "
                          "%lld; padding must come after all real steps",
                          d->path, d->name[MASK], (long long)i, (long long)n,
                          (long long)t);
            }
        if (!n) {
            r->failed = 1;
            mls->fail(r->c, "%s: %s of sample %lld has no real step", d->path,
                      d->name[MASK], (long long)i);
        }
        g->start[i] = i * T;
        g->steps[i] = n;
    }
}

/* Bins that the events of sample i span. */
static int64_t bins(reading *r, const group *g, int64_t i)
{
    const float *time = g->a[TIME].data, *channel = g->a[CHANNEL].data;
    float last = 0;
    for (int64_t k = g->start[i]; k < g->start[i] + g->steps[i] && !r->failed; k++) {
        if (!(time[k] >= 0 && time[k] < 1e30f))
            bad_value(r, g, TIME, k, (double)time[k], "time from 0");
        else if (!(channel[k] >= 0 && channel[k] < (float)r->d->F) ||
                 channel[k] != floorf(channel[k]))
            bad_value(r, g, CHANNEL, k, (double)channel[k], "channel of this file");
        if (time[k] > last) last = time[k];
    }
    const double n = floor((double)last / r->d->bin) + 1;
    if (n <= 1 << 24) return (int64_t)n;
    if (!r->failed)
        mls->fail(r->c, "%s: sample %lld of %s lasts %g, which is %g bins of %g; larger "
                  "bins are needed", r->d->path, (long long)i, g->name, (double)last, n,
                  r->d->bin);
    r->failed = 1;
    return 1;
}

static void place(reading *r, group *g, int first)
{
    data *d = r->d;
    g->start = mls->alloc(r->c, (size_t)(g->S + 1) * sizeof *g->start);
    g->steps = mls->alloc(r->c, (size_t)(g->S + 1) * sizeof *g->steps);
    if (!g->start || !g->steps) {
        r->failed = 1;
        return;
    }
    if (first) d->fixed = 1;
    if (g->a[LENGTH].data) place_ragged(r, g);
    else place_masked(r, g);
    if (g->a[MASK].data) d->masked = 1;
    for (int64_t i = 0; i < g->S && !r->failed; i++) {
        const int64_t n = d->events ? bins(r, g, i) : g->steps[i];
        if (d->T && n != d->T) d->fixed = 0;
        if (n > d->T) d->T = n;
    }
}

static void check_events(reading *r, group *g, int first)
{
    const mls_array *time = &g->a[TIME], *channel = &g->a[CHANNEL];
    const float *n = g->a[CHANNELS].data;
    if (time->rank != 1) bad(r, g, TIME, "[events]");
    else if (channel->rank != 1 || channel->dim[0] != time->dim[0])
        bad(r, g, CHANNEL, "[events] as of time");
    else if (!g->a[LENGTH].data) read_one(r, g->name, r->d->name[LENGTH], 0, &g->a[LENGTH]);
    if (r->failed) return;
    if (!(n[0] >= 1 && n[0] <= 16777216.0f) || (!first && (int64_t)n[0] != r->d->F)) {
        bad_value(r, g, CHANNELS, 0, (double)n[0], "number of channels as of all groups");
        return;
    }
    r->d->F = (int64_t)n[0];
    g->rows = time->dim[0];
    g->S = g->a[LENGTH].dim[0];
}

static void check_x(reading *r, group *g, int first)
{
    const mls_array *x = &g->a[X], *o = &g->a[OBSERVED];
    data *d = r->d;
    const int ragged = g->a[LENGTH].data != NULL, rank = x->rank;
    const int64_t F = rank == (ragged ? 2 : 3) ? x->dim[rank - 1] : 1;
    if (rank < 2 - ragged || rank > 3 - ragged || x->dim[0] < 1 || x->dim[1] < 1 || F < 1)
        bad(r, g, X, ragged ? "[all steps][features] or [all steps], as there are lengths,"
                            : "[samples][steps][features] or [samples][steps]");
    else if (!first && (F != d->F || (!ragged && x->dim[1] != d->T)))
        bad(r, g, X, "the steps and features of /train/");
    else if (o->data && (o->rank != rank || memcmp(o->dim, x->dim, sizeof x->dim)))
        bad(r, g, OBSERVED, "the shape of x");
    if (r->failed) return;
    d->F = F;
    if (!ragged) d->T = x->dim[1];
    g->S = ragged ? g->a[LENGTH].dim[0] : x->dim[0];
    g->rows = ragged ? x->dim[0] : g->S * d->T;
}

/* No NaN where something was observed, in real steps. */
static void check_values(reading *r, const group *g)
{
    const int64_t F = r->d->F;
    const float *x = g->a[X].data, *seen = g->a[OBSERVED].data;
    for (int64_t i = 0; i < g->S; i++)
        for (int64_t k = g->start[i] * F; k < (g->start[i] + g->steps[i]) * F; k++)
            if (!isfinite(x[k]) && (!seen || seen[k] != 0.0f)) {
                r->failed = 1;
                mls->fail(r->c, "%s: %s of %s holds %g in sample %lld, step %lld, feature "
                          "%lld; missing values need a data set \"%s\" with 0 there",
                          r->d->path, r->d->name[X], g->name, (double)x[k], (long long)i,
                          (long long)(k / F - g->start[i]), (long long)(k % F),
                          r->d->name[OBSERVED]);
                return;
            }
}

static void check_steps(reading *r, const group *g)
{
    for (int k = DT; k <= MASK; k++)
        if (g->a[k].data && !fits_steps(r, g, k))
            bad(r, g, k, g->a[LENGTH].data ? "[all steps] as of x"
                                           : "[samples][steps] as of x");
}

static void check_labels(reading *r, const group *g, int *per_step)
{
    const mls_array *l = &g->a[LABEL];
    const int one = l->rank == 1 && l->dim[0] == g->S;
    *per_step = !one;
    if (!one && (r->d->events || !fits_steps(r, g, LABEL))) {
        bad(r, g, LABEL, "[samples] or [samples][steps]");
        return;
    }
    for (int64_t i = 0; i < (one ? g->S : g->rows); i++) {
        const float v = l->data[i];
        if (!(v > -16777216.0f && v < 16777216.0f) || v != (float)(int32_t)v) {
            bad_value(r, g, LABEL, i, (double)v, "class");
            return;
        }
        if ((int64_t)v + 1 > r->d->O) r->d->O = (int64_t)v + 1;
    }
}

static void check_target(reading *r, const group *g, int first, int *per_step)
{
    const mls_array *t = &g->a[TARGET];
    data *d = r->d;
    const int ragged = g->a[LENGTH].data != NULL, rank = t->rank;
    int ok = rank >= 1 && rank <= 2 && t->dim[0] == g->S;
    *per_step = 0;
    if (!ok) {
        *per_step = 1;
        ok = ragged && !d->events && rank >= 1 && rank <= 2 && t->dim[0] == g->rows;
        if (!ragged) ok = rank == 3 && t->dim[0] == g->S && t->dim[1] == d->T;
    }
    if (!ok) {
        bad(r, g, TARGET, "[samples], [samples][values] or [samples][steps][values]");
        return;
    }
    const int64_t O = rank == 1 ? 1 : t->dim[rank - 1];
    if (!first && O != d->O) bad(r, g, TARGET, "as many values as in /train/");
    d->O = O;
}

/* Labels and targets fit x and agree between the groups. */
static void check_answers(reading *r, const group *g, int first, int next)
{
    int per_step = 1;
    const int labels = g->a[LABEL].data != NULL;
    if (next) r->d->O = r->d->F;
    else if (labels) check_labels(r, g, &per_step);
    else check_target(r, g, first, &per_step);
    if (!first && per_step != r->d->per_step && !r->failed)
        bad(r, g, labels ? LABEL : TARGET, "as many axes as in /train/");
    r->d->per_step = per_step;
}

/* 0: there is no such group. */
static int read_group(reading *r, group *g, const char *name, int first, int next)
{
    data *d = r->d;
    g->name = name;
    if (r->failed) return 0;
    const int events = !read_one(r, name, d->name[X], 1, &g->a[X]);
    if (events) {
        if (r->failed || !read_one(r, name, d->name[TIME], 1, &g->a[TIME])) return 0;
        read_one(r, name, d->name[CHANNEL], 0, &g->a[CHANNEL]);
        read_one(r, name, d->name[CHANNELS], 0, &g->a[CHANNELS]);
    }
    if (first) d->events = events;
    else if (events != d->events) bad(r, g, events ? TIME : X, "events or x as in /train/");
    static const int others[] = { DT, MASK, LABEL, TARGET, LENGTH, OBSERVED };
    for (size_t k = 0; k < sizeof others / sizeof *others; k++)
        read_one(r, name, d->name[others[k]], 1, &g->a[others[k]]);
    if (d->events)
        g->a[DT] = g->a[MASK] = g->a[OBSERVED] = (mls_array){ NULL, 0, { 0 } };
    if (g->a[LENGTH].data) g->a[MASK] = (mls_array){ NULL, 0, { 0 } };
    /* neither: an error that names what the file has */
    if (!next && !g->a[LABEL].data && !g->a[TARGET].data)
        read_one(r, name, d->name[LABEL], 0, &g->a[LABEL]);
    if (!r->failed && d->events) check_events(r, g, first);
    else if (!r->failed) check_x(r, g, first);
    if (!r->failed) check_steps(r, g);
    if (!r->failed) place(r, g, first);
    if (!r->failed && !d->events) check_values(r, g);
    if (!r->failed) check_answers(r, g, first, next);
    return 1;
}

#endif
