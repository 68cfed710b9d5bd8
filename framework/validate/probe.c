#include "validate/probe.h"

#include "validate/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- words ------------------------------------------------------------------------- */

static void add_reason(mls_probe *p, const char *fmt, va_list ap)
{
    const size_t used = strlen(p->reason);
    if (used + 3 > sizeof p->reason) return;
    const char *gap = used ? "; " : "";
    memcpy(p->reason + used, gap, strlen(gap) + 1);
    vsnprintf(p->reason + used + strlen(gap), sizeof p->reason - used - strlen(gap), fmt, ap);
}

void mls_probe_fail(mls_probe *p, const char *fmt, ...)
{
    va_list ap;
    p->reason[0] = '\0';
    va_start(ap, fmt);
    add_reason(p, fmt, ap);
    va_end(ap);
    longjmp(p->end, MLS_CASE_FAILED);
}

void mls_probe_skip(mls_probe *p, const char *fmt, ...)
{
    va_list ap;
    p->reason[0] = '\0';
    va_start(ap, fmt);
    add_reason(p, fmt, ap);
    va_end(ap);
    longjmp(p->end, MLS_CASE_SKIPPED);
}

void mls_probe_warn(mls_probe *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_reason(p, fmt, ap);
    va_end(ap);
    p->warned = 1;
}

void mls_probe_note(mls_probe *p, const char *fmt, ...)
{
    char text[500];
    va_list ap;
    (void)p;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    mls_report_note(text);
}

float mls_probe_noise(uint64_t seed, uint64_t i)
{
    i = (i + 1 + seed * 0x632be59bd9b4e019u) * 0x9e3779b97f4a7c15u;
    i = (i ^ (i >> 31)) * 0xbf58476d1ce4e5b9u;
    i ^= i >> 29;
    return (float)((double)(i >> 11) / 4503599627370496.0 - 1.0);
}

/* ---- comparisons ------------------------------------------------------------------- */

typedef struct place { long long t, b, n; } place;

static place place_of(int64_t i, int64_t B, int64_t N)
{
    const int64_t width = N > 0 ? N : 1, row = (B > 0 ? B : 1) * width;
    return (place){ i / row, i % row / width, i % width };
}

static const char *title(const mls_probe *p, const mls_variant *v)
{
    return v ? v->title : p->target->name;
}

void mls_probe_same(mls_probe *p, const mls_variant *v, const char *what, const float *got,
                    const float *want, int64_t count, int64_t B, int64_t N)
{
    for (int64_t i = 0; i < count; i++) {
        if (!memcmp(got + i, want + i, sizeof *got)) continue;
        const place at = place_of(i, B, N);
        mls_probe_fail(p, "%s: %s at step %lld, sample %lld, unit %lld is %.9g, expected %.9g "
                       "to the bit", title(p, v), what, at.t, at.b, at.n, (double)got[i],
                       (double)want[i]);
    }
}

double mls_probe_near(mls_probe *p, const mls_variant *v, const char *what, const float *got,
                      const float *want, int64_t count, int64_t B, int64_t N, double tol)
{
    double worst = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double off = fabs((double)got[i] - (double)want[i]) /
                           fmax(1.0, fabs((double)want[i]));
        if (off <= tol) {
            worst = fmax(worst, off);
            continue;
        }
        const place at = place_of(i, B, N);
        mls_probe_fail(p, "%s: %s at step %lld, sample %lld, unit %lld is %.9g, expected %.9g "
                       "(within %.1g)", title(p, v), what, at.t, at.b, at.n, (double)got[i],
                       (double)want[i], tol);
    }
    return worst;
}

void mls_probe_finite(mls_probe *p, const mls_variant *v, const char *what, const float *got,
                      int64_t count, int64_t B, int64_t N)
{
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(got[i])) continue;
        const place at = place_of(i, B, N);
        mls_probe_fail(p, "%s: %s at step %lld, sample %lld, unit %lld is %g", title(p, v),
                       what, at.t, at.b, at.n, (double)got[i]);
    }
}
