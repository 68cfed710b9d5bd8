/* Attention's tiles of 16 lanes, compiled for 8: a machine with AVX-512 need not be there.
 * They add in another order than those of 4 lanes, so that results agree closely. */
#define MLS_EMULATE_AVX512 1
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"   /* vectors only pass through inlined calls */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kern/attention.c"

static mls_host host;
const mls_host *mls = &host;

enum { MOST_FLOATS = 400 * 40, ARRAYS = 8 };
static float in[ARRAYS][MOST_FLOATS], out[2][ARRAYS][MOST_FLOATS];

static float noise(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (float)(*s >> 40) * 0x1p-23f - 1.0f;
}

static void run(int isa, mls_k_attention a, float (*to)[MOST_FLOATS])
{
    host.isa = isa;
    memset(to, 0, sizeof out[0]);
    a.q = in[0], a.k = in[1], a.v = in[2], a.d_o = in[3];
    a.o = to[0], a.lse = to[1], a.dq = to[2], a.dk = to[3], a.dv = to[4];
    const size_t floats = (size_t)mls_k_attention_work(a.m, a.n, a.d);
    a.work = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    assert_non_null(a.work);
    /* what is read before it is written shows */
    memset(a.work, 0xff, floats * sizeof(float));
    mls_k_attention_forward(&a);
    memset(a.work, 0xff, floats * sizeof(float));
    mls_k_attention_backward(&a);
    free(a.work);
}

/* Against four lanes: sizes around whole panels, tiles and strips; windows; large scores. */
static void wide_tiles_agree(void **state)
{
    (void)state;
    static const struct { int64_t m, n, d, window; int both; float size; } sets[] = {
        { 16, 16, 16, 16, 0, 1 }, { 48, 48, 16, 20, 0, 1 },  { 100, 100, 16, 100, 0, 1 },
        { 61, 61, 32, 17, 0, 6 }, { 97, 130, 8, 300, 0, 1 }, { 300, 300, 20, 96, 0, 6 },
        { 33, 33, 16, 33, 1, 1 }, { 31, 47, 40, 64, 0, 1 },  { 257, 257, 16, 128, 0, 6 } };
    if (!__builtin_cpu_supports("avx2")) skip();
    uint64_t s = 7;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        for (int j = 0; j < ARRAYS; j++)
            for (int l = 0; l < MOST_FLOATS; l++)
                in[j][l] = noise(&s) * (j < 2 ? sets[i].size : 1.0f);
        const mls_k_attention a = { .m = sets[i].m, .n = sets[i].n, .d = sets[i].d,
                                    .first = sets[i].n - sets[i].m,
                                    .window = sets[i].window, .bidirectional = sets[i].both,
                                    .scale = 1.0f / sqrtf((float)sets[i].d) };
        run(MLS_ISA_PLAIN, a, out[0]);
        run(MLS_ISA_AVX512, a, out[1]);
        for (int j = 0; j < 5; j++) {
            double difference = 0.0, size = 0.0;
            for (int l = 0; l < MOST_FLOATS; l++) {
                const double x = (double)out[0][j][l], y = (double)out[1][j][l];
                assert_true(isfinite(x) && isfinite(y));
                difference += (x - y) * (x - y);
                size += x * x;
            }
            assert_true(sqrt(difference) <= 3e-5 * sqrt(size));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(wide_tiles_agree) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
