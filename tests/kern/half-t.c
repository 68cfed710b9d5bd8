/* Storage of 16 bits: float16 by the processor and in plain C, and means in bfloat16. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/parfor.h"
#include "kern/kern.h"
#include "plug/host.h"
#include "plug/plug.h"

static int best;

static float of_bits(uint32_t b)
{
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}

static void every_value_comes_back(void **state)
{
    (void)state;
    static uint16_t h[65536], back[65536];
    static float x[65536];
    for (int i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    for (int isa = MLS_ISA_PLAIN; isa <= best; isa++) {
        mls_plug_table.isa = isa;
        mls_k_half_unpack(h, x, 65536);
        mls_k_half_pack(x, back, 65536);
        assert_true(x[0x3c00] == 1.0f && x[0xc000] == -2.0f && x[1] == 0x1p-24f);
        assert_true(x[0x7bff] == 65504.0f && isinf(x[0x7c00]) && signbit(x[0x8000]));
        for (int i = 0; i < 65536; i++) {
            const int most = i & 0x7fff;
            if (most > 0x7c00) assert_true(isnan(x[i]) && (back[i] & 0x7fff) > 0x7c00);
            else assert_int_equal(back[i], most == 0x7c00 ? i - 1 : i);
        }
    }
}

/* Floats of all sizes, and both neighbours of every tie. */
static void families_give_the_same_bits(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    float *x = malloc(N * sizeof *x), *back[2] = { malloc(N * sizeof *x), malloc(N * sizeof *x) };
    uint16_t *h[2] = { malloc(N * sizeof **h), malloc(N * sizeof **h) };
    for (uint32_t i = 0; i < N / 2; i++) x[i] = of_bits(i * 8191u + (i >> 3));
    for (uint32_t i = 0; i < N / 2; i++) {
        const uint32_t tie = (i / 6 % 0x8000) << 13 | 0x1000;
        x[N / 2 + i] = of_bits((0x38000000 - 0x02000000 + tie + i % 3 - 1) |
                               (i % 2 ? 0x80000000u : 0));
    }
    for (int isa = MLS_ISA_PLAIN; isa <= best; isa++) {
        const int k = isa != MLS_ISA_PLAIN;
        for (int n = N - 9; n <= N; n += 9) {          /* with a rest, and without         */
            mls_plug_table.isa = isa;
            memset(h[k], 0, N * sizeof **h);
            memset(back[k], 0, N * sizeof *x);
            mls_k_half_pack(x, h[k], n);
            mls_k_half_unpack(h[k], back[k], n);
        }
        assert_memory_equal(h[0], h[k], N * sizeof **h);
        assert_memory_equal(back[0], back[k], N * sizeof *x);
    }
    for (int i = 0; i < N; i++) {
        const float size = fabsf(x[i]), off = fabsf(back[0][i] - x[i]);
        if (isnan(x[i])) assert_true(isnan(back[0][i]));
        else if (size >= 65504.0f) assert_true(back[0][i] == copysignf(65504.0f, x[i]));
        else assert_true(off <= (size < 0x1p-14f ? 0x1p-25f : size * 0x1p-11f));
    }
    for (int k = 0; k < 2; k++) free(h[k]), free(back[k]);
    free(x);
}

/* A mean of squares moves by less than bfloat16 can hold: rounded to nearest it would
 * stand still.  Rounded at random it is right on average, and each is near.             */
static void means_are_right_on_average(void **state)
{
    (void)state;
    enum { N = 20000, STEPS = 1500 };
    float *w = calloc(N, sizeof *w), *g = malloc(N * sizeof *g);
    uint16_t *m = calloc(N, sizeof *m), *v = calloc(N, sizeof *v), *s = calloc(N, sizeof *s);
    for (int i = 0; i < N; i++) g[i] = 0.5f + (float)i / N;
    for (int t = 1; t <= STEPS; t++) {
        const mls_adamw p = { 0.0f, 0.9f, 0.999f, 1e-8f, 0.0f, t };
        mls_k_adamw_half(w, g, m, v, N, (uint32_t)t * 2654435761u, &p);
        mls_k_sgd_half(w, g, s, N, (uint32_t)t * 40503u, 0.0f, 0.99f, 0.0f);
    }
    double sum[3] = { 0.0 }, worst[3] = { 0.0 };
    for (int i = 0; i < N; i++) {
        const double x = (double)g[i];
        const double want[3] = { x * (1.0 - pow(0.9, STEPS)),
                                 x * x * (1.0 - pow(0.999, STEPS)),
                                 x * (1.0 - pow(0.99, STEPS)) / 0.01 };
        const uint16_t got[3] = { m[i], v[i], s[i] };
        for (int k = 0; k < 3; k++) {
            const double r = (double)of_bits((uint32_t)got[k] << 16) / want[k] - 1.0;
            sum[k] += r / N;
            worst[k] = fmax(worst[k], fabs(r));
        }
    }
    for (int k = 0; k < 3; k++) {
        print_message("# mean %d: %.1e off on average, %.1e at most\n", k, sum[k], worst[k]);
        assert_true(fabs(sum[k]) < 1e-3 && worst[k] < 0.3);
    }
    free(w), free(g), free(m), free(v), free(s);
}

/* The dice are of key and index: the same for any number of threads, and for each family. */
static void dice_fall_the_same(void **state)
{
    (void)state;
    enum { N = (1 << 20) + 5 };
    float *w[2], *g = malloc(N * sizeof *g);
    uint16_t *m[2], *v[2];
    for (int i = 0; i < N; i++) g[i] = sinf((float)i);
    for (int k = 0; k < 2; k++) {
        w[k] = calloc(N, sizeof **w), m[k] = calloc(N, sizeof **m), v[k] = calloc(N, sizeof **v);
        mls_parfor_threads(k + 1);
        for (int t = 1; t <= 3; t++) {
            const mls_adamw p = { 1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, t };
            mls_k_adamw_half(w[k], g, m[k], v[k], N, 77u + (uint32_t)t, &p);
        }
    }
    mls_parfor_threads(1);
    assert_memory_equal(w[0], w[1], N * sizeof **w);
    assert_memory_equal(m[0], m[1], N * sizeof **m);
    assert_memory_equal(v[0], v[1], N * sizeof **v);
    for (int k = 0; k < 2; k++) free(w[k]), free(m[k]), free(v[k]);
    free(g);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    mls_plug_init();
    best = mls_plug_table.isa;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_comes_back),
        cmocka_unit_test(families_give_the_same_bits),
        cmocka_unit_test(means_are_right_on_average),
        cmocka_unit_test(dice_fall_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
