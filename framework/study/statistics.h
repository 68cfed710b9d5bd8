/* statistics.h - means, spreads and the intervals of a table of seeds. */
#ifndef MLS_STUDY_STATISTICS_H
#define MLS_STUDY_STATISTICS_H

typedef struct mls_moments { int n; double mean, sd; } mls_moments;   /* sd: n - 1; NaN
                                                                         below 2 values */
typedef struct mls_difference {
    double value, low, high;    /* a - b and its confidence interval (NaN: no spread)  */
    double df;
    int    paired;              /* by seed; else Welch                                 */
} mls_difference;

mls_moments mls_study_moments(const double *x, int n);

/* P(T <= t) and its inverse for Student's t with df degrees of freedom. */
double mls_study_t_cdf(double t, double df);
double mls_study_t_quantile(double p, double df);

/* level: 0.95.  Paired: a[i] and b[i] come from the same seed. */
mls_difference mls_study_welch(const double *a, int n_a, const double *b, int n_b,
                               double level);
mls_difference mls_study_paired(const double *a, const double *b, int n, double level);

#endif
