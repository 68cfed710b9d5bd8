/* File systems without locks: what is said, and that `locking: off` does without them.
 * The flock below is the one that libhdf5 calls here.                                   */
#include "scene.h"

#include <errno.h>
#include <hdf5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <cmocka.h>

static int refuse, calls;

int flock(int fd, int operation)
{
    (void)fd, (void)operation;
    calls++;
    errno = refuse;
    return refuse ? -1 : 0;
}

static int records(const char *dir, mls_error *e)
{
    mls_recorder_config c;
    scene_config(&c, dir, 0);
    mls_recorder *r = mls_recorder_open(&c, e);
    return r && scene_go(r, 0, 12, NULL, NULL) && mls_recorder_close(r, e);
}

static void test_refused(void **state)
{
    (void)state;
    /* libhdf5 itself passes over ENOSYS where it was built to */
    static const struct { int code; const char *says; } row[] = {
        { ENOLCK, "errno 37" }, { ENOSYS, "errno 38" }, { 524, "errno 524" },
        { EROFS, "errno 30" } };
    int refused = 0;
    for (int i = 0; i < 4; i++) {
        char *dir = scene_dir();
        mls_error e = { 0 };
        refuse = row[i].code;
        calls = 0;
        if (!records(dir, &e)) {
            refused++;
            assert_non_null(strstr(e.text, row[i].says));
            assert_non_null(strstr(e.text, "locking: \"off\""));
            assert_non_null(strstr(e.text, "HDF5_USE_FILE_LOCKING=FALSE"));
        } else {
            assert_int_equal(row[i].code, ENOSYS);
        }
        assert_true(calls > 0);
        scene_remove(dir);
    }
    assert_true(refused >= 3);
}

static void test_held(void **state)
{
    (void)state;
    char *dir = scene_dir();
    mls_error e = { 0 };
    refuse = EAGAIN;
    assert_false(records(dir, &e));
    assert_non_null(strstr(e.text, "another process"));
    assert_null(strstr(e.text, "locking:"));
    scene_remove(dir);
}

static void test_off(void **state)
{
    (void)state;
    char *dir = scene_dir();
    mls_error e = { 0 };
    refuse = ENOLCK;
    calls = 0;
    mls_rec_locking(0);
    if (!records(dir, &e)) fail_msg("%s", e.text);
    assert_true(mls_record_recover(scene_path(dir, "record.h5"),
                                   scene_path(dir, "again.h5"), NULL, &e));
    assert_int_equal(calls, 0);
    mls_rec_locking(1);
    assert_false(mls_record_recover(scene_path(dir, "record.h5"),
                                    scene_path(dir, "third.h5"), NULL, &e));
    assert_non_null(strstr(e.text, "errno 37"));
    scene_remove(dir);
}

int main(void)
{
    unsetenv("HDF5_USE_FILE_LOCKING");
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_held),
        cmocka_unit_test(test_off),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
