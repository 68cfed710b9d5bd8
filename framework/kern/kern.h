/* kern.h - numeric kernels over plain float arrays; sizes last.  The only place that
 * knows OpenBLAS.                                                                     */
#ifndef MLS_KERN_KERN_H
#define MLS_KERN_KERN_H

#include <stdint.h>
#include <mls/kernel.h>

/* Detects the CPU; honours MLS_ISA=plain|avx2|avx512 in the environment.  Returns
 * MLS_ISA_*; also pins OpenBLAS to one thread.                                         */
int mls_k_init(void);
const char *mls_k_isa_name(int isa);
/* Name of OpenBLAS's kernel family ("Zen", "SkylakeX"), and its version string. */
const char *mls_k_blas_family(void);
const char *mls_k_blas_version(void);
/* The family to ask for instead of `family` on a CPU of that isa, by OPENBLAS_CORETYPE;
 * NULL where OpenBLAS's own choice is good. */
const char *mls_k_blas_core(int isa, const char *family);

/* As mls_host.gemm; every size and stride below 2^31. */
void mls_k_gemm(int trans_a, int trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                float *c, int64_t ldc);
/* As mls_host.gemm_rows: panels of MLS_K_PANEL rows, or of `rows` when exact. */
#define MLS_K_PANEL 256
void mls_k_gemm_rows(int exact, int64_t rows, int trans_a, int trans_b, int64_t m, int64_t n,
                     int64_t k, float alpha, const float *a, int64_t lda, const float *b,
                     int64_t ldb, float beta, float *c, int64_t ldc);

/* y[m][n] = x[m][k] w[n][k]^T + bias[n] (NULL: none), in the panels of gemm_rows; a panel
 * of y is filled with the bias while it is in cache.                                   */
void mls_k_linear(int exact, int64_t rows, int64_t m, int64_t n, int64_t k, const float *x,
                  const float *w, const float *bias, float *y);

/* ---- Weights of 8 bits (int8.c) ---- */

/* A matrix [rows][cols]: q[r][c] * scale[r], q in -127..127. */
typedef struct mls_int8 {
    int8_t *q;                  /* [rows][cols]                                          */
    float  *scale;              /* [rows]                                                */
} mls_int8;
void mls_k_int8_pack(int64_t rows, int64_t cols, const float *w, int8_t *q, float *scale);
void mls_k_int8_unpack(int64_t rows, int64_t cols, const int8_t *q, const float *scale,
                       float *w);
/* As mls_k_linear for few rows m, on the calling thread: OpenBLAS packs w at each call,
 * which for one row costs several times the product.  A row's bits do not depend on m.  */
#define MLS_K_FEW 3
void mls_k_linear_few(int64_t m, int64_t n, int64_t k, const float *x, const float *w,
                      const float *bias, float *y);
void mls_k_linear_int8(int64_t m, int64_t n, int64_t k, const float *x, const mls_int8 *w,
                       const float *bias, float *y);

/* Sum of squares of x[n] in a fixed order (double). */
double mls_k_sum_squares(const float *x, int64_t n);
/* Index of the first NaN or Inf, or -1. */
int64_t mls_k_first_bad(const float *x, int64_t n);

/* One AdamW step over n values; t counts from 1. */
typedef struct mls_adamw { float lr, beta1, beta2, eps, decay; int64_t t; } mls_adamw;
void mls_k_adamw(float *w, const float *g, float *m, float *v, int64_t n, const mls_adamw *p);

/* ---- Storage of 16 bits (half.c) ---- */

/* float16: to nearest, +-65504 for what lies beyond; NaN stays NaN.  2^-11 for values from
 * 2^-14 up.                                                                             */
void mls_k_half_pack(const float *x, uint16_t *h, int64_t n);
void mls_k_half_unpack(const uint16_t *h, float *x, int64_t n);
/* As mls_k_adamw and its like with means in bfloat16, rounded at random: key numbers the
 * values' dice, and must be another one in each step.                                   */
void mls_k_adamw_half(float *w, const float *g, uint16_t *m, uint16_t *v, int64_t n,
                      uint32_t key, const mls_adamw *p);
void mls_k_sgd_half(float *w, const float *g, uint16_t *m, int64_t n, uint32_t key,
                    float rate, float momentum, float shrink);

#endif
