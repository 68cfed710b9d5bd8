/* memory.h - the LSTM that ncps' mixed memory puts before a liquid cell.
 *
 *   z = Wx x[t] + bx + Wr h[t-1]       h is the state of the liquid cell
 *   i, ig, fg, og = the quarters of z
 *   c[t] = sigmoid(fg + 1) c[t-1] + tanh(i) sigmoid(ig)
 *   m[t] = tanh(c[t]) sigmoid(og)      which the liquid cell takes for its h[t-1]
 */
#ifndef LIQUID_MEMORY_H
#define LIQUID_MEMORY_H

#include "rows.h"

/* z[4H] of one sample, in place: from sums to tanh(i) | sigmoids of ig, fg + 1, og. */
MLS_INLINE void memory_step(int64_t H, float *restrict z, const float *restrict before,
                            float *restrict c, float *restrict m)
{
    float *restrict ig = z + H, *restrict fg = z + 2 * H, *restrict og = z + 3 * H;
    for (int64_t j = 0; j < H; j++) {
        z[j] = mls_tanhf(z[j]);
        ig[j] = mls_sigmoidf(ig[j]);
        fg[j] = mls_sigmoidf(fg[j] + 1.0f);
        og[j] = mls_sigmoidf(og[j]);
        c[j] = fg[j] * before[j] + z[j] * ig[j];
        m[j] = og[j] * mls_tanhf(c[j]);
    }
}

/* From dm, and dc of c[t], to dz; dc becomes that of c[t-1]. */
MLS_INLINE void memory_step_back(int64_t H, const float *restrict z,
                                 const float *restrict before, const float *restrict c,
                                 const float *restrict dm, float *restrict dc,
                                 float *restrict dz)
{
    const float *restrict ig = z + H, *restrict fg = z + 2 * H,
                          *restrict og = z + 3 * H;
    float *restrict di = dz + H, *restrict df = dz + 2 * H, *restrict d_o = dz + 3 * H;
    for (int64_t j = 0; j < H; j++) {
        const float y = mls_tanhf(c[j]);
        const float g = dc[j] + dm[j] * og[j] * (1.0f - y * y);
        d_o[j] = dm[j] * y * og[j] * (1.0f - og[j]);
        dz[j] = g * ig[j] * (1.0f - z[j] * z[j]);
        di[j] = g * z[j] * ig[j] * (1.0f - ig[j]);
        df[j] = g * before[j] * fg[j] * (1.0f - fg[j]);
        dc[j] = g * fg[j];
    }
}

/* Makes the columns of w[rows][cols], rows >= cols, orthonormal (Gram-Schmidt): of
 * normal draws, what torch's orthogonal_ gives. */
static void orthonormal_columns(float *w, int64_t rows, int64_t cols, const void *self)
{
    enum { BLOCK = 256 };
    (void)self;
    for (int64_t j = 0; j < cols; j++) {
        double norm = 0.0;
        for (int64_t r = 0; r < rows; r++)
            norm += (double)w[r * cols + j] * (double)w[r * cols + j];
        const float scale = norm > 0.0 ? (float)(1.0 / sqrt(norm)) : 0.0f;
        for (int64_t r = 0; r < rows; r++) w[r * cols + j] *= scale;
        for (int64_t from = j + 1; from < cols; from += BLOCK) {
            const int64_t n = cols - from < BLOCK ? cols - from : BLOCK;
            double dot[BLOCK] = {0.0};
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < n; i++)
                    dot[i] += (double)w[r * cols + j] * (double)w[r * cols + from + i];
            for (int64_t r = 0; r < rows; r++)
                for (int64_t i = 0; i < n; i++)
                    w[r * cols + from + i] -= w[r * cols + j] * (float)dot[i];
        }
    }
}

/* [setup] The three weights of the LSTM as ncps starts them: input map and its bias,
 * recurrent map. */
MLS_MAY_BE_UNUSED static void memory_weights(mls_ctx *c, int64_t inputs, int64_t units,
                                             mls_t w[3])
{
    mls_init turn = mls_init_of(MLS_NORMAL, 1.0, 0);
    turn.adjust = orthonormal_columns;
    w[0] = mls->weight(c, "lstm.input_map.weight", 4 * units, inputs,
                       mls_init_of(MLS_XAVIER, 1.0, 0));
    w[1] = mls->weight(c, "lstm.input_map.bias", 1, 4 * units,
                       mls_init_of(MLS_UNIFORM, 0.1, MLS_NO_DECAY));
    w[2] = mls->weight(c, "lstm.recurrent_map.weight", 4 * units, units, turn);
}

#endif
