/* Images of MNIST: against the official files' checksum and the mask of ET-sMNIST. */
#include "import.h"

#include <md5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void events_equal_the_mask(void **state)
{
    (void)state;
    const char *images = data_path("mnist/idx/t10k-images-idx3-ubyte.gz"),
               *labels = data_path("mnist/idx/t10k-labels-idx1-ubyte.gz"),
               *mask = data_path("mnist/cfc_et_smnist_test_mask.npy.xz");
    if (!images || !labels || !mask || system("command -v xz >/dev/null")) skip();
    const char *to = dir_path("events.h5");
    assert_true(import(to, "idx", images, labels, "--as", "events", NULL));
    hsize_t dim[4], rows[4];
    int64_t *length = column(to, "length", H5T_NATIVE_INT64, dim);
    float *x = column(to, "x", H5T_NATIVE_FLOAT, rows), *dt = column(to, "dt",
                                                                   H5T_NATIVE_FLOAT, rows);
    assert_int_equal(dim[0], 10000);
    shell("xz -dc '%s' >'%s'", mask, dir_path("mask.npy"));
    FILE *f = fopen(dir_path("mask.npy"), "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, -10000 * 256, SEEK_END), 0);
    int64_t equal = 0, at = 0;
    for (int i = 0; i < 10000; i++) {
        unsigned char row[256];
        int same = 1;
        double passed = 0;
        assert_int_equal(fread(row, 1, 256, f), 256);
        for (int t = 0; t < 256; t++) same &= (row[t] != 0) == (t < length[i]);
        for (int64_t t = 0; t < length[i]; t++) {
            passed += dt[at + t];
            same &= dt[at + t] >= 1 && (!t || x[at + t] != x[at + t - 1]);
        }
        same &= passed <= 784 && dt[at] == 1;
        equal += same;
        at += length[i];
    }
    printf("# the mask is the same for %lld of 10000 images\n", (long long)equal);
    assert_int_equal(equal, 10000);
    fclose(f);
    free(length);
    free(x);
    free(dt);
}

static void sheets_are_the_official_file(void **state)
{
    (void)state;
    if (!data_path("mnist/mnist_batch_0.png") || !data_path("mnist/mnist_labels.js") ||
        !data_path("mnist/idx/train-labels-idx1-ubyte.gz"))
        skip();
    const char *to = dir_path("sheets.h5"), *s[21];
    static char path[21][600];
    for (int i = 0; i < 21; i++) {
        char name[60];
        snprintf(name, sizeof name, "mnist/mnist_batch_%d.png", i);
        snprintf(path[i], sizeof path[i], "%s", data_path(name));
        s[i] = path[i];
    }
    assert_true(import(to, "png", "train:", s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7],
                       s[8], s[9], s[10], s[11], s[12], s[13], s[14], s[15], s[16], s[17],
                       s[18], s[19], "test:", s[20], "--labels",
                       data_path("mnist/mnist_labels.js"), "--as", "rows", NULL));
    hsize_t dim[4];
    uint8_t *x = column(to, "train/x", H5T_NATIVE_UINT8, dim);
    assert_int_equal(dim[0] * dim[1] * dim[2], 60000 * 784);
    MD5_CTX md5;
    char hex[MD5_DIGEST_STRING_LENGTH];
    MD5Init(&md5);
    MD5Update(&md5, (const uint8_t *)"\0\0\10\3\0\0\352\140\0\0\0\34\0\0\0\34", 16);
    MD5Update(&md5, x, 60000 * 784);
    assert_string_equal(MD5End(&md5, hex), "6bbc9ace898e44ae57da46a324031adb");
    free(x);
    int32_t *label = column(to, "train/label", H5T_NATIVE_INT32, dim), official;
    shell("gzip -dc '%s' >'%s'", data_path("mnist/idx/train-labels-idx1-ubyte.gz"),
          dir_path("labels"));
    FILE *f = fopen(dir_path("labels"), "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 8, SEEK_SET), 0);
    for (int i = 0; i < 60000; i++) {
        official = fgetc(f);
        assert_int_equal(label[i], official);
    }
    fclose(f);
    free(label);
    label = column(to, "test/label", H5T_NATIVE_INT32, dim);
    assert_int_equal(dim[0], 3000);
    assert_int_equal(label[0], 7);           /* the first test image is a seven */
    free(label);
}

/* Two images of 2 x 3 pixels whose events are known. */
static void small_events(void **state)
{
    (void)state;
    shell("printf '\\0\\0\\10\\3\\0\\0\\0\\2\\0\\0\\0\\2\\0\\0\\0\\3"
          "\\377\\200\\201\\0\\0\\377\\0\\0\\0\\0\\0\\0' >'%s'", dir_path("i"));
    shell("printf '\\0\\0\\10\\1\\0\\0\\0\\2\\5\\3' >'%s'", dir_path("l"));
    assert_true(import(dir_path("small.h5"), "idx", dir_path("i"), dir_path("l"), "--as",
                       "events", NULL));
    static const float bit[6] = { 1, 0, 1, 0, 1, 0 }, since[6] = { 1, 1, 1, 1, 2, 1 };
    hsize_t dim[4];
    float *x = column(dir_path("small.h5"), "x", H5T_NATIVE_FLOAT, dim);
    assert_int_equal(dim[0], 6);
    assert_memory_equal(x, bit, sizeof bit);
    free(x);
    x = column(dir_path("small.h5"), "dt", H5T_NATIVE_FLOAT, dim);
    assert_memory_equal(x, since, sizeof since);
    free(x);
    int32_t *label = column(dir_path("small.h5"), "label", H5T_NATIVE_INT32, dim);
    assert_int_equal(label[0], 5);
    assert_int_equal(label[1], 3);
    free(label);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_events),
        cmocka_unit_test(events_equal_the_mask),
        cmocka_unit_test(sheets_are_the_official_file),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir_make();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dir_remove();
    return failed;
}
