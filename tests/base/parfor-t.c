#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/parfor.h"

enum { N = 5000 };
static atomic_int hits[N], other_threads;
static pthread_t caller;

static void hit(int64_t i, void *arg)
{
    (void)arg;
    atomic_fetch_add(&hits[i], 1);
    if (!pthread_equal(pthread_self(), caller)) atomic_store(&other_threads, 1);
}

static int every_item_once(int times)
{
    for (int i = 0; i < N; i++)
        if (atomic_exchange(&hits[i], 0) != times) return 0;
    return 1;
}

static void one_thread_is_a_plain_loop(void **state)
{
    (void)state;
    caller = pthread_self();
    mls_parfor_threads(1);
    assert_int_equal(mls_parfor_count(), 1);
    mls_parfor(N, hit, NULL);
    assert_true(every_item_once(1));
    assert_false(atomic_load(&other_threads));
    mls_parfor(0, hit, NULL);
    assert_true(every_item_once(0));
}

/* An item that waits until another thread has one, or for two seconds. */
static void meet(int64_t i, void *arg)
{
    hit(i, arg);
    for (int k = 0; k < 2000 && !atomic_load(&other_threads); k++) usleep(1000);
}

static void others_take_part(void **state)
{
    (void)state;
    caller = pthread_self();
    mls_parfor_threads(2);
    assert_int_equal(mls_parfor_count(), 2);
    atomic_store(&other_threads, 0);
    mls_parfor(4, meet, NULL);
    assert_true(atomic_load(&other_threads));
    for (int i = 0; i < 4; i++) assert_int_equal(atomic_exchange(&hits[i], 0), 1);
}

static void many_loops(void **state)
{
    (void)state;
    caller = pthread_self();
    for (int threads = 1; threads <= 4; threads++) {
        mls_parfor_threads(threads);
        for (int k = 0; k < 200; k++) mls_parfor(N, hit, NULL);
        assert_true(every_item_once(200));
    }
    /* short loops, so that workers come late to loops that are over */
    for (int k = 0; k < 20000; k++) mls_parfor(2, hit, NULL);
    assert_int_equal(atomic_exchange(&hits[0], 0), 20000);
    assert_int_equal(atomic_exchange(&hits[1], 0), 20000);
    /* workers asleep */
    for (int k = 0; k < 20; k++) {
        usleep(2000);
        mls_parfor(N, hit, NULL);
        assert_true(every_item_once(1));
    }
}

static void outer(int64_t i, void *arg)
{
    (void)i;
    mls_parfor(N, hit, arg);
}

static void nested_loops_run_inline(void **state)
{
    (void)state;
    caller = pthread_self();
    mls_parfor_threads(3);
    mls_parfor(8, outer, NULL);
    assert_true(every_item_once(8));
}

static void *loops(void *arg)
{
    for (int k = 0; k < 100; k++) mls_parfor(N, hit, arg);
    return NULL;
}

static void two_callers(void **state)
{
    (void)state;
    pthread_t t;
    caller = pthread_self();
    mls_parfor_threads(2);
    assert_int_equal(pthread_create(&t, NULL, loops, NULL), 0);
    loops(NULL);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_true(every_item_once(200));
}

static void works_after_fork(void **state)
{
    (void)state;
    caller = pthread_self();
    mls_parfor_threads(2);
    mls_parfor(N, hit, NULL);
    assert_true(every_item_once(1));
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        caller = pthread_self();
        atomic_store(&other_threads, 0);
        mls_parfor(4, meet, NULL);
        int ok = atomic_load(&other_threads);
        for (int i = 0; i < 4; i++) ok &= atomic_exchange(&hits[i], 0) == 1;
        mls_parfor(N, hit, NULL);
        _exit(ok && every_item_once(1) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mls_parfor(N, hit, NULL);
    assert_true(every_item_once(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_thread_is_a_plain_loop),
        cmocka_unit_test(others_take_part),
        cmocka_unit_test(many_loops),
        cmocka_unit_test(nested_loops_run_inline),
        cmocka_unit_test(two_callers),
        cmocka_unit_test(works_after_fork),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
