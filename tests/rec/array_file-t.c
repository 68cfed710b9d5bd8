#include "scene.h"
#include "grad/ctx.h"

#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static mls_error error;
static mls_arena arena;
static mls_ctx   ctx = { .error = &error, .path = "task.test", .network = &arena };
static char     *dir, *path;

static int set_up(void **state)
{
    (void)state;
    dir = scene_dir();
    path = strdup(scene_path(dir, "data"));
    memset(&error, 0, sizeof error);
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

static int get(const char *dataset, int optional, mls_array *out)
{
    memset(&error, 0, sizeof error);
    return mls_rec_array_file.read(&ctx, path, dataset, optional, out);
}

static void put(hid_t f, const char *name, hid_t type, int rank, const hsize_t *dim,
                const void *x)
{
    hid_t s = H5Screate_simple(rank, dim, NULL);
    hid_t d = H5Dcreate2(f, name, type, s, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(d >= 0 &&
                (!x || H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0));
    H5Dclose(d);
    H5Sclose(s);
}

static void make_hdf5(void)
{
    const hsize_t two[2] = { 2, 3 }, five[5] = { 1, 1, 1, 1, 1 }, none[2] = { 0, 3 };
    const double x[6] = { 0.5, -1, 2, 3, 4, 1e3 };
    const int16_t label[2] = { 7, -1 };
    mls_rec_init();
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          t = H5Tcopy(H5T_C_S1);
    H5Gclose(H5Gcreate2(f, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    put(f, "train/x", H5T_NATIVE_DOUBLE, 2, two, x);
    put(f, "label", H5T_NATIVE_INT16, 1, two, label);
    put(f, "deep", H5T_NATIVE_FLOAT, 5, five, NULL);
    put(f, "empty", H5T_NATIVE_FLOAT, 2, none, NULL);
    put(f, "text", t, 1, two, "ab");
    H5Tclose(t);
    H5Fclose(f);
}

static void test_hdf5(void **state)
{
    (void)state;
    mls_array a;
    make_hdf5();
    assert_true(get("/train/x", 0, &a));
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.dim[0], 2);
    assert_int_equal(a.dim[1], 3);
    assert_int_equal(a.dim[2], 1);
    assert_true(a.data[0] == 0.5f && a.data[1] == -1.0f && a.data[5] == 1000.0f);
    assert_true(get("label", 1, &a));
    assert_true(a.data[0] == 7.0f && a.data[1] == -1.0f);
    assert_true(get("empty", 0, &a));
    assert_int_equal(a.dim[0], 0);
}

static void test_hdf5_errors(void **state)
{
    (void)state;
    mls_array a;
    make_hdf5();
    assert_false(get("/train/y", 1, &a));
    assert_false(error.set);
    assert_false(get("/train/xx", 0, &a));
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, "did you mean \"train/x\"?"));
    assert_non_null(strstr(error.text, "label"));
    assert_false(get("deep", 0, &a));
    assert_non_null(strstr(error.text, "5 axes"));
    assert_false(get("text", 1, &a));
    assert_non_null(strstr(error.text, "holds text"));
    assert_false(get("", 0, &a));
    assert_true(error.set);
    unlink(path);
    assert_false(get("x", 1, &a));
    assert_non_null(strstr(error.text, "No such file"));
}

/* Any damage: an answer, never a crash of this process. */
static void test_hdf5_damage(void **state)
{
    (void)state;
    mls_array a;
    make_hdf5();
    FILE *f = fopen(path, "r+b");
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    unsigned char *whole = malloc((size_t)size);
    rewind(f);
    assert_int_equal(fread(whole, 1, (size_t)size, f), size);
    for (int i = 0; i < 150; i++) {
        for (int k = 0; k < 4; k++) {
            const long at = (long)((uint64_t)(4 * i + k) * 2654435761u %
                                   (uint64_t)(i % 2 ? size : 800));
            fseek(f, at, SEEK_SET);
            fputc((unsigned char)(i * 37 + k), f);
        }
        fflush(f);
        get("/train/x", 0, &a);
        rewind(f);
        fwrite(whole, 1, (size_t)size, f);
        fflush(f);
    }
    assert_true(get("/train/x", 0, &a));
    free(whole);
    fclose(f);
}

static void make_npy(int version, const char *header, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    const size_t n = strlen(header);
    fwrite("\x93NUMPY", 1, 6, f);
    fputc(version, f);
    fputc(0, f);
    fputc((int)(n & 255), f);
    fputc((int)(n >> 8), f);
    if (version > 1) fwrite("\0\0", 1, 2, f);
    fwrite(header, 1, n, f);
    fwrite(data, 1, bytes, f);
    fclose(f);
}

static void test_npy(void **state)
{
    (void)state;
    mls_array a;
    const double x[6] = { 1, 2.5, -3, 4, 5, 6 };
    const int32_t i[2] = { -5, 70000 };
    const int64_t l[2] = { -5, 1 << 24 };
    const float s[1] = { 0.25f };
    make_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }   \n", x,
             sizeof x);
    assert_true(get("", 0, &a));
    assert_int_equal(a.rank, 2);
    assert_int_equal(a.dim[1], 3);
    assert_true(a.data[1] == 2.5f && a.data[5] == 6.0f);
    make_npy(2, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n", i,
             sizeof i);
    assert_true(get("", 0, &a));
    assert_true(a.rank == 1 && a.data[0] == -5.0f && a.data[1] == 70000.0f);
    make_npy(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n", l,
             sizeof l);
    assert_true(get("", 0, &a));
    assert_true(a.data[0] == -5.0f && a.data[1] == 16777216.0f);
    make_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }\n", s,
             sizeof s);
    assert_true(get("", 0, &a));
    assert_true(a.rank == 0 && a.data[0] == 0.25f);
    make_npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n",
             "\xff\x01\x00", 3);
    assert_true(get("", 0, &a));
    assert_true(a.data[0] == 255.0f && a.data[1] == 1.0f);
}

static void test_npy_errors(void **state)
{
    (void)state;
    static const struct { const char *header, *say;
    } bad[] = {
        { "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }\n", "'>f8'" },
        { "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }\n", "'<c8'" },
        { "{'descr': '<f8', 'fortran_order': True, 'shape': (2,), }\n", "Fortran" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n", "cut off" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (1,1,1,1,2), }\n",
          "4 axes" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,9999999999), "
          "}\n",
          "shape" },
        { "{'descr': '<f8', 'fortran_order': False, 'shape': (-2,), }\n", "shape" },
        { "nonsense", "type unknown" },
    };
    const double x[2] = { 1, 2 };
    mls_array a;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        make_npy(1, bad[i].header, x, sizeof x);
        assert_false(get("", 0, &a));
        assert_non_null(strstr(error.text, path));
        if (!strstr(error.text, bad[i].say)) fail_msg("%s", error.text);
    }
    make_npy(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n", x,
             sizeof x);
    assert_false(get("x", 0, &a));
    assert_true(error.set);
    assert_false(get("x", 1, &a));
    assert_false(error.set);
    for (int n = 0; n < 80; n++) {
        assert_int_equal(truncate(path, 80 - n), 0);
        assert_false(get("", 0, &a));
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hdf5, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hdf5_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hdf5_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_npy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_npy_errors, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("array_file", tests, NULL, NULL);
}
