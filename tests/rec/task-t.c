/* task.hdf5 and task.series, loaded as the plugins that they are. */
#include "scene.h"
#include "grad/ctx.h"

#include <dirent.h>
#include <dlfcn.h>
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- as much of a host as a task needs -------------------------------------------------- */

static mls_error error;
static mls_arena arena;
static mls_ctx   ctx = { .error = &error, .path = "task.test", .network = &arena };

static void *alloc(mls_ctx *c, size_t bytes)
{
    return mls_arena_zalloc(c->network, bytes);
}

static void fail_(mls_ctx *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    mls_error_setv(c->error, fmt, ap);
    va_end(ap);
}

static const void *extension(const char *id)
{
    return !strcmp(id, "mls.array-file/1") ? &mls_rec_array_file : NULL;
}

static const char *const *folder(mls_ctx *c, const char *path, int *count)
{
    struct dirent **list;
    const int n = scandir(path, &list, NULL, alphasort);
    if (n < 0) return NULL;
    const char **names = alloc(c, (size_t)(n + 1) * sizeof *names);
    for (int i = 0; i < n; i++) {
        names[i] = mls_arena_strdup(c->network, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    *count = n;
    return names;
}

static const mls_host host = { .size = sizeof(mls_host), .alloc = alloc, .fail = fail_,
                               .extension = extension, .folder = folder };

static const mls_component *find(const char *name)
{
    char path[600];
    const char *at = getenv("MLS_PLUGIN_PATH");
    snprintf(path, sizeof path, "%s/task/%s.so", at ? at : "plugins", name);
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) fail_msg("%s", dlerror());
    const mls_plugin_info *info = dlsym(so, "mls_plugin");
    assert_non_null(info);
    *info->host = &host;
    return info->components[0];
}

/* A task with its defaults and the strings "name", "value", ..., NULL. */
static void *open_task(const mls_component *c, mls_task_shape *shape, ...)
{
    mls_arena_reset(&arena);
    memset(&error, 0, sizeof error);
    memset(shape, 0, sizeof *shape);
    char *self = alloc(&ctx, c->self_size);
    for (const mls_option *o = c->options; o->name; o++)
        if (o->type == MLS_STRING) *(const char **)(self + o->offset) = o->choices;
        else if (o->type == MLS_INT) *(int64_t *)(self + o->offset) = (int64_t)o->def;
        else *(double *)(self + o->offset) = o->def;
    va_list ap;
    va_start(ap, shape);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *text = va_arg(ap, const char *);
        for (const mls_option *o = c->options; o->name; o++)
            if (!strcmp(o->name, key)) {
                if (o->type == MLS_STRING) *(const char **)(self + o->offset) = text;
                else if (o->type == MLS_INT)
                    *(int64_t *)(self + o->offset) = atoll(text);
                else *(double *)(self + o->offset) = atof(text);
            }
    }
    va_end(ap);
    c->task->open(&ctx, self, shape);
    return self;
}

/* ---- task.hdf5 --------------------------------------------------------------------------- */

static char *dir, *path;

static int set_up(void **state)
{
    (void)state;
    dir = scene_dir();
    path = strdup(scene_path(dir, "data.h5"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_remove(dir);
    free(path);
    mls_arena_free(&arena);
    return 0;
}

/* value k of a data set is start + k */
static void put(hid_t f, const char *name, float start, int rank, int64_t a, int64_t b,
                int64_t c)
{
    const hsize_t dim[3] = { (hsize_t)a, (hsize_t)b, (hsize_t)c };
    float *x = malloc((size_t)(a * b * c) * sizeof *x);
    for (int64_t i = 0; i < a * b * c; i++) x[i] = start + (float)i;
    hid_t s = H5Screate_simple(rank, dim, NULL), p = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(p, 1);
    hid_t d = H5Dcreate2(f, name, H5T_NATIVE_FLOAT, s, p, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(d);
    H5Pclose(p);
    H5Sclose(s);
    free(x);
}

static void set(hid_t f, const char *name, const float *x)
{
    hid_t d = H5Dopen2(f, name, H5P_DEFAULT);
    assert_true(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    H5Dclose(d);
}

static hid_t create(void)
{
    mls_rec_init();
    return H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
}

static void test_classes(void **state)
{
    (void)state;
    static const float mask[8] = { 1, 1, 1, 1, 1, 1, 0, 0 };
    hid_t f = create();
    put(f, "/train/x", 0, 3, 2, 4, 3);
    put(f, "/train/mask", 0, 2, 2, 4, 1);
    put(f, "/train/dt", 0.5f, 2, 2, 4, 1);
    put(f, "/train/label", 1, 1, 2, 1, 1);
    set(f, "/train/mask", mask);
    put(f, "/test/x", 100, 3, 5, 4, 3);
    put(f, "/test/label", -1, 1, 5, 1, 1);
    H5Fclose(f);
    mls_task_shape shape;
    const mls_component *c = find("hdf5");
    void *self = open_task(c, &shape, "path", path, NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_int_equal(shape.steps, 4);
    assert_int_equal(shape.input, 3);
    assert_int_equal(shape.output, 4);                 /* the greatest label is in the test */
    assert_int_equal(shape.loss, MLS_CROSS_ENTROPY);
    assert_true(!shape.per_step && shape.has_mask && shape.has_dt);
    assert_int_equal(c->task->count(self, 0), 2);
    assert_int_equal(c->task->count(self, 1), 0);
    assert_int_equal(c->task->count(self, 2), 5);
    float x[12] = { 0 }, dt[4] = { 1, 1, 1, 1 };
    int32_t label[1] = { -1 };
    mls_sample s = { .steps = 4, .x = x, .dt = dt, .label = label };
    c->task->fill(&ctx, self, 0, 1, 9, &s);
    assert_int_equal(s.steps, 2);
    assert_true(x[0] == 12 && x[5] == 17 && x[6] == 0 && dt[1] == 5.5f && dt[2] == 1);
    assert_int_equal(label[0], 2);
    s.steps = 4;
    c->task->fill(&ctx, self, 2, 0, 9, &s);
    assert_true(s.steps == 4 && x[0] == 100);
    assert_int_equal(label[0], -1);
}

static void test_values_in_the_root(void **state)
{
    (void)state;
    hid_t f = create();
    put(f, "/x", 0, 2, 20, 6, 1);
    put(f, "/y", 1000, 3, 20, 6, 2);
    H5Fclose(f);
    mls_task_shape shape;
    const mls_component *c = find("hdf5");
    void *self = open_task(c, &shape, "path", path, "target", "y", "test", "0.2", NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_true(shape.steps == 6 && shape.input == 1 && shape.output == 2);
    assert_true(shape.loss == MLS_MSE && shape.per_step && !shape.has_mask &&
                !shape.has_dt);
    assert_int_equal(c->task->count(self, 0), 14);
    assert_int_equal(c->task->count(self, 1), 2);
    assert_int_equal(c->task->count(self, 2), 4);
    float x[6], y[12];
    mls_sample s = { .steps = 6, .x = x, .target = y };
    c->task->fill(&ctx, self, 2, 0, 9, &s);
    assert_true(x[0] == 16 * 6 && y[0] == 1000 + 16 * 12 &&
                y[11] == 1000 + 16 * 12 + 11);
}

static void test_hdf5_errors(void **state)
{
    (void)state;
    static const float holes[8] = { 1, 0, 1, 0, 1, 1, 1, 1 };
    const mls_component *c = find("hdf5");
    mls_task_shape shape;
    open_task(c, &shape, NULL);
    assert_non_null(strstr(error.text, "path"));
    hid_t f = create();
    put(f, "/train/x", 0, 3, 2, 4, 3);
    H5Fclose(f);
    open_task(c, &shape, "path", path, NULL);
    assert_non_null(strstr(error.text, "/train/label"));
    open_task(c, &shape, "path", path, "x", "xx", NULL);
    assert_non_null(strstr(error.text, "train/x"));
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    put(f, "/train/label", 0.5f, 1, 2, 1, 1);
    put(f, "/train/y", 0, 2, 3, 2, 1);
    put(f, "/train/good", 0, 2, 2, 2, 1);
    put(f, "/train/mask", 0, 2, 2, 4, 1);
    set(f, "/train/mask", holes);
    put(f, "/train/wide", 0, 2, 2, 5, 1);
    H5Fclose(f);
    open_task(c, &shape, "path", path, "mask", "no", NULL);
    assert_non_null(strstr(error.text, "0.5"));
    open_task(c, &shape, "path", path, "label", "no", "target", "y", "mask", "no",
              NULL);
    assert_non_null(strstr(error.text, "y of /train/"));
    open_task(c, &shape, "path", path, "label", "no", "target", "good", NULL);
    assert_non_null(strstr(error.text, "step 1 and 1 again at step 2"));
    open_task(c, &shape, "path", path, "label", "no", "target", "good", "dt", "wide",
              "mask", "no", NULL);
    assert_non_null(strstr(error.text, "wide of /train/"));
    open_task(c, &shape, "path", path, "label", "no", "target", "good", "mask", "no",
              NULL);
    assert_false(error.set);
}

/* ---- task.series --------------------------------------------------------------------------- */

static void write_series(const char *name, int64_t rows, int channels, float start)
{
    char head[128];
    FILE *f = fopen(scene_path(dir, name), "wb");
    const int n = snprintf(head, sizeof head,
                           "{'descr': '<f4', 'fortran_order': False, 'shape': "
                           "(%lld, %d), }\n",
                           (long long)rows, channels);
    fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    fputc(n, f);
    fputc(0, f);
    fwrite(head, 1, (size_t)n, f);
    for (int64_t i = 0; i < rows * channels; i++) {
        const float x = start + (float)i;
        fwrite(&x, 4, 1, f);
    }
    fclose(f);
}

static void test_series(void **state)
{
    (void)state;
    const mls_component *c = find("series");
    mls_task_shape shape;
    write_series("b.npy", 11, 2, 1000);
    write_series("a.npy", 12, 2, 0);
    write_series("c.npy", 4, 2, 2000);
    write_series("d.npy", 11, 2, 3000);
    fclose(fopen(scene_path(dir, "SOURCE.txt"), "w"));
    void *self = open_task(c, &shape, "path", dir, "train", "0-1", "validation", "2",
                           "test", "3", "window", "4", "stride", "3", NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_true(shape.steps == 4 && shape.input == 2 && shape.output == 2 &&
                shape.per_step);
    assert_int_equal(shape.loss, MLS_MSE);
    assert_int_equal(c->task->count(self, 0), 3 + 3);  /* 0 3 6, last row 10; 0 3 6 */
    assert_int_equal(c->task->count(self, 1), 0);
    assert_int_equal(c->task->count(self, 2), 3);
    float x[8], y[8];
    mls_sample s = { .steps = 4, .x = x, .target = y };
    c->task->fill(&ctx, self, 0, 4, 9, &s);            /* second window of b */
    assert_true(x[0] == 1006 && x[7] == 1013 && y[0] == 1008 && y[7] == 1015);
    open_task(c, &shape, "path", dir, "train", "0-4", "validation", "2", "test", "1",
              NULL);
    assert_non_null(strstr(error.text, "files 0 to 3"));
    open_task(c, &shape, "path", dir, "train", "0-1", "validation", "2", "test", "1-3",
              NULL);
    assert_non_null(strstr(error.text, "file 1 (b.npy) is in train and in test"));
    open_task(c, &shape, "path", dir, "train", "x", "validation", "2", "test", "1",
              NULL);
    assert_non_null(strstr(error.text, "\"x\""));
    open_task(c, &shape, "path", dir, "train", "2", "validation", "", "test", "", NULL);
    assert_non_null(strstr(error.text, "no window of 33 rows"));
    open_task(c, &shape, "path", path, NULL);
    assert_non_null(strstr(error.text, "is no folder"));
    write_series("b.npy", 11, 3, 1000);
    open_task(c, &shape, "path", dir, "train", "0", "validation", "1", "test", "2",
              NULL);
    assert_non_null(strstr(error.text, "3 channels"));
}

static void test_cheetah(void **state)
{
    (void)state;
    const char *data = getenv("MLS_DATA");
    if (!data) data = "../shared/data";
    char traces[600];
    snprintf(traces, sizeof traces, "%s/cheetah", data);
    const mls_component *c = find("series");
    mls_task_shape shape;
    DIR *d = opendir(traces);
    if (!d) skip();
    closedir(d);
    void *self = open_task(c, &shape, "path", traces, NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_int_equal(shape.input, 17);
    assert_int_equal(c->task->count(self, MLS_TRAINING), 970);
    assert_int_equal(c->task->count(self, MLS_TEST), 970);
    assert_int_equal(c->task->count(self, MLS_VALIDATION), 485);
    /* copying the last row: the published floor of this test set is 62.87 */
    static float x[32 * 17], y[32 * 17];
    mls_sample s = { .steps = 32, .x = x, .target = y };
    double sum = 0;
    for (int64_t i = 0; i < 970; i++) {
        c->task->fill(&ctx, self, MLS_TEST, i, 9, &s);
        for (int k = 0; k < 32 * 17; k++)
            sum += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
    }
    print_message("# copy-last mean squared error %.4f\n", sum / (970.0 * 32 * 17));
    assert_true(fabs(sum / (970.0 * 32 * 17) - 62.87) < 0.005);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_classes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values_in_the_root, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hdf5_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_series, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cheetah, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}
