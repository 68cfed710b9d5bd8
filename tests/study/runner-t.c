#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "study/runner.h"
#include "folder.h"

/* A stand-in for `mls trial DIR`: what it does stands in its configuration. */
static const char program[] =
    "#!/bin/sh\n"
    "how=$(sed -n 's/^how: *//p' \"$2/config.yaml\")\n"
    "echo '{\"step\":1,\"steps\":4,\"loss\":2.5,\"rate\":1000}'\n"
    "echo x >> \"$2/started\"\n"
    "case $how in\n"
    "  fine) echo 'loss: 1.5' > \"$2/result.yaml\" ;;\n"
    "  wrong) echo 'first line' >&2; echo 'the loss is NaN at step 1' >&2; exit 1 ;;\n"
    "  crash) echo 'crashed: SIGSEGV in layer0.mix' >&2; kill -SEGV $$ ;;\n"
    "  full) echo '{\"failed\":\"the disk is full\"}'; exit 1 ;;\n"
    "  quiet) kill -BUS $$ ;;\n"
    "  slow) trap 'exit 3' TERM; sleep 20 & wait ;;\n"
    "esac\n";

static mls_arena arena;
static mls_error e;
static volatile sig_atomic_t stop;

static void prepare(mls_job *job, const char *how)
{
    mls_value *config = mls_value_map(&arena);
    mls_value_set(&arena, config, "how", mls_value_string(&arena, how));
    *job = (mls_job){ .id = how, .label = how, .config = config };
    snprintf(job->dir, sizeof job->dir, "%s", in_folder(mls_arena_printf(&arena, "study/%s",
                                                                         how)));
}

static int go(mls_job *job, int n, int parallel, double timeout,
              void (*watch)(void *, const mls_runner *))
{
    memset(&e, 0, sizeof e);
    mls_journal *j = mls_journal_open(in_folder("study"), &e);
    assert_non_null(j);
    mls_runner r = { .job = job, .n_jobs = n, .parallel = parallel, .timeout = timeout,
                     .exe = in_folder("fake-mls"), .journal = j, .stop = &stop,
                     .watch = watch };
    const int outcome = mls_runner_go(&r, &e);
    mls_journal_close(j);
    return outcome;
}

static void outcomes(void **state)
{
    mls_job job[5];
    static const char *const how[] = { "fine", "wrong", "crash", "quiet", "full" };
    (void)state;
    for (int i = 0; i < 5; i++)
        prepare(&job[i], how[i]);
    assert_int_equal(go(job, 5, 2, 0.0, NULL), 0);
    assert_string_equal(job[4].reason, "the disk is full");      /* and its log empty */
    assert_int_equal(job[0].state, MLS_JOB_DONE);
    assert_int_equal(job[0].steps, 4);
    assert_int_equal(job[1].state, MLS_JOB_FAILED);
    assert_string_equal(job[1].reason, "the loss is NaN at step 1");
    assert_string_equal(job[2].reason, "crashed: SIGSEGV in layer0.mix, step 1");
    assert_string_equal(job[3].reason, "crashed: SIGBUS, step 1");
}

/* A second run leaves alone what is done and tries again what failed. */
static void resumes(void **state)
{
    mls_job job[2];
    struct stat s;
    (void)state;
    prepare(&job[0], "fine");
    prepare(&job[1], "wrong");
    assert_int_equal(go(job, 2, 1, 0.0, NULL), 0);
    prepare(&job[0], "fine");
    prepare(&job[1], "wrong");
    assert_int_equal(go(job, 2, 1, 0.0, NULL), 0);
    assert_int_equal(job[0].state, MLS_JOB_KEPT);
    assert_int_equal(job[1].state, MLS_JOB_FAILED);
    assert_int_equal(stat(in_folder("study/fine/started"), &s), 0);
    assert_int_equal(s.st_size, 2);
    assert_int_equal(stat(in_folder("study/wrong/started"), &s), 0);
    assert_int_equal(s.st_size, 4);
}

static void times_out(void **state)
{
    mls_job job;
    (void)state;
    prepare(&job, "slow");
    const double began = mls_runner_now();
    assert_int_equal(go(&job, 1, 1, 0.3, NULL), 0);
    assert_int_equal(job.state, MLS_JOB_FAILED);
    assert_non_null(strstr(job.reason, "timeout after"));
    assert_true(mls_runner_now() - began < 4.0);
}

static void interrupt_at_once(void *arg, const mls_runner *r)
{
    (void)arg;
    if (r->job[0].step > 0)
        stop = 1;
}

static void stops(void **state)
{
    mls_job job[2];
    (void)state;
    prepare(&job[0], "slow");
    prepare(&job[1], "fine");
    assert_int_equal(go(job, 2, 1, 0.0, interrupt_at_once), 1);
    stop = 0;
    assert_int_equal(job[0].state, MLS_JOB_STOPPED);
    assert_int_equal(job[1].state, MLS_JOB_WAITING);
    mls_journal *j = mls_journal_open(in_folder("study"), &e);
    assert_int_equal(mls_journal_state(j, "slow"), MLS_TRIAL_STOPPED);
    mls_journal_close(j);
}

/* Two drivers at once: every trial is started exactly once. */
static void two_drivers(void **state)
{
    enum { N = 8 };
    mls_job job[N];
    (void)state;
    const pid_t other = fork();
    for (int i = 0; i < N; i++) {
        prepare(&job[i], "fine");
        job[i].id = mls_arena_printf(&arena, "t%d", i);
        snprintf(job[i].dir, sizeof job[i].dir, "%s/study/t%d", folder, i);
    }
    const int outcome = go(job, N, 2, 0.0, NULL);
    if (other == 0)
        _exit(outcome != 0);
    int status;
    waitpid(other, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(outcome, 0);
    for (int i = 0; i < N; i++) {
        struct stat s;
        assert_true(job[i].state == MLS_JOB_DONE || job[i].state == MLS_JOB_KEPT);
        assert_int_equal(stat(in_folder(mls_arena_printf(&arena, "study/t%d/started", i)),
                              &s), 0);
        assert_int_equal(s.st_size, 2);
    }
}

static int set_up(void **state)
{
    (void)state;
    folder_make();
    folder_write("fake-mls", program);
    return chmod(in_folder("fake-mls"), 0755);
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(outcomes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resumes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stops, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_drivers, set_up, tear_down) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mls_arena_free(&arena);
    return failed;
}
