/* Products against a naive loop in double; the same bits for any number of threads;
 * exact mode's rows the same bits for any number of steps.                           */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/parfor.h"
#include "base/philox.h"
#include "kern/kern.h"
#include "plug/host.h"

static float *noise(int64_t n, uint64_t key)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    mls_philox_uniform(key, x, n, -1.0, 1.0);
    return x;
}

static double naive(int ta, int tb, int64_t i, int64_t j, int64_t k, const float *a,
                    int64_t lda, const float *b, int64_t ldb)
{
    double s = 0.0;
    for (int64_t l = 0; l < k; l++)
        s += (double)(ta ? a[l * lda + i] : a[i * lda + l])
             * (double)(tb ? b[j * ldb + l] : b[l * ldb + j]);
    return s;
}

/* Sizes and strides that share no factor; C wider than n, to see what is left alone. */
static void agrees_with_naive(void **state)
{
    (void)state;
    static const int64_t size[][3] = { { 1, 1, 1 }, { 3, 5, 7 }, { 8, 128, 128 },
                                       { 300, 17, 33 }, { 70, 64, 301 },
                                       { 803, 40, 600 } };
    for (size_t s = 0; s < sizeof size / sizeof *size; s++)
        for (int mode = 0; mode < 24; mode++) {
            const int ta = mode & 1, tb = mode >> 1 & 1, rows = mode / 4 % 3;
            const int64_t m = size[s][0], n = size[s][1], k = size[s][2];
            const int64_t lda = (ta ? m : k) + 3, ldb = (tb ? k : n) + 2, ldc = n + 1;
            float *a = noise((ta ? k : m) * lda, 1), *b = noise((tb ? n : k) * ldb, 2);
            float *c = noise(m * ldc, 3), *old = noise(m * ldc, 3);
            const float alpha = mode < 12 ? 0.5f : 1.0f;
            const float beta = mode % 3 == 0 ? 0.0f : mode < 12 ? 2.0f : 1.0f;
            if (beta == 0.0f) c[0] = NAN; /* beta 0 reads nothing of C */
            if (rows)
                mls_k_gemm_rows(rows == 2, 5, ta, tb, m, n, k, alpha, a, lda, b, ldb,
                                beta, c, ldc);
            else
                mls_k_gemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
            for (int64_t i = 0; i < m; i++) {
                for (int64_t j = 0; j < n; j++) {
                    const double ref =
                        (double)alpha * naive(ta, tb, i, j, k, a, lda, b, ldb) +
                        (double)beta * (double)old[i * ldc + j];
                    if (!(fabs((double)c[i * ldc + j] - ref) < 2e-7 * (double)(k + 8)))
                        fail_msg("m %d n %d k %d mode %d at %d %d: %g, expected %g",
                                 (int)m, (int)n, (int)k, mode, (int)i, (int)j,
                                 (double)c[i * ldc + j], ref);
                }
                assert_true(c[i * ldc + n] == old[i * ldc + n]);
            }
            free(a), free(b), free(c), free(old);
        }
}

static void empty_sizes(void **state)
{
    (void)state;
    float c[2] = { 3.0f, NAN };
    mls_k_gemm(0, 0, 0, 2, 2, 1.0f, NULL, 2, NULL, 2, 0.0f, c, 2);
    assert_true(c[0] == 3.0f);
    mls_k_gemm(0, 0, 1, 1, 0, 1.0f, NULL, 0, NULL, 1, 2.0f, c, 1);
    assert_true(c[0] == 6.0f);
    mls_k_gemm_rows(0, 1, 0, 0, 1, 2, 0, 1.0f, NULL, 0, NULL, 2, 0.0f, c, 2);
    assert_true(c[0] == 0.0f && c[1] == 0.0f);
}

static void linear_adds_the_bias(void **state)
{
    (void)state;
    enum { M = 600, K = 20, O = 9 };
    float *x = noise(M * K, 1), *w = noise(O * K, 2), *bias = noise(O, 3),
          *y = noise(M * O, 4);
    for (int exact = 0; exact < 2; exact++)
        for (int with = 0; with < 2; with++) {
            y[5] = NAN;
            mls_k_linear(exact, 4, M, O, K, x, w, with ? bias : NULL, y);
            for (int i = 0; i < M; i++)
                for (int j = 0; j < O; j++) {
                    const double ref = naive(0, 1, i, j, K, x, K, w, K)
                                       + (with ? (double)bias[j] : 0.0);
                    assert_true(fabs((double)y[i * O + j] - ref) < 5e-6);
                }
        }
    free(x), free(w), free(bias), free(y);
}

/* Big enough that the panels really are shared out. */
static void threads_change_no_bit(void **state)
{
    (void)state;
    static const struct { int ta, tb; int64_t m, n, k; } row[] = {
        { 0, 1, 1100, 192, 160 }, { 0, 0, 1100, 160, 192 }, { 1, 0, 200, 130, 1500 },
    };
    for (size_t s = 0; s < sizeof row / sizeof *row; s++) {
        const int64_t m = row[s].m, n = row[s].n, k = row[s].k;
        const int64_t lda = row[s].ta ? m : k, ldb = row[s].tb ? k : n;
        float *a = noise(m * k, 1), *b = noise(n * k, 2), *c[2];
        assert_true(2.0 * (double)(m * n * k) > 4e7);
        for (int exact = 0; exact < 2; exact++) {
            for (int t = 0; t < 2; t++) {
                c[t] = noise(m * n, 3);
                mls_parfor_threads(t ? 3 : 1);
                mls_k_gemm_rows(exact, 8, row[s].ta, row[s].tb, m, n, k, 1.0f, a, lda,
                                b, ldb, 1.0f, c[t], n);
            }
            assert_memory_equal(c[0], c[1], (size_t)(m * n) * sizeof(float));
            free(c[0]), free(c[1]);
        }
        free(a), free(b);
    }
    mls_parfor_threads(1);
}

/* Of the product that packs the small side: any 32 rows or more have the bits that they
 * have among all, so that neither the length of a sequence nor the threads can show.   */
static void tall_rows_stand_alone(void **state)
{
    (void)state;
    enum { M = 1000, K = 300, N = 37 };
    static const int64_t piece[][2] = { { 0, 32 }, { 5, 200 }, { 401, 599 } };
    float *x = noise(M * K, 1), *w = noise(N * K, 2), *bias = noise(N, 3);
    float *whole = noise(M * N, 4), *part = noise(M * N, 5);
    if (mls->isa == MLS_ISA_PLAIN) skip();
    for (int with = 0; with < 2; with++) {
        const float *b = with ? bias : NULL;
        mls_k_linear(0, 1, M, N, K, x, w, b, whole);
        for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
            const int64_t at = piece[i][0], n = piece[i][1];
            mls_k_linear(0, 1, n, N, K, x + at * K, w, b, part);
            assert_memory_equal(part, whole + at * N, (size_t)(n * N) * sizeof *part);
        }
    }
    free(x), free(w), free(bias), free(whole), free(part);
}

static void kernels_for_old_cpus_are_replaced(void **state)
{
    (void)state;
#ifndef MLS_EMULATE_AVX512
    assert_string_equal(mls_k_blas_core(MLS_ISA_AVX512, "Prescott"), "SkylakeX");
#endif
    assert_string_equal(mls_k_blas_core(MLS_ISA_AVX2, "Nehalem"), "Haswell");
    assert_null(mls_k_blas_core(MLS_ISA_PLAIN, "Prescott"));
    assert_null(mls_k_blas_core(MLS_ISA_AVX2, "Zen"));
    assert_null(mls_k_blas_core(MLS_ISA_AVX512, "SkylakeX"));
}

/* All steps at once, and in chunks of 1, 3 and 50 steps: the same bits in exact mode.
 */
static void exact_rows_do_not_depend_on_steps(void **state)
{
    (void)state;
    enum { T = 100, B = 6, K = 65, O = 40 };
    static const int chunk[] = { 1, 3, 50 };
    float *x = noise(T * B * K, 1), *w = noise(O * K, 2), *bias = noise(O, 3);
    float *whole = noise(T * B * O, 4), *parts = noise(T * B * O, 5);
    mls_k_linear(1, B, T * B, O, K, x, w, bias, whole);
    for (size_t s = 0; s < sizeof chunk / sizeof *chunk; s++) {
        memset(parts, 0, T * B * O * sizeof *parts);
        for (int t = 0; t < T; t += chunk[s]) {
            const int n = T - t < chunk[s] ? T - t : chunk[s];
            mls_k_linear(1, B, n * B, O, K, x + t * B * K, w, bias, parts + t * B * O);
        }
        assert_memory_equal(whole, parts, T * B * O * sizeof *parts);
    }
    free(x), free(w), free(bias), free(whole), free(parts);
}

static void names_the_library(void **state)
{
    (void)state;
    setenv("MLS_ISA", "plain", 1);
    assert_int_equal(mls_k_init(), MLS_ISA_PLAIN);
    setenv("MLS_ISA", "nonsense", 1);
    const int best = mls_k_init();
    unsetenv("MLS_ISA");
    assert_int_equal(mls_k_init(), best);
    assert_in_range(best, MLS_ISA_PLAIN, MLS_ISA_AVX512);
    assert_string_equal(mls_k_isa_name(MLS_ISA_AVX2), "avx2");
    assert_true(strlen(mls_k_blas_family()) > 0);
    assert_non_null(strstr(mls_k_blas_version(), "OpenBLAS"));
}

int main(void)
{
    mls_plug_table.isa = mls_k_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_naive),
        cmocka_unit_test(empty_sizes),
        cmocka_unit_test(linear_adds_the_bias),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(tall_rows_stand_alone),
        cmocka_unit_test(kernels_for_old_cpus_are_replaced),
        cmocka_unit_test(exact_rows_do_not_depend_on_steps),
        cmocka_unit_test(names_the_library),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
