#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/philox.h"

/* The known-answer vectors of Random123's kat_vectors for philox4x32-10. */
static void known_answers(void **state)
{
    (void)state;
    static const struct { uint32_t key[2], counter[4], out[4];
    } row[] = {
        {{0, 0}, {0, 0, 0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u},
         {~0u, ~0u, ~0u, ~0u},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0xa4093822, 0x299f31d0},
         {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    uint32_t out[4];
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        mls_philox_block(row[i].key, row[i].counter, out);
        assert_memory_equal(out, row[i].out, sizeof out);
    }
    mls_philox(0, 0, out);
    assert_memory_equal(out, row[0].out, sizeof out);
    const uint32_t key[2] = { 7, 9 }, counter[4] = { 3, 5, 0, 0 };
    uint32_t same[4];
    mls_philox_block(key, counter, same);
    mls_philox((uint64_t)9 << 32 | 7, (uint64_t)5 << 32 | 3, out);
    assert_memory_equal(out, same, sizeof out);
}

static void keys_differ(void **state)
{
    (void)state;
    const uint64_t k = mls_philox_key(1, "layer0.enc", "init");
    assert_true(k == mls_philox_key(1, "layer0.enc", "init"));
    assert_true(k != mls_philox_key(2, "layer0.enc", "init"));
    assert_true(k != mls_philox_key(1, "layer1.enc", "init"));
    assert_true(k != mls_philox_key(1, "layer0.enc", "noise"));
    assert_true(mls_philox_key(1, "ab", "c") != mls_philox_key(1, "a", "bc"));
    assert_true(mls_philox_key(1, "", "c") != mls_philox_key(1, "c", ""));
    assert_true(mls_philox_mix(k, 0) != mls_philox_mix(k, 1));
    assert_true(mls_philox_mix(k, 0) != k);
}

enum { N = 40000 };
static float x[N], y[N];

static void moments(const float *v, double *mean, double *variance)
{
    double s = 0, q = 0;
    for (int i = 0; i < N; i++) s += (double)v[i], q += (double)v[i] * (double)v[i];
    *mean = s / N;
    *variance = q / N - *mean * *mean;
}

static void distributions(void **state)
{
    (void)state;
    double mean, variance;
    assert_true(mls_philox_unit(0) > 0.0 && mls_philox_unit(~0u) < 1.0);
    mls_philox_uniform(5, x, N, -2.0, 4.0);
    for (int i = 0; i < N; i++) assert_true(x[i] >= -2.0f && x[i] <= 4.0f);
    moments(x, &mean, &variance);
    assert_true(fabs(mean - 1.0) < 0.04 && fabs(variance - 3.0) < 0.1);
    mls_philox_normal(5, x, N, 2.0);
    moments(x, &mean, &variance);
    assert_true(fabs(mean) < 0.04 && fabs(variance - 4.0) < 0.12);
    int far = 0;
    for (int i = 0; i < N; i++) far += fabsf(x[i]) > 4.0f; /* 4.55 % beyond 2 sd */
    assert_true(far > 0.042 * N && far < 0.049 * N);
    /* values are addressed: a shorter draw is a prefix */
    mls_philox_normal(5, y, 1001, 2.0);
    assert_memory_equal(x, y, 1001 * sizeof *x);
}

static void shuffles(void **state)
{
    (void)state;
    int64_t p[100], q[100];
    int at[3][3] = { { 0 } };
    mls_philox_shuffle(1, p, 100);
    mls_philox_shuffle(2, q, 100);
    assert_true(memcmp(p, q, sizeof p) != 0);
    int seen[100] = { 0 };
    for (int i = 0; i < 100; i++) seen[p[i]]++;
    for (int i = 0; i < 100; i++) assert_int_equal(seen[i], 1);
    for (uint64_t k = 0; k < 3000; k++) {
        mls_philox_shuffle(k, p, 3);
        for (int i = 0; i < 3; i++) at[i][p[i]]++;
    }
    for (int i = 0; i < 9; i++) assert_in_range(at[i / 3][i % 3], 880, 1120);
    mls_philox_shuffle(1, p, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers), cmocka_unit_test(keys_differ),
        cmocka_unit_test(distributions), cmocka_unit_test(shuffles),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
