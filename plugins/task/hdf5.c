/* task.hdf5 - classification or regression from an HDF5 file.
 *
 * Data sets by name in a group for each split (/train/x, /validation/x, /test/x), or in
 * the root and divided.  S samples of T steps:
 *   x         [S][T][F] or [S][T]         the input
 *   dt        [S][T]                      length of each step
 *   mask      [S][T]                      1 real, 0 padding, which only follows real steps
 *   observed  [S][T][F]                   1 where x was observed; becomes further features
 *   label     [S] or [S][T]               classes from 0, below 0 = not scored
 *   target    [S], [S][O] or [S][T][O]    values, NaN = not scored
 * One answer for the sequence or one for each step, by the number of axes.  With
 *   length    [S]                         steps of each sample
 * the steps of all samples lie one after the other: x [rows][F], dt [rows] and so on.
 * Events in place of x, counted in bins of time: time [E], channel [E], channels [1],
 * and length, the events of each sample.
 */
#include "datafile.h"

static const char *const GROUP[3] = { "/train/", "/validation/", "/test/" };

enum { AS_THEY_ARE, STANDARD, SAMPLE };
enum { ZERO, LAST };
enum { SQUARED, ABSOLUTE, BINARY };

typedef struct hdf5 {
    const char *path;
    const char *x, *dt, *mask, *label, *target, *length, *observed, *time, *channel,
        *channels, *test_by;
    double      validation, test, bin;
    int64_t     test_from, test_to, permutation, longest;
    int         normalise, missing, predict, elapsed_input, loss;
    /* after open */
    data        d;
    group       group[3];
    int         of[3];                              /* which group a split is from       */
    int64_t    *pick[3], count[3];                  /* samples of each split             */
    int64_t     input;                              /* of a step: x, observed, elapsed   */
    int         seen;                               /* 1: observed is among them         */
    float      *mean, *scale;                       /* [F] of x, or NULL                 */
    int64_t    *order;                              /* [T] of steps, or NULL             */
} hdf5;

/* The last samples of `from` by fractions; or, with `spread`, evenly from all of them. */
static void divide(hdf5 *s, int64_t *from, int64_t n, int split, double part, int spread)
{
    const int64_t want = (int64_t)((double)n * part);
    int64_t kept = 0, given = 0;
    for (int64_t i = 0; i < n; i++) {
        const int mine = spread ? (i + 1) * want / n > i * want / n : i >= n - want;
        if (mine) s->pick[split][given++] = from[i];
        else from[kept++] = from[i];
    }
    s->count[split] = given;
    s->count[0] = kept;
}

static int room_for(mls_ctx *c, hdf5 *s, int split, int64_t n)
{
    s->pick[split] = mls->alloc(c, (size_t)(n + 1) * sizeof *s->pick[split]);
    for (int64_t i = 0; s->pick[split] && i < n; i++) s->pick[split][i] = i;
    return s->pick[split] != NULL;
}

/* Samples whose number in `test_by` is from test_from to test_to are for the test. */
static void take_test(reading *r, hdf5 *s, const group *g)
{
    const mls_array *by = &g->a[BY];
    int64_t kept = 0;
    if (by->rank != 1 || by->dim[0] != g->S) {
        bad(r, g, BY, "[samples]");
        return;
    }
    for (int64_t i = 0; i < g->S; i++) {
        const double v = by->data[i];
        if (v >= (double)s->test_from && v <= (double)s->test_to)
            s->pick[2][s->count[2]++] = i;
        else s->pick[0][kept++] = i;
    }
    s->count[0] = kept;
    if (kept && s->count[2]) return;
    r->failed = 1;
    mls->fail(r->c, "%s: %s from %lld to %lld is %s of the samples", s->path, s->test_by,
              (long long)s->test_from, (long long)s->test_to, kept ? "none" : "all");
}

static void divide_root(reading *r, hdf5 *s)
{
    group *g = &s->group[0];
    const int by = *s->test_by != 0;
    if (s->validation + (by ? 0 : s->test) >= 1.0) {
        r->failed = 1;
        mls->fail(r->c, "validation %g and test %g leave nothing to train with",
                  s->validation, s->test);
        return;
    }
    for (int k = 0; k < 3; k++) {
        s->of[k] = 0;
        if (!room_for(r->c, s, k, g->S)) return;
    }
    s->count[0] = g->S;
    if (by) {
        if (read_one(r, "/", s->test_by, 0, &g->a[BY])) take_test(r, s, g);
        if (!r->failed) divide(s, s->pick[0], s->count[0], 1, s->validation, 1);
    } else {
        const int64_t all = g->S, t = (int64_t)((double)all * s->test);
        divide(s, s->pick[0], all, 2, s->test, 0);
        const int64_t v = (int64_t)((double)all * s->validation);
        divide(s, s->pick[0], all - t, 1, all > t ? ((double)v + 0.5) / (double)(all - t) : 0, 0);
    }
}

/* Mean and 1 / deviation of each feature over what was observed for training. */
static void set_scale(mls_ctx *c, hdf5 *s)
{
    const group *g = &s->group[s->of[0]];
    const int64_t F = s->d.F;
    double *sum = mls->alloc(c, (size_t)(3 * F) * sizeof *sum), *n = sum + F, *q = n + F;
    s->mean = mls->alloc(c, (size_t)F * sizeof *s->mean);
    s->scale = mls->alloc(c, (size_t)F * sizeof *s->scale);
    if (!sum || !s->mean || !s->scale) return;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t j = 0; j < s->count[0]; j++) {
            const int64_t i = s->pick[0][j], from = g->start[i] * F;
            for (int64_t k = from; k < from + g->steps[i] * F; k++) {
                if (g->a[OBSERVED].data && g->a[OBSERVED].data[k] == 0.0f) continue;
                const double v = g->a[X].data[k], d = v - (double)s->mean[k % F];
                if (pass) q[k % F] += d * d;
                else {
                    sum[k % F] += v;
                    n[k % F] += 1;
                    s->mean[k % F] = (float)(sum[k % F] / n[k % F]);
                }
            }
        }
    for (int64_t f = 0; f < F; f++)
        s->scale[f] = q[f] > 0 ? (float)(1.0 / sqrt(q[f] / n[f])) : 1.0f;
}

/* A permutation of the steps that belongs to the number alone (Fisher and Yates). */
static void set_order(mls_ctx *c, hdf5 *s)
{
    const int64_t T = s->d.T;
    if (!s->d.fixed || s->d.per_step || s->d.events || s->group[0].a[DT].data) {
        mls->fail(c, "permutation: the steps of %s cannot change places, because %s",
                  s->path, s->d.fixed ? "they have answers or lengths of their own"
                                      : "its samples are not equally long");
        return;
    }
    s->order = mls->alloc(c, (size_t)T * sizeof *s->order);
    if (!s->order) return;
    for (int64_t t = 0; t < T; t++) s->order[t] = t;
    for (int64_t t = T - 1; t > 0; t--) {
        uint32_t word[4];
        mls->philox((uint64_t)s->permutation, (uint64_t)t, word);
        const int64_t k = (int64_t)(((uint64_t)word[0] << 32 | word[1]) % (uint64_t)(t + 1));
        const int64_t keep = s->order[t];
        s->order[t] = s->order[k];
        s->order[k] = keep;
    }
}

/* Which samples are for what; 0 when the file has neither /train nor data in the root. */
static int read_splits(reading *r, hdf5 *s)
{
    if (!read_group(r, &s->group[0], GROUP[0], 1, s->predict)) {
        if (r->failed || !read_group(r, &s->group[0], "/", 1, s->predict)) return 0;
        if (!r->failed) divide_root(r, s);
        return 1;
    }
    for (int k = 0; k < 3 && !r->failed; k++) {
        s->of[k] = k;
        if (k) read_group(r, &s->group[k], GROUP[k], 0, s->predict);
        s->count[k] = s->group[k].S;
        if (!r->failed && !room_for(r->c, s, k, s->count[k])) return 1;
    }
    if (*s->test_by && !r->failed) {
        r->failed = 1;
        mls->fail(r->c, "%s: test_by divides what lies in the root, but this file has a "
                  "group /train", s->path);
    }
    return 1;
}

/* The loss of the targets: each of binary ones is in 0 to 1, or not scored. */
static int loss_of(reading *r, const hdf5 *s)
{
    const int which = s->predict ? X : TARGET;
    if (!s->predict && s->group[0].a[LABEL].data) {
        if (s->loss != SQUARED)
            mls->fail(r->c, "loss: %s has classes, whose loss is cross-entropy", s->path);
        return MLS_CROSS_ENTROPY;
    }
    for (int k = 0; s->loss == BINARY && k < 3 && !r->failed; k++) {
        const mls_array *a = &s->group[k].a[which];
        int64_t n = a->data ? 1 : 0;
        for (int i = 0; i < a->rank; i++) n *= a->dim[i];
        for (int64_t i = 0; i < n && !r->failed; i++)
            if (a->data[i] < 0.0f || a->data[i] > 1.0f)
                bad_value(r, &s->group[k], which, i, (double)a->data[i],
                          "binary value, from 0 to 1");
    }
    if (s->loss == BINARY && s->predict && (s->d.events || s->normalise == STANDARD))
        mls->fail(r->c, "loss: binary channels are as they are in x, neither events nor "
                  "normalised");
    return s->loss == BINARY ? MLS_BINARY : s->loss == ABSOLUTE ? MLS_MAE : MLS_MSE;
}

static void open(mls_ctx *c, void *self, mls_task_shape *shape)
{
    hdf5 *s = self;
    reading r = { c, &s->d, mls->extension("mls.array-file/1"), 0 };
    s->d = (data){ .path = s->path,
                   .name = { s->x, s->dt, s->mask, s->label, s->target, s->length,
                             s->observed, s->time, s->channel, s->channels, s->test_by },
                   .bin = s->bin };
    if (!s->path || !*s->path) {
        mls->fail(c, "needs `path`, an HDF5 file");
        return;
    }
    if (!r.file) {
        mls->fail(c, "this mls cannot read array files");
        return;
    }
    if (!read_splits(&r, s)) {
        mls_array none;
        read_one(&r, "/train/", s->x, 0, &none);    /* to fail with what the file has */
        return;
    }
    if (!r.failed && !s->d.O) mls->fail(c, "%s: %s scores nothing", s->path, s->label);
    if (r.failed || !s->d.O) return;
    int dt = 0, seen = 0;
    for (int k = 0; k < 3; k++) {
        dt |= s->group[k].a[DT].data != NULL;
        seen |= s->group[k].a[OBSERVED].data != NULL;
    }
    if (s->normalise != AS_THEY_ARE && s->d.events)
        mls->fail(c, "normalise: events are counted and have no values to normalise");
    else if (s->normalise == STANDARD) set_scale(c, s);
    if (s->permutation) set_order(c, s);
    if (s->longest && s->d.T > s->longest) s->d.T = s->longest;
    if (s->elapsed_input && !dt) {
        mls->fail(c, "%s: elapsed_input needs the length of each step, but there is no %s",
                  s->path, s->dt);
        return;
    }
    s->seen = seen;
    s->input = s->d.F * (1 + seen) + s->elapsed_input;
    *shape = (mls_task_shape){
        .steps = s->d.T,
        .input = s->input,
        .output = s->d.O,
        .loss = loss_of(&r, s),
        .per_step = s->d.per_step,
        .has_mask = !s->d.fixed || s->d.masked,
        .has_dt = dt
    };
}

static int64_t count(const void *self, int split)
{
    return ((const hdf5 *)self)->count[split];
}

/* Values of one step, behind them what was observed, and last the length of the step. */
static void put_step(const hdf5 *s, const group *g, int64_t row, float *out)
{
    const int64_t F = s->d.F;
    const float *x = g->a[X].data + row * F, *seen = g->a[OBSERVED].data;
    if (seen) seen += row * F;
    for (int64_t f = 0; f < F; f++) {
        out[f] = s->mean ? (x[f] - s->mean[f]) * s->scale[f] : x[f];
        if (seen && seen[f] == 0.0f) out[f] = 0.0f;
        if (s->seen) out[F + f] = seen && seen[f] == 0.0f ? 0.0f : 1.0f;
    }
    if (s->elapsed_input) out[s->input - 1] = g->a[DT].data ? g->a[DT].data[row] : 1.0f;
}

/* One sample: each feature less its mean over what was observed of it, and all divided by
 * one deviation, so that a quiet feature stays quiet. */
static void level(const hdf5 *s, int64_t n, float *x)
{
    const int64_t F = s->d.F, width = s->input;
    double all = 0.0, q = 0.0;
    for (int64_t f = 0; f < F; f++) {
        double n_seen = 0.0, mean = 0.0;
        for (int64_t t = 0; t < n; t++)
            if (!s->seen || x[t * width + F + f] != 0.0f)
                mean += (x[t * width + f] - mean) / ++n_seen;
        for (int64_t t = 0; t < n; t++)
            if (!s->seen || x[t * width + F + f] != 0.0f) {
                const double d = x[t * width + f] - mean;
                x[t * width + f] = (float)d;
                q += d * d;
            }
        all += n_seen;
    }
    const float scale = q > 0.0 ? (float)sqrt(all / q) : 0.0f;
    for (int64_t t = 0; t < n; t++)
        for (int64_t f = 0; f < F; f++) x[t * width + f] *= scale;
}

/* What is missing becomes what was observed last, where there is such a step. */
static void carry(const hdf5 *s, int64_t n, float *x)
{
    const int64_t F = s->d.F, width = s->input;
    for (int64_t t = 1; t < n; t++)
        for (int64_t f = 0; f < F; f++)
            if (x[t * width + F + f] == 0.0f) x[t * width + f] = x[(t - 1) * width + f];
}

/* Events into bins; how many of them there are. */
static int64_t put_events(const hdf5 *s, const group *g, int64_t i, float *out)
{
    const float *time = g->a[TIME].data, *channel = g->a[CHANNEL].data;
    int64_t n = 1;
    for (int64_t k = g->start[i]; k < g->start[i] + g->steps[i]; k++) {
        const int64_t t = (int64_t)floor((double)time[k] / s->bin);
        if (t >= s->d.T) continue;
        if (t >= n) n = t + 1;
        out[t * s->d.F + (int64_t)channel[k]] += 1.0f;
    }
    return n;
}

static void put_answers(const hdf5 *s, const group *g, int64_t i, int64_t n,
                        mls_sample *out)
{
    const int64_t answers = s->d.per_step ? n : 1, at = s->d.per_step ? g->start[i] : i;
    if (g->a[LABEL].data && out->label)
        for (int64_t t = 0; t < answers; t++) {
            const int32_t v = (int32_t)g->a[LABEL].data[at + t];
            out->label[t] = v < 0 ? -1 : v;
        }
    else if (g->a[TARGET].data && out->target)
        memcpy(out->target, g->a[TARGET].data + at * s->d.O,
               (size_t)(answers * s->d.O) * sizeof(float));
}

/* Each step's target is what was put in as the next one; the last is not scored. */
static void put_next(const hdf5 *s, const mls_sample *in, int64_t n, float *target)
{
    const int64_t F = s->d.F, width = s->input;
    for (int64_t t = 0; t < n; t++)
        for (int64_t f = 0; f < F; f++) {
            const float *next = in->x + (t + 1) * width;
            const int there = t + 1 < n && (!s->seen || next[F + f] != 0.0f);
            target[t * F + f] = there ? next[f] : NAN;
        }
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *out)
{
    (void)c;
    (void)key;
    const hdf5 *s = self;
    const group *g = &s->group[s->of[split]];
    const int64_t i = s->pick[split][index];
    int64_t n = g->steps[i] < s->d.T ? g->steps[i] : s->d.T;
    if (s->d.events)
        n = put_events(s, g, i, out->x);
    else
        for (int64_t t = 0; t < n; t++)
            put_step(s, g, g->start[i] + (s->order ? s->order[t] : t), out->x + t * s->input);
    if (s->normalise == SAMPLE) level(s, n, out->x);
    if (s->missing == LAST && s->seen) carry(s, n, out->x);
    out->steps = n;
    if (g->a[DT].data && out->dt)
        memcpy(out->dt, g->a[DT].data + g->start[i], (size_t)n * sizeof(float));
    if (!s->predict) put_answers(s, g, i, n, out);
    else if (out->target) put_next(s, out, n, out->target);
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
    MLS_OPT_STRING(hdf5, length, "length",
                   "data set of the steps (or events) of each sample; where it is there, "
                   "those of all samples lie one after the other in the other data sets"),
    MLS_OPT_STRING(hdf5, observed, "observed",
                   "data set of the shape of x, 1 where a value was observed and 0 where it "
                   "is missing; it becomes as many further features, \"\" to leave it out"),
    MLS_OPT_STRING(hdf5, time, "time", "data set of the times of events, in place of x"),
    MLS_OPT_STRING(hdf5, channel, "channel", "data set of the channels of events, from 0"),
    MLS_OPT_STRING(hdf5, channels, "channels", "data set of one number, of the channels"),
    MLS_OPT(hdf5, bin, MLS_REAL, 10, 1e-9, 1e12, NULL,
            "events: length of a step, in the unit of time; a step is the number of events "
            "of each channel"),
    MLS_OPT_CHOICE(hdf5, normalise, "none|standard|sample",
                   "standard: each feature of x less its mean and divided by its deviation, "
                   "over what was observed for training; sample: each feature of a sample "
                   "less its mean there, and all divided by their one deviation there, "
                   "which takes loudness and microphone from a recording"),
    MLS_OPT_CHOICE(hdf5, missing, "zero|last",
                   "what stands for a missing value: 0, which is the mean where normalised, "
                   "or what was observed last"),
    MLS_OPT(hdf5, elapsed_input, MLS_BOOL, 0, 0, 0, NULL,
            "the length of the step as the last feature, for components that take no dt"),
    MLS_OPT(hdf5, permutation, MLS_INT, 0, 0, 9007199254740992.0, NULL,
            "not 0: the steps of every sample change places in the same random way, "
            "which belongs to this number"),
    MLS_OPT(hdf5, longest, MLS_INT, 0, 0, 16777216, NULL,
            "not 0: steps after this many are left out"),
    MLS_OPT(hdf5, predict, MLS_BOOL, 0, 0, 0, NULL,
            "each step's target is the next step of x; labels and targets are not read"),
    MLS_OPT_CHOICE(hdf5, loss, "mse|mae|binary",
                   "of targets and of the next step: squared or absolute error, or binary "
                   "channels by their negative log-likelihood in nats a step; classes have "
                   "cross-entropy"),
    MLS_OPT(hdf5, validation, MLS_REAL, 0.1, 0, 1, NULL,
            "fraction for validation when the file has no group /train"),
    MLS_OPT(hdf5, test, MLS_REAL, 0, 0, 1, NULL,
            "fraction for the test, at the end, when the file has no group /train"),
    MLS_OPT_STRING(hdf5, test_by, "",
                   "data set of one number for each sample, as speaker, that says which "
                   "samples are for the test, in place of `test`"),
    MLS_OPT(hdf5, test_from, MLS_INT, 0, -2147483648.0, 2147483647.0, NULL,
            "test_by: samples with this number and more"),
    MLS_OPT(hdf5, test_to, MLS_INT, 0, -2147483648.0, 2147483647.0, NULL,
            "test_by: and up to this number"),
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
    "regression.\n\n"
    "`mls import` writes such files. Samples of different lengths lie one after the "
    "other with their `length`s; events (`time`, `channel`) are counted in bins; values "
    "that are missing are 0 with an `observed` of 0.",
    NULL,
    options,
    sizeof(hdf5),
    NULL,
    NULL,
    &task
};

MLS_PLUGIN("hdf5", "1.1", "Apache-2.0", &component);
