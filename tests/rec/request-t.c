#include "rec/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const mls_channel CHANNEL[] = {
    { "layer0.enc", "spikes", NULL, NULL, MLS_SPIKES, 128 },
    { "layer1.enc", "spikes", NULL, NULL, MLS_SPIKES, 128 },
    { "layer0.ssm", "h", NULL, NULL, 0, 16384 },
    { "head", "out", NULL, NULL, 0, 10 },
};

static int64_t bytes(const char *selector, int64_t every, int64_t samples,
                     int64_t limit, mls_error *e)
{
    const mls_request r = { .selector = selector, .every = every, .samples = samples };
    memset(e, 0, sizeof *e);
    return mls_request_bytes(&r, 1, CHANNEL, 4, 100, 8, 1000, limit, e);
}

static void test_matching(void **state)
{
    (void)state;
    mls_error e;
    assert_int_equal(bytes("head.out", 1, 0, 0, &e), 1000 * 100 * 8 * 10 * 4);
    assert_int_equal(bytes("head.out", 10, 2, 0, &e), 100 * 100 * 2 * 10 * 4);
    const int64_t one = bytes("layer0.enc.spikes", 1, 0, 0, &e);
    assert_true(one > 0);
    assert_int_equal(bytes("enc.spikes", 1, 0, 0, &e), 2 * one);
    assert_int_equal(bytes("layer?.enc.*", 1, 0, 0, &e), 2 * one);
    assert_true(bytes("*", 1, 0, 0, &e) > 2 * one);
    assert_false(e.set);
}

/* The last request that selects a channel counts. */
static void test_last_counts(void **state)
{
    (void)state;
    mls_error e = { 0 };
    const mls_request r[2] = { { .selector = "*.out", .every = 1 },
                               { .selector = "head.*", .every = 100 } };
    assert_int_equal(mls_request_bytes(r, 2, CHANNEL, 4, 100, 8, 1000, 0, &e),
                     10 * 100 * 8 * 10 * 4);
}

static void test_nearest(void **state)
{
    (void)state;
    mls_error e;
    bytes("enc.spiks", 1, 0, 0, &e);
    assert_true(e.set);
    assert_non_null(strstr(e.text, "\"enc.spiks\""));
    assert_non_null(strstr(e.text, "did you mean \"enc.spikes\"?"));
    assert_non_null(strstr(e.text, "layer0.ssm.h"));
    bytes("layer7.enc.spikes", 1, 0, 0, &e);
    assert_true(e.set);
}

static void test_limit(void **state)
{
    (void)state;
    mls_error e;
    bytes("ssm.h", 1, 0, (int64_t)2 << 30, &e);
    assert_true(e.set);
    assert_non_null(strstr(e.text, "52428.8 MB"));
    assert_non_null(strstr(e.text, "layer0.ssm.h"));
    assert_non_null(strstr(e.text, "every = 25"));
    /* what it advises is within the limit */
    bytes("ssm.h", 26, 0, (int64_t)2 << 30, &e);
    assert_false(e.set);
    bytes("ssm.h", 10, 0, (int64_t)2 << 30, &e);
    assert_non_null(strstr(e.text, "samples = 3"));
    bytes("ssm.h", 10, 3, (int64_t)2 << 30, &e);
    assert_false(e.set);
}

static mls_value *map(mls_arena *a, const char *selector, const char *key, int64_t x)
{
    mls_value *m = mls_value_map(a);
    mls_value_set(a, m, "selector", mls_value_string(a, selector));
    mls_value_set(a, m, key, mls_value_int(a, x));
    return m;
}

static void test_parse(void **state)
{
    (void)state;
    mls_arena a = { 0 };
    mls_error e = { 0 };
    mls_request *r;
    int n;
    mls_value *list = mls_value_list(&a);
    mls_value_push(&a, list, mls_value_string(&a, "enc.spikes"));
    mls_value_push(&a, list, map(&a, "liq.state", "every", 50));
    assert_true(mls_request_parse(list, &r, &n, &a, &e));
    assert_int_equal(n, 2);
    assert_string_equal(r[0].selector, "enc.spikes");
    assert_int_equal(r[0].every, 0);
    assert_int_equal(r[1].every, 50);
    assert_true(mls_request_parse(NULL, &r, &n, &a, &e));
    assert_int_equal(n, 0);
    mls_value_push(&a, list, map(&a, "liq.state", "evry", 50));
    assert_false(mls_request_parse(list, &r, &n, &a, &e));
    assert_non_null(strstr(e.text, "every"));
    static const struct { const char *key; int64_t x; } bad[] = {
        { "every", -1 }, { "round_bits", 24 }, { "samples", -3 } };
    for (int i = 0; i < 3; i++) {
        memset(&e, 0, sizeof e);
        list = mls_value_list(&a);
        mls_value_push(&a, list, map(&a, "x", bad[i].key, bad[i].x));
        assert_false(mls_request_parse(list, &r, &n, &a, &e));
        assert_non_null(strstr(e.text, bad[i].key));
    }
    memset(&e, 0, sizeof e);
    list = mls_value_list(&a);
    mls_value *report = map(&a, "head.out", "samples", 1);
    mls_value_set(&a, report, "report", mls_value_bool(&a, 1));
    mls_value_push(&a, list, report);
    assert_true(mls_request_parse(list, &r, &n, &a, &e));
    assert_int_equal(r[0].report, 1);
    assert_int_equal(mls_request_bytes(r, 1, CHANNEL, 4, 100, 8, 100, 0, &e),
                     (100 + 1) * 100 * 10 * 4);
    r[0].selector = "enc.spikes";
    mls_request_bytes(r, 1, CHANNEL, 4, 100, 8, 100, 0, &e);
    assert_non_null(strstr(e.text, "spikes are under /spikes"));
    memset(&e, 0, sizeof e);
    mls_value_set(&a, report, "samples", mls_value_int(&a, 2));
    assert_false(mls_request_parse(list, &r, &n, &a, &e));
    assert_non_null(strstr(e.text, "`samples` = 1"));
    memset(&e, 0, sizeof e);
    assert_false(mls_request_parse(mls_value_string(&a, "enc.spikes"), &r, &n, &a, &e));
    mls_arena_free(&a);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching), cmocka_unit_test(test_last_counts),
        cmocka_unit_test(test_nearest),  cmocka_unit_test(test_limit),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
