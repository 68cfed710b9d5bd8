/* kill -9 at random moments, damaged files, full disks: nothing acknowledged is lost. */
#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { STEPS = 110 };

/* The acknowledged step, as a checkpoint would keep it. */
static void acknowledge(void *arg, int64_t step)
{
    char path[600];
    snprintf(path, sizeof path, "%s/acknowledged.new", (const char *)arg);
    FILE *f = fopen(path, "w");
    fprintf(f, "%lld", (long long)step);
    fclose(f);
    rename(path, scene_path(arg, "acknowledged"));
}

static int64_t acknowledged(const char *dir)
{
    long long step = 0;
    FILE *f = fopen(scene_path(dir, "acknowledged"), "r");
    if (!f) return 0;
    if (fscanf(f, "%lld", &step) != 1) step = 0;
    fclose(f);
    return step;
}

static int child(const char *dir, int64_t from)
{
    mls_recorder_config c;
    mls_error e = { 0 };
    scene_config(&c, dir, from);
    mls_recorder *r = mls_recorder_open(&c, &e);
    if (r && mls_recorder_warning(r))
        fprintf(stderr, "# %s\n", mls_recorder_warning(r));
    const int ok = r && !mls_recorder_warning(r) &&
                   scene_go(r, from, STEPS, acknowledge, (void *)dir) &&
                   mls_recorder_close(r, &e);
    if (!ok) fprintf(stderr, "# from %lld: %s\n", (long long)from, e.text);
    return ok;
}

static void plain(const char *dir)
{
    const pid_t p = fork();
    if (p == 0) _exit(child(dir, 0) ? 0 : 1);
    int status;
    assert_int_equal(waitpid(p, &status, 0), p);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static uint32_t dice = 12345;
static uint32_t roll(uint32_t n)
{
    dice = dice * 1664525u + 1013904223u;
    return (dice >> 8) % n;
}

static void test_kill(void **state)
{
    (void)state;
    const char *env = getenv("MLS_KILLS");
    const int rounds = env ? atoi(env) : 5;
    char *whole = scene_dir(), what[256];
    plain(whole);
    int kills = 0;
    dice = env ? (uint32_t)getpid() : 12345;
    for (int round = 0; round < rounds; round++) {
        char *dir = scene_dir();
        for (int attempt = 0;; attempt++) {
            const int64_t from = acknowledged(dir);
            const pid_t p = fork();
            if (p == 0) _exit(child(dir, from) ? 0 : 1);
            if (attempt < 4) usleep(500 + roll(12000));
            if (attempt < 4) kill(p, SIGKILL);
            int status;
            assert_int_equal(waitpid(p, &status, 0), p);
            if (WIFEXITED(status)) {
                assert_int_equal(WEXITSTATUS(status), 0);
                break;
            }
            kills++;
        }
        if (scene_differ(scene_path(whole, "record.h5"), scene_path(dir, "record.h5"),
                         what))
            fail_msg("round %d: %s differs from the uninterrupted run", round, what);
        scene_remove(dir);
    }
    assert_true(kills > rounds / 2);
    print_message("# %d kills in %d runs\n", kills, rounds);
    scene_remove(whole);
}

/* The same with a clean stop, and resuming before the end of what was recorded. */
static void test_cut(void **state)
{
    (void)state;
    char *whole = scene_dir(), *dir = scene_dir(), what[256];
    mls_recorder_config c;
    mls_error e = { 0 };
    plain(whole);
    scene_config(&c, dir, 0);
    mls_recorder *r = mls_recorder_open(&c, &e);
    assert_true(scene_go(r, 0, 87, NULL, NULL));
    mls_recorder_abandon(r);
    for (int64_t from = 80; from > 30; from -= 13) {
        scene_config(&c, dir, from);
        r = mls_recorder_open(&c, &e);
        assert_non_null(r);
        assert_true(scene_go(r, from, from + 9, NULL, NULL));
        mls_recorder_abandon(r);
    }
    scene_config(&c, dir, 40);
    r = mls_recorder_open(&c, &e);
    assert_true(scene_go(r, 40, STEPS, NULL, NULL) && mls_recorder_close(r, &e));
    if (scene_differ(scene_path(whole, "record.h5"), scene_path(dir, "record.h5"),
                     what))
        fail_msg("%s differs", what);
    /* once more from the complete file */
    scene_config(&c, dir, 100);
    r = mls_recorder_open(&c, &e);
    assert_true(scene_go(r, 100, STEPS, NULL, NULL) && mls_recorder_close(r, &e));
    if (scene_differ(scene_path(whole, "record.h5"), scene_path(dir, "record.h5"),
                     what))
        fail_msg("%s differs", what);
    scene_remove(whole);
    scene_remove(dir);
}

static void spoil(const char *path, int how)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    if (how < 3) {
        const off_t size[3] = { 0, 1331, st.st_size / 2 };
        assert_int_equal(truncate(path, size[how]), 0);
        return;
    }
    char noise[512];
    for (size_t i = 0; i < sizeof noise; i++) noise[i] = (char)roll(256);
    const int fd = open(path, O_WRONLY);
    for (int i = 0; i < how; i++)
        assert_int_equal(
            pwrite(fd, noise, sizeof noise, (off_t)roll((uint32_t)st.st_size)), 512);
    close(fd);
}

static void test_damaged(void **state)
{
    (void)state;
    for (int how = 0; how < 9; how++) {
        char *dir = scene_dir();
        mls_recorder_config c;
        mls_error e = { 0 };
        scene_config(&c, dir, 0);
        mls_recorder *r = mls_recorder_open(&c, &e);
        assert_true(scene_go(r, 0, 60, NULL, NULL));
        mls_recorder_abandon(r);
        spoil(scene_path(dir, "record.h5.part"), how);
        scene_config(&c, dir, 60);
        r = mls_recorder_open(&c, &e);
        if (!r) fail_msg("damage %d: %s", how, e.text);
        const int aside = access(scene_path(dir, "record.h5.damaged-1"), F_OK) == 0;
        const char *w = mls_recorder_warning(r);
        assert_int_equal(aside, w && strstr(w, "it is kept as") != NULL);
        if (how < 3) assert_true(aside);
        assert_true(scene_go(r, 60, 90, NULL, NULL));
        if (!mls_recorder_close(r, &e)) fail_msg("damage %d: %s", how, e.text);
        assert_int_equal(access(scene_path(dir, "record.h5"), F_OK), 0);
        /* recover on anything: 0 or 1, never a crash */
        memset(&e, 0, sizeof e);
        if (aside)
            mls_record_recover(scene_path(dir, "record.h5.damaged-1"),
                               scene_path(dir, "r.h5"), NULL, &e);
        scene_remove(dir);
    }
}

/* A file size limit makes every write beyond it fail, as a full disk does. */
static void test_full(void **state)
{
    (void)state;
    char *whole = scene_dir();
    plain(whole);
    struct stat st;
    assert_int_equal(stat(scene_path(whole, "record.h5"), &st), 0);
    int failed = 0, later = 0;
    for (int k = 1; k <= 8; k++) {
        char *dir = scene_dir();
        const pid_t p = fork();
        if (p == 0) {
            const rlim_t limit = (rlim_t)(st.st_size * k / 8);
            const struct rlimit rl = { limit, limit };
            mls_recorder_config c;
            mls_error e = { 0 };
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &rl);
            scene_config(&c, dir, 0);
            mls_recorder *r = mls_recorder_open(&c, &e);
            if (!r) exit(strstr(e.text, "record.h5") ? 3 : 2);
            if (scene_go(r, 0, STEPS, NULL, NULL) && mls_recorder_close(r, &e)) exit(0);
            mls_error told = *mls_recorder_error(r);
            if (!told.set) exit(2);
            mls_recorder_metric(r, "training.loss", STEPS + 1, 0);
            if (mls_recorder_close(r, &e)) exit(2);
            if (!strstr(e.text, "record.h5") || !strstr(e.text, "free")) {
                fprintf(stderr, "# %s\n", e.text);
                exit(2);
            }
            exit(4);                                   /* with all exit handlers */
        }
        int status;
        assert_int_equal(waitpid(p, &status, 0), p);
        if (!WIFEXITED(status) || WEXITSTATUS(status) == 2)
            fail_msg("limit %d/8: status %x", k, (unsigned)status);
        failed += WEXITSTATUS(status) != 0;
        if (WEXITSTATUS(status) == 4) {
            mls_error e = { 0 };
            if (!mls_record_recover(scene_path(dir, "record.h5.part"),
                                    scene_path(dir, "r.h5"), NULL, &e))
                fail_msg("limit %d/8: %s", k, e.text);
            later++;
        }
        assert_int_equal(access(scene_path(dir, "record.h5"), F_OK) == 0,
                         WEXITSTATUS(status) == 0);
        scene_remove(dir);
    }
    print_message("# %d of 8 failed, %d of them while growing\n", failed, later);
    assert_true(failed > 4 && later > 2);
    scene_remove(whole);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damaged), cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
