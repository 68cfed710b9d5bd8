#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "study/journal.h"
#include "folder.h"

#include <glob.h>
#include <signal.h>

static mls_error e;

static mls_journal *open_journal(void)
{
    memset(&e, 0, sizeof e);
    mls_journal *j = mls_journal_open(in_folder("study"), &e);
    assert_non_null(j);
    return j;
}

static void remembers(void **state)
{
    (void)state;
    mls_journal *j = open_journal();
    assert_true(mls_journal_note(j, "aaa", MLS_TRIAL_PLANNED, "mode=x", &e));
    assert_true(mls_journal_note(j, "bbb", MLS_TRIAL_FAILED, "it \"burnt\"", &e));
    assert_true(mls_journal_note(j, "aaa", MLS_TRIAL_DONE, NULL, &e));
    assert_true(mls_journal_note(j, "aaa", MLS_TRIAL_PLANNED, "mode=x", &e));
    mls_journal_close(j);
    j = open_journal();
    assert_null(mls_journal_repaired(j));
    assert_int_equal(mls_journal_state(j, "aaa"), MLS_TRIAL_DONE);
    assert_int_equal(mls_journal_state(j, "bbb"), MLS_TRIAL_FAILED);
    assert_string_equal(mls_journal_reason(j, "bbb"), "it \"burnt\"");
    assert_int_equal(mls_journal_state(j, "ccc"), MLS_TRIAL_NEW);
    mls_journal_close(j);
}

/* Every truncation of a journal of three lines: the whole lines survive, the rest is cut
 * and kept. */
static void torn_tails(void **state)
{
    (void)state;
    mls_journal *j = open_journal();
    for (int i = 0; i < 3; i++)
        assert_true(mls_journal_note(j, i == 0 ? "one" : i == 1 ? "two" : "three",
                                     MLS_TRIAL_DONE, NULL, &e));
    mls_journal_close(j);
    char whole[4096];
    FILE *f = fopen(in_folder("study/journal.jsonl"), "r");
    const size_t n = fread(whole, 1, sizeof whole, f);
    fclose(f);
    size_t line[4] = { 0 };
    for (size_t i = 0, k = 1; i < n; i++)
        if (whole[i] == '\n')
            line[k++] = i + 1;
    for (size_t cut = 0; cut <= n; cut += 7) {
        f = fopen(in_folder("study/journal.jsonl"), "w");
        assert_int_equal(fwrite(whole, 1, cut, f), cut);
        fclose(f);
        j = open_journal();
        const int torn = cut != line[0] && cut != line[1] && cut != line[2] && cut != n;
        assert_int_equal(mls_journal_repaired(j) != NULL, torn);
        assert_int_equal(mls_journal_state(j, "one") == MLS_TRIAL_DONE, cut >= line[1]);
        assert_int_equal(mls_journal_state(j, "two") == MLS_TRIAL_DONE, cut >= line[2]);
        assert_true(mls_journal_note(j, "three", MLS_TRIAL_DONE, NULL, &e));
        mls_journal_close(j);
        j = open_journal();
        assert_null(mls_journal_repaired(j));
        assert_int_equal(mls_journal_state(j, "three"), MLS_TRIAL_DONE);
        mls_journal_close(j);
    }
    glob_t g;
    assert_int_equal(glob(in_folder("study/journal.torn-*"), 0, NULL, &g), 0);
    globfree(&g);
}

/* A flipped bit in the middle costs that line alone. */
static void flipped_bit(void **state)
{
    (void)state;
    mls_journal *j = open_journal();
    assert_true(mls_journal_note(j, "first", MLS_TRIAL_DONE, NULL, &e));
    assert_true(mls_journal_note(j, "second", MLS_TRIAL_DONE, NULL, &e));
    mls_journal_close(j);
    FILE *f = fopen(in_folder("study/journal.jsonl"), "r+");
    char text[2000];
    const size_t n = fread(text, 1, sizeof text, f);
    text[n] = 0;
    char *at = strstr(text, "first");
    assert_non_null(at);
    *at ^= 1;
    rewind(f);
    fwrite(text, 1, n, f);
    fclose(f);
    j = open_journal();
    assert_int_equal(mls_journal_state(j, "first"), MLS_TRIAL_NEW);
    assert_int_equal(mls_journal_state(j, "second"), MLS_TRIAL_DONE);
    mls_journal_close(j);
}

/* Two drivers: the second gets nothing while the first lives, all when it is dead. */
static void claims(void **state)
{
    (void)state;
    int up[2], lock;
    assert_int_equal(pipe(up), 0);
    mls_journal *j = open_journal();
    const pid_t other = fork();
    if (other == 0) {
        mls_error f = { 0 };
        mls_journal *own = mls_journal_open(in_folder("study"), &f);
        const int got = own ? mls_journal_claim(own, "t1", in_folder("study/t1"), &lock, &f)
            : -1;
        const char said = (char)('0' + got);
        if (write(up[1], &said, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    char said = 0;
    assert_int_equal(read(up[0], &said, 1), 1);
    assert_int_equal(said, '1');
    assert_int_equal(mls_journal_claim(j, "t1", in_folder("study/t1"), &lock, &e), 0);
    assert_int_equal(mls_journal_claim(j, "t2", in_folder("study/t2"), &lock, &e), 1);
    close(lock);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    assert_int_equal(mls_journal_claim(j, "t1", in_folder("study/t1"), &lock, &e), 1);
    close(lock);
    mls_journal_close(j);
    close(up[0]);
    close(up[1]);
}

static int set_up(void **state) { (void)state; folder_make(); return 0; }
static int tear_down(void **state) { (void)state; folder_remove(); return 0; }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remembers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_tails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flipped_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(claims, set_up, tear_down) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
