/* samples.c - the layout itself: which data sets a part has and how samples go in. */
#include "import/import.h"

#include <stdio.h>
#include <string.h>

enum { X, LENGTH, DT, OBSERVED, LABEL, TARGET, TIME, CHANNEL, FIELD, FIELDS = 8 };

struct mls_samples {
    mls_import *m;
    int part;
    mls_samples_shape shape;
    int column[FIELD + FIELDS];
    int64_t n, steps, longest;
};

static int column(mls_samples *s, const char *name, mls_cell cell, int rank,
                  const int64_t *dim)
{
    char path[100];
    const char *part = mls_import_part(s->part);
    snprintf(path, sizeof path, "%s%s%s", part, part[1] ? "/" : "", name);
    return mls_dataset_column(s->m->out, path, cell, rank, dim);
}

/* Features last; in front of them the steps where all samples have as many. */
static int step_column(mls_samples *s, const char *name, mls_cell cell, int64_t features)
{
    const int64_t dim[2] = { s->shape.steps, features };
    const int fixed = s->shape.steps > 0;
    return column(s, name, cell, fixed + (features > 0), dim + !fixed);
}

static void channels(mls_samples *s)
{
    const int32_t n = (int32_t)s->shape.features;
    mls_dataset_append(s->m->out, column(s, "channels", MLS_CELL_I32, 0, NULL), 1, &n);
}

mls_samples *mls_samples_open(mls_import *m, int part, const mls_samples_shape *shape)
{
    mls_samples *s = mls_arena_zalloc(m->a, sizeof *s);
    if (!s || shape->n_fields > FIELDS) {
        mls_error_set(m->e, s ? "more than %d fields" : "no memory", FIELDS);
        return NULL;
    }
    const unsigned has = shape->has;
    const int64_t O = shape->targets;
    *s = (mls_samples){ .m = m, .part = part, .shape = *shape };
    for (int i = 0; i < FIELD + FIELDS; i++) s->column[i] = -1;
    int *c = s->column;
    if (has & MLS_HAS_EVENTS) {
        c[TIME] = column(s, "time", MLS_CELL_F64, 0, NULL);
        c[CHANNEL] = column(s, "channel", MLS_CELL_I32, 0, NULL);
        channels(s);
    } else {
        c[X] = step_column(s, "x", shape->cell, shape->features);
    }
    if (!shape->steps) c[LENGTH] = column(s, "length", MLS_CELL_I64, 0, NULL);
    if (has & MLS_HAS_DT) c[DT] = step_column(s, "dt", MLS_CELL_F32, 0);
    if (has & MLS_HAS_OBSERVED)
        c[OBSERVED] = step_column(s, "observed", MLS_CELL_U8, shape->features);
    if (has & MLS_HAS_LABEL) c[LABEL] = column(s, "label", MLS_CELL_I32, 0, NULL);
    if (has & MLS_HAS_STEP_LABEL) c[LABEL] = step_column(s, "label", MLS_CELL_I32, 0);
    if (has & MLS_HAS_TARGET) c[TARGET] = column(s, "target", MLS_CELL_F32, 1, &O);
    if (has & MLS_HAS_STEP_TARGET) c[TARGET] = step_column(s, "target", MLS_CELL_F32, O);
    for (int i = 0; i < shape->n_fields; i++)
        c[FIELD + i] = column(s, shape->field[i], MLS_CELL_I32, 0, NULL);
    if (shape->scale != 0.0 && shape->scale != 1.0)
        mls_dataset_real(m->out, c[X], "scale_factor", shape->scale);
    const int timed = has & MLS_HAS_EVENTS ? c[TIME] : c[DT];
    if (shape->time_unit && timed >= 0)
        mls_dataset_text(m->out, timed, "units", shape->time_unit);
    return m->e->set ? NULL : s;
}

static void add(mls_samples *s, int which, int64_t rows, const void *values)
{
    if (s->column[which] >= 0)
        mls_dataset_append(s->m->out, s->column[which], rows, values);
}

void mls_samples_add(mls_samples *s, const mls_samples_row *r)
{
    if (!s || s->m->e->set) return;
    const int64_t rows = s->shape.steps ? 1 : r->steps;
    const int each = (s->shape.has & (MLS_HAS_STEP_LABEL | MLS_HAS_STEP_TARGET)) != 0;
    if (r->steps < 1) {
        mls_error_set(s->m->e, "sample %lld of %s has no step", (long long)s->n,
                      mls_import_part(s->part));
        return;
    }
    add(s, X, rows, r->x);
    add(s, LENGTH, 1, &r->steps);
    add(s, DT, rows, r->dt);
    add(s, OBSERVED, rows, r->observed);
    add(s, LABEL, each ? rows : 1, r->label);
    add(s, TARGET, each ? rows : 1, r->target);
    add(s, TIME, rows, r->time);
    add(s, CHANNEL, rows, r->channel);
    for (int i = 0; i < s->shape.n_fields; i++) add(s, FIELD + i, 1, &r->field[i]);
    s->n++;
    s->steps += r->steps;
    if (r->steps > s->longest) s->longest = r->steps;
}

void mls_samples_classes(mls_samples *s, const char *names)
{
    if (s && s->column[LABEL] >= 0)
        mls_dataset_text(s->m->out, s->column[LABEL], "classes", names);
}

void mls_samples_features(mls_samples *s, const char *names)
{
    if (s && s->column[X] >= 0) mls_dataset_text(s->m->out, s->column[X], "features", names);
}

void mls_samples_names(mls_samples *s, int field, const char *names)
{
    mls_dataset_text(s->m->out, s->column[FIELD + field], "names", names);
}

void mls_samples_close(mls_samples *s)
{
    if (!s || s->m->e->set) return;
    mls_import *m = s->m;
    if (!s->n) {
        mls_error_set(m->e, "there is not one sample for %s", mls_import_part(s->part));
        return;
    }
    const int events = (s->shape.has & MLS_HAS_EVENTS) != 0;
    const size_t used = strlen(m->said);
    const char *what = events ? "events" : "steps";
    char length[100];
    if (s->shape.steps)
        snprintf(length, sizeof length, "%lld %s", (long long)s->shape.steps, what);
    else
        snprintf(length, sizeof length, "%.2f %s on average, at most %lld",
                 (double)s->steps / (double)s->n, what, (long long)s->longest);
    snprintf(m->said + used, m->room - used, "%s: %lld samples of %s, %lld %s\n",
             mls_import_part(s->part), (long long)s->n, length,
             (long long)s->shape.features, events ? "channels" : "features");
}
