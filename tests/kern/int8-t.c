/* Weights of 8 bits: how far they are from the floats, and products with them against
 * sums in double; a row's bits do not depend on how many rows there are.                */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/philox.h"
#include "kern/kern.h"
#include "plug/plug.h"

enum { MOST = 3 * 140 };

static float *noise(int64_t n, uint64_t key)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    mls_philox_uniform(key, x, n, -1.0, 1.0);
    return x;
}

static void rounding_is_half_a_step_at_most(void **state)
{
    (void)state;
    enum { ROWS = 5, COLS = 37 };
    float *w = noise(ROWS * COLS, 1), back[ROWS * COLS], scale[ROWS];
    int8_t q[ROWS * COLS];
    for (int c = 0; c < COLS; c++) w[3 * COLS + c] = 0.0f;        /* a row of nothing */
    mls_k_int8_pack(ROWS, COLS, w, q, scale);
    mls_k_int8_unpack(ROWS, COLS, q, scale, back);
    for (int r = 0; r < ROWS; r++) {
        float most = 0.0f;
        int largest = 0;
        for (int c = 0; c < COLS; c++) {
            most = fmaxf(most, fabsf(w[r * COLS + c]));
            largest = abs(q[r * COLS + c]) > largest ? abs(q[r * COLS + c]) : largest;
        }
        assert_int_equal(largest, most > 0.0f ? 127 : 0);
        for (int c = 0; c < COLS; c++)
            assert_true(fabsf(back[r * COLS + c] - w[r * COLS + c]) <= 0.5001f * scale[r]);
    }
    free(w);
}

static void check(const float *y, const float *x, const float *w, const float *bias,
                  int64_t m, int64_t n, int64_t k)
{
    for (int64_t r = 0; r < m; r++)
        for (int64_t j = 0; j < n; j++) {
            double s = bias ? (double)bias[j] : 0.0;
            for (int64_t i = 0; i < k; i++) s += (double)x[r * k + i] * (double)w[j * k + i];
            if (!(fabs((double)y[r * n + j] - s) < 2e-7 * (double)(k + 8)))
                fail_msg("%d x %d x %d at %d %d: %g, expected %g", (int)m, (int)n, (int)k,
                         (int)r, (int)j, (double)y[r * n + j], s);
        }
}

static void products_agree(void **state)
{
    (void)state;
    static const int64_t size[][2] = { { 1, 1 }, { 7, 5 }, { 4, 8 }, { 33, 17 }, { 140, 129 } };
    for (size_t s = 0; s < sizeof size / sizeof *size; s++)
        for (int64_t m = 1; m <= MLS_K_FEW; m++) {
            const int64_t n = size[s][0], k = size[s][1];
            float *x = noise(m * k, 2), *w = noise(n * k, 3), *b = noise(n, 4);
            float y[MOST], one[MOST], scale[140];
            int8_t *q = malloc((size_t)(n * k));
            mls_k_linear_few(m, n, k, x, w, b, y);
            check(y, x, w, b, m, n, k);
            mls_k_linear_few(1, n, k, x + (m - 1) * k, w, b, one);
            assert_memory_equal(one, y + (m - 1) * n, (size_t)n * sizeof *one);
            mls_k_int8_pack(n, k, w, q, scale);
            mls_k_int8_unpack(n, k, q, scale, w);
            mls_k_linear_int8(m, n, k, x, &(mls_int8){ q, scale }, NULL, y);
            check(y, x, w, NULL, m, n, k);
            mls_k_linear_int8(1, n, k, x + (m - 1) * k, &(mls_int8){ q, scale }, NULL, one);
            assert_memory_equal(one, y + (m - 1) * n, (size_t)n * sizeof *one);
            free(x);
            free(w);
            free(b);
            free(q);
        }
}

int main(void)
{
    mls_plug_init();
    const struct CMUnitTest tests[] = { cmocka_unit_test(rounding_is_half_a_step_at_most),
                                        cmocka_unit_test(products_agree) };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
