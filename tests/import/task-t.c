/* task.hdf5 on the layout that mls import writes: lengths, events, missing values, dt. */
#include "import.h"
#include "grad/ctx.h"
#include "rec/record.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

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

/* A mixing function in place of philox: the test only asks for a permutation. */
static void mix(uint64_t key, uint64_t counter, uint32_t out[4])
{
    uint64_t x = key * 0x9e3779b97f4a7c15u + counter * 0xbf58476d1ce4e5b9u;
    for (int i = 0; i < 4; i++) {
        x = (x ^ x >> 29) * 0x94d049bb133111ebu;
        out[i] = (uint32_t)(x >> 32);
    }
}

static const mls_host host = { .size = sizeof(mls_host), .alloc = alloc, .fail = fail_,
                               .extension = extension, .philox = mix };
static const mls_component *component;

static void load(void)
{
    char path[600];
    const char *at = getenv("MLS_PLUGIN_PATH");
    snprintf(path, sizeof path, "%s/task/hdf5.so", at ? at : "plugins");
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) fail_msg("%s", dlerror());
    const mls_plugin_info *info = dlsym(so, "mls_plugin");
    *info->host = &host;
    component = info->components[0];
}

/* Options "name", "value", ..., NULL; a choice by its number. */
static void *open_task(mls_task_shape *shape, ...)
{
    va_list ap;
    mls_arena_reset(&arena);
    memset(&error, 0, sizeof error);
    memset(shape, 0, sizeof *shape);
    char *self = alloc(&ctx, component->self_size);
    for (const mls_option *o = component->options; o->name; o++) {
        const char *text = NULL, *key;
        va_start(ap, shape);
        while ((key = va_arg(ap, const char *))) {
            const char *value = va_arg(ap, const char *);
            if (!strcmp(key, o->name)) text = value;
        }
        va_end(ap);
        char *at = self + o->offset;
        if (o->type == MLS_STRING) *(const char **)at = text ? text : o->choices;
        else if (o->type == MLS_INT) *(int64_t *)at = text ? atoll(text) : (int64_t)o->def;
        else if (o->type == MLS_REAL) *(double *)at = text ? atof(text) : o->def;
        else *(int *)at = text ? atoi(text) : 0;
    }
    component->task->open(&ctx, self, shape);
    return self;
}

/* ---- files ----------------------------------------------------------------------------- */

static mls_dataset *file;
static mls_error    file_error;

static void create(const char *name)
{
    memset(&file_error, 0, sizeof file_error);
    unlink(dir_path(name));
    file = mls_dataset_create(dir_path(name), &file_error);
    assert_non_null(file);
}

/* rows x width numbers; width 0: one axis */
static void put(const char *name, mls_cell cell, int64_t rows, int64_t width,
                const void *values)
{
    const int c = mls_dataset_column(file, name, cell, width > 0, &width);
    assert_true(mls_dataset_append(file, c, rows, values));
}

static void done(void)
{
    if (!mls_dataset_finish(file)) fail_msg("%s", file_error.text);
}

enum { SAMPLES = 10, ROWS = 55 };            /* sample i has i + 1 steps */

static void ragged_file(void)
{
    float x[ROWS * 2], dt[ROWS];
    uint8_t seen[ROWS * 2];
    int32_t length[SAMPLES], label[SAMPLES], who[SAMPLES];
    for (int i = 0; i < ROWS * 2; i++) {
        x[i] = (float)i;
        seen[i] = i % 3 != 0;
        if (!seen[i]) x[i] = NAN;
    }
    for (int i = 0; i < ROWS; i++) dt[i] = 0.5f * (float)i;
    for (int i = 0; i < SAMPLES; i++) {
        length[i] = i + 1;
        label[i] = i % 4;
        who[i] = i % 5;
    }
    create("ragged.h5");
    put("x", MLS_CELL_F32, ROWS, 2, x);
    put("observed", MLS_CELL_U8, ROWS, 2, seen);
    put("dt", MLS_CELL_F32, ROWS, 0, dt);
    put("length", MLS_CELL_I32, SAMPLES, 0, length);
    put("label", MLS_CELL_I32, SAMPLES, 0, label);
    put("speaker", MLS_CELL_I32, SAMPLES, 0, who);
    done();
}

static void lengths_and_missing_values(void **state)
{
    (void)state;
    mls_task_shape shape;
    ragged_file();
    const char *path = dir_path("ragged.h5");
    void *self = open_task(&shape, "path", path, NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_true(shape.steps == 10 && shape.input == 4 && shape.output == 4);
    assert_true(shape.has_mask && shape.has_dt && !shape.per_step &&
                shape.loss == MLS_CROSS_ENTROPY);
    assert_int_equal(component->task->count(self, 0), 9);
    assert_int_equal(component->task->count(self, 1), 1);
    float x[40] = { 0 }, dt[10] = { 0 };
    int32_t label = -1;
    mls_sample s = { .steps = 10, .x = x, .dt = dt, .label = &label };
    component->task->fill(&ctx, self, 0, 2, 1, &s);        /* rows 3, 4, 5 */
    assert_true(s.steps == 3 && label == 2 && dt[0] == 1.5f && dt[2] == 2.5f);
    static const float want[12] = { 0, 7, 0, 1, 8, 0, 1, 0, 10, 11, 1, 1 };
    assert_memory_equal(x, want, sizeof want);
    self = open_task(&shape, "path", path, "longest", "4", "observed", "", NULL);
    assert_non_null(strstr(error.text, "x of / holds nan in sample 0, step 0, feature 0"));
    self = open_task(&shape, "path", path, "longest", "4", NULL);
    s.steps = 4;
    component->task->fill(&ctx, self, 0, 8, 1, &s);
    assert_true(shape.steps == 4 && s.steps == 4);
}

static void held_out_by_a_field(void **state)
{
    (void)state;
    mls_task_shape shape;
    ragged_file();
    const char *path = dir_path("ragged.h5");
    void *self = open_task(&shape, "path", path, "test_by", "speaker", "test_from", "1",
                           "test_to", "2", "validation", "0.34", NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_int_equal(component->task->count(self, 0), 4);  /* of 0 3 4 5 8 9 */
    assert_int_equal(component->task->count(self, 1), 2);
    assert_int_equal(component->task->count(self, 2), 4);  /* 1 2 6 7 */
    float x[40];
    int32_t label;
    static const int64_t test[4] = { 2, 3, 7, 8 }, validation[2] = { 5, 10 };
    for (int i = 0; i < 4; i++) {
        mls_sample s = { .steps = 10, .x = x, .label = &label };
        component->task->fill(&ctx, self, 2, i, 1, &s);
        assert_int_equal(s.steps, test[i]);
    }
    for (int i = 0; i < 2; i++) {
        mls_sample s = { .steps = 10, .x = x, .label = &label };
        component->task->fill(&ctx, self, 1, i, 1, &s);
        assert_int_equal(s.steps, validation[i]);
    }
    open_task(&shape, "path", path, "test_by", "speaker", "test_from", "7", "test_to", "9",
              NULL);
    assert_non_null(strstr(error.text, "speaker from 7 to 9 is none of the samples"));
    open_task(&shape, "path", path, "test_by", "speakers", NULL);
    assert_non_null(strstr(error.text, "did you mean"));
}

static void normalised(void **state)
{
    (void)state;
    mls_task_shape shape;
    ragged_file();
    void *self = open_task(&shape, "path", dir_path("ragged.h5"), "normalise", "1", NULL);
    if (error.set) fail_msg("%s", error.text);
    double sum[2] = { 0 }, square[2] = { 0 }, n[2] = { 0 };
    float x[40];
    int32_t label;
    for (int i = 0; i < component->task->count(self, 0); i++) {
        mls_sample s = { .steps = 10, .x = x, .label = &label };
        component->task->fill(&ctx, self, 0, i, 1, &s);
        for (int64_t t = 0; t < s.steps; t++)
            for (int f = 0; f < 2; f++) {
                if (x[4 * t + 2 + f] == 0) assert_true(x[4 * t + f] == 0);
                else {
                    sum[f] += x[4 * t + f];
                    square[f] += x[4 * t + f] * x[4 * t + f];
                    n[f]++;
                }
            }
    }
    for (int f = 0; f < 2; f++) {
        assert_true(fabs(sum[f] / n[f]) < 1e-5);
        assert_true(fabs(square[f] / n[f] - 1.0) < 1e-4);
    }
}

/* Rows 3, 4, 5 of the ragged file: (-, 7), (8, -), (10, 11), steps of 1.5, 2 and 2.5. */
static void by_the_sample(void **state)
{
    (void)state;
    mls_task_shape shape;
    ragged_file();
    const char *path = dir_path("ragged.h5");
    float x[50];
    int32_t label;
    mls_sample s = { .steps = 10, .x = x, .label = &label };
    void *self = open_task(&shape, "path", path, "normalise", "2", NULL);
    if (error.set) fail_msg("%s", error.text);
    component->task->fill(&ctx, self, 0, 2, 1, &s);
    /* less 9 and 9: -1, 1 and -2, 2, whose one deviation is the root of 10 / 4 */
    static const double want[12] = { 0, -2, 0, 1, -1, 0, 1, 0, 1, 2, 1, 1 };
    for (int i = 0; i < 12; i++)
        assert_true(fabs(x[i] - want[i] / (i % 4 < 2 ? sqrt(2.5) : 1)) < 1e-6);

    self = open_task(&shape, "path", path, "missing", "1", "elapsed_input", "1", NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_int_equal(shape.input, 5);
    s.steps = 10;
    component->task->fill(&ctx, self, 0, 2, 1, &s);
    static const float last[15] = { 0, 7, 0, 1, 1.5f, 8, 7, 1, 0, 2, 10, 11, 1, 1, 2.5f };
    assert_memory_equal(x, last, sizeof last);

    open_task(&shape, "path", path, "elapsed_input", "1", "dt", "none", NULL);
    assert_non_null(strstr(error.text, "elapsed_input needs the length of each step"));
}

static void events_in_bins(void **state)
{
    (void)state;
    static const double time[7] = { 0, 9.99, 10, 25, 0, 3, 4 };
    static const int32_t channel[7] = { 0, 2, 1, 2, 1, 1, 1 }, channels = 3;
    static const int32_t length[2] = { 4, 3 }, label[2] = { 0, 1 };
    mls_task_shape shape;
    create("events.h5");
    put("train/time", MLS_CELL_F64, 7, 0, time);
    put("train/channel", MLS_CELL_I32, 7, 0, channel);
    put("train/channels", MLS_CELL_I32, 1, 0, &channels);
    put("train/length", MLS_CELL_I32, 2, 0, length);
    put("train/label", MLS_CELL_I32, 2, 0, label);
    done();
    const char *path = dir_path("events.h5");
    void *self = open_task(&shape, "path", path, NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_true(shape.steps == 3 && shape.input == 3 && shape.output == 2 && shape.has_mask &&
                !shape.has_dt);
    float x[9] = { 0 }, target[9];
    int32_t out;
    mls_sample s = { .steps = 3, .x = x, .label = &out };
    component->task->fill(&ctx, self, 0, 0, 1, &s);
    static const float want[9] = { 1, 0, 1, 0, 1, 0, 0, 0, 1 };
    assert_memory_equal(x, want, sizeof want);
    assert_int_equal(s.steps, 3);
    memset(x, 0, sizeof x);
    s.steps = 3;
    component->task->fill(&ctx, self, 0, 1, 1, &s);
    assert_true(s.steps == 1 && x[1] == 3 && out == 1);
    self = open_task(&shape, "path", path, "predict", "1", NULL);
    assert_true(shape.loss == MLS_MSE && shape.per_step && shape.output == 3);
    memset(x, 0, sizeof x);
    s = (mls_sample){ .steps = 3, .x = x, .target = target };
    component->task->fill(&ctx, self, 0, 0, 1, &s);
    assert_memory_equal(target, want + 3, 6 * sizeof *want);
    assert_true(isnan(target[6]));
    open_task(&shape, "path", path, "bin", "1e-9", NULL);
    assert_non_null(strstr(error.text, "larger bins are needed"));
    open_task(&shape, "path", path, "normalise", "1", NULL);
    assert_non_null(strstr(error.text, "normalise"));
}

/* Binary channels: the next frame, or targets; nothing but 0 to 1 and no classes. */
static void binary_channels(void **state)
{
    (void)state;
    static const uint8_t x[6] = { 1, 0, 0, 1, 1, 1 };
    static const int32_t length[2] = { 2, 1 }, label[2] = { 0, 1 };
    static const float high[6] = { 0, 1, 0.5, NAN, 1.5, 0 };
    mls_task_shape shape;
    create("roll.h5");
    put("x", MLS_CELL_U8, 3, 2, x);
    put("length", MLS_CELL_I32, 2, 0, length);
    put("label", MLS_CELL_I32, 2, 0, label);
    put("high", MLS_CELL_F32, 3, 2, high);
    done();
    const char *path = dir_path("roll.h5");
    void *self = open_task(&shape, "path", path, "predict", "1", "loss", "2", "validation", "0",
                           NULL);
    if (error.set) fail_msg("%s", error.text);
    assert_true(shape.loss == MLS_BINARY && shape.output == 2 && shape.per_step);
    float in[4], target[4];
    mls_sample s = { .steps = 2, .x = in, .target = target };
    component->task->fill(&ctx, self, 0, 0, 1, &s);
    assert_true(target[0] == 0 && target[1] == 1 && isnan(target[2]) && isnan(target[3]));
    open_task(&shape, "path", path, "loss", "2", NULL);
    assert_non_null(strstr(error.text, "has classes, whose loss is cross-entropy"));
    open_task(&shape, "path", path, "label", "", "target", "high", "loss", "2", NULL);
    assert_non_null(strstr(error.text, "high of / holds 1.5 at number 4, which is no binary"));
    open_task(&shape, "path", path, "predict", "1", "loss", "2", "normalise", "1", NULL);
    assert_non_null(strstr(error.text, "neither events nor normalised"));
    open_task(&shape, "path", path, "predict", "1", "loss", "1", NULL);
    assert_true(!error.set && shape.loss == MLS_MAE);
}

static void steps_change_places(void **state)
{
    (void)state;
    uint8_t x[2 * 100];
    static const int32_t label[2] = { 0, 1 };
    mls_task_shape shape;
    for (int i = 0; i < 200; i++) x[i] = (uint8_t)(i % 100);
    create("fixed.h5");
    put("train/x", MLS_CELL_U8, 2, 100, x);
    mls_dataset_real(file, 0, "scale_factor", 0.5);
    put("train/label", MLS_CELL_I32, 2, 0, label);
    done();
    float a[100], b[100];
    int32_t out;
    void *self = open_task(&shape, "path", dir_path("fixed.h5"), "permutation", "5", NULL);
    if (error.set) fail_msg("%s", error.text);
    mls_sample s = { .steps = 100, .x = a, .label = &out }, u = s;
    u.x = b;
    component->task->fill(&ctx, self, 0, 0, 1, &s);
    component->task->fill(&ctx, self, 0, 1, 2, &u);
    assert_memory_equal(a, b, sizeof a);                /* the same for every sample */
    int moved = 0, seen[100] = { 0 };
    for (int i = 0; i < 100; i++) {
        moved += a[i] != 0.5f * (float)i;
        seen[(int)(2 * a[i])]++;
    }
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    assert_true(moved > 80 && !shape.has_mask);
    ragged_file();
    open_task(&shape, "path", dir_path("ragged.h5"), "permutation", "5", NULL);
    assert_non_null(strstr(error.text, "cannot change places, because its samples"));
}

static void misfits(void **state)
{
    (void)state;
    static const float x[4] = { 1, 2, 3, 4 };
    static const int32_t one[2] = { 1, 2 }, zero[2] = { 0, 4 }, label[2] = { 0, 1 };
    mls_task_shape shape;
    create("bad.h5");
    put("x", MLS_CELL_F32, 4, 0, x);
    put("one", MLS_CELL_I32, 2, 0, one);
    put("zero", MLS_CELL_I32, 2, 0, zero);
    put("label", MLS_CELL_I32, 2, 0, label);
    done();
    const char *path = dir_path("bad.h5");
    open_task(&shape, "path", path, "length", "one", NULL);
    assert_non_null(strstr(error.text, "one of / is 3 steps together, but there are 4"));
    open_task(&shape, "path", path, "length", "zero", NULL);
    assert_non_null(strstr(error.text, "zero of / holds 0 at number 0"));
    open_task(&shape, "path", path, "length", "zero", "x", "no", "time", "x", "channel",
              "one", "channels", "one", NULL);
    assert_non_null(strstr(error.text, "one of / has 1 axes 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_and_missing_values), cmocka_unit_test(held_out_by_a_field),
        cmocka_unit_test(normalised),                 cmocka_unit_test(by_the_sample),
        cmocka_unit_test(events_in_bins),             cmocka_unit_test(binary_channels),
        cmocka_unit_test(steps_change_places),        cmocka_unit_test(misfits),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir_make();
    load();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_arena_free(&arena);
    dir_remove();
    return failed;
}
