/* mel.c - log-mel frames.
 *
 * Frame t is the window x_k = w_k s_(t hop + k), w Hann, padded with zeros to n = 2^m;
 * P_j = |FFT(x)_j|^2, j = 0 .. n/2;  E_b = sum_j T_b(f_j) P_j;  out = log(E_b + 1e-10).
 * T_b are triangles whose corners lie evenly in mel(f) = 2595 log10(1 + f / 700) from 0
 * to half the rate (O'Shaughnessy's formula, as in HTK), with height 1.                 */
#include "import/mel.h"

#include <kiss_fftr.h>

#include <math.h>
#include <string.h>

struct mls_mel {
    kiss_fftr_cfg fft;
    int64_t       window, hop, bands, n;
    float        *w, *x;             /* [window], [n]                                   */
    kiss_fft_cpx *y;                 /* [n / 2 + 1]                                     */
    double       *corner;            /* [bands + 2] in bins of the FFT                  */
};

static void leave(void *fft)
{
    kiss_fftr_free(fft);
}

mls_mel *mls_mel_open(mls_arena *a, double rate, int64_t window, int64_t hop, int64_t bands,
                      mls_error *e)
{
    if (!(rate > 0) || window < 2 || window > 1 << 20 || hop < 1 || bands < 1 ||
        bands > window) {
        mls_error_set(e, "mel frames need a window of 2 to 1048576 samples, a hop of at least "
                      "1 and no more bands than the window has samples; it is %lld, %lld and "
                      "%lld", (long long)window, (long long)hop, (long long)bands);
        return NULL;
    }
    mls_mel *m = mls_arena_zalloc(a, sizeof *m);
    if (!m) return NULL;
    *m = (mls_mel){ .window = window, .hop = hop, .bands = bands, .n = 2 };
    while (m->n < window) m->n *= 2;
    m->w = mls_arena_alloc(a, (size_t)window * sizeof *m->w);
    m->x = mls_arena_zalloc(a, (size_t)m->n * sizeof *m->x);
    m->y = mls_arena_alloc(a, (size_t)(m->n / 2 + 1) * sizeof *m->y);
    m->corner = mls_arena_alloc(a, (size_t)(bands + 2) * sizeof *m->corner);
    m->fft = kiss_fftr_alloc((int)m->n, 0, NULL, NULL);
    if (m->fft && !mls_arena_at_free(a, leave, m->fft)) leave(m->fft), m->fft = NULL;
    if (!m->w || !m->x || !m->y || !m->corner || !m->fft) {
        mls_error_set(e, "no memory for mel frames");
        return NULL;
    }
    for (int64_t k = 0; k < window; k++)
        m->w[k] = (float)(0.5 - 0.5 * cos(2.0 * M_PI * (double)k / (double)window));
    const double top = 2595.0 * log10(1.0 + 0.5 * rate / 700.0);
    for (int64_t b = 0; b < bands + 2; b++) {
        const double mel = top * (double)b / (double)(bands + 1);
        m->corner[b] = 700.0 * (pow(10.0, mel / 2595.0) - 1.0) * (double)m->n / rate;
    }
    return m;
}

int64_t mls_mel_bands(const mls_mel *m)
{
    return m->bands;
}

int64_t mls_mel_frames(const mls_mel *m, int64_t n)
{
    return n <= m->window ? 1 : 1 + (n - m->window) / m->hop;
}

/* A low band may lie between two bins: then its energy is that at its peak. */
static double band(const mls_mel *m, int64_t b)
{
    const double left = m->corner[b], peak = m->corner[b + 1], right = m->corner[b + 2];
    double sum = 0.0, weight = 0.0;
    for (int64_t j = (int64_t)ceil(left); j <= m->n / 2 && (double)j < right; j++) {
        const double f = (double)j;
        const double h = f <= peak ? (f - left) / (peak - left) : (right - f) / (right - peak);
        const double re = m->y[j].r, im = m->y[j].i;
        weight += h;
        sum += h * (re * re + im * im);
    }
    if (weight > 0.0) return sum;
    const int64_t j = (int64_t)(peak + 0.5);
    return (double)m->y[j].r * m->y[j].r + (double)m->y[j].i * m->y[j].i;
}

void mls_mel_run(mls_mel *m, const float *wave, int64_t n, float *out)
{
    const int64_t frames = mls_mel_frames(m, n);
    for (int64_t t = 0; t < frames; t++) {
        const int64_t from = t * m->hop;
        for (int64_t k = 0; k < m->window; k++)
            m->x[k] = from + k < n ? m->w[k] * wave[from + k] : 0.0f;
        kiss_fftr(m->fft, m->x, m->y);
        for (int64_t b = 0; b < m->bands; b++)
            out[t * m->bands + b] = (float)log(band(m, b) + 1e-10);
    }
}
