/* Student's t by the regularised incomplete beta function; see Abramowitz and Stegun
 * 26.5.8 (continued fraction) and 26.7.1.  Welch (1947) for unequal variances.        */
#include "study/statistics.h"

#include <math.h>

mls_moments mls_study_moments(const double *x, int n)
{
    mls_moments m = { n, NAN, NAN };
    if (n < 1)
        return m;
    double sum = 0.0, square = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    m.mean = sum / n;
    for (int i = 0; i < n; i++)
        square += (x[i] - m.mean) * (x[i] - m.mean);
    if (n > 1)
        m.sd = sqrt(square / (n - 1));
    return m;
}

/* The fraction 1/(1+ d1/(1+ d2/(1+ ...))) of A&S 26.5.8, from the far end: the
 * coefficients are known, so a fixed depth needs no test of convergence.              */
static double fraction(double a, double b, double x)
{
    double f = 1.0;
    for (int i = 400; i >= 1; i--) {
        const double m = i / 2;
        const double d = i % 2
            ? -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
            : m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        f = 1.0 + d / f;
    }
    return 1.0 / f;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0.0)
        return 0.0;
    if (x >= 1.0)
        return 1.0;
    /* the fraction converges fast only on this side */
    if (x > (a + 1.0) / (a + b + 2.0))
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    const double front = a * log(x) + b * log1p(-x)
        - (lgamma(a) + lgamma(b) - lgamma(a + b));
    return exp(front) * fraction(a, b, x) / a;
}

double mls_study_t_cdf(double t, double df)
{
    const double tail = 0.5 * incomplete_beta(df / 2.0, 0.5, df / (df + t * t));
    return t > 0.0 ? 1.0 - tail : tail;
}

double mls_study_t_quantile(double p, double df)
{
    if (!(p > 0.0 && p < 1.0 && df > 0.0))
        return NAN;
    if (p < 0.5)
        return -mls_study_t_quantile(1.0 - p, df);
    double low = 0.0, high = 1.0;
    while (mls_study_t_cdf(high, df) < p && high < 1e12)
        high *= 2.0;
    for (int i = 0; i < 100; i++) {
        const double middle = 0.5 * (low + high);
        if (mls_study_t_cdf(middle, df) < p)
            low = middle;
        else
            high = middle;
    }
    return 0.5 * (low + high);
}

static mls_difference interval(double value, double error, double df, double level)
{
    mls_difference d = { value, NAN, NAN, df, 0 };
    if (df > 0.0 && isfinite(error)) {
        const double t = mls_study_t_quantile(0.5 + level / 2.0, df);
        d.low = value - t * error;
        d.high = value + t * error;
    }
    return d;
}

mls_difference mls_study_welch(const double *a, int n_a, const double *b, int n_b,
                               double level)
{
    const mls_moments x = mls_study_moments(a, n_a), y = mls_study_moments(b, n_b);
    if (n_a < 2 || n_b < 2)
        return interval(x.mean - y.mean, NAN, 0.0, level);
    const double vx = x.sd * x.sd / n_a, vy = y.sd * y.sd / n_b, v = vx + vy;
    /* Welch and Satterthwaite; two constant samples have no spread at all */
    const double df = v > 0.0
        ? v * v / (vx * vx / (n_a - 1) + vy * vy / (n_b - 1)) : n_a + n_b - 2;
    return interval(x.mean - y.mean, sqrt(v), df, level);
}

mls_difference mls_study_paired(const double *a, const double *b, int n, double level)
{
    /* moments of the differences without a second array */
    double mean = 0.0, square = 0.0;
    for (int i = 0; i < n; i++)
        mean += (a[i] - b[i]) / n;
    for (int i = 0; i < n; i++)
        square += (a[i] - b[i] - mean) * (a[i] - b[i] - mean);
    mls_difference d = n > 1
        ? interval(mean, sqrt(square / (n - 1) / n), n - 1, level)
        : interval(n ? mean : NAN, NAN, 0.0, level);
    d.paired = 1;
    return d;
}
