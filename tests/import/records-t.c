/* Irregular records of PhysioNet 2012 and event-camera recordings: counts that were measured
 * on these files by other means, and small ones whose numbers are known. */
#include "import.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void small_record(void **state)
{
    (void)state;
    shell("mkdir -p '%s' && printf 'Time,Parameter,Value\\n00:00,RecordID,7\\n00:00,Age,54\\n"
          "00:00,Height,-1\\n00:30,HR,73\\n00:30,HR,75\\n02:00,Temp,-1\\n' >'%s'",
          dir_path("set"), dir_path("set/7.txt"));
    shell("printf 'RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\\n"
          "7,6,1,5,-1,1\\n' >'%s'", dir_path("outcomes"));
    const char *to = dir_path("small.h5");
    assert_true(import(to, "physionet", dir_path("set"), dir_path("outcomes"), NULL));
    hsize_t dim[4];
    float *x = column(to, "x", H5T_NATIVE_FLOAT, dim);
    assert_true(dim[0] == 3 && dim[1] == 41);
    uint8_t *seen = column(to, "observed", H5T_NATIVE_UINT8, dim);
    float *dt = column(to, "dt", H5T_NATIVE_FLOAT, dim);
    int all = 0;
    for (int i = 0; i < 3 * 41; i++) all += seen[i];
    assert_int_equal(all, 3);                            /* Height -1 is unknown */
    assert_true(seen[0] && x[0] == 54 && !seen[2] && x[2] == 0);
    assert_true(seen[41 + 19] && x[41 + 19] == 75);      /* the last one counts */
    assert_true(seen[82 + 35] && x[82 + 35] == -1);      /* a temperature may be -1 */
    assert_true(dt[0] == 0 && dt[1] == 0.5f && dt[2] == 1.5f);
    int32_t *label = column(to, "label", H5T_NATIVE_INT32, dim);
    assert_int_equal(label[0], 1);
    free(x);
    free(seen);
    free(dt);
    free(label);
}

static void set_a(void **state)
{
    (void)state;
    const char *pack = data_path("physionet2012/set-a.tar.xz"),
               *outcomes = data_path("physionet2012/Outcomes-a.txt");
    if (!pack || !outcomes || system("command -v xz >/dev/null")) skip();
    shell("tar -xJf '%s' -C '%s'", pack, dir_path(""));
    const char *to = dir_path("a.h5");
    assert_true(import(to, "physionet", dir_path("set-a"), outcomes, NULL));
    hsize_t dim[4];
    int64_t *length = column(to, "length", H5T_NATIVE_INT64, dim);
    int32_t *label = column(to, "label", H5T_NATIVE_INT32, dim), deaths = 0;
    assert_int_equal(dim[0], 4000);
    for (int i = 0; i < 4000; i++) deaths += label[i];
    qsort(length, 4000, sizeof *length, ascending);
    printf("# %d deaths; median %lld, longest %lld\n", deaths, (long long)length[2000],
           (long long)length[3999]);
    assert_int_equal(deaths, 554);
    assert_true(length[1999] == 72 && length[3999] == 203 && length[200] == 46 &&
                length[3799] == 116);
    free(length);
    free(label);
}

static void small_recording(void **state)
{
    (void)state;
    shell("printf '\\1\\2\\200\\0\\12\\41\\0\\0\\3\\350' >'%s'", dir_path("5.bin"));
    shell("printf '#sample #class\\n5\\t3\\r\\n' >'%s'", dir_path("list"));
    const char *to = dir_path("one.h5");
    assert_true(import(to, "nmnist", dir_path("list"), NULL));
    hsize_t dim[4];
    double *time = column(to, "time", H5T_NATIVE_DOUBLE, dim);
    int32_t *channel = column(to, "channel", H5T_NATIVE_INT32, dim),
            *channels = column(to, "channels", H5T_NATIVE_INT32, dim),
            *label = column(to, "label", H5T_NATIVE_INT32, dim);
    assert_true(time[0] == 0.01 && time[1] == 1.0);
    assert_true(channel[0] == (34 + 2) * 34 + 1 && channel[1] == 33);
    assert_true(channels[0] == 2312 && label[0] == 3);
    free(time);
    free(channel);
    free(channels);
    free(label);
    shell("mkdir -p '%s/c/0' '%s/c/1' && cp '%s' '%s/c/0' && cp '%s' '%s/c/1'", dir_path(""),
          dir_path(""), dir_path("5.bin"), dir_path(""), dir_path("5.bin"), dir_path(""));
    assert_true(import(dir_path("two.h5"), "nmnist", "train:", dir_path("c"), NULL));
}

static void nmnist_small(void **state)
{
    (void)state;
    const char *pack = data_path("nmnist-small/NMNISTsmall.tar.xz");
    if (!pack || system("command -v xz >/dev/null")) skip();
    shell("tar -xJf '%s' -C '%s'", pack, dir_path(""));
    const char *to = dir_path("events.h5");
    assert_true(import(to, "nmnist", "train:", dir_path("NMNISTsmall/train1K.txt"), "test:",
                       dir_path("NMNISTsmall/test100.txt"), "--ending", ".bs2", NULL));
    hsize_t dim[4];
    int64_t *length = column(to, "train/length", H5T_NATIVE_INT64, dim), all = 0, least = 1 << 30,
            most = 0;
    int32_t *label = column(to, "train/label", H5T_NATIVE_INT32, dim), count[10] = { 0 };
    assert_int_equal(dim[0], 1000);
    for (int i = 0; i < 1000; i++) {
        all += length[i];
        if (length[i] < least) least = length[i];
        if (length[i] > most) most = length[i];
        count[label[i]]++;
    }
    printf("# %lld to %lld events, %.1f on average\n", (long long)least, (long long)most,
           (double)all / 1000);
    assert_true(most == 7152 && all / 1000 == 4133);
    int fewest = 1000, greatest = 0;
    for (int k = 0; k < 10; k++) {
        if (count[k] < fewest) fewest = count[k];
        if (count[k] > greatest) greatest = count[k];
    }
    assert_true(fewest == 87 && greatest == 117);
    free(length);
    free(label);
    length = column(to, "test/length", H5T_NATIVE_INT64, dim);
    assert_int_equal(dim[0], 100);
    free(length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_record),
        cmocka_unit_test(set_a),
        cmocka_unit_test(small_recording),
        cmocka_unit_test(nmnist_small),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir_make();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dir_remove();
    return failed;
}
