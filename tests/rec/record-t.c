#include "scene.h"
#include "rec/h5.h"

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 45 };

static int64_t rows(hid_t f, const char *path)
{
    hid_t d = H5Dopen2(f, path, H5P_DEFAULT);
    assert_true(d >= 0);
    hid_t s = H5Dget_space(d);
    hsize_t dim[4];
    H5Sget_simple_extent_dims(s, dim, NULL);
    H5Sclose(s);
    H5Dclose(d);
    return (int64_t)dim[0];
}

static void *all(hid_t f, const char *path, hid_t type, size_t bytes)
{
    void *out = malloc(bytes);
    hid_t d = H5Dopen2(f, path, H5P_DEFAULT);
    assert_true(d >= 0 && H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Dclose(d);
    return out;
}

static char *make(void)
{
    char *dir = scene_dir();
    mls_recorder_config c;
    mls_error e = { 0 };
    scene_config(&c, dir, 0);
    mls_recorder *r = mls_recorder_open(&c, &e);
    assert_non_null(r);
    assert_null(mls_recorder_warning(r));
    assert_true(scene_go(r, 0, STEPS, NULL, NULL));
    assert_int_equal(access(scene_path(dir, "record.h5"), F_OK), -1);
    assert_true(mls_recorder_close(r, &e));
    assert_int_equal(access(scene_path(dir, "record.h5.part"), F_OK), -1);
    return dir;
}

static void test_spikes(void **state)
{
    (void)state;
    char *dir = make();
    hid_t f = H5Fopen(scene_path(dir, "record.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(f >= 0);
    const char *p = "/spikes/layer0.enc.spikes/";
    const int64_t n = rows(f, "/spikes/layer0.enc.spikes/timestamps");
    double *at = all(f, scene_path(p, "timestamps"), H5T_NATIVE_DOUBLE, (size_t)n * 8);
    uint64_t *id = all(f, scene_path(p, "node_ids"), H5T_NATIVE_UINT64, (size_t)n * 8);
    int64_t *b = all(f, scene_path(p, "sample"), H5T_NATIVE_INT64, (size_t)n * 8);
    int64_t *t = all(f, scene_path(p, "step"), H5T_NATIVE_INT64, (size_t)n * 8);
    int64_t *s = all(f, scene_path(p, "train_step"), H5T_NATIVE_INT64, (size_t)n * 8);
    int64_t *end = all(f, scene_path(p, "record_end"), H5T_NATIVE_INT64, STEPS * 8);
    assert_int_equal(rows(f, scene_path(p, "record_step")), STEPS);
    int64_t i = 0;
    for (int64_t step = 1; step <= STEPS; step++) {
        for (int64_t k = 0; k < SCENE_T * SCENE_B * SCENE_U; k++) {
            const int64_t kt = k / (SCENE_B * SCENE_U), kb = k / SCENE_U % SCENE_B,
                          u = k % SCENE_U;
            if (!scene_spikes(step, kt, kb, u)) continue;
            assert_true(i < n);
            assert_true(at[i] == 0.5 * (double)kt && id[i] == (uint64_t)u &&
                        b[i] == kb && t[i] == kt && s[i] == step);
            i++;
        }
        assert_int_equal(end[step - 1], i);
    }
    assert_int_equal(i, n);
    uint8_t sorting = 9;
    hid_t g = H5Gopen2(f, p, H5P_DEFAULT), a = H5Aopen(g, "sorting", H5P_DEFAULT);
    hid_t type = H5Aget_type(a);
    assert_int_equal(H5Tget_class(type), H5T_ENUM);
    assert_true(H5Aread(a, type, &sorting) >= 0);
    assert_int_equal(sorting, 0);
    H5Tclose(type);
    H5Aclose(a);
    H5Gclose(g);
    H5Fclose(f);
    free(at), free(id), free(b), free(t), free(s), free(end);
    scene_remove(dir);
}

static void test_states(void **state)
{
    (void)state;
    char *dir = make();
    hid_t f = H5Fopen(scene_path(dir, "record.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_int_equal(rows(f, "/states/layer0.enc.membrane"), STEPS / 5);
    float *m = all(f, "/states/layer0.enc.membrane", H5T_NATIVE_FLOAT,
                   STEPS / 5 * SCENE_T * 2 * 4 * sizeof *m);
    int64_t *step =
        all(f, "/states/layer0.enc.membrane_step", H5T_NATIVE_INT64, STEPS / 5 * 8);
    int exact = 0;
    for (int64_t k = 0; k < STEPS / 5 * SCENE_T * 8; k++) {
        const int64_t r = k / (SCENE_T * 8), t = k / 8 % SCENE_T, b = k / 4 % 2,
                      u = k % 4;
        assert_int_equal(step[r], 5 * (r + 1));
        const float x = scene_state(step[r], t, b, u);
        assert_true(fabsf(m[k] - x) <= fabsf(x) * 0x1p-11f);
        exact += m[k] == x;
    }
    assert_true(exact < 20);
    /* only at evaluations, the first batch of each, 7 steps of it */
    assert_int_equal(rows(f, "/states/layer1.liq.state"), STEPS / 20);
    float *q =
        all(f, "/states/layer1.liq.state", H5T_NATIVE_FLOAT, STEPS / 20 * 7 * 15 * 4);
    for (int64_t k = 0; k < STEPS / 20 * 7 * 15; k++)
        assert_true(q[k] ==
                    scene_state(20 * (k / 105 + 1), k / 15 % 7, k / 5 % 3, k % 5));
    assert_true(H5Lexists(f, "/states/layer1.liq.unwanted", H5P_DEFAULT) <= 0);
    free(m), free(step), free(q);
    H5Fclose(f);
    scene_remove(dir);
}

static void test_the_rest(void **state)
{
    (void)state;
    char *dir = make();
    hid_t f = H5Fopen(scene_path(dir, "record.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    int complete = 0;
    unsigned magic = 0;
    hid_t a = H5Aopen(f, "complete", H5P_DEFAULT);
    H5Aread(a, H5T_NATIVE_INT, &complete);
    H5Aclose(a);
    a = H5Aopen(f, "magic", H5P_DEFAULT);
    H5Aread(a, H5T_NATIVE_UINT, &magic);
    H5Aclose(a);
    assert_int_equal(complete, 1);
    assert_int_equal(magic, 0x0A7A);
    double *x = all(f, "/metrics/training.loss", H5T_NATIVE_DOUBLE, STEPS * 8);
    int64_t *s =
        all(f, "/metrics/validation.loss_step", H5T_NATIVE_INT64, STEPS / 20 * 8);
    assert_int_equal(rows(f, "/metrics/training.loss"), STEPS);
    for (int i = 0; i < STEPS; i++) assert_true(x[i] == 1.0 / (i + 1));
    assert_int_equal(s[1], 40);
    char *diff = NULL;
    hid_t d = H5Dopen2(f, "/provenance/diff", H5P_DEFAULT), t = H5Dget_type(d);
    assert_int_equal(H5Tget_cset(t), H5T_CSET_UTF8);
    assert_true(H5Dread(d, t, H5S_ALL, H5S_ALL, H5P_DEFAULT, &diff) >= 0);
    assert_string_equal(diff, "--- a\n+++ b \xc3\xa9\n");
    H5free_memory(diff);
    H5Tclose(t);
    H5Dclose(d);
    free(x), free(s);
    H5Fclose(f);
    scene_remove(dir);
}

/* The file is read while it grows, from the writing process's point of view: flushed. */
static void test_live(void **state)
{
    (void)state;
    char *dir = scene_dir();
    mls_recorder_config c;
    mls_error e = { 0 };
    scene_config(&c, dir, 0);
    mls_recorder *r = mls_recorder_open(&c, &e);
    assert_true(scene_go(r, 0, 10, NULL, NULL));
    char *copy = scene_path(dir, "copy.h5");
    mls_recovered told;
    const char *part = scene_path(dir, "record.h5.part");
    assert_true(mls_record_recover(part, copy, &told, &e));
    assert_true(told.channels == 3 && told.metrics == 1 && told.step == 10);
    assert_true(!told.complete && !told.warning[0]);
    hid_t f = H5Fopen(copy, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_int_equal(rows(f, "/metrics/training.loss"), 10);
    assert_int_equal(rows(f, "/states/layer0.enc.membrane"), 2);
    H5Fclose(f);
    assert_true(scene_go(r, 10, STEPS, NULL, NULL));
    assert_true(mls_recorder_close(r, &e));
    /* recovering a complete file loses nothing */
    char what[256];
    assert_true(mls_record_recover(scene_path(dir, "record.h5"),
                                   scene_path(dir, "again.h5"), &told, &e));
    assert_true(told.complete && told.step == STEPS);
    if (scene_differ(scene_path(dir, "record.h5"), scene_path(dir, "again.h5"), what))
        fail_msg("recovered file differs at %s", what);
    assert_false(mls_record_recover(scene_path(dir, "record.h5"), copy, NULL, &e));
    assert_non_null(strstr(e.text, "exists already"));
    scene_remove(dir);
}

/* The newest record as SONATA's report; while the file grows it holds NaN. */
static void test_report(void **state)
{
    (void)state;
    char *dir = make();
    hid_t f = H5Fopen(scene_path(dir, "record.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    const char *p = "/report/layer1.liq.tau/";
    enum { CELLS = SCENE_T * SCENE_U };
    float *x = all(f, scene_path(p, "data"), H5T_NATIVE_FLOAT, CELLS * sizeof *x);
    for (int64_t k = 0; k < CELLS; k++)
        assert_true(x[k] == scene_state(STEPS / 4 * 4, k / SCENE_U, 0, k % SCENE_U));
    int64_t step = 0;
    hid_t d = H5Dopen2(f, scene_path(p, "data"), H5P_DEFAULT);
    hid_t a = H5Aopen(d, "train_step", H5P_DEFAULT);
    assert_true(H5Aread(a, H5T_NATIVE_INT64, &step) >= 0);
    assert_int_equal(step, STEPS / 4 * 4);
    H5Aclose(a);
    H5Dclose(d);
    p = "/report/layer1.liq.tau/mapping/";
    assert_int_equal(rows(f, scene_path(p, "index_pointers")), SCENE_U + 1);
    int64_t *at = all(f, scene_path(p, "index_pointers"), H5T_NATIVE_INT64, 6 * 8);
    int64_t *id = all(f, scene_path(p, "node_ids"), H5T_NATIVE_INT64, 5 * 8);
    double *time = all(f, scene_path(p, "time"), H5T_NATIVE_DOUBLE, 3 * 8);
    uint32_t *element = all(f, scene_path(p, "element_ids"), H5T_NATIVE_UINT32, 5 * 4);
    for (int i = 0; i < SCENE_U; i++)
        assert_true(at[i] == i && id[i] == i && element[i] == 0);
    assert_int_equal(at[SCENE_U], SCENE_U);
    assert_true(time[0] == 0.0 && time[1] == SCENE_T * 0.5 && time[2] == 0.5);
    assert_true(H5Lexists(f, "/report/layer1.liq.state", H5P_DEFAULT) <= 0);
    H5Fclose(f);
    free(x), free(at), free(id), free(time), free(element);
    scene_remove(dir);

    mls_recorder_config c;
    mls_error e = { 0 };
    dir = scene_dir();
    scene_config(&c, dir, 0);
    mls_request all_samples[4];
    memcpy(all_samples, c.request, sizeof all_samples);
    all_samples[3].samples = 0;
    c.request = all_samples;
    assert_null(mls_recorder_open(&c, &e));
    assert_non_null(strstr(e.text, "layer1.liq.tau"));
    assert_non_null(strstr(e.text, "`samples` = 1"));
    scene_remove(dir);
}

/* A file that its writer left open: libhdf5 advises a program that would cut it. */
static void test_advice(void **state)
{
    (void)state;
    char *dir = scene_dir(), why[300];
    mls_recorder_config c;
    mls_error e = { 0 };
    scene_config(&c, dir, 0);
    mls_recorder *r = mls_recorder_open(&c, &e);
    assert_true(scene_go(r, 0, 10, NULL, NULL));
    const char *part = scene_path(dir, "record.h5.part"), *copy = scene_path(dir, "c");
    char command[1200];
    snprintf(command, sizeof command, "cp '%s' '%s'", part, copy);
    assert_int_equal(system(command), 0);
    mls_recorder_abandon(r);
    assert_true(H5Fopen(copy, H5F_ACC_RDONLY, H5P_DEFAULT) < 0);
    mls_rec_why(why, sizeof why);
    assert_null(strstr(why, "clear"));
    assert_non_null(strstr(why, "without closing it"));
    scene_remove(dir);
}

static void test_cannot_create(void **state)
{
    (void)state;
    mls_recorder_config c;
    mls_error e = { 0 };
    scene_config(&c, "/nonexistent/place", 0);
    assert_null(mls_recorder_open(&c, &e));
    assert_non_null(strstr(e.text, "/nonexistent/place/record.h5.new"));
    assert_non_null(strstr(e.text, "No such file"));
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spikes), cmocka_unit_test(test_states),
        cmocka_unit_test(test_the_rest), cmocka_unit_test(test_live),
        cmocka_unit_test(test_report), cmocka_unit_test(test_advice),
        cmocka_unit_test(test_cannot_create),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
