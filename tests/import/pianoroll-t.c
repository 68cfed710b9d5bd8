/* Piano rolls: a small one whose frames are known, and the JSB Chorales, whose counts of
 * frames and whose likelihood under the notes' frequencies were measured by other means. */
#include "import.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void small(void **state)
{
    (void)state;
    shell("printf '{\"train\": [[[21, 23], [], [22, -1]], [[21]]],\\n \"valid\":[[[23,23]]]}' "
          ">'%s'", dir_path("a.json"));
    const char *to = dir_path("a.h5");
    assert_true(import(to, "pianoroll", dir_path("a.json"), "--high", "23", NULL));
    hsize_t dim[4];
    static const uint8_t want[4][3] = { { 1, 0, 1 }, { 0 }, { 0, 1, 0 }, { 1, 0, 0 } };
    uint8_t *x = column(to, "train/x", H5T_NATIVE_UINT8, dim);
    assert_true(dim[0] == 4 && dim[1] == 3);
    assert_memory_equal(x, want, sizeof want);
    int64_t *length = column(to, "train/length", H5T_NATIVE_INT64, dim);
    assert_true(dim[0] == 2 && length[0] == 3 && length[1] == 1);
    free(x);
    free(length);
    x = column(to, "validation/x", H5T_NATIVE_UINT8, dim);
    assert_true(dim[0] == 1 && x[0] == 0 && x[2] == 1);
    free(x);
    shell("printf '[[[60]]]' >'%s'", dir_path("b.json"));
    assert_true(import(dir_path("b.h5"), "pianoroll", "test:", dir_path("b.json"), NULL));
    x = column(dir_path("b.h5"), "test/x", H5T_NATIVE_UINT8, dim);
    assert_true(dim[1] == 88 && x[39] == 1);
    free(x);
}

/* Each note by itself, with its frequency in the training part: nats per frame of the test,
 * of those that task.hdf5 scores with predict, which have one before them.               */
static void chorales(void **state)
{
    (void)state;
    const char *json = data_path("polymusic/czhuang/jsb-chorales-quarter.json");
    if (!json) skip();
    const char *to = dir_path("jsb.h5");
    assert_true(import(to, "pianoroll", json, NULL));
    hsize_t dim[4], pieces[4];
    free(column(to, "train/length", H5T_NATIVE_INT64, pieces));
    uint8_t *x = column(to, "train/x", H5T_NATIVE_UINT8, dim);
    assert_true(pieces[0] == 229 && dim[0] == 13807 && dim[1] == 88);
    double count[88] = { 0 }, all = (double)dim[0], nats = 0.0;
    for (hsize_t i = 0; i < dim[0] * 88; i++) count[i % 88] += x[i];
    free(x);
    free(column(to, "validation/length", H5T_NATIVE_INT64, pieces));
    free(column(to, "validation/x", H5T_NATIVE_UINT8, dim));
    assert_true(pieces[0] == 76 && dim[0] == 4602);
    x = column(to, "test/x", H5T_NATIVE_UINT8, dim);
    int64_t *length = column(to, "test/length", H5T_NATIVE_INT64, pieces), at = 0, frames = 0;
    assert_true(pieces[0] == 77 && dim[0] == 4725);
    for (hsize_t k = 0; k < pieces[0]; at += length[k++])
        for (int64_t i = (at + 1) * 88; i < (at + length[k]) * 88; i++) {
            const double p = (count[i % 88] + 0.5) / (all + 1.0);
            nats -= log(x[i] ? p : 1.0 - p);
            frames += i % 88 == 0;
        }
    free(x);
    free(length);
    printf("# by the frequencies of the notes: %.4f nats per frame, of %lld\n",
           nats / (double)frames, (long long)frames);
    assert_true(frames == 4648 && fabs(nats / (double)frames - 11.09) < 0.005);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(small), cmocka_unit_test(chorales) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir_make();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dir_remove();
    return failed;
}
