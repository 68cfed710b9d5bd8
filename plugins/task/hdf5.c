/* task.hdf5 - classification or regression from an HDF5 file.
 *
 * Data sets by name in a group for each split (/train/x, /validation/x, /test/x), or in
 * the root and divided in order.  S samples of T steps:
 *   x       [S][T][F] or [S][T]         the input; required
 *   dt      [S][T]                      length of each step
 *   mask    [S][T]                      1 real, 0 padding, which only follows real steps
 *   label   [S] or [S][T]               classes from 0, below 0 = not scored
 *   target  [S], [S][O] or [S][T][O]    values, NaN = not scored
 * One for the sequence or one for each step, by the number of axes.
 */
#include <mls/plugin.h>

#include <string.h>

enum { X, DT, MASK, LABEL, TARGET, ARRAYS };

typedef struct hdf5 {
    const char *path;
    const char *x, *dt, *mask, *label, *target;     /* names, in the order of the enum  */
    double      validation, test;
    /* after open */
    mls_array   array[3][ARRAYS];
    int64_t     first[3], count[3];                 /* of the samples in those arrays   */
    int64_t    *length[3];                          /* real steps of each, or NULL      */
    int64_t     T, F, O;
    int         per_step;
} hdf5;

static const char *const GROUP[3] = { "/train/", "/validation/", "/test/" };

typedef struct reading {
    mls_ctx *c;
    hdf5 *s;
    const mls_array_file *file;
    int failed;
} reading;

/* One data set; 0 when it is absent or reading failed. */
static int read_one(reading *r, const char *group, const char *name, int optional,
                    mls_array *out)
{
    const size_t room = strlen(group) + strlen(name) + 1;
    char *path = mls->alloc(r->c, room);
    if (!path) return 0;
    memcpy(path, group, strlen(group) + 1);
    strcat(path, name[0] == '/' ? name + 1 : name);
    if (r->file->read(r->c, r->s->path, path, optional, out)) return 1;
    if (!optional) r->failed = 1;
    return 0;
}

static void bad(reading *r, int split, const char *name, const mls_array *a,
                const char *need)
{
    r->failed = 1;
    mls->fail(r->c, "%s: %s of %s has %d axes %lld x %lld x %lld, where %s is expected",
              r->s->path, name, GROUP[split], a->rank, (long long)a->dim[0],
              (long long)a->dim[1], (long long)a->dim[2], need);
}

/* dt and mask fit x; lengths from the mask. */
static void check_steps(reading *r, int split)
{
    hdf5 *s = r->s;
    const mls_array *a = s->array[split];
    const int64_t S = a[X].dim[0], T = s->T;
    for (int k = DT; k <= MASK; k++)
        if (a[k].data && (a[k].rank != 2 || a[k].dim[0] != S || a[k].dim[1] != T)) {
            bad(r, split, k == DT ? s->dt : s->mask, &a[k], "[samples][steps] as of x");
            return;
        }
    if (!a[MASK].data) return;
    int64_t *n = mls->alloc(r->c, (size_t)(S + 1) * sizeof *n);
    if (!n) return;
    for (int64_t i = 0; i < S; i++) {
        const float *m = a[MASK].data + i * T;
        while (n[i] < T && m[n[i]] != 0.0f) n[i]++;
        for (int64_t t = n[i]; t < T; t++)
            if (m[t] != 0.0f) {
                r->failed = 1;
                mls->fail(r->c,
                          "%s: %s of sample %lld is 0 at step %lld and 1 again at step "
                          "%lld; padding must come after all real steps",
                          s->path, s->mask, (long long)i, (long long)n[i],
                          (long long)t);
                return;
            }
        if (!n[i]) {
            r->failed = 1;
            mls->fail(r->c, "%s: %s of sample %lld has no real step", s->path, s->mask,
                      (long long)i);
            return;
        }
    }
    s->length[split] = n;
}

/* Labels and targets fit x and agree between the splits; s->O, s->per_step. */
static void check_answers(reading *r, int split, int first)
{
    hdf5 *s = r->s;
    const mls_array *a = s->array[split], *l = &a[LABEL], *t = &a[TARGET];
    const int64_t S = a[X].dim[0], T = s->T;
    const int classes = l->data != NULL;
    const int per_step = classes ? l->rank == 2 : t->rank == 3;
    if (classes) {
        if (l->rank < 1 || l->rank > 2 || l->dim[0] != S ||
            (per_step && l->dim[1] != T)) {
            bad(r, split, s->label, l, "[samples] or [samples][steps]");
            return;
        }
        for (int64_t i = 0; i < S * (per_step ? T : 1); i++) {
            const float v = l->data[i];
            if (!(v > -16777216.0f && v < 16777216.0f) || v != (float)(int32_t)v) {
                r->failed = 1;
                mls->fail(r->c,
                          "%s: %s of %s holds %g at number %lld, which is no class",
                          s->path, s->label, GROUP[split], (double)v, (long long)i);
                return;
            }
            if ((int64_t)v + 1 > s->O) s->O = (int64_t)v + 1;
        }
    } else if (!t->data || t->rank < 1 || t->rank > 3 || t->dim[0] != S ||
               (per_step && t->dim[1] != T)) {
        bad(r, split, s->target, t,
            "[samples], [samples][values] or [samples][steps][values]");
        return;
    } else {
        const int64_t O = t->rank == 1 ? 1 : t->dim[t->rank - 1];
        if (!first && O != s->O)
            bad(r, split, s->target, t, "as many values as in /train/");
        s->O = O;
    }
    if (!first && per_step != s->per_step)
        bad(r, split, classes ? s->label : s->target, classes ? l : t,
            "as many axes as in /train/");
    s->per_step = per_step;
}

static void check_x(reading *r, int split, int first)
{
    hdf5 *s = r->s;
    const mls_array *x = &s->array[split][X];
    const int64_t F = x->rank == 3 ? x->dim[2] : 1;
    if (x->rank < 2 || x->rank > 3 || x->dim[0] < 1 || x->dim[1] < 1 || F < 1) {
        bad(r, split, s->x, x, "[samples][steps][features] or [samples][steps]");
    } else if (!first && (F != s->F || x->dim[1] != s->T)) {
        bad(r, split, s->x, x, "the steps and features of /train/");
    } else {
        s->F = F;
        s->T = x->dim[1];
    }
}

static int read_split(reading *r, int split, const char *group, int first)
{
    hdf5 *s = r->s;
    const char *const name[ARRAYS] = { s->x, s->dt, s->mask, s->label, s->target };
    mls_array *a = s->array[split];
    if (!read_one(r, group, name[X], 1, &a[X])) return 0;
    for (int k = DT; k < ARRAYS; k++) read_one(r, group, name[k], 1, &a[k]);
    /* neither: an error that names what the file has */
    if (!a[LABEL].data && !a[TARGET].data)
        read_one(r, group, name[LABEL], 0, &a[LABEL]);
    if (!r->failed) check_x(r, split, first);
    if (!r->failed) check_steps(r, split);
    if (!r->failed) check_answers(r, split, first);
    s->count[split] = a[X].dim[0];
    return 1;
}

static void divide(hdf5 *s)
{
    const int64_t all = s->count[0];
    const int64_t v = (int64_t)((double)all * s->validation),
                  t = (int64_t)((double)all * s->test);
    s->count[0] = all - v - t;
    s->count[1] = v;
    s->count[2] = t;
    for (int k = 1; k < 3; k++) {
        memcpy(s->array[k], s->array[0], sizeof s->array[k]);
        s->length[k] = s->length[0];
        s->first[k] = s->first[k - 1] + s->count[k - 1];
    }
}

static void open(mls_ctx *c, void *self, mls_task_shape *shape)
{
    hdf5 *s = self;
    reading r = { c, s, mls->extension("mls.array-file/1"), 0 };
    if (!s->path || !*s->path) {
        mls->fail(c, "needs `path`, an HDF5 file");
        return;
    }
    if (!r.file) {
        mls->fail(c, "this mls cannot read array files");
        return;
    }
    if (read_split(&r, 0, GROUP[0], 1)) {
        for (int k = 1; k < 3 && !r.failed; k++) read_split(&r, k, GROUP[k], 0);
    } else if (read_split(&r, 0, "/", 1)) {
        if (s->validation + s->test >= 1.0) {
            mls->fail(c, "validation %g and test %g leave nothing to train with",
                      s->validation, s->test);
            return;
        }
        divide(s);
    } else {
        mls_array none;
        read_one(&r, "/train/", s->x, 0, &none);    /* to fail with what the file has */
        return;
    }
    if (!r.failed && !s->O) mls->fail(c, "%s: %s scores nothing", s->path, s->label);
    int dt = 0, mask = 0;
    for (int k = 0; k < 3; k++) {
        dt |= s->array[k][DT].data != NULL;
        mask |= s->length[k] != NULL;
    }
    *shape =
        (mls_task_shape){ .steps = s->T,
                          .input = s->F,
                          .output = s->O,
                          .loss = s->array[0][LABEL].data ? MLS_CROSS_ENTROPY : MLS_MSE,
                          .per_step = s->per_step,
                          .has_mask = mask,
                          .has_dt = dt };
}

static int64_t count(const void *self, int split)
{
    return ((const hdf5 *)self)->count[split];
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *out)
{
    (void)c;
    (void)key;
    const hdf5 *s = self;
    const mls_array *a = s->array[split];
    const int64_t i = s->first[split] + index, T = s->T;
    const int64_t n = s->length[split] ? s->length[split][i] : T;
    const int64_t answers = s->per_step ? n : 1, stride = s->per_step ? T : 1;
    out->steps = n;
    memcpy(out->x, a[X].data + i * T * s->F, (size_t)(n * s->F) * sizeof(float));
    if (a[DT].data && out->dt)
        memcpy(out->dt, a[DT].data + i * T, (size_t)n * sizeof(float));
    if (a[LABEL].data && out->label)
        for (int64_t t = 0; t < answers; t++) {
            const int32_t v = (int32_t)a[LABEL].data[i * stride + t];
            out->label[t] = v < 0 ? -1 : v;
        }
    else if (a[TARGET].data && out->target)
        memcpy(out->target, a[TARGET].data + i * stride * s->O,
               (size_t)(answers * s->O) * sizeof(float));
}

static const mls_option options[] = {
    MLS_OPT_STRING(hdf5, path, "", "the HDF5 file"),
    MLS_OPT_STRING(hdf5, x, "x", "data set of the input, [sample][step][feature]"),
    MLS_OPT_STRING(hdf5, dt, "dt",
                   "data set of the step lengths, [sample][step]; may be absent"),
    MLS_OPT_STRING(hdf5, mask, "mask",
                   "data set of 1 for real steps and 0 for padding after "
                   "them; may be absent"),
    MLS_OPT_STRING(hdf5, label, "label",
                   "data set of classes, [sample] or [sample][step]"),
    MLS_OPT_STRING(hdf5, target, "target",
                   "data set of values, [sample][value] or "
                   "[sample][step][value], used where there are no labels"),
    MLS_OPT(hdf5, validation, MLS_REAL, 0.1, 0, 1, NULL,
            "fraction for validation when the file has no group /train"),
    MLS_OPT(hdf5, test, MLS_REAL, 0, 0, 1, NULL,
            "fraction for the test, at the end, when the file has no group /train"),
    MLS_OPT_END
};

static const mls_task task = { sizeof(mls_task), open, count, fill, NULL, NULL };

static const mls_component component = {
    sizeof(mls_component),
    "task",
    "hdf5",
    0,
    "classification or regression from an HDF5 file\n\n"
    "Data sets `x` and `label` or `target`, and if wanted `dt` and `mask`, in the "
    "groups "
    "/train, /validation and /test; or in the root, divided in order: first the "
    "training, "
    "then the validation, then the test samples. With labels it is classification, "
    "else "
    "regression.",
    NULL,
    options,
    sizeof(hdf5),
    NULL,
    NULL,
    &task
};

MLS_PLUGIN("hdf5", "1.0", "Apache-2.0", &component);
