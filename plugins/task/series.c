/* task.series - the next observation of multichannel series.
 *
 * A window of w + 1 rows r_0 .. r_w of a series gives x_t = r_t and the target
 * y_t = r_(t+1) for t = 0 .. w-1; windows start at 0, s, 2 s, ... while s + w < rows.
 * Loss: mean squared error over all steps and channels, on the values as they are.
 * The protocol of the half-cheetah experiment in R. Hasani et al., Liquid Time-constant
 * Networks, AAAI 2021 (windows of 32, stride 10; files by index).
 */
#include <mls/plugin.h>

#include <stdlib.h>
#include <string.h>

typedef struct series {
    const char *path, *train, *validation, *test;
    int64_t     window, stride;
    /* after open */
    mls_array  *file;                   /* [rows][channels]                              */
    int        *of[3];                  /* which files a split has, in order             */
    int         n_of[3];
    int64_t     count[3];
    int64_t     channels;
} series;

static int ends_with(const char *s, const char *tail)
{
    const size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

/* "15-24,30": file numbers from 0; out holds up to n, each once. */
static int ranges(mls_ctx *c, const char *name, const char *text, int n, int *out)
{
    int k = 0;
    const char *p = text;
    while (p && *p) {
        char *end;
        const long a = strtol(p, &end, 10);
        long b = a;
        const int number = end != p;
        if (number && *end == '-') {
            const char *from = end + 1;
            b = strtol(from, &end, 10);
            if (end == from) b = -1;
        }
        if (!number || a < 0 || b < a || (*end && *end != ',')) {
            mls->fail(c, "%s is \"%s\", which must be file numbers such as \"0-4\" or "
                      "\"0-4,7\"", name, text);
            return 0;
        }
        if (b >= n) {
            mls->fail(c, "%s is \"%s\", but there are only the files 0 to %d", name,
                      text, n - 1);
            return 0;
        }
        for (long i = a; i <= b; i++) {
            int known = 0;
            for (int j = 0; j < k; j++) known |= out[j] == (int)i;
            if (!known) out[k++] = (int)i;
        }
        p = *end ? end + 1 : end;
    }
    return k;
}

static int64_t windows(const series *s, int64_t rows)
{
    return rows <= s->window ? 0 : (rows - s->window - 1) / s->stride + 1;
}

static void read_files(mls_ctx *c, series *s, const mls_array_file *reader,
                       const char *const *names, int n, const char *needed)
{
    for (int i = 0; i < n; i++) {
        if (!needed[i]) continue;
        const size_t room = strlen(s->path) + strlen(names[i]) + 2;
        char *path = mls->alloc(c, room);
        if (!path) return;
        strcpy(path, s->path);
        strcat(path, "/");
        strcat(path, names[i]);
        if (!reader->read(c, path, "", 0, &s->file[i])) return;
        const mls_array *a = &s->file[i];
        if (a->rank != 2 || a->dim[1] < 1) {
            mls->fail(c, "%s: has %d axes, where [time][channel] is expected", path,
                      a->rank);
            return;
        }
        if (!s->channels) s->channels = a->dim[1];
        if (a->dim[1] != s->channels) {
            mls->fail(c, "%s: has %lld channels, the files before it have %lld", path,
                      (long long)a->dim[1], (long long)s->channels);
            return;
        }
    }
}

static void open(mls_ctx *c, void *self, mls_task_shape *shape)
{
    series *s = self;
    const char *const text[3] = { s->train, s->validation, s->test };
    static const char *const name[3] = { "train", "validation", "test" };
    const mls_array_file *reader = mls->extension("mls.array-file/1");
    int all = 0, n = 0;
    if (!s->path || !*s->path) {
        mls->fail(c, "needs `path`, a folder of .npy files [time][channel]");
        return;
    }
    if (!reader) {
        mls->fail(c, "this mls cannot read array files");
        return;
    }
    const char *const *found = mls->folder(c, s->path, &all);
    if (!found) {
        mls->fail(c, "%s: is no folder", s->path);
        return;
    }
    const char **names = mls->alloc(c, (size_t)(all + 1) * sizeof *names);
    if (!names) return;
    for (int i = 0; i < all; i++)
        if (ends_with(found[i], ".npy")) names[n++] = found[i];
    if (!n) {
        mls->fail(c, "%s: has no .npy files among its %d", s->path, all);
        return;
    }
    s->file = mls->alloc(c, (size_t)n * sizeof *s->file);
    char *needed = mls->alloc(c, (size_t)n);
    if (!s->file || !needed) return;
    for (int k = 0; k < 3; k++) {
        s->of[k] = mls->alloc(c, (size_t)n * sizeof *s->of[k]);
        if (!s->of[k]) return;
        s->n_of[k] = ranges(c, name[k], text[k], n, s->of[k]);
        for (int i = 0; i < s->n_of[k]; i++) {
            char *mine = &needed[s->of[k][i]];
            if (*mine) {            /* *mine - 1: the split that has it */
                mls->fail(c, "file %d (%s) is in %s and in %s: what is trained on cannot "
                          "be tested on", s->of[k][i], names[s->of[k][i]], name[*mine - 1],
                          name[k]);
                return;
            }
            *mine = (char)(k + 1);
        }
    }
    read_files(c, s, reader, names, n, needed);
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < s->n_of[k]; i++)
            s->count[k] += windows(s, s->file[s->of[k][i]].dim[0]);
    if (!s->count[0])
        mls->fail(c, "%s: the training files \"%s\" hold no window of %lld rows",
                  s->path, s->train ? s->train : "", (long long)s->window + 1);
    *shape = (mls_task_shape){ .steps = s->window, .input = s->channels, .output = s->channels,
                               .loss = MLS_MSE, .per_step = 1 };
}

static int64_t count(const void *self, int split)
{
    return ((const series *)self)->count[split];
}

static void fill(mls_ctx *c, const void *self, int split, int64_t index, uint64_t key,
                 mls_sample *out)
{
    (void)c;
    (void)key;
    const series *s = self;
    for (int i = 0; i < s->n_of[split]; i++) {
        const mls_array *a = &s->file[s->of[split][i]];
        const int64_t n = windows(s, a->dim[0]);
        if (index >= n) {
            index -= n;
            continue;
        }
        const float *from = a->data + index * s->stride * s->channels;
        const size_t bytes = (size_t)(s->window * s->channels) * sizeof *from;
        memcpy(out->x, from, bytes);
        memcpy(out->target, from + s->channels, bytes);
        return;
    }
}

static const mls_option options[] = {
    MLS_OPT_STRING(series, path, "",
                   "folder of .npy files [time][channel], taken in the "
                   "order of their names"),
    MLS_OPT_STRING(series, train, "15-24", "numbers of the training files, from 0"),
    MLS_OPT_STRING(series, validation, "0-4", "numbers of the validation files"),
    MLS_OPT_STRING(series, test, "5-14", "numbers of the test files"),
    MLS_OPT(series, window, MLS_INT, 32, 1, 1e6, "steps", "length of a sample"),
    MLS_OPT(series, stride, MLS_INT, 10, 1, 1e6, "steps",
            "from one sample to the next"),
    MLS_OPT_END
};

static const mls_task task = { sizeof(mls_task), open, count, fill, NULL, NULL };

static const mls_component component = {
    sizeof(mls_component),
    "task",
    "series",
    0,
    "the next observation of multichannel series, by mean squared error\n\n"
    "Reads a folder of .npy files of shape [time][channel] and cuts each into windows. "
    "The target of a step is the row that follows it. With the defaults and the "
    "half-cheetah "
    "traces this is the protocol of the liquid time-constant paper: 970 training "
    "windows, "
    "970 test windows, MSE on raw values.",
    NULL,
    options,
    sizeof(series),
    NULL,
    NULL,
    &task
};

MLS_PLUGIN("series", "1.0", "Apache-2.0", &component);
